"""Bars from ticks, 1 second to 1 day.

A bar's time is its start; bars are aligned to the epoch (UTC), so a bar of a day is a UTC day. A
stretch of time without a trade makes no bar.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from data.schema import NANO, ROWS_OF_BAR, IntColumn, RowKind
from data.tape import Tape

SHORTEST_NS = NANO
LONGEST_NS = 86_400 * NANO


class Bars(NamedTuple):
    """Bars as parallel columns: start `ts` in ns, prices in ticks, `volume` in lots, `count`
    trades.

    Made from mids (rounded down to the tick) where a tape has no trades: then volume is 0 and
    `count` is the number of rows.
    """

    ts: IntColumn
    open: IntColumn
    high: IntColumn
    low: IntColumn
    close: IntColumn
    volume: IntColumn
    trades: IntColumn


def check_interval(interval_ns: int) -> None:
    """Raise ValueError for a bar shorter than a second or longer than a day."""
    if not SHORTEST_NS <= interval_ns <= LONGEST_NS:
        raise ValueError(f"time frame {interval_ns} ns: bars are from 1 second to 1 day long")


def bars_from_tape(
    tape: Tape, interval_ns: int, start_ns: int | None = None, end_ns: int | None = None
) -> Bars:
    """Bars of what happened at `start_ns` <= time < `end_ns`; None is the tape's own end.

    Cost grows with the rows between the two times. The first and last bar hold only what is inside.
    """
    check_interval(interval_ns)
    ts = tape.columns.ts
    first = 0 if start_ns is None else int(np.searchsorted(ts, start_ns, side="left"))
    last = len(ts) if end_ns is None else int(np.searchsorted(ts, end_ns, side="left"))
    last = max(first, last)
    if interval_ns == tape.bar_interval_ns and first % ROWS_OF_BAR == last % ROWS_OF_BAR == 0:
        starts = ts[first:last:ROWS_OF_BAR]
        if not (starts % interval_ns).any():
            return _bars_of_rows(tape, first, last)
    times, prices, sizes = _ticks(tape, first, last)
    if not len(times):
        return Bars._make(np.zeros(0, dtype=np.int64) for _ in Bars._fields)
    buckets = times // interval_ns
    opens = np.flatnonzero(np.concatenate([[True], buckets[1:] != buckets[:-1]]))
    closes = np.append(opens[1:], len(times)) - 1
    return Bars(
        ts=buckets[opens] * interval_ns,
        open=prices[opens],
        high=np.maximum.reduceat(prices, opens),
        low=np.minimum.reduceat(prices, opens),
        close=prices[closes],
        volume=np.add.reduceat(sizes, opens),
        trades=closes - opens + 1,
    )


def _bars_of_rows(tape: Tape, first: int, last: int) -> Bars:
    """The bars that a tape was made of, from four rows each."""
    rows, shape = slice(first, last), (-1, ROWS_OF_BAR)
    prices, sizes = (column[rows].reshape(shape) for column in (tape.columns.px, tape.columns.qty))
    opens, one, other, closes = (prices[:, place] for place in range(ROWS_OF_BAR))
    return Bars(
        ts=tape.columns.ts[first:last:ROWS_OF_BAR],
        open=opens,
        high=np.maximum(one, other),
        low=np.minimum(one, other),
        close=closes,
        volume=np.add.reduce([sizes[:, place] for place in range(ROWS_OF_BAR)]),
        trades=np.full(len(prices), ROWS_OF_BAR, dtype=np.int64),
    )


def _ticks(tape: Tape, first: int, last: int) -> tuple[IntColumn, IntColumn, IntColumn]:
    """Time, price and size of the trades among the rows, or of the mids on a tape without
    trades."""
    columns = tape.columns
    rows = slice(first, last)
    ts, kind = columns.ts[rows], columns.kind[rows]
    if tape.has_trades:
        trades = kind == RowKind.TRADE
        if trades.all():
            return ts, columns.px[rows], columns.qty[rows]
        return ts[trades], columns.px[rows][trades], columns.qty[rows][trades]
    both = (columns.bid_qty[rows] > 0) & (columns.ask_qty[rows] > 0)
    mids = (columns.bid[rows][both] + columns.ask[rows][both]) // 2
    return ts[both], mids, np.zeros(len(mids), dtype=np.int64)
