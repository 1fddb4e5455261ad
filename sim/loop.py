"""Virtual time for whole programs: `run`, and `virtual_time` for code that calls asyncio.run.

The event loop is :class:`sim.virtual_loop.VirtualLoop`; its names are importable from here.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sim.earlier_runs import free_earlier_runs
from sim.loop_base import (
    DeadlockError,
    Driver,
    EndlessRunError,
    RealIOError,
    TapeEnded,
    TimeStandsStillError,
    VirtualFuture,
    VirtualTask,
)
from sim.ordered_asyncio import ordered_asyncio
from sim.virtual_loop import VirtualLoop

__all__ = [
    "DeadlockError",
    "Driver",
    "EndlessRunError",
    "RealIOError",
    "TapeEnded",
    "TimeStandsStillError",
    "VirtualFuture",
    "VirtualLoop",
    "VirtualRuns",
    "VirtualTask",
    "run",
    "virtual_time",
]

_T = TypeVar("_T")


def run(main: Coroutine[Any, Any, _T], *, debug: bool | None = None) -> _T | None:
    """As asyncio.run, in virtual time. Returns main's result, None when the tape ended it.

    Raises what main raises, and the loop's own errors (DeadlockError and its neighbours).

    >>> async def main():
    ...     await asyncio.sleep(3600)
    ...     return asyncio.get_running_loop().time()
    >>> run(main())
    3600.0
    """
    free_earlier_runs()
    with ordered_asyncio(), asyncio.Runner(debug=debug, loop_factory=VirtualLoop) as runner:
        return runner.run(main)


class VirtualRuns:
    """The loops that were made inside one `virtual_time()`, oldest first."""

    def __init__(self) -> None:
        self.loops: list[VirtualLoop] = []

    @property
    def loop(self) -> VirtualLoop | None:
        """The newest loop, None when the code made none."""
        return self.loops[-1] if self.loops else None

    def make_loop(self) -> VirtualLoop:
        """A new loop, kept in `loops`."""
        self.loops.append(VirtualLoop())
        return self.loops[-1]


@contextmanager
def virtual_time() -> Iterator[VirtualRuns]:
    """Inside this block asyncio.run, asyncio.Runner and new event loops run in virtual time.

    The event loop policy is put back at the end. For code that runs as it is: a user's script.
    """
    free_earlier_runs()
    runs = VirtualRuns()
    with (
        warnings.catch_warnings()
    ):  # Python 3.14 deprecates policies and has nothing in their place
        warnings.simplefilter("ignore", DeprecationWarning)
        before = asyncio.get_event_loop_policy()
        asyncio.set_event_loop_policy(_virtual_policy(runs))
    try:
        with ordered_asyncio():
            yield runs
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            asyncio.set_event_loop_policy(before)


def _virtual_policy(runs: VirtualRuns) -> asyncio.AbstractEventLoopPolicy:
    class VirtualPolicy(asyncio.AbstractEventLoopPolicy):
        """Makes VirtualLoops, and keeps the current one of the thread that runs the script."""

        current: asyncio.AbstractEventLoop | None = None

        def get_event_loop(self) -> asyncio.AbstractEventLoop:
            if self.current is None:
                self.current = self.new_event_loop()
            return self.current

        def set_event_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
            self.current = loop

        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            return runs.make_loop()

    return VirtualPolicy()  # type: ignore[abstract]  # child watchers
