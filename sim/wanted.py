"""What handlers want to see, and the calls that it makes: rows of a tape, or bars of them.

A subscription hands out its calls in parts, each up to a time, with what every call says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, repeat
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from broker_api.broker import RowSink
from broker_api.instrument import Instrument
from broker_api.order import Side
from broker_api.quote import Bar, Quote, Trade
from data.bars import bars_from_tape
from data.kept import are_tapes_kept, worked_out
from data.schema import Mask, RowKind, TapeColumns
from data.tape import Tape
from sim.feed import NEVER_NS, Feed
from sim.spoken import prices_of, prices_where, sizes_of

IntColumn = npt.NDArray[np.int64]
Selection = slice | IntColumn
ListIterator = Any
"""An iterator over a list; `__setstate__` moves it, `__length_hint__` tells what is left."""
Arguments = Callable[[Sequence[ListIterator]], tuple[Iterable[Any], ...]]
"""Iterators over a call's columns to what the handler is called with."""

BLOCK_ROWS = 16_384
BAR_BLOCK_ROWS = 262_144
_KEPT_BARS_MAX = 600_000
"""A year of minutes; 0.2 kB each."""
BEHIND_ROWS = (1 << 62) - 1
"""A place in the order of rows: what a bar says comes behind the rows of its last instant."""
_SIDES = {0: None, 1: Side.BUY, -1: Side.SELL}
_new_quote: Callable[[Iterable[Any]], Quote] = partial(tuple.__new__, Quote)
_new_trade: Callable[[Iterable[Any]], Trade] = partial(tuple.__new__, Trade)
_new_bar: Callable[[Iterable[Any]], Bar] = partial(tuple.__new__, Bar)


class Subscription(Protocol):
    """Who takes calls, and where it stands."""

    instrument: int
    sink: RowSink
    is_ahead: bool
    """True when its calls can be known before their time."""

    def show(self, tape: Tape) -> None:
        """Look at this tape from now on."""

    def next_ns(self) -> int:
        """When its next call may be due; NEVER_NS when none is."""

    def reach_ns(self) -> int:
        """Up to when one part goes at most."""

    def part(self, until_ns: int) -> Part:
        """The calls that are due before `until_ns` and in no part yet."""

    def rewind(self, key: int) -> None:
        """Go back to the call of this key: it has not been made, nor those behind it."""


@dataclass(frozen=True)
class Part:
    """One subscription's calls in a block: their keys, times, and what they say.

    Among calls of one time the smaller of `order` is first.
    """

    subscription: Subscription
    keys: IntColumn
    order: IntColumn
    due_ns: IntColumn
    columns: list[list[Any]]
    arguments: Arguments


class RowSubscription:
    """Quotes, trades or all ticks of one instrument; a call's key is its row."""

    def __init__(
        self, instrument: int, kind: str, sink: RowSink, spec: Instrument, tape: Tape, feed: Feed
    ) -> None:
        self.instrument = instrument
        self.sink = sink
        self._kind = kind
        self._spec = spec
        self._feed = feed
        self.show(tape)
        self._row = 0

    def show(self, tape: Tape) -> None:
        """Look at this tape from now on."""
        self._columns = tape.columns
        # Rows of bars are put in order while the run goes on: nothing of them is known ahead.
        self.is_ahead = not tape.bar_interval_ns

    def begin(self, now_ns: int) -> None:
        """Want what arrives after `now_ns`."""
        self._row = self._feed.row_at(now_ns) + 1

    def next_ns(self) -> int:
        """When the next row arrives."""
        return self._feed.row_due_ns(self._row)

    def reach_ns(self) -> int:
        """When the last row of a block has arrived."""
        return self._feed.row_due_ns(self._row + BLOCK_ROWS)

    def rewind(self, key: int) -> None:
        """Go on with this row."""
        self._row = key

    def part(self, until_ns: int) -> Part:
        """The calls for the next rows, those that arrive before `until_ns`."""
        columns, feed, first = self._columns, self._feed, self._row
        end = self._row = max(first, feed.row_at(until_ns - 1) + 1)
        if self._kind == "trade":
            chosen = columns.kind[first:end] == RowKind.TRADE
        elif self._kind == "quote":
            chosen = _quote_changed(columns, first, end)
        else:
            chosen = columns.kind[first:end] < RowKind.OPEN
        rows = np.flatnonzero(chosen) + first
        selected: Selection = slice(first, end) if len(rows) == end - first else rows
        due_ns = feed.rows_due_ns(first, end)[slice(None) if len(rows) == end - first else chosen]
        values, arguments = self._says(selected)
        return Part(self, rows, rows, due_ns, values, arguments)

    def _says(self, rows: Selection) -> tuple[list[list[Any]], Arguments]:
        if self._kind == "trade":
            return _trades(self._spec, self._columns, rows)
        if self._kind == "quote":
            return _quotes(self._spec, self._columns, rows)
        fields = self.sink.fields
        return [_FIELDS[name](self._spec, self._columns, rows) for name in fields], tuple


class BarSubscription:
    """Bars of one instrument and interval; a call's key is its bar's start.

    `recorded` is the tape as it was given, where `tape` is a run's own.
    """

    def __init__(
        self, instrument: int, interval_ns: int, sink: RowSink, spec: Instrument, tape: Tape,
        feed: Feed, recorded: Tape,
    ) -> None:  # fmt: skip
        self.instrument = instrument
        self.sink = sink
        self._recorded = recorded
        self._interval_ns = interval_ns
        self._spec = spec
        self._feed = feed
        self._start_ns = self._known = 0
        self.show(tape)

    def show(self, tape: Tape) -> None:
        """Look at this tape from now on; rows behind those of the one before go on with its bar."""
        self._tape = tape
        ts, known = tape.columns.ts, self._known
        if 0 < known < len(ts):
            self._start_ns = min(
                self._start_ns, int(ts[known] // self._interval_ns * self._interval_ns)
            )
        self._known = len(ts)
        # Whole bars of a tape of bars say the same whatever path the price took inside them.
        length_ns = tape.bar_interval_ns
        self.is_ahead = not length_ns or self._interval_ns % length_ns == 0

    def begin(self, now_ns: int) -> None:
        """Want the bars that complete after `now_ns`."""
        self._start_ns = self._feed.seen_ns(now_ns) // self._interval_ns * self._interval_ns

    def next_ns(self) -> int:
        """When the next bar with a row in it is complete."""
        ts = self._tape.columns.ts
        row = int(np.searchsorted(ts, self._start_ns, side="left"))
        if row >= len(ts):
            return NEVER_NS
        end_ns = (int(ts[row]) // self._interval_ns + 1) * self._interval_ns
        return self._feed.time_due_ns(end_ns)

    def reach_ns(self) -> int:
        """When the bars of a block of rows are complete, at least one."""
        ts = self._tape.columns.ts
        row = int(np.searchsorted(ts, self._start_ns, side="left")) + BAR_BLOCK_ROWS
        if row >= len(ts):
            return NEVER_NS
        return max(self._feed.row_due_ns(row), self.next_ns() + 1)

    def rewind(self, key: int) -> None:
        """Go on with the bar that starts then."""
        self._start_ns = key

    def part(self, until_ns: int) -> Part:
        """The next bars, those whose end is seen before `until_ns`."""
        length_ns, ts = self._interval_ns, self._tape.columns.ts
        last_end_ns = (int(ts[-1]) // length_ns + 1) * length_ns
        end_ns = last_end_ns
        if self._feed.time_due_ns(last_end_ns) >= until_ns:
            end_ns = min(end_ns, self._feed.seen_ns(until_ns - 1) // length_ns * length_ns)
        end_ns = max(end_ns, self._start_ns)
        start_ns, self._start_ns = self._start_ns, end_ns
        kept = self._kept_bars()
        if kept is None:
            starts, values = self._read(start_ns, end_ns)
            arguments: Arguments = self._arguments
        else:
            first, last = np.searchsorted(kept[0], (start_ns, end_ns))
            starts, values = kept[0][first:last], [kept[1][first:last]]
            arguments = tuple
        due_ns = self._feed.times_due_ns(starts + length_ns)
        order = np.full(len(starts), BEHIND_ROWS)
        return Part(self, starts, order, due_ns, values, arguments)

    def _read(self, start_ns: int, end_ns: int) -> tuple[IntColumn, list[list[Any]]]:
        """The starts of the bars between two times, and what bars say by columns."""
        found = bars_from_tape(self._tape, self._interval_ns, start_ns, end_ns)
        prices = (found.open, found.high, found.low, found.close)
        values = [
            found.ts.tolist(),
            *(prices_of(self._spec, ticks) for ticks in prices),
            sizes_of(self._spec, found.volume),
        ]
        return found.ts, values

    def _arguments(self, iterators: Sequence[ListIterator]) -> tuple[Iterable[Any], ...]:
        start, *prices = iterators
        return (
            map(
                _new_bar, zip(repeat(self._spec.symbol), start, repeat(self._interval_ns), *prices)
            ),
        )

    def _kept_bars(self) -> tuple[IntColumn, list[Bar]] | None:
        """All bars of the tape and their starts, made for this run and those to come.

        None where no run is to come, or where they are too many, or not known ahead.
        """
        if not (are_tapes_kept() and self.is_ahead and len(self._recorded) == len(self._tape)):
            return None
        what = ("bars told", self._interval_ns, self._spec)
        return worked_out(self._recorded.columns, what, self._all_bars)

    def _all_bars(self) -> tuple[IntColumn, list[Bar]] | None:
        length_ns, ts = self._interval_ns, self._tape.columns.ts
        bounds = ts[::BAR_BLOCK_ROWS] // length_ns * length_ns
        end_ns = (int(ts[-1]) // length_ns + 1) * length_ns
        if min(len(ts), (end_ns - int(bounds[0])) // length_ns) > _KEPT_BARS_MAX:
            return None
        starts, bars = list[IntColumn](), list[Bar]()
        for first_ns, last_ns in pairwise([*dict.fromkeys(bounds.tolist()), end_ns]):
            some, values = self._read(first_ns, last_ns)
            starts.append(some)
            bars += next(iter(self._arguments([iter(column) for column in values])))
        return np.concatenate(starts), bars


def _trades(
    spec: Instrument, columns: TapeColumns, rows: Selection
) -> tuple[list[list[Any]], Arguments]:
    values = [
        columns.ts[rows].tolist(),
        prices_of(spec, columns.px[rows]),
        sizes_of(spec, columns.qty[rows]),
        [_SIDES[side] for side in columns.side[rows].tolist()],
    ]
    return values, _items(spec.symbol, _new_trade)


def _quotes(
    spec: Instrument, columns: TapeColumns, rows: Selection
) -> tuple[list[list[Any]], Arguments]:
    bid_lots, ask_lots = columns.bid_qty[rows], columns.ask_qty[rows]
    values = [
        columns.ts[rows].tolist(),
        prices_where(spec, columns.bid[rows], bid_lots != 0, None),
        prices_where(spec, columns.ask[rows], ask_lots != 0, None),
        sizes_of(spec, bid_lots),
        sizes_of(spec, ask_lots),
    ]
    return values, _items(spec.symbol, _new_quote)


def _items(symbol: str, make: Callable[[Iterable[Any]], Any]) -> Arguments:
    """Quotes or trades, made one by one as the iterators go on: kept, they would burden memory."""

    def arguments(iterators: Sequence[ListIterator]) -> tuple[Iterable[Any], ...]:
        return (map(make, zip(repeat(symbol), *iterators)),)

    return arguments


def _quote_changed(columns: TapeColumns, first: int, end: int) -> Mask:
    """Where a row's BBO differs from that of the row before it."""
    changed = np.zeros(end - first, dtype=np.bool_)
    if end > first:
        for column in (columns.bid, columns.ask, columns.bid_qty, columns.ask_qty):
            before = column[max(0, first - 1) : end - 1]
            changed[len(changed) - len(before) :] |= column[end - len(before) : end] != before
        changed[0] |= first == 0
    return changed


def _bid(spec: Instrument, columns: TapeColumns, rows: Selection) -> list[float]:
    return prices_where(spec, columns.bid[rows], columns.bid_qty[rows] != 0, math.nan)


def _ask(spec: Instrument, columns: TapeColumns, rows: Selection) -> list[float]:
    return prices_where(spec, columns.ask[rows], columns.ask_qty[rows] != 0, math.nan)


def _price(spec: Instrument, columns: TapeColumns, rows: Selection) -> list[float]:
    return prices_where(spec, columns.px[rows], columns.kind[rows] == RowKind.TRADE, math.nan)


_FIELDS: dict[str, Callable[[Instrument, TapeColumns, Selection], list[Any]]] = {
    "ts_ns": lambda spec, columns, rows: columns.ts[rows].tolist(),
    "bid": _bid,
    "ask": _ask,
    "bid_size": lambda spec, columns, rows: sizes_of(spec, columns.bid_qty[rows]),
    "ask_size": lambda spec, columns, rows: sizes_of(spec, columns.ask_qty[rows]),
    "price": _price,
    "size": lambda spec, columns, rows: sizes_of(spec, columns.qty[rows]),
    "side": lambda spec, columns, rows: columns.side[rows].tolist(),
}
"""What a handler of ticks may name, see `MarketData.on_tick`."""
