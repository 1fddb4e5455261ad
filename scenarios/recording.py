"""From a session that has ended to the record that reports are made of and folders keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from data.kept import kept_tape
from data.tape import Tape
from data.written import table_of, write_tape
from reports.bounds import Bounds
from reports.metrics import Metrics, measure
from reports.run import RunRecord
from reports.summary import Summary, figures, summarise
from scenarios.run_folder import CONFIG_FILE, SUMMARY_FILE, plain, run_digest, versions, write_json
from scenarios.runner import Outcome, Script


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
        "ended_ns": session.clock.now_ns() if session.ended_ns is None else session.ended_ns,
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


def _tape_entry(tape: Any) -> dict[str, Any]:
    entry = {"symbol": tape.symbol, "path": str(tape.source), "content_hash": tape.content_hash}
    bars = {"bar_interval_ns": tape.bar_interval_ns} if tape.bar_interval_ns else {}
    return {**entry, **bars}


def with_market(record: RunRecord, market: Sequence[Tape], folder: Path) -> RunRecord:
    """The record of a session on a market that came in: written as files, which it names."""
    tapes = []
    for spec, rows in zip(record.instruments, market, strict=True):
        file = folder / f"{spec.symbol}.parquet"
        write_tape(table_of(rows, spec), file)
        tapes.append(kept_tape(file, spec))
    config = {**record.config, "tapes": [_tape_entry(tape) for tape in tapes]}
    return replace(record, tapes=tuple(tapes), config=config)


def _notes(session: Any) -> list[str]:
    errors = [f"{type(error).__name__}: {error}" for error in session.errors]
    notes = [*getattr(session.broker, "notes", ())]
    return notes + [f"a handler failed and the run went on: {error}" for error in errors]


def tape_span(sessions: list[Any]) -> tuple[int, int] | None:
    """First and last instant (epoch ns) of the newest session's tapes, None where it has none."""
    tapes = getattr(sessions[-1].session.broker, "tapes", ()) if sessions else ()
    if not tapes:
        return None
    return min(tape.start_ns for tape in tapes), max(tape.end_ns for tape in tapes)


@dataclass(frozen=True)
class Played:
    """One session of the run with what is told of it."""

    suite: Any
    record: RunRecord
    metrics: Metrics

    @property
    def figures(self) -> Mapping[str, Any]:
        """Its figures alone, which cost less than the summary."""
        return figures(self.record, self.metrics)

    @cached_property
    def summary(self) -> Summary:
        """Its figures with all that is said of them."""
        return summarise(self.record, self.metrics)


def played_sessions(script: Script, outcome: Outcome) -> list[Played]:
    """The sessions of a run that has ended, measured."""
    records = [(suite, record_of(script, outcome, suite)) for suite in outcome.sessions]
    return [Played(suite, record, measure(record)) for suite, record in records]


def digest_of_run(played: Sequence[Played]) -> str:
    """The digest of a run of these sessions."""
    return run_digest([each.record.digest for each in played])


def fill_folder(
    folder: Path,
    played: Sequence[Played],
    *,
    report: bool,
    bounds: Bounds | None = None,
) -> None:
    """Write journal, settings, figures and report of the run into an empty folder."""
    if len(played) == 1:
        _fill_one(folder, played[0], bounds)
        if report:
            _write_report(folder, played[0], bounds)
        return
    for number, each in enumerate(played, start=1):
        part = folder / f"session-{number}"
        part.mkdir()
        _fill_one(part, each, None)
        if report:
            _write_report(part, each, None)
    sessions = [each.record.digest for each in played]
    figures = {"digest": digest_of_run(played), "sessions": sessions}
    write_json(folder / SUMMARY_FILE, figures | _bounds_entry(bounds))


def _fill_one(folder: Path, played: Played, bounds: Bounds | None) -> None:
    played.suite.session.journal.write(folder)
    write_json(folder / CONFIG_FILE, played.record.config)
    write_json(folder / SUMMARY_FILE, played.summary.as_dict() | _bounds_entry(bounds))


def _write_report(folder: Path, played: Played, bounds: Bounds | None) -> None:
    from reports.html import REPORT_FILE, report_html

    page = report_html(played.record, played.metrics, bounds)
    (folder / REPORT_FILE).write_text(page, encoding="utf-8")


def _bounds_entry(bounds: Bounds | None) -> dict[str, Any]:
    return {} if bounds is None else {"bounds": bounds.as_dict()}
