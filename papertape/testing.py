"""Property tests of strategies, with Hypothesis: tapes, storms, and properties that must hold.

    from hypothesis import given, settings
    from papertape.testing import always_holds, tapes

    @given(tapes("MNQ"))
    @settings(deadline=None)
    def test_my_strategy_keeps_its_promises(tape):
        always_holds(my_strategy, tape)

docs/testing.md describes them, and the fixtures of the pytest plugin. Needs Hypothesis:
`pip install papertape[testing]`.
"""

from data.market_storm import Incident, IncidentKind
from scenarios.properties import (
    PropertyError,
    always_holds,
    every_row,
    holds_in_storm,
    in_pieces,
    mirrored,
    same_again,
    shifted,
    slower_is_no_better,
)
from scenarios.storm_drawing import Storm
from scenarios.trial import Trial, run_strategy
from sim.storm_faults import Fault, FaultKind, ListedFaults

try:
    from scenarios.generated import storms, tapes
except ModuleNotFoundError as missing:
    if missing.name != "hypothesis":
        raise
    raise ModuleNotFoundError(
        "papertape.testing needs Hypothesis: pip install papertape[testing]", name="hypothesis"
    ) from None

__all__ = [
    "Fault",
    "FaultKind",
    "Incident",
    "IncidentKind",
    "ListedFaults",
    "PropertyError",
    "Storm",
    "Trial",
    "always_holds",
    "every_row",
    "holds_in_storm",
    "in_pieces",
    "mirrored",
    "run_strategy",
    "same_again",
    "shifted",
    "slower_is_no_better",
    "storms",
    "tapes",
]
