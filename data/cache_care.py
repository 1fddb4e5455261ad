"""Looking after the cache of converted tapes: what is in it, is it whole, and away with it.

An entry is a copy: whoever removes one costs the next opening of that tape a conversion. Runs that
have an entry mapped keep it until they end.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from data.cache import (
    FILE_TYPES,
    FOLDER_NAME,
    META,
    TEMPORARY,
    discard_entry,
    read_meta,
    user_cache,
)
from data.checksum import Checksum
from data.schema import SCHEMA_VERSION

_KEY = re.compile(r"[0-9a-f]{40}")
_READ_BYTES = 1 << 22


class EntryState(StrEnum):
    """What an entry of the cache is good for."""

    CURRENT = "current"
    OLDER = "older version"
    DAMAGED = "damaged"
    UNFINISHED = "unfinished"


@dataclass(frozen=True)
class CacheEntry:
    """One conversion in a cache folder.

    `tape` names the instrument and the file that it was made of first, `rows` are those of the
    tape, `size_bytes` all its files, `used_ns` when it was last opened (ns since 1970). An
    unfinished one is being written, or belonged to a process that was killed.
    """

    path: Path
    state: EntryState
    tape: str
    rows: int
    size_bytes: int
    used_ns: int


def cache_folders(place: Path | None = None) -> tuple[Path, ...]:
    """The cache folders that are there for a tape or a folder; without one those of the working
    directory and of the user, or the stated one (PAPERTAPE_CACHE)."""
    stated = os.environ.get("PAPERTAPE_CACHE")
    if place is not None:
        folder = place if place.is_dir() else place.parent
        inside = folder / FOLDER_NAME
        candidates = [inside if inside.is_dir() else folder]
    else:
        candidates = [Path(stated)] if stated else [Path(FOLDER_NAME), user_cache()]
    return tuple(folder for folder in candidates if folder.is_dir())


def list_entries(folder: Path) -> tuple[CacheEntry, ...]:
    """What is in a cache folder, what was used last first."""
    found = []
    for path in folder.iterdir():
        if path.is_dir() and (_KEY.fullmatch(path.name) or path.name.startswith(TEMPORARY)):
            with suppress(FileNotFoundError):  # another process took it away
                found.append(_entry(path))
    return tuple(sorted(found, key=lambda entry: (-entry.used_ns, entry.path.name)))


def _entry(path: Path) -> CacheEntry:
    sizes, used = [], [path.stat().st_mtime_ns]
    for file in path.iterdir():
        stat = file.stat()
        sizes.append(stat.st_size)
        if file.name == META:
            used = [stat.st_mtime_ns]
    meta = read_meta(path)
    tape = "" if meta is None else str(meta.get("tape", ""))
    rows = 0 if meta is None else _rows(meta)
    return CacheEntry(path, _state(path, meta), tape, rows, sum(sizes), used[0])


def _rows(meta: dict[str, Any]) -> int:
    return int(meta["lengths"]["ts"] if "lengths" in meta else meta.get("rows", 0))


def _state(path: Path, meta: dict[str, Any] | None) -> EntryState:
    if path.name.startswith(TEMPORARY):
        return EntryState.UNFINISHED
    if meta is None:
        return EntryState.DAMAGED
    return EntryState.CURRENT if meta.get("schema") == SCHEMA_VERSION else EntryState.OLDER


def damaged_files(entry: CacheEntry) -> tuple[str, ...]:
    """Files of a current entry whose content is not what was written. Reads all of them."""
    meta = read_meta(entry.path)
    if meta is None:
        return (META,)
    wrong = []
    for name, kind in FILE_TYPES.items():
        try:
            whole = _checksum(entry.path / f"{name}.bin", np.dtype(kind)) == meta["sums"][name]
        except (OSError, ValueError):
            whole = False
        if not whole:
            wrong.append(f"{name}.bin")
    return tuple(wrong)


def _checksum(file: Path, kind: np.dtype[Any]) -> str:
    total = Checksum()
    with file.open("rb") as stream:
        while part := stream.read(_READ_BYTES):
            total.add(np.frombuffer(part, dtype=kind))
    return total.text()


def clear(folder: Path, unused_since_ns: int | None = None) -> tuple[CacheEntry, ...]:
    """Remove the entries of a folder, or those not opened since a time (ns since 1970), and those
    of older versions at all times. Returns what was removed."""
    gone = []
    for entry in list_entries(folder):
        is_old = unused_since_ns is None or entry.used_ns < unused_since_ns
        if is_old or entry.state is EntryState.OLDER:
            discard_entry(folder, entry.path.name)
            gone.append(entry)
    if unused_since_ns is None:
        for memory in folder.glob("*.hash"):
            memory.unlink(missing_ok=True)
    return tuple(gone)
