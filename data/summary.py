"""What is known of a tape without looking at its rows: the block index, and what occurs in it.

Both are built part by part while a file is converted, lie in the cache beside the columns, and are
built from the columns of a tape that was never in the cache.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from data.index import (
    ASK_MAX,
    ASK_MIN,
    BID_MAX,
    BID_MIN,
    BLOCK,
    HAS_STATUS,
    PX_MAX,
    PX_MIN,
    WIDTH,
    IndexTable,
)
from data.schema import ByteColumn, IntColumn, RowKind, TapeColumns

_ABOVE_ALL = np.int64((1 << 63) - 1)
_BELOW_ALL = np.int64(-(1 << 63) + 1)
_PART_ROWS = 1 << 17


def build_index(columns: TapeColumns) -> IndexTable:
    """The index of a tape's rows. Reads each column once; needs memory for the index only."""
    builder = IndexBuilder()
    parts = [
        builder.add(TapeColumns._make(column[start : start + _PART_ROWS] for column in columns))
        for start in range(0, len(columns.ts), _PART_ROWS)
    ]
    table = np.concatenate([*parts, builder.finish()])
    table.flags.writeable = False
    return table


class IndexBuilder:
    """The index of rows that come in parts of any length: blocks of the first level as they fill,
    the levels above at the end. Memory: the second level, 56 bytes for 4,096 rows."""

    def __init__(self) -> None:
        self._rows: _Rows | None = None
        self._blocks = _NO_BLOCKS
        self._second: list[IndexTable] = []

    def add(self, columns: TapeColumns) -> IndexTable:
        """Take the next rows; returns the first level's blocks that are full by now."""
        blocks = self._full_blocks(_Rows(columns.kind, columns.px, columns.bid, columns.ask))
        waiting = np.concatenate([self._blocks, blocks])
        full = len(waiting) & ~(BLOCK - 1)
        if full:
            self._second.append(_summarise_blocks(waiting[:full]))
        self._blocks = waiting[full:]
        return blocks

    def finish(self) -> IndexTable:
        """The first level's last block, when it is not full, and the blocks of all levels above."""
        last = _NO_BLOCKS if self._rows is None else _summarise_rows(self._rows)
        levels = [last]
        waiting = np.concatenate([self._blocks, last])
        if self._second or len(waiting) > 1:
            rest = [_summarise_blocks(waiting)] if len(waiting) else []
            levels.append(np.concatenate([*self._second, *rest]))
            while len(levels[-1]) > 1:
                levels.append(_summarise_blocks(levels[-1]))
        return np.concatenate(levels)

    def _full_blocks(self, rows: _Rows) -> IndexTable:
        waiting, first = self._rows, _NO_BLOCKS
        if waiting is not None:
            missing = BLOCK - len(waiting.kind)
            head = waiting.and_then(rows.between(0, missing))
            if len(head.kind) < BLOCK:
                self._rows = head
                return _NO_BLOCKS
            first, rows = _summarise_rows(head), rows.between(missing, len(rows.kind))
        full = len(rows.kind) & ~(BLOCK - 1)
        rest = rows.between(full, len(rows.kind))
        # A copy: what is kept must not keep the whole part alive.
        self._rows = _Rows._make(column.copy() for column in rest) if len(rest.kind) else None
        if not full:
            return first
        return np.concatenate([first, _summarise_rows(rows.between(0, full))])


class _Rows(NamedTuple):
    """The columns that the index summarises."""

    kind: ByteColumn
    px: IntColumn
    bid: IntColumn
    ask: IntColumn

    def and_then(self, others: _Rows) -> _Rows:
        pairs = zip(*[self, others], strict=True)
        return _Rows._make(np.concatenate(pair) for pair in pairs)

    def between(self, start: int, end: int) -> _Rows:
        return _Rows._make(column[start:end] for column in self)


_NO_BLOCKS: IndexTable = np.empty((0, WIDTH), dtype=np.int64)


def _summarise_rows(rows: _Rows) -> IndexTable:
    """The blocks of at least one row; the last one may be shorter than the others."""
    starts = np.arange(0, len(rows.kind), BLOCK)
    table = np.empty((len(starts), WIDTH), dtype=np.int64)
    columns: list[tuple[int, np.ufunc, IntColumn]] = [
        (BID_MIN, np.minimum, rows.bid),
        (BID_MAX, np.maximum, rows.bid),
        (ASK_MIN, np.minimum, rows.ask),
        (ASK_MAX, np.maximum, rows.ask),
    ]
    for column, ufunc, values in columns:
        table[:, column] = ufunc.reduceat(values, starts)
    trades = np.flatnonzero(rows.kind == RowKind.TRADE)
    first = np.searchsorted(trades, starts)
    traded = np.flatnonzero(np.diff(first, append=len(trades)))
    table[:, PX_MIN], table[:, PX_MAX] = _ABOVE_ALL, _BELOW_ALL
    if len(traded):
        prices = rows.px[trades]
        table[traded, PX_MIN] = np.minimum.reduceat(prices, first[traded])
        table[traded, PX_MAX] = np.maximum.reduceat(prices, first[traded])
    table[:, HAS_STATUS] = np.maximum.reduceat(rows.kind, starts) >= RowKind.OPEN
    return table


def _summarise_blocks(below: IndexTable) -> IndexTable:
    starts = np.arange(0, len(below), BLOCK)
    table = np.empty((len(starts), WIDTH), dtype=np.int64)
    for column in range(WIDTH):
        ufunc = np.minimum if column in (BID_MIN, ASK_MIN, PX_MIN) else np.maximum
        table[:, column] = ufunc.reduceat(below[:, column], starts)
    return table


class Contents(NamedTuple):
    """What occurs on a tape: rows by kind, and whether any row shows a bid or an ask."""

    kinds: tuple[int, ...]
    has_quotes: bool

    def has(self, first: RowKind, last: RowKind) -> bool:
        """Whether there is a row of the kinds from `first` to `last`."""
        return any(self.kinds[first : last + 1])

    def plus(self, others: Contents) -> Contents:
        """What occurs in these rows and in others."""
        kinds = tuple(map(sum, zip(self.kinds, others.kinds, strict=True)))
        return Contents(kinds, self.has_quotes or others.has_quotes)


def contents_of(columns: TapeColumns) -> Contents:
    """What occurs in these rows. Reads each column once."""
    kind = columns.kind
    if len(kind) and kind.max() <= RowKind.TRADE:
        trades = int(np.count_nonzero(kind))
        kinds = [len(kind) - trades, trades, *[0] * (len(RowKind) - 2)]
    else:
        kinds = np.bincount(kind, minlength=len(RowKind)).tolist()
    return Contents(tuple(kinds), bool(columns.bid_qty.any() or columns.ask_qty.any()))


def l1_kinds(columns: TapeColumns) -> ByteColumn:
    """The kinds for one who knows the touch only: rows of levels and orders are quotes."""
    kind = columns.kind
    in_book = (kind >= RowKind.LEVEL) & (kind <= RowKind.EXEC)
    return np.where(in_book, RowKind.QUOTE, kind).astype(np.int8)


class Stored(NamedTuple):
    """What a cache entry knows of its columns, so that nobody has to read them all. `l1_kind` has
    no element on a tape without rows of levels and orders."""

    columns: TapeColumns
    blocks: IndexTable
    contents: Contents
    l1_kind: ByteColumn
