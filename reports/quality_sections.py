"""The report's sections about fills, costs, times of day and ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from broker_api.instrument import NANOS
from broker_api.order import Liquidity
from reports.fill_quality import (
    KINDS,
    RESTING,
    STOPS,
    TAKING,
    FillQuality,
    QualityGroup,
    fill_qualities,
    grouped,
)
from reports.lives import OrderLife
from reports.metrics import Metrics
from reports.page import Figure, Section, columns, plain_table, remark
from reports.performance import (
    DAYS_MIN,
    Performance,
    Period,
    by_hour,
    by_weekday,
    performance,
)
from reports.run import RunRecord
from reports.text import cents, duration, money, percent

_COLOURS = {TAKING: "--bar", RESTING: "--good", STOPS: "--second"}
_NAMES = {TAKING: "took at once", RESTING: "rested first", STOPS: "on a trigger"}
TICKS_MAX = 10
"""Slippage beyond so many ticks is drawn in the outermost bar."""
_WAITS = (
    ("0", 1_000_000),
    ("1ms", 10_000_000),
    ("10ms", 100_000_000),
    ("0.1s", NANOS),
    ("1s", 10 * NANOS),
    ("10s", 60 * NANOS),
    ("1min", 600 * NANOS),
    ("10min", 3_600 * NANOS),
    ("1h", 1 << 62),
)


def quality_sections(
    run: RunRecord, metrics: Metrics, lives: Mapping[int, OrderLife]
) -> tuple[list[Section], tuple[str, ...]]:
    """Fill quality, costs, hours and weekdays, ratios; and notes on what is left out."""
    sections: list[Section] = []
    notes: tuple[str, ...] = ()
    if metrics.fills and lives:
        fills, notes = fill_qualities(run, lives)
        groups = grouped(run, fills)
        sections += [_fill_section(run, fills, groups), _cost_section(run, metrics, groups)]
    if metrics.trades:
        sections.append(_period_section(run, metrics))
    sections.append(_ratio_section(run, performance(run, metrics)))
    return sections, notes


# --- fills ---------------------------------------------------------------------------------------


def _fill_section(
    run: RunRecord, fills: Sequence[FillQuality], groups: Sequence[QualityGroup]
) -> Section:
    total = sum(group.fills for group in groups)
    rows = [
        (
            _NAMES[group.kind],
            f"{group.fills:,}",
            percent(group.fills / total, 0),
            _ticks(group.slippage_ticks),
            _ticks(group.arrival_ticks),
            money(-group.slippage_nanos, plus=True),
            _length(group.wait_ns),
            _length(group.queue_ns),
        )
        for group in groups
    ]
    heads = (
        "fills",
        "number",
        "share",
        "slippage, ticks",
        "since arrival, ticks",
        f"worth, {run.currency}",
        "time to fill",
        "queue wait",
    )
    figures = tuple(
        figure for figure in (_slippage_figure(fills), _wait_figure(fills)) if figure is not None
    )
    text = remark(
        "Slippage is what a fill was worse than the touch at the decision, averaged over lots; of "
        "triggered orders than their own trigger. Of resting orders it is against the touch that "
        "taking would have met just before: they earn the spread, theirs is negative. Times are "
        "medians; the queue wait is how long the order's price had been the touch of its side."
    )
    body = text + plain_table(heads, rows, "fill-table")
    body += columns(*(figure.html() for figure in figures))
    return Section("fill-quality", "Fill quality", body, figures)


def _ticks(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def _length(ns: int | None) -> str:
    return "-" if ns is None else duration(ns)


def _slippage_figure(fills: Sequence[FillQuality]) -> Figure | None:
    known = [fill for fill in fills if fill.slippage_ticks is not None]
    if not known:
        return None
    places = [max(-TICKS_MAX, min(TICKS_MAX, fill.slippage_ticks or 0)) for fill in known]
    least, most = min(places), max(places)
    names = [_bar_name(ticks) for ticks in range(least, most + 1)]
    traces: list[dict[str, Any]] = []
    for kind in KINDS:
        counts = [0] * len(names)
        for fill, place in zip(known, places, strict=True):
            if fill.kind == kind:
                counts[place - least] += 1
        if any(counts):
            traces.append(_bars(kind, names, counts, "ticks"))
    layout = _bar_layout("slippage, ticks")
    return Figure("slippage-bars", "Fills by slippage in ticks", traces, layout, 280)


def _bar_name(ticks: int) -> str:
    sign = "\N{LESS-THAN OR EQUAL TO} " if ticks == -TICKS_MAX else ""
    sign = "\N{GREATER-THAN OR EQUAL TO} " if ticks == TICKS_MAX else sign
    return sign + (f"{ticks:+d}" if ticks else "0").replace("-", "\N{MINUS SIGN}")


def _wait_figure(fills: Sequence[FillQuality]) -> Figure | None:
    known = [fill for fill in fills if fill.wait_ns is not None]
    if not known:
        return None
    names = [name for name, _ in _WAITS]
    traces = []
    for kind in KINDS:
        counts = [0] * len(names)
        for fill in known:
            if fill.kind == kind:
                counts[_place(fill.wait_ns or 0)] += 1
        if any(counts):
            traces.append(_bars(kind, names, counts, ""))
    layout = _bar_layout("time from decision to fill, at least")
    return Figure("wait-bars", "Fills by the time that they took", traces, layout, 280)


def _place(wait_ns: int) -> int:
    return next(index for index, (_, limit) in enumerate(_WAITS) if wait_ns < limit)


def _bars(kind: str, names: Sequence[str], counts: Sequence[int], unit: str) -> dict[str, Any]:
    return {
        "type": "bar",
        "name": _NAMES[kind],
        "x": list(names),
        "y": list(counts),
        "marker": {"color": _COLOURS[kind]},
        "hovertemplate": f"%{{y:,}} fills, %{{x}} {unit}".strip()
        + f"<extra>{_NAMES[kind]}</extra>",
    }


def _bar_layout(title: str) -> dict[str, Any]:
    return {
        "barmode": "stack",
        "legend": {"traceorder": "normal"},
        "showlegend": True,
        "xaxis": {
            "type": "category",
            "title": {"text": title},
            "fixedrange": True,
            "nticks": 21,
            "tickangle": 0,
        },
        "yaxis": {"title": {"text": "fills"}, "fixedrange": True},
    }


# --- costs ---------------------------------------------------------------------------------------


def _cost_section(run: RunRecord, metrics: Metrics, groups: Sequence[QualityGroup]) -> Section:
    by_side = {
        liquidity: sum(f.fee_nanos for f in metrics.fills if f.liquidity is liquidity)
        for liquidity in Liquidity
    }
    worth = {group.kind: -group.slippage_nanos for group in groups}
    gross = metrics.realised_nanos
    trades = len(metrics.trades) or 1
    lines = [
        ("profit before costs", gross + _paid(worth), "had every fill been at its reference"),
        ("slippage of orders that took", worth.get(TAKING, 0), "against the touch at the decision"),
        ("slippage of triggered orders", worth.get(STOPS, 0), "against their trigger price"),
        ("gross", gross, "what the positions came to"),
        ("fees of takers", -by_side[Liquidity.TAKER], ""),
        ("fees of makers", -by_side[Liquidity.MAKER], "negative fees are rebates"),
        ("funding", -metrics.funding_nanos, ""),
        ("net", metrics.net_nanos, "realised profit after all costs"),
    ]
    strong = [index for index, line in enumerate(lines) if line[0] in ("gross", "net")]
    rows = [
        (name, money(nanos, plus=True), money(nanos // trades, plus=True), text)
        for name, nanos, text in lines
    ]
    heads = ("", run.currency, "a trade", "")
    table = plain_table(heads, rows, "cost-table", words=(3,), marked=strong)
    text = remark("Slippage is part of the gross profit already: the lines above it say how much.")
    return Section("costs", "Costs", text + table)


def _paid(worth: Mapping[str, int]) -> int:
    return -sum(worth.get(kind, 0) for kind in (TAKING, STOPS))


# --- hours and weekdays --------------------------------------------------------------------------


def _period_section(run: RunRecord, metrics: Metrics) -> Section:
    figures = (
        _period_figure("hours", "hour of the day (UTC)", by_hour(metrics.trades), run.currency),
        _period_figure("weekdays", "weekday (UTC)", by_weekday(metrics.trades), run.currency),
    )
    text = remark("Net profit of the trades that ended then.")
    body = text + columns(*(figure.html() for figure in figures))
    return Section("periods", "By hour and weekday", body, figures)


def _period_figure(name: str, what: str, periods: Sequence[Period], currency: str) -> Figure:
    shares = [each.wins / each.trades if each.trades else None for each in periods]
    told = [
        f"{each.trades:,} trades, {percent(share, 0)} won"
        for each, share in zip(periods, shares, strict=True)
    ]
    trace = {
        "type": "bar",
        "x": [each.name for each in periods],
        "y": [cents(each.net_nanos) / 100 for each in periods],
        "text": told,
        "textposition": "none",
        "marker": {"color": ["--good" if p.net_nanos >= 0 else "--bad" for p in periods]},
        "hovertemplate": f"%{{x}}: %{{y:,.2f}} {currency}<br>%{{text}}<extra></extra>",
    }
    layout = {
        "xaxis": {
            "type": "category",
            "title": {"text": what},
            "fixedrange": True,
            "nticks": 24,
            "tickangle": 0,
        },
        "yaxis": {"title": {"text": f"net, {currency}"}, "fixedrange": True},
    }
    return Figure(f"by-{name}", f"Net profit by {what}", [trace], layout, 270)


# --- ratios --------------------------------------------------------------------------------------


def _ratio_section(run: RunRecord, found: Performance) -> Section:
    of_days = [
        ("total return", _share(found.total_return), "end equity over start equity, less one"),
        ("growth a year", _share(found.growth_a_year), "daily returns compounded to a year (CAGR)"),
        ("volatility a year", _share(found.volatility), "standard deviation of daily returns"),
        ("Sharpe ratio", _ratio(found.sharpe), "mean over standard deviation, a year"),
        ("Sortino ratio", _ratio(found.sortino), "mean over downside deviation, a year"),
        ("Calmar ratio", _ratio(found.calmar), "growth a year over the deepest fall"),
        ("best day", _share(found.best_day), ""),
        ("worst day", _share(found.worst_day), ""),
        ("longest under water", duration(found.underwater_ns), "from a peak until it came back"),
    ]
    of_trades = [
        ("expectancy", _money(found.expectancy_nanos), "mean net profit of a trade"),
        ("payoff ratio", _ratio(found.payoff), "mean winner over mean loser"),
        ("best trade", _money(found.best_trade_nanos), ""),
        ("worst trade", _money(found.worst_trade_nanos), ""),
        ("Sharpe ratio of trades", _ratio(found.trade_sharpe), "mean over deviation, not a year's"),
        ("mean time held", _length(found.mean_held_ns), ""),
        ("longest losing streak", f"{found.losing_streak:,}", "trades in a row"),
        ("time in the market", _share(found.time_in_market), "of the run's length"),
    ]
    text = (
        f"{found.days} daily returns (UTC), {found.days_a_year} days a year, no riskless rate. "
        "docs/metrics.md defines each figure."
    )
    if found.days < DAYS_MIN:
        text = f"Ratios of daily returns need at least {DAYS_MIN} days. " + text
    elif found.days < 20:
        text = f"{found.days} days say little about a year. " + text
    tables = (
        plain_table((name, "", ""), rows, f"ratios-{number}", words=(2,))
        for number, (name, rows) in enumerate((("of days", of_days), ("of trades", of_trades)))
    )
    return Section("ratios", "Ratios", remark(text) + columns(*tables))


def _share(value: float | None) -> str:
    return percent(value, 2).replace("-", "\N{MINUS SIGN}") if value is not None else "-"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}".replace("-", "\N{MINUS SIGN}")


def _money(nanos: float | None) -> str:
    return "-" if nanos is None else money(round(nanos), plus=True)
