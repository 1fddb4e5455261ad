"""Batches of quotes and trades that break no rule, fast: whole columns at once, one test a column.

Nearly every batch of nearly every file is such a one. A batch for which a test here fails, or that
holds anything else than quotes and trades, goes the long way through `data.decode`, which looks at
each row and names what is wrong with it. Both give the same chunk for a batch that both accept.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data.check import Layout
from data.decode import (
    TIME_LIMIT,
    USABLE,
    Chunk,
    as_time,
    integers,
    known_of,
    stated_kinds,
    values_of,
)
from data.schema import (
    EMPTY_ASK,
    EMPTY_BID,
    MAX_LOTS,
    MAX_TICKS,
    NO_ORIGIN,
    ByteColumn,
    FloatColumn,
    Grid,
    IntColumn,
    Mask,
    RowKind,
    TapeColumns,
)

_Book = tuple[IntColumn, IntColumn, IntColumn, IntColumn]
_Places = npt.NDArray[np.intp]


class _NotPlainError(Exception):
    """A row of the batch needs a closer look."""


class _Numbers(NamedTuple):
    """A column as floats. What stands where it is not `known` has no meaning; None: known
    everywhere. NaN counts as known here, and fails every test."""

    values: FloatColumn
    known: Mask | None

    def at(self, places: _Places | None) -> FloatColumn:
        """The numbers at some places, or all; they must be known."""
        if places is None:
            _demand(self.known is None)
            return self.values
        _demand(self.known is None or bool(self.known[places].all()))
        return self.values[places]


class Workspace:
    """Arrays that are used again: fresh memory costs more than what is done in it.

    What was made for one batch is overwritten by the next. After a `turn` it is by the one after
    that: one batch is being written while the next is made.
    """

    def __init__(self) -> None:
        self._arrays: dict[str, npt.NDArray[Any]] = {}
        self._others: dict[str, npt.NDArray[Any]] = {}

    def turn(self) -> None:
        """Leave the arrays alone until the next turn."""
        self._arrays, self._others = self._others, self._arrays

    def array(self, name: str, count: int, kind: type = np.int64) -> Any:
        """An array of `count` numbers without a meaning yet; a name has one type."""
        held = self._arrays.get(name)
        if held is None or len(held) < count:
            held = self._arrays[name] = np.empty(count, dtype=kind)
        return held[:count]

    def filled(self, name: str, count: int, value: int, kind: type = np.int64) -> Any:
        """An array with `value` in every place."""
        array = self.array(name, count, kind)
        array.fill(value)
        return array


class PlainBatches:
    """Makes chunks of plain batches of one file; a chunk's columns are overwritten by the next, or
    by the one after it when somebody works on them (`turn`)."""

    def __init__(self, layout: Layout, grid: Grid) -> None:
        self._layout = layout
        self._space = Workspace()
        allows_negative = getattr(grid, "allow_negative_price", True)
        lowest = -np.inf if allows_negative else np.nextafter(0.0, 1.0)
        self._prices = _Steps(float(grid.tick_size), MAX_TICKS, lowest, self._space)
        self._sizes = _Steps(float(grid.lot_size), MAX_LOTS, 0.0, self._space)

    def turn(self) -> None:
        """The columns of the last chunk are still needed while the next one is made."""
        self._space.turn()

    def chunk(self, batch: pa.RecordBatch, first_row: int) -> Chunk | None:
        """The rows of a batch of quotes and trades without a fault; None when it is not known to
        be one."""
        layout, count = self._layout, batch.num_rows
        if layout.has_origin or not count:
            return None
        try:
            ts, known = integers(as_time(batch.column("ts")))
            _demand(bool(known.all()) and int(ts.min()) >= 0 and int(ts.max()) < TIME_LIMIT)
            ids = {name: integers(batch.column(name)) for name in layout.ids}
            trade = _trades(batch, layout)
            event = self._event(batch, trade)
            book, unstated = self._book(batch, trade)
        except (_NotPlainError, pa.ArrowInvalid):
            return None
        rows = np.arange(first_row, first_row + count, dtype=np.int64)
        kind: ByteColumn = trade.view(np.int8)
        return Chunk(rows, TapeColumns(ts, kind, *event, *book), unstated, ids, NO_ORIGIN)

    def _event(self, batch: pa.RecordBatch, trade: Mask) -> tuple[ByteColumn, IntColumn, IntColumn]:
        """Aggressor, price and size, 0 for quotes."""
        count = batch.num_rows
        side = self._space.filled("side", count, 0, np.int8)
        px, qty = self._space.filled("px", count, 0), self._space.filled("qty", count, 0)
        places = np.flatnonzero(trade)
        if self._layout.has_trades:
            _fill_sides(_numbers(batch.column("side")), trade, places, side)
        if len(places):
            px[places] = self._prices.of(_numbers(batch.column("price")).at(places), "trades")
            lots = self._sizes.of(_numbers(batch.column("size")).at(places), "trades")
            _demand(int(lots.min()) > 0)
            qty[places] = lots
        return side, px, qty

    def _book(self, batch: pa.RecordBatch, trade: Mask) -> tuple[_Book, Mask]:
        """Bid, ask and their sizes, and which trades leave all four out."""
        count = batch.num_rows
        unstated = np.zeros(count, dtype=np.bool_)
        if not self._layout.has_quotes:
            _demand(bool(trade.all()))
            empties = (("bid", EMPTY_BID), ("ask", EMPTY_ASK), ("bid_qty", 0), ("ask_qty", 0))
            bid, ask, *lots = (self._space.filled(name, count, empty) for name, empty in empties)
            return (bid, ask, lots[0], lots[1]), ~unstated
        prices = [_numbers(batch.column(name)) for name in ("bid", "ask")]
        sizes = [_numbers(batch.column(name)) for name in ("bid_size", "ask_size")]
        places: _Places | None = None
        stated = sizes[0].known
        if stated is not None:
            _demand(sizes[1].known is not None and np.array_equal(stated, sizes[1].known))
            unstated = ~stated
            _demand(bool(trade[unstated].all()))
            for price in prices:
                _demand(price.known is not None and not price.known[unstated].any())
            places = np.flatnonzero(stated)
        bids, bid_lots = self._side(prices[0], sizes[0], places, "bid")
        asks, ask_lots = self._side(prices[1], sizes[1], places, "ask")
        _demand(not (bids > asks).any())
        return (bids, asks, bid_lots, ask_lots), unstated

    def _side(
        self, price: _Numbers, size: _Numbers, places: _Places | None, name: str
    ) -> tuple[IntColumn, IntColumn]:
        """Prices and sizes of one side of the book; a price is needed where there is a size."""
        empty = EMPTY_BID if name == "bid" else EMPTY_ASK
        lots = self._sizes.of(size.at(places), f"{name}_qty")
        if len(lots) and int(lots.min()) > 0:
            ticks = self._prices.of(price.at(places), name)
        else:
            there = np.flatnonzero(lots)
            ticks = self._space.filled(name, len(lots), empty)
            chosen = price.at(there if places is None else places[there])
            ticks[there] = self._prices.of(chosen, "some prices")
        if places is None:
            return ticks, lots
        all_ticks = self._space.filled(f"all {name}", len(price.values), empty)
        all_lots = self._space.filled(f"all {name}_qty", len(price.values), 0)
        all_ticks[places], all_lots[places] = ticks, lots
        return all_ticks, all_lots


class _Steps:
    """Values to whole steps of a grid. What is far from the limits, and closer to the grid than the
    rule demands of the smallest value, obeys the rule everywhere (`Grid.prices_to_ticks`)."""

    def __init__(self, step: float, limit: int, lowest: float, space: Workspace) -> None:
        self._step = step
        self._high = min(USABLE, limit * step) / 2
        self._low = max(lowest, -self._high)
        self._space = space

    def of(self, values: FloatColumn, name: str) -> IntColumn:
        """The steps, in the array of that name."""
        whole: IntColumn = self._space.array(name, len(values))
        if not len(values):
            return whole
        low = float(values.min())
        _demand(self._low <= low and float(values.max()) <= self._high)
        steps = self._space.array("steps", len(values), np.float64)
        np.divide(values, self._step, out=steps)
        np.rint(steps, out=steps)
        np.copyto(whole, steps, casting="unsafe")
        np.multiply(steps, self._step, out=steps)
        np.subtract(values, steps, out=steps)
        np.abs(steps, out=steps)
        _demand(float(steps.max()) <= 1e-9 * max(1.0, low))
        return whole


def _demand(holds: bool) -> None:
    if not holds:
        raise _NotPlainError


def _numbers(column: pa.Array[Any]) -> _Numbers:
    held = values_of(column)
    if held is None:
        column = column.cast(pa.float64(), safe=False)
        held = values_of(column)
    if held is None:
        raise _NotPlainError
    return _Numbers(held.astype(np.float64, copy=False), known_of(column))


def _trades(batch: pa.RecordBatch, layout: Layout) -> Mask:
    """Which rows are trades: those with a price. The others have no size, and the kind says the
    same where the file has it."""
    trade = np.zeros(batch.num_rows, dtype=np.bool_)
    if layout.has_trades:
        price, size = _numbers(batch.column("price")), _numbers(batch.column("size"))
        trade = price.values == price.values
        if price.known is not None:
            trade &= price.known
        if size.known is None or not np.array_equal(size.known, trade):
            sized = (size.values != 0) & (size.values == size.values) & ~trade
            _demand(not (sized if size.known is None else sized & size.known).any())
    if layout.has_kind and batch.column("kind").null_count < batch.num_rows:
        codes, known, _ = stated_kinds(batch.column("kind"))
        wanted = np.where(trade, RowKind.TRADE, RowKind.QUOTE)
        _demand(bool(((codes == wanted) | ~known).all()))
    return trade


def _fill_sides(given: _Numbers, trade: Mask, places: _Places, into: ByteColumn) -> None:
    """The aggressors of trades; the side of a quote means nothing, but must be a side too."""
    values, known = given
    if known is not None and not np.array_equal(known, trade):
        values, known = np.where(known, values, 0.0), None
    if known is None:
        # NaN is no side that is known, and no side that is wrong.
        values = np.nan_to_num(values) if np.isnan(values).any() else values
        _demand_sides(values)
        into[places] = values[places]
    elif len(places):
        sides = values[places]
        _demand_sides(sides)
        into[places] = sides


def _demand_sides(values: FloatColumn) -> None:
    _demand(float(values.min()) >= -1 and float(values.max()) <= 1)
    _demand(bool((np.rint(values) == values).all()))
