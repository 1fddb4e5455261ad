"""The accepted run of a scenario: what is kept of it, and how a run becomes the accepted one.

Beside `scenario.toml` lies a folder `accepted` with the journal (events and commands, compressed)
and the configuration, without any path of the machine and with fingerprints of what the run
depended on. The file itself keeps digest and figures; changing them leaves its comments alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomlkit

from broker_api.errors import ConfigurationError
from reports.run import RunRecord, read_run
from scenarios.causes import EVIDENCE, depends_on_other
from scenarios.evidence import evidence_of
from scenarios.recording import Played, digest_of_run
from scenarios.run_folder import CONFIG_FILE, plain, write_json, write_whole
from scenarios.scenario import SCENARIO_FILE, Scenario
from scenarios.sweep import figures_of

FIGURES_KEPT = ("net", "fees", "trades", "fills", "max_drawdown", "end_equity")
"""The figures that are written where the file names none."""


def accepted_folder(scenario: Scenario) -> Path:
    """Where the accepted run of a scenario lies, or would."""
    if scenario.file.name == SCENARIO_FILE:
        return scenario.folder / "accepted"
    return scenario.folder / f"{scenario.file.stem}-accepted"


def with_evidence(record: RunRecord, scenario: Scenario) -> RunRecord:
    """The run with fingerprints of what it depended on in its configuration, in which files of the
    scenario are named relative to its folder: as on every other machine.
    """
    folders = tuple(f"{folder}/" for folder in (scenario.folder, scenario.folder.resolve()))
    config: dict[str, Any] = _relative(record.config, folders)
    return replace(record, config={**config, EVIDENCE: evidence_of(record.tapes, scenario.script)})


def _relative(value: Any, folders: tuple[str, ...]) -> Any:
    """The value with these folders taken off the beginning of its texts."""
    if isinstance(value, Mapping):
        return {key: _relative(each, folders) for key, each in value.items()}
    if isinstance(value, list):
        return [_relative(each, folders) for each in value]
    if isinstance(value, str):
        return next((value[len(each) :] for each in folders if value.startswith(each)), value)
    return value


def with_tapes_of(expected: RunRecord, actual: RunRecord) -> RunRecord:
    """The accepted run as it would have been recorded here: with the tapes of the other run, where
    their content is the same, and without evidence."""
    now = {_identity(entry): entry for entry in actual.config.get("tapes") or []}
    entries = [now.get(_identity(each), each) for each in expected.config.get("tapes") or []]
    same = {_identity(entry) for entry in entries}
    tapes = [
        tape if tape is not None and (tape.symbol, tape.content_hash) in same else None
        for tape in actual.tapes
    ]
    config = {key: value for key, value in expected.config.items() if key != EVIDENCE}
    return replace(expected, tapes=tuple(tapes), config={**config, "tapes": entries})


def _identity(entry: Mapping[str, Any]) -> tuple[str, str]:
    return str(entry.get("symbol")), str(entry.get("content_hash"))


def read_accepted(scenario: Scenario) -> list[RunRecord]:
    """The sessions of the accepted run, none where there is no run or none that can be read."""
    folder = accepted_folder(scenario)
    parts = [folder] if (folder / CONFIG_FILE).is_file() else sorted(folder.glob("session-*"))
    try:
        return [read_run(part) for part in parts]
    except (OSError, ValueError):
        return []


def accept(scenario: Scenario, played: Sequence[Played]) -> bool:
    """Make this run the accepted one; False where it is that already and nothing was written.

    Raises OSError where the scenario's folder cannot be written.
    """
    digest = digest_of_run(played)
    figures = figures_of([each.figures for each in played])
    text = scenario.file.read_text(encoding="utf-8")
    updated = updated_text(text, digest, figures)
    records = [with_evidence(each.record, scenario) for each in played]
    is_kept = _is_kept(read_accepted(scenario), records)
    if is_kept and updated == text:
        return False
    if not is_kept:
        write_whole(accepted_folder(scenario), lambda place: _fill(place, played, records))
    if updated != text:
        place = scenario.file.with_name(f".{scenario.file.name}.unfinished")
        place.write_text(updated, encoding="utf-8")
        place.replace(scenario.file)
    return True


def _is_kept(kept: Sequence[RunRecord], records: Sequence[RunRecord]) -> bool:
    """Whether these runs are kept, with the settings, tapes and files that they have now.

    Other code of papertape, or of a package, that gives the same run is no reason to write it anew.
    """
    return len(kept) == len(records) and all(
        before.digest == now.digest and not depends_on_other(before.config, now.config)
        for before, now in zip(kept, records, strict=True)
    )


def _fill(folder: Path, played: Sequence[Played], records: Sequence[RunRecord]) -> None:
    for number, (each, record) in enumerate(zip(played, records, strict=True), start=1):
        part = folder if len(played) == 1 else folder / f"session-{number}"
        each.suite.session.journal.write(part)
        config = record.config
        write_json(part / CONFIG_FILE, {**config, "tapes": _without_paths(config)})


def _without_paths(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tapes by content: where they lay is the machine's own business."""
    return [{**entry, "path": Path(str(entry["path"])).name} for entry in config.get("tapes") or []]


def updated_text(text: str, digest: str, figures: Mapping[str, Any]) -> str:
    """The text of a scenario's file with another expectation; comments and order stay.

    The figures are those that the file names, or FIGURES_KEPT where it names none.

    >>> print(updated_text('# why\\nstrategy = "a.py:b"', "0" * 64, {"net": 1.5}))
    # why
    strategy = "a.py:b"
    <BLANKLINE>
    [expect]
    digest = "0000000000000000000000000000000000000000000000000000000000000000"
    <BLANKLINE>
    [expect.statistics]
    net = 1.5
    <BLANKLINE>
    """
    document = tomlkit.parse(text)
    if "expect" not in document:
        if text and not text.endswith("\n\n"):
            document.add(tomlkit.nl() if text.endswith("\n") else tomlkit.ws("\n\n"))
        document.add("expect", tomlkit.table())
    expect: Any = document["expect"]
    expect["digest"] = digest
    statistics: Any = expect.get("statistics")
    if statistics is None:
        statistics = tomlkit.table()
        for name in FIGURES_KEPT:
            if figures.get(name) is not None:
                statistics.add(name, plain(figures[name]))
        expect.add("statistics", statistics)
    else:
        for name in list(statistics):
            value = figures.get(name)
            if value is None:
                raise ConfigurationError(
                    f"expect.statistics.{name}: the run has no such figure; leave it out"
                )
            if statistics[name] != value:
                statistics[name] = plain(value)
    return tomlkit.dumps(document)
