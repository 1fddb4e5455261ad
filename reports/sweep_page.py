"""The page of a sweep: the best, how much of it is luck, a heat map over two parameters, all runs.

Of a walk-forward sweep: what the windows came to together, each window, and the stitched equity.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import accumulate
from typing import Any

from reports.overfitting import Overfitting
from reports.page import (
    Card,
    Column,
    Figure,
    Page,
    Section,
    Table,
    banners,
    bullets,
    cards,
    page,
    remark,
)
from reports.text import percent

ROWS_MAX = 5_000
"""Runs in the page's table, the best first; the file beside it has all."""
CELLS_MAX = 2_500
"""Cells of a heat map: more are too small to read."""
_COLUMNS = ("net", "open_profit", "max_drawdown", "trades", "win_rate", "profit_factor", "fees")
_MONEY = ("net", "gross", "open_profit", "max_drawdown", "fees", "funding", "end_equity")
_COUNTS = ("trades", "fills", "orders", "wins", "losses", "events", "ambiguous_fills")


@dataclass(frozen=True)
class SweptRun:
    """One run: its parameters, its figures (none where it failed), its score (more is better), and
    whether the constraints allow it."""

    parameters: Mapping[str, Any]
    figures: Mapping[str, Any]
    score: float
    allowed: bool
    error: str | None = None


@dataclass(frozen=True)
class WalkedWindow:
    """One window: its times as text, the chosen parameters, the objective's figure in sample, the
    run out of sample (None: nothing was allowed), and that run's profits period by period."""

    inside: str
    outside: str
    chosen: str
    figure: float | None
    test: SweptRun | None
    profits: Sequence[float] = ()


@dataclass(frozen=True)
class SweepContent:
    """What the page shows. `figure` is the objective's, `goal` what it is called by the user.

    `axes` are the one or two parameters of the heat map. `best` is the best run's place in `runs`.
    """

    title: str
    line: str
    figure: str
    goal: str
    runs: Sequence[SweptRun]
    axes: Sequence[str]
    best: int | None = None
    luck: Overfitting | None = None
    windows: Sequence[WalkedWindow] = ()
    stitched: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()


def sweep_html(content: SweepContent) -> str:
    """The page's HTML. The same content gives the same bytes."""
    sections = [Section("figures", "", _cards(content) + banners(_warnings(content)))]
    if content.windows:
        sections += _walked(content)
    else:
        sections.append(Section("heat", "Heat map", heat_map(content)))
    sections.append(_runs(content))
    if content.notes:
        sections.append(Section("notes", "Notes", bullets(content.notes), style="notes"))
    return page(Page(content.title, ["sweep"], content.line, sections))


# --- figures and warnings ------------------------------------------------------------------------


def _cards(content: SweepContent) -> str:
    failed = sum(run.error is not None for run in content.runs)
    shown = []
    if content.stitched:
        told = content.stitched
        profit, efficiency = told["profit"], told["efficiency"]
        shown += [
            Card("Profit out of sample", _number(profit), "stitched", _sign(profit)),
            Card("Max drawdown", _number(told["max_drawdown"]), "of the stitched equity"),
            Card(
                "Efficiency",
                "-" if efficiency is None else percent(efficiency, 0),
                "profit a time out of sample over in sample",
            ),
        ]
    elif content.best is not None:
        best = content.runs[content.best]
        value = best.figures.get(content.figure)
        shown.append(Card(f"Best {content.figure}", _number(value), _parameters(best)))
    shown += _luck_cards(content.luck)
    detail = f"{failed:,} failed" if failed else "none failed"
    shown.append(Card("Runs", f"{len(content.runs):,}", detail, "bad" if failed else ""))
    return cards("Figures of the sweep", shown)


def _luck_cards(luck: Overfitting | None) -> list[Card]:
    if luck is None:
        return []
    deflated = "-" if luck.deflated is None else f"{luck.deflated:.2f}"
    chance = "-" if luck.probability is None else f"{luck.probability:.2f}"
    expected = "-" if luck.expected_best is None else f"{luck.expected_best:.3f}"
    detail = f"Sharpe ratio a period {luck.sharpe:.3f}; luck alone gives {expected}"
    return [
        Card("Deflated Sharpe ratio", deflated, detail),
        Card("Probability of overfitting", chance, f"{luck.periods} periods, {luck.trials:,} runs"),
    ]


def _warnings(content: SweepContent) -> list[str]:
    said = []
    luck = content.luck
    if luck is not None and luck.probability is not None and luck.probability >= 0.5:
        said.append(
            "Overfitted: what is best in one half of the time is, more often than not, among the "
            "worse half of the runs in the other."
        )
    if luck is not None and luck.deflated is not None and luck.deflated < 0.95:
        said.append(
            f"The best Sharpe ratio is what the best of {luck.trials:,} runs without any skill may "
            f"well show: a probability of {luck.deflated:.2f} that there is more to it."
        )
    if content.runs and content.best is None and not content.windows:
        said.append("No run keeps to the constraints.")
    return said


# --- the heat map --------------------------------------------------------------------------------


def heat_map(content: SweepContent) -> str:
    """A table of the figure over two parameters, the best of all others in each cell."""
    if not content.axes:
        return remark("Every parameter has one value: there is nothing to spread out.")
    across = content.axes[0]
    down = content.axes[1] if len(content.axes) > 1 else None
    cells = _cells(content, across, down)
    columns = _values(content.runs, across)
    rows: list[Any] = _values(content.runs, down) if down else [None]
    if len(columns) * len(rows) > CELLS_MAX:
        return remark(
            f"{len(columns):,} x {len(rows):,} values are too many to read: choose other axes, or "
            "a wider step. The table below has them all."
        )
    values = [run.figures[content.figure] for run in cells.values() if _has(run, content.figure)]
    best = None if content.best is None else content.runs[content.best]
    head = "".join(f'<th scope="col">{escape(_shown(value))}</th>' for value in columns)
    body = []
    for row in rows:
        inside = "".join(
            _cell(cells.get((_shown(column), _shown(row))), content.figure, values, best)
            for column in columns
        )
        name = "" if down is None else f'<th scope="row">{escape(_shown(row))}</th>'
        body.append(f"<tr>{name}{inside}</tr>\n")
    corner = "" if down is None else f"<th>{escape(down)} \\ {escape(across)}</th>"
    others = [name for name in _names(content.runs) if name not in content.axes]
    return (
        remark(_heat_remark(content, across, down, others))
        + f'<div class="scroll" tabindex="0"><table class="heat" id="heat-map"><thead><tr>{corner}'
        + f"{head}</tr></thead>\n<tbody>\n{''.join(body)}</tbody></table></div>\n"
    )


def _heat_remark(content: SweepContent, across: str, down: str | None, others: list[str]) -> str:
    over = across if down is None else f"{across} (across) and {down} (down)"
    rest = f"; each cell is the best over {', '.join(others)}" if others else ""
    return f"{content.figure} over {over}{rest}. The star is the best by {content.goal}."


def _cells(content: SweepContent, across: str, down: str | None) -> dict[tuple[str, str], SweptRun]:
    """The best run of each place: one that is allowed, else one that ended, else any."""
    found: dict[tuple[str, str], SweptRun] = {}
    for run in content.runs:
        place = _shown(run.parameters.get(across)), _shown(run.parameters.get(down or ""))
        known = found.get(place)
        if known is None or _order(run) > _order(known):
            found[place] = run
    return found


def _order(run: SweptRun) -> tuple[bool, bool, float]:
    return run.allowed, run.error is None, run.score


def _has(run: SweptRun, figure: str) -> bool:
    value = run.figures.get(figure)
    return value is not None and math.isfinite(value)


def _cell(run: SweptRun | None, figure: str, values: list[float], best: SweptRun | None) -> str:
    if run is None or not _has(run, figure):
        why = "no run" if run is None else (run.error or "no figure").rstrip().rpartition("\n")[2]
        return f'<td title="{escape(why)}">-</td>'
    value = run.figures[figure]
    titled = f"{_parameters(run)}: {figure} {_number(value)}"
    kind = "" if run.allowed else " barred"
    star = ""
    if run is best:
        kind, star = " best", "\N{BLACK STAR} "
    return (
        f'<td class="{kind.strip()}" style="background:{_colour(value, values)}" '
        f'title="{escape(titled)}">{star}{escape(_number(value))}</td>'
    )


def _colour(value: float, values: list[float]) -> str:
    """Green above zero and red below; blue by size where all have the same sign."""
    low, high = min(values), max(values)
    if low < 0 < high:
        name, share = ("--good" if value > 0 else "--bad"), abs(value) / max(high, -low)
    else:
        name, share = "--equity", (value - low) / (high - low) if high > low else 0.0
    return f"color-mix(in srgb, var({name}) {round(70 * share)}%, transparent)"


# --- windows and runs ----------------------------------------------------------------------------


def _walked(content: SweepContent) -> list[Section]:
    heads = (
        "In sample",
        "Out of sample",
        "Chosen",
        f"{content.figure} in",
        f"{content.figure} out",
    )
    kinds = ("text", "text", "text", "number", "number")
    columns = [
        Column(f"w{at}", head, kind, digits=2 if kind == "number" else 0)
        for at, (head, kind) in enumerate(zip(heads, kinds, strict=True))
    ]
    columns.append(Column("trades", "Trades", "count"))
    rows = [
        (
            each.inside,
            each.outside,
            each.chosen,
            each.figure,
            None if each.test is None else each.test.figures.get(content.figure),
            None if each.test is None else each.test.figures.get("trades"),
        )
        for each in content.windows
    ]
    table = Table("windows", columns, rows, "Windows: chosen in sample, played out of sample")
    curve = list(accumulate((p for each in content.windows for p in each.profits), initial=0.0))
    line = {"type": "scatter", "mode": "lines", "y": curve, "line": {"color": "--equity"}}
    figure = Figure(
        "stitched",
        "Profit out of sample, window after window",
        [line | {"x": list(range(len(curve)))}],
        {
            "xaxis": {"title": {"text": "periods of equal time"}},
            "yaxis": {"title": {"text": "profit"}},
        },
    )
    return [
        Section("stitched-equity", "Out of sample", figure.html(), (figure,)),
        Section("walk-forward", "Windows", table.html(), (), (table,)),
    ]


def _runs(content: SweepContent) -> Section:
    names = _names(content.runs)
    figures = list(dict.fromkeys([content.figure, *_COLUMNS]))
    columns = [Column(f"p{at}", name, _kind(content.runs, name), digits=0)
               for at, name in enumerate(names)]  # fmt: skip
    columns += [_figure_column(name) for name in figures]
    last = [Column("allowed", "allowed", "choice"), Column("error", "failure", "text")]
    shown = [any(not run.allowed for run in content.runs), any(run.error for run in content.runs)]
    columns += [column for column, is_shown in zip(last, shown, strict=True) if is_shown]
    ordered = sorted(content.runs, key=_order, reverse=True)[:ROWS_MAX]
    rows = [
        (
            *(_plain(run.parameters.get(name)) for name in names),
            *(_figure(run, name) for name in figures),
            *(["yes" if run.allowed else "no"] if shown[0] else []),
            *([(run.error or "").rstrip().rpartition("\n")[2]] if shown[1] else []),
        )
        for run in ordered
    ]
    left = len(content.runs) - len(rows)
    note = f"The best {len(rows):,} of {len(content.runs):,} runs." if left else ""
    table = Table("runs", columns, rows, "Runs of the sweep, best first")
    return Section("runs-section", "Runs", remark(note) + table.html(), (), (table,))


def _figure_column(name: str) -> Column:
    title = name.replace("_", " ")
    if name in _MONEY:
        return Column(name, title, "money" if name != "fees" else "cost")
    return Column(name, title, "count") if name in _COUNTS else Column(name, title, "number", "", 3)


def _figure(run: SweptRun, name: str) -> float | int | None:
    if not _has(run, name):
        return None
    value: float = run.figures[name]
    return round(100 * value) if name in _MONEY else value


def _kind(runs: Sequence[SweptRun], name: str) -> str:
    values = [run.parameters.get(name) for run in runs]
    numbers = all(isinstance(value, int) and not isinstance(value, bool) for value in values)
    return "count" if numbers else "text"


def _plain(value: Any) -> Any:
    return value if isinstance(value, int) and not isinstance(value, bool) else _shown(value)


def _names(runs: Sequence[SweptRun]) -> list[str]:
    return list(dict.fromkeys(name for run in runs for name in run.parameters))


def _values(runs: Sequence[SweptRun], name: str) -> list[Any]:
    """Different values of a parameter: numbers by size, others as they come."""
    values = list(
        {_shown(run.parameters.get(name)): run.parameters.get(name) for run in runs}.values()
    )
    is_number = all(isinstance(value, int | float) for value in values)
    return sorted(values) if is_number else values


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _parameters(run: SweptRun) -> str:
    return " ".join(f"{name}={_shown(value)}" for name, value in run.parameters.items())


def _number(value: Any) -> str:
    if value is None:
        return "-"
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
    return text.replace("-", "\N{MINUS SIGN}")


def _sign(value: float) -> str:
    return "good" if value > 0 else "bad" if value < 0 else ""
