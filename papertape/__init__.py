"""papertape: rehearse trading strategies on a tape of historical ticks.

Everything that `broker_api` offers to strategies, and virtual time: `run` is asyncio.run on it.
"""

import broker_api
from broker_api import *  # noqa: F403
from sim.loop import TapeEnded, run

__all__ = [*broker_api.__all__, "TapeEnded", "run"]
