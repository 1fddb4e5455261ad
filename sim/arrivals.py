"""Commands on their way to the exchange: when each arrives, and in which order.

A command sent at t arrives at t + entry latency, and not before one that was sent earlier; with
`when_closed="queue"` an order that would arrive at a closed market waits for its opening. Equal
arrivals: in order of sending. The broker and the replay of a recorded run both ask here, so that
they cannot differ.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np

from broker_api.calendar import SessionCalendar
from broker_api.config import SimulationConfig
from broker_api.instrument import Instrument
from broker_api.order import CancelRequest, Command, ReplaceRequest, requests_of
from data.tape import Tape
from sim.feed import NEVER_NS
from sim.latency import OneWay

_T = TypeVar("_T")


def entry_way(simulation: SimulationConfig) -> OneWay:
    """The way of a session's commands to the exchange; they count from 1."""
    return OneWay(simulation.entry_latency_ms, simulation.seed, "entry")


class Arrivals(Generic[_T]):
    """Commands under way, each with what its sender keeps beside it."""

    def __init__(
        self,
        simulation: SimulationConfig,
        instruments: Sequence[Instrument],
        calendars: Sequence[SessionCalendar],
        tapes: Sequence[Tape],
    ) -> None:
        self._entry = entry_way(simulation)
        self._waits_when_closed = simulation.when_closed == "queue"
        self._markets = {
            instrument.symbol: (calendar, tape)
            for instrument, calendar, tape in zip(instruments, calendars, tapes, strict=True)
        }
        self._heap: list[tuple[int, int, Command, _T]] = []
        self._sent = 0

    def arrival_ns(self, now_ns: int) -> int:
        """When a command arrives that leaves at `now_ns`; it counts as sent."""
        self._sent += 1
        return self._entry.arrival_ns(now_ns, self._sent)

    def send(self, now_ns: int, command: Command, beside: _T) -> None:
        """A command leaves at `now_ns`."""
        arrives_ns = self.arrival_ns(now_ns)
        heapq.heappush(self._heap, (arrives_ns, self._sent, command, beside))

    @property
    def steady_ns(self) -> int | None:
        """How long every command is under way, None where they differ."""
        return None if self._waits_when_closed else self._entry.steady_ns

    def next_ns(self) -> int:
        """When the next command arrives, NEVER_NS when none is under way."""
        return self._heap[0][0] if self._heap else NEVER_NS

    def take(self, now_ns: int) -> tuple[Command, _T] | None:
        """The next command that has arrived at `now_ns`, None when there is no further."""
        while self._heap and self._heap[0][0] <= now_ns:
            _, number, command, beside = heapq.heappop(self._heap)
            opens_ns = self._opening_awaited(command, now_ns)
            if opens_ns is None:
                return command, beside
            heapq.heappush(self._heap, (opens_ns, number, command, beside))
        return None

    def clear(self) -> list[_T]:
        """Forget what is under way; returns what was kept beside it, in order of arrival."""
        kept = [entry[3] for entry in sorted(self._heap, key=lambda entry: entry[:2])]
        self._heap.clear()
        return kept

    def _opening_awaited(self, command: Command, now_ns: int) -> int | None:
        """When an order that waits for a closed market's opening arrives; None: it does not."""
        if not self._waits_when_closed or isinstance(command, ReplaceRequest | CancelRequest):
            return None
        market = self._markets.get(requests_of(command)[0].instrument)
        if market is None or market[0].is_open(now_ns):
            return None
        opens_ns = market[0].next_open_ns(now_ns)
        return None if opens_ns is None else _first_row_ns(market[1], opens_ns)


def _first_row_ns(tape: Tape, from_ns: int) -> int | None:
    """The time of the first row at or after `from_ns`; before it the book is unknown."""
    ts = tape.columns.ts
    row = int(np.searchsorted(ts, from_ns, side="left"))
    return int(ts[row]) if row < len(ts) else None
