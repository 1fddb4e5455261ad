"""Writing the journal that a session keeps on disk: what is appended is durable, or an error.

SQLite with a write-ahead file and full synchronisation: `append` returns when the record is on the
disk. Rows of the market and what else is staged share one transaction, which ends with the next
durable record, or when it has grown large or old. broker_api/journal_file.py reads the file.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from broker_api.errors import JournalDamaged, JournalLocked, JournalWriteError
from broker_api.journal_chain import (
    GROUP_ROWS_MAX,
    Head,
    IntColumn,
    RecordKind,
    TickColumns,
    chained,
    packed,
    writable,
)
from broker_api.journal_file import JournalFile, Stored, Tally, connect
from broker_api.journal_making import (
    INSERT,
    INSERT_TICKS,
    copy_intact,
    finish_recovery,
    json_text,
    make_new,
    numbered,
    write_error,
)
from broker_api.journal_rest import beside, writer_of
from broker_api.wall_clock import WallClock

STAGED_ROWS_MAX = 50_000
"""Rows that are staged at most before they are made durable."""
STAGED_NS_MAX = 1_000_000_000
"""How old by the clock the first staged row may be when the next is staged: one second."""
WAL_PAGES = 1000
"""Pages in the write-ahead file after which they are moved into the main one."""
_INT64 = 1 << 63


class _Hold:
    """The right to write a journal: one process at a time has it, and loses it when it dies."""

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(beside(path, ".lock"))
        self._pid = beside(path, ".pid")
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise JournalLocked(str(path), writer_of(path)) from None
        try:
            self._pid.write_text(str(os.getpid()), encoding="ascii")
        except OSError as fault:
            self._lock.release()
            raise write_error(path, fault, "nothing was written") from None

    def end(self) -> None:
        self._pid.unlink(missing_ok=True)
        self._lock.release()


class JournalWriter:
    """The one writer of a session's journal. Close it, or use it in a `with`.

    After a failed write nothing more is taken: every call raises the same JournalWriteError, and
    what had been durable is. `lost` tells of the damage that `resume` left behind, else None.
    """

    def __init__(
        self, path: Path, hold: _Hold, tally: Tally, now_ns: Callable[[], int] | None
    ) -> None:
        """For `create` and `resume`."""
        self.path = path
        self.lost: JournalDamaged | None = None
        self._hold = hold
        self._tally = tally
        self._durable = tally.head
        self._now_ns = now_ns or WallClock().now_ns
        self._staged_rows = 0
        self._staged_since_ns = 0
        self._failure: JournalWriteError | None = None
        self._connection = connect(path, "mode=rw")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        # The write-ahead file begins again: no commit that the power took stays behind in it.
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    @classmethod
    def create(
        cls, path: Path, header: Mapping[str, Any], *, now_ns: Callable[[], int] | None = None
    ) -> JournalWriter:
        """A new journal whose first record is `header`, on the disk when this returns.

        `header` is what JSON can hold, and differs from that of every other session, for example by
        when it began. `now_ns` bounds how long rows stay staged; default is the machine's clock.
        Raises FileExistsError, JournalLocked, JournalWriteError.
        """
        hold = _Hold(path)
        try:
            return cls(path, hold, make_new(path, header), now_ns)
        except BaseException as fault:
            hold.end()
            if isinstance(fault, sqlite3.Error):
                raise write_error(path, fault, "nothing was appended") from None
            raise

    @classmethod
    def resume(cls, path: Path, *, now_ns: Callable[[], int] | None = None) -> JournalWriter:
        """Go on with a journal, which is verified first.

        A damaged file is not written to: its intact records are copied to a new one in its place,
        and it stays beside it as `NAME.damaged`. Raises JournalDamaged where not even the header is
        intact, JournalLocked, JournalError, FileNotFoundError.
        """
        if not path.is_file():
            raise FileNotFoundError(f"{path}: there is no such journal")
        hold = _Hold(path)
        try:
            finish_recovery(path)
            with JournalFile.at_rest(path) as journal:
                if journal.damage is not None:
                    copy_intact(journal)
            finish_recovery(path)
            writer = cls(path, hold, journal.tally, now_ns)
            writer.lost = journal.damage
            return writer
        except BaseException as fault:
            hold.end()
            if isinstance(fault, sqlite3.Error):
                raise write_error(path, fault, "nothing was appended") from None
            raise

    @property
    def head(self) -> Head:
        """The last record, also one that is staged."""
        return self._tally.head

    @property
    def durable(self) -> Head:
        """The last record that is on the disk."""
        return self._durable

    def rows(self, instrument: int) -> int:
        """How many rows of an instrument's market the journal has, those that are staged too."""
        return self._tally.rows.get(instrument, 0)

    def append(self, kind: RecordKind | str, ts_ns: int, body: Mapping[str, Any]) -> int:
        """Write a record at session time `ts_ns`; it is on the disk when its number is returned.

        All that was staged before is as well. Raises JournalWriteError: then the record may be in
        the file or not, and what it tells of must not be done.
        """
        seq = self.stage(kind, ts_ns, body)
        self.commit()
        return seq

    def stage(self, kind: RecordKind | str, ts_ns: int, body: Mapping[str, Any]) -> int:
        """Write a record that is durable with the next `append` or `commit`; its number."""
        name, text = writable(kind).encode(), json_text(body)
        with self._writing(ts_ns):
            self._add(ts_ns, name, text)
        self._commit_what_is_old()
        return self.head.seq

    def append_ticks(self, ts_ns: int, instrument: int, columns: TickColumns) -> int:
        """Stage rows of an instrument's market that arrived at session time `ts_ns`.

        Returns the number of their record; many rows become several records. Raises ValueError for
        no rows, unequal columns, or columns that are not whole numbers.
        """
        matrix = packed(instrument, self.rows(instrument), columns)
        if not len(matrix):
            raise ValueError("there are no rows to append")
        with self._writing(ts_ns):
            for start in range(0, len(matrix), GROUP_ROWS_MAX):
                self._add_ticks(ts_ns, instrument, matrix[start : start + GROUP_ROWS_MAX])
        self._commit_what_is_old()
        return self.head.seq

    def commit(self) -> None:
        """Return when all that was staged is on the disk. Raises JournalWriteError."""
        if self._failure is not None:
            raise self._failure
        if self._staged_rows:
            with self._writing(0):
                self._connection.execute("COMMIT")
            self._durable = self.head
            self._staged_rows = 0

    def close(self) -> None:
        """Make durable what is staged, close the file, let others write it. May be repeated."""
        try:
            if self._failure is None:
                self.commit()
        finally:
            with suppress(sqlite3.Error):  # it moves what it can; the write-ahead file has the rest
                self._connection.close()
            self._failure = self._failure or JournalWriteError(str(self.path), "it is closed")
            self._staged_rows = 0
            self._hold.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _writing(self, ts_ns: int) -> Iterator[None]:
        """In a transaction. Whatever goes wrong inside ends the journal, as half may be written."""
        if self._failure is not None:
            raise self._failure
        if not -_INT64 <= ts_ns < _INT64:
            raise ValueError(f"ts_ns {ts_ns} does not fit 64 bits")
        try:
            if not self._connection.in_transaction:
                self._connection.execute("BEGIN IMMEDIATE")
                self._staged_since_ns = self._now_ns()
            yield
        except sqlite3.Error as fault:
            raise self._fail(fault) from None
        except BaseException as fault:
            self._fail(fault)
            raise

    def _fail(self, fault: BaseException) -> JournalWriteError:
        """Nothing is written any more: the records of the open transaction are gone."""
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        self._tally.head = self._durable
        self._failure = write_error(self.path, fault, f"the last record is {self._durable.seq}")
        return self._failure

    def _add(self, ts_ns: int, kind: bytes, body: bytes, rows: IntColumn | None = None) -> None:
        before = self.head
        seq = before.seq + 1
        packed_rows = b"" if rows is None else rows.tobytes()
        digest = chained(before.hash, seq, ts_ns, kind, body, packed_rows)
        self._connection.execute(INSERT, (seq, ts_ns, kind.decode(), body.decode(), digest))
        self._tally.count(Stored(seq, ts_ns, kind, body, digest, rows))
        self._staged_rows += 1 if rows is None else len(rows)

    def _add_ticks(self, ts_ns: int, instrument: int, matrix: IntColumn) -> None:
        first = self._tally.ticks + 1
        table = {"instrument": instrument, "first_row": int(matrix[0, 1])}
        body = json_text(table | {"rows": len(matrix), "first_tick": first})
        self._connection.executemany(INSERT_TICKS, numbered(first, matrix))
        self._add(ts_ns, b"ticks", body, matrix)

    def _commit_what_is_old(self) -> None:
        is_old = self._now_ns() - self._staged_since_ns >= STAGED_NS_MAX
        if is_old or self._staged_rows >= STAGED_ROWS_MAX:
            self.commit()
