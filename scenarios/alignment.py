"""Where two journals part, and how: pure functions of their rows.

Orders are known by what was asked for, not by their numbers: one order more at the beginning moves
the numbers of all that follow, and is one difference all the same. An event is known by its order,
its kind and its content; money and positions add up over a run, so they are compared where both
journals have the event, and never decide which event it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from broker_api.event import EVENT_COLUMNS, SESSION_KINDS, EventKind, EventRow
from broker_api.journal import RecordedCommand
from broker_api.order import (
    BracketRequest,
    ExitRequest,
    OcoRequest,
    OrderRequest,
    ReplaceRequest,
)
from scenarios.journal_text import is_of_order

NEARBY = 400
"""An event that comes at another time is looked for among so many that follow."""
_ADDED_UP = frozenset({"seq", "position_lots", "position_cost", "realised_nanos", "cash_nanos"})
_ENDED_UNFILLED = (EventKind.CANCELLED, EventKind.EXPIRED)


class DivergenceKind(Enum):
    """How two journals part at their first difference."""

    CHANGED = "changed"
    MISSING = "missing"
    EXTRA = "extra"
    REORDERED = "reordered"
    RETIMED = "retimed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class FieldChange:
    """A field of the event or command that both sides have, with other values."""

    name: str
    expected: int | str | None
    actual: int | str | None


@dataclass(frozen=True)
class Side:
    """One journal: its events, and its commands as they were given."""

    events: npt.NDArray[np.void]
    commands: Sequence[RecordedCommand]

    def row(self, index: int) -> EventRow | None:
        """The event of this index, None after the last."""
        return EventRow._make(self.events[index].item()) if index < len(self.events) else None


@dataclass(frozen=True)
class Parting:
    """How two sequences part: what is first on either side, and in which fields they differ.

    `expected` and `actual` are indices, None on the side that does not have it. Of a thing that is
    at another place or time on the other side, both are where it is.
    """

    kind: DivergenceKind
    expected: int | None
    actual: int | None
    fields: tuple[FieldChange, ...] = ()


def first_event(expected: Side, actual: Side) -> int | None:
    """Index of the first event that differs in any field, None where none does."""
    common = min(len(expected.events), len(actual.events))
    differs = np.zeros(common, dtype=bool)
    for name in EVENT_COLUMNS:
        differs |= expected.events[name][:common] != actual.events[name][:common]
    if differs.any():
        return int(differs.argmax())
    return None if len(expected.events) == len(actual.events) else common


def first_command(expected: Side, actual: Side) -> int | None:
    """Index of the first command that differs, in itself or in its time; None where none does."""
    both = zip(expected.commands, actual.commands, strict=False)
    for index, (one, other) in enumerate(both):
        if (one.ts_ns, one.command) != (other.ts_ns, other.command):
            return index
    if len(expected.commands) == len(actual.commands):
        return None
    return min(len(expected.commands), len(actual.commands))


def is_decision(expected: Side, actual: Side, event: int, command: int | None) -> bool:
    """Whether the commands part before the events do: on the same past, another decision."""
    if command is None:
        return False
    given = [side.commands[command] for side in (expected, actual) if command < len(side.commands)]
    return min(each.events_before for each in given) <= event


# --- who is who -----------------------------------------------------------------------------------


def lineage_of(side: Side) -> dict[int, Hashable]:
    """What was asked for with each order, by its number; numbers and times left out."""
    known: dict[int, Hashable] = {}
    for recorded in side.commands:
        command = recorded.command
        if isinstance(command, OrderRequest):
            known[command.order_id] = _asked(command)
        elif isinstance(command, OcoRequest):
            known[command.first.order_id] = ("oco", _asked(command.first))
            known[command.second.order_id] = ("oco", _asked(command.second))
        elif isinstance(command, BracketRequest):
            entry = ("entry", _asked(command.entry))
            known[command.entry.order_id] = entry
            for name, leg in (("stop", command.stop), ("target", command.target)):
                if leg is not None:
                    known[leg.order_id] = (name, entry, _asked(leg))
    return known


def _asked(request: OrderRequest | ExitRequest) -> Hashable:
    numbers = ("order_id", "client_order_id")
    names = [name for name in type(request).__dataclass_fields__ if name not in numbers]
    return tuple(getattr(request, name) for name in names)


def _event_keys(side: Side) -> list[Hashable]:
    """By event what it is, its time left out."""
    lineage = lineage_of(side)
    keys: list[Hashable] = []
    for values in side.events:
        row = EventRow._make(values.item())
        if is_of_order(row):
            order = lineage.get(row.order_id, ("unasked", row.side))
            content = (row.side, row.price_ticks, row.stop_ticks, row.lots, row.leaves_lots)
            keys.append((row.kind, row.instrument, order, content, row.reason))
        else:
            money = (row.position_lots, row.cash_nanos, row.value, row.limit)
            keys.append((row.kind, row.instrument, money, row.reason))
    return keys


def _command_keys(side: Side) -> list[Hashable]:
    lineage = lineage_of(side)
    keys: list[Hashable] = []
    for recorded in side.commands:
        command = recorded.command
        if isinstance(command, OrderRequest):
            keys.append(("order", _asked(command)))
        elif isinstance(command, OcoRequest):
            keys.append(("oco", _asked(command.first), _asked(command.second)))
        elif isinstance(command, BracketRequest):
            legs = [leg and _asked(leg) for leg in (command.stop, command.target)]
            keys.append(("bracket", _asked(command.entry), *legs))
        elif isinstance(command, ReplaceRequest):
            keys.append(("replace", lineage.get(command.order_id), _terms(command)))
        else:
            keys.append(("cancel", lineage.get(command.order_id)))
    return keys


def _terms(command: ReplaceRequest) -> Hashable:
    return (command.size_lots, command.limit_ticks, command.stop_ticks, command.trail_ticks)


# --- how they part --------------------------------------------------------------------------------


def part_events(expected: Side, actual: Side, index: int) -> Parting:
    """How the events part at this index, the first that differs."""
    keys = _event_keys(expected), _event_keys(actual)
    times = expected.events["ts_ns"].tolist(), actual.events["ts_ns"].tolist()
    found = _part(keys, times, index)
    mine, other = expected.row(index), actual.row(index)
    if mine is None or other is None:
        return _as_cancel(found, expected, actual)
    is_same = _is_same_subject(mine, other)
    if found.kind is DivergenceKind.RETIMED and is_same and keys[0][index] != keys[1][index]:
        found = Parting(DivergenceKind.CHANGED, index, index)
    if found.kind is not DivergenceKind.CHANGED:
        return _as_cancel(found, expected, actual)
    if is_same:
        return Parting(found.kind, index, index, _event_fields(mine, other))
    if other.kind in SESSION_KINDS and mine.kind not in SESSION_KINDS:
        return Parting(DivergenceKind.EXTRA, None, index)
    is_one_order = is_of_order(mine) and mine.order_id == other.order_id
    ended = {mine.kind in _ENDED_UNFILLED, other.kind in _ENDED_UNFILLED}
    if is_one_order and ended == {True, False}:
        return Parting(DivergenceKind.CANCELLED, index, index)
    return Parting(found.kind if is_one_order else DivergenceKind.MISSING, index, index)


def _is_same_subject(mine: EventRow, other: EventRow) -> bool:
    """Whether two events are of one kind, and of the same order or thing."""
    return (mine.kind, mine.instrument) == (other.kind, other.instrument) and (
        not is_of_order(mine) or mine.order_id == other.order_id
    )


def _as_cancel(found: Parting, expected: Side, actual: Side) -> Parting:
    """A missing or extra end of an order is told as that."""
    at = found.expected if found.kind is DivergenceKind.MISSING else found.actual
    side = expected if found.kind is DivergenceKind.MISSING else actual
    if found.kind not in (DivergenceKind.MISSING, DivergenceKind.EXTRA) or at is None:
        return found
    row = side.row(at)
    if row is None or row.kind not in _ENDED_UNFILLED:
        return found
    return Parting(DivergenceKind.CANCELLED, found.expected, found.actual, found.fields)


def part_commands(expected: Side, actual: Side, index: int) -> Parting:
    """How the commands part at this index, the first that differs."""
    keys = _command_keys(expected), _command_keys(actual)
    times = [each.ts_ns for each in expected.commands], [each.ts_ns for each in actual.commands]
    found = _part(keys, times, index)
    if found.kind is not DivergenceKind.CHANGED:
        return found
    mine, other = expected.commands[index], actual.commands[index]
    if type(mine.command) is not type(other.command):
        return Parting(DivergenceKind.MISSING, index, None)
    return Parting(found.kind, index, index, _command_fields(mine, other))


_HERE = DivergenceKind.CHANGED
"""The same thing at the same time on both sides differs in what it adds up to."""
_Keys = tuple[Sequence[Hashable], Sequence[Hashable]]
_Times = tuple[Sequence[int], Sequence[int]]


def _part(keys: _Keys, times: _Times, index: int) -> Parting:
    """How two sequences of things with times part, knowing that all before `index` is the same."""
    mine, other = keys
    if index >= len(mine):
        return Parting(DivergenceKind.EXTRA, None, index)
    if index >= len(other):
        return Parting(DivergenceKind.MISSING, index, None)
    exact = [list(zip(each, when, strict=True)) for each, when in zip(keys, times, strict=True)]
    mine_exact = _find(exact[0][index], exact[1], index)
    other_exact = _find(exact[1][index], exact[0], index)
    mine_moved = _find_moved(mine[index], exact[1], exact[0], index)
    other_moved = _find_moved(other[index], exact[0], exact[1], index)
    is_mine_there = mine_exact is not None or mine_moved is not None
    is_other_there = other_exact is not None or other_moved is not None
    if not is_mine_there and not is_other_there:
        return Parting(DivergenceKind.CHANGED, index, index)
    if not is_other_there:
        return Parting(DivergenceKind.EXTRA, None, index)
    if not is_mine_there:
        return Parting(DivergenceKind.MISSING, index, None)
    if mine_exact is not None and other_exact is not None:
        is_here = mine_exact == index
        return Parting(_HERE if is_here else DivergenceKind.REORDERED, index, mine_exact)
    if mine_moved is not None and (other_moved is None or mine_moved <= other_moved):
        return _retimed(times, index, mine_moved)
    return _retimed(times, index if other_moved is None else other_moved, index)


def _find_moved(
    wanted: Hashable,
    keys: Sequence[tuple[Hashable, int]],
    others: Sequence[tuple[Hashable, int]],
    start: int,
) -> int | None:
    """Where the wanted thing is nearby at a time of its own, not that of another one like it."""
    known = set(others)
    for index in range(start, min(start + NEARBY, len(keys))):
        if keys[index][0] == wanted and keys[index] not in known:
            return index
    return None


def _retimed(times: _Times, mine: int, other: int) -> Parting:
    change = FieldChange("ts_ns", times[0][mine], times[1][other])
    return Parting(DivergenceKind.RETIMED, mine, other, (change,))


def _find(wanted: Hashable, keys: Sequence[Hashable], start: int) -> int | None:
    for index in range(start, len(keys)):
        if keys[index] == wanted:
            return index
    return None


def _event_fields(mine: EventRow, other: EventRow) -> tuple[FieldChange, ...]:
    changes = [
        FieldChange(name, a, b)
        for name, a, b in zip(EVENT_COLUMNS, mine, other, strict=True)
        if a != b
    ]
    # What adds up differs with its cause: that comes first.
    return tuple(sorted(changes, key=lambda change: change.name in _ADDED_UP))


def _command_fields(mine: RecordedCommand, other: RecordedCommand) -> tuple[FieldChange, ...]:
    changes = []
    if mine.ts_ns != other.ts_ns:
        changes.append(FieldChange("ts_ns", mine.ts_ns, other.ts_ns))
    one, two = _flat(mine.command), _flat(other.command)
    for name in dict.fromkeys([*one, *two]):
        if one.get(name) != two.get(name):
            changes.append(FieldChange(name, one.get(name), two.get(name)))
    return tuple(changes)


def _flat(command: object, prefix: str = "") -> dict[str, int | str | None]:
    """The fields of a command and of what it holds, as plain values."""
    flat: dict[str, int | str | None] = {"kind": type(command).__name__} if not prefix else {}
    for name in type(command).__dataclass_fields__:  # type: ignore[attr-defined]
        value = getattr(command, name)
        if hasattr(value, "__dataclass_fields__"):
            flat |= _flat(value, f"{prefix}{name}.")
        elif isinstance(value, Enum):
            flat[prefix + name] = value.name.lower()
        else:
            flat[prefix + name] = value
    return flat


def only_on_one_side(expected: Side, actual: Side) -> tuple[int, int]:
    """How many events only the expected journal has, and how many only the actual one; an event at
    another time is one of each."""
    mine, other = (_counted(side) for side in (expected, actual))
    return sum((mine - other).values()), sum((other - mine).values())


def _counted(side: Side) -> Counter[Hashable]:
    times: Iterable[int] = side.events["ts_ns"].tolist()
    return Counter(zip(_event_keys(side), times, strict=True))
