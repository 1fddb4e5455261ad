"""`papertape check --storm`: scenarios in many storms, the worst seeds, and one storm once more."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from data.market_storm import Incident
from papertape.run_command import INTERRUPTED, OK, REFUSED, SCRIPT_FAILED
from reports.summary import print_summary
from scenarios.processes import InThisProcess, IsolatedProcesses
from scenarios.recording import digest_of_run, fill_folder
from scenarios.run_folder import folder_for, write_whole
from scenarios.runner import REFUSALS, ScriptError
from scenarios.scenario import SCENARIO_FILE, Scenario, read_scenario
from scenarios.storm_drawing import Storm
from scenarios.storms import SEEDS_AT_ONCE, StormRun, Stormy, listed, storm_all

WORST_SHOWN = 5
"""Runs that are listed though nothing in them is broken; broken ones are listed up to the next."""
BROKEN_SHOWN = 20


@dataclass(frozen=True)
class StormRequest:
    """`count` storms over each scenario's file, with the seeds from `seed` on."""

    files: Sequence[Path]
    count: int
    seed: int
    processes: int


def perform_storms(request: StormRequest) -> int:
    """Play them all and print what came of them. Returns the exit code.

    0: every invariant held in every storm. 1: one did not, or a scenario could not be played.
    """
    try:
        with _executor(request) as executor:
            told = list(storm_all(request.files, request.count, request.seed, executor))
    except KeyboardInterrupt:
        _tell("papertape: interrupted")
        return INTERRUPTED
    runs = [each for each in told if isinstance(each, StormRun)]
    failures = [each for each in told if not isinstance(each, StormRun)]
    console = Console(highlight=False)
    for file in request.files:
        own = [run for run in runs if run.scenario == str(file)]
        if own:
            _print_scenario(console, file, own)
    for file, failure in failures:
        text = str(failure)
        _tell(f"papertape: {text if text.startswith(str(file)) else f'{file}: {text}'}")
    is_fine = not failures and not any(run.broken for run in runs)
    return OK if is_fine else SCRIPT_FAILED


def perform_one(file: Path, seed: int, out: Path | None, make_report: bool = True) -> int:
    """Play one storm again and write its run folder. Returns the exit code, as above."""
    try:
        scenario = read_scenario(file)
        run = Stormy(scenario).run(seed)
        told = run.told(scenario)
        digest = digest_of_run(run.played)
        folder = folder_for(out, Path(f"{scenario.name}-storm-{seed}"), digest)
        write_whole(
            folder, lambda place: fill_folder(place, run.played, report=make_report, tell=_tell)
        )
    except ScriptError as failure:
        _tell(str(failure))
        return SCRIPT_FAILED
    except REFUSALS as refusal:
        _tell(f"papertape: {refusal}")
        return REFUSED
    console = Console(highlight=False)
    for each in run.played:
        print_summary(console, each.summary, 0.0)
    _print_run(console, told)
    for symbol, incident in _incidents(run.storm, scenario):
        lasts = f" for {incident.lasts_ns / 1e9:g} s" if incident.lasts_ns else ""
        console.print(f"  {symbol}: {incident.kind.value} at {incident.at_ns} ns{lasts}")
    console.print(f"run folder  {folder}", soft_wrap=True)
    return SCRIPT_FAILED if run.broken else OK


def _incidents(storm: Storm, scenario: Scenario) -> list[tuple[str, Incident]]:
    return [(scenario.instruments[at].symbol, incident) for at, incident in storm.incidents]


@contextmanager
def _executor(request: StormRequest) -> Iterator[Executor]:
    """Processes where there is work for several, else this one."""
    tasks = len(request.files) * -(-request.count // SEEDS_AT_ONCE)
    processes = min(request.processes, tasks)
    executor: Executor = IsolatedProcesses(processes) if processes > 1 else InThisProcess()
    try:
        with executor:
            yield executor
    except KeyboardInterrupt:
        if isinstance(executor, IsolatedProcesses):
            executor.kill()
        raise


def _print_scenario(console: Console, file: Path, runs: Sequence[StormRun]) -> None:
    broken = [run for run in runs if run.broken]
    ended = sum(bool(run.ended) for run in runs)
    early = f", {ended} ended early by a refusal" if ended else ""
    state = f"[red]{len(broken)} broken[/]" if broken else "[green]all invariants held[/]"
    console.print(f"{escape(str(file.parent))}  {len(runs)} storms, {state}{early}", soft_wrap=True)
    shown = listed(runs, WORST_SHOWN)
    limit = max(WORST_SHOWN, BROKEN_SHOWN)
    for run in shown[:limit]:
        _print_run(console, run)
        console.print(f"      {command_of(run)}", style="dim", soft_wrap=True, markup=False)
    if len(shown) > limit:
        console.print(f"  and {len(shown) - limit} more that broke an invariant")


def command_of(run: StormRun) -> str:
    """The command that plays a storm again."""
    file = Path(run.scenario)
    where = file.parent if file.name == SCENARIO_FILE else file
    return f"papertape check {where} --storm-seed {run.seed}"


def _print_run(console: Console, run: StormRun) -> None:
    faults = ", ".join(f"{count} {kind}" for kind, count in run.faults.items())
    market = ", ".join(run.incidents)
    happened = "; ".join(text for text in (faults, market) if text) or "nothing happened"
    style = "red" if run.broken else ""
    console.print(
        f"  seed {run.seed}: net {run.net:,.2f}; {happened}",
        style=style,
        markup=False,
        soft_wrap=True,
    )
    for text in (*run.broken, *([f"ended early: {run.ended}"] if run.ended else [])):
        console.print(f"      {text}", markup=False, soft_wrap=True)


def _tell(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201
