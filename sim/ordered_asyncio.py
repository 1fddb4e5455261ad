"""Three functions of asyncio whose order would differ between processes or Python versions.

`as_completed` puts coroutines into a set, which orders them by address, before it starts them.
`wait_for` of Python 3.11 wraps its coroutine in a task, which then starts one round later than in
3.12 and newer. `all_tasks`, which the end of a run cancels in the order of the set, lists tasks as
those lie that the process has had. They are replaced while a loop of ours runs, and only act on
such a loop.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sim.loop_base import LoopWithoutIO, VirtualTask

_as_completed = asyncio.tasks.as_completed
_wait_for = asyncio.tasks.wait_for
_all_tasks = asyncio.tasks.all_tasks


def _as_completed_in_order(fs: Any, *, timeout: float | None = None) -> Any:
    """Make the tasks, in the order given, before asyncio puts them into its set."""
    loop = asyncio._get_running_loop()
    if isinstance(loop, LoopWithoutIO) and not (asyncio.isfuture(fs) or asyncio.iscoroutine(fs)):
        fs = [asyncio.ensure_future(awaitable, loop=loop) for awaitable in dict.fromkeys(fs)]
    return _as_completed(fs, timeout=timeout)


async def _wait_for_in_place(fut: Any, timeout: float | None) -> Any:
    """Wait in the task that asks, as Python 3.12 and newer do."""
    is_ours = isinstance(asyncio.get_running_loop(), LoopWithoutIO)
    if not is_ours or (timeout is not None and timeout <= 0):
        return await _wait_for(fut, timeout)
    async with asyncio.timeout(timeout):
        return await fut


def _all_tasks_in_order(loop: Any = None) -> set[asyncio.Task[Any]]:
    """Fill the set in the order in which the tasks were made."""
    tasks = _all_tasks(loop)
    if not all(isinstance(task, VirtualTask) for task in tasks):
        return tasks
    in_order = sorted(tasks, key=hash)
    return set(in_order)


@contextmanager
def ordered_asyncio() -> Iterator[None]:
    """Inside this block the order of asyncio's functions depends on nothing but the program."""
    before = asyncio.as_completed, asyncio.wait_for, asyncio.all_tasks
    asyncio.as_completed = asyncio.tasks.as_completed = _as_completed_in_order
    asyncio.all_tasks = asyncio.tasks.all_tasks = _all_tasks_in_order
    if sys.version_info < (3, 12):
        asyncio.wait_for = asyncio.tasks.wait_for = _wait_for_in_place
    try:
        yield
    finally:
        asyncio.as_completed, asyncio.wait_for, asyncio.all_tasks = before
        asyncio.tasks.as_completed, asyncio.tasks.wait_for, asyncio.tasks.all_tasks = before
