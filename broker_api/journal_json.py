"""Commands and events as JSON, for the journal on disk: the same rows as in its tables, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broker_api.event import EventKind, EventRow, columns_of, row_of
from broker_api.journal import Record, RecordedCommand, RecordedError, command_of, rows_of
from broker_api.journal_chain import RecordKind
from broker_api.order import parse_name


def event_body(row: EventRow) -> dict[str, Any]:
    """An event: its kind by name, and the numbers of all columns that it uses.

    Raises ValueError for a kind that does not exist.
    """
    columns = columns_of(row)
    return {"kind": EventKind(row.kind).name.lower(), **columns}


def event_of_body(body: Mapping[str, Any]) -> EventRow:
    """The row of `event_body`. Raises ValueError for a kind that does not exist."""
    columns = dict(body)
    kind = parse_name(EventKind, columns.pop("kind"), "kind")
    return row_of(kind, **columns)


def recorded_body(recorded: Record) -> tuple[RecordKind, dict[str, Any]]:
    """A command, or a handler's error: one row an order, and how many events were before it.

    The time is the record's.
    """
    if isinstance(recorded, RecordedError):
        body = {"events_before": recorded.events_before, "text": recorded.text}
        return RecordKind.ERROR, body
    rows = [
        {name: value for name, value in row.items() if value is not None}
        for row in rows_of(recorded.command)
    ]
    return RecordKind.COMMAND, {"events_before": recorded.events_before, "rows": rows}


def recorded_of_body(ts_ns: int, body: Mapping[str, Any]) -> Record:
    """What `recorded_body` was made of. Raises ValueError for rows that are no command."""
    before = body["events_before"]
    if "text" in body:
        return RecordedError(ts_ns, before, body["text"])
    return RecordedCommand(ts_ns, before, command_of(body["rows"]))
