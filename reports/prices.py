"""Prices from a tape for reports: the mid at a time, its range over a stretch, a line to draw.

The mid is kept as twice its ticks (bid + ask), an integer. A tape without quotes gives its trades'
prices instead.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data.schema import RowKind
from data.tape import Tape

Ints = npt.NDArray[np.int64]

NO_MID = np.iinfo(np.int64).min
"""Twice the mid where there is none yet."""
SCANNED_ROWS_MAX = 20_000_000
"""Rows that a drawn line is made from; of a longer stretch every n-th row is looked at."""


class PriceLine(NamedTuple):
    """A line to draw: times (epoch ns) and twice the mid in ticks; `stride` n: every n-th row."""

    ts: Ints
    twice_mid: Ints
    stride: int


def _twice_mids(tape: Tape, rows: slice) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Twice the price of some rows, and where it is one."""
    columns = tape.columns
    if tape.has_quotes:
        valid = (columns.bid_qty[rows] > 0) & (columns.ask_qty[rows] > 0)
        return columns.bid[rows] + columns.ask[rows], valid
    return 2 * columns.px[rows], columns.kind[rows] == RowKind.TRADE


def mids_at(tape: Tape, times: Ints) -> Ints:
    """Twice the mid in force at each time (the last row with both sides), NO_MID before the first.

    Costs a binary search a time, and steps back over rows where a side is empty.
    """
    rows = _priced_rows(tape, times)
    columns = tape.columns
    twice = columns.bid[rows] + columns.ask[rows] if tape.has_quotes else 2 * columns.px[rows]
    return np.where(rows < 0, NO_MID, twice)


def touches_at(tape: Tape, times: Ints) -> tuple[Ints, Ints]:
    """Bid and ask in ticks in force at each time, NO_MID before the first row with both sides.

    Of a tape without quotes both are the last print's price.
    """
    rows = _priced_rows(tape, times)
    columns = tape.columns
    sides = (columns.bid, columns.ask) if tape.has_quotes else (columns.px, columns.px)
    bid, ask = (np.where(rows < 0, NO_MID, side[rows]) for side in sides)
    return bid, ask


def _priced_rows(tape: Tape, times: Ints) -> Ints:
    """The last row with a price at or before each time, -1 before the first."""
    index = np.searchsorted(tape.columns.ts, times, side="right") - 1
    pending = np.flatnonzero(index >= 0)
    while len(pending):
        rows = index[pending]
        if tape.has_quotes:
            columns = tape.columns
            valid = (columns.bid_qty[rows] > 0) & (columns.ask_qty[rows] > 0)
        else:
            valid = tape.columns.kind[rows] == RowKind.TRADE
        pending = pending[~valid]
        index[pending] -= 1
        pending = pending[index[pending] >= 0]
    return index.astype(np.int64)


def mid_range(tape: Tape, start_ns: int, end_ns: int) -> tuple[int, int] | None:
    """Twice the lowest and highest mid from start to end, both included; None without any."""
    ts = tape.columns.ts
    first = max(0, int(np.searchsorted(ts, start_ns, side="right")) - 1)
    last = int(np.searchsorted(ts, end_ns, side="right"))
    values, valid = _twice_mids(tape, slice(first, last))
    values = values[valid]
    return (int(values.min()), int(values.max())) if len(values) else None


def price_line(tape: Tape, start_ns: int, end_ns: int, buckets: int) -> PriceLine:
    """First, lowest, highest and last mid of each of `buckets` equal stretches, in time order.

    A long line keeps its extremes that way; of more than SCANNED_ROWS_MAX rows only every n-th is
    looked at.
    """
    ts = tape.columns.ts
    first = int(np.searchsorted(ts, start_ns, side="left"))
    last = int(np.searchsorted(ts, end_ns, side="right"))
    stride = 1 + max(0, last - first - 1) // SCANNED_ROWS_MAX
    rows = slice(first, last, stride)
    values, valid = _twice_mids(tape, rows)
    times, values = ts[rows][valid], values[valid]
    keep = extremes(times, values, start_ns, end_ns, buckets)
    return PriceLine(np.asarray(times[keep]), values[keep], stride)


def extremes(times: Ints, values: Ints, start_ns: int, end_ns: int, buckets: int) -> Ints:
    """Indices of the first, lowest, highest and last value of each stretch, ascending, unique."""
    if not len(times):
        return np.zeros(0, dtype=np.int64)
    width = max(1, -(-(end_ns - start_ns + 1) // buckets))
    bucket = (times - start_ns) // width
    starts = np.flatnonzero(np.concatenate([[True], bucket[1:] != bucket[:-1]]))
    ends = np.append(starts[1:], len(times))
    keep = [starts, ends - 1]
    group = np.repeat(np.arange(len(starts)), ends - starts)
    for extreme in (np.minimum, np.maximum):
        hit = np.flatnonzero(values == extreme.reduceat(values, starts)[group])
        keep.append(hit[np.searchsorted(hit, starts)])
    return np.unique(np.concatenate(keep)).astype(np.int64)
