"""A sweep that has ended as the content of its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from broker_api.config import near_miss
from broker_api.errors import ConfigurationError
from broker_api.instrument import NANOS
from papertape.sweep_progress import parameters_text
from reports.overfitting import Overfitting
from reports.sweep_page import SweepContent, SweptRun, WalkedWindow, sweep_html
from scenarios.combinations import Plan
from scenarios.sweep import Objective, Row
from scenarios.sweep_run import Space
from scenarios.walk_forward import Walked, stitched


def page_of(
    plan: Plan,
    objective: Objective,
    axes: Sequence[str],
    rows: Sequence[Row],
    luck: Overfitting | None,
    walked: Sequence[Walked],
) -> str:
    """The page's HTML."""
    runs = [_run(row, objective) for row in rows]
    if walked:
        runs = [
            replace(_run(row, objective), parameters={"window": number, **row.parameters})
            for number, each in enumerate(walked, start=1)
            for row in each.rows
        ]
    best = next(iter(objective.best(rows)), None)
    names = ", ".join(plan.defaults.instruments)
    span = f"{len(runs):,} runs, best by {_goal(objective)}" + (f"; {names}" if names else "")
    return sweep_html(
        SweepContent(
            title=plan.script.strategy or plan.script.path.stem,
            line=span,
            figure=objective.figure,
            goal=_goal(objective),
            runs=runs,
            axes=axes,
            best=None if best is None or walked else rows.index(best),
            luck=luck,
            windows=[_window(each, objective) for each in walked],
            stitched=stitched(walked) if walked else {},
        )
    )


def axes_of(space: Space, asked: Sequence[str]) -> Sequence[str]:
    """The parameters of the heat map: those asked for, else the first two with several values.

    Raises ConfigurationError for others than one or two of the grid's.
    """
    names = [axis.name for axis in space.axes]
    for name in asked:
        if name not in names:
            raise ConfigurationError(f"axis {name!r} is not in the grid{near_miss(name, names)}")
    if len(asked) > 2:
        raise ConfigurationError(f"a heat map has one or two axes, not {len(asked)}")
    return asked or [axis.name for axis in space.axes if len(axis.values) > 1][:2]


def _goal(objective: Objective) -> str:
    least = "the least " if objective.text.startswith("-") else ""
    limits = "".join(f", {each.text}" for each in objective.constraints)
    return f"{least}{objective.figure}{limits}"


def _run(row: Row, objective: Objective) -> SweptRun:
    score, allowed = objective.score(row), objective.allows(row)
    return SweptRun(row.parameters, row.figures, score, allowed, row.error)


def _window(walked: Walked, objective: Objective) -> WalkedWindow:
    window, best, test = walked.window, walked.best, walked.test
    return WalkedWindow(
        f"{_moment(window.train_ns)} to {_moment(window.test_ns)}",
        f"{_moment(window.test_ns)} to {_moment(window.end_ns)}",
        "nothing allowed" if best is None else parameters_text(best),
        None if best is None else best.figures.get(objective.figure),
        None if test is None else _run(test, objective),
        () if test is None else test.profits,
    )


def _moment(ns: int) -> str:
    return datetime.fromtimestamp(ns // NANOS, tz=UTC).strftime("%Y-%m-%d %H:%M")
