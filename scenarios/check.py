"""Scenarios against what is expected of them: one after the other or in processes.

`check_scenario` plays one and says what came of it; a mismatch is explained by its first
divergence and written down. Nothing here prints.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from broker_api.errors import ConfigurationError
from data.kept import keep_tapes_open
from reports.difference import difference_page
from reports.run import RunRecord
from scenarios.accepted import accept, read_accepted, with_evidence, with_tapes_of
from scenarios.divergence import Divergence, first_divergence
from scenarios.invariants import broken
from scenarios.processes import InThisProcess, IsolatedProcesses, usable_processors
from scenarios.recording import Played, digest_of_run, fill_folder, played_sessions
from scenarios.run_folder import SUMMARY_FILE, write_json, write_whole
from scenarios.runner import REFUSALS, ScriptError, play
from scenarios.scenario import SCENARIO_FILE, Scenario, read_scenario
from scenarios.sweep import figures_of, run_all

DIVERGENCE_FILE = "divergence.json"
DIFFERENCE_PAGE = "difference.html"
PASSED, FAILED, ERROR, ACCEPTED = "passed", "failed", "error", "accepted"
_AHEAD = 64


@dataclass(frozen=True)
class Checked:
    """What became of one scenario.

    `status` is "passed", "failed" (it ran and was not as expected), "error" (it did not run) or
    "accepted" (by an update). `faults` say what was not as expected, `notes` what one should know.
    `folder` holds the run and its difference, where there is one. `seconds` are of real time.
    """

    name: str
    file: str
    status: str
    digest: str | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    divergence: Divergence | None = None
    folder: str | None = None
    seconds: float = 0.0

    @property
    def is_fine(self) -> bool:
        """True unless something was not as expected."""
        return self.status in (PASSED, ACCEPTED)


@dataclass(frozen=True)
class Task:
    """A scenario's file, the folder for its run if it is not as expected, and whether to accept."""

    file: Path
    out: Path
    update: bool = False


def find_scenarios(paths: Sequence[Path]) -> list[Path]:
    """The files of scenarios: those that are named, and every `scenario.toml` below a folder.

    Raises ConfigurationError for a path without any.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_file():
            found[path] = None
            continue
        below = sorted(path.rglob(SCENARIO_FILE)) if path.is_dir() else []
        mine = [each for each in below if not _is_hidden(each.relative_to(path))]
        if not mine:
            what = "holds no scenario.toml" if path.is_dir() else "does not exist"
            raise ConfigurationError(f"{path} {what}")
        found.update(dict.fromkeys(mine))
    return list(found)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def tasks_of(files: Sequence[Path], out: Path, *, update: bool = False) -> list[Task]:
    """A task for each scenario, each with a folder of its own below `out`."""
    tasks: list[Task] = []
    taken: set[str] = set()
    for file in files:
        name = file.resolve().parent.name if file.name == SCENARIO_FILE else file.stem
        number = 1
        while (own := name if number == 1 else f"{name}-{number}") in taken:
            number += 1
        taken.add(own)
        tasks.append(Task(file, out / own, update))
    return tasks


def check_all(tasks: Sequence[Task], processes: int | None = None) -> Iterator[Checked]:
    """Check every scenario; they come as they end. `processes` 0 is this one, None one a core."""
    wanted = usable_processors() if processes is None else processes
    count = min(wanted, len(tasks))
    with executor_of(count if count > 1 or processes else 0) as executor:
        for number, future in run_all(executor, check_scenario, tasks, _AHEAD if count else 1):
            failure = future.exception()
            if failure is None:
                yield future.result()
            else:
                file = str(tasks[number].file)
                yield Checked(tasks[number].out.name, file, ERROR, faults=(str(failure),))


@contextmanager
def executor_of(processes: int) -> Iterator[Executor]:
    """So many processes, ended with the block; 0 is this one."""
    if not processes:
        yield InThisProcess()
        return
    workers = IsolatedProcesses(processes)
    try:
        yield workers
    except BaseException:
        workers.kill()
        raise
    workers.shutdown()


def check_scenario(task: Task) -> Checked:
    """Play one scenario and compare, or accept. What goes wrong is in the answer."""
    began = time.perf_counter()
    try:
        checked = _check(task)
    except (ScriptError, *REFUSALS) as failure:
        checked = Checked(task.out.name, str(task.file), ERROR, faults=(str(failure),))
    except (Exception, SystemExit) as failure:
        text = f"{type(failure).__name__}: {failure}"
        checked = Checked(task.out.name, str(task.file), ERROR, faults=(text,))
    return replace(checked, seconds=time.perf_counter() - began)


def _check(task: Task) -> Checked:
    scenario = read_scenario(task.file)
    played = play_scenario(scenario)
    figures = figures_of([each.figures for each in played])
    about = partial(
        Checked,
        name=task.out.name,
        file=str(task.file),
        digest=digest_of_run(played),
        figures=figures,
    )
    if task.update:
        faults = _broken(scenario, played)
        if faults:
            return about(status=FAILED, faults=faults)
        notes = _accepted_now(scenario, played)
        is_new = accept(scenario, played)
        return about(status=ACCEPTED if is_new else PASSED, notes=notes)
    return _compare(task, scenario, played, about)


def play_scenario(scenario: Scenario) -> list[Played]:
    """Play it once, with what it prints left out. Raises as `runner.play`."""
    keep_tapes_open()
    script = scenario.script_to_play()
    # The file may name the broker that it is for in earnest: a check is a simulation.
    defaults = replace(scenario.defaults(), broker=None, broker_options={})
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
    ):
        outcome = play(script, defaults)
        if outcome.exit_code:
            raise ScriptError(f"the script left with code {outcome.exit_code}")
        return played_sessions(script, outcome)


def _compare(
    task: Task, scenario: Scenario, played: Sequence[Played], about: Callable[..., Checked]
) -> Checked:
    expected = scenario.expectation
    figures = figures_of([each.figures for each in played])
    faults = [*_other_figures(scenario, figures), *_broken(scenario, played)]
    notes: list[str] = []
    parted: _Parted | None = None
    digest = digest_of_run(played)
    if expected.digest is None and not expected.statistics and not faults:
        if expected.invariants == type(expected.invariants)():
            faults.append("nothing is expected yet: accept this run with --update")
    elif expected.digest not in (None, digest):
        parted, texts = _explain(scenario, played, digest)
        is_tolerated = bool(scenario.tolerance and expected.statistics) and not faults
        (notes if is_tolerated else faults)[:0] = texts
        if is_tolerated:
            notes.append("every figure is within its tolerance")
    folder = _write(task.out, played, parted) if faults else None
    return about(
        status=FAILED if faults else PASSED,
        faults=tuple(faults),
        notes=tuple(notes),
        divergence=None if parted is None else parted.divergence,
        folder=folder,
    )


def _other_figures(scenario: Scenario, figures: dict[str, Any]) -> Iterator[str]:
    for name, expected in scenario.expectation.statistics.items():
        actual = figures.get(name)
        if not scenario.tolerance.allows(name, expected, actual):
            yield f"{name} is {_number(actual)}, expected {_number(expected)}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:,.10g}"


def _broken(scenario: Scenario, played: Sequence[Played]) -> tuple[str, ...]:
    invariants = scenario.expectation.invariants
    return tuple(
        fault for each in played for fault in broken(invariants, each.record, each.metrics)
    )


def _accepted_now(scenario: Scenario, played: Sequence[Played]) -> tuple[str, ...]:
    """What an update is about to accept, for who reads along: how it parts from what was."""
    if not read_accepted(scenario):
        return ()
    parted, _ = _explain(scenario, played, digest_of_run(played))
    if parted is None:
        return ()
    found = parted.divergence
    return (found.sentence, f"likely cause ({found.cause.kind.value}): {found.cause.text}")


@dataclass(frozen=True)
class _Parted:
    """A session that is not the accepted one, both as records for a page."""

    divergence: Divergence
    expected: RunRecord
    actual: RunRecord
    name: str


def _explain(
    scenario: Scenario, played: Sequence[Played], digest: str
) -> tuple[_Parted | None, list[str]]:
    """The first session that parts from the accepted one, and the same in words."""
    kept = read_accepted(scenario)
    other = f"the events are not those expected (digest {digest[:8]})"
    if not kept:
        return None, [f"{other}; no accepted run is kept to compare with: --update keeps one"]
    if len(kept) != len(played):
        return None, [f"{other}: {len(played)} sessions, accepted were {len(kept)}"]
    for before, now in zip(kept, played, strict=True):
        found = first_divergence(before, with_evidence(now.record, scenario))
        if found is not None:
            expected = with_tapes_of(before, now.record)
            return _Parted(found, expected, now.record, scenario.name), [found.sentence]
    return None, [f"{other}, but are those of the accepted run that is kept: --update mends that"]


def _write(folder: Path, played: Sequence[Played], parted: _Parted | None) -> str:
    """Write the run, and what differs, for those who look into it.

    Raises ConfigurationError where the folder holds something else than an earlier run.
    """
    if folder.exists() and not (folder / SUMMARY_FILE).is_file() and any(folder.iterdir()):
        raise ConfigurationError(
            f"--out {folder.parent}: {folder} holds something that is no run; it was left as it is"
        )

    def fill(place: Path) -> None:
        fill_folder(place, played, report=False)
        if parted is not None:
            plain = parted.divergence.to_dict()
            write_json(place / DIVERGENCE_FILE, plain)
            page = difference_page(parted.expected, parted.actual, plain, parted.name)
            (place / DIFFERENCE_PAGE).write_text(page, encoding="utf-8")

    write_whole(folder, fill)
    return str(folder)
