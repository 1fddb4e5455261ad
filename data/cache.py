"""The cache of converted tapes: raw columns on disk, keyed by content, mapped into memory.

One folder per converted tape holds one file per column and `meta.json`. A folder appears by one
rename, so a reader sees all of it or nothing, and processes that convert the same tape at once
agree on one winner. What does not fit its description is converted again, never trusted. Beside the
columns lie the block index of the rows and the facts that would cost a look at all of them, so that
opening an entry costs the same whatever its length.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from data.checksum import Checksum
from data.index import WIDTH
from data.schema import (
    COLUMN_TYPES,
    NO_ORIGIN,
    SCHEMA_VERSION,
    IntColumn,
    RowKind,
    TapeColumns,
)
from data.summary import Contents, IndexBuilder, Stored, contents_of, l1_kinds

FOLDER_NAME = ".papertape-cache"
TEMPORARY = "tmp-"
"""What is being written has a name that starts so."""
_SAMPLED_BYTES = 4096
_COPIED_BYTES = 1 << 20
_RACY_NS = 2_000_000_000
_ORIGIN, _INDEX, _L1_KIND = "origin", "index", "l1_kind"
FILE_TYPES: dict[str, type[np.int64] | type[np.int8]] = {
    **COLUMN_TYPES,
    _ORIGIN: np.int64,
    _INDEX: np.int64,
    _L1_KIND: np.int8,
}
"""One file each. That of the origins is empty on a tape without rows of single orders, that of the
kinds at the touch on one without rows of levels and orders."""
META = "meta.json"


class Entry(NamedTuple):
    """A conversion in the cache: mapped columns, origins, what is known of them, and metadata."""

    columns: TapeColumns
    origin: IntColumn
    stored: Stored
    meta: dict[str, Any]


def cache_folder(path: Path, chosen: Path | None) -> Path | None:
    """The folder to keep conversions of `path` in: `chosen`, PAPERTAPE_CACHE, beside the file, or
    the user's cache; None when none of them can be written."""
    stated = chosen if chosen is not None else os.environ.get("PAPERTAPE_CACHE")
    candidates = [Path(stated)] if stated else [path.parent / FOLDER_NAME, user_cache()]
    for candidate in candidates:
        try:
            candidate.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(candidate, os.W_OK | os.X_OK):
            return candidate.resolve()
    return None


def user_cache() -> Path:
    """Where the system keeps a user's caches."""
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
        with suppress(OSError):  # another process clears the folder
            written_ns = memory.stat().st_mtime_ns
            known = _read_json(memory)
            # One changed within the clock's grain of being hashed can look unchanged.
            if known is not None and known.get("seen") == seen:
                settled = written_ns - max(stat.st_mtime_ns, stat.st_ctime_ns)
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


def load_entry(folder: Path, key: str) -> Entry | None:
    """An earlier conversion, None when there is none that fits. Notes that it was used."""
    entry = folder / key
    meta = read_meta(entry)
    if meta is None:
        return None
    try:
        for name, kind in FILE_TYPES.items():
            file = entry / f"{name}.bin"
            if file.stat().st_size != meta["lengths"][name] * np.dtype(kind).itemsize:
                return None
            if _sample(file) != meta["samples"][name]:
                return None
        found = _map(entry, meta)
    except (OSError, KeyError, ValueError):
        return None
    with suppress(OSError):
        os.utime(entry / META)
    return found


def discard_entry(folder: Path, key: str) -> None:
    """Remove an entry: at once for those who look for it, then from the disk."""
    aside = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=folder))
    try:
        (folder / key).replace(aside / "removed")
    except OSError:
        pass  # another process was quicker
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def read_meta(entry: Path) -> dict[str, Any] | None:
    """An entry's description, None when it has none that is whole."""
    meta = _read_json(entry / META)
    return meta if meta is not None and meta.get("check") == _check(meta) else None


def _map(entry: Path, meta: dict[str, Any]) -> Entry:
    def mapped(name: str) -> Any:
        kind, length = FILE_TYPES[name], int(meta["lengths"][name])
        if not length:
            nothing = np.zeros(0, dtype=kind)
            nothing.flags.writeable = False
            return nothing
        # The plain array view of a memmap: compiled code knows ndarray only, and it stays
        # read-only.
        return np.asarray(np.memmap(entry / f"{name}.bin", kind, "r", shape=(length,)))

    columns = TapeColumns(**{name: mapped(name) for name in COLUMN_TYPES})
    contents = Contents(tuple(meta["kinds"]), bool(meta["has_quotes"]))
    stored = Stored(columns, mapped(_INDEX).reshape(-1, WIDTH), contents, mapped(_L1_KIND))
    return Entry(columns, mapped(_ORIGIN), stored, meta)


class EntryWriter:
    """Writes one conversion into a private folder and publishes it; a context manager that leaves
    nothing behind when the conversion fails.

    Rows are written in a thread of its own while the next are converted: half of a conversion is
    the system's work of taking the pages. An error of writing is raised by the call after it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._private = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=folder))
        self._files: dict[str, BinaryIO] = {
            name: (self._private / f"{name}.bin").open("wb") for name in FILE_TYPES
        }
        self._sums = {name: Checksum() for name in FILE_TYPES}
        self._lengths = dict.fromkeys(FILE_TYPES, 0)
        self._index = IndexBuilder()
        self._contents = Contents((0,) * len(RowKind), False)
        self._pen = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def __enter__(self) -> EntryWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()
        shutil.rmtree(self._private, ignore_errors=True)

    def _close(self) -> None:
        self._pen.shutdown()
        for file in self._files.values():
            file.close()

    def append(self, columns: TapeColumns, origin: IntColumn = NO_ORIGIN) -> None:
        """Take the next rows."""
        self._wait()
        self._writing = self._pen.submit(self._append, columns, origin)

    def _wait(self) -> None:
        """Until the rows of the call before are written, or their error is raised."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _append(self, columns: TapeColumns, origin: IntColumn) -> None:
        for name in TapeColumns._fields:
            self._write(name, getattr(columns, name))
        self._write(_ORIGIN, origin)
        self._write(_INDEX, self._index.add(columns))
        new = contents_of(columns)
        if new.has(RowKind.LEVEL, RowKind.EXEC) or self._lengths[_L1_KIND]:
            self._write_l1_kinds(columns)
        self._contents = self._contents.plus(new)

    def _write_l1_kinds(self, columns: TapeColumns) -> None:
        """Their first row may come late: the rows before it are quotes and trades then."""
        missing = sum(self._contents.kinds) - self._lengths[_L1_KIND]
        if missing:
            with (self._private / "kind.bin").open("rb") as file:
                self._files["kind"].flush()
                while part := file.read(min(missing, _COPIED_BYTES)):
                    self._write(_L1_KIND, np.frombuffer(part, dtype=np.int8))
                    missing -= len(part)
        self._write(_L1_KIND, l1_kinds(columns))

    def _write(self, name: str, column: npt.NDArray[Any]) -> None:
        plain = np.ascontiguousarray(column)
        self._files[name].write(plain.data)
        self._sums[name].add(plain)
        self._lengths[name] += plain.size

    def publish(self, key: str, meta: dict[str, Any]) -> Entry:
        """Give the entry its name and map it. Another process's entry of the same key is as
        good."""
        self._wait()
        self._write(_INDEX, self._index.finish())
        self._close()
        full = {
            **meta,
            "schema": SCHEMA_VERSION,
            "lengths": self._lengths,
            "samples": {name: _sample(self._private / f"{name}.bin") for name in FILE_TYPES},
            "sums": {name: total.text() for name, total in self._sums.items()},
            "kinds": self._contents.kinds,
            "has_quotes": self._contents.has_quotes,
        }
        _write_json(self._private / META, {**full, "check": _check(full)})
        found = _map(self._private, full)
        entry = self._folder / key
        for _ in range(3):
            try:
                self._private.replace(entry)
                break
            except OSError:
                if load_entry(self._folder, key) is not None:
                    break
                discard_entry(self._folder, key)  # It is damaged.
        return found


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
        handle, name = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file)
        Path(name).replace(path)
    except OSError:
        return
