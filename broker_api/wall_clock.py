"""The machine's clock, for live sessions: the one place that reads it. All others are handed it.

It is the system's time of day, so it may be set back; what must only grow takes the event loop's.
"""

from __future__ import annotations

import asyncio
import time

_NS_MILLISECOND = 1_000_000


class WallClock:
    """A broker's clock (`broker.Clock`) that tells the time of day."""

    def now_ns(self) -> int:
        """Nanoseconds since the epoch, UTC."""
        return time.time_ns()

    def now_ms(self) -> int:
        """Milliseconds since the epoch, rounded down."""
        return time.time_ns() // _NS_MILLISECOND

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""
        await asyncio.sleep(seconds)
