"""Making the files of journals: a new one, and one that holds what is intact of a damaged one.

Both are whole before they have their name. What was damaged is kept: nothing is mended in place,
because SQLite that writes to a file with a damaged structure damages more of it.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from broker_api.errors import JournalFull, JournalWriteError
from broker_api.journal_chain import NO_HASH, IntColumn, chained
from broker_api.journal_file import Broken, JournalFile, Stored, Tally, connect
from broker_api.journal_layout import PAGE_BYTES, TICK_COLUMNS, build
from broker_api.journal_rest import beside

INSERT = "INSERT INTO record VALUES (?, ?, ?, ?, ?)"
INSERT_TICKS = f"INSERT INTO tick VALUES (?{', ?' * len(TICK_COLUMNS)})"
_SIDE_FILES = ("-wal", "-shm", "-journal")
_COPY_ROWS = 50_000


def json_text(body: Mapping[str, Any]) -> bytes:
    """A body as it is stored. Raises TypeError or ValueError for what JSON cannot hold."""
    return json.dumps(dict(body), separators=(",", ":"), allow_nan=False).encode("ascii")


def numbered(first: int, matrix: IntColumn) -> Iterable[tuple[int, ...]]:
    """Rows of the table of ticks, from this id on."""
    return zip(range(first, first + len(matrix)), *matrix.T.tolist(), strict=True)


def write_error(path: Path, fault: BaseException, state: str) -> JournalWriteError:
    """What to raise when `fault` kept a record from the disk."""
    is_full = getattr(fault, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    is_full |= isinstance(fault, OSError) and fault.errno in (errno.ENOSPC, errno.EDQUOT)
    make = JournalFull if is_full else JournalWriteError
    return make(str(path), f"could not be written: {fault}; {state}")


def make_new(path: Path, header: Mapping[str, Any]) -> Tally:
    """A journal of nothing but a header. Raises FileExistsError, JournalWriteError."""
    for each in (path, *(beside(path, ending) for ending in (*_SIDE_FILES, ".recovered"))):
        if each.exists():
            raise FileExistsError(f"{each}: exists; a journal is never overwritten")
    body = json_text(header)
    first = Stored(0, 0, b"header", body, chained(NO_HASH, 0, 0, b"header", body), None)
    fresh = beside(path, ".new")
    tally = Tally()
    try:
        _write(fresh, [first], tally)
    except (sqlite3.Error, OSError) as fault:
        _remove(fresh)
        raise write_error(path, fault, "there is no journal") from None
    fresh.replace(path)
    _sync_folder(path)
    return tally


def copy_intact(journal: JournalFile) -> None:
    """Write the intact records of a damaged journal to `NAME.recovered`, and keep what was there
    as `NAME.damaged`. The name that means "whole" is given last; `finish_recovery` does the rest.
    Raises JournalWriteError; then the damaged file is as it was."""
    path = journal.path
    fresh = beside(path, ".copying")
    tally = Tally()
    try:
        _write(fresh, journal.stored(), tally)
    except (sqlite3.Error, Broken, OSError) as fault:
        _remove(fresh)
        raise write_error(path, fault, "the damaged journal is as it was") from None
    if tally.head != journal.head:
        raise write_error(path, ValueError("the copy differs"), "the damaged journal is as it was")
    _keep(path)
    fresh.replace(beside(path, ".recovered"))
    _sync_folder(path)


def finish_recovery(path: Path) -> None:
    """Put `NAME.recovered`, if there is one, in the place of the damaged journal."""
    whole = beside(path, ".recovered")
    if whole.exists():
        # The old write-ahead file must not meet the new main file.
        for ending in _SIDE_FILES:
            beside(path, ending).unlink(missing_ok=True)
        _sync_folder(path)
        whole.replace(path)
        _sync_folder(path)


def _write(path: Path, records: Iterable[Stored], tally: Tally) -> None:
    """A journal of these records, whole and on the disk when this returns."""
    _remove(path)
    with closing(connect(path, "mode=rwc")) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN")
        written = 0
        for each in records:
            if each.seq == 0:
                build(connection, each.hash)
            if each.rows is not None:
                rows = numbered(tally.ticks + 1, each.rows)
                connection.executemany(INSERT_TICKS, rows)
                written += len(each.rows)
            texts = (each.kind.decode(), each.body.decode())
            connection.execute(INSERT, (each.seq, each.ts_ns, *texts, each.hash))
            tally.count(each)
            written += 1
            if written >= _COPY_ROWS:
                connection.execute("COMMIT")
                connection.execute("BEGIN")
                written = 0
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _keep(path: Path) -> None:
    """The damaged files under another name, numbered if there are some already."""
    number = 1
    while (kept := beside(path, f".damaged{'' if number == 1 else number}")).exists():
        number += 1
    for ending in ("", "-wal"):
        if beside(path, ending).exists() and beside(path, ending).stat().st_size:
            shutil.copy2(beside(path, ending), beside(kept, ending))


def _remove(path: Path) -> None:
    for each in (path, *(beside(path, ending) for ending in _SIDE_FILES)):
        each.unlink(missing_ok=True)


def _sync_folder(path: Path) -> None:
    """Names are on the disk as well. Windows has no way to ask for it."""
    if os.name == "nt":
        return
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
