"""One Arrow batch to rows that are right in themselves, as integers.

Every row is looked at on its own: kind, prices on the tick, sizes on the lot, a book that is not
crossed. Rows that break a rule go to the fault log. What needs neighbours is in `data.convert`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data.check import BatchFaults, FaultLog, Layout, Rule, number_text
from data.schema import (
    EMPTY_ASK,
    EMPTY_BID,
    FILE_KINDS,
    MAX_LOTS,
    MAX_TICKS,
    NANO,
    NO_ORIGIN,
    ORDER_KINDS,
    QUOTE_COLUMNS,
    ByteColumn,
    FloatColumn,
    Grid,
    IntColumn,
    Mask,
    RowKind,
    TapeColumns,
    TapeError,
)

TIME_LIMIT = 4_000_000_000 * NANO
"""Times are below this (the year 2096): sums of a time and a delay then never overflow."""
USABLE = 1e15
"""Numbers beyond this are no prices or sizes of anything, and would overflow on the way to
integers."""


class Raw(NamedTuple):
    """A batch as it was read: numbers are floats, NaN for null or a column that is not there."""

    rows: IntColumn
    ts: IntColumn
    ts_missing: Mask
    kind: ByteColumn
    kind_text: Callable[[int], str]
    numbers: dict[str, FloatColumn]
    ids: dict[str, tuple[IntColumn, Mask]]
    origin: IntColumn


class Chunk(NamedTuple):
    """Rows that are right in themselves. `unstated`: the row says nothing about the book. `origin`
    counts the file's rows; it is empty when the file has none."""

    rows: IntColumn
    columns: TapeColumns
    unstated: Mask
    ids: dict[str, tuple[IntColumn, Mask]]
    origin: IntColumn

    def take(self, chosen: Mask | npt.NDArray[np.intp]) -> Chunk:
        """The chosen rows, by mask or by position."""
        return Chunk(
            self.rows[chosen],
            TapeColumns._make(column[chosen] for column in self.columns),
            self.unstated[chosen],
            {name: (ids[chosen], known[chosen]) for name, (ids, known) in self.ids.items()},
            self.origin[chosen] if len(self.origin) else NO_ORIGIN,
        )


def decode(batch: pa.RecordBatch, layout: Layout, first_row: int, file: str) -> Raw:
    """An Arrow batch as NumPy columns; numbers are floats with NaN for null."""
    count = batch.num_rows
    rows = np.arange(first_row, first_row + count, dtype=np.int64)
    try:
        ts, ts_known = integers(as_time(batch.column("ts")))
        ids = {name: integers(batch.column(name)) for name in layout.ids}
        origin = _origins(batch) if layout.has_origin else NO_ORIGIN
    except pa.ArrowInvalid as error:
        raise TapeError(
            f"a time, id or origin between rows {first_row} and {first_row + count - 1} does not "
            f"fit in 64 bits ({str(error).splitlines()[0]})",
            file=file,
        ) from error
    names = ["bid", "ask", "bid_size", "ask_size", "price", "size", "side", "rate"]
    present = set(layout.columns)
    nothing = np.full(count, np.nan)
    numbers = {name: floats(batch.column(name)) if name in present else nothing for name in names}
    kind, text = _kinds(batch, layout, numbers)
    return Raw(rows, ts, ~ts_known, kind, text, numbers, ids, origin)


def _origins(batch: pa.RecordBatch) -> IntColumn:
    origin, known = integers(batch.column("origin"))
    return np.where(known, origin, -1)


def as_time(column: pa.Array[Any]) -> pa.Array[Any]:
    """Timestamps as nanoseconds; integers are that already."""
    if pa.types.is_timestamp(column.type):
        if column.type.unit == "ns":
            return column.view(pa.int64())
        return column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64())
    return column


def integers(column: pa.Array[Any]) -> tuple[IntColumn, Mask]:
    """An integer column with 0 for null, and where it is known."""
    held = values_of(column)
    if held is not None and held.dtype.kind == "i":
        numbers, valid = held.astype(np.int64, copy=False), known_of(column)
        if valid is None:
            return numbers, np.ones(len(column), dtype=np.bool_)
        return np.where(valid, numbers, 0), valid
    known = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
    plain = column.cast(pa.int64()).fill_null(0)
    return np.asarray(plain.to_numpy(zero_copy_only=False), dtype=np.int64), known


_HELD_AS = {
    pa.int8(): np.int8, pa.int16(): np.int16, pa.int32(): np.int32, pa.int64(): np.int64,
    pa.uint8(): np.uint8, pa.uint16(): np.uint16, pa.uint32(): np.uint32, pa.uint64(): np.uint64,
    pa.float32(): np.float32, pa.float64(): np.float64,
}  # fmt: skip


def values_of(column: pa.Array[Any]) -> npt.NDArray[Any] | None:
    """The numbers as they are held, without a meaning where the column is null; None for types that
    NumPy does not have. Arrow's own conversions would import its compute functions and pandas,
    which takes longer than to read a million rows."""
    kind = _HELD_AS.get(column.type)
    data: Any = column.buffers()[1] if kind is not None else None
    if kind is None or data is None:
        return None
    return np.frombuffer(data, kind, column.offset + len(column))[column.offset :]


def known_of(column: pa.Array[Any]) -> Mask | None:
    """Where a column is not null; None: everywhere."""
    bits: Any = column.buffers()[0]
    if not column.null_count or bits is None:
        return None
    end = column.offset + len(column)
    bytes_ = np.frombuffer(bits, dtype=np.uint8)
    known = np.unpackbits(bytes_, count=end, bitorder="little")[column.offset :]
    found: Mask = known.view(np.bool_)
    return found


def floats(column: pa.Array[Any]) -> FloatColumn:
    """A number column as floats, NaN for null."""
    plain = column.cast(pa.float64(), safe=False)
    return np.asarray(plain.to_numpy(zero_copy_only=False), dtype=np.float64)


def _kinds(
    batch: pa.RecordBatch, layout: Layout, numbers: dict[str, FloatColumn]
) -> tuple[ByteColumn, Callable[[int], str]]:
    """Each row's kind, -1 for an unknown name, and the text of a row's kind for messages.

    Without a kind a row with a price, or with a trade's size, is meant as a trade.
    """
    meant = ~np.isnan(numbers["price"]) | (np.nan_to_num(numbers["size"]) != 0)
    kind = np.where(meant, RowKind.TRADE, RowKind.QUOTE).astype(np.int8)
    if not layout.has_kind:
        return kind, lambda position: ""
    codes, known, text = stated_kinds(batch.column("kind"))
    return np.where(known, codes, kind).astype(np.int8), text


def stated_kinds(column: Any) -> tuple[ByteColumn, Mask, Callable[[int], str]]:
    """The kinds that the file states, -1 for an unknown name; where it does; and the text of a
    row's kind."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    names = column.dictionary.to_pylist()
    codes = np.array([_kind_code(name) for name in names] or [-1], dtype=np.int8)
    known = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
    index = np.asarray(
        column.indices.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64
    )
    return codes[index], known, lambda position: repr(names[index[position]])


def _kind_code(name: str | int | None) -> int:
    if isinstance(name, str):
        return int(FILE_KINDS.get(name.lower(), -1))
    return int(name) if name in set(FILE_KINDS.values()) else -1


def settle(raw: Raw, grid: Grid, layout: Layout, log: FaultLog) -> Chunk:
    """The rows that are right in themselves, as integers; the others go to the log."""
    faults = BatchFaults(raw.rows)
    faults.mark(Rule.TIME_MISSING, "ts", raw.ts_missing, lambda position: "null")
    faults.mark(Rule.TIME_RANGE, "ts", (raw.ts < 0) | (raw.ts >= TIME_LIMIT), raw.ts)
    names = ", ".join(FILE_KINDS)
    faults.mark(Rule.KIND, "kind", raw.kind < 0, raw.kind_text, f"known are {names}")
    book, unstated = _book(raw, grid, layout, faults)
    px, qty, side = _event(raw, grid, faults)
    _check_origins(raw, faults)
    faults.settle(log)
    columns = TapeColumns(raw.ts, raw.kind, side, px, qty, *book)
    chunk = Chunk(raw.rows, columns, unstated, raw.ids, raw.origin)
    return chunk.take(~faults.bad) if faults.bad.any() else chunk


def _check_origins(raw: Raw, faults: BatchFaults) -> None:
    """That those rows have an origin that need one; where it points to, neighbours know."""
    leaves = (raw.kind == RowKind.CANCEL) | (raw.kind == RowKind.EXEC)
    if not len(raw.origin):
        faults.mark(Rule.ORIGIN_MISSING, "origin", leaves, lambda position: "null")
        return
    faults.mark(Rule.ORIGIN_MISSING, "origin", leaves & (raw.origin < 0), raw.origin)
    faults.mark(Rule.ORIGIN_NEEDLESS, "origin", ~leaves & (raw.origin >= 0), raw.origin)


def _book(
    raw: Raw, grid: Grid, layout: Layout, faults: BatchFaults
) -> tuple[tuple[IntColumn, IntColumn, IntColumn, IntColumn], Mask]:
    """Bid, ask and their sizes, and which rows leave all four out (legal for all but quotes)."""
    quote = raw.kind == RowKind.QUOTE
    if not layout.has_quotes:
        faults.mark(Rule.NEITHER, "price", quote, lambda position: "null")
    silent = np.logical_and.reduce([np.isnan(raw.numbers[name]) for name in QUOTE_COLUMNS])
    unstated = silent & ~quote
    sides: list[IntColumn] = []
    for name, empty in (("bid", EMPTY_BID), ("ask", EMPTY_ASK)):
        price, size = raw.numbers[name], raw.numbers[f"{name}_size"]
        lots = lots_of(f"{name}_size", size, ~unstated, grid, faults)
        ticks = ticks_of(name, price, (lots > 0) & ~faults.bad, grid, faults)
        sides += [np.where(lots > 0, ticks, empty), lots]
    bid, bid_qty, ask, ask_qty = sides
    crossed = (bid > ask) & (bid_qty > 0) & (ask_qty > 0)

    def both(position: int) -> str:
        prices = (raw.numbers[name][position] for name in ("bid", "ask"))
        return "{} with ask {}".format(*map(number_text, prices))

    faults.mark(Rule.CROSSED, "bid", crossed, both)
    return (bid, ask, bid_qty, ask_qty), unstated


def _event(raw: Raw, grid: Grid, faults: BatchFaults) -> tuple[IntColumn, IntColumn, ByteColumn]:
    """Price, size and aggressor of the rows that have them."""
    price, size, side = (raw.numbers[name] for name in ("price", "size", "side"))
    trade = raw.kind == RowKind.TRADE
    in_book = (raw.kind >= RowKind.LEVEL) & (raw.kind <= RowKind.EXEC)
    priced = trade | in_book
    faults.mark(Rule.KIND_PRICE, "price", (raw.kind == RowKind.QUOTE) & ~np.isnan(price), price)
    lots = lots_of("size", size, priced, grid, faults)
    faults.mark(Rule.SIZE_ZERO, "size", trade & (lots == 0), size)
    faults.mark(Rule.ORDER_ZERO, "size", np.isin(raw.kind, ORDER_KINDS) & (lots == 0), size)
    ticks = ticks_of("price", price, priced, grid, faults)
    unknown = ~np.isin(np.nan_to_num(side), (-1.0, 0.0, 1.0))
    faults.mark(Rule.SIDE, "side", unknown, side)
    faults.mark(Rule.BOOK_SIDE, "side", in_book & ~(np.abs(side) == 1), side)
    px = np.where(priced, ticks, 0)
    qty = np.where(priced, lots, 0)
    marked = (raw.kind == RowKind.MARK) | (raw.kind == RowKind.FUNDING)
    if marked.any():
        px, qty = _fine(raw, px, qty, faults)
    clean = np.where(priced & ~unknown, np.nan_to_num(side), 0).astype(np.int8)
    return px, qty, clean


def _fine(
    raw: Raw, px: IntColumn, qty: IntColumn, faults: BatchFaults
) -> tuple[IntColumn, IntColumn]:
    """Mark prices and funding rates in units of 1e-9. A funding row may leave its price out."""
    price, rate = raw.numbers["price"], raw.numbers["rate"]
    mark, funding = raw.kind == RowKind.MARK, raw.kind == RowKind.FUNDING
    limit = (1 << 62) / NANO
    faults.mark(Rule.PRICE_MISSING, "price", mark & np.isnan(price), price)
    faults.mark(Rule.PRICE_NOT_POSITIVE, "price", (mark | funding) & (price <= 0), price)
    faults.mark(Rule.TOO_LARGE, "price", (mark | funding) & (price >= limit), price)
    faults.mark(Rule.RATE_MISSING, "rate", funding & np.isnan(rate), rate)
    faults.mark(Rule.TOO_LARGE, "rate", funding & (np.abs(rate) > 1), rate, "a rate is at most 1")
    fine_price = np.rint(_usable(price, limit) * NANO).astype(np.int64)
    fine_rate = np.rint(_usable(rate, 1.0) * NANO).astype(np.int64)
    return np.where(mark | funding, fine_price, px), np.where(funding, fine_rate, qty)


def _usable(values: FloatColumn, limit: float) -> FloatColumn:
    """The values with 0 for what is no number or too large, so that no arithmetic overflows."""
    return np.where(np.abs(values) <= limit, values, 0.0)


def lots_of(
    name: str, sizes: FloatColumn, where: Mask, grid: Grid, faults: BatchFaults
) -> IntColumn:
    """Sizes as lots, 0 outside `where` and where they are faulty."""
    lots, off = grid.sizes_to_lots(_usable(sizes, USABLE))
    faults.mark(Rule.SIZE_MISSING, name, where & np.isnan(sizes), sizes)
    faults.mark(Rule.SIZE_NEGATIVE, name, where & (sizes < 0), sizes)
    step = float(grid.lot_size)
    large = ~(np.abs(sizes) <= min(USABLE, MAX_LOTS * step))
    faults.mark(Rule.TOO_LARGE, name, where & large, sizes, "sizes end at 2^40 lots")
    faults.mark(Rule.SIZE_OFF_LOT, name, where & off, sizes, f"{grid.lot_size} for {grid.symbol}")
    return np.where(where & ~off & (sizes > 0) & ~large, lots, 0)


def ticks_of(
    name: str, prices: FloatColumn, where: Mask, grid: Grid, faults: BatchFaults
) -> IntColumn:
    """Prices as ticks; meaningless outside `where` and where they are faulty."""
    ticks, off = grid.prices_to_ticks(_usable(prices, USABLE))
    missing = Rule.PRICE_ON_EMPTY_SIDE if name in QUOTE_COLUMNS else Rule.PRICE_MISSING
    faults.mark(missing, name, where & np.isnan(prices), prices)
    step = float(grid.tick_size)
    large = ~(np.abs(prices) <= min(USABLE, MAX_TICKS * step))
    faults.mark(Rule.TOO_LARGE, name, where & large, prices, "prices end at 2^40 ticks")
    if not getattr(grid, "allow_negative_price", True):
        faults.mark(Rule.PRICE_NOT_POSITIVE, name, where & (prices <= 0), prices)
    faults.mark(
        Rule.PRICE_OFF_TICK, name, where & off, prices, f"{grid.tick_size} for {grid.symbol}"
    )
    return ticks
