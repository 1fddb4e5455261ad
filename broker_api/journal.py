"""The session's append-only record: commands before they are sent, events before they are seen.

Events are rows of integers (:data:`broker_api.event.EVENT_ROW`); commands are a readable table with
one row an order. The run's digest is taken over the event rows.
"""

from __future__ import annotations

import functools
import hashlib
import struct
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from broker_api.event import EVENT_COLUMNS, EVENT_ROW, EventRow
from broker_api.order import (
    Arm,
    BracketRequest,
    CancelRequest,
    Command,
    ExitRequest,
    OcoRequest,
    OnPartial,
    OrderRequest,
    OrderType,
    ReplaceRequest,
    Role,
    Side,
    TimeInForce,
    order_ids_of,
    parse_name,
)

if TYPE_CHECKING:
    import pyarrow as pa

INTEGER, TEXT, FLAG = "integer", "text", "flag"
COMMAND_COLUMNS = {
    "ts_ns": INTEGER,
    "command": INTEGER,
    "events_before": INTEGER,
    "kind": TEXT,
    "order_id": INTEGER,
    "client_order_id": TEXT,
    "instrument": TEXT,
    "side": TEXT,
    "order_type": TEXT,
    "time_in_force": TEXT,
    "size_lots": INTEGER,
    "limit_ticks": INTEGER,
    "stop_ticks": INTEGER,
    "trail_ticks": INTEGER,
    "trail_ppm": INTEGER,
    "activation_ticks": INTEGER,
    "expires_at_ns": INTEGER,
    "protection_ticks": INTEGER,
    "post_only": FLAG,
    "reduce_only": FLAG,
    "group_id": INTEGER,
    "role": TEXT,
    "arm": TEXT,
    "on_partial": TEXT,
    "offset_ticks": INTEGER,
    "price_ticks": INTEGER,
    "limit_offset_ticks": INTEGER,
    "tag": TEXT,
}
"""The table of commands, one row an order. `command` counts commands from 1 (a bracket's rows share
it); `events_before` is how many events were recorded before it; what does not apply is null."""


class RecordedCommand(NamedTuple):
    """A command, when it was given, and how many events had been recorded before it."""

    ts_ns: int
    events_before: int
    command: Command


class RecordedError(NamedTuple):
    """A handler's exception: a row of kind "error" among the commands, with the text as tag."""

    ts_ns: int
    events_before: int
    text: str


Record = RecordedCommand | RecordedError


class Block(Protocol):
    """Commands and events of a stretch that was played without Python, made when somebody looks."""

    events: npt.NDArray[np.void]
    """In their order, dtype EVENT_ROW."""

    @property
    def orders(self) -> int:
        """How many orders were sent."""
        ...

    def __len__(self) -> int:
        """How many commands."""
        ...

    @property
    def commands(self) -> Sequence[RecordedCommand]:
        """In their order; `events_before` counts from the block's first event."""
        ...


_NONE = np.zeros(0, dtype="<i8")
_PACKED = struct.Struct(f"<{len(EVENT_COLUMNS)}q").pack
"""A row as it is stored: a third of the time that an array takes to take in its numbers."""
_C = TypeVar("_C", bound=tuple[int, int, Command])


class Recorder(Protocol):
    """Keeps what a session records elsewhere too; told before the session goes on."""

    def command(self, recorded: RecordedCommand | RecordedError) -> None:
        """A command that is about to be sent, or a handler's error."""

    def event(self, row: EventRow) -> None:
        """An event that is about to be seen."""

    def is_there(self, file: Path, ts_ns: int) -> bool:
        """Whether a file is there, at session time `ts_ns`: what is seen is kept too."""


class Journal:
    """Commands and events of one session, in order. Nothing is ever changed or removed."""

    def __init__(self, recorder: Recorder | None = None) -> None:
        self._recorder = recorder
        self._parts: list[npt.NDArray[np.int64]] = []
        self._rows = bytearray()
        """The newest rows as they are stored, behind those of `_parts`."""
        self._event_count = 0
        self._commands: list[Record] = []
        self._blocks: list[tuple[int, int, Block]] = []
        """Not looked into yet: before which of `_commands` and after how many events each is."""
        self._table: tuple[int, pa.Table] | None = None
        """The table that was made last, and of how many commands."""

    def __len__(self) -> int:
        """How many events are recorded."""
        return self._event_count

    @property
    def has_recorder(self) -> bool:
        """Whether somebody keeps elsewhere what is recorded, one by one."""
        return self._recorder is not None

    @property
    def command_count(self) -> int:
        """How many commands and errors are recorded."""
        return len(self._commands) + sum(len(block) for _, _, block in self._blocks)

    @property
    def order_count(self) -> int:
        """How many orders were sent; every leg of a bracket or an OCO is one."""
        given = (each.command for each in self._commands if isinstance(each, RecordedCommand))
        sent = [each for each in given if not isinstance(each, ReplaceRequest | CancelRequest)]
        return sum(len(order_ids_of(each)) for each in sent) + sum(
            block.orders for _, _, block in self._blocks
        )

    def record_command(self, ts_ns: int, command: Command) -> None:
        """Record a command that is about to be sent, at session time `ts_ns`."""
        self._record(RecordedCommand(ts_ns, self._event_count, command))

    def record_error(self, ts_ns: int, text: str) -> None:
        """Record that a handler failed, at session time `ts_ns`."""
        self._record(RecordedError(ts_ns, self._event_count, text))

    def is_there(self, file: Path, ts_ns: int) -> bool:
        """Whether a file is there; who plays the session again sees what it saw."""
        if self._recorder is None:
            return file.exists()
        return self._recorder.is_there(file, ts_ns)

    def _record(self, recorded: Record) -> None:
        if self._recorder is not None:
            self._recorder.command(recorded)
        self._commands.append(recorded)

    def record_event(self, row: EventRow) -> None:
        """Record an event that is about to be seen."""
        if self._recorder is not None:
            self._recorder.event(row)
        self._rows += _PACKED(*row)
        self._event_count += 1

    def record_block(self, block: Block) -> None:
        """Record a block of commands and events that are about to be seen."""
        self._blocks.append((len(self._commands), self._event_count, block))
        self._close_part()
        self._parts.append(np.ascontiguousarray(block.events).view("<i8"))
        self._event_count += len(block.events)

    def _records(self) -> list[Record]:
        """Commands and errors, those of blocks too."""
        blocks, self._blocks = self._blocks, []
        for place, before, block in reversed(blocks):
            self._commands[place:place] = [
                each._replace(events_before=before + each.events_before) for each in block.commands
            ]
        return self._commands

    def events(self) -> npt.NDArray[np.void]:
        """The event rows, dtype EVENT_ROW, in their order of arrival; not to be changed."""
        self._close_part()
        whole = self._parts[0] if len(self._parts) == 1 else np.concatenate([_NONE, *self._parts])
        self._parts = [whole]
        rows = whole.view(EVENT_ROW)
        rows.flags.writeable = False
        return rows

    def _close_part(self) -> None:
        if self._rows:
            self._parts.append(np.frombuffer(self._rows, dtype="<i8"))
            self._rows = bytearray()

    def recorded_commands(self) -> Sequence[RecordedCommand]:
        """The commands as they were given."""
        return tuple(each for each in self._records() if isinstance(each, RecordedCommand))

    def commands(self) -> pa.Table:
        """The commands as a table, see COMMAND_COLUMNS."""
        # Arrow is imported for those who ask for tables: it takes as long as NumPy.
        from broker_api.journal_parquet import commands_to_table

        records = self._records()
        if self._table is None or self._table[0] != len(records):
            self._table = len(records), commands_to_table(records)
        return self._table[1]

    def digest(self) -> str:
        """SHA-256 of the event rows' little-endian int64 bytes, as hex: the run's identity."""
        return digest_of(self.events())

    def write(self, folder: Path) -> None:
        """Write `events.parquet` and `commands.parquet` into `folder`, which is made if missing."""
        from broker_api.journal_parquet import write_journal

        write_journal(folder, self.events(), self.commands())


def in_order(commands: Iterable[_C], events: Iterable[EventRow]) -> Iterator[_C | EventRow]:
    """Commands, as (ts_ns, events_before, command), and events as they were recorded."""
    waiting = deque(commands)
    for count, event in enumerate(events):
        while waiting and waiting[0][1] <= count:
            yield waiting.popleft()
        yield event
    yield from waiting


def digest_of(events: npt.NDArray[np.void]) -> str:
    """SHA-256 of event rows as little-endian int64 bytes, as hex."""
    return hashlib.sha256(np.ascontiguousarray(events).view("<i8").data).hexdigest()


# --- commands to rows and back -----------------------------------------------------------------


def rows_of(command: Command) -> Iterator[dict[str, Any]]:
    """One row an order, see COMMAND_COLUMNS; columns that are missing are null."""
    if isinstance(command, OrderRequest):
        yield _order_row("order", command, Role.SINGLE, None)
    elif isinstance(command, BracketRequest):
        yield from _bracket_rows(command)
    elif isinstance(command, OcoRequest):
        for leg in (command.first, command.second):
            row = _order_row("oco", leg, Role.OCO_LEG, command.first.order_id)
            row["on_partial"] = _name(command.on_partial)
            yield row
    elif isinstance(command, ReplaceRequest):
        names = ("order_id", "size_lots", "limit_ticks", "stop_ticks", "trail_ticks")
        yield {"kind": "replace"} | {name: getattr(command, name) for name in names}
    else:
        yield {"kind": "cancel", "order_id": command.order_id}


_PLAIN_FIELDS = (
    "order_id",
    "client_order_id",
    "instrument",
    "size_lots",
    "limit_ticks",
    "stop_ticks",
    "trail_ticks",
    "trail_ppm",
    "activation_ticks",
    "expires_at_ns",
    "protection_ticks",
    "post_only",
    "reduce_only",
    "tag",
)
_plain_values = attrgetter(*_PLAIN_FIELDS)
_EXIT_FIELDS = (
    "order_id",
    "client_order_id",
    "offset_ticks",
    "price_ticks",
    "limit_offset_ticks",
    "trail_ticks",
    "tag",
)


def _order_row(kind: str, request: OrderRequest, role: Role, group: int | None) -> dict[str, Any]:
    row: dict[str, Any] = dict(zip(_PLAIN_FIELDS, _plain_values(request), strict=True))
    row["kind"] = kind
    row["side"] = _name(request.side)
    row["order_type"] = _name(request.order_type)
    row["time_in_force"] = _name(request.time_in_force)
    row["role"] = _name(role)
    row["group_id"] = group
    return row


def _bracket_rows(bracket: BracketRequest) -> Iterator[dict[str, Any]]:
    group = bracket.entry.order_id
    rows = [_order_row("bracket", bracket.entry, Role.ENTRY, group)]
    for leg, role in ((bracket.stop, Role.STOP_EXIT), (bracket.target, Role.TARGET_EXIT)):
        if leg is not None:
            row = {name: getattr(leg, name) for name in _EXIT_FIELDS}
            row |= {"kind": "bracket", "role": _name(role), "group_id": group}
            rows.append(row)
    for row in rows:
        row["arm"] = _name(bracket.arm)
        row["on_partial"] = _name(bracket.on_partial)
    yield from rows


@functools.lru_cache(maxsize=None, typed=True)  # members of two enumerations may be equal
def _name(member: Side | OrderType | TimeInForce | Role | Arm | OnPartial) -> str:
    return member.name.lower()


def command_of(rows: Sequence[Mapping[str, Any]]) -> Command:
    """The command of its rows, in which columns that are null may be missing; undoes `rows_of`.

    Raises ValueError for a kind or a name that does not exist.
    """
    first = rows[0]
    match first["kind"]:
        case "order":
            return _order_of(first)
        case "bracket":
            exits = {row["role"]: _exit_of(row) for row in rows[1:]}
            return BracketRequest(
                entry=_order_of(first),
                stop=exits.get("stop_exit"),
                target=exits.get("target_exit"),
                arm=parse_name(Arm, first["arm"], "arm"),
                on_partial=parse_name(OnPartial, first["on_partial"], "on_partial"),
            )
        case "oco":
            on_partial = parse_name(OnPartial, first["on_partial"], "on_partial")
            return OcoRequest(_order_of(first), _order_of(rows[1]), on_partial)
        case "replace":
            names = ("order_id", "size_lots", "limit_ticks", "stop_ticks", "trail_ticks")
            return ReplaceRequest(**_cells(first, names))
        case "cancel":
            return CancelRequest(first["order_id"])
    raise ValueError(f"command kind {first['kind']!r} is unknown")


def _order_of(row: Mapping[str, Any]) -> OrderRequest:
    return OrderRequest(
        **_cells(row, _PLAIN_FIELDS),
        side=Side.parse(row["side"]),
        order_type=parse_name(OrderType, row["order_type"], "order_type"),
        time_in_force=parse_name(TimeInForce, row["time_in_force"], "time_in_force"),
    )


def _exit_of(row: Mapping[str, Any]) -> ExitRequest:
    return ExitRequest(**_cells(row, _EXIT_FIELDS))


def _cells(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: row.get(name) for name in names}
