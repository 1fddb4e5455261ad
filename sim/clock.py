"""The session's clock in virtual time, and a time that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sim.loop_base import whole_ns
from sim.virtual_loop import VirtualLoop


class VirtualClock:
    """The simulation's time, through the event loop's own clock.

    `pass_alone` lets time go on to a moment at once, where nobody but the running task would do
    anything before; it tells whether it did.
    """

    def __init__(self, loop: VirtualLoop, pass_alone: Callable[[int], bool]) -> None:
        self._loop = loop
        self._pass_alone = pass_alone

    def now_ns(self) -> int:
        """Nanoseconds since the epoch, UTC."""
        return self._loop.now_ns

    async def sleep(self, seconds: float) -> None:
        """Wait that much simulated time."""
        if not (seconds > 0 and self._pass_alone(self._loop.now_ns + whole_ns(seconds))):
            await asyncio.sleep(seconds)


class Moment:
    """A time that stands still."""

    def __init__(self, now_ns: int) -> None:
        self._now_ns = now_ns

    def moment_ns(self) -> int:
        """The time."""
        return self._now_ns

    def interrupt(self) -> None:
        """Nothing to interrupt: time does not move."""

    def leave(self) -> None:
        """Nothing is left to do."""
