"""A run that was recorded: its folder read again, with the tapes that it was played on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from broker_api.catalog import find
from broker_api.config import near_miss
from broker_api.errors import ConfigurationError
from broker_api.instrument import Instrument
from data.schema import TapeError
from data.tape import Tape, open_tape
from reports.run import RunRecord, read_run
from scenarios.run_folder import CONFIG_FILE, JOURNAL_FILE, SUMMARY_FILE


def read_simulated_run(folder: Path) -> RunRecord:
    """The run in a folder. Raises ConfigurationError where there is none that can be replayed."""
    if not folder.is_dir():
        siblings = folder.parent.iterdir() if folder.parent.is_dir() else ()
        near = near_miss(folder.name, (path.name for path in siblings if path.is_dir()))
        raise ConfigurationError(f"{folder} is not a run folder: there is no such folder{near}")
    if not (folder / CONFIG_FILE).is_file():
        sessions = sorted(path.name for path in folder.glob("session-*"))
        if sessions and (folder / SUMMARY_FILE).is_file():
            raise ConfigurationError(
                f"{folder} holds several sessions, {', '.join(sessions)}; name one: "
                f"{folder / sessions[0]}"
            )
        if (folder / JOURNAL_FILE).is_file():
            raise ConfigurationError(
                f"{folder} holds a session that has not ended: papertape paper --resume {folder} "
                "goes on with it"
            )
        raise ConfigurationError(f"{folder} is not a run folder: it has no {CONFIG_FILE}")
    try:
        run = read_run(folder)
    except (OSError, ValueError) as fault:
        raise ConfigurationError(f"{folder} is not a whole run folder: {fault}") from None
    if not run.config.get("simulation") or run.config.get("started_ns") is None:
        raise ConfigurationError(
            f"{folder} is not the run of a simulated exchange; only such a run can be replayed"
        )
    return run


def tapes_of_run(
    run: RunRecord, named: Sequence[str], again: Callable[[str], str]
) -> tuple[Tape, ...]:
    """The run's tapes, at their old places or where `named` (SYMBOL=FILE) says.

    `again` is the command that names the file of a symbol, for who has to. Raises
    ConfigurationError for a tape that is gone, or another one.
    """
    places = _places(run, named)
    entries = {str(entry["symbol"]): entry for entry in run.config.get("tapes") or []}
    return tuple(
        _tape(spec, tape, entries.get(spec.symbol) or {}, places.get(spec.symbol), again)
        for spec, tape in zip(run.instruments, run.tapes, strict=True)
    )


def _places(run: RunRecord, named: Sequence[str]) -> dict[str, Path]:
    specs = {spec.symbol: spec for spec in run.instruments}
    places: dict[str, Path] = {}
    for text in named:
        symbol, sign, path = text.partition("=")
        if sign:
            places[find(specs, symbol).symbol] = Path(path)
        elif len(specs) == 1:
            places[next(iter(specs))] = Path(text)
        else:
            raise ConfigurationError(
                f"--tape {text}: the run has several instruments; write --tape SYMBOL={text}"
            )
    return places


def _tape(
    spec: Instrument,
    tape: Tape | None,
    entry: Mapping[str, Any],
    place: Path | None,
    again: Callable[[str], str],
) -> Tape:
    if place is None and tape is not None:
        return tape
    path = place or Path(str(entry.get("path") or "memory"))
    if place is None and not path.is_file():
        where = "was made in memory" if str(path) == "memory" else f"is not at {path} any more"
        raise ConfigurationError(
            f"the tape of {spec.symbol} {where}; say where it is: {again(spec.symbol)}"
        )
    if not path.is_file():
        raise ConfigurationError(f"tape of {spec.symbol}: {path} is not a file")
    try:
        found = open_tape(path, spec)
    except TapeError as fault:
        raise ConfigurationError(f"the tape of {spec.symbol} cannot be read: {fault}") from None
    if entry.get("content_hash") not in (None, found.content_hash):
        raise ConfigurationError(
            f"{path} is not the tape of {spec.symbol} that was played: its content is another; "
            f"say where that one is: {again(spec.symbol)}"
        )
    return found
