"""The first difference of two runs as a page: where they part, what was around it, and why.

The difference comes as plain data (`scenarios.divergence.Divergence.to_dict`); this room knows no
scenarios. Both runs are in one chart, which opens at the difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from broker_api.instrument import NANOS
from reports.html import CHART
from reports.metrics import Metrics, measure
from reports.page import (
    Card,
    Page,
    Section,
    banners,
    bullets,
    cards,
    plain_table,
    remark,
)
from reports.run import RunRecord
from reports.text import moment, money
from reports.two_runs import overlay, page_of_two

NAMES = ("expected", "actual")
SIGHT_NS = 30 * NANOS
"""How much of the chart is seen before and after the difference, at least."""

_Plain = Mapping[str, Any]


def difference_page(
    expected: RunRecord, actual: RunRecord, divergence: _Plain, title: str | None = None
) -> str:
    """The page of a difference between an accepted run and a new one.

    `divergence` is what `Divergence.to_dict()` gives; `title` names the scenario.
    """
    metrics = measure(expected), measure(actual)
    notes: list[str] = []
    chart = overlay(expected, actual, metrics, NAMES, notes)
    ts_ns = int(divergence["ts_ns"])
    chart["marks"] = [{"at": ts_ns / 1e6, "text": "first difference"}]
    chart["first"] = _sight(divergence, chart["range"])
    sections = [
        Section("figures", "", _cards(expected, metrics, divergence) + _alarm(divergence)),
        Section("events", "What happened", _events(divergence)),
        Section("prices", "Both runs", CHART),
        *_causes(divergence),
        *_orders(divergence),
        *_market(divergence),
    ]
    content = Page(
        title=f"{title or actual.title}: first difference",
        tags=[spec.symbol for spec in actual.instruments],
        line=f"{moment(ts_ns)} UTC, event {divergence['event_index']:,}",
        sections=sections,
        data={"chart": chart},
    )
    return page_of_two(content, (expected, actual), NAMES, notes)


def _sight(divergence: _Plain, whole: Sequence[float]) -> list[float]:
    """The stretch of time that is seen first, in ms: all events that are told, with room."""
    ts_ns = int(divergence["ts_ns"])
    times = [ts_ns, *(int(each["ts_ns"]) for each in _told(divergence))]
    start, end = min(times), max(times)
    room = max(SIGHT_NS, (end - start) // 2)
    return [max(whole[0], (start - room) / 1e6), min(whole[1], (end + room) / 1e6)]


def _told(divergence: _Plain) -> Iterator[_Plain]:
    for name in ("before", "expected_after", "actual_after"):
        yield from divergence[name]
    for name in NAMES:
        if divergence[name] is not None:
            yield divergence[name]


def _cards(expected: RunRecord, metrics: tuple[Metrics, Metrics], divergence: _Plain) -> str:
    unit = expected.currency
    causes = divergence["causes"]
    results = [int(each.equity.nanos[-1] - each.equity.nanos[0]) for each in metrics]
    alone = [int(divergence[f"only_{name}"]) for name in NAMES]
    shown = [
        Card("Kind", str(divergence["kind"]), f"the {divergence['what']}s part first"),
        Card("Likely cause", causes[0]["kind"] if causes else "unknown", _key(causes)),
        Card(
            f"Result, {unit}",
            money(results[1], plus=True),
            f"expected {money(results[0], plus=True)}",
            "good" if results[1] >= results[0] else "bad",
        ),
        Card(
            "Events in one run only",
            f"{alone[0]:,} and {alone[1]:,}",
            "only in the expected run, only in the actual one",
        ),
    ]
    return cards("The difference", shown)


def _key(causes: Sequence[_Plain]) -> str:
    return str(causes[0]["key"]) if causes else ""


def _alarm(divergence: _Plain) -> str:
    return banners([str(divergence["sentence"])])


def _events(divergence: _Plain) -> str:
    """The events of both sides, line by line, and the fields of the first that differs."""
    days = {moment(int(each["ts_ns"]))[:10] for each in _told(divergence)}
    cut = 11 if len(days) == 1 else 0  # the day is in the page's head
    rows = [
        (moment(int(each["ts_ns"]))[cut:], str(each["text"]), str(each["text"]))
        for each in divergence["before"]
    ]
    first = len(rows)
    left, right = (_side(divergence, name) for name in NAMES)
    for one, other in zip_longest(left, right):
        times = [moment(int(each["ts_ns"]))[cut:] for each in (one, other) if each is not None]
        time = " / ".join(dict.fromkeys(times))
        rows.append((time, _text(one), _text(other)))
    table = plain_table(("UTC", *NAMES), rows, "event-table", words=(1, 2), marked=(first,))
    fields = [
        (str(each["name"]), *(_value(each["name"], each[side]) for side in NAMES))
        for each in divergence["fields"]
    ]
    if fields:
        table += remark("What of it differs:")
        table += plain_table(("field", *NAMES), fields, "field-table")
    return table


def _side(divergence: _Plain, name: str) -> list[_Plain]:
    """One side from the difference on."""
    here = divergence[name] or {"text": "nothing", "ts_ns": divergence["ts_ns"]}
    return [here, *(each for each in divergence[f"{name}_after"] if each != here)]


def _text(each: _Plain | None) -> str:
    return "" if each is None else str(each["text"])


def _value(name: str, value: object) -> str:
    if not isinstance(value, int):
        return "-" if value is None else str(value)
    return moment(value) if name.endswith("ts_ns") else f"{value:,}"


def _causes(divergence: _Plain) -> Iterator[Section]:
    causes = [f"{each['kind']}: {each['text']}" for each in divergence["causes"]]
    if causes:
        yield Section("causes", "Likely causes", bullets(causes), style="notes")


def _orders(divergence: _Plain) -> Iterator[Section]:
    orders = divergence["orders"]
    if not orders:
        return
    rows = [
        (
            str(each["order_id"]),
            str(each["text"]),
            str(each["status"]),
            str(each["filled"]),
            str(each["expected_end"]),
            str(each["actual_end"]),
        )
        for each in orders
    ]
    marked = [index for index, each in enumerate(orders) if each["is_concerned"]]
    heads = ("order", "what", "status before", "filled", "expected end", "actual end")
    table = plain_table(heads, rows, "order-table", words=(1, 2, 4, 5), marked=marked)
    yield Section("orders-section", "Working orders just before", table)


def _market(divergence: _Plain) -> Iterator[Section]:
    market = divergence["market"]
    if not market:
        return
    ts_ns = int(divergence["ts_ns"])
    at = [index for index, row in enumerate(market) if int(row["ts_ns"]) <= ts_ns]
    rows = [
        (
            f"{int(row['row']):,}",
            str(row["symbol"]),
            moment(int(row["ts_ns"])),
            str(row["kind"]),
            str(row["bid"]),
            str(row["ask"]),
            str(row["price"]),
        )
        for row in market
    ]
    heads = ("row", "instrument", "UTC", "kind", "bid", "ask", "price")
    table = plain_table(heads, rows, "market-table", marked=at[-1:])
    hint = remark("Rows of the tape; the one in force at the difference stands out.")
    yield Section("market", "The market", hint + table)
