"""`papertape run`: play the script, write the run folder, print the summary, give the exit code."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from broker_api.config import SessionDefaults
from papertape.bounds import bounds_of
from papertape.ending import OK, ended, say
from papertape.progress import print_summaries, progress_bar
from reports.bounds import print_bounds
from scenarios.alias import check_alias
from scenarios.recording import digest_of_run, fill_folder, played_sessions
from scenarios.run_folder import folder_for, write_whole
from scenarios.runner import Outcome, Script, play


@dataclass(frozen=True)
class Request:
    """A run as it was asked for. `out` is the run folder, None for one below `runs`.

    `bounds` asks for two more runs of the script, at both ends of the queue.
    """

    script: Script
    defaults: SessionDefaults
    out: Path | None
    report: bool
    bounds: bool = False


def perform(make_request: Callable[[], Request]) -> int:
    """Do the run that `make_request` describes. Returns the exit code; see papertape.cli."""
    return ended(
        lambda: _perform(make_request()), interrupted="interrupted; no run folder was written"
    )


def _perform(request: Request) -> int:
    if request.script.as_name is not None:
        hidden = check_alias(request.script.as_name)
        if hidden is not None:
            say(f"papertape: {hidden}")
    began = time.perf_counter()
    with progress_bar() as watch:
        outcome = play(request.script, request.defaults, watch)
    seconds = time.perf_counter() - began
    if outcome.exit_code:
        return outcome.exit_code
    _save(request, outcome, seconds)
    return OK


def _save(request: Request, outcome: Outcome, seconds: float) -> None:
    """Write the run folder, then print the summary of every session and where the folder is."""
    script = request.script
    played = played_sessions(script, outcome)
    bounds = None
    if request.bounds:
        measured = [(each.record, each.metrics) for each in played]
        bounds = bounds_of(script, request.defaults, outcome.sessions, measured)
    folder = folder_for(request.out, script.path, digest_of_run(played))
    write_whole(
        folder,
        lambda place: fill_folder(place, played, report=request.report, bounds=bounds),
    )
    console = Console(highlight=False)
    print_summaries(console, played, seconds)
    if bounds is not None:
        print_bounds(console, bounds)
    console.print(f"run folder  {folder}", soft_wrap=True)
    if outcome.tape_ended:
        console.print("the tape ended while the script was still waiting", style="dim")
