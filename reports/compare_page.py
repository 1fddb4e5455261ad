"""A comparison of two runs for people: text for the terminal, and a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from broker_api.instrument import Instrument
from broker_api.order import Side
from reports.compare import CAUSES, CauseOfDifference, ComparedOrder, Comparison
from reports.html import CHART
from reports.lives import OrderLife
from reports.metrics import Metrics
from reports.page import (
    Card,
    Column,
    Figure,
    Page,
    Section,
    Table,
    cards,
    columns,
    plain_table,
    remark,
)
from reports.text import cents, duration, moment, money, percent
from reports.trades import size_digits
from reports.two_runs import differing_settings, overlay, page_of_two

MEANINGS = {
    CauseOfDifference.LATENCY: "the touch moved otherwise while the same order was under way",
    CauseOfDifference.QUEUE: "a resting order filled in one run only, and what followed from it",
    CauseOfDifference.PRICE: "the same order was filled at another price than the touch explains",
    CauseOfDifference.FEES: "fees of all fills, also of those that only one run has",
    CauseOfDifference.FUNDING: "payments on open perpetuals",
    CauseOfDifference.DECISIONS: "orders that only one run sent, or sent at another time or price",
    CauseOfDifference.VALUATION: "the runs end at different marks",
}
NAMES = ("first", "second")


def print_comparison(
    console: Console, comparison: Comparison, names: Sequence[str] = NAMES
) -> None:
    """Print both results, the causes of their difference, and how orders were paired."""
    currency = comparison.first.currency
    table = RichTable.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim", overflow="fold")
    for name, nanos in zip(names, comparison.results, strict=True):
        table.add_row(name, _coloured(nanos), currency)
    table.add_row(Text("difference", "bold"), _coloured(comparison.difference_nanos), currency)
    for cause in _shown(comparison):
        table.add_row(f"  {cause.value}", _coloured(comparison.causes[cause]), MEANINGS[cause])
    console.print()
    console.print(table)
    console.print()
    for sentence in sentences(comparison, names):
        console.print(Text(sentence, style="dim"))


def _coloured(nanos: int) -> Text:
    style = "green" if nanos > 0 else "red" if nanos < 0 else ""
    return Text(money(nanos, plus=True), style)


def _shown(comparison: Comparison) -> list[CauseOfDifference]:
    """The causes in the order of their weight; those without one are left out of the last two."""
    rare = (CauseOfDifference.FUNDING, CauseOfDifference.VALUATION)
    found = [cause for cause in CAUSES if comparison.causes[cause] or cause not in rare]
    return sorted(found, key=lambda cause: -abs(comparison.causes[cause]))


def sentences(comparison: Comparison, names: Sequence[str] = NAMES) -> list[str]:
    """How orders were paired, and what differs in the settings."""
    paired = len(comparison.paired)
    alone = [len(comparison.only(run)) for run in (0, 1)]
    said = [
        f"{paired:,} orders are in both runs; {alone[0]:,} only in {names[0]}, {alone[1]:,} only "
        f"in {names[1]}."
    ]
    if comparison.first.digest == comparison.second.digest:
        said.append("Their events are the same to the last bit.")
    changed = differing_settings(comparison.first, comparison.second)
    if changed:
        said.append("Settings that differ: " + ", ".join(name for name, _, _ in changed) + ".")
    return said


# --- the page ------------------------------------------------------------------------------------


def comparison_page(comparison: Comparison, names: Sequence[str] = NAMES) -> str:
    """The page of a comparison: results, causes, both runs in one chart, every pair of orders."""
    first, second = comparison.first, comparison.second
    notes: list[str] = []
    table = _orders(comparison, names)
    figure = _bars(comparison)
    side_by_side = _figures(comparison, names)
    chart = overlay(first, second, comparison.metrics, names, notes)
    sections = [
        Section("figures", "", _cards(comparison, names)),
        Section(
            "causes",
            "What the difference is of",
            columns(figure.html(), _causes(comparison)),
            (figure,),
        ),
        Section("prices", "Both runs", CHART),
        Section("orders-section", "Orders", _HINT + table.html(), tables=(table,)),
        Section("side-by-side", "Figures", side_by_side),
    ]
    content = Page(
        title=f"{names[0]} and {names[1]}",
        tags=[spec.symbol for spec in first.instruments],
        line=f"{moment(first.start_ns)[:19]} to {moment(first.end_ns)[:19]} UTC",
        sections=sections,
        data={"chart": chart},
    )
    said = [*sentences(comparison, names), *notes]
    return page_of_two(content, (first, second), names, said)


_HINT = remark(
    "Every order of either run with its partner in the other. Choose a row to see it in the chart."
)


def _cards(comparison: Comparison, names: Sequence[str]) -> str:
    unit = comparison.first.currency
    largest = max(CAUSES, key=lambda cause: abs(comparison.causes[cause]))
    amount = comparison.causes[largest]
    paired, total = len(comparison.paired), len(comparison.orders)
    shown = [
        *(
            Card(f"Result of {name}, {unit}", money(nanos, plus=True), _trades(each), _sign(nanos))
            for name, nanos, each in zip(names, comparison.results, comparison.metrics, strict=True)
        ),
        Card(
            f"Difference, {unit}",
            money(comparison.difference_nanos, plus=True),
            f"{names[1]} less {names[0]}; {paired:,} of {total:,} orders are in both",
            _sign(comparison.difference_nanos),
        ),
        Card("Largest cause", largest.value if amount else "none", money(amount, plus=True)),
    ]
    return cards("Results", shown)


def _trades(metrics: Metrics) -> str:
    return f"{len(metrics.trades):,} trades, {len(metrics.fills):,} fills"


def _sign(nanos: int) -> str:
    return "good" if nanos > 0 else "bad" if nanos < 0 else ""


def _bars(comparison: Comparison) -> Figure:
    shown = _shown(comparison)[::-1]
    amounts = [cents(comparison.causes[cause]) / 100 for cause in shown]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": amounts,
        "y": [cause.value for cause in shown],
        "marker": {"color": ["--good" if amount >= 0 else "--bad" for amount in amounts]},
        "text": [money(comparison.causes[cause], plus=True) for cause in shown],
        "textposition": "auto",
        "hovertemplate": "%{y}: %{x:,.2f}<extra></extra>",
    }
    layout = {
        "xaxis": {"title": {"text": comparison.first.currency}},
        "yaxis": {"automargin": True, "fixedrange": True},
    }
    return Figure("cause-bars", "The parts of the difference by cause", [trace], layout, 290)


def _causes(comparison: Comparison) -> str:
    rows = [
        (cause.value, money(comparison.causes[cause], plus=True), MEANINGS[cause])
        for cause in _shown(comparison)
    ]
    rows.append(("difference", money(comparison.difference_nanos, plus=True), "they add up to it"))
    return plain_table(
        ("cause", comparison.first.currency, "what it is"), rows, "cause-table", words=(2,)
    )


def _figures(comparison: Comparison, names: Sequence[str]) -> str:
    def row(name: str, values: Sequence[str]) -> tuple[str, ...]:
        return (name, *values)

    both = comparison.metrics
    rows = [
        row("result", [money(nanos, plus=True) for nanos in comparison.results]),
        row("fees", [money(each.fee_nanos) for each in both]),
        row("max drawdown", [money(each.drawdown.nanos) for each in both]),
        row("orders", [f"{each.orders:,}" for each in both]),
        row("fills", [f"{len(each.fills):,}" for each in both]),
        row("maker fills", [_share(each.maker_fills, len(each.fills)) for each in both]),
        row("trades", [f"{len(each.trades):,}" for each in both]),
        row("win rate", [percent(each.win_rate) for each in both]),
        row("time from decision to arrival", [_latency(comparison, run) for run in (0, 1)]),
    ]
    return plain_table(("", *names), rows)


def _share(part: int, whole: int) -> str:
    return percent(part / whole if whole else None)


def _latency(comparison: Comparison, run: int) -> str:
    orders = [order for each in comparison.orders if (order := _side(each, run)) is not None]
    delays = [delay for order in orders if (delay := _delay(order)) is not None]
    return duration(int(np.median(delays))) if delays else "-"


def _side(order: ComparedOrder, run: int) -> OrderLife | None:
    return (order.pair.first, order.pair.second)[run]


def _delay(order: OrderLife | None) -> int | None:
    if order is None or order.decided_ns is None or order.arrived_ns is None or order.is_exit:
        return None
    return order.arrived_ns - order.decided_ns


def _orders(comparison: Comparison, names: Sequence[str]) -> Table:
    digits = max((spec.price_digits for spec in comparison.first.instruments), default=2)
    lots = size_digits(comparison.first)
    a, b = names
    first = comparison.first
    days = {
        moment(ns)[:10] for run in (first, comparison.second) for ns in (run.start_ns, run.end_ns)
    }
    when = "clock" if len(days) == 1 else "time"
    heads = [
        Column("n", "#", "count", "Number of the pair, in the order of decisions"),
        *([Column("instrument", "Instrument", "choice")] if len(first.instruments) > 1 else []),
        Column("side", "Side", "choice"),
        Column("role", "Role", "choice", "Single order, or what it is in its bracket or OCO"),
        Column("in", "In", "choice", "In which of the runs the order is"),
        Column("decided", "Decided (UTC)", when, "When the order was sent, in the first run"),
        Column("net", "Effect", "money", "What it adds to the difference"),
        Column("cause", "Mainly", "choice", "The cause with the largest part of the effect"),
        Column("size_a", f"Filled, {a}", "number", "", lots),
        Column("size_b", f"Filled, {b}", "number", "", lots),
        Column("price_a", f"Price, {a}", "price", "Average price", digits),
        Column("price_b", f"Price, {b}", "price", "Average price", digits),
        Column("wait_a", f"To fill, {a}", "length", "From the decision to the first fill"),
        Column("wait_b", f"To fill, {b}", "length", "From the decision to the first fill"),
        Column("later", "Decided later", "length", f"How much later {b} decided"),
        Column("by", "Paired by", "choice", "What makes two orders one"),
        Column("until", "Until (UTC)", when, "The last fill or end in either run"),
    ]
    rows = [
        _order_row(number, comparison, order, names)
        for number, order in enumerate(comparison.orders, start=1)
    ]
    return Table("orders", heads, rows, "orders", total="net", zoom=("decided", "until"))


def _order_row(
    number: int, comparison: Comparison, order: ComparedOrder, names: Sequence[str]
) -> list[Any]:
    life = order.pair.order
    run = 0 if order.pair.first is not None else 1
    spec = (comparison.first, comparison.second)[run].instruments[life.instrument]
    sides = (order.pair.first, order.pair.second)
    decided = [None if side is None else side.decided_ns for side in sides]
    both = order.pair.by != ""
    later = (decided[1] or 0) - (decided[0] or 0) if both and None not in decided else None
    main = order.main_cause
    return [
        number,
        *([spec.symbol] if len(comparison.first.instruments) > 1 else []),
        "buy" if life.side is Side.BUY else "sell",
        life.role.name.lower().replace("_", " "),
        "both" if both else f"only {names[run]}",
        None if life.decided_ns is None else life.decided_ns / 1e6,
        cents(order.effect_nanos),
        "-" if main is None else main.value,
        *(_size(spec, side) for side in sides),
        *(_price(spec, side) for side in sides),
        *(_wait(side) for side in sides),
        None if later is None else later / 1e6,
        order.pair.by or "-",
        _until(comparison, sides) / 1e6,
    ]


def _until(comparison: Comparison, sides: Sequence[OrderLife | None]) -> int:
    ends = [side.ended_ns for side in sides if side is not None and side.ended_ns is not None]
    return max(ends, default=comparison.first.end_ns)


def _size(spec: Instrument, side: OrderLife | None) -> float | None:
    return None if side is None else float(spec.lot_size * side.filled_lots)


def _price(spec: Instrument, side: OrderLife | None) -> float | None:
    if side is None or not side.fills:
        return None
    cost = sum(fill.price_ticks * fill.lots for fill in side.fills)
    return round(spec.average_price(cost, side.filled_lots), spec.price_digits + 2)


def _wait(side: OrderLife | None) -> float | None:
    if side is None or not side.fills or side.decided_ns is None:
        return None
    return (side.fills[0].ts_ns - side.decided_ns) / 1e6
