"""The block index of a tape: minima and maxima, so that a search skips what cannot concern it.

Rows are grouped in blocks of 64, those in blocks of 64 blocks, and so on. For each block the index
holds the lowest and highest bid, ask and trade price in it, and whether it has a row that is
neither quote nor trade. A search for the next row at or beyond a price looks at one block's summary
in place of its rows, so a jump over millions of rows costs a few hundred looks.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data.schema import ByteColumn, IntColumn, RowKind, TapeColumns

IndexTable = npt.NDArray[np.int64]
"""Shape (blocks of all levels, 7): the first level's blocks, then the second's, and so on."""

BLOCK_BITS = 6
BLOCK = 1 << BLOCK_BITS
"""Rows, or blocks of the level below, in a block."""
BID_MIN, BID_MAX, ASK_MIN, ASK_MAX, PX_MIN, PX_MAX, HAS_STATUS = range(7)
"""The table's columns; trade prices of a block without trades are above and below all."""
WIDTH = 7

_ABOVE_ALL = np.int64((1 << 63) - 1)
_BELOW_ALL = np.int64(-(1 << 63) + 1)
_PART_ROWS = 1 << 20


class TapeRows(NamedTuple):
    """A tape's columns, see `TapeColumns`, with the index of its rows (empty when it has none)."""

    ts: IntColumn
    kind: ByteColumn
    side: ByteColumn
    px: IntColumn
    qty: IntColumn
    bid: IntColumn
    ask: IntColumn
    bid_qty: IntColumn
    ask_qty: IntColumn
    blocks: IndexTable


def level_sizes(rows: int) -> list[int]:
    """Blocks of each level of a tape with `rows` rows, down to the level with a single block."""
    sizes = []
    while rows > 1:
        rows = (rows + BLOCK - 1) >> BLOCK_BITS
        sizes.append(rows)
    return sizes


def build_index(columns: TapeColumns) -> IndexTable:
    """The index of a tape's rows. Reads each column once; needs memory for the index only."""
    rows = len(columns.ts)
    sizes = level_sizes(rows)
    table = np.empty((sum(sizes), WIDTH), dtype=np.int64)
    for start in range(0, rows, _PART_ROWS):
        end = min(rows, start + _PART_ROWS)
        part = TapeColumns._make(column[start:end] for column in columns)
        blocks = (end - start + BLOCK - 1) >> BLOCK_BITS
        first = start >> BLOCK_BITS
        _summarise_rows(part, table[first : first + blocks])
    start = 0
    for below, above in pairwise(sizes):
        _summarise_blocks(table[start : start + below], table[start + below :][:above])
        start += below
    table.flags.writeable = False
    return table


def _summarise_rows(part: TapeColumns, into: IndexTable) -> None:
    starts = np.arange(0, len(part.ts), BLOCK)
    trade = part.kind == RowKind.TRADE
    columns: list[tuple[int, np.ufunc, IntColumn]] = [
        (BID_MIN, np.minimum, part.bid),
        (BID_MAX, np.maximum, part.bid),
        (ASK_MIN, np.minimum, part.ask),
        (ASK_MAX, np.maximum, part.ask),
        (PX_MIN, np.minimum, np.where(trade, part.px, _ABOVE_ALL)),
        (PX_MAX, np.maximum, np.where(trade, part.px, _BELOW_ALL)),
    ]
    for column, ufunc, values in columns:
        into[:, column] = ufunc.reduceat(values, starts)
    status = part.kind >= RowKind.OPEN
    into[:, HAS_STATUS] = np.logical_or.reduceat(status, starts)


def _summarise_blocks(below: IndexTable, into: IndexTable) -> None:
    starts = np.arange(0, len(below), BLOCK)
    for column in range(WIDTH):
        ufunc = np.minimum if column in (BID_MIN, ASK_MIN, PX_MIN) else np.maximum
        into[:, column] = ufunc.reduceat(below[:, column], starts)
