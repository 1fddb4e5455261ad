"""One combination of a sweep: checked before anything runs, then played like a run of its own.

The functions here run in worker processes. A combination is played exactly as `papertape run` plays
it: the file is executed anew, the parameters arrive as those of `--set`. So a run's digest depends
on its combination alone, whatever ran before it in the same process.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from broker_api.config import SessionDefaults
from broker_api.errors import ConfigurationError
from broker_api.instrument import NANOS
from data.kept import keep_tapes_open, unpark_all
from reports.equity import profits_in
from scenarios.grid import Grid
from scenarios.parameters import literal
from scenarios.recording import (
    Played,
    digest_of_run,
    fill_folder,
    played_sessions,
    tape_span,
)
from scenarios.run_folder import folder_for, write_whole
from scenarios.runner import (
    Outcome,
    Script,
    ScriptError,
    bound_arguments,
    check_script_file,
    play,
)
from scenarios.sampling import Sample
from scenarios.settings import with_settings
from scenarios.sweep import PERIODS, Row, figures_of

SIMULATION = "simulation."
"""Parameters that begin like this are settings of the simulation."""

_inside = False
_settled = False


@dataclass(frozen=True)
class Plan:
    """What all runs of a sweep have in common. `keep` is the folder for run folders, or None."""

    script: Script
    defaults: SessionDefaults
    keep: Path | None = None


@dataclass(frozen=True)
class Combination:
    """One run's own part. `shown` are its parameters in the table.

    `values` are arguments of the strategy, `texts` those that were typed, `settings` those of the
    simulation.
    """

    number: int
    values: Mapping[str, Any]
    texts: Mapping[str, str]
    settings: Mapping[str, Any]
    shown: Mapping[str, Any]


def combinations_of(
    plan: Plan, grid: Grid | Sample, executor: Executor
) -> tuple[Plan, list[Combination]]:
    """The plan with the strategy's name, and every combination, checked before anything runs.

    Raises ConfigurationError for a parameter that the strategy or the simulation does not have,
    and for a value that does not fit; ScriptError for a file that cannot even be loaded.
    """
    check_script_file(plan.script.path)
    _check_unique(plan, grid)
    combinations = [
        combination_of(number, choice, grid.text_names) for number, choice in enumerate(grid)
    ]
    for settings in {repr(each.settings): each.settings for each in combinations}.values():
        with_settings(plan.defaults, settings)
    if all(axis.name.startswith(SIMULATION) for axis in grid.axes):
        return plan, combinations
    choices = [(each.values, each.texts) for each in combinations]
    strategy, arguments = executor.submit(check_script, plan, choices).result()
    shown = [
        {name: bound.get(name, value) for name, value in each.shown.items()}
        for each, bound in zip(combinations, arguments, strict=True)
    ]
    combinations = [replace(each, shown=own) for each, own in zip(combinations, shown, strict=True)]
    return replace(plan, script=replace(plan.script, strategy=strategy)), combinations


def _check_unique(plan: Plan, grid: Grid | Sample) -> None:
    for axis in grid.axes:
        if axis.name in plan.script.assignments:
            raise ConfigurationError(f"{axis.name} is in the grid and set to one value as well")


def combination_of(number: int, choice: dict[str, Any], text_names: frozenset[str]) -> Combination:
    """The combination of these values, of which some are texts as typed."""
    read = {name: literal(value) if name in text_names else value for name, value in choice.items()}
    mine = {name: value for name, value in choice.items() if not name.startswith(SIMULATION)}
    return Combination(
        number,
        values={name: value for name, value in mine.items() if name not in text_names},
        texts={name: text for name, text in mine.items() if name in text_names},
        settings={
            name.removeprefix(SIMULATION): value
            for name, value in read.items()
            if name.startswith(SIMULATION)
        },
        shown=read,
    )


def check_script(
    plan: Plan, choices: Sequence[tuple[Mapping[str, Any], Mapping[str, str]]]
) -> tuple[str, list[dict[str, Any]]]:
    """The strategy's name and its arguments for every choice, see `bound_arguments`."""
    with _inside_a_run():
        return bound_arguments(plan.script, _own(plan.defaults), choices)


def run_combination(plan: Plan, combination: Combination) -> Row:
    """Play one combination. What it raises is in the row."""
    keep_tapes_open()
    began = time.perf_counter()
    try:
        with _inside_a_run():
            row = _run(plan, combination)
    except ScriptError as failure:
        row = Row(combination.shown, error=str(failure))
    except (Exception, SystemExit) as failure:
        row = Row(combination.shown, error=f"{type(failure).__name__}: {failure}")
    seconds = time.perf_counter() - began
    _tidy_up()
    return replace(row, seconds=seconds)


def _tidy_up() -> None:
    """Free the session that has ended: it is full of cycles, and holds its journal and its book.

    Only in a worker: what is left there after the first run stays for good and need not be looked
    through again, which would cost more than many a run.
    """
    global _settled
    if multiprocessing.parent_process() is None:
        return
    gc.collect()
    if not _settled:
        gc.freeze()
        _settled = True


def _run(plan: Plan, combination: Combination) -> Row:
    defaults = with_settings(_own(plan.defaults), combination.settings)
    defaults = replace(defaults, parameters={**defaults.parameters, **combination.values})
    texts = {**plan.script.assignments, **combination.texts}
    script = replace(plan.script, assignments=texts)
    outcome = play(script, defaults)
    if outcome.exit_code:
        error = f"the script left with code {outcome.exit_code}"
        return Row(combination.shown, error=error)
    played = played_sessions(script, outcome)
    digest = digest_of_run(played)
    folder = None
    if plan.keep is not None:
        folder = _keep(plan.keep / f"run-{combination.number:04d}", script, played, digest)
    return Row(
        combination.shown,
        digest,
        figures_of([each.figures for each in played]),
        folder=folder,
        profits=_profits(played, outcome),
    )


def _profits(played: list[Played], outcome: Outcome) -> tuple[float, ...]:
    """See `Row.profits`; of several sessions the first's, of a script without tapes nothing."""
    span = tape_span(outcome.sessions[:1])
    if span is None:
        return ()
    profits = profits_in(played[0].metrics.equity, *span, PERIODS)
    return tuple((profits / NANOS).tolist())


def _keep(folder: Path, script: Script, played: list[Played], digest: str) -> str:
    folder = folder_for(folder, script.path, digest)
    write_whole(folder, lambda place: fill_folder(place, played, report=False))
    return str(folder)


def _own(defaults: SessionDefaults) -> SessionDefaults:
    """Defaults for one run, with the tapes of this process."""
    return replace(defaults, sessions=[], tapes=unpark_all(defaults.tapes))


@contextmanager
def _inside_a_run() -> Iterator[None]:
    """What the scripts of many runs print would be one heap of lines: it is not shown."""
    global _inside
    before, _inside = _inside, True
    try:
        with (
            Path(os.devnull).open("w", encoding="utf-8") as nowhere,
            redirect_stdout(nowhere),
            redirect_stderr(nowhere),
        ):
            yield
    finally:
        _inside = before


def check_outside_of_runs() -> None:
    """Raise ConfigurationError where a run of a sweep would start another sweep."""
    if _inside:
        raise ConfigurationError(
            "a sweep's own run calls sweep() again while it loads the file: put the call under "
            'if __name__ == "__main__": or into a file of its own'
        )
