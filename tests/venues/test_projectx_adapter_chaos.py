"""Sessions of the ProjectX adapter under seeded chaos end with both ends' books equal.

The same runs as of the other adapter; two hundred more at night:
`python -m tests.venues.adapter_chaos --venue projectx --seeds 0:200`.
"""

from __future__ import annotations

import pytest

from tests.venues import adapter_chaos
from tests.venues.arena import PROJECTX


@pytest.mark.parametrize("seed", [0, 2, 5, 14])
def test_what_chaos_does_is_put_right(seed: int) -> None:
    """In 5 and 14 executions overtake each other; 0 begins a new session in the middle."""
    counts = adapter_chaos.run(seed, PROJECTX)
    assert counts["placed"] > 5
    assert sum(number for name, number in counts.items() if name.startswith("fault ")) > 10
