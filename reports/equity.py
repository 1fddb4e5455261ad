"""Equity over time: cash plus open positions at the mid, at every change and on a grid of times."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from broker_api.instrument import Instrument
from data.tape import Tape
from reports.prices import NO_MID, Ints, mids_at
from reports.run import RunRecord

GRID_POINTS = 2_000
"""Equal steps from the run's start to its end at which equity is valued beside every change."""


class Steps(NamedTuple):
    """Changes of cash and positions, one element each: time, cash after it, and the instrument's
    lots and cost (ticks x lots) after it, with the price of the fill (0 where it was none)."""

    ts: Ints
    cash_nanos: Ints
    instrument: Ints
    lots: Ints
    cost: Ints
    price_ticks: Ints


class EquitySeries(NamedTuple):
    """Equity in 1e-9 currency at times in epoch ns; the first element is the start."""

    ts: Ints
    nanos: Ints


class Drawdown(NamedTuple):
    """The deepest fall: `nanos` below the peak (negative or 0), `share` of the peak, and when."""

    nanos: int
    share: float
    peak_ns: int
    trough_ns: int


def equity_series(run: RunRecord, steps: Steps) -> tuple[EquitySeries, tuple[str, ...]]:
    """Equity of the run, and notes on how it had to be valued.

    It begins with the starting cash. Between two of its times equity moves unseen.
    """
    grid = np.linspace(run.start_ns, run.end_ns, GRID_POINTS + 1)
    whole = np.clip(np.rint(grid).astype(np.int64), run.start_ns, run.end_ns)
    ts = np.unique(np.concatenate([whole, [run.start_ns, run.end_ns], steps.ts]))
    ts = ts[ts >= run.start_ns]
    cash = _value_at(steps.ts, steps.cash_nanos, ts, run.cash_nanos)
    total = cash
    notes: list[str] = []
    for index, spec in enumerate(run.instruments):
        own = steps.instrument == index
        mine = Steps(*(column[own] for column in steps))
        if not mine.lots.any():
            continue
        tape = run.tapes[index]
        if tape is None:
            notes.append(
                f"{spec.symbol}: the tape is not there any more; open positions are valued at the "
                "price of the last fill, and there is no chart of its price."
            )
        total = total + _open_profit(spec, tape, mine, ts)
    start = np.array([run.start_ns], dtype=np.int64), np.array([run.cash_nanos], dtype=np.int64)
    series = EquitySeries(np.concatenate([start[0], ts]), np.concatenate([start[1], total]))
    return series, tuple(notes)


def _value_at(step_ts: Ints, values: Ints, ts: Ints, before: int) -> Ints:
    """The value in force at each time: of the last change at or before it."""
    index = np.searchsorted(step_ts, ts, side="right")
    return np.concatenate([np.array([before], dtype=np.int64), values])[index]


def _open_profit(spec: Instrument, tape: Tape | None, steps: Steps, ts: Ints) -> Ints:
    lots = _value_at(steps.ts, steps.lots, ts, 0)
    cost = _value_at(steps.ts, steps.cost, ts, 0)
    fills = steps.price_ticks != 0
    twice_price = 2 * _value_at(steps.ts[fills], steps.price_ticks[fills], ts, 0)
    if tape is not None:
        mids = mids_at(tape, ts)
        twice_price = np.where(mids == NO_MID, twice_price, mids)
    # Floats hold the product: 2**53 of 1e-9 is nine million of currency to the last nano.
    ticks = (lots * twice_price - 2 * cost) / 2
    return np.rint(ticks * spec.tick_value_nanos).astype(np.int64)


def profits_in(series: EquitySeries, start_ns: int, end_ns: int, periods: int) -> Ints:
    """What equity won or lost in each of so many equal stretches from a time to another.

    Equity is that of the last known time at or before; before the first it is the first.
    """
    times = np.linspace(start_ns, end_ns, periods + 1).astype(np.int64)
    at = np.maximum(np.searchsorted(series.ts, times, side="right") - 1, 0)
    return np.diff(series.nanos[at])


def drawdowns(series: EquitySeries) -> Ints:
    """How far equity lies below its highest value so far: 0 or negative."""
    return series.nanos - np.maximum.accumulate(series.nanos)


def max_drawdown(series: EquitySeries) -> Drawdown:
    """The deepest fall of equity from a peak."""
    depth = drawdowns(series)
    trough = int(np.argmin(depth))
    peak = int(np.argmax(series.nanos[: trough + 1]))
    height = int(series.nanos[peak])
    share = -int(depth[trough]) / height if height > 0 else 0.0
    return Drawdown(int(depth[trough]), share, int(series.ts[peak]), int(series.ts[trough]))
