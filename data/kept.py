"""Tapes that stay open in a process that plays many runs, and tapes for other processes.

A run opens its tapes; the next run of the same process would open them anew. After
`keep_tapes_open()` it gets the very same `Tape`. A tape in memory goes to other processes by
`park`: written once, with its block index, and mapped by all of them. What a run works out of a
tape (`worked_out`) is kept for the next run on it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from data.cache import EntryWriter, load_entry
from data.schema import Grid, TapeColumns, TapeError
from data.tape import Tape, open_tape

_T = TypeVar("_T")

_kept: dict[tuple[object, ...], Tape] | None = None
_worked_out: dict[tuple[int, ...], tuple[list[weakref.ref[Any]], dict[Hashable, object]]] = {}
_WORKED_OUT_MAX = 6
"""Things that are kept of one tape; the one that was not wanted for longest goes first."""


def keep_tapes_open() -> None:
    """From now on `kept_tape` gives the same tape for the same unchanged file."""
    global _kept
    if _kept is None:
        _kept = {}


def are_tapes_kept() -> bool:
    """Whether other runs on the same tapes are to come."""
    return _kept is not None


def let_tapes_go() -> None:
    """End `keep_tapes_open` and forget the tapes."""
    global _kept
    _kept = None


def worked_out(columns: TapeColumns, what: Hashable, make: Callable[[], _T]) -> _T:
    """What `make` works out of a tape and `what` names: once, as long as the tape is there.

    A tape is the same while every column of it is the very same array: another may share all but
    its prices with it. What is kept must not be changed.
    """
    place = tuple(map(id, columns))
    if place not in _worked_out:
        # A column's place may be another's as soon as nobody has it any more.
        gone = [weakref.ref(each, lambda _: _worked_out.pop(place, None)) for each in columns]
        _worked_out[place] = (gone, {})
    found = _worked_out[place][1]
    value: _T = found.pop(what) if what in found else make()  # type: ignore[assignment]
    found[what] = value
    if len(found) > _WORKED_OUT_MAX:
        del found[next(iter(found))]
    return value


def kept_tape(path: Path, grid: Grid) -> Tape:
    """As `data.tape.open_tape`, but a tape that is kept open is not opened again."""
    if _kept is None:
        return open_tape(path, grid)
    try:
        stat = path.stat()
    except OSError:
        return open_tape(path, grid)  # It has the error for that.
    identity = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    key = (str(path), grid, identity)
    if key not in _kept:
        _kept[key] = open_tape(path, grid)
    return _kept[key]


@dataclass(frozen=True)
class ParkedTape:
    """Where the columns of a tape in memory lie, and the rest of it."""

    folder: Path
    key: str
    symbol: str
    source: str
    content_hash: str
    bbo_after_trade: bool
    notes: tuple[str, ...]
    bar_interval_ns: int


def park(tape: Tape, folder: Path, key: str) -> ParkedTape:
    """Write the tape's columns into `folder` under this name."""
    with EntryWriter(folder) as writer:
        writer.append(tape.columns, tape.origin)
        writer.publish(key, {})
    return ParkedTape(
        folder,
        key,
        tape.symbol,
        tape.source,
        tape.content_hash,
        tape.bbo_after_trade,
        tape.notes,
        tape.bar_interval_ns,
    )


def unpark(parked: ParkedTape) -> Tape:
    """The parked tape, mapped; kept open like others. Raises TapeError if it is gone."""
    if _kept is not None and (parked,) in _kept:
        return _kept[(parked,)]
    found = load_entry(parked.folder, parked.key)
    if found is None:
        raise TapeError("the parked tape is not there any more", file=str(parked.folder))
    tape = Tape(
        found.columns,
        parked.symbol,
        parked.source,
        parked.content_hash,
        parked.bbo_after_trade,
        parked.notes,
        parked.bar_interval_ns,
        found.origin,
        found.stored,
    )
    if _kept is not None:
        _kept[(parked,)] = tape
    return tape


def park_all(tapes: Mapping[str, object], folder: Path) -> dict[str, object]:
    """The table with every `Tape` parked; paths and other entries stay as they are."""
    return {
        symbol: park(tape, folder, f"tape-{number}") if isinstance(tape, Tape) else tape
        for number, (symbol, tape) in enumerate(tapes.items())
    }


def unpark_all(tapes: Mapping[str, object]) -> dict[str, object]:
    """The table with every parked tape mapped."""
    return {
        symbol: unpark(tape) if isinstance(tape, ParkedTape) else tape
        for symbol, tape in tapes.items()
    }
