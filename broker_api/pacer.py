"""The asyncio face of `pacing.py`: `async with pacer.turn(weight, kind): send()`.

It keeps no task: who waits awaits a future, and one timer of the loop wakes those whose turn it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType

from broker_api.pacing import NS_SECOND, BackOff, Kind, Limit, Queue, Waiting


class Pacer:
    """Lets requests go as the limits allow, in the order of `pacing.Queue`. Belongs to one loop.

    With nobody waiting and room in the limits a turn begins without giving way to other tasks, so
    requests are sent in the order in which they were made.
    """

    def __init__(self, limits: Sequence[Limit], back_off: BackOff) -> None:
        self._queue = Queue((*limits, back_off))
        self._back_off = back_off
        self._futures: dict[int, asyncio.Future[None]] = {}
        self._waking = 0
        """Whose turn it is, but who did not run since: nobody may overtake them."""
        self._timer: asyncio.TimerHandle | None = None

    def turn(
        self,
        weight: int = 1,
        kind: Kind = Kind.ORDER,
        *,
        key: object = None,
        wait_max_seconds: float | None = None,
    ) -> Turn:
        """A context that is entered when the request may go.

        Entering raises RateLimited when that is later than `wait_max_seconds` from now. `key` names
        what must keep its order: the id of the order that a command is about.
        """
        wait_max_ns = None if wait_max_seconds is None else round(wait_max_seconds * NS_SECOND)
        return Turn(self, weight, kind, key, wait_max_ns)

    def refused(self, retry_after_seconds: float = 0.0) -> None:
        """The venue answered 429: nothing goes for a while."""
        self._back_off.refused(self._now_ns(), round(retry_after_seconds * NS_SECOND))
        self._serve()

    def accepted(self) -> None:
        """The venue answered properly: the next back-off begins small again."""
        self._back_off.accepted()

    def __len__(self) -> int:
        """How many requests wait."""
        return len(self._queue)

    def _now_ns(self) -> int:
        return int(asyncio.get_running_loop().time() * NS_SECOND)

    async def _wait(self, weight: int, kind: Kind, key: object, wait_max_ns: int | None) -> None:
        now_ns = self._now_ns()
        entry = self._queue.add(now_ns, weight, kind, key=key, wait_max_ns=wait_max_ns)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._futures[entry.number] = future
        self._serve_at(now_ns)  # of this very moment: a bound of 0 has not passed yet
        try:
            if not future.done() or self._waking > 1:
                await asyncio.wait((future,))
        finally:
            self._waking -= future.done()
            self._leave(entry)
            refusal = future.exception() if future.done() else None
        if refusal is not None:
            raise refusal

    def _leave(self, entry: Waiting) -> None:
        """Whoever waited goes on, or gave up: then it is the next one's turn."""
        self._queue.remove(entry)
        if self._futures.pop(entry.number, None) is not None:
            self._serve()

    def _serve(self) -> None:
        self._serve_at(self._now_ns())

    def _serve_at(self, now_ns: int) -> None:
        """Let go who may, refuse who would be late, and set the timer for the next."""
        gone, late = self._queue.serve(now_ns)
        for entry in gone:
            self._settle(entry, None)
        for entry, refusal in late:
            self._settle(entry, refusal)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_ns = self._queue.due_ns(now_ns)
        if due_ns is not None:
            # A float of seconds may lie just before the nanosecond: then it is looked at once more.
            when = max(due_ns, now_ns + 1) / NS_SECOND
            self._timer = asyncio.get_running_loop().call_at(when, self._serve)

    def _settle(self, entry: Waiting, refusal: Exception | None) -> None:
        future = self._futures.pop(entry.number)
        self._waking += 1
        if refusal is None:
            future.set_result(None)
        else:
            future.set_exception(refusal)


class Turn:
    """One request's turn, made by `Pacer.turn`."""

    def __init__(
        self, pacer: Pacer, weight: int, kind: Kind, key: object, wait_max_ns: int | None
    ) -> None:
        self._pacer = pacer
        self._terms = (weight, kind, key, wait_max_ns)

    async def __aenter__(self) -> None:
        await self._pacer._wait(*self._terms)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None
