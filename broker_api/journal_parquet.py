"""The Parquet form of a journal: a table of events, a table of commands, and back.

Apart from `journal`, which every session has: Arrow is imported when somebody wants tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from broker_api.event import EVENT_COLUMNS, EVENT_ROW
from broker_api.journal import (
    COMMAND_COLUMNS,
    FLAG,
    INTEGER,
    TEXT,
    Record,
    RecordedCommand,
    RecordedError,
    command_of,
    rows_of,
)

EVENTS_FILE = "events.parquet"
COMMANDS_FILE = "commands.parquet"
_INTEGER = pa.int64()
_TYPES: dict[str, pa.DataType] = {INTEGER: _INTEGER, TEXT: pa.string(), FLAG: pa.bool_()}
COMMAND_SCHEMA = pa.schema([(name, _TYPES[kind]) for name, kind in COMMAND_COLUMNS.items()])
_ORDER_KINDS = ("order", "bracket", "oco")


def write_journal(folder: Path, rows: npt.NDArray[np.void], commands: pa.Table) -> None:
    """Write `events.parquet` and `commands.parquet` into `folder`, which is made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = [_numpy_column(np.ascontiguousarray(rows[name])) for name in EVENT_COLUMNS]
    events = pa.Table.from_arrays(columns, names=list(EVENT_COLUMNS))
    pq.write_table(events, folder / EVENTS_FILE, compression="zstd")
    pq.write_table(commands, folder / COMMANDS_FILE, compression="zstd")


def read_journal(folder: Path) -> tuple[npt.NDArray[np.void], pa.Table]:
    """The event rows (dtype EVENT_ROW) and the table of commands that `write_journal` wrote.

    Raises OSError for a missing file and ValueError when a file has other columns.
    """
    table = pq.read_table(folder / EVENTS_FILE)
    if tuple(table.column_names) != EVENT_COLUMNS:
        raise ValueError(f"{folder / EVENTS_FILE}: columns are not those of a journal's events")
    events = np.zeros(table.num_rows, dtype=EVENT_ROW)
    for name in EVENT_COLUMNS:
        events[name] = _integers(table.column(name))
    commands = pq.read_table(folder / COMMANDS_FILE)
    if tuple(commands.column_names) != tuple(COMMAND_COLUMNS):
        raise ValueError(f"{folder / COMMANDS_FILE}: columns are not those of a journal's commands")
    return events, commands


def commands_to_table(commands: Sequence[Record]) -> pa.Table:
    """The table of `commands`; `commands_from_table` is its inverse, errors apart."""
    lines: list[tuple[Any, ...]] = []
    for number, recorded in enumerate(commands, start=1):
        if isinstance(recorded, RecordedError):
            rows: Iterator[dict[str, Any]] = iter([{"kind": "error", "tag": recorded.text}])
        else:
            rows = rows_of(recorded.command)
        for row in rows:
            row["ts_ns"] = recorded.ts_ns
            row["command"] = number
            row["events_before"] = recorded.events_before
            lines.append(tuple(map(row.get, COMMAND_COLUMNS)))
    columns = zip(*lines, strict=True) if lines else [()] * len(COMMAND_COLUMNS)
    kinds = COMMAND_COLUMNS.values()
    arrays = [_column(cells, kind) for cells, kind in zip(columns, kinds, strict=True)]
    return pa.Table.from_arrays(arrays, schema=COMMAND_SCHEMA)


def orders_in(commands: pa.Table) -> int:
    """How many orders a table of commands holds."""
    return sum(kind in _ORDER_KINDS for kind in commands.column("kind").to_pylist())


def commands_from_table(table: pa.Table) -> list[RecordedCommand]:
    """The commands of a table that `commands_to_table` made."""
    commands: list[RecordedCommand] = []
    rows = [row for row in table.to_pylist() if row["kind"] != "error"]
    start = 0
    while start < len(rows):
        end = start
        while end < len(rows) and rows[end]["command"] == rows[start]["command"]:
            end += 1
        first = rows[start]
        command = command_of(rows[start:end])
        commands.append(RecordedCommand(first["ts_ns"], first["events_before"], command))
        start = end
    return commands


# --- columns -----------------------------------------------------------------------------------
# Arrays are made from buffers: pa.array() of a Python list imports pandas, half a second of a run.


def _buffer(values: npt.NDArray[Any]) -> pa.Buffer:
    return pa.py_buffer(values.tobytes())


def _numpy_column(values: npt.NDArray[np.int64]) -> pa.Array[Any]:
    return pa.Array.from_buffers(_INTEGER, len(values), [None, _buffer(values)])


def _integers(column: pa.ChunkedArray[Any]) -> npt.NDArray[np.int64]:
    parts = [np.zeros(0, dtype=np.int64)]
    for chunk in column.chunks:
        values = np.frombuffer(memoryview(chunk.buffers()[1] or b""), dtype=np.int64)
        parts.append(values[chunk.offset : chunk.offset + len(chunk)])
    return np.concatenate(parts)


def _column(cells: Sequence[Any], kind: str) -> pa.Array[Any]:
    present = np.array([cell is not None for cell in cells], dtype=bool)
    buffers: list[pa.Buffer | None] = [_buffer(np.packbits(present, bitorder="little"))]
    if kind == INTEGER:
        integers = np.array([0 if cell is None else cell for cell in cells], dtype=np.int64)
        buffers.append(_buffer(integers))
    elif kind == FLAG:
        flags = np.array([bool(cell) for cell in cells], dtype=bool)
        buffers.append(_buffer(np.packbits(flags, bitorder="little")))
    else:
        texts = [b"" if cell is None else cell.encode() for cell in cells]
        ends = np.cumsum([0, *map(len, texts)], dtype=np.int32)
        buffers += [_buffer(ends), pa.py_buffer(b"".join(texts))]
    return pa.Array.from_buffers(_TYPES[kind], len(cells), buffers)
