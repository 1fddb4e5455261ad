"""Searching a tape through its block index: the next row that concerns someone, the last that did.

A block whose summary rules out a hit is skipped with one look; blocks of blocks likewise, so the
cost of a jump grows with the logarithm of its length. `data.index` describes the table. A tape
without an index is searched row by row.
"""

from __future__ import annotations

from data.index import (
    ASK_MAX,
    ASK_MIN,
    BID_MAX,
    BID_MIN,
    BLOCK,
    BLOCK_BITS,
    HAS_STATUS,
    PX_MAX,
    PX_MIN,
    TapeRows,
)
from sim.book import ROW_OPEN, ROW_TRADE, ZERO, i8, njit

_BLOCK, _BITS = i8(BLOCK), i8(BLOCK_BITS)
_INSIDE = i8(BLOCK - 1)
BID_MIN_AT, BID_MAX_AT, ASK_MIN_AT = i8(BID_MIN), i8(BID_MAX), i8(ASK_MIN)
ASK_MAX_AT, PX_MIN_AT, PX_MAX_AT = i8(ASK_MAX), i8(PX_MIN), i8(PX_MAX)
NO, YES, ONE = i8(0), i8(1), i8(1)


@njit
def last_row_at(tape: TapeRows, cursor: int, ts_ns: int) -> int:
    """The newest row at or before a time, at least `cursor`: by doubling steps from there."""
    ts = tape.ts
    known, step, rows = cursor, ONE, len(tape.ts)
    while known + step < rows and ts[known + step] <= ts_ns:
        known += step
        step *= 2
    beyond = min(rows, known + step)
    while beyond - known > 1:
        middle = (known + beyond) // 2
        if ts[middle] <= ts_ns:
            known = middle
        else:
            beyond = middle
    return known


@njit
def next_hit(
    tape: TapeRows,
    start: int,
    end: int,
    bid_le: int,
    bid_ge: int,
    ask_le: int,
    ask_ge: int,
    last_le: int,
    last_ge: int,
) -> int:
    """The first row in start..end with a status, or with a price at or beyond a threshold.

    `end` + 1 when there is none.
    """
    kind, px, bid, ask = tape.kind, tape.px, tape.bid, tape.ask
    has_index = len(tape.blocks) > 0
    row = start
    while row <= end:
        if has_index and row & _INSIDE == 0:
            jumped = row + clear_rows(tape, row, bid_le, bid_ge, ask_le, ask_ge, last_le, last_ge)
            if jumped > row:
                row = jumped
                continue
        stop = min(end, row | _INSIDE) + 1
        while row < stop:
            if kind[row] >= ROW_OPEN:
                return row
            if kind[row] == ROW_TRADE and (px[row] <= last_le or px[row] >= last_ge):
                return row
            if bid[row] <= bid_le or ask[row] >= ask_ge or ask[row] <= ask_le or bid[row] >= bid_ge:
                return row
            row += 1
    return end + 1


@njit
def clear_rows(
    tape: TapeRows,
    row: int,
    bid_le: int,
    bid_ge: int,
    ask_le: int,
    ask_ge: int,
    last_le: int,
    last_ge: int,
) -> int:
    """How many rows from a block's first on are known to hold no hit; 0 when the block may."""
    index = tape.blocks
    block, level_start, blocks = row >> _BITS, ZERO, (len(tape.ts) + _INSIDE) >> _BITS
    size, clear = _BLOCK, ZERO
    while True:
        at = level_start + block
        if (
            index[at, HAS_STATUS]
            or index[at, BID_MIN] <= bid_le
            or index[at, BID_MAX] >= bid_ge
            or index[at, ASK_MIN] <= ask_le
            or index[at, ASK_MAX] >= ask_ge
            or index[at, PX_MIN] <= last_le
            or index[at, PX_MAX] >= last_ge
        ):
            return clear
        clear = size
        if block & _INSIDE or blocks <= 1:
            return clear
        level_start += blocks
        blocks = (blocks + _INSIDE) >> _BITS
        block >>= _BITS
        size <<= _BITS


@njit
def last_trade_row(tape: TapeRows, row: int, first: int) -> int:
    """The newest row in first..row that is a trade, `first` - 1 when there is none."""
    while row >= first:
        if len(tape.blocks) > 0 and row & _INSIDE == _INSIDE:
            clear = clear_rows_back(tape, row, PX_MIN_AT, PX_MAX_AT, ZERO, NO)
            if clear > 0:
                row -= clear
                continue
        if tape.kind[row] == ROW_TRADE:
            return row
        row -= 1
    return first - 1


@njit
def last_row_showing(tape: TapeRows, row: int, first: int, sign: int, price: int) -> int:
    """The newest row in first..row whose bid (of a buyer), or ask, is `price` and not empty.

    `first` - 1 when there is none.
    """
    low, high = (BID_MIN_AT, BID_MAX_AT) if sign > 0 else (ASK_MIN_AT, ASK_MAX_AT)
    touch = tape.bid if sign > 0 else tape.ask
    lots = tape.bid_qty if sign > 0 else tape.ask_qty
    while row >= first:
        if len(tape.blocks) > 0 and row & _INSIDE == _INSIDE:
            clear = clear_rows_back(tape, row, low, high, price, YES)
            if clear > 0:
                row -= clear
                continue
        if touch[row] == price and lots[row] > 0:
            return row
        row -= 1
    return first - 1


@njit
def clear_rows_back(
    tape: TapeRows, row: int, low: int, high: int, price: int, at_price: int
) -> int:
    """How many rows from a block's last one back are known to hold no hit; 0 when the block may.

    A block may have a hit when `price` lies between its columns `low` and `high`; without
    `at_price` when any price does.
    """
    index = tape.blocks
    block, level_start, blocks = row >> _BITS, ZERO, (len(tape.ts) + _INSIDE) >> _BITS
    size, clear = _BLOCK, ZERO
    while True:
        lowest, highest = index[level_start + block, low], index[level_start + block, high]
        if lowest <= highest and (not at_price or lowest <= price <= highest):
            return clear
        clear = size
        if block & _INSIDE != _INSIDE or blocks <= 1:
            return clear
        level_start += blocks
        blocks = (blocks + _INSIDE) >> _BITS
        block >>= _BITS
        size <<= _BITS
