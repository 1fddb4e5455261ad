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
from broker_api.event import Reason
from broker_api.instrument import MAX_TICKS
from broker_api.order import Command
from broker_api.refusals import not_active, refusal
from data.bars import bars_from_tape
from data.kept import worked_out
from data.tape import Tape
from sim import strategy, strategy_bars, strategy_loop
from sim.book import is_compiled
from sim.compiled import CompiledStrategy
from sim.exchange import Exchange
from sim.strategy_door import play_strategy
from sim.strategy_log import IntTable
from sim.strategy_traffic import LATENCY_WAYS, Traffic, constant_ns

_known_doors: set[tuple[Any, ...]] = set()
"""Loops with the kinds of the arguments that they were called with in this process."""


def check_settings(simulation: SimulationConfig, tape: Tape, bar_ns: int | None) -> None:
    """Raise ConfigurationError for a setting under which a compiled run would be another run."""
    constant = constant_ns(simulation)
    for way in LATENCY_WAYS:
        if way not in constant:
            raise ConfigurationError(
                f"simulation.{way}_latency_ms: a compiled strategy needs a constant latency, not a "
                "drawn or measured one"
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
    columns = (found.ts, found.open, found.high, found.low, found.close, found.volume)
    table = np.empty((len(found.ts), len(strategy_bars.BAR_FIELDS)), dtype=np.int64)
    np.add(found.ts, bar_ns + feed_ns, out=table[:, strategy_bars.BAR_DUE])
    np.add(found.ts, bar_ns, out=table[:, strategy_bars.BAR_END])
    for place, column in enumerate(columns, int(strategy_bars.BAR_START)):
        table[:, place] = column
    return table


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
        if not isinstance(played, CompiledStrategy):
            raise ConfigurationError(
                f"{played!r} is no compiled strategy; papertape.compiled.strategy makes one"
            )
        check_settings(simulation, exchange.tapes[0], bar_ns)
        self._bar_ns = bar_ns
        self._exchange = exchange
        self._books = books
        self._strategy = played
        self._records = played.records(parameters)
        self._call = played.call()
        self._ts = exchange.tapes[0].columns.ts
        self._traffic = traffic = Traffic(exchange, simulation, books)
        self._context = traffic.context
        self._feed_ns = traffic.feed_ns
        self._end_ns = end_ns
        self._begun = False
        self._failure: Exception | None = None
        last_ns = min(end_ns, exchange.end_ns) - self._feed_ns
        last = int(np.searchsorted(self._ts, last_ns, side="right")) - 1
        self._door: Any = strategy_loop.play
        self._told: tuple[Any, ...] = (last,)
        self.played = traffic.played
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def _begin(self) -> None:
        """Nothing of the session is under way: the strategy knows what the session knows."""
        self._traffic.begin()
        if self._bar_ns is not None:
            tape, paths = self._exchange.recorded[0], self._exchange.bar_paths
            end_ns = min(self._end_ns, self._exchange.end_ns)
            lengths = (self._bar_ns, self._feed_ns, self._exchange.now_ns, end_ns)
            bars = worked_out(tape.columns, lengths, lambda: bar_table(tape, *lengths))
            self._door, self._told = strategy_bars.play_bars, (bars, paths)
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
            self._traffic.publish(exchange.advance_to(break_ns))
        self._traffic.publish(exchange.advance_to(stop_ns))
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
                    *self._traffic.arguments,
                    *self._told,
                    bound_ns,
                )
            except Exception as failure:
                now_ns = int(self._context["ts_ns"]) + self._feed_ns
                strategy_loop.keep_all_sent(self._traffic.contexts, self._traffic.log, now_ns)
                self._failure = failure
                return False
            finally:
                self._traffic.keep()
            if code in (strategy_loop.DONE, strategy_loop.REFUSED):
                return bool(code == strategy_loop.DONE)
            if code == strategy_loop.MARGIN:
                self._traffic.publish(self._exchange.look_at_margin())
            self._traffic.make_room()

    # --- the end --------------------------------------------------------------------------------

    def under_way(self) -> list[tuple[int, Command]]:
        """Commands that have not arrived, with when they were sent."""
        return self._traffic.under_way()

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
