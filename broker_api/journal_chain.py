"""What a record of the journal on disk is, and the chain of hashes that makes damage visible.

A record's hash covers the hash before it, so a record that was changed, lost, doubled or moved
breaks the chain there; all before it is exactly what was written. Nothing here reads files.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from broker_api.config import near_miss
from broker_api.journal_layout import TICK_COLUMNS

IntColumn = npt.NDArray[np.int64]
ByteColumn = npt.NDArray[np.int8]

NO_HASH = hashlib.sha256(b"papertape journal, version 1").digest()
"""Stands before the first record."""
_HEAD = struct.Struct("<32sqqqq")
TICK_WIDTH = len(TICK_COLUMNS)
GROUP_ROWS_MAX = 1 << 16
"""Rows of a group: who reads a journal holds one group in memory."""


class RecordKind(StrEnum):
    """What a record tells; docs/journal.md says what its body holds."""

    HEADER = "header"
    COMMAND = "command"
    EVENT = "event"
    ERROR = "error"
    TICKS = "ticks"
    HORIZON = "horizon"
    OPERATOR = "operator"
    STARTED = "started"
    RESUMED = "resumed"
    STOPPED = "stopped"
    NOTE = "note"


WRITABLE = tuple(kind for kind in RecordKind if kind not in (RecordKind.HEADER, RecordKind.TICKS))
"""What `append` takes: the header is written once, rows of the market have a method."""


def writable(kind: RecordKind | str) -> RecordKind:
    """The kind that is meant, if `append` takes it. Raises ValueError with the nearest that is."""
    found = next((each for each in WRITABLE if each == kind), None)
    if found is None:
        hint = near_miss(str(kind), WRITABLE) or f"; known are {', '.join(WRITABLE)}"
        raise ValueError(f"kind {str(kind)!r} is no kind of record that can be appended{hint}")
    return found


class TickColumns(Protocol):
    """Rows of one instrument's market, as `data.schema.TapeColumns` has them: equal lengths."""

    @property
    def ts(self) -> IntColumn:
        """Nanoseconds since the epoch."""

    @property
    def kind(self) -> ByteColumn:
        """What each row reports: a RowKind."""

    @property
    def side(self) -> ByteColumn:
        """+1, -1, 0."""

    @property
    def px(self) -> IntColumn:
        """Ticks, or 1e-9 for marks and funding."""

    @property
    def qty(self) -> IntColumn:
        """Lots, or 1e-9 for funding."""

    @property
    def bid(self) -> IntColumn:
        """Ticks."""

    @property
    def ask(self) -> IntColumn:
        """Ticks."""

    @property
    def bid_qty(self) -> IntColumn:
        """Lots."""

    @property
    def ask_qty(self) -> IntColumn:
        """Lots."""


class Columns(NamedTuple):
    """Rows of one instrument's market as they come back, in the order of `TapeColumns`."""

    ts: IntColumn
    kind: ByteColumn
    side: ByteColumn
    px: IntColumn
    qty: IntColumn
    bid: IntColumn
    ask: IntColumn
    bid_qty: IntColumn
    ask_qty: IntColumn


class TickGroup(NamedTuple):
    """Rows of one instrument that arrived together; `first_row` counts that instrument's from 0."""

    instrument: int
    first_row: int
    columns: Columns


class Record(NamedTuple):
    """One record. `ts_ns` is the session's time; `ticks` is there for those of kind TICKS only."""

    seq: int
    ts_ns: int
    kind: RecordKind
    body: Mapping[str, Any]
    hash: bytes
    ticks: TickGroup | None = None


class Head(NamedTuple):
    """The last record's number and hash: the journal's identity so far."""

    seq: int
    hash: bytes


def chained(
    before: bytes, seq: int, ts_ns: int, kind: bytes, body: bytes, rows: bytes = b""
) -> bytes:
    """The hash of a record: SHA-256 of the hash before it and of all that the record holds.

    `kind` and `body` are the UTF-8 texts of the table, `rows` those of `packed`.
    """
    digest = hashlib.sha256(_HEAD.pack(before, seq, ts_ns, len(kind), len(body)))
    digest.update(kind)
    digest.update(body)
    digest.update(rows)
    return digest.digest()


def packed(instrument: int, first_row: int, columns: TickColumns) -> IntColumn:
    """Rows as one matrix of little-endian int64, a line a row, in the order of TICK_COLUMNS.

    Raises ValueError for columns of unequal lengths.
    """
    count = len(columns.ts)
    matrix = np.empty((count, TICK_WIDTH), dtype="<i8")
    matrix[:, 0] = instrument
    matrix[:, 1] = np.arange(first_row, first_row + count)
    for place, name in enumerate(Columns._fields, start=2):
        column = np.asarray(getattr(columns, name))
        if column.shape != (count,) or column.dtype.kind not in "iu":
            raise ValueError(f"column {name} is {column.dtype}{column.shape}, not {count} integers")
        matrix[:, place] = column
    return matrix


def unpacked(matrix: IntColumn) -> Columns:
    """The columns of `packed`."""
    cells = dict(zip(Columns._fields, np.ascontiguousarray(matrix[:, 2:].T), strict=True))
    narrow = {name: cells.pop(name).astype(np.int8) for name in ("kind", "side")}
    return Columns(**cells, **narrow)
