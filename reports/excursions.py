"""The worst and the best open profit of trades on their way, from the tapes: MAE and MFE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from broker_api.instrument import Instrument
from reports.metrics import Trade
from reports.prices import mid_range
from reports.run import RunRecord

EXCURSION_ROWS_MAX = 50_000_000
"""Rows of tape that the excursions of all trades may cover together; beyond, they are left out."""


def with_excursions(
    run: RunRecord, trades: Sequence[Trade]
) -> tuple[tuple[Trade, ...], tuple[str, ...]]:
    """The trades with their worst and best open profit on the way, and what is to be said of it."""
    rows = 0
    for trade in trades:
        tape = run.tapes[trade.instrument]
        if tape is not None:
            first, last = np.searchsorted(tape.columns.ts, (trade.entry_ns, trade.exit_ns))
            rows += int(last - first)
    if rows > EXCURSION_ROWS_MAX:
        note = f"Excursions of trades are left out: they would cover {rows:,} rows of tape."
        return tuple(trades), (note,)
    return tuple(_excursion(run, trade) for trade in trades), ()


def _excursion(run: RunRecord, trade: Trade) -> Trade:
    tape = run.tapes[trade.instrument]
    if tape is None:
        return trade
    found = mid_range(tape, trade.entry_ns, trade.exit_ns)
    if found is None:
        return trade
    spec = run.instruments[trade.instrument]
    at_extremes = [_open_profit(trade, spec, twice_mid) for twice_mid in found]
    ends = (0, trade.gross_nanos, *at_extremes)
    return replace(trade, worst_nanos=min(ends), best_nanos=max(ends))


def _open_profit(trade: Trade, spec: Instrument, twice_mid: int) -> int:
    twice_ticks = trade.side.sign * (twice_mid * trade.lots - 2 * trade.entry_cost)
    return twice_ticks * spec.tick_value_nanos // 2
