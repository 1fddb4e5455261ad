"""From a session that has ended to the record that reports are made of and folders keep."""

from __future__ import annotations

from typing import Any

from papertape.progress import tape_span
from papertape.run_folder import plain, versions
from papertape.runner import Outcome, Script
from reports.run import RunRecord


def record_of(script: Script, outcome: Outcome, suite: Any) -> RunRecord:
    """The run of one session of a script, with everything that `config.json` holds."""
    session = suite.session
    tapes = tuple(getattr(session.broker, "tapes", (None,) * len(session.instruments)))
    config = {
        "script": script.path.name,
        "strategy": outcome.strategy,
        "parameters": outcome.parameters,
        "broker": session.broker.name,
        "started_ns": session.started_ns,
        "ended_ns": _ended_ns(outcome, suite),
        "instruments": session.instruments,
        "tapes": [_tape_entry(tape) for tape in tapes if tape is not None],
        "order_manager": session.config,
        "notes": [*_notes(session), *suite.risk.notes],
        "versions": versions(),
    }
    if session.is_rehearsal:
        config["rehearsed_for"] = session.venue
    if not suite.risk.is_open:
        config["risk"] = suite.risk.rules.model_dump(exclude_none=True)
    spec = getattr(session.broker, "spec", None)
    if spec is not None:
        config |= {"simulation": spec.simulation, "account": spec.account}
    return RunRecord(
        events=session.journal.events(),
        orders=session.journal.order_count,
        commands=session.journal.commands,
        instruments=session.instruments,
        tapes=tapes,
        config=plain(config),
    )


def _ended_ns(outcome: Outcome, suite: Any) -> int:
    """The session's time at its end: the tape's end, where that is what ended it."""
    closed_ns: int | None = suite.session.ended_ns
    now_ns = suite.session.clock.now_ns() if closed_ns is None else closed_ns
    span = tape_span([suite])
    if span is None or not outcome.tape_ended or suite is not outcome.sessions[-1]:
        return int(now_ns)
    return max(int(now_ns), span[1])


def _tape_entry(tape: Any) -> dict[str, Any]:
    entry = {"symbol": tape.symbol, "path": str(tape.source), "content_hash": tape.content_hash}
    bars = {"bar_interval_ns": tape.bar_interval_ns} if tape.bar_interval_ns else {}
    return {**entry, **bars}


def _notes(session: Any) -> list[str]:
    errors = [f"{type(error).__name__}: {error}" for error in session.errors]
    notes = [*getattr(session.broker, "notes", ())]
    return notes + [f"a handler failed and the run went on: {error}" for error in errors]
