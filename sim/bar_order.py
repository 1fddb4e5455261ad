"""Which extreme of a bar comes first, decided while a run goes on, and what its market shows.

Bars do not tell, and some answers depend on the position at the time (`bar_path`). Positions change
only where something is published or a command arrives, and the exchange comes by here after both:
so the bars ahead are put in order for the position as it is, and those behind stay as they were.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from broker_api.config import SimulationConfig
from data.schema import ROWS_OF_BAR, IntColumn, Mask
from data.tape import Tape

_BARS_AHEAD = 1024
_FLAT = 0


class BarOrder:
    """A run's own copy of a tape of bars: its prices in the order in which the run meets them."""

    def __init__(self, tape: Tape, simulation: SimulationConfig) -> None:
        columns = tape.columns
        px = columns.px.copy()
        bid = px - simulation.spread_ticks // 2
        ask = bid + simulation.spread_ticks
        self._bars = [column.reshape(-1, ROWS_OF_BAR) for column in (px, bid, ask)]
        self._ts = columns.ts
        self._wanted = _low_first(self._bars[0], simulation.bar_path)
        self._low_first: Mask = np.zeros(len(px) // ROWS_OF_BAR, dtype=np.bool_)
        self._sign = _FLAT
        self._ready = 0
        shown = [bars.reshape(-1) for bars in self._bars]
        for column in shown:
            column.flags.writeable = columns.px.flags.writeable
        px, bid, ask = shown
        self.tape = replace(tape, columns=columns._replace(px=px, bid=bid, ask=ask))

    def prepare(self, position: int, cursor: int, until_ns: int) -> int:
        """Put the bars behind row `cursor` in order for a position; returns up to what time they
        are, `until_ns` at most."""
        sign = (position > 0) - (position < 0)
        # A bar may still be turned while only its open has been met.
        first = (cursor + ROWS_OF_BAR - 1) // ROWS_OF_BAR
        if sign != self._sign:
            self._sign, self._ready = sign, first
        if self._ready < first:
            # The run began here: a bar under way goes on as it must have begun.
            self._turn(self._ready, first)
        bars = len(self._low_first)
        while self._ready < bars and self._ts[self._ready * ROWS_OF_BAR] <= until_ns:
            if self._ready >= first + _BARS_AHEAD:
                return int(self._ts[self._ready * ROWS_OF_BAR]) - 1
            self._turn(self._ready, min(bars, first + _BARS_AHEAD))
        return until_ns

    def _turn(self, first: int, end: int) -> None:
        """Swap the extremes of the bars that stand in the wrong order."""
        wanted = self._wanted[self._sign][first:end]
        wrong = np.flatnonzero(self._low_first[first:end] != wanted) + first
        for bars in self._bars:
            bars[wrong, 1], bars[wrong, 2] = bars[wrong, 2], bars[wrong, 1]
        self._low_first[first:end] = wanted
        self._ready = end


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
