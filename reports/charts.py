"""The chart of a run as plain numbers for the page: prices, fills, trades, brackets, equity.

Times are milliseconds, as the browser's chart library has them; those of fills and brackets count
from the start and their prices are ticks, a price line is differences in whole milliseconds and
half ticks: a third of the text. Lines from entry to exit are drawn from the table of trades.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from broker_api.instrument import NANOS, Instrument
from broker_api.order import Liquidity, Side
from data.tape import Tape
from reports.brackets import BracketLife, bracket_lives, bracket_row, since
from reports.equity import drawdowns
from reports.lives import OrderLife
from reports.metrics import Fill, Metrics
from reports.prices import NO_MID, Ints, PriceLine, extremes, mids_at, price_line
from reports.run import RunRecord
from reports.text import cents

LINE_BUCKETS = 1_200
"""Stretches of equity and drawdown, each with its first, lowest, highest and last value."""
PRICE_BUCKETS = 4_000
"""Stretches of a price line: it is looked at closely."""
MARKS_MAX = 50_000
"""Fills and brackets in the chart; later ones are not drawn."""


def chart_data(
    run: RunRecord, metrics: Metrics, lives: Mapping[int, OrderLife]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What the page draws, and notes on what it leaves out."""
    notes: list[str] = []
    brackets = bracket_lives(lives, run.end_ns)[:MARKS_MAX]
    panels = []
    for index, spec in enumerate(run.instruments):
        mine = [bracket for bracket in brackets if bracket.instrument == index]
        panel = _panel(run, metrics, index, spec, mine, notes)
        if panel is not None:
            panels.append(panel)
    if len(metrics.fills) > MARKS_MAX:
        notes.append(f"The chart shows the first {MARKS_MAX:,} of {len(metrics.fills):,} fills.")
    data = {
        "currency": run.currency,
        "range": time_range(run),
        "panels": panels,
        "equity": [equity_line(run, metrics, "equity", "--equity")],
        "drawdown": [drawdown_line(run, metrics, "drawdown", "--bad")],
    }
    return data, tuple(notes)


def time_range(*runs: RunRecord) -> list[float]:
    """From the first start to the last end, in ms; a millisecond at least."""
    start, end = min(run.start_ns for run in runs), max(run.end_ns for run in runs)
    return [start / 1e6, max(end, start + 1_000_000) / 1e6]


def equity_line(run: RunRecord, metrics: Metrics, name: str, colour: str) -> dict[str, Any]:
    """Equity over time."""
    return _money_line(run, metrics.equity.ts, metrics.equity.nanos, name, colour)


def drawdown_line(run: RunRecord, metrics: Metrics, name: str, colour: str) -> dict[str, Any]:
    """How far equity lies below its peak, over time."""
    return _money_line(run, metrics.equity.ts, drawdowns(metrics.equity), name, colour)


def _money_line(run: RunRecord, ts: Ints, nanos: Ints, name: str, colour: str) -> dict[str, Any]:
    keep = extremes(ts, nanos, run.start_ns, run.end_ns, LINE_BUCKETS)
    line = {"x": _ms(ts[keep]), "y": _amounts(nanos[keep])}
    return {"name": name, "colour": colour, **line}


def _panel(
    run: RunRecord,
    metrics: Metrics,
    index: int,
    spec: Instrument,
    brackets: Sequence[BracketLife],
    notes: list[str],
) -> dict[str, Any] | None:
    """One instrument's price with its fills and trades; None when there is nothing to draw."""
    tape = run.tapes[index]
    fills = [fill for fill in metrics.fills[:MARKS_MAX] if fill.instrument == index]
    if tape is None and not fills:
        return None
    return {
        "symbol": spec.symbol,
        "digits": spec.price_digits,
        "tick": float(spec.tick_size),
        "price": drawn_price(run, index, notes),
        "fills": [fill_row(spec, fill, run.start_ns) for fill in fills],
        "brackets": [bracket_row(bracket, run.start_ns) for bracket in brackets],
    }


def drawn_price(run: RunRecord, index: int, notes: list[str]) -> dict[str, Any]:
    """The mid of an instrument over the run: start in ms, then differences in ms and half ticks."""
    tape = run.tapes[index]
    if tape is None:
        return {"start": 0, "steps": [], "moves": []}
    line = price_line(tape, run.start_ns, run.end_ns, PRICE_BUCKETS)
    if line.stride > 1:
        symbol = run.instruments[index].symbol
        notes.append(f"{symbol}: the price line is made from every {line.stride}th row.")
    ts, mids = _held(run, tape, line)
    whole = ts // 1_000_000
    start = int(whole[0]) if len(whole) else 0
    return {
        "start": start,
        "steps": np.diff(whole, prepend=start).tolist(),
        "moves": np.diff(mids, prepend=0).tolist(),
    }


def _held(run: RunRecord, tape: Tape, line: PriceLine) -> tuple[Ints, Ints]:
    """The line from the run's start to its end: a price holds until the next one."""
    ends = np.array([run.start_ns, run.end_ns], dtype=np.int64)
    first, last = mids_at(tape, ends)
    ts, mids = line.ts, line.twice_mid
    if first != NO_MID and (not len(ts) or ts[0] > run.start_ns):
        ts, mids = np.insert(ts, 0, run.start_ns), np.insert(mids, 0, first)
    if last != NO_MID and ts[-1] < run.end_ns:
        ts, mids = np.append(ts, run.end_ns), np.append(mids, last)
    return ts, mids


def fill_kind(fill: Fill) -> int:
    """0 buys and opens, 1 sells and opens, 2 buys and closes, 3 sells and closes."""
    return (0 if fill.side is Side.BUY else 1) + (0 if fill.is_entry else 2)


def fill_row(spec: Instrument, fill: Fill, start_ns: int) -> list[Any]:
    """Time in ms from the start, price in ticks, kind, size, order, maker, fee, ambiguous."""
    return [
        since(fill.ts_ns, start_ns),
        fill.price_ticks,
        fill_kind(fill),
        spec.format_size(fill.lots),
        fill.order_id,
        int(fill.liquidity is Liquidity.MAKER),
        cents(fill.fee_nanos),
        int(fill.is_ambiguous),
    ]


def _ms(ts: Ints) -> list[float]:
    return [float(value) for value in ts / 1e6]


def _amounts(nanos: Ints) -> list[float]:
    return [round(float(value), 2) for value in np.asarray(nanos) / NANOS]
