"""`papertape run`: play the script, write the run folder, print the summary, give the exit code."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from broker_api.config import SessionDefaults
from papertape.alias import check_alias
from papertape.bounds import bounds_of
from papertape.progress import progress_bar
from papertape.recording import record_of
from papertape.run_folder import (
    CONFIG_FILE,
    SUMMARY_FILE,
    folder_for,
    run_digest,
    write_json,
    write_whole,
)
from papertape.runner import REFUSALS, Outcome, Script, ScriptError, play
from reports.bounds import Bounds, print_bounds
from reports.metrics import Metrics, measure
from reports.run import RunRecord
from reports.summary import Summary, print_summary, summarise

OK, SCRIPT_FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130


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
    try:
        return _perform(make_request())
    except ScriptError as failure:
        _tell(str(failure))
        return SCRIPT_FAILED
    except REFUSALS as refusal:
        _tell(f"papertape: {refusal}")
        return REFUSED
    except KeyboardInterrupt:
        _tell("papertape: interrupted; no run folder was written")
        return INTERRUPTED


def _perform(request: Request) -> int:
    if request.script.as_name is not None:
        hidden = check_alias(request.script.as_name)
        if hidden is not None:
            _tell(f"papertape: {hidden}")
    began = time.perf_counter()
    with progress_bar() as watch:
        outcome = play(request.script, request.defaults, watch)
    seconds = time.perf_counter() - began
    if outcome.exit_code:
        return outcome.exit_code
    _save(request, outcome, seconds)
    return OK


@dataclass(frozen=True)
class Played:
    """One session of the run with what is told of it."""

    suite: Any
    record: RunRecord
    metrics: Metrics
    summary: Summary


def _save(request: Request, outcome: Outcome, seconds: float) -> None:
    """Write the run folder, then print the summary of every session and where the folder is."""
    script = request.script
    played = played_sessions(script, outcome)
    bounds = None
    if request.bounds:
        measured = [(each.record, each.metrics) for each in played]
        bounds = bounds_of(script, request.defaults, outcome.sessions, measured)
    digest = run_digest([each.record.digest for each in played])
    folder = folder_for(request.out, script.path, digest)
    write_whole(folder, lambda place: fill_folder(place, played, digest, request.report, bounds))
    console = Console(highlight=False)
    for each in played:
        print_summary(console, each.summary, seconds)
    if bounds is not None:
        print_bounds(console, bounds)
    console.print(f"run folder  {folder}", soft_wrap=True)
    if outcome.tape_ended:
        console.print("the tape ended while the script was still waiting", style="dim")


def played_sessions(script: Script, outcome: Outcome) -> list[Played]:
    """The sessions of a run that has ended, measured."""
    played = []
    for suite in outcome.sessions:
        record = record_of(script, outcome, suite)
        metrics = measure(record)
        played.append(Played(suite, record, metrics, summarise(record, metrics)))
    return played


def fill_folder(
    folder: Path, played: list[Played], digest: str, report: bool, bounds: Bounds | None
) -> None:
    """Write journal, settings, figures and report of the run into an empty folder."""
    if len(played) == 1:
        _fill_one(folder, played[0], report, bounds)
        return
    for number, each in enumerate(played, start=1):
        part = folder / f"session-{number}"
        part.mkdir()
        _fill_one(part, each, report, None)
    sessions = [each.record.digest for each in played]
    figures = {"digest": digest, "sessions": sessions}
    write_json(folder / SUMMARY_FILE, figures | _bounds_entry(bounds))


def _fill_one(folder: Path, played: Played, report: bool, bounds: Bounds | None) -> None:
    played.suite.session.journal.write(folder)
    write_json(folder / CONFIG_FILE, played.record.config)
    write_json(folder / SUMMARY_FILE, played.summary.as_dict() | _bounds_entry(bounds))
    if not report:
        return
    from reports.html import REPORT_FILE, ReportError, report_html

    try:
        page = report_html(played.record, played.metrics, bounds)
    except ReportError as failure:
        _tell(f"papertape: no report: {failure}")
        return
    (folder / REPORT_FILE).write_text(page, encoding="utf-8")


def _bounds_entry(bounds: Bounds | None) -> dict[str, Any]:
    return {} if bounds is None else {"bounds": bounds.as_dict()}


def _tell(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201
