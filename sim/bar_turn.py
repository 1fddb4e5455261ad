"""Which extreme of the bars ahead comes first: turned in place as the position changes.

Compiled, because a position of a busy strategy changes often and each time some bars are turned;
`bar_order.py` prepares what this works on and says what the rules are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data.schema import ROWS_OF_BAR, IntColumn
from sim.book import ZERO, entry, i8, njit
from sim.handles import TapeHandle, rows_of

BARS_AHEAD = i8(16)
"""So many bars at once, and as many as the position has stayed for: of those beyond nobody knows
the position yet."""
ROWS = i8(ROWS_OF_BAR)
SIGN, READY, SINCE = i8(0), i8(1), i8(2)
"""Places in `state`: the position's sign that bars are turned for, the first bar that is not, and
the first that was."""
STATE_WIDTH = 3
_ONE = i8(1)
_HIGH, _LOW = i8(1), i8(2)
"""The rows of a bar between open and close, when the high comes first."""


Column = IntColumn
Table = IntColumn
"""An int64 array of two dimensions."""
Flags = npt.NDArray[Any]
"""An array of int8."""
FlagTable = npt.NDArray[Any]
"""An array of int8 with two dimensions."""


class BarPaths(NamedTuple):
    """A run's bars: prices of shape (bars, 4), and what decides their order.

    `wanted[sign + 1]` tells of each bar whether its low comes first, `low_first` whether it does.
    """

    px: Table
    bid: Table
    ask: Table
    wanted: FlagTable
    low_first: Flags
    state: Column


@njit
def turn(paths: BarPaths, first: int, end: int) -> None:
    """Swap the extremes of the bars that stand in the wrong order."""
    wanted, stands = paths.wanted[paths.state[SIGN] + 1], paths.low_first
    for bar in range(first, end):
        if stands[bar] != wanted[bar]:
            for column in (paths.px, paths.bid, paths.ask):
                column[bar, _HIGH], column[bar, _LOW] = column[bar, _LOW], column[bar, _HIGH]
            stands[bar] = wanted[bar]
    paths.state[READY] = end


@njit
def take_position(paths: BarPaths, position: int, cursor: int) -> int:
    """The bars behind row `cursor` are turned for a position from now on; returns the first."""
    state, sign = paths.state, ZERO
    if position != 0:
        sign = _ONE if position > 0 else -_ONE
    # A bar may still be turned while only its open has been met.
    first = (cursor + ROWS - 1) // ROWS
    if sign != state[SIGN]:
        state[SIGN] = sign
        state[READY] = first
        state[SINCE] = first
    if state[READY] < first:
        # The run began here: a bar under way goes on as it must have begun.
        turn(paths, state[READY], first)
    return first


@njit
def prepare(paths: BarPaths, ts: IntColumn, position: int, cursor: int, until_ns: int) -> int:
    """Put the bars behind row `cursor` in order for a position; returns up to what time they
    are, `until_ns` at most."""
    state, bars = paths.state, len(paths.low_first)
    first = take_position(paths, position, cursor)
    ahead = first + max(BARS_AHEAD, first - state[SINCE])
    while state[READY] < bars and ts[state[READY] * ROWS] <= until_ns:
        if state[READY] >= ahead:
            decided: int = ts[state[READY] * ROWS] - 1
            return decided
        turn(paths, state[READY], min(bars, ahead))
    return until_ns


@entry
def prepare_bars(
    px: Table,
    bid: Table,
    ask: Table,
    wanted: FlagTable,
    low_first: Flags,
    state: Column,
    handle: TapeHandle,
    position: int,
    cursor: int,
    until_ns: int,
) -> int:
    """See `prepare`; `px` to `state` are the bars (`BarPaths`)."""
    paths = BarPaths(px, bid, ask, wanted, low_first, state)
    return prepare(paths, rows_of(handle).ts, position, cursor, until_ns)


def no_bars() -> BarPaths:
    """Those of a tape of ticks."""
    none = np.zeros((0, ROWS_OF_BAR), dtype=np.int64)
    flags = np.zeros((3, 0), dtype=np.int8)
    return BarPaths(none, none, none, flags, flags[0], np.zeros(STATE_WIDTH, dtype=np.int64))
