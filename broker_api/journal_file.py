"""Reading the journal that a session keeps on disk: verified record by record, in constant memory.

`JournalFile.open` verifies a journal from its first record to its last; `JournalFile.watch` follows
one that is being written. Neither changes the file. broker_api/journal_writer.py writes it, and
docs/journal.md says what is in it.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from broker_api.errors import JournalDamaged, JournalError
from broker_api.journal_chain import (
    GROUP_ROWS_MAX,
    NO_HASH,
    TICK_WIDTH,
    Head,
    IntColumn,
    Record,
    RecordKind,
    TickGroup,
    chained,
    unpacked,
)
from broker_api.journal_layout import (
    APPLICATION_ID,
    TICK_COLUMNS,
    VERSION,
    schema_hash,
)
from broker_api.journal_rest import beside, head_damage, wal_damage, writer_of

BUSY_SECONDS = 10.0
"""How long one waits for another that holds the file."""
_BATCH = 256
"""Records that are read at once: between batches nobody is in the writer's way."""
_TICKS = f"SELECT {', '.join(TICK_COLUMNS)} FROM tick WHERE id >= ? AND id < ? ORDER BY id"
_RECORDS = "SELECT seq, ts_ns, kind, body, hash FROM record WHERE seq >= ? ORDER BY seq LIMIT ?"


_FAULTS = (sqlite3.Error, UnicodeDecodeError, OverflowError, MemoryError)
"""What asking a damaged file may raise; its messages quote the file, whatever bytes are there."""


_CIRCUMSTANCES = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_NOMEM,
)


class Stored(NamedTuple):
    """A record as it lies in the tables, verified: texts as UTF-8, rows of the market packed."""

    seq: int
    ts_ns: int
    kind: bytes
    body: bytes
    hash: bytes
    rows: IntColumn | None


class Broken(Exception):
    """The chain ends before this record; what is wrong with it."""

    def __init__(self, seq: int, what: str) -> None:
        super().__init__(what)
        self.seq = seq
        self.what = what


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """A connection; `mode` is a part of SQLite's URI: "mode=ro", "mode=rw", "immutable=1"."""
    name = urllib.parse.quote(str(path.absolute()))
    connection = sqlite3.connect(
        f"file:{name}?{mode}", uri=True, timeout=BUSY_SECONDS, isolation_level=None
    )
    connection.text_factory = bytes
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def stored_records(
    connection: sqlite3.Connection, seq: int, before: bytes = NO_HASH
) -> Iterator[Stored]:
    """Records from `seq` on, each verified against the hash before it. Raises Broken at the first
    that is not what was written, also where a record is missing; at the end it just ends."""
    while rows := _rows_of(connection, seq):
        for row in rows:
            found = _verified(connection, row, seq, before)
            yield found
            seq, before = seq + 1, found.hash


def _rows_of(connection: sqlite3.Connection, seq: int) -> list[tuple[Any, ...]]:
    """A batch; of one that cannot be read whole, what can be read before the fault."""
    size = _BATCH
    while True:
        try:
            return connection.execute(_RECORDS, (seq, size)).fetchall()
        except _FAULTS as fault:
            if _is_busy(fault):
                raise
            if size == 1:
                raise Broken(seq, f"cannot be read: {fault}") from None
            size = 1


def _unreadable(path: Path, fault: BaseException) -> JournalError:
    """Whether it is the file, or what is around it: no right, no space, no memory."""
    code = getattr(fault, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    if code & 0xFF in _CIRCUMSTANCES and code != sqlite3.SQLITE_IOERR_SHORT_READ:
        return JournalError(str(path), f"cannot be read now: {fault}")
    return JournalDamaged(str(path), 0, f"cannot be read: {fault}")


def _is_busy(fault: BaseException) -> bool:
    code = getattr(fault, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _verified(
    connection: sqlite3.Connection, row: tuple[Any, ...], seq: int, before: bytes
) -> Stored:
    number, ts_ns, kind, body, digest = row
    if number != seq:
        raise Broken(seq, f"is missing; the next is {number}")
    if [type(each) for each in (ts_ns, kind, body, digest)] != [int, bytes, bytes, bytes]:
        raise Broken(seq, "its columns are not of their types")
    matrix: IntColumn | None = None
    rows = b""
    if kind == b"ticks":
        matrix = _ticks_of(connection, seq, body)
        rows = matrix.tobytes()
    if chained(before, seq, ts_ns, kind, body, rows) != digest:
        raise Broken(seq, "its hash does not fit what it holds and the hash before it")
    return Stored(seq, ts_ns, kind, body, digest, matrix)


def _ticks_of(connection: sqlite3.Connection, seq: int, body: bytes) -> IntColumn:
    """The rows of a group, as they lie in the table; whether they are right, the hash tells."""
    try:
        table = json.loads(body)
        first, count = table["first_tick"], table["rows"]
        if not 0 < count <= GROUP_ROWS_MAX:
            raise ValueError(f"{count} of them")
        cursor = connection.execute(_TICKS, (first, first + count))
        flat = itertools.chain.from_iterable(cursor)
        values = np.fromiter(flat, dtype="<i8", count=count * TICK_WIDTH)
        return values.reshape(count, TICK_WIDTH)
    except _FAULTS as fault:
        if _is_busy(fault):
            raise
        raise Broken(seq, f"its rows of the market cannot be read: {fault}") from None
    except (ValueError, KeyError, TypeError, RecursionError) as fault:
        raise Broken(seq, f"its rows of the market are not those it tells of: {fault}") from None


def record_of(stored: Stored) -> Record:
    """A record as it is handed out. Raises Broken for one that a newer version wrote."""
    try:
        kind = RecordKind(stored.kind.decode())
        body = json.loads(stored.body)
    except ValueError as fault:
        raise Broken(stored.seq, f"is not known to this version: {fault}") from None
    ticks = None
    if stored.rows is not None:
        ticks = TickGroup(body["instrument"], body["first_row"], unpacked(stored.rows))
    return Record(stored.seq, stored.ts_ns, kind, body, stored.hash, ticks)


class Tally:
    """What a writer has to know of the records before its own."""

    def __init__(self) -> None:
        self.head = Head(-1, NO_HASH)
        self.ticks = 0
        """Rows of all markets."""
        self.rows: dict[int, int] = {}
        """Rows of each instrument's market."""

    def count(self, stored: Stored) -> None:
        """Count the next record. Raises Broken where rows do not follow those before them."""
        if stored.rows is not None:
            body = json.loads(stored.body)
            instrument, first_row = body["instrument"], body["first_row"]
            if body["first_tick"] != self.ticks + 1 or first_row != self.rows.get(instrument, 0):
                raise Broken(stored.seq, "its rows of the market do not follow those before them")
            self.ticks += body["rows"]
            self.rows[instrument] = first_row + body["rows"]
        self.head = Head(stored.seq, stored.hash)


class JournalFile:
    """A session's journal on disk, for reading.

    `header` is what the writer put first; `damage` is None, or what is wrong behind `head`, the
    last intact record: reading ends there. Close it, or use it in a `with`.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """For `open` and `watch`."""
        self.path = path
        self.damage: JournalDamaged | None = None
        self.tally = Tally()
        self._connection = connection
        self.header: Mapping[str, Any] = self._first().body

    @classmethod
    def open(cls, path: Path) -> JournalFile:
        """A journal that has been verified from its first record to the last that is there now.

        What is broken behind the last intact record is told by `damage`. Raises JournalDamaged
        where not even the first record is intact, JournalError for another file or version,
        FileNotFoundError.
        """
        return cls._verified_one(path, is_at_rest=not writer_of(path))

    @classmethod
    def at_rest(cls, path: Path) -> JournalFile:
        """As `open`, for who knows that nobody writes, because he has the right to."""
        return cls._verified_one(path, is_at_rest=True)

    @classmethod
    def _verified_one(cls, path: Path, *, is_at_rest: bool) -> JournalFile:
        # Before anything of ours has locks on the file, which closing it would take.
        head_fault = head_damage(path) if is_at_rest and path.is_file() else None
        journal = cls.watch(path)
        try:
            if head_fault:
                raise JournalDamaged(str(path), 0, head_fault)
            journal._verify()
            if is_at_rest and journal.damage is None and (fault := wal_damage(path)):
                journal.damage = JournalDamaged(str(path), journal.head.seq + 1, fault)
        except BaseException:
            journal.close()
            raise
        return journal

    @classmethod
    def watch(cls, path: Path) -> JournalFile:
        """A journal that may be growing; `records` verifies what it reads. Raises as `open` does.

        Opens at once, however long the journal is.
        """
        if not path.is_file():
            raise FileNotFoundError(f"{path}: there is no such journal")
        if beside(path, ".recovered").exists():
            raise JournalDamaged(
                str(path), 0, "its recovery was interrupted; resume the session to finish it"
            )
        connection = None
        try:
            connection = connect(path, "mode=ro")
            return cls(path, connection)
        except BaseException as fault:
            if connection is not None:
                connection.close()
            if isinstance(fault, _FAULTS):
                raise _unreadable(path, fault) from None
            raise

    @property
    def head(self) -> Head:
        """The last intact record; of a journal that is watched, the last that was read in order."""
        return self.tally.head

    def records(self, from_seq: int = 0) -> Iterator[Record]:
        """Records from this number on, verified, as many as there are when their turn comes.

        Ends at `head` where there is damage behind it. Raises JournalDamaged for damage that was
        not known. Call it again with `seq + 1` to follow a journal that is being written.
        """
        before = NO_HASH if from_seq <= 0 else self._hash_of(from_seq - 1)
        if before is None:
            return
        try:
            for stored in stored_records(self._connection, max(from_seq, 0), before):
                if self.damage is not None and stored.seq > self.head.seq:
                    return
                if stored.seq == self.head.seq + 1:
                    self.tally.count(stored)
                yield record_of(stored)
        except Broken as fault:
            if self.damage is None:
                raise JournalDamaged(str(self.path), fault.seq, fault.what) from None

    def stored(self) -> Iterator[Stored]:
        """All intact records as they lie in the tables."""
        if self.head.seq >= 0:
            for stored in stored_records(self._connection, 0):
                yield stored
                if stored.seq == self.head.seq:
                    return

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _hash_of(self, seq: int) -> bytes | None:
        found = self._connection.execute("SELECT hash FROM record WHERE seq = ?", (seq,)).fetchone()
        return None if found is None else bytes(found[0])

    def _first(self) -> Record:
        """The header; checks what kind of file this is."""
        path = str(self.path)
        application = self._number("application_id")
        if application != APPLICATION_ID:
            raise JournalDamaged(path, 0, f"is no journal: its application id is {application}")
        version = self._number("user_version")
        if version != VERSION:
            raise JournalError(path, f"is a journal of version {version}; known is {VERSION}")
        try:
            first = next(stored_records(self._connection, 0), None)
            if first is None or first.kind != b"header":
                raise Broken(0, "is no header")
            record = record_of(first)
        except Broken as fault:
            raise JournalDamaged(path, 0, fault.what) from None
        own = self._identity(self._connection)
        if own is None or own[0] != first.hash:
            what = "the header is not this session's; is the -wal file beside it another's?"
            raise JournalDamaged(path, 0, what)
        return record

    def _number(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    @staticmethod
    def _identity(connection: sqlite3.Connection) -> tuple[bytes, bytes] | None:
        rows = connection.execute("SELECT genesis, views FROM session").fetchall()
        return rows[0] if len(rows) == 1 else None

    def _verify(self) -> None:
        try:
            for stored in stored_records(self._connection, 0):
                record_of(stored)
                self.tally.count(stored)
            self._check_structure()
        except Broken as fault:
            self.damage = JournalDamaged(str(self.path), fault.seq, fault.what)

    def _check_structure(self) -> None:
        """Whether there is nothing but what the records tell of."""
        after = self.head.seq + 1
        try:
            with _one_moment(self._connection):
                fault = self._unrecorded() or self._disorder()
        except _FAULTS as error:
            if _is_busy(error):
                raise
            fault = str(error)
        if fault is not None:
            raise Broken(after, f"all before is intact, the file around it is not: {fault}")

    def _unrecorded(self) -> str | None:
        """Tables, views and rows that no record tells of. A live journal may have grown."""
        identity = self._identity(self._connection)
        if identity is None or identity[1] != schema_hash(self._connection):
            return "its tables and views are not those it was made with"
        ask = "SELECT (SELECT min(seq) FROM record), (SELECT max(seq) FROM record), "
        ask += "(SELECT coalesce(min(id), 1) FROM tick), (SELECT coalesce(max(id), 0) FROM tick)"
        first, last, first_tick, last_tick = self._connection.execute(ask).fetchone()
        has_grown = last > self.head.seq
        if (first, first_tick) != (0, 1) or not (has_grown or last_tick == self.tally.ticks):
            return "there are rows that nobody wrote"
        return None

    def _disorder(self) -> str | None:
        if self._number("freelist_count"):
            return "pages are called free, and nothing is ever removed"
        for (line,) in self._connection.execute("PRAGMA integrity_check(1)"):
            if line != b"ok":
                return bytes(line).decode("utf-8", "replace").replace("\n", " ")
        return None


@contextmanager
def _one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    """What is read meanwhile is of one state of the file."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
