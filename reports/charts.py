"""The charts of a run as plain numbers for the page: prices, fills, trades, equity, drawdown.

Times are milliseconds since the epoch, as the browser's chart library has them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from broker_api.instrument import NANOS, Instrument
from broker_api.order import Liquidity, Side
from data.tape import Tape
from reports.equity import drawdowns
from reports.metrics import Fill, Metrics, Trade
from reports.prices import NO_MID, Ints, PriceLine, extremes, mids_at, price_line
from reports.run import RunRecord
from reports.text import moment, money

LINE_BUCKETS = 1_200
"""Stretches of a drawn line, each with its first, lowest, highest and last value."""
MARKS_MAX = 4_000
"""Fills, and lines between entry and exit, that are drawn; the newest ones beyond that are not."""


def chart_data(run: RunRecord, metrics: Metrics) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What the page draws, and notes on what it leaves out."""
    notes: list[str] = []
    panels = []
    for index, spec in enumerate(run.instruments):
        panel = _panel(run, metrics, index, spec, notes)
        if panel is not None:
            panels.append(panel)
    if len(metrics.fills) > MARKS_MAX:
        notes.append(f"The chart shows the first {MARKS_MAX:,} of {len(metrics.fills):,} fills.")
    series = metrics.equity
    keep = extremes(series.ts, series.nanos, run.start_ns, run.end_ns, LINE_BUCKETS)
    fall = drawdowns(series)
    deepest = extremes(series.ts, fall, run.start_ns, run.end_ns, LINE_BUCKETS)
    data = {
        "currency": run.currency,
        "range": [run.start_ns / 1e6, run.end_ns / 1e6],
        "panels": panels,
        "equity": {"x": _ms(series.ts[keep]), "y": _amounts(series.nanos[keep])},
        "drawdown": {"x": _ms(series.ts[deepest]), "y": _amounts(fall[deepest])},
    }
    return data, tuple(notes)


def _panel(
    run: RunRecord, metrics: Metrics, index: int, spec: Instrument, notes: list[str]
) -> dict[str, Any] | None:
    """One instrument's price with its fills and trades; None when there is nothing to draw."""
    tape = run.tapes[index]
    fills = [fill for fill in metrics.fills[:MARKS_MAX] if fill.instrument == index]
    if tape is None and not fills:
        return None
    price: dict[str, list[float]] = {"x": [], "y": []}
    if tape is not None:
        line = price_line(tape, run.start_ns, run.end_ns, LINE_BUCKETS)
        half_tick = float(spec.tick_size) / 2
        digits = spec.price_digits + 1
        ts, mids = _held(run, tape, line)
        price = {"x": _ms(ts), "y": [round(float(v) * half_tick, digits) for v in mids]}
        if line.stride > 1:
            notes.append(f"{spec.symbol}: the price line is made from every {line.stride}th row.")
    trades = [trade for trade in metrics.trades[:MARKS_MAX] if trade.instrument == index]
    return {
        "symbol": spec.symbol,
        "digits": spec.price_digits,
        "price": price,
        "fills": [
            _marks(name, spec, [fill for fill in fills if side_matches(fill)])
            for name, side_matches in _KINDS.items()
        ],
        "won": _links(spec, [trade for trade in trades if trade.net_nanos > 0]),
        "lost": _links(spec, [trade for trade in trades if trade.net_nanos <= 0]),
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


_KINDS: dict[str, Callable[[Fill], bool]] = {
    "buy, opens": lambda fill: fill.side is Side.BUY and fill.is_entry,
    "sell, opens": lambda fill: fill.side is Side.SELL and fill.is_entry,
    "buy, closes": lambda fill: fill.side is Side.BUY and not fill.is_entry,
    "sell, closes": lambda fill: fill.side is Side.SELL and not fill.is_entry,
}


def _marks(name: str, spec: Instrument, fills: list[Fill]) -> dict[str, Any]:
    return {
        "name": name,
        "x": [fill.ts_ns / 1e6 for fill in fills],
        "y": [spec.ticks_to_price(fill.price_ticks) for fill in fills],
        "text": [_fill_text(spec, fill) for fill in fills],
    }


def _fill_text(spec: Instrument, fill: Fill) -> str:
    verb = "bought" if fill.side is Side.BUY else "sold"
    what = f"{verb} {spec.format_size(fill.lots)} at {spec.format_price(fill.price_ticks)}"
    maker = "maker" if fill.liquidity is Liquidity.MAKER else "taker"
    details = f"order {fill.order_id}, {maker}, fee {money(fill.fee_nanos)}"
    lines = [what, details, moment(fill.ts_ns)]
    if fill.is_ambiguous:
        lines.append("ambiguous: the row or bar satisfied both exits")
    return "<br>".join(lines)


def _links(spec: Instrument, trades: list[Trade]) -> dict[str, list[float | None]]:
    """Lines from entry to exit, with gaps between them."""
    x: list[float | None] = []
    y: list[float | None] = []
    for trade in trades:
        x += [trade.entry_ns / 1e6, trade.exit_ns / 1e6, None]
        entry = spec.average_price(trade.entry_cost, trade.lots)
        y += [entry, spec.average_price(trade.exit_cost, trade.lots), None]
    return {"x": x, "y": y}


def _ms(ts: Ints) -> list[float]:
    return [float(value) for value in ts / 1e6]


def _amounts(nanos: Ints) -> list[float]:
    return [round(float(value), 2) for value in np.asarray(nanos) / NANOS]
