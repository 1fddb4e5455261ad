"""The first difference between two runs, with all that one wants to see of it.

`first_divergence` is a pure function of two records. `Divergence.to_dict` is plain data: for JSON,
for pages. Where the journals part and how is found in `alignment`, why in `causes`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from broker_api.broker import Snapshot
from broker_api.event import EVENT_COLUMNS, SESSION_KINDS, EventRow
from broker_api.instrument import Instrument
from broker_api.journal import RecordedCommand
from broker_api.journal_parquet import commands_from_table
from broker_api.ledger import fold
from broker_api.order import (
    CancelRequest,
    OrderStatus,
    ReplaceRequest,
    order_ids_of,
    requests_of,
)
from broker_api.record import OrderRecord
from data.schema import RowKind
from data.tape import Tape
from reports.run import RunRecord
from reports.text import moment
from scenarios.alignment import (
    DivergenceKind,
    FieldChange,
    Parting,
    Side,
    first_command,
    first_event,
    is_decision,
    lineage_of,
    only_on_one_side,
    part_commands,
    part_events,
)
from scenarios.causes import Cause, Site, causes_of
from scenarios.journal_text import command_text, event_text, is_of_order, kind_name

ROWS_BEFORE, ROWS_AFTER = 6, 4
"""Rows of the market that are shown around a difference."""
EVENTS_AROUND = 4
"""Events that are shown before and after it."""


@dataclass(frozen=True)
class Moment:
    """An event or a command of one run: its index in the journal, its time, and what it says.

    `what` is "event" or "command"; `fields` are the event's columns, empty of a command.
    """

    what: str
    index: int
    ts_ns: int
    kind: str
    instrument: str | None
    order_id: int | None
    text: str
    fields: Mapping[str, int]


@dataclass(frozen=True)
class MarketRow:
    """A row of the tape as text of prices and sizes; `row` counts from 0."""

    symbol: str
    row: int
    ts_ns: int
    kind: str
    bid: str
    ask: str
    price: str


@dataclass(frozen=True)
class OrderState:
    """A working order just before the runs part, and how it ended in either run.

    `expected_end` and `actual_end` are "filled 2 of 2", "cancelled", "working"; `is_concerned` of
    the order that the difference is about.
    """

    order_id: int
    text: str
    status: str
    filled: str
    is_concerned: bool
    expected_end: str
    actual_end: str


@dataclass(frozen=True)
class Divergence:
    """Where and how a run first differs from the accepted one.

    `what` says whether commands or events part first. `expected` and `actual` are what each run has
    there: of a thing that came at another place or time, that thing on both sides; of one that is
    missing or extra, the other side has what came instead, or None. `event_index` is the index of
    the first event that differs, `event_expected` and `event_actual` are the events there: the same
    moments unless a command parted first. `before` are the last events that both runs have;
    `expected_after` and `actual_after` go on from there. `causes` has the likeliest first.
    """

    kind: DivergenceKind
    what: str
    sentence: str
    ts_ns: int
    expected: Moment | None
    actual: Moment | None
    fields: tuple[FieldChange, ...]
    event_index: int
    event_expected: Moment | None
    event_actual: Moment | None
    before: tuple[Moment, ...]
    expected_after: tuple[Moment, ...]
    actual_after: tuple[Moment, ...]
    market: tuple[MarketRow, ...]
    orders: tuple[OrderState, ...]
    causes: tuple[Cause, ...]
    only_expected: int
    only_actual: int

    @property
    def cause(self) -> Cause:
        """The likeliest."""
        return self.causes[0]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data: dicts, lists, texts, integers."""
        plain: dict[str, Any] = _plain(self)
        return plain


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return dict(value)
    return value.value if hasattr(value, "value") else value


def first_divergence(expected: RunRecord, actual: RunRecord) -> Divergence | None:
    """The first difference of `actual` from `expected`; None where every event is the same.

    Settings and evidence of causes are read from both configurations, the market from the tapes of
    `actual`, which are those of `expected` unless their content differs.
    """
    sides = _side(expected), _side(actual)
    event = first_event(*sides)
    if event is None:
        return None
    command = first_command(*sides)
    decided = is_decision(*sides, event, command)
    parting = part_events(*sides, event)
    view = _View(sides, (expected, actual))
    event_expected, event_actual = view.events(parting, event)
    is_command = decided and not _is_refusal(*sides, event)
    if is_command and command is not None:
        parting = part_commands(*sides, command)
        first, second = view.commands(parting, command)
    else:
        first, second = event_expected, event_actual
    ts_ns = min(each.ts_ns for each in (first, second) if each is not None)
    kind = None if is_command else _kind_there(sides, event, parting)
    names = frozenset(change.name for change in parting.fields)
    site = Site(parting.kind, decided, ts_ns, kind, names)
    only_expected, only_actual = only_on_one_side(*sides)
    return Divergence(
        kind=parting.kind,
        what="command" if is_command else "event",
        sentence=_sentence(parting, first, second),
        ts_ns=ts_ns,
        expected=first,
        actual=second,
        fields=parting.fields,
        event_index=event,
        event_expected=event_expected,
        event_actual=event_actual,
        before=view.stretch(0, max(0, event - EVENTS_AROUND), event),
        expected_after=view.stretch(0, event, event + EVENTS_AROUND),
        actual_after=view.stretch(1, event, event + EVENTS_AROUND),
        market=_market(actual, first or second, ts_ns),
        orders=_orders(view, event, {each.order_id for each in (first, second) if each}),
        causes=causes_of(expected.config, actual.config, _tapes(actual), site),
        only_expected=only_expected,
        only_actual=only_actual,
    )


def _kind_there(sides: tuple[Side, Side], event: int, parting: Parting) -> int | None:
    """The kind of the event at which the runs part, of the run that has it."""
    is_extra = parting.kind is DivergenceKind.EXTRA
    row = sides[is_extra].row(event) or sides[not is_extra].row(event)
    return None if row is None else row.kind


def _is_refusal(expected: Side, actual: Side, event: int) -> bool:
    """Whether the session's own rules stepped in on one side: that comes before a command does."""
    rows = expected.row(event), actual.row(event)
    return any(row is not None and row.kind in SESSION_KINDS for row in rows)


def _side(record: RunRecord) -> Side:
    return Side(record.events, commands_from_table(record.commands()))


def _tapes(record: RunRecord) -> dict[str, Tape]:
    return {tape.symbol: tape for tape in record.tapes if tape is not None}


class _View:
    """Both journals, read out as moments."""

    def __init__(self, sides: tuple[Side, Side], records: tuple[RunRecord, RunRecord]) -> None:
        self.sides = sides
        self.records = records

    def event(self, side: int, index: int) -> Moment | None:
        """An event as it stands in one journal; None after its last."""
        row = self.sides[side].row(index)
        if row is None:
            return None
        specs = self.records[side].instruments
        return Moment(
            what="event",
            index=index,
            ts_ns=row.ts_ns,
            kind=kind_name(row),
            instrument=specs[row.instrument].symbol if 0 <= row.instrument < len(specs) else None,
            order_id=row.order_id if is_of_order(row) else None,
            text=event_text(row, specs),
            fields=dict(zip(EVENT_COLUMNS, row, strict=True)),
        )

    def events(self, parting: Parting, index: int) -> tuple[Moment | None, Moment | None]:
        """Where the events part: what either journal has, see Divergence."""
        mine = index if parting.expected is None else parting.expected
        other = index if parting.actual is None else parting.actual
        if parting.kind is DivergenceKind.REORDERED:
            mine = other = index
        return self.event(0, mine), self.event(1, other)

    def commands(self, parting: Parting, index: int) -> tuple[Moment | None, Moment | None]:
        """As `events`, of the commands."""
        mine = index if parting.expected is None else parting.expected
        other = index if parting.actual is None else parting.actual
        return self.command(0, mine), self.command(1, other)

    def command(self, side: int, index: int) -> Moment | None:
        """A command as it stands in one journal; None after its last."""
        commands = self.sides[side].commands
        if index >= len(commands):
            return None
        recorded = commands[index]
        order_id, symbol = _subject(recorded, commands)
        return Moment(
            what="command",
            index=index,
            ts_ns=recorded.ts_ns,
            kind=type(recorded.command).__name__.removesuffix("Request").lower(),
            instrument=symbol,
            order_id=order_id,
            text=command_text(recorded.command, self.records[side].instruments),
            fields={},
        )

    def stretch(self, side: int, start: int, end: int) -> tuple[Moment, ...]:
        """Events from `start` up to, not with, `end`."""
        found = (self.event(side, index) for index in range(start, end))
        return tuple(each for each in found if each is not None)


def _subject(
    recorded: RecordedCommand, commands: Sequence[RecordedCommand]
) -> tuple[int, str | None]:
    """The order that a command is about, and its instrument."""
    command = recorded.command
    if not isinstance(command, ReplaceRequest | CancelRequest):
        first = requests_of(command)[0]
        return first.order_id, first.instrument
    for each in commands:
        given = each.command
        if not isinstance(given, ReplaceRequest | CancelRequest):
            if command.order_id in order_ids_of(given):
                return command.order_id, requests_of(given)[0].instrument
    return command.order_id, None


# --- what is around it ----------------------------------------------------------------------------


def _market(record: RunRecord, near: Moment | None, ts_ns: int) -> tuple[MarketRow, ...]:
    """The market's rows before and after the moment, of its instrument or else the first."""
    symbols = [spec.symbol for spec in record.instruments]
    symbol = near.instrument if near is not None else None
    at = symbols.index(symbol) if symbol in symbols else 0
    tape = record.tapes[at] if at < len(record.tapes) else None
    if tape is None:
        return ()
    row = int(np.searchsorted(tape.columns.ts, ts_ns, side="right"))
    rows = range(max(0, row - ROWS_BEFORE), min(len(tape), row + ROWS_AFTER))
    return tuple(_market_row(record.instruments[at], tape, each) for each in rows)


def _market_row(spec: Instrument, tape: Tape, row: int) -> MarketRow:
    columns = tape.columns
    kind = RowKind(int(columns.kind[row]))
    price = ""
    if kind is RowKind.TRADE:
        price = f"{spec.format_size(int(columns.qty[row]))} at {_price(spec, columns.px[row])}"
    elif columns.px[row]:
        price = f"{columns.px[row] / 1e9:,}"
    return MarketRow(
        symbol=tape.symbol,
        row=row,
        ts_ns=int(columns.ts[row]),
        kind=kind.name.lower(),
        bid=_touch(spec, int(columns.bid[row]), int(columns.bid_qty[row])),
        ask=_touch(spec, int(columns.ask[row]), int(columns.ask_qty[row])),
        price=price,
    )


def _price(spec: Instrument, ticks: Any) -> str:
    return spec.format_price(int(ticks))


def _touch(spec: Instrument, ticks: int, lots: int) -> str:
    return f"{spec.format_size(lots)} at {spec.format_price(ticks)}" if lots else "none"


def _orders(view: _View, event: int, concerned: set[int | None]) -> tuple[OrderState, ...]:
    """The orders that worked just before this event, and those that it is about."""
    ends = [_ends(record) for record in view.records]
    asked = [lineage_of(side) for side in view.sides]
    states = []
    for order in _working(view, event, concerned):
        is_there = asked[0].get(order.order_id) == asked[1].get(order.order_id)
        end = _end_text(order, ends[1].get(order.order_id)) if is_there else "not there"
        states.append(
            OrderState(
                order_id=order.order_id,
                text=_order_text(order),
                status=order.status.name.lower(),
                filled=order.spec.format_size(order.filled_lots),
                is_concerned=order.order_id in concerned,
                expected_end=_end_text(order, ends[0].get(order.order_id)),
                actual_end=end,
            )
        )
    return tuple(states)


def _working(view: _View, event: int, concerned: set[int | None]) -> Iterator[OrderRecord]:
    side, record = view.sides[0], view.records[0]
    commands = [each for each in side.commands if each.events_before <= event]
    rows = (EventRow._make(values.item()) for values in side.events[:event])
    snapshot = Snapshot("", record.currency, record.cash_nanos, ())
    ledger = fold(record.instruments, snapshot, commands, rows)
    for order_id, order in ledger.orders.items():
        if order_id in ledger.working or order_id in concerned:
            yield order


def _order_text(order: OrderRecord) -> str:
    spec = order.spec
    parts = [order.side.name.lower(), spec.format_size(order.size_lots), spec.symbol]
    parts.append(order.order_type.name.lower().replace("_", "-"))
    if order.stop_ticks is not None:
        parts.append(f"stop {spec.format_price(order.stop_ticks)}")
    if order.limit_ticks is not None:
        parts.append(f"limit {spec.format_price(order.limit_ticks)}")
    role = order.role.name.lower().replace("_", " ")
    return " ".join(parts) + ("" if role == "single" else f" ({role})")


def _ends(record: RunRecord) -> dict[int, EventRow]:
    """The last event of each order."""
    rows = (EventRow._make(values.item()) for values in record.events)
    return {row.order_id: row for row in rows if is_of_order(row)}


def _end_text(order: OrderRecord, last: EventRow | None) -> str:
    if last is None:
        return "never accepted"
    status = OrderStatus.from_code(last.status).name.lower()
    size = order.spec.format_size
    filled = last.filled_lots
    if not filled:
        return status
    of = f"{size(filled)} of {size(filled + last.leaves_lots)}"
    return f"filled {of}" if not last.leaves_lots else f"{status}, filled {of}"


# --- in words -------------------------------------------------------------------------------------


def _sentence(parting: Parting, expected: Moment | None, actual: Moment | None) -> str:
    """The difference in one sentence."""
    fields = parting.fields
    mine = "the end of the run" if expected is None else expected.text
    other = "the end of the run" if actual is None else actual.text
    match parting.kind:
        case DivergenceKind.CHANGED if expected is not None and expected.what == "command":
            changes = [f"{each.name} {each.actual}, expected {each.expected}" for each in fields]
            return f"changed: {expected.kind} {expected.order_id}: {'; '.join(changes)}"
        case DivergenceKind.CHANGED:
            return f"changed: expected {mine}; came {other}"
        case DivergenceKind.MISSING:
            return f"missing: {mine}; instead came {other}"
        case DivergenceKind.EXTRA:
            return f"extra: {other}; expected was {mine}"
        case DivergenceKind.REORDERED:
            return f"reordered: expected {mine} before {other}"
        case DivergenceKind.CANCELLED:
            return f"ended otherwise: expected {mine}; came {other}"
        case DivergenceKind.RETIMED if expected is not None and actual is not None:
            late = actual.ts_ns - expected.ts_ns
            how = f"{abs(late) / 1e6:,.6g} ms {'later' if late > 0 else 'earlier'}"
            return f"re-timed: {mine} came {how}, at {moment(actual.ts_ns)}"
    raise ValueError(f"{parting.kind} has no sentence")
