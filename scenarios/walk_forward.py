"""Walk-forward: choose parameters on a stretch of the tapes, play them on the next, and go on.

Every stretch is a session of its own that begins flat with the account's cash. What the chosen
parameters did out of sample, put end to end, is the stitched result.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from broker_api.catalog import find, load_catalog
from broker_api.config import SessionDefaults
from broker_api.errors import ConfigurationError
from data.kept import kept_tape
from data.schema import ROWS_OF_BAR, TapeColumns
from data.tape import Tape, columns_hash, sample_path
from scenarios.combinations import Combination, Plan, combination_of
from scenarios.sweep import SUMS, Objective, Row
from scenarios.sweep_run import Space, Told, parked, play_combinations, play_space

WINDOWS_MAX = 1_000


@dataclass(frozen=True)
class Window:
    """Times in epoch ns: in sample from `train_ns`, out of sample from `test_ns` to `end_ns`.

    The end belongs to the next window, the last one's to itself.
    """

    train_ns: int
    test_ns: int
    end_ns: int


@dataclass(frozen=True)
class WalkForward:
    """`windows` stretches out of sample of equal length, one after the other to the tapes' end.

    The in-sample stretch before each is as long as `train` of them, and moves along (rolling), or
    begins where the tapes begin and grows (`anchored`).
    """

    windows: int
    train: int = 3
    anchored: bool = False

    def __post_init__(self) -> None:
        for name, value in (("windows", self.windows), ("train", self.train)):
            if not 1 <= value <= WINDOWS_MAX:
                raise ConfigurationError(
                    f"walk-forward {name} = {value} is not between 1 and {WINDOWS_MAX:,}"
                )

    def split(self, start_ns: int, end_ns: int) -> list[Window]:
        """The windows of a time. Raises ConfigurationError where it is too short for them."""
        pieces = self.windows + self.train
        if end_ns - start_ns < pieces:
            raise ConfigurationError(f"the tapes are too short for {pieces} stretches of time")
        cuts = [start_ns + (end_ns - start_ns) * each // pieces for each in range(pieces)]
        cuts.append(end_ns + 1)
        return [
            Window(
                cuts[0 if self.anchored else at], cuts[at + self.train], cuts[at + self.train + 1]
            )
            for at in range(self.windows)
        ]


@dataclass(frozen=True)
class Walked:
    """One window: every run in sample, the best of them (None: no run was allowed), and that
    one's run out of sample."""

    window: Window
    rows: tuple[Row, ...]
    best: Row | None
    test: Row | None


def walk_forward(
    plan: Plan,
    space: Space,
    objective: Objective,
    split: WalkForward,
    executor: Executor,
    told: Told,
) -> Iterator[Walked]:
    """Choose and play, window by window; what is chosen never knows what comes after it.

    Raises as `play_space`, and ConfigurationError for tapes that cannot be cut.
    """
    tapes = open_tapes(plan.defaults)
    start = min(tape.start_ns for tape in tapes.values())
    windows = split.split(start, max(tape.end_ns for tape in tapes.values()))
    for number, window in enumerate(windows, start=1):
        inside = _in_time(plan, tapes, window.train_ns, window.test_ns, f"window {number}, in")
        outside = _in_time(plan, tapes, window.test_ns, window.end_ns, f"window {number}, out of")
        rows: dict[int, Row] = {}
        settled = play_space(inside, space, executor, rows, told)
        ordered = tuple(rows[at] for at in sorted(rows))
        best = next(iter(objective.best(ordered)), None)
        test = None
        if best is not None:
            chosen = _combination(space, ordered.index(best), best)
            played = replace(outside, script=settled.script)
            test = _alone(played, chosen, executor)
        yield Walked(window, ordered, best, test)


def _alone(plan: Plan, combination: Combination, executor: Executor) -> Row:
    rows: dict[int, Row] = {}
    with parked(plan, executor) as ready:
        play_combinations(ready, [combination], executor, rows, lambda row, count: None)
    return rows[0]


def _combination(space: Space, number: int, row: Row) -> Combination:
    choice = next(each for at, each in enumerate(space) if at == number)
    return replace(combination_of(number, choice, space.text_names), shown=row.parameters)


# --- tapes ---------------------------------------------------------------------------------------


def open_tapes(defaults: SessionDefaults) -> dict[str, Tape]:
    """The tapes of a session by symbol. Raises ConfigurationError for an instrument without one."""
    catalog = load_catalog(*defaults.catalog_files)
    opened = {}
    for name in defaults.instruments or tuple(defaults.tapes):
        spec = find(catalog, name)
        given = defaults.tapes.get(spec.symbol, defaults.tapes.get(name))
        path = sample_path(spec.symbol) if given is None else given
        if path is None:
            raise ConfigurationError(f"{spec.symbol} has no tape to cut into windows")
        opened[spec.symbol] = path if isinstance(path, Tape) else kept_tape(Path(str(path)), spec)
    if not opened:
        raise ConfigurationError("walk-forward cuts tapes: name an instrument or a tape")
    return opened


def between(tape: Tape, start_ns: int, end_ns: int) -> Tape | None:
    """The rows at `start_ns` <= time < `end_ns` as a tape of its own; None where there are none.

    Raises ConfigurationError for rows of single orders, which know of rows before them.
    """
    if tape.has_orders:
        raise ConfigurationError(f"{tape.symbol}: a tape of single orders cannot be cut")
    first, last = (
        int(np.searchsorted(tape.columns.ts, at, side="left")) for at in (start_ns, end_ns)
    )
    if tape.bar_interval_ns:  # A bar's rows stay together.
        first, last = (at + -at % ROWS_OF_BAR for at in (first, last))
    if first >= last:
        return None
    columns = TapeColumns._make(column[first:last] for column in tape.columns)
    return replace(tape, columns=columns, content_hash=columns_hash(columns), stored=None)


def _in_time(plan: Plan, tapes: Mapping[str, Tape], start_ns: int, end_ns: int, shown: str) -> Plan:
    cut: dict[str, object] = {}
    for symbol, tape in tapes.items():
        part = between(tape, start_ns, end_ns)
        if part is None:
            raise ConfigurationError(f"{symbol}: {shown} sample: the tape has no rows in that time")
        cut[symbol] = part
    return replace(plan, defaults=replace(plan.defaults, tapes=cut), keep=None)


# --- the stitched result -------------------------------------------------------------------------


def stitched(walked: Sequence[Walked]) -> dict[str, Any]:
    """What the windows out of sample came to together.

    Sums of the figures that add up; `profit` is the change of equity, `max_drawdown` that of the
    profits put end to end. `efficiency` is profit a time out of sample over that in sample (Pardo,
    "The Evaluation and Optimization of Trading Strategies", 2008), None where that was no profit.
    """
    tests = [each.test for each in walked if each.test is not None and each.test.error is None]
    figures: dict[str, Any] = {name: sum(row.figures[name] for row in tests) for name in SUMS}
    profits = [profit for row in tests for profit in row.profits]
    curve = list(accumulate(profits, initial=0.0))
    peaks = accumulate(curve, max)
    outside = _rate(
        (row, each.window.end_ns - each.window.test_ns)
        for each in walked
        if (row := each.test) is not None
    )
    inside = _rate(
        (row, each.window.test_ns - each.window.train_ns)
        for each in walked
        if (row := each.best) is not None
    )
    return figures | {
        "windows": len(walked),
        "played": len(tests),
        "profit": math.fsum(profits),
        "max_drawdown": min(value - peak for value, peak in zip(curve, peaks, strict=True)),
        "efficiency": outside / inside if inside > 0 else None,
    }


def _rate(played: Iterable[tuple[Row, int]]) -> float:
    """Profit an hour of some runs, each with the length of its stretch in ns."""
    rows = [(math.fsum(row.profits), length) for row, length in played]
    hours = sum(length for _, length in rows) / 3.6e12
    return math.fsum(profit for profit, _ in rows) / hours if hours else 0.0
