"""A market for the loop's tests: a list of times at which something happens, and an end."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Any

from sim.virtual_loop import VirtualLoop

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000


class ScriptedMarket:
    """A Driver: `happen` puts something on the tape, `ask` answers with latency."""

    def __init__(self, loop: VirtualLoop, *, end_ms: int = 10_000, latency_ms: int = 1) -> None:
        self.loop = loop
        self.end_ns = START_NS + end_ms * MS
        self.latency_ns = latency_ms * MS
        self.closings = 0
        self._numbers = 0
        self._happenings: list[tuple[int, int, bool, Callable[[], object]]] = []

    def happen(self, at_ms: int, callback: Callable[[], object]) -> None:
        """Deliver to `callback` at this time of the tape."""
        self._push(START_NS + at_ms * MS, False, callback)

    async def ask(self) -> int:
        """A command: answered one latency later, with the time of the answer."""
        future: asyncio.Future[int] = self.loop.create_future()
        at_ns = self.loop.now_ns + self.latency_ns
        self._push(at_ns, True, lambda: future.done() or future.set_result(at_ns - START_NS))
        return await future

    def _push(self, at_ns: int, is_answer: bool, callback: Callable[[], object]) -> None:
        self._numbers += 1
        heapq.heappush(self._happenings, (at_ns, self._numbers, is_answer, callback))

    def advance(self, deadline_ns: int | None) -> int | None:
        while self._happenings:
            at_ns, _, is_answer, callback = self._happenings[0]
            if deadline_ns is not None and at_ns > deadline_ns:
                break
            if at_ns > self.end_ns and not is_answer:
                break
            heapq.heappop(self._happenings)
            self.loop.call_soon(callback)
            return at_ns
        if deadline_ns is not None and deadline_ns <= self.end_ns:
            return deadline_ns
        return None

    def close_market(self) -> None:
        self.closings += 1


def open_market(**options: Any) -> ScriptedMarket:
    """A market attached to the running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    market = ScriptedMarket(loop, **options)
    loop.attach(market, START_NS)
    return market
