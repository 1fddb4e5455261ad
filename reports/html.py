"""The report of a run as one HTML file that needs nothing else: no network, no other file.

What it says is put together here; the frame is `page.py`, the charts' data `charts.py`, what the
browser does with them `frame.js`, `tables.js` and `prices.js`. The same run gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from broker_api.instrument import NANOS
from reports.bounds import Bounds, bounds_html
from reports.charts import chart_data
from reports.lives import OrderLife, order_lives
from reports.metrics import Metrics, measure
from reports.page import Card, Page, Section, banners, bullets, cards, page
from reports.quality_sections import quality_sections
from reports.run import RunRecord, read_run
from reports.summary import Summary, summarise
from reports.text import duration, money, percent
from reports.trades import ambiguous_sections, trade_sections

REPORT_FILE = "report.html"
SUMMARY_FILE = "summary.json"
ORDERS_MAX = 200_000
"""Orders whose lives the report follows, 10 s of work; of more it shows what needs no lives."""


def write_report(run: RunRecord | Path, path: Path | None = None) -> Path:
    """Write the report of a run (or of a run folder) to `path`, by default into the folder.

    Raises ValueError for a run without a place.
    """
    bounds = None
    if isinstance(run, Path):
        path = run / REPORT_FILE if path is None else path
        bounds = _bounds_in(run)
        run = read_run(run)
    if path is None:
        raise ValueError("a run in memory needs a path for its report")
    path.write_text(report_html(run, bounds=bounds), encoding="utf-8")
    return path


def _bounds_in(folder: Path) -> Bounds | None:
    """What a run with --bounds left in its summary."""
    file = folder / SUMMARY_FILE
    table = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return Bounds.from_dict(table["bounds"]) if "bounds" in table else None


def report_html(
    run: RunRecord, metrics: Metrics | None = None, bounds: Bounds | None = None
) -> str:
    """The report's HTML. `metrics` when the run was measured already, `bounds` if it has some."""
    metrics = measure(run) if metrics is None else metrics
    summary = summarise(run, metrics)
    lives, left_out = _lives(run)
    chart, chart_notes = chart_data(run, metrics, lives)
    trades, trade_notes = trade_sections(run, metrics, lives)
    quality, quality_notes = quality_sections(run, metrics, lives)
    sections = [
        Section("figures", "", _cards(summary)),
        Section("prices", "", CHART),
        *(
            [Section("bounds-section", "Bounds of the queue", bounds_html(bounds))]
            if bounds
            else []
        ),
        *trades,
        *quality,
        *ambiguous_sections(run, metrics, lives),
        *_said(summary, [*left_out, *chart_notes, *trade_notes, *quality_notes]),
        *_settings(run.config),
    ]
    span = duration(summary.ended_ns - summary.started_ns)
    period = f"{summary.start[:19]} to {summary.end[:19]} UTC"
    return page(
        Page(
            title=summary.title,
            tags=summary.instruments,
            line=f"{period} \N{MIDDLE DOT} {span} \N{MIDDLE DOT} {summary.ticks:,} ticks",
            sections=sections,
            footer=f"papertape &middot; digest <code>{summary.digest}</code>",
            data={"chart": chart},
            scripts=("prices.js",),
        )
    )


def _lives(run: RunRecord) -> tuple[dict[int, OrderLife], tuple[str, ...]]:
    """The orders' lives, and what is left out of the report where there are too many."""
    if run.orders <= ORDERS_MAX:
        return order_lives(run), ()
    note = (
        f"The run has {run.orders:,} orders: brackets and fill quality are left out, the report "
        f"follows the lives of {ORDERS_MAX:,} orders at most."
    )
    return {}, (note,)


_MOVES = (
    ("left", "\N{LEFTWARDS ARROW}", "earlier"),
    ("out", "\N{MINUS SIGN}", "zoom out"),
    ("whole", "whole run", "the whole run"),
    ("in", "+", "zoom in"),
    ("right", "\N{RIGHTWARDS ARROW}", "later"),
)
CHART = (
    '<div class="chart"><div id="chart" role="group" aria-label="Price with fills and brackets, '
    'equity and drawdown. Keys: arrows move, plus and minus zoom, 0 shows all."></div>\n'
    '<div class="moves"><p id="chart-hint" class="remark" role="status"></p>'
    + "".join(
        f'<button type="button" data-move="{name}" title="{title}" aria-label="{title}">{text}'
        "</button>"
        for name, text, title in _MOVES
    )
    + "</div></div>\n"
)
"""The place of the chart over time, with its buttons; `prices.js` draws it."""


def _cards(summary: Summary) -> str:
    net = round(summary.net * NANOS)
    drawdown = round(summary.max_drawdown * NANOS)
    rate = percent(summary.maker_fills / summary.fills, 0) if summary.fills else "-"
    factor = "-" if summary.profit_factor is None else f"{summary.profit_factor:.2f}"
    end_equity = money(round(summary.end_equity * NANOS))
    fees = round((summary.fees + summary.funding) * NANOS)
    start_equity = money(round(summary.start_equity * NANOS))
    fall, unit = percent(summary.max_drawdown_share, 2), summary.currency
    shown = [
        (f"Net P&L, {unit}", money(net, plus=True), f"{_gross(summary)} before fees", _sign(net)),
        (f"Max drawdown, {unit}", money(drawdown), f"{fall} of the peak", _sign(drawdown)),
        (f"Final equity, {unit}", end_equity, f"from {start_equity}", ""),
        ("Win rate", percent(summary.win_rate), _won(summary), ""),
        ("Profit factor", factor, _count(summary), ""),
        (f"Fees, {unit}", money(fees), "funding included" if summary.funding else "", ""),
        ("Fills", f"{summary.fills:,}", f"{rate} maker", ""),
        ("Orders", f"{summary.orders:,}", _orders(summary), ""),
    ]
    figures = cards(f"Figures in {summary.currency}", (Card(*each) for each in shown))
    return figures + banners(_alarms(summary))


def _alarms(summary: Summary) -> list[str]:
    """What a reader must not miss: positions left open, ambiguous fills."""
    said = []
    if summary.open_positions:
        held = ", ".join(f"{symbol} {text}" for symbol, text in summary.open_positions.items())
        profit = money(round(summary.open_profit * NANOS), plus=True)
        said.append(f"Still open at the end: {held}; open profit {profit} {summary.currency}.")
    if summary.ambiguous_fills:
        fills = (
            "One fill is"
            if summary.ambiguous_fills == 1
            else f"{summary.ambiguous_fills:,} fills are"
        )
        said.append(
            f"{fills} ambiguous: one row of the tape, or one bar, satisfied both exits; "
            "the stop, of bars their path, was taken to come first."
        )
    return said


def _gross(summary: Summary) -> str:
    return money(round(summary.gross * NANOS), plus=True)


def _count(summary: Summary) -> str:
    trades = "1 trade" if summary.trades == 1 else f"{summary.trades:,} trades"
    return trades if summary.losses or not summary.trades else f"{trades}, none lost"


def _won(summary: Summary) -> str:
    return f"{summary.wins:,} won, {summary.losses:,} lost"


def _orders(summary: Summary) -> str:
    other = summary.orders_expired + summary.orders_rejected
    text = f"{summary.orders_filled:,} filled, {summary.orders_cancelled:,} cancelled"
    return text + (f", {other:,} expired or rejected" if other else "")


def _sign(nanos: int) -> str:
    return "good" if nanos > 0 else "bad" if nanos < 0 else ""


def _said(summary: Summary, more: Iterable[str]) -> Iterator[Section]:
    notes = bullets([*summary.notes, *more])
    if notes:
        yield Section("notes", "Notes", notes, style="notes")
    assumed = bullets(summary.assumptions)
    if assumed:
        yield Section("assumptions", "Assumptions in force", assumed, style="notes")


def _settings(config: Mapping[str, Any]) -> Iterator[Section]:
    groups: list[str] = []
    loose = {key: value for key, value in config.items() if not isinstance(value, dict | list)}
    tables = {key: value for key, value in config.items() if isinstance(value, dict) and value}
    if loose:
        tables = {"run": loose, **tables}
    for index, spec in enumerate(config.get("instruments") or []):
        tables[f"instrument {spec.get('symbol', index)}"] = spec
    for index, tape in enumerate(config.get("tapes") or []):
        if isinstance(tape, dict):
            tables[f"tape {tape.get('symbol', index)}"] = tape
    for name, table in tables.items():
        rows = "".join(
            f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>\n"
            for key, value in _flat(table)
        )
        groups.append(
            f"<div><h3>{escape(name.replace('_', ' '))}</h3><table>{rows}</table></div>\n"
        )
    if groups:
        inside = f'<div class="settings">\n{"".join(groups)}</div>'
        body = f"<details><summary><h2>Settings</h2></summary>\n{inside}</details>"
        yield Section("settings", "", body)


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            yield f"{prefix}{key}", ", ".join(str(item) for item in value) or "none"
        else:
            yield f"{prefix}{key}", "none" if value is None else str(value)
