"""What SIGINT and SIGTERM do to a session: the first asks, the second forces, the third kills.

Asked, a session ends in order: orders that are under way are waited for, the journal is closed, the
folder is written. Forced, KeyboardInterrupt is raised in whatever runs: the journal has everything
that was acknowledged, and the session can be resumed. Both promises are the journal's, not ours.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM)
_SIGNALLED = 128
"""A process that a signal ended has this and the signal's number as exit code, shells say."""


class Stopping:
    """Which signals have come while `graceful` was in force."""

    def __init__(self) -> None:
        self.signals: list[signal.Signals] = []

    @property
    def exit_code(self) -> int:
        """What a process that was forced to end returns: 130 for SIGINT, 143 for SIGTERM."""
        return _SIGNALLED + (self.signals[-1] if self.signals else signal.SIGINT)


@contextmanager
def graceful(stop: Callable[[], None]) -> Iterator[Stopping]:
    """While this is entered the first SIGINT or SIGTERM calls `stop`, and the work goes on.

    The second raises KeyboardInterrupt in the main thread, the third ends the process at once.
    `stop` is called between two steps of the main thread, so it may do no more than set a flag or
    tell a loop (`call_soon_threadsafe`). Main thread only; what was in force before is put back.
    """
    stopping = Stopping()

    def come(number: int, frame: FrameType | None) -> None:
        stopping.signals.append(signal.Signals(number))
        match len(stopping.signals):
            case 1:
                stop()
            case 2:
                raise KeyboardInterrupt
            case _:
                os._exit(stopping.exit_code)

    before = [signal.signal(each, come) for each in STOPPING]
    try:
        yield stopping
    finally:
        for each, handler in zip(STOPPING, before, strict=True):
            signal.signal(each, handler)
