"""Many runs of one strategy: the engine of sweeps, and their table.

It knows nothing of strategies: `run_all` gives tasks to any `concurrent.futures.Executor` and hands
on what became of each. `papertape.sweeping` says what a task is.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from broker_api.config import near_miss
from broker_api.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

_T = TypeVar("_T")
_R = TypeVar("_R")

AHEAD = 256
"""Tasks that an executor holds at most; the others wait here, where they cost nothing."""

SUMS = (
    "net",
    "gross",
    "fees",
    "funding",
    "open_profit",
    "orders",
    "orders_filled",
    "orders_cancelled",
    "orders_expired",
    "orders_rejected",
    "fills",
    "maker_fills",
    "ambiguous_fills",
    "trades",
    "wins",
    "losses",
    "events",
)
FIGURES = (*SUMS, "win_rate", "profit_factor", "max_drawdown", "max_drawdown_share", "end_equity")
"""The figures of a row, by the names that `reports.summary` gives them."""

PARAMETER_PREFIX = "parameter."
PERIODS = 256
"""Stretches of time by which runs are compared with each other."""

_CONDITION = re.compile(r"\s*(\w+)\s*(<=|>=|<|>)\s*([+-]?\d+(?:\.\d+)?)\s*")
_COMPARED = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_OTHERS = ("digest", *FIGURES, "allowed", "seconds", "error", "folder")


@dataclass(frozen=True)
class Row:
    """What became of one combination. `seconds` are of real time; a failed run has no figures."""

    parameters: Mapping[str, Any]
    digest: str | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    error: str | None = None
    folder: str | None = None
    profits: tuple[float, ...] = ()
    """What equity won or lost in each of PERIODS equal stretches of the tapes' time."""


@dataclass(frozen=True)
class Constraint:
    """A condition on a figure, as typed: `max_drawdown<500`, `trades>=30`.

    `max_drawdown` is held by its size: the figure itself is negative.
    """

    text: str

    def __post_init__(self) -> None:
        figure, _, limit = self._parts
        _check_figure(figure, f"constraint {self.text!r}")
        if figure == "max_drawdown" and limit < 0:
            raise ConfigurationError(
                f"constraint {self.text!r}: drawdowns are held by their size: max_drawdown<500"
            )

    @property
    def _parts(self) -> tuple[str, str, float]:
        found = _CONDITION.fullmatch(self.text)
        if found is None:
            raise ConfigurationError(
                f"constraint {self.text!r} is not of the form max_drawdown<500, with <, <=, > or >="
            )
        return found[1], found[2], float(found[3])

    def allows(self, row: Row) -> bool:
        """Whether the row has the figure, and it is within the limit."""
        figure, sign, limit = self._parts
        value = row.figures.get(figure)
        if value is None:
            return False
        held = abs(value) if figure == "max_drawdown" else value
        return bool(_COMPARED[sign](held, limit))


def _check_figure(name: str, shown: str) -> None:
    if name not in FIGURES:
        raise ConfigurationError(
            f"{shown} is no figure of a run; they are {', '.join(FIGURES)}"
            f"{near_miss(name, FIGURES)}"
        )


@dataclass(frozen=True)
class Objective:
    """What is best: the most of a figure, or, written with a minus, the least.

    Of the runs only that every constraint allows.
    """

    text: str
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        _check_figure(self.figure, f"objective {self.text!r}")

    @property
    def figure(self) -> str:
        """The figure's name."""
        return self.text.removeprefix("-")

    def score(self, row: Row) -> float:
        """The higher the better; minus infinity for a run without the figure."""
        value = row.figures.get(self.figure)
        if value is None:
            return -math.inf
        return -float(value) if self.text.startswith("-") else float(value)

    def allows(self, row: Row) -> bool:
        """Whether the run ended and keeps to every constraint."""
        return row.error is None and all(each.allows(row) for each in self.constraints)

    def best(self, rows: Sequence[Row]) -> list[Row]:
        """The runs that are allowed, the best first, equal ones in the order of the grid."""
        return sorted(filter(self.allows, rows), key=self.score, reverse=True)


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C during a sweep; `table` holds the rows of the runs that had ended, as does `file`."""

    def __init__(self, table: pd.DataFrame, file: Path | None) -> None:
        super().__init__(f"the sweep was interrupted after {len(table)} runs")
        self.table = table
        self.file = file


def run_all(
    executor: Executor, work: Callable[[_T], _R], tasks: Sequence[_T], ahead: int = AHEAD
) -> Iterator[tuple[int, Future[_R]]]:
    """Run `work(task)` of every task; gives (number of the task, its ended future) as they end.

    Who stops iterating cancels the tasks that have not begun. An interrupt while this waits comes
    after everything that had ended.
    """
    waiting: dict[Future[_R], int] = {}
    # Not `futures.wait`, which looks at all that wait each time that one ends.
    ended: SimpleQueue[Future[_R]] = SimpleQueue()
    numbered = iter(enumerate(tasks))
    try:
        while True:
            for number, task in islice(numbered, ahead - len(waiting)):
                future = executor.submit(work, task)
                waiting[future] = number
                future.add_done_callback(ended.put)
            if not waiting:
                return
            future = ended.get()
            yield waiting.pop(future), future
    except KeyboardInterrupt:
        # What had ended by then is told before the interrupt is.
        for future in [each for each in waiting if each.done()]:
            yield waiting.pop(future), future
        raise
    finally:
        for future in waiting:
            future.cancel()


def figures_of(sessions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of a run: its session's, of several sessions their sums and extremes."""
    if len(sessions) == 1:
        return {name: sessions[0][name] for name in FIGURES}
    figures: dict[str, Any] = {name: sum(each[name] for each in sessions) for name in SUMS}
    return figures | {
        "win_rate": figures["wins"] / figures["trades"] if figures["trades"] else None,
        "profit_factor": None,
        "max_drawdown": min((each["max_drawdown"] for each in sessions), default=0.0),
        "max_drawdown_share": max((each["max_drawdown_share"] for each in sessions), default=0.0),
        "end_equity": sessions[-1]["end_equity"] if sessions else None,
    }


def table_of(rows: Sequence[Row], objective: Objective | None = None) -> pd.DataFrame:
    """One line a row: the parameters, digest, figures, seconds and error.

    A parameter that is called like another column stands as `parameter.NAME`. `folder` is there
    when run folders were kept, `allowed` when the objective has constraints.
    """
    import pandas as pd

    names = list(dict.fromkeys(name for row in rows for name in row.parameters))
    columns: dict[str, Any] = {}
    for name in names:
        shown = PARAMETER_PREFIX + name if name in _OTHERS else name
        columns[shown] = _column([row.parameters.get(name) for row in rows])
    columns["digest"] = pd.Series([row.digest for row in rows], dtype=object)
    for figure in FIGURES:
        values = [row.figures.get(figure) for row in rows]
        whole = all(value is None or type(value) is int for value in values)
        columns[figure] = pd.Series(values, dtype="Int64" if whole else "float64")
    if objective is not None and objective.constraints:
        columns["allowed"] = pd.Series([objective.allows(row) for row in rows], dtype="bool")
    columns["seconds"] = pd.Series([row.seconds for row in rows], dtype="float64")
    columns["error"] = pd.Series([row.error for row in rows], dtype=object)
    if any(row.folder for row in rows):
        columns["folder"] = pd.Series([row.folder for row in rows], dtype=object)
    return pd.DataFrame(columns)


def _column(values: list[Any]) -> pd.Series[Any]:
    """Values of one kind as their own column; mixed ones stay the objects that they are."""
    import pandas as pd

    kinds = {type(value) for value in values}
    if kinds in ({int}, {float}, {bool}):
        return pd.Series(values)
    return pd.Series(values, dtype=object)
