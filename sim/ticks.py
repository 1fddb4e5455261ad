"""Rows of the tape on their way to handlers: one at a time, or a stretch of them at once.

A strategy that looks at every tick must not pay for an event loop at each. While nothing can happen
but rows (no command arrives, no event, timer or bar is due), plain handlers are called for one row
after the other in a loop that runs in C: a *stretch*. The session's clock tells each row's own time
meanwhile. As soon as a handler acts (sends a command, starts a task, sets a timer) the stretch ends
with the rows of that instant, and the loop takes over. What rows say is made ready in blocks, which
a stretch enters and leaves anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_api.broker import RowSink
from broker_api.instrument import Instrument
from broker_api.order import Side
from broker_api.quote import Quote, Trade
from data.schema import Mask, RowKind, TapeColumns
from data.tape import Tape
from sim.feed import NEVER_NS, Feed

IntColumn = npt.NDArray[np.int64]
Selection = slice | IntColumn
ListIterator = Any
"""An iterator over a list; `__setstate__` moves it, `__length_hint__` tells what is left."""
Arguments = Callable[[Sequence[ListIterator]], tuple[Iterable[Any], ...]]
"""Iterators over a call's columns to what the handler is called with."""

BLOCK_ROWS = 16_384
_SIDES = {0: None, 1: Side.BUY, -1: Side.SELL}
_new_quote: Callable[[Iterable[Any]], Quote] = partial(tuple.__new__, Quote)
_new_trade: Callable[[Iterable[Any]], Trade] = partial(tuple.__new__, Trade)


@dataclass(eq=False)
class _Subscription:
    """Rows of one instrument for one sink; `row` is the first that is in no block yet."""

    instrument: int
    kind: str
    sink: RowSink
    row: int


@dataclass(frozen=True)
class _Part:
    """One subscription's calls in a block: their rows, their times, and what they say."""

    subscription: _Subscription
    rows: IntColumn
    due_ns: IntColumn
    columns: list[list[Any]]
    arguments: Arguments


@dataclass
class _Block:
    """Calls in the order of delivery; those before `position` have been made.

    `place_of` tells of each call which part it is of, None when there is only one.
    """

    parts: list[_Part]
    due_ns: IntColumn
    columns: list[list[Any]]
    place_of: IntColumn | None
    position: int = 0

    def sink_at(self, position: int) -> RowSink:
        """Who takes the call at a position."""
        place = 0 if self.place_of is None else int(self.place_of[position])
        return self.parts[place].subscription.sink

    def first_row_left(self, place: int) -> int | None:
        """The first row of a part whose call has not been made, None when all have."""
        done = self.position
        if self.place_of is not None:
            done = int(np.count_nonzero(self.place_of[: self.position] == place))
        rows = self.parts[place].rows
        return int(rows[done]) if done < len(rows) else None


class Stretch:
    """The calls of a block from its position to `end`, made without a pause."""

    def __init__(self, block: _Block, end: int) -> None:
        self._block = block
        self._start = block.position
        self._iterators = [_iterator_at(column, self._start) for column in block.columns]
        self._told = 0
        self.interrupted = False
        first: Iterable[Any] = self._iterators[0]
        if end < len(block.due_ns):
            first = islice(self._iterators[0], end - self._start)
        iterators = [first, *self._iterators[1:]]
        if block.place_of is None:
            part = block.parts[0]
            call = _direct(part.subscription.sink)
            self._calls = map(call, *part.arguments(iterators))
        else:
            calls = [_direct(part.subscription.sink) for part in block.parts]
            self._calls = map(partial(_call, calls), *iterators)

    def run(self) -> None:
        """Make the calls, up to one that acts or whose exception is to end the session."""
        while True:
            try:
                result = next(filter(None, self._calls), None)
            except Exception as failure:
                if not self._running_sink().failed(failure):
                    self.interrupt()
            else:
                if result is None:
                    break
                self._running_sink().adopt(result)
        self._block.position = self._start + self._count()

    def _running_sink(self) -> RowSink:
        return self._block.sink_at(self._start + self._count() - 1)

    def _count(self) -> int:
        if self.interrupted:
            return self._told
        left: int = self._iterators[0].__length_hint__()
        return len(self._block.due_ns) - self._start - left

    def moment_ns(self) -> int:
        """The time of the call that was begun last."""
        return int(self._block.due_ns[self._start + self._count() - 1])

    def interrupt(self) -> None:
        """Make the running call the last one."""
        if not self.interrupted:
            self._told = self._count()
            self.interrupted = True
            self._iterators[0].__setstate__(len(self._block.due_ns))


def _iterator_at(column: list[Any], position: int) -> ListIterator:
    iterator: ListIterator = iter(column)
    iterator.__setstate__(position)
    return iterator


def _direct(sink: RowSink) -> Callable[..., object]:
    call = sink.direct()
    assert call is not None, "a stretch is made while all sinks are direct"
    return call


def _call(calls: Sequence[Callable[..., object]], place: int, values: tuple[Any, ...]) -> object:
    return calls[place](*values)


class Ticks:
    """Who wants to see rows, and what they are told."""

    def __init__(
        self, instruments: Sequence[Instrument], tapes: Sequence[Tape], feeds: Sequence[Feed]
    ) -> None:
        self._instruments = tuple(instruments)
        self._tapes = tuple(tapes)
        self._feeds = tuple(feeds)
        self._wanted: list[_Subscription] = []
        self._block: _Block | None = None
        # Rows of bars are put in order while the run goes on: nothing of them is known ahead.
        self._ahead = not any(tape.bar_interval_ns for tape in tapes)

    def subscribe(
        self, instrument: int, kind: str, sink: RowSink, now_ns: int
    ) -> Callable[[], None]:
        """Tell `sink` of every row of this kind that arrives after `now_ns`."""
        row = self._feeds[instrument].row_at(now_ns) + 1
        wanted = _Subscription(instrument, kind, sink, row)
        self._drop_block()
        self._wanted.append(wanted)

        def unsubscribe() -> None:
            if wanted in self._wanted:
                self._drop_block()
                self._wanted.remove(wanted)

        return unsubscribe

    def show(self, tapes: Sequence[Tape]) -> None:
        """Tell of these tapes from now on: the same rows, bars in the order of their path."""
        self._drop_block()
        self._tapes = tuple(tapes)

    @property
    def direct(self) -> bool:
        """True when there are sinks, and every one takes rows as plain calls now."""
        if not self._ahead or not self._wanted:
            return False
        return all(each.sink.direct() is not None for each in self._wanted)

    def next_ns(self) -> int:
        """When the next row is due at a sink; a far future when none is."""
        if not self._ahead:
            feeds = ((self._feeds[each.instrument], each.row) for each in self._wanted)
            return min((feed.row_due_ns(row) for feed, row in feeds), default=NEVER_NS)
        block = self._ready_block(NEVER_NS)
        return NEVER_NS if block is None else int(block.due_ns[block.position])

    def deliver(self, now_ns: int) -> None:
        """Tell the sinks of every row that has arrived at `now_ns`, in tape order."""
        until_ns = NEVER_NS if self._ahead else now_ns + 1
        while (block := self._ready_block(until_ns)) is not None:
            position = block.position
            if block.due_ns[position] > now_ns:
                return
            block.position += 1
            if block.place_of is None:
                iterators = [_iterator_at(column, position) for column in block.columns]
                values = tuple(map(next, map(iter, block.parts[0].arguments(iterators))))
            else:
                values = block.columns[1][position]
            block.sink_at(position)(*values)

    def stretch(self, until_ns: int) -> Stretch | None:
        """The next calls for rows that arrive before `until_ns`; None when there are none.

        Only while `direct`.
        """
        block = self._ready_block(NEVER_NS)
        if block is None or block.due_ns[block.position] >= until_ns:
            return None
        return Stretch(block, int(np.searchsorted(block.due_ns, until_ns, side="left")))

    # --- blocks ---------------------------------------------------------------------------------

    def _ready_block(self, until_ns: int) -> _Block | None:
        """A block with a call that has not been made, None when no row before a time is left."""
        block = self._block
        if block is not None and block.position < len(block.due_ns):
            return block
        self._block = self._next_block(until_ns) if self._wanted else None
        return self._block

    def _drop_block(self) -> None:
        """Forget what was made ready: other rows are wanted now."""
        if self._block is not None:
            for place, part in enumerate(self._block.parts):
                row = self._block.first_row_left(place)
                if row is not None:
                    part.subscription.row = row
        self._block = None

    def _next_block(self, limit_ns: int) -> _Block | None:
        while True:
            until_ns = limit_ns
            for each in self._wanted:
                feed = self._feeds[each.instrument]
                until_ns = min(until_ns, feed.row_due_ns(each.row + BLOCK_ROWS))
            parts = [self._part(each, until_ns) for each in self._wanted]
            parts = [part for part in parts if len(part.rows)]
            if len(parts) == 1:
                return _Block(parts, parts[0].due_ns, parts[0].columns, None)
            if parts:
                return _merged(parts)
            if until_ns == limit_ns:
                return None

    def _part(self, wanted: _Subscription, until_ns: int) -> _Part:
        """The calls for a subscription's next rows, those that arrive before `until_ns`."""
        columns, feed = self._tapes[wanted.instrument].columns, self._feeds[wanted.instrument]
        first = wanted.row
        end = wanted.row = max(first, feed.row_at(until_ns - 1) + 1)
        if wanted.kind == "trade":
            chosen = columns.kind[first:end] == RowKind.TRADE
        elif wanted.kind == "quote":
            chosen = _quote_changed(columns, first, end)
        else:
            chosen = columns.kind[first:end] < RowKind.OPEN
        rows = np.flatnonzero(chosen) + first
        selected: Selection = slice(first, end) if len(rows) == end - first else rows
        due_ns = feed.rows_due_ns(first, end)[slice(None) if len(rows) == end - first else chosen]
        spec = self._instruments[wanted.instrument]
        if wanted.kind == "trade":
            values, arguments = _trades(spec, columns, selected)
        elif wanted.kind == "quote":
            values, arguments = _quotes(spec, columns, selected)
        else:
            fields = wanted.sink.fields
            values = [_FIELDS[name](spec, columns, selected).tolist() for name in fields]
            arguments = tuple
        return _Part(wanted, rows, due_ns, values, arguments)


def _merged(parts: list[_Part]) -> _Block:
    """Several subscriptions in one block: (part, arguments) of each call, in order of delivery."""
    due_ns = np.concatenate([part.due_ns for part in parts])
    rows = np.concatenate([part.rows for part in parts])
    places = np.repeat(np.arange(len(parts)), [len(part.rows) for part in parts])
    sequence = np.lexsort((places, rows, due_ns))
    values: list[tuple[Any, ...]] = []
    for part in parts:
        iterators = [iter(column) for column in part.columns]
        values += zip(*part.arguments(iterators), strict=False)
    place_of = places[sequence]
    ordered = [values[at] for at in sequence.tolist()]
    return _Block(parts, due_ns[sequence], [place_of.tolist(), ordered], place_of)


# --- what a row says -----------------------------------------------------------------------------


def _trades(
    spec: Instrument, columns: TapeColumns, rows: Selection
) -> tuple[list[list[Any]], Arguments]:
    values = [
        columns.ts[rows].tolist(),
        spec.ticks_to_prices(columns.px[rows]).tolist(),
        spec.lots_to_sizes(columns.qty[rows]).tolist(),
        [_SIDES[side] for side in columns.side[rows].tolist()],
    ]
    return values, _items(spec.symbol, _new_trade)


def _quotes(
    spec: Instrument, columns: TapeColumns, rows: Selection
) -> tuple[list[list[Any]], Arguments]:
    bid_lots, ask_lots = columns.bid_qty[rows], columns.ask_qty[rows]
    values = [
        columns.ts[rows].tolist(),
        _or_none(spec.ticks_to_prices(columns.bid[rows]), bid_lots),
        _or_none(spec.ticks_to_prices(columns.ask[rows]), ask_lots),
        spec.lots_to_sizes(bid_lots).tolist(),
        spec.lots_to_sizes(ask_lots).tolist(),
    ]
    return values, _items(spec.symbol, _new_quote)


def _items(symbol: str, make: Callable[[Iterable[Any]], Any]) -> Arguments:
    """Quotes or trades, made one by one as the iterators go on: kept, they would burden memory."""

    def arguments(iterators: Sequence[ListIterator]) -> tuple[Iterable[Any], ...]:
        return (map(make, zip(repeat(symbol), *iterators)),)

    return arguments


def _or_none(prices: npt.NDArray[np.float64], lots: IntColumn) -> list[float | None]:
    """Prices, None where a side is empty."""
    if lots.all():
        return list(prices.tolist())
    return [price if size else None for price, size in zip(prices, lots.tolist(), strict=True)]


def _quote_changed(columns: TapeColumns, first: int, end: int) -> Mask:
    """Where a row's BBO differs from that of the row before it."""
    changed = np.zeros(end - first, dtype=np.bool_)
    if end > first:
        for column in (columns.bid, columns.ask, columns.bid_qty, columns.ask_qty):
            before = column[max(0, first - 1) : end - 1]
            changed[len(changed) - len(before) :] |= column[end - len(before) : end] != before
        changed[0] |= first == 0
    return changed


def _nan_where(prices: npt.NDArray[np.float64], none: Mask) -> npt.NDArray[np.float64]:
    if none.any():
        prices[none] = np.nan
    return prices


def _bid(spec: Instrument, columns: TapeColumns, rows: Selection) -> npt.NDArray[Any]:
    return _nan_where(spec.ticks_to_prices(columns.bid[rows]), columns.bid_qty[rows] == 0)


def _ask(spec: Instrument, columns: TapeColumns, rows: Selection) -> npt.NDArray[Any]:
    return _nan_where(spec.ticks_to_prices(columns.ask[rows]), columns.ask_qty[rows] == 0)


def _price(spec: Instrument, columns: TapeColumns, rows: Selection) -> npt.NDArray[Any]:
    is_none = columns.kind[rows] != RowKind.TRADE
    return _nan_where(spec.ticks_to_prices(columns.px[rows]), is_none)


_FIELDS: dict[str, Callable[[Instrument, TapeColumns, Selection], npt.NDArray[Any]]] = {
    "ts_ns": lambda spec, columns, rows: columns.ts[rows],
    "bid": _bid,
    "ask": _ask,
    "bid_size": lambda spec, columns, rows: spec.lots_to_sizes(columns.bid_qty[rows]),
    "ask_size": lambda spec, columns, rows: spec.lots_to_sizes(columns.ask_qty[rows]),
    "price": _price,
    "size": lambda spec, columns, rows: spec.lots_to_sizes(columns.qty[rows]),
    "side": lambda spec, columns, rows: columns.side[rows],
}
"""What a handler of ticks may name, see `MarketData.on_tick`."""
