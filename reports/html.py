"""The report of a run as one HTML file that needs nothing else: no network, no other file.

The page's look and its script are `page.css` and `page.js` beside this module; the charts are drawn
by plotly, whose script is put into the file. The same run gives the same bytes.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from broker_api.instrument import NANOS, Instrument
from broker_api.order import Side
from reports.bounds import Bounds, bounds_html
from reports.charts import chart_data
from reports.excursions import with_excursions
from reports.metrics import Metrics, Trade, measure
from reports.run import RunRecord, read_run
from reports.summary import Summary, summarise
from reports.text import average_price, duration, moment, money, percent

REPORT_FILE = "report.html"
SUMMARY_FILE = "summary.json"
TRADES_MAX = 2_000
"""Rows of the table of trades; the newest beyond that are left out, and the page says so."""

_HERE = Path(__file__).parent


class ReportError(RuntimeError):
    """The report cannot be written here; the text says what is missing."""


def write_report(run: RunRecord | Path, path: Path | None = None) -> Path:
    """Write the report of a run (or of a run folder) to `path`, by default into the folder.

    Raises ReportError when plotly is not installed, ValueError for a run without a place.
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
    charts, chart_notes = chart_data(run, metrics)
    title = f"{summary.title} on {', '.join(summary.instruments)}"
    parts = [
        _HEAD.format(title=escape(title), style=(_HERE / "page.css").read_text(encoding="utf-8")),
        _header(summary),
        _cards(summary),
        _charts(charts),
        bounds_html(bounds) if bounds is not None else "",
        _trades(run, metrics),
        _notes(summary, chart_notes),
        _settings(run.config),
        f"<footer>papertape &middot; digest <code>{summary.digest}</code></footer>\n</main>\n",
        f'<script type="application/json" id="data">{_json(charts)}</script>\n',
        f"<script>{_plotly()}</script>\n",
        f"<script>{(_HERE / 'page.js').read_text(encoding='utf-8')}</script>\n</body>\n</html>\n",
    ]
    return "".join(parts)


# The policy lets the page's own text run and nothing come from elsewhere.
_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<main>
"""


def _plotly() -> str:
    # Only the script: importing plotly's Python side would cost a second and is not needed.
    spec = importlib.util.find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise ReportError(
            "the HTML report needs plotly: pip install 'papertape[report]', or leave the report "
            "out with --no-report"
        )
    folder = Path(next(iter(spec.submodule_search_locations)))
    return (folder / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def _json(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _header(summary: Summary) -> str:
    span = duration(summary.ended_ns - summary.started_ns)
    instruments = " ".join(f"<span>{escape(symbol)}</span>" for symbol in summary.instruments)
    return (
        f'<header>\n<div><h1>{escape(summary.title)} <span class="tags">{instruments}</span></h1>\n'
        f"<p>{summary.start[:19]} to {summary.end[:19]} UTC &middot; {span} &middot; "
        f"{summary.ticks:,} ticks</p></div>\n"
        '<button id="theme" type="button" title="light or dark">light / dark</button>\n</header>\n'
    )


def _cards(summary: Summary) -> str:
    net = round(summary.net * NANOS)
    drawdown = round(summary.max_drawdown * NANOS)
    rate = percent(summary.maker_fills / summary.fills, 0) if summary.fills else "-"
    factor = "-" if summary.profit_factor is None else f"{summary.profit_factor:.2f}"
    end_equity = money(round(summary.end_equity * NANOS))
    fees = round((summary.fees + summary.funding) * NANOS)
    start_equity = money(round(summary.start_equity * NANOS))
    fall, unit = percent(summary.max_drawdown_share, 2), summary.currency
    cards = [
        (f"Net P&L, {unit}", money(net, plus=True), f"{_gross(summary)} before fees", _sign(net)),
        (f"Max drawdown, {unit}", money(drawdown), f"{fall} of the peak", _sign(drawdown)),
        (f"Final equity, {unit}", end_equity, f"from {start_equity}", ""),
        ("Win rate", percent(summary.win_rate), _won(summary), ""),
        ("Profit factor", factor, _count(summary), ""),
        (f"Fees, {unit}", money(fees), "funding included" if summary.funding else "", ""),
        ("Fills", f"{summary.fills:,}", f"{rate} maker", ""),
        ("Orders", f"{summary.orders:,}", _orders(summary), ""),
    ]
    body = "".join(
        f'<div class="card"><h2>{escape(name)}</h2><p class="{style}">{escape(value)}</p>'
        f"<small>{escape(detail)}</small></div>\n"
        for name, value, detail, style in cards
    )
    label = f"Figures in {escape(summary.currency)}"
    return f'<section class="cards" aria-label="{label}">{body}</section>\n{_banner(summary)}'


def _banner(summary: Summary) -> str:
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
    return "".join(f'<p class="banner">{escape(sentence)}</p>\n' for sentence in said)


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


def _charts(charts: Mapping[str, Any]) -> str:
    return (
        f'<section class="chart" aria-label="Price with fills, equity and drawdown" '
        f'data-panels="{len(charts["panels"])}"><div id="chart"></div></section>\n'
    )


_COLUMNS = (
    ("#", "Number of the trade, in the order of its first exit"),
    ("Side", "Side of the entry"),
    ("Size", "Size that was closed"),
    ("Opened (UTC)", "When the position was opened"),
    ("Entry", "Average cost of the position"),
    ("Closed (UTC)", "Last fill of the exit"),
    ("Exit", "Average price of the exit"),
    ("Held", "From opening to closing"),
    ("Gross", "Profit before fees"),
    ("Fees", "Fees of the exit and of the closed part's entry"),
    ("Net", "Profit after fees"),
    ("Worst", "Lowest open profit on the way, at the mid (MAE)"),
    ("Best", "Highest open profit on the way, at the mid (MFE)"),
)


def _trades(run: RunRecord, metrics: Metrics) -> str:
    if not metrics.trades:
        return '<section><h2>Trades</h2><p class="empty">No position was closed.</p></section>\n'
    shown, notes = with_excursions(run, metrics.trades[:TRADES_MAX])
    head = "".join(f'<th title="{escape(text)}">{escape(name)}</th>' for name, text in _COLUMNS)
    is_one_day = moment(run.start_ns)[:10] == moment(run.end_ns)[:10]
    rows = "".join(
        _trade_row(number, run.instruments[trade.instrument], trade, with_date=not is_one_day)
        for number, trade in enumerate(shown, start=1)
    )
    left = len(metrics.trades) - len(shown)
    if left:
        notes = (*notes, f"The first {len(shown):,} of {len(metrics.trades):,} trades.")
    note = "".join(f"<p>{text}</p>" for text in notes)
    return (
        f"<section><h2>Trades</h2>{note}\n"
        f'<div class="scroll" tabindex="0"><table id="trades"><thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{rows}</tbody></table></div></section>\n"
    )


def _trade_row(number: int, spec: Instrument, trade: Trade, *, with_date: bool) -> str:
    mark = ' <abbr title="One row of the tape, or one bar, satisfied both exits">ambiguous</abbr>'
    side = f"{'long' if trade.side is Side.BUY else 'short'} {escape(spec.symbol)}"
    held = trade.exit_ns - trade.entry_ns
    opened, closed = (
        moment(ns)[0 if with_date else 11 :] for ns in (trade.entry_ns, trade.exit_ns)
    )
    # (what is shown, what it is sorted by, class)
    cells: list[tuple[str, int | str, str]] = [
        (str(number), number, ""),
        (side + (mark if trade.is_ambiguous else ""), side, "left"),
        (spec.format_size(trade.lots), trade.lots, ""),
        (opened, trade.entry_ns // 1_000, ""),
        (average_price(spec, trade.entry_cost, trade.lots), trade.entry_cost // trade.lots, ""),
        (closed, trade.exit_ns // 1_000, ""),
        (average_price(spec, trade.exit_cost, trade.lots), trade.exit_cost // trade.lots, ""),
        (duration(held), held // 1_000, ""),
        _money_cell(trade.gross_nanos),
        (money(trade.fee_nanos), trade.fee_nanos, ""),
        _money_cell(trade.net_nanos),
        _plain_money(trade.worst_nanos),
        _plain_money(trade.best_nanos),
    ]
    return (
        "<tr>"
        + "".join(
            f'<td data-v="{value}"{f" class={style}" if style else ""}>{text}</td>'
            for text, value, style in cells
        )
        + "</tr>\n"
    )


def _money_cell(nanos: int) -> tuple[str, int, str]:
    return money(nanos, plus=True), nanos, _sign(nanos)


def _plain_money(nanos: int | None) -> tuple[str, int, str]:
    return ("-", 0, "") if nanos is None else (money(nanos, plus=True), nanos, "")


def _notes(summary: Summary, more: Iterable[str]) -> str:
    notes = _list([*summary.notes, *more])
    said = _list(summary.assumptions)
    text = f"<h2>Notes</h2>{notes}" if notes else ""
    text += f"<h2>Assumptions in force</h2>{said}" if said else ""
    return f'<section class="notes">{text}</section>\n' if text else ""


def _list(sentences: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>" if items else ""


def _settings(config: Mapping[str, Any]) -> str:
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
    if not groups:
        return ""
    return (
        '<section><details><summary><h2>Settings</h2></summary>\n<div class="settings">\n'
        f"{''.join(groups)}</div></details></section>\n"
    )


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            yield f"{prefix}{key}", ", ".join(str(item) for item in value) or "none"
        else:
            yield f"{prefix}{key}", "none" if value is None else str(value)
