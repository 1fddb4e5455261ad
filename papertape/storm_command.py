"""`papertape check --storm`: scenarios in many storms, the worst seeds, and one storm once more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from broker_api.errors import ConfigurationError
from data.market_storm import Incident
from papertape.ending import OK, SCRIPT_FAILED, ended, say
from reports.summary import print_summary
from scenarios.check import ERROR, FAILED, PASSED, Checked, executor_of, find_scenarios
from scenarios.check_report import write_results
from scenarios.processes import usable_processors
from scenarios.recording import fill_folder
from scenarios.run_folder import write_whole
from scenarios.scenario import SCENARIO_FILE, Scenario, read_scenario
from scenarios.storm_drawing import Storm
from scenarios.storms import SEEDS_AT_ONCE, StormFailure, StormRun, Stormy, listed, storm_all

WORST_SHOWN = 5
"""Runs that are listed though nothing in them is broken; broken ones are listed up to the next."""
BROKEN_SHOWN = 20


@dataclass(frozen=True)
class StormRequest:
    """Storms over every scenario below the paths, with the seeds from `seed` on.

    `processes` 0: all in this process; None: one a processor.
    """

    paths: Sequence[Path]
    count: int
    seed: int
    junit: Path | None = None
    markdown: Path | None = None
    processes: int | None = None


def perform_storms(request: StormRequest) -> int:
    """Play them all and print what came of them. Returns the exit code.

    0: every invariant held in every storm. 1: one did not, or a scenario could not be played.
    """
    return ended(lambda: _perform_storms(request))


def _perform_storms(request: StormRequest) -> int:
    files = find_scenarios(request.paths)
    told = _play_all(request, files)
    runs = [each for each in told if isinstance(each, StormRun)]
    results = [_checked(each) for each in told]
    console = Console(highlight=False, soft_wrap=True)
    for file in files:
        own = [run for run in runs if run.scenario == str(file)]
        if own:
            _print_scenario(console, file, own)
    for result in results:
        if result.status == ERROR:
            say(f"papertape: {result.faults[0]}")
    write_results(results, request.junit, request.markdown)
    return OK if all(each.is_fine for each in results) else SCRIPT_FAILED


def _play_all(request: StormRequest, files: Sequence[Path]) -> list[StormRun | StormFailure]:
    tasks = len(files) * -(-request.count // SEEDS_AT_ONCE)
    wanted = usable_processors() if request.processes is None else request.processes
    processes = min(wanted, tasks)
    with (
        executor_of(processes if processes > 1 or request.processes else 0) as executor,
        _progress(len(files) * request.count) as told,
    ):
        runs = storm_all(files, request.count, request.seed, executor, told)
        return sorted(runs, key=lambda each: (each.scenario, each.seed))


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """On a terminal how many storms are over."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda runs: None
        return
    done = 0
    with console.status(f"0 of {total:,} storms") as status:

        def told(runs: int) -> None:
            nonlocal done
            done += runs
            status.update(f"{done:,} of {total:,} storms")

        yield told


def _checked(told: StormRun | StormFailure) -> Checked:
    """As a check's result, for its files."""
    if isinstance(told, StormFailure):
        return Checked(Path(told.scenario).parent.name, told.scenario, ERROR, faults=(told.text,))
    name = f"{Path(told.scenario).parent.name} in storm {told.seed}"
    status = FAILED if told.broken else PASSED
    notes = (f"ended early: {told.ended}",) if told.ended else ()
    figures = {"net": told.net}
    return Checked(name, told.scenario, status, told.digest, figures, told.broken, notes)


def perform_one(paths: Sequence[Path], seed: int, out: Path) -> int:
    """Play one storm again and write its run folder below `out`. Returns the exit code, as above.

    Raises nothing; of several scenarios it refuses all.
    """
    return ended(lambda: _perform_one(paths, seed, out))


def _perform_one(paths: Sequence[Path], seed: int, out: Path) -> int:
    files = find_scenarios(paths)
    if len(files) > 1:
        raise ConfigurationError(
            f"--storm-seed plays one scenario, and there are {len(files)}: name its folder"
        )
    scenario = read_scenario(files[0])
    run = Stormy(scenario).run(seed)
    told = run.told(scenario)
    folder = out / f"{scenario.name}-storm-{seed}"
    write_whole(folder, lambda place: fill_folder(place, run.played, report=True))
    console = Console(highlight=False, soft_wrap=True)
    for each in run.played:
        print_summary(console, each.summary, None)
    _print_run(console, told)
    for symbol, incident in _incidents(run.storm, scenario):
        lasts = f" for {incident.lasts_ns / 1e9:g} s" if incident.lasts_ns else ""
        console.print(f"  {symbol}: {incident.kind.value} at {incident.at_ns} ns{lasts}")
    console.print(f"run folder  {folder}", soft_wrap=True)
    return SCRIPT_FAILED if run.broken else OK


def _incidents(storm: Storm, scenario: Scenario) -> list[tuple[str, Incident]]:
    return [(scenario.instruments[at].symbol, incident) for at, incident in storm.incidents]


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
