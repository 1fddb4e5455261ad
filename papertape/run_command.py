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
from papertape.progress import progress_bar
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


def _save(request: Request, outcome: Outcome, seconds: float) -> None:
    """Write the run folder, then print the summary of every session and where the folder is."""
    records = [_record(request, outcome, suite) for suite in outcome.sessions]
    digest = run_digest([record.digest for record in records])
    folder = folder_for(request.out, request.script.path, digest)
    summaries = [summarise(record) for record in records]

    def fill(place: Path) -> None:
        if len(records) == 1:
            _fill_one(place, request, outcome.sessions[0], records[0], summaries[0])
            return
        for number, parts in enumerate(
            zip(outcome.sessions, records, summaries, strict=True), start=1
        ):
            part = place / f"session-{number}"
            part.mkdir()
            _fill_one(part, request, *parts)
        sessions = [record.digest for record in records]
        write_json(place / SUMMARY_FILE, {"digest": digest, "sessions": sessions})

    write_whole(folder, fill)
    console = Console(highlight=False)
    for summary in summaries:
        print_summary(console, summary, seconds)
    console.print(f"run folder  {folder}", soft_wrap=True)
    if outcome.tape_ended:
        console.print("the tape ended while the script was still waiting", style="dim")


def _record(request: Request, outcome: Outcome, suite: Any) -> RunRecord:
    session = suite.session
    tapes = tuple(getattr(session.broker, "tapes", (None,) * len(session.instruments)))
    config = {
        "script": request.script.path.name,
        "strategy": outcome.strategy,
        "parameters": outcome.parameters,
        "broker": session.broker.name,
        "started_ns": session.started_ns,
        "ended_ns": session.clock.now_ns(),
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


def _tape_entry(tape: Any) -> dict[str, str]:
    return {"symbol": tape.symbol, "path": str(tape.source), "content_hash": tape.content_hash}


def _notes(session: Any) -> list[str]:
    notes = [*getattr(session.broker, "notes", ())]
    for tape in getattr(session.broker, "tapes", ()):
        notes += [f"{tape.symbol}: {note}" for note in tape.notes]
    errors = [f"{type(error).__name__}: {error}" for error in session.errors]
    return notes + [f"a handler failed and the run went on: {error}" for error in errors]


def _fill_one(
    place: Path, request: Request, suite: Any, record: RunRecord, summary: Summary
) -> None:
    suite.session.journal.write(place)
    write_json(place / CONFIG_FILE, record.config)
    write_json(place / SUMMARY_FILE, summary.as_dict())


def _tell(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201
