"""The progress of a sweep on standard error, when that is a terminal: runs, failures, the best."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.markup import escape

from scenarios.sweep import Objective, Row
from scenarios.sweep_run import Told


@contextmanager
def sweep_progress(objective: Objective) -> Iterator[Told]:
    """Show a bar, when there is a terminal, for the rows that its `told` hears of."""
    if not sys.stderr.isatty():
        yield lambda row, count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), Remaining(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bars:
        shown, state = bars.add_task("starting", total=None), _State(objective)

        def told(row: Row, count: int) -> None:
            state.hear(row)
            bars.update(shown, total=count, advance=1, description=state.text())

        yield told


class _State:
    """Failures and the best row so far."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._failures = 0
        self._best: Row | None = None

    def hear(self, row: Row) -> None:
        """Take in a row."""
        if row.error is not None:
            self._failures += 1
        elif self._objective.allows(row) and (
            self._best is None or self._objective.score(row) > self._objective.score(self._best)
        ):
            self._best = row

    def text(self) -> str:
        """In a few words."""
        failures = f"[red]{self._failures} failed[/]  " if self._failures else ""
        if self._best is None:
            return failures
        figure = self._objective.figure
        value = self._best.figures.get(figure)
        where = escape(parameters_text(self._best))
        return f"{failures}best {figure} {figure_text(value)} at {where}"


def figure_text(value: Any) -> str:
    """A figure for people: whole numbers as they are, others with two digits."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def parameters_text(row: Row) -> str:
    """The row's parameters as one writes them: `fast=10 slow=40`."""
    return " ".join(f"{name}={value}" for name, value in row.parameters.items())
