"""What pages of two runs share: the chart of both, the settings that differ, the page's end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import Any

from reports.charts import MARKS_MAX, drawdown_line, drawn_price, equity_line, fill_row, time_range
from reports.metrics import Metrics
from reports.page import Page, Section, bullets, page, plain_table
from reports.run import RunRecord


def page_of_two(
    content: Page, runs: tuple[RunRecord, RunRecord], names: Sequence[str], said: Sequence[str]
) -> str:
    """A page that ends with the settings that differ, with what is said, and with both digests."""
    sections = [*content.sections]
    changed = differing_settings(*runs)
    if changed:
        table = plain_table(("", *names), changed)
        sections.append(Section("settings", "Settings that differ", table))
    if said:
        sections.append(Section("notes", "Notes", bullets(said), style="notes"))
    digests = ", ".join(
        f"{escape(name)} <code>{run.digest}</code>" for name, run in zip(names, runs, strict=True)
    )
    footer = f"papertape &middot; digests: {digests}"
    return page(replace(content, sections=sections, footer=footer, scripts=("prices.js",)))


def differing_settings(first: RunRecord, second: RunRecord) -> list[tuple[str, str, str]]:
    """Settings that are not the same in both runs: name, and both values as text."""
    left, right = (dict(_flat(_settings(run))) for run in (first, second))
    names = [*left, *(name for name in right if name not in left)]
    return [
        (name, left.get(name, "-"), right.get(name, "-"))
        for name in names
        if left.get(name) != right.get(name)
    ]


def _settings(run: RunRecord) -> Mapping[str, Any]:
    return {key: value for key, value in run.config.items() if key != "notes"}


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        for index, inner in enumerate(value):
            yield from _flat(inner, f"{prefix}.{index}")
    else:
        yield prefix, str(value)


def overlay(
    first: RunRecord,
    second: RunRecord,
    metrics: tuple[Metrics, Metrics],
    names: Sequence[str],
    notes: list[str],
) -> dict[str, Any]:
    """The chart of two runs: one price, the fills of both, both equities."""
    runs = (first, second)
    colours = ("--buy", "--second")
    return {
        "currency": first.currency,
        "range": time_range(first, second),
        "runs": list(names),
        "panels": [_panel(index, runs, metrics, notes) for index in range(len(first.instruments))],
        "equity": [
            equity_line(run, each, name, colour)
            for run, each, name, colour in zip(runs, metrics, names, colours, strict=True)
        ],
        "drawdown": [
            drawdown_line(run, each, name, colour)
            for run, each, name, colour in zip(runs, metrics, names, colours, strict=True)
        ],
    }


def _panel(
    index: int,
    runs: tuple[RunRecord, RunRecord],
    metrics: tuple[Metrics, Metrics],
    notes: list[str],
) -> dict[str, Any]:
    spec = runs[0].instruments[index]
    start_ns = min(run.start_ns for run in runs)
    rows = []
    places = []
    if max(len(measured.fills) for measured in metrics) > MARKS_MAX:
        notes.append(f"The chart shows the first {MARKS_MAX:,} fills of each run.")
    for number, (run, measured) in enumerate(zip(runs, metrics, strict=True)):
        own = next(i for i, other in enumerate(run.instruments) if other.symbol == spec.symbol)
        places.append((run, own))
        rows += [
            [*fill_row(spec, fill, start_ns), number]
            for fill in measured.fills[:MARKS_MAX]
            if fill.instrument == own
        ]
    with_tape = [(run, own) for run, own in places if run.tapes[own] is not None]
    run, own = with_tape[0] if with_tape else places[0]
    return {
        "symbol": spec.symbol,
        "digits": spec.price_digits,
        "tick": float(spec.tick_size),
        "price": drawn_price(run, own, notes),
        "fills": sorted(rows, key=lambda row: row[0]),
        "brackets": [],
    }
