"""`papertape fork RUN --at EVENT --set NAME=VALUE`: the fork's run folder, and what it changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from broker_api.errors import ConfigurationError
from papertape.compare_command import perform as compare_folders
from papertape.ending import OK, ended
from scenarios.fork import Fork, play_fork
from scenarios.paper import plan_of
from scenarios.parameters import split_assignments
from scenarios.past_run import read_simulated_run, tapes_of_run
from scenarios.recording import digest_of_run, fill_folder, played_sessions
from scenarios.run_folder import JOURNAL_FILE, folder_for, write_whole
from scenarios.runner import check_script_file

_PAIRED_SECONDS = 1.0


def perform(
    run: Path,
    at: int,
    assignments: Sequence[str],
    script: Path | None,
    tapes: Sequence[str],
    out: Path | None,
    *,
    report: bool,
) -> int:
    """Fork a run and compare it with what it was. Returns the exit code."""
    return ended(lambda: _perform(run, at, assignments, script, tapes, out, report=report))


def _perform(
    folder: Path,
    at: int,
    assignments: Sequence[str],
    script: Path | None,
    named: Sequence[str],
    out: Path | None,
    *,
    report: bool,
) -> int:
    def again(symbol: str) -> str:
        return f"papertape fork {folder} --at {at} --tape {symbol}=FILE ..."

    run = read_simulated_run(folder)
    tapes = tapes_of_run(run, named, again)
    place = script or _script_of(folder, str(run.config["script"]))
    check_script_file(place)
    fork = Fork(run, tapes, place, at, split_assignments(list(assignments)))
    played_script, outcome = play_fork(fork)
    played = played_sessions(played_script, outcome)
    digest = digest_of_run(played)
    target = folder_for(out or folder.with_name(f"{folder.name}-fork-{digest[:8]}"), place, digest)
    write_whole(target, lambda place: fill_folder(place, played, report=report))
    console = Console(highlight=False)
    console.print(f"events 1 to {at:,} are those of the run; run folder  {target}", soft_wrap=True)
    compare_folders(folder, target, target / "compare.html", _PAIRED_SECONDS)
    return OK


def _script_of(folder: Path, name: str) -> Path:
    """The run's script: what a paper session's journal names, or in the working directory."""
    if (folder / JOURNAL_FILE).is_file():
        return plan_of(folder)[0].scenario.script
    if not Path(name).is_file():
        raise ConfigurationError(f"the run's script {name} is not here; say --script FILE")
    return Path(name)
