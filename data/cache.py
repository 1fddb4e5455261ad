"""The cache of converted tapes: raw columns on disk, keyed by content, mapped into memory.

One folder per converted tape holds one file per column and `meta.json`. A folder appears by one
rename, so a reader sees all of it or nothing, and processes that convert the same tape at once
agree on one winner. What does not fit its description is converted again, never trusted.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from data.schema import COLUMN_TYPES, NO_ORIGIN, SCHEMA_VERSION, IntColumn, TapeColumns

FOLDER_NAME = ".papertape-cache"
_SAMPLED_BYTES = 4096
_RACY_NS = 2_000_000_000
_ORIGIN = "origin"
_FILE_TYPES = {**COLUMN_TYPES, _ORIGIN: np.int64}
"""One file each; that of the origins is empty on a tape without rows of single orders."""


def cache_folder(path: Path, chosen: Path | None) -> Path | None:
    """The folder to keep conversions of `path` in: `chosen`, PAPERTAPE_CACHE, beside the file, or
    the user's cache; None when none of them can be written."""
    stated = chosen if chosen is not None else os.environ.get("PAPERTAPE_CACHE")
    candidates = [Path(stated)] if stated else [path.parent / FOLDER_NAME, _user_cache()]
    for candidate in candidates:
        try:
            candidate.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(candidate, os.W_OK | os.X_OK):
            return candidate.resolve()
    return None


def _user_cache() -> Path:
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises where there is no home
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "papertape"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "papertape"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "papertape"


def content_hash(path: Path, folder: Path | None) -> str:
    """SHA-256 of the file's bytes. Remembered in `folder` and not read again while size, times and
    inode of the file stay the same."""
    stat = path.stat()
    seen = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    memory = folder / f"{name}.hash" if folder is not None else None
    if memory is not None:
        known = _read_json(memory)
        # A file changed within the clock's grain of being hashed can look unchanged: hash it again.
        if known is not None and known.get("seen") == seen:
            settled = memory.stat().st_mtime_ns - max(stat.st_mtime_ns, stat.st_ctime_ns)
            digest = known.get("sha256")
            if settled > _RACY_NS and isinstance(digest, str):
                return digest
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if memory is not None:
        _write_json(memory, {"seen": seen, "sha256": digest})
    return digest


def entry_key(digest: str, *parts: object) -> str:
    """The cache key of a conversion: content, grid, options and the version of the columns."""
    text = json.dumps([SCHEMA_VERSION, digest, *map(str, parts)])
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def load_entry(folder: Path, key: str) -> tuple[TapeColumns, IntColumn, dict[str, Any]] | None:
    """The mapped columns, the origins and the metadata of an earlier conversion, None when there is
    none that fits."""
    entry = folder / key
    meta = _read_json(entry / "meta.json")
    if meta is None or meta.get("check") != _check(meta):
        return None
    try:
        for name, kind in _FILE_TYPES.items():
            file = entry / f"{name}.bin"
            rows = meta["origins"] if name == _ORIGIN else meta["rows"]
            if file.stat().st_size != rows * np.dtype(kind).itemsize:
                return None
            if _sample(file) != meta["samples"][name]:
                return None
        return *_map(entry, int(meta["rows"]), int(meta["origins"])), meta
    except (OSError, KeyError, ValueError):
        return None


def _map(entry: Path, rows: int, origins: int) -> tuple[TapeColumns, IntColumn]:
    # The plain array view of a memmap: compiled code knows ndarray only, and it stays read-only.
    def mapped(name: str, length: int) -> Any:
        kind = _FILE_TYPES[name]
        return np.asarray(np.memmap(entry / f"{name}.bin", kind, "r", shape=(length,)))

    columns = TapeColumns(**{name: mapped(name, rows) for name in COLUMN_TYPES})
    return columns, mapped(_ORIGIN, origins) if origins else NO_ORIGIN


class EntryWriter:
    """Writes one conversion into a private folder and publishes it; a context manager that leaves
    nothing behind when the conversion fails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._private = Path(tempfile.mkdtemp(prefix="tmp-", dir=folder))
        self._files: dict[str, BinaryIO] = {
            name: (self._private / f"{name}.bin").open("wb") for name in _FILE_TYPES
        }
        self._rows = 0
        self._origins = 0

    def __enter__(self) -> EntryWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()
        shutil.rmtree(self._private, ignore_errors=True)

    def _close(self) -> None:
        for file in self._files.values():
            file.close()

    def append(self, columns: TapeColumns, origin: IntColumn = NO_ORIGIN) -> None:
        """Take the next rows."""
        for name, column in zip(TapeColumns._fields, columns, strict=True):
            self._files[name].write(np.ascontiguousarray(column).data)
        self._files[_ORIGIN].write(np.ascontiguousarray(origin).data)
        self._rows += len(columns.ts)
        self._origins += len(origin)

    def publish(self, key: str, meta: dict[str, Any]) -> tuple[TapeColumns, IntColumn]:
        """Give the entry its name and map it. Another process's entry of the same key is as
        good."""
        self._close()
        samples = {name: _sample(self._private / f"{name}.bin") for name in _FILE_TYPES}
        full = {**meta, "rows": self._rows, "origins": self._origins, "samples": samples}
        _write_json(self._private / "meta.json", {**full, "check": _check(full)})
        columns = _map(self._private, self._rows, self._origins)
        entry = self._folder / key
        for _ in range(3):
            try:
                self._private.replace(entry)
                break
            except OSError:
                if load_entry(self._folder, key) is not None:
                    break
                self._set_aside(entry)
        return columns

    def _set_aside(self, entry: Path) -> None:
        """Move a damaged entry into the private folder's neighbourhood, where it is removed."""
        aside = Path(tempfile.mkdtemp(prefix="tmp-", dir=self._folder))
        try:
            entry.replace(aside / "damaged")
        except OSError:
            pass  # another process was quicker
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _sample(file: Path) -> str:
    """Digest of a column's first and last bytes: finds cut, emptied and overwritten files without
    reading pages that the run does not need."""
    digest = hashlib.sha256()
    size = file.stat().st_size
    with file.open("rb") as stream:
        digest.update(stream.read(_SAMPLED_BYTES))
        stream.seek(max(0, size - _SAMPLED_BYTES))
        digest.update(stream.read(_SAMPLED_BYTES))
    return digest.hexdigest()


def _check(meta: dict[str, Any]) -> str:
    rest = {name: value for name, value in meta.items() if name != "check"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _write_json(path: Path, content: dict[str, Any]) -> None:
    """Write by rename, so that a reader sees the old or the new content; a full disk costs speed
    only."""
    try:
        handle, name = tempfile.mkstemp(prefix="tmp-", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file)
        Path(name).replace(path)
    except OSError:
        return
