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
from papertape.progress import progress_bar, tape_span
from papertape.run_folder import (
    CONFIG_FILE,
    SUMMARY_FILE,
    folder_for,
    plain,
    run_digest,
    versions,
    write_json,
    write_whole,
)
from papertape.runner import REFUSALS, Outcome, Script, ScriptError, play
from reports.metrics import Metrics, measure
from reports.run import RunRecord
from reports.summary import Summary, print_summary, summarise

OK, SCRIPT_FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130


@dataclass(frozen=True)
class Request:
    """A run as it was asked for. `out` is the run folder, None for one below `runs`."""

    script: Script
    defaults: SessionDefaults
    out: Path | None
    report: bool


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
class _Played:
    """One session of the run with what is told of it."""

    suite: Any
    record: RunRecord
    metrics: Metrics
    summary: Summary


def _save(request: Request, outcome: Outcome, seconds: float) -> None:
    """Write the run folder, then print the summary of every session and where the folder is."""
    played = [_played(_record(request, outcome, suite), suite) for suite in outcome.sessions]
    digest = run_digest([each.record.digest for each in played])
    folder = folder_for(request.out, request.script.path, digest)
    write_whole(folder, lambda place: _fill(place, played, digest, request.report))
    console = Console(highlight=False)
    for each in played:
        print_summary(console, each.summary, seconds)
    console.print(f"run folder  {folder}", soft_wrap=True)
    if outcome.tape_ended:
        console.print("the tape ended while the script was still waiting", style="dim")


def _played(record: RunRecord, suite: Any) -> _Played:
    metrics = measure(record)
    return _Played(suite, record, metrics, summarise(record, metrics))


def _fill(folder: Path, played: list[_Played], digest: str, report: bool) -> None:
    if len(played) == 1:
        _fill_one(folder, played[0], report)
        return
    for number, each in enumerate(played, start=1):
        part = folder / f"session-{number}"
        part.mkdir()
        _fill_one(part, each, report)
    sessions = [each.record.digest for each in played]
    write_json(folder / SUMMARY_FILE, {"digest": digest, "sessions": sessions})


def _fill_one(folder: Path, played: _Played, report: bool) -> None:
    played.suite.session.journal.write(folder)
    write_json(folder / CONFIG_FILE, played.record.config)
    write_json(folder / SUMMARY_FILE, played.summary.as_dict())
    if not report:
        return
    from reports.html import REPORT_FILE, ReportError, report_html

    try:
        page = report_html(played.record, played.metrics)
    except ReportError as failure:
        _tell(f"papertape: no report: {failure}")
        return
    (folder / REPORT_FILE).write_text(page, encoding="utf-8")


def _record(request: Request, outcome: Outcome, suite: Any) -> RunRecord:
    session = suite.session
    tapes = tuple(getattr(session.broker, "tapes", (None,) * len(session.instruments)))
    config = {
        "script": request.script.path.name,
        "strategy": outcome.strategy,
        "parameters": outcome.parameters,
        "broker": session.broker.name,
        "started_ns": session.started_ns,
        "ended_ns": _ended_ns(outcome, suite),
        "instruments": session.instruments,
        "tapes": [_tape_entry(tape) for tape in tapes if tape is not None],
        "order_manager": session.config,
        "notes": _notes(session),
        "versions": versions(),
    }
    spec = getattr(session.broker, "spec", None)
    if spec is not None:
        config |= {"simulation": spec.simulation, "account": spec.account}
    return RunRecord(
        events=session.journal.events(),
        commands=session.journal.commands(),
        instruments=session.instruments,
        tapes=tapes,
        config=plain(config),
    )


def _ended_ns(outcome: Outcome, suite: Any) -> int:
    """The session's time at its end: the tape's end, where that is what ended it."""
    now_ns: int = suite.session.clock.now_ns()
    span = tape_span([suite])
    if span is None or not outcome.tape_ended or suite is not outcome.sessions[-1]:
        return now_ns
    return max(now_ns, span[1])


def _tape_entry(tape: Any) -> dict[str, str]:
    return {"symbol": tape.symbol, "path": str(tape.source), "content_hash": tape.content_hash}


def _notes(session: Any) -> list[str]:
    errors = [f"{type(error).__name__}: {error}" for error in session.errors]
    notes = [*getattr(session.broker, "notes", ())]
    return notes + [f"a handler failed and the run went on: {error}" for error in errors]


def _tell(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201
