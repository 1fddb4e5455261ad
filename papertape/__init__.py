"""papertape: rehearse trading strategies on a tape of historical ticks.

Everything that `broker_api` offers to strategies, and virtual time: `run` is asyncio.run on it.
`sweep` runs a strategy over a grid of parameters.
"""

from typing import TYPE_CHECKING, Any

import broker_api
from broker_api import *  # noqa: F403
from sim.loop import TapeEnded, run

if TYPE_CHECKING:
    from papertape.sweeping import sweep

__all__ = [*broker_api.__all__, "TapeEnded", "run", "sweep"]


def __getattr__(name: str) -> Any:
    # A strategy that only trades does not pay for importing the reports.
    if name == "sweep":
        from papertape.sweeping import sweep

        return sweep
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
