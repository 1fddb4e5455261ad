"""A compiled strategy's run: Python around the compiled loop, in the place of the broker's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_api.compiled_run import RunBooks
from broker_api.config import SimulationConfig
from broker_api.errors import (
    ConfigurationError,
    InvalidOrderError,
    InvalidPriceError,
    InvalidSizeError,
    OrderNotFoundError,
    RunawayStrategy,
    StrategyError,
    TradingError,
)
from broker_api.event import EVENT_ROW, EventRow, Reason
from broker_api.instrument import MAX_TICKS
from broker_api.latency import to_ns
from broker_api.order import Command
from broker_api.refusals import not_active, refusal
from data.bars import bars_from_tape
from data.kept import worked_out
from data.tape import Tape
from sim import strategy, strategy_bars, strategy_loop
from sim.book import COMMAND, is_compiled
from sim.compiled import CompiledStrategy
from sim.exchange import Exchange
from sim.strategy_door import play_strategy
from sim.strategy_log import IntTable, PlayedLog, command_of

_known_doors: set[tuple[Any, ...]] = set()
"""Loops with the kinds of the arguments that they were called with in this process."""

_LOG_ROWS = 1 << 16
_NEWS_ROWS = 1 << 16


def check_settings(simulation: SimulationConfig, tape: Tape, bar_ns: int | None) -> None:
    """Raise ConfigurationError for a setting under which a compiled run would be another run."""
    for name in ("entry_latency_ms", "response_latency_ms", "feed_latency_ms"):
        if not isinstance(getattr(simulation, name), int | float):
            raise ConfigurationError(
                f"simulation.{name}: a compiled strategy needs a constant latency, not a drawn or "
                "measured one"
            )
    if simulation.when_closed != "reject":
        raise ConfigurationError(
            f"simulation.when_closed: {simulation.when_closed!r} is not for a compiled strategy; "
            'it needs "reject"'
        )
    length_ns = tape.bar_interval_ns
    if length_ns and bar_ns is None:
        raise ConfigurationError(
            "this tape is made of bars: say how long the bars are that the strategy is told, "
            'run_compiled(..., bars="1min")'
        )
    if length_ns and bar_ns is not None and bar_ns % length_ns:
        raise ConfigurationError(
            f"bars: {bar_ns} ns are not a whole number of the tape's bars of {length_ns} ns"
        )


def bar_table(tape: Tape, bar_ns: int, feed_ns: int, now_ns: int, end_ns: int) -> IntTable:
    """The bars that complete after `now_ns` and up to `end_ns`, see `strategy_bars.BAR_FIELDS`."""
    first_ns = (now_ns - feed_ns) // bar_ns * bar_ns
    last_ns = min((int(tape.columns.ts[-1]) // bar_ns + 1) * bar_ns, end_ns - feed_ns)
    found = bars_from_tape(tape, bar_ns, first_ns, max(first_ns, last_ns // bar_ns * bar_ns))
    ends = found.ts + bar_ns
    prices = (found.open, found.high, found.low, found.close)
    return np.column_stack((ends + feed_ns, ends, found.ts, *prices, found.volume))


class CompiledRun:
    """One run of a strategy; `advance` is called in the place of the broker's own."""

    def __init__(
        self,
        exchange: Exchange,
        simulation: SimulationConfig,
        played: CompiledStrategy,
        parameters: Mapping[str, Any],
        end_ns: int,
        books: RunBooks,
        bar_ns: int | None,
    ) -> None:
        check_settings(simulation, exchange.tapes[0], bar_ns)
        self._bar_ns = bar_ns
        self._exchange = exchange
        self._books = books
        self._strategy = played
        self._records = played.records(parameters)
        self._call = played.call()
        self._book, self._tape, self._events = exchange.kernel_state
        self._ts = exchange.tapes[0].columns.ts
        self._commands = np.zeros(1, dtype=COMMAND)
        self._entry_ns, self._response_ns, self._feed_ns = (
            to_ns(getattr(simulation, f"{way}_latency_ms")) for way in ("entry", "response", "feed")
        )
        ways = (self._entry_ns, self._response_ns, self._feed_ns)
        self._latency = np.array(ways, dtype=np.int64)
        layout: Any = strategy.CONTEXT
        if not is_compiled():  # plain Python reads fields of records only
            layout = np.dtype((np.record, strategy.CONTEXT))
        self._contexts = np.zeros(1, dtype=layout)
        self._context = self._contexts[0]
        self._log = np.zeros((_LOG_ROWS, strategy_loop.LOG_WIDTH), dtype=np.int64)
        self._news = np.zeros((_NEWS_ROWS, strategy_loop.NEWS_WIDTH), dtype=np.int64)
        self._kept = 0
        self._end_ns = end_ns
        self._begun = False
        self._failure: Exception | None = None
        last_ns = min(end_ns, exchange.end_ns) - self._feed_ns
        last = int(np.searchsorted(self._ts, last_ns, side="right")) - 1
        self._door: Any = strategy_loop.play
        self._told: tuple[Any, ...] = (last,)
        self.played = PlayedLog(books, self._response_ns)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def _begin(self) -> None:
        """Nothing of the session is under way: the strategy knows what the session knows."""
        context, books, now_ns = self._context, self._books, self._exchange.now_ns
        told = int(np.searchsorted(self._ts, now_ns - self._feed_ns, side="right"))
        context["told"] = told
        context["seen"] = context["hit"] = -1
        context["turns"] = bool(self._exchange.tapes[0].bar_interval_ns)
        if self._bar_ns is not None:
            tape, paths = self._exchange.tapes[0], self._exchange.bar_paths
            end_ns = min(self._end_ns, self._exchange.end_ns)
            lengths = (self._bar_ns, self._feed_ns, now_ns, end_ns)
            bars = worked_out(tape.columns, lengths, lambda: bar_table(tape, *lengths))
            self._door, self._told = strategy_bars.play_bars, (bars, paths)
        context["next_id"] = 1
        for known in books.working():
            strategy_loop.note_known(self._contexts, np.array(known, dtype=np.int64))
        context["position"] = books.position_lots()
        context["entries_max"] = books.entries_max
        context["next_id"] = books.last_id + 1
        self._begun = True

    def advance(self, deadline_ns: int | None) -> int:
        """Run to a time, or to the run's end, whichever is first; returns when that was."""
        if not self._begun:
            self._begin()
        exchange = self._exchange
        stop_ns = self._end_ns if deadline_ns is None else min(deadline_ns, self._end_ns)
        while True:
            break_ns = exchange.next_break_ns
            if not self._play(min(stop_ns + 1, break_ns)):
                stop_ns = int(self._context["ts_ns"]) + self._feed_ns
                self._finish()
                break
            if break_ns > stop_ns:
                break
            self._publish(exchange.advance_to(break_ns))
        self._publish(exchange.advance_to(stop_ns))
        if stop_ns == self._end_ns:
            self._finish()
        return stop_ns

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def check(self) -> None:
        """Raise what ended the run before its time, if anything did."""
        if self._failure is not None:
            raise StrategyError(f"{self._strategy.name}: {self._failure}") from self._failure
        if self._context["refused"]:
            raise self._refusal()

    def _play(self, bound_ns: int) -> bool:
        """The compiled loop up to a time; False when the strategy's call has ended the run."""
        while True:
            try:
                code = _enter(
                    self._door,
                    self._call,
                    self._records,
                    self._book,
                    self._tape,
                    self._events,
                    self._commands,
                    self._contexts,
                    self._news,
                    self._log,
                    self._latency,
                    *self._told,
                    bound_ns,
                )
            except Exception as failure:
                now_ns = int(self._context["ts_ns"]) + self._feed_ns
                strategy_loop.keep_all_sent(self._contexts, self._log, now_ns)
                self._failure = failure
                return False
            finally:
                self._keep()
            if code in (strategy_loop.DONE, strategy_loop.REFUSED):
                return bool(code == strategy_loop.DONE)
            if code == strategy_loop.MARGIN:
                self._publish(self._exchange.look_at_margin())
            self._make_room()

    def _keep(self) -> None:
        """Take over what the loop wrote."""
        sent = int(self._context["sent"])
        self.played.add_events(self._exchange.take_events())
        self.played.add_commands(self._log[self._kept : sent].copy())
        self._kept = sent
        self._books.last_id = max(self._books.last_id, int(self._context["next_id"]) - 1)

    def _publish(self, rows: list[EventRow]) -> None:
        """What the exchange published outside of the loop, for the log and the strategy."""
        self._context["hit"] = -1  # rows went by, and it may be others that concern orders now
        if rows:
            events = np.array(rows, dtype=np.int64).reshape(-1).view(EVENT_ROW)
            self._make_room(len(rows))
            strategy_loop.note_published(
                self._contexts, self._news, events, len(rows), self._response_ns
            )
            self.played.add_events(events)

    def _make_room(self, events: int = 0) -> None:
        """Room for the commands of an instant, and for the news of a transaction or `events`."""
        context = self._context
        arrived, sent = int(context["arrived"]), int(context["sent"])
        if sent + strategy.AT_ONCE_MAX > len(self._log):
            self._log = _moved(self._log, arrived, sent)
            context["arrived"], context["sent"] = 0, sent - arrived
            self._kept -= arrived
        start, end = int(context["news_from"]), int(context["news_to"])
        if end + max(events, strategy_loop.EVENTS_AT_ONCE) > len(self._news):
            self._news = _moved(self._news, start, end, events)
            context["news_from"], context["news_to"] = 0, end - start

    # --- the end --------------------------------------------------------------------------------

    def under_way(self) -> list[tuple[int, Command]]:
        """Commands that have not arrived, with when they were sent."""
        rows = self._log[int(self._context["arrived"]) : int(self._context["sent"])].tolist()
        return [(row[strategy_loop.LOG_SENT], command_of(row, self._books)) for row in rows]

    def _refusal(self) -> TradingError:
        """What the session refused, as the other tiers raise it."""
        context, books = self._context, self._books
        why, order_id = int(context["refused"]), int(context["refused_id"])
        value = int(context["refused_value"])
        if why in strategy.NEW_ORDER_REFUSALS:
            books.deny()
        if why == strategy.REFUSED_COUNT:
            return refusal(Reason.TOO_MANY_ORDERS, books.spec, value, books.entries_max)
        if why == strategy.REFUSED_ENDED:
            record = books.order(order_id)
            if record is not None:
                return not_active(record.view())
        return _REFUSALS[why](order_id, value)


def _enter(door: Any, call: Any, records: npt.NDArray[Any], *arguments: Any) -> int:
    """As `play_strategy`, which asks Numba for the type of every argument each time.

    That costs as much as playing a hundred thousand rows. Where the very same kinds of arrays came
    by before, the loop is compiled for them.
    """
    kinds = (door, *map(_kind, arguments))
    if kinds in _known_doors and is_compiled():
        return int(door(call, records.ctypes.data, *arguments))
    code = play_strategy(door, call, records, *arguments)
    _known_doors.add(kinds)
    return code


def _kind(value: Any) -> Any:
    """What decides an argument's type in compiled code."""
    if isinstance(value, np.ndarray):
        return value.dtype, value.ndim, value.flags.num
    if isinstance(value, tuple):
        return type(value), *map(_kind, value)
    return type(value)


def _moved(table: npt.NDArray[np.int64], start: int, end: int, more: int = 0) -> Any:
    """The rows that are still wanted at the start of a table with as much room again."""
    room = max(len(table), 2 * (end - start), 2 * (end - start + more))
    if end - start > len(table) // 2:
        room *= 2
    grown = np.zeros((room, table.shape[1]), dtype=np.int64)
    grown[: end - start] = table[start:end]
    return grown


_REFUSALS: dict[int, Callable[[int, int], TradingError]] = {
    int(strategy.REFUSED_SIDE): lambda _, value: InvalidOrderError(
        f"side {value} is not a side (0 is buy, 1 is sell)"
    ),
    int(strategy.REFUSED_SIZE): lambda _, value: InvalidSizeError(
        f"size of {value:,} lots is beyond {MAX_TICKS:,}"
    ),
    int(strategy.REFUSED_PRICE): lambda _, value: InvalidPriceError(
        f"price of {value:,} ticks is beyond {MAX_TICKS:,}"
    ),
    int(strategy.REFUSED_UNKNOWN): lambda order_id, _: OrderNotFoundError(
        f"order {order_id} is not of this session, or one of long ago",
        reason=Reason.UNKNOWN_ORDER,
    ),
    int(strategy.REFUSED_ENDED): lambda order_id, _: OrderNotFoundError(
        f"order {order_id} has ended", reason=Reason.ORDER_NOT_ACTIVE
    ),
    int(strategy.REFUSED_NO_LIMIT): lambda order_id, _: InvalidOrderError(
        f"order {order_id} has no limit price", reason=Reason.NOT_MODIFIABLE
    ),
    int(strategy.REFUSED_NO_STOP): lambda order_id, _: InvalidOrderError(
        f"order {order_id} has no stop price", reason=Reason.NOT_MODIFIABLE
    ),
    int(strategy.REFUSED_RUNAWAY): lambda _, value: RunawayStrategy(
        f"more than {value} commands at one instant of session time"
    ),
    int(strategy.REFUSED_NO_EXIT): lambda *_: InvalidOrderError(
        "a bracket needs a stop or a target"
    ),
    int(strategy.REFUSED_OFFSET): lambda _, value: InvalidPriceError(
        f"offset of {value:,} ticks is not between 0 and {MAX_TICKS:,}"
    ),
    int(strategy.REFUSED_CROWDED): lambda order_id, _: StrategyError(
        f"order {order_id}: {strategy.KNOWN_MAX:,} orders work already"
    ),
}
