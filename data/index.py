"""The block index of a tape: minima and maxima, so that a search skips what cannot concern it.

Rows are grouped in blocks of 64, those in blocks of 64 blocks, and so on. For each block the index
holds the lowest and highest bid, ask and trade price in it, and whether it has a row that is
neither quote nor trade. A search for the next row at or beyond a price looks at one block's summary
in place of its rows, so a jump over millions of rows costs a few hundred looks.

Here is its layout only, which compiled code is made for; `data.summary` builds it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data.schema import ByteColumn, IntColumn

IndexTable = npt.NDArray[np.int64]
"""Shape (blocks of all levels, 7): the first level's blocks, then the second's, and so on."""

BLOCK_BITS = 6
BLOCK = 1 << BLOCK_BITS
"""Rows, or blocks of the level below, in a block."""
BID_MIN, BID_MAX, ASK_MIN, ASK_MAX, PX_MIN, PX_MAX, HAS_STATUS = range(7)
"""The table's columns; trade prices of a block without trades are above and below all."""
WIDTH = 7


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
