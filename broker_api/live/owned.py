"""Tasks that go on when whoever made them has gone away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


async def done(answer: _T) -> _T:
    """An answer that is there already."""
    return answer


def owned(work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
    """A task whose failure nobody has to ask for."""
    task = asyncio.get_running_loop().create_task(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task
