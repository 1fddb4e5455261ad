"""How much of a run's result is the assumption about queues: the run between two extremes.

`front` fills resting orders as early as can be, `back` only when the price trades through them.
What is here: the figures of the three runs, their span, and how both are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any, Self

from rich.console import Console
from rich.table import Table
from rich.text import Text

from broker_api.instrument import NANOS, from_nanos
from reports.metrics import Metrics
from reports.run import RunRecord
from reports.text import money

FIGURES = ("net", "open_profit", "fills", "maker_fills", "trades")
"""What is compared. Money is in the account's currency, `net` is after fees and funding."""

_TITLES = ("net P&L", "still open", "fills", "maker", "trades")
_CAUTION = (
    "A strategy that acts on its fills takes another way under each model, so its results need not "
    "lie inside the span of the extremes."
)


@dataclass(frozen=True)
class BoundRun:
    """One of the runs, over all its sessions; figures are None where it failed."""

    queue: str
    is_configured: bool
    net: float | None = None
    open_profit: float | None = None
    fills: int | None = None
    maker_fills: int | None = None
    trades: int | None = None
    digest: str | None = None
    failure: str | None = None

    @classmethod
    def failed(cls, queue: str, failure: str) -> Self:
        """An extreme that came to no result, and why."""
        return cls(queue, False, failure=failure)


def bound_run(
    queue: str,
    digest: str,
    measured: Sequence[tuple[RunRecord, Metrics]],
    *,
    is_configured: bool = False,
) -> BoundRun:
    """The figures of a run from its sessions; money only where all are in one currency."""
    has_one_currency = len({record.currency for record, _ in measured}) <= 1
    metrics = [each for _, each in measured]
    net = from_nanos(sum(each.net_nanos for each in metrics))
    open_profit = from_nanos(sum(each.open_nanos for each in metrics))
    return BoundRun(
        queue,
        is_configured,
        net if has_one_currency else None,
        open_profit if has_one_currency else None,
        sum(each.fill_count for each in metrics),
        sum(each.maker_fills for each in metrics),
        sum(each.trade_count for each in metrics),
        digest,
    )


@dataclass(frozen=True)
class Bounds:
    """The configured run first, then the extremes that it is not itself."""

    currency: str
    runs: tuple[BoundRun, ...]

    def span(self, figure: str) -> tuple[float, float] | None:
        """Least and most of a figure over the runs that have it, None where none has."""
        found = [getattr(run, figure) for run in self.runs if getattr(run, figure) is not None]
        return (min(found), max(found)) if found else None

    def as_dict(self) -> dict[str, Any]:
        """As `summary.json` holds it, under "bounds"."""
        spans = {figure: self.span(figure) for figure in FIGURES}
        return {
            "currency": self.currency,
            "runs": [asdict(run) for run in self.runs],
            "span": {figure: list(span) if span else None for figure, span in spans.items()},
        }

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(str(table["currency"]), tuple(BoundRun(**run) for run in table["runs"]))


def print_bounds(console: Console, bounds: Bounds) -> None:
    """Print the runs and their span for a person."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("queue", no_wrap=True)
    for title in _TITLES:
        table.add_column(title, justify="right", no_wrap=True)
    for run in bounds.runs:
        table.add_row(_name(run), *_cells(run))
    for name, cells in _spans(bounds):
        table.add_row(Text(name, "bold"), *(Text(cell, "bold") for cell in cells))
    console.print(table)
    for failure in _failures(bounds):
        console.print(Text.assemble(("note ", "bold yellow"), failure))
    console.print(Text(_caution(bounds), "dim"))
    console.print()


def bounds_html(bounds: Bounds) -> str:
    """The body of the report's section."""
    head = "".join(f"<th>{escape(title)}</th>" for title in ("queue", *_TITLES))
    body = "".join(_row(_name(run), _cells(run)) for run in bounds.runs)
    foot = "".join(_row(name, cells) for name, cells in _spans(bounds))
    failures = "".join(
        f'<p class="banner">{escape(failure)}</p>\n' for failure in _failures(bounds)
    )
    return (
        '<div class="scroll" tabindex="0">'
        f'<table id="bounds" class="plain"><thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}</tbody>\n"
        f"<tfoot>\n{foot}</tfoot></table></div>\n"
        f'{failures}<p class="remark">{escape(_caution(bounds))}</p>\n'
    )


def _row(name: str, cells: list[str]) -> str:
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in (name, *cells)) + "</tr>\n"


def _caution(bounds: Bounds) -> str:
    unit = f"Money in {bounds.currency}. " if bounds.currency else ""
    return unit + _CAUTION


def _failures(bounds: Bounds) -> list[str]:
    failed = [run for run in bounds.runs if run.failure is not None]
    return [f"The run with queue={run.queue} failed: {run.failure}" for run in failed]


def _name(run: BoundRun) -> str:
    return f"{run.queue} (this run)" if run.is_configured else run.queue


def _cells(run: BoundRun) -> list[str]:
    if run.failure is not None:
        return ["failed", *("-" for _ in FIGURES[1:])]
    return [_cell(figure, getattr(run, figure)) for figure in FIGURES]


def _spans(bounds: Bounds) -> list[tuple[str, list[str]]]:
    spans = [(figure, bounds.span(figure)) for figure in FIGURES]
    return [
        (name, [_cell(figure, span[at] if span else None) for figure, span in spans])
        for at, name in enumerate(("least", "most"))
    ]


def _cell(figure: str, value: float | None) -> str:
    if value is None:
        return "-"
    if figure in ("net", "open_profit"):
        return money(round(value * NANOS), plus=True)
    return f"{value:,}"
