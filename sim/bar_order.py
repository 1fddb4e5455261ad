"""Which extreme of a bar comes first, decided while a run goes on, and what its market shows.

Bars do not tell, and some answers depend on the position at the time (`bar_path`). Positions change
only where something is published or a command arrives, and the exchange comes by here after both:
so the bars ahead are put in order for the position as it is, and those behind stay as they were.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_api.config import SimulationConfig
from data.kept import worked_out
from data.schema import ROWS_OF_BAR, IntColumn, Mask, TapeColumns
from data.summary import Stored, build_index, contents_of
from data.tape import Tape
from sim import doors
from sim.bar_turn import STATE_WIDTH, BarPaths
from sim.handles import TapeHandle

_FLAT = 0


class BarOrder:
    """A run's own copy of a tape of bars: its prices in the order in which the run meets them."""

    def __init__(self, tape: Tape, simulation: SimulationConfig) -> None:
        columns = tape.columns
        wanted = worked_out(
            columns,
            ("wanted", simulation.bar_path),
            lambda: _wanted(columns.px.reshape(-1, ROWS_OF_BAR), simulation.bar_path),
        )
        *prices, low_first = _own_copy(columns, simulation.spread_ticks)
        state = np.zeros(STATE_WIDTH, dtype=np.int64)
        bars = [column.reshape(-1, ROWS_OF_BAR) for column in prices]
        self.paths = BarPaths._make([*bars, wanted, low_first[:], state])
        px, bid, ask = (column[:] for column in prices)
        for shown in (px, bid, ask):
            shown.flags.writeable = columns.px.flags.writeable
        copy = columns._replace(px=px, bid=bid, ask=ask)
        blocks, contents = worked_out(
            columns,
            ("known", simulation.spread_ticks),
            lambda: (build_index(copy), contents_of(copy)),
        )
        # A block of the index holds whole bars: it is the same whatever way they are turned.
        stored = Stored(copy, blocks, contents, columns.kind[:0])
        self.tape = replace(tape, columns=copy, stored=stored)

    def prepare(self, handle: TapeHandle, position: int, cursor: int, until_ns: int) -> int:
        """See `bar_turn.prepare`; `handle` is that of `tape`."""
        return int(doors.prepare_bars(*self.paths, handle, position, cursor, until_ns))


def _own_copy(columns: TapeColumns, spread_ticks: int) -> tuple[npt.NDArray[Any], ...]:
    """Prices, bids and asks that no other run has, and of each bar whether its low comes first.

    Those of a run before this one where nobody looks at them any more: memory that is used for the
    first time costs ten times what the copying does.
    """
    kept = worked_out(columns, ("own", spread_ticks), lambda: _copy(columns, spread_ticks))
    # How many references are those of the counting itself differs from one Python to the next.
    *copies, nobodys = (sys.getrefcount(column) for column in kept)
    if max(copies) > nobodys:
        kept = _copy(columns, spread_ticks)
    return kept[:-1]


def _copy(columns: TapeColumns, spread_ticks: int) -> tuple[npt.NDArray[Any], ...]:
    """The four, and one that nobody gets."""
    px = columns.px.copy()
    bid = px - spread_ticks // 2
    low_first = np.zeros(len(px) // ROWS_OF_BAR, dtype=np.int8)
    return px, bid, bid + spread_ticks, low_first, np.zeros(0)


def _wanted(bars: IntColumn, bar_path: str) -> npt.NDArray[np.int8]:
    """`BarPaths.wanted`."""
    low_first = _low_first(bars, bar_path)
    return np.stack([low_first[sign] for sign in (-1, _FLAT, 1)]).astype(np.int8)


def _low_first(bars: IntColumn, bar_path: str) -> dict[int, Mask]:
    """Whether a bar's low comes before its high, by the sign of the position."""
    opens, highs, lows, closes = (bars[:, place] for place in range(ROWS_OF_BAR))
    never: npt.NDArray[np.bool_] = np.zeros(len(bars), dtype=np.bool_)
    if bar_path in ("ohlc", "olhc"):
        return dict.fromkeys((-1, _FLAT, 1), never if bar_path == "ohlc" else ~never)
    down, up = opens - lows, highs - opens
    flat = (down < up) | ((down == up) & (closes >= opens))
    if bar_path == "pessimistic":
        return {-1: never, _FLAT: flat, 1: ~never}
    return {-1: down < up, _FLAT: flat, 1: down <= up}
