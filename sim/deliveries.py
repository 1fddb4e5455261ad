"""Events on their way to the session: when each arrives, and which answer it is.

What the exchange publishes at u arrives at u + response latency, and not before what was published
earlier. Commands on their way are in `arrivals`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any

from broker_api.broker import EventSink
from broker_api.config import SimulationConfig
from broker_api.event import EventRow, decode
from sim.feed import NEVER_NS
from sim.latency import OneWay

Answer = asyncio.Future[Any]
"""Who waits for the first event of a command."""


class Deliveries:
    """Events under way, in order; those that answer a command know who waits for them."""

    def __init__(self, simulation: SimulationConfig) -> None:
        self._response = OneWay(simulation.response_latency_ms, simulation.seed, "response")
        self._under_way: deque[tuple[int, EventRow, Answer | None]] = deque()
        self._answers_due: deque[int] = deque()
        self.steady_ns = self._response.steady_ns
        """How long every event is under way, None where they differ."""

    def __len__(self) -> int:
        """How many events are under way."""
        return len(self._under_way)

    @property
    def is_awaited(self) -> bool:
        """True while an answer that somebody waits for is under way."""
        return bool(self._answers_due)

    def send(self, rows: Iterable[EventRow], answer: Answer | None = None) -> None:
        """Events leave the exchange; `answer` waits for the first of them."""
        steady_ns = self.steady_ns
        for row in rows:
            if steady_ns is not None:  # what is published in order arrives in order
                due_ns = row.ts_ns + steady_ns
            else:
                due_ns = self._response.arrival_ns(row.ts_ns, row.seq)
            self._under_way.append((due_ns, row, answer))
            if answer is not None:
                self._answers_due.append(due_ns)
                answer = None

    def tell(self, row: EventRow, now_ns: int) -> None:
        """An event that was under way no time is due behind those that are."""
        self._under_way.append((now_ns, row, None))

    def first_ns(self) -> int:
        """When the next event arrives, NEVER_NS when none is under way."""
        return self._under_way[0][0] if self._under_way else NEVER_NS

    def answer_ns(self, end_ns: int) -> int:
        """When the next answer arrives that somebody waits for, NEVER_NS without one.

        What comes after `end_ns` is waited for with all that goes before it.
        """
        if self._under_way and self._under_way[-1][0] > end_ns:
            return self._under_way[0][0]
        return self._answers_due[0] if self._answers_due else NEVER_NS

    def deliver(self, now_ns: int, on_event: EventSink | None) -> None:
        """Tell of everything that has arrived at `now_ns`, in order."""
        under_way = self._under_way
        while under_way and under_way[0][0] <= now_ns:
            came_ns, row, answer = under_way.popleft()
            if on_event is not None:
                on_event(row, came_ns)
            if answer is not None:
                self._answers_due.popleft()
                if not answer.done():
                    answer.set_result(decode(row))
