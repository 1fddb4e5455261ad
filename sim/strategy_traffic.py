"""What passes between a strategy and the exchange while Python stands aside, kept as arrays.

Commands in the order in which they were sent, events on their way back, and what the strategy may
know of its orders. The compiled loops work on these; whoever runs one holds a `Traffic`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from broker_api.compiled_run import RunBooks
from broker_api.config import SimulationConfig
from broker_api.event import EVENT_ROW, EventRow
from broker_api.latency import to_ns
from broker_api.order import Command
from sim import doors, strategy, strategy_loop
from sim.book import COMMAND, is_compiled
from sim.exchange import Exchange
from sim.strategy_log import PlayedLog, command_of

_LOG_ROWS = 1 << 16
_NEWS_ROWS = 1 << 16


def constant_ns(simulation: SimulationConfig) -> dict[str, int]:
    """The latencies by way, those that are constant."""
    given = {way: getattr(simulation, f"{way}_latency_ms") for way in LATENCY_WAYS}
    return {way: to_ns(value) for way, value in given.items() if isinstance(value, int | float)}


LATENCY_WAYS = ("entry", "response", "feed")


class Traffic:
    """Commands and events of one run of a strategy in a session of one instrument."""

    def __init__(self, exchange: Exchange, simulation: SimulationConfig, books: RunBooks) -> None:
        self._exchange = exchange
        self._books = books
        ways = constant_ns(simulation)
        self.entry_ns, self.response_ns, self.feed_ns = (ways[way] for way in LATENCY_WAYS)
        self._latency = np.array([ways[way] for way in LATENCY_WAYS], dtype=np.int64)
        self._commands = np.zeros(1, dtype=COMMAND)
        layout: Any = strategy.CONTEXT
        if not is_compiled():  # plain Python reads fields of records only
            layout = np.dtype((np.record, strategy.CONTEXT))
        self.contexts = np.zeros(1, dtype=layout)
        self.context = self.contexts[0]
        # Of both tables only what was written is ever read.
        self.log = np.empty((_LOG_ROWS, strategy_loop.LOG_WIDTH), dtype=np.int64)
        self._news = np.empty((_NEWS_ROWS, strategy_loop.NEWS_WIDTH), dtype=np.int64)
        self._kept = 0
        self.played = PlayedLog(books, self.response_ns)

    def begin(self) -> None:
        """Nothing of the session is under way: the strategy knows what the session knows."""
        context, books, now_ns = self.context, self._books, self._exchange.now_ns
        tape = self._exchange.tapes[0]
        told = int(np.searchsorted(tape.columns.ts, now_ns - self.feed_ns, side="right"))
        context["told"] = told
        context["seen"] = context["hit"] = -1
        context["turns"] = bool(tape.bar_interval_ns)
        context["next_id"] = 1
        for known in books.working():
            doors.note_known(self.contexts, np.array(known, dtype=np.int64))
        context["position"] = books.position_lots()
        context["entries_max"] = books.entries_max
        context["next_id"] = books.last_id + 1
        # A market that is closed when the session begins has said so, and that comes first.
        self.publish(self._exchange.advance_to(self._exchange.now_ns))

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What the compiled loops take first."""
        book, tape, events = self._exchange.kernel_state
        state = (book, tape, events, self._commands, self.contexts)
        return (*state, self._news, self.log, self._latency)

    def keep(self) -> None:
        """Take over what the loop wrote."""
        sent = int(self.context["sent"])
        self.played.add_events(self._exchange.take_events())
        self.played.add_commands(self.log[self._kept : sent].copy())
        self._kept = sent
        self._books.last_id = max(self._books.last_id, int(self.context["next_id"]) - 1)

    def publish(self, rows: list[EventRow]) -> None:
        """What the exchange published outside of the loop, for the log and the strategy."""
        self.context["hit"] = -1  # rows went by, and it may be others that concern orders now
        if rows:
            events = np.array(rows, dtype=np.int64).reshape(-1).view(EVENT_ROW)
            self.make_room(len(rows))
            doors.note_published(self.contexts, self._news, events, len(rows), self.response_ns)
            self.played.add_events(events)

    def make_room(self, events: int = 0) -> None:
        """Room for the commands of an instant, and for the news of a transaction or `events`."""
        context = self.context
        arrived, sent = int(context["arrived"]), int(context["sent"])
        if sent + strategy.AT_ONCE_MAX > len(self.log):
            self.log = _moved(self.log, arrived, sent)
            context["arrived"], context["sent"] = 0, sent - arrived
            self._kept -= arrived
        start, end = int(context["news_from"]), int(context["news_to"])
        if end + max(events, strategy_loop.EVENTS_AT_ONCE) > len(self._news):
            self._news = _moved(self._news, start, end, events)
            context["news_from"], context["news_to"] = 0, end - start

    def under_way(self) -> list[tuple[int, Command]]:
        """Commands that have not arrived, with when they were sent."""
        rows = self.log[int(self.context["arrived"]) : int(self.context["sent"])].tolist()
        return [(row[strategy_loop.LOG_SENT], command_of(row, self._books)) for row in rows]


def _moved(table: npt.NDArray[np.int64], start: int, end: int, more: int = 0) -> Any:
    """The rows that are still wanted at the start of a table with as much room again."""
    room = max(len(table), 2 * (end - start), 2 * (end - start + more))
    if end - start > len(table) // 2:
        room *= 2
    grown = np.empty((room, table.shape[1]), dtype=np.int64)
    grown[: end - start] = table[start:end]
    return grown
