"""What a tape did to an order that waits for its trigger: how near it came, how a stop trailed.

Pure functions over the tape's columns, as `explain_tape`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from broker_api.order import NO_PRICE, TriggerSource
from data.schema import IntColumn, RowKind, TapeColumns
from sim.explain_tape import Closed, Near, is_open, nearer, nearest_of, other_side

_PPM = 1_000_000


class Moved(NamedTuple):
    """A row at which a trailing stop moved: the best price since, and the stop behind it."""

    row: int
    ts_ns: int
    best: int
    stop: int


@dataclass(frozen=True)
class Approach:
    """How near the `source` of an order's trigger came to it, and each move of a trailing stop.

    `to_activation`: what was still away is the price from which a trailing stop trails.
    """

    source: TriggerSource
    nearest: Near | None = None
    to_activation: bool = False
    moves: tuple[Moved, ...] = ()

    def then(self, later: Approach) -> Approach:
        """This one, and one over later rows."""
        near = later.nearest
        if self.to_activation == later.to_activation:
            near = nearer(self.nearest, near)
        return replace(later, nearest=near, moves=self.moves + later.moves)


class Waiting(NamedTuple):
    """A trigger as it is before the first of some rows. `way` is +1 for one that waits for a higher
    price; prices are ticks, NO_PRICE where there is none; `best` is that of a trailing stop."""

    sign: int
    way: int
    trigger: int
    best: int = NO_PRICE
    trail: int = NO_PRICE
    trail_ppm: int = NO_PRICE
    activation: int = NO_PRICE

    @property
    def trails(self) -> bool:
        """True of a trailing stop, active or not."""
        return self.trail != NO_PRICE or self.trail_ppm != NO_PRICE


def approach(
    columns: TapeColumns,
    start: int,
    end: int,
    waiting: Waiting,
    source: TriggerSource,
    tick_nanos: int,
    closed: Closed = (),
) -> Approach:
    """How near rows start..end-1 came to the trigger, and how they moved it."""
    to_activation = waiting.trails and waiting.best == NO_PRICE
    if end <= start:
        return Approach(source, None, to_activation)
    rows = slice(start, end)
    seen, prices = _source(columns, rows, waiting, source, tick_nanos, closed)
    if to_activation:
        away = (prices - waiting.activation) * waiting.sign
        return Approach(source, nearest_of(columns, start, seen, prices, away), True)
    if not waiting.trails:
        away = (waiting.trigger - prices) * waiting.way
        return Approach(source, nearest_of(columns, start, seen, prices, away))
    best, stop = _trailed(waiting, seen, prices)
    near = nearest_of(columns, start, seen, prices, (stop - prices) * waiting.sign)
    moved = np.flatnonzero(np.diff(best, prepend=waiting.best))
    ts = columns.ts[rows]
    moves = (Moved(int(start + at), int(ts[at]), int(best[at]), int(stop[at])) for at in moved)
    return Approach(source, near, False, tuple(moves))


def _source(
    columns: TapeColumns,
    rows: slice,
    waiting: Waiting,
    source: TriggerSource,
    tick_nanos: int,
    closed: Closed,
) -> tuple[npt.NDArray[np.bool_], IntColumn]:
    """The rows that bring a source price, and the prices."""
    trading = is_open(columns, rows, closed)
    kind = columns.kind[rows]
    if source is TriggerSource.LAST:
        return trading & (kind == RowKind.TRADE), columns.px[rows]
    if source is TriggerSource.BID_ASK:
        touch, lots = (side[rows] for side in other_side(columns, waiting.sign))
        return trading & (lots > 0) & (kind <= RowKind.TRADE), touch
    marked = (kind == RowKind.MARK) | ((kind == RowKind.FUNDING) & (columns.px[rows] > 0))
    # A mark between two ticks has reached the nearer one on the trigger's way.
    ticks = columns.px[rows] // tick_nanos
    return trading & marked, ticks if waiting.way > 0 else -(-columns.px[rows] // tick_nanos)


def _trailed(
    waiting: Waiting, seen: npt.NDArray[np.bool_], prices: IntColumn
) -> tuple[IntColumn, IntColumn]:
    """Best price and stop after each row; a stop that follows an average waits for its best."""
    known = np.where(seen, prices, waiting.best) * -waiting.sign
    best = np.maximum.accumulate(np.maximum(known, waiting.best * -waiting.sign)) * -waiting.sign
    distance = np.full(len(best), waiting.trail, dtype=np.int64)
    if waiting.trail == NO_PRICE:
        distance = np.maximum(1, (np.abs(best) * waiting.trail_ppm + _PPM // 2) // _PPM)
    stop = np.where(best == waiting.best, waiting.trigger, best + waiting.sign * distance)
    return best, stop
