"""What a tape says about one price: which rows concern an order there, what traded, what came near.

Pure functions over the tape's columns. Sides are signs: +1 for a buy, -1 for a sell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data.schema import IntColumn, RowKind, TapeColumns

Closed = Sequence[tuple[int, int]]
"""Stretches (first and last instant, ns) in which nothing traded."""


class Near(NamedTuple):
    """How near something came to a price, in ticks, and where and when."""

    ticks: int
    price: int
    ts_ns: int


def own_side(columns: TapeColumns, sign: int) -> tuple[IntColumn, IntColumn]:
    """Best price and size of the side that an order of `sign` rests on."""
    return (columns.bid, columns.bid_qty) if sign > 0 else (columns.ask, columns.ask_qty)


def other_side(columns: TapeColumns, sign: int) -> tuple[IntColumn, IntColumn]:
    """Best price and size of the side that an order of `sign` takes from."""
    return own_side(columns, -sign)


def rows_that_touch(
    columns: TapeColumns, start: int, end: int, sign: int, price: int
) -> npt.NDArray[np.int64]:
    """Rows in start..end-1 that may change an order resting at `price`.

    Prints at the price or through it, a touch of the other side that crosses it, a new touch of the
    own side at the price or fallen behind it, and every row that is neither quote nor print.
    """
    rows = slice(start, end)
    kind, touch, lots = columns.kind[rows], *(side[rows] for side in own_side(columns, sign))
    other, other_lots = (side[rows] for side in other_side(columns, sign))
    printed = (kind == RowKind.TRADE) & ((columns.px[rows] - price) * sign <= 0)
    crossed = (other_lots > 0) & ((other - price) * sign <= 0)
    # A packet's rows are judged at its last one, whichever of them brought the change.
    new = np.ones(end - start, dtype=bool)
    new[1:] = (touch[1:] != touch[:-1]) | (lots[1:] != lots[:-1])
    new[1:] |= columns.ts[start + 1 : end] == columns.ts[start : end - 1]
    reached = new & (lots > 0) & ((touch - price) * sign <= 0)
    found: npt.NDArray[np.int64] = np.flatnonzero(
        printed | crossed | reached | (kind >= RowKind.OPEN)
    )
    return found + start


def is_open(columns: TapeColumns, rows: slice, closed: Closed) -> npt.NDArray[np.bool_]:
    """Which of the rows lie in no closed stretch."""
    ts = columns.ts[rows]
    trading = np.ones(len(ts), dtype=bool)
    for first_ns, last_ns in closed:
        trading &= (ts < first_ns) | (ts > last_ns)
    return trading


@dataclass(frozen=True)
class Traded:
    """What printed around a resting order. Prints of the wrong side took from the other side."""

    prints_at: int = 0
    lots_at: int = 0
    wrong_prints: int = 0
    wrong_lots: int = 0
    prints_through: int = 0
    lots_through: int = 0
    crossed_rows: int = 0
    nearest_print: Near | None = None
    nearest_touch: Near | None = None
    left: int = 0
    returned: int = 0
    was_touch: bool = False

    def plus(self, later: Traded) -> Traded:
        """Both stretches together; the nearer of the two nearest, the earlier of equals."""
        return Traded(
            self.prints_at + later.prints_at,
            self.lots_at + later.lots_at,
            self.wrong_prints + later.wrong_prints,
            self.wrong_lots + later.wrong_lots,
            self.prints_through + later.prints_through,
            self.lots_through + later.lots_through,
            self.crossed_rows + later.crossed_rows,
            nearer(self.nearest_print, later.nearest_print),
            nearer(self.nearest_touch, later.nearest_touch),
            self.left + later.left,
            self.returned + later.returned,
            self.was_touch or later.was_touch,
        )


def nearer(first: Near | None, second: Near | None) -> Near | None:
    """The nearer of two, the first where they are equal."""
    if first is None or second is None:
        return first or second
    return second if second.ticks < first.ticks else first


def traded_around(
    columns: TapeColumns, start: int, end: int, sign: int, price: int, closed: Closed = ()
) -> Traded:
    """What rows start..end-1 brought to an order of `sign` that rests at `price`."""
    if end <= start:
        return Traded()
    rows = slice(start, end)
    trading = is_open(columns, rows, closed)
    distance = (columns.px[rows] - price) * sign
    printed = trading & (columns.kind[rows] == RowKind.TRADE)
    wrong = printed & (distance == 0) & (columns.side[rows] * sign > 0)
    at, through = printed & (distance == 0) & ~wrong, printed & (distance < 0)
    lots = columns.qty[rows]
    other, other_lots = (side[rows] for side in other_side(columns, sign))
    offered = trading & (other_lots > 0) & (columns.kind[rows] <= RowKind.TRADE)
    left, returned, was_touch = _comings_and_goings(columns, rows, sign, price, trading)
    return Traded(
        int(at.sum()),
        int(lots[at].sum()),
        int(wrong.sum()),
        int(lots[wrong].sum()),
        int(through.sum()),
        int(lots[through].sum()),
        int((offered & ((other - price) * sign <= 0)).sum()),
        nearest_of(columns, start, printed & ~wrong, columns.px[rows], distance),
        nearest_of(columns, start, offered, other, (other - price) * sign),
        left,
        returned,
        was_touch,
    )


def nearest_of(
    columns: TapeColumns,
    start: int,
    rows: npt.NDArray[np.bool_],
    prices: IntColumn,
    distances: npt.NDArray[np.int64],
) -> Near | None:
    """The least distance over the marked rows, and the first row that had it."""
    marked = np.flatnonzero(rows)
    if len(marked) == 0:
        return None
    at = int(marked[np.argmin(distances[marked])])
    return Near(int(distances[at]), int(prices[at]), int(columns.ts[start + at]))


def _comings_and_goings(
    columns: TapeColumns, rows: slice, sign: int, price: int, trading: npt.NDArray[np.bool_]
) -> tuple[int, int, bool]:
    """How often a better touch took the price's place, how often it came back, was it the touch."""
    touch, lots = (side[rows] for side in own_side(columns, sign))
    shown = trading & (lots > 0)
    is_best = ((touch - price) * sign <= 0)[shown]
    left = int((is_best[:-1] & ~is_best[1:]).sum())
    returned = int((~is_best[:-1] & is_best[1:]).sum())
    return left, returned, bool((shown & (touch == price)).any())


def last_shown(columns: TapeColumns, row: int, first: int, sign: int, price: int) -> int:
    """The newest row in first..row whose touch on the own side was `price`; -1 for none."""
    touch, lots = own_side(columns, sign)
    end = row + 1
    while end > first:
        start = max(first, end - 65_536)
        found = np.flatnonzero((touch[start:end] == price) & (lots[start:end] > 0))
        if len(found):
            return start + int(found[-1])
        end = start
    return -1


def row_before_packet(columns: TapeColumns, row: int) -> int:
    """The last row of the time before this row's, -1 at the tape's beginning."""
    return int(np.searchsorted(columns.ts, columns.ts[row], side="left")) - 1
