"""Brackets and OCO for brokers that have none: a pure state machine, events in and commands out.

It stands between a session and a broker of plain orders. The session's commands go in and plain
commands come out; the plain orders' events go in and the session's come out, with the exits' own
ids, as if the venue kept them. It reads no clock: every input brings its time. What follows from an
input follows at once, so the state is a fold of the commands and events in a journal (`refold`).

What a broker owes: every command is answered by an event, or by OrderUncertain when its outcome is
unknown; every fill is told once, in the order of the venue; nothing of an order follows its end.

    plain_order.py     one order at the venue; ids; orders at market; the settings
    exit_leg.py        a leg: what is wanted of it, steered to the venue
    client_bracket.py  a bracket: how many lots its exits cover, protection, emergency, repair
    client_oco.py      a pair of which one completes
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from broker_api.broker import PositionState
from broker_api.client_bracket import Bracket
from broker_api.client_oco import Oco
from broker_api.event import EventKind, EventRow, Reason
from broker_api.instrument import Instrument
from broker_api.journal import RecordedCommand
from broker_api.order import (
    BracketRequest,
    CancelRequest,
    Command,
    ExitRequest,
    OcoRequest,
    OrderRequest,
    OrderStatus,
    ReplaceRequest,
    Side,
    order_ids_of,
    requests_of,
)
from broker_api.plain_order import (
    MADE_NAME,
    PlainOrder,
    Protection,
    Voice,
    asked_id,
    is_repair,
)

__all__ = ["Contingency", "Protection", "Reaction", "RecordedEvent", "refold"]


_MOVE_LOTS = (EventKind.FILLED, EventKind.POSITION, EventKind.REPLACE_REJECTED)
"""Events after which exits may cover more than the position."""
_REFUSED_CHANGES = (EventKind.CANCEL_REJECTED, EventKind.REPLACE_REJECTED)


class RecordedEvent(NamedTuple):
    """An event of a plain broker and the session's time at which it came."""

    came_ns: int
    row: EventRow


class Reaction(NamedTuple):
    """What an input causes: commands to send, in this order, and events to tell the session."""

    commands: tuple[Command, ...]
    events: tuple[EventRow, ...]


@dataclass(slots=True)
class Contingency:
    """The groups of one session. Inputs: `command`, `hear` and, when `due_ns` has come, `on_time`.

    Two of them that were given the same inputs are equal.
    """

    instruments: tuple[Instrument, ...]
    rules: Protection
    positions: list[int]
    groups: dict[int, Bracket | Oco] = field(default_factory=dict)
    owners: dict[int, int] = field(default_factory=dict)
    heard_ns: int = 0
    told: int = 0

    @classmethod
    def opened(
        cls,
        instruments: Sequence[Instrument],
        rules: Protection | None = None,
        positions: Iterable[PositionState] = (),
    ) -> Contingency:
        """A machine without groups; `positions` are those of the account at connection."""
        lots = [0] * len(instruments)
        for state in positions:
            lots[state.instrument] = state.position_lots
        return cls(tuple(instruments), rules or Protection(), lots)

    # --- inputs --------------------------------------------------------------------------------

    def command(self, ts_ns: int, command: Command) -> Reaction:
        """The session gives a command."""
        voice = self._voice(ts_ns)
        self._settle(self.groups.values(), voice)
        if isinstance(command, OrderRequest | BracketRequest | OcoRequest):
            self._submit(command, voice)
        else:
            self._change(command, voice)
        return self._done(self.groups.values(), voice)

    def hear(self, row: EventRow, came_ns: int) -> Reaction:
        """The broker tells an event of a plain order, a position or anything else."""
        self.heard_ns = row.ts_ns
        voice = self._voice(came_ns)
        group = self.groups.get(self.owners.get(asked_id(row.order_id), 0))
        if row.kind == EventKind.FILLED:
            sign = Side(row.side).sign
            self.positions[row.instrument] += sign * row.lots
        elif row.kind == EventKind.POSITION:
            self.positions[row.instrument] = row.position_lots
        touched: list[Bracket | Oco] = []
        if group is not None:
            group.hear(row, voice)
            touched.append(group)
        elif self._is_news(row):
            voice.tell(row)
        if row.kind in _MOVE_LOTS:
            released = self._cap(row.instrument if group is None else group.instrument)
            touched += [bracket for bracket in released if bracket is not group]
        return self._done(touched, voice)

    def on_time(self, ts_ns: int) -> Reaction:
        """Time has come to `ts_ns`. Changes nothing unless it sends something."""
        return self._done(self.groups.values(), self._voice(ts_ns))

    def due_ns(self) -> int | None:
        """When `on_time` has to be called; None while nothing waits for time."""
        due = (group.due_ns() for group in self.groups.values())
        return min((each for each in due if each is not None), default=None)

    # --- looking -------------------------------------------------------------------------------

    def has_leg(self, order_id: int) -> bool:
        """True for an exit or an OCO's leg: commands for it end here, not at the broker."""
        group = self.groups.get(self.owners.get(order_id, 0))
        return group is not None and any(leg.order_id == order_id for leg in group.legs)

    def unanswered(self, command: Command) -> PlainOrder | None:
        """The order that waits for the answer to this plain command; None when none does."""
        if not isinstance(command, OrderRequest | ReplaceRequest | CancelRequest):
            return None
        group = self.groups.get(self.owners.get(asked_id(command.order_id), 0))
        orders = () if group is None else group.orders
        return next((order for order in orders if order.sent == command), None)

    # --- what follows --------------------------------------------------------------------------

    def _voice(self, now_ns: int) -> Voice:
        """For one input: what it causes is told with the time of the venue's newest event."""
        return Voice(now_ns, self.heard_ns or now_ns, self.told)

    def _done(self, groups: Iterable[Bracket | Oco], voice: Voice) -> Reaction:
        self._settle(groups, voice)
        self.told = voice.told
        return Reaction(tuple(voice.commands), tuple(voice.events))

    def _settle(self, groups: Iterable[Bracket | Oco], voice: Voice) -> None:
        """Let groups send what follows; a change of the user's that has waited comes first."""
        for group in tuple(groups):
            self._take_waiting(group, voice)
            group.settle(voice)
            self._take_waiting(group, voice)  # of legs that were ended just now
            if group.is_done:
                del self.groups[group.key]

    def _take_waiting(self, group: Bracket | Oco, voice: Voice) -> None:
        for leg in group.legs:
            if (change := leg.take_waiting()) is not None:
                self._cap(group.instrument)
                group.ask_change(leg, change, voice)

    def _is_news(self, row: EventRow) -> bool:
        """False for what comes of a group's order after the group: answers that were overtaken.

        A refusal that concerns an entry or a repair may answer a command of the user's.
        """
        owner = self.owners.get(asked_id(row.order_id))
        if owner is None or row.kind == EventKind.FILLED:
            return True
        is_users = row.order_id == owner or is_repair(row.order_id)
        return is_users and row.kind in _REFUSED_CHANGES

    # --- the session's commands ----------------------------------------------------------------

    def _submit(self, submission: OrderRequest | BracketRequest | OcoRequest, voice: Voice) -> None:
        instrument = self._index(requests_of(submission)[0].instrument)
        refusal = _refusal(submission)
        if refusal is not None:
            reason, value, limit = refusal
            voice.make(
                EventKind.REJECTED,
                OrderStatus.REJECTED,
                instrument=instrument,
                order_id=order_ids_of(submission)[0],
                reason=int(reason),
                value=value,
                limit=limit,
            )
            return
        if isinstance(submission, OrderRequest):
            voice.send(submission)
            return
        group: Bracket | Oco
        if isinstance(submission, BracketRequest):
            group = Bracket.opened(submission, instrument, self.rules)
        else:
            group = Oco.opened(submission, instrument, self.rules)
        ids = order_ids_of(submission)
        self.groups[ids[0]] = group
        self.owners.update(dict.fromkeys(ids, ids[0]))
        group.start(voice)

    def _change(self, command: ReplaceRequest | CancelRequest, voice: Voice) -> None:
        group = self.groups.get(self.owners.get(command.order_id, 0))
        found = [leg for leg in group.legs if leg.order_id == command.order_id] if group else []
        if group is None or not found:
            voice.send(command)
            return
        [leg] = found
        self._cap(leg.instrument)
        if isinstance(command, ReplaceRequest):
            group.ask_change(leg, command, voice)
        elif leg.is_over or leg.cancel_is_asked:
            voice.make(
                EventKind.CANCEL_REJECTED,
                leg.status,
                instrument=leg.instrument,
                order_id=leg.order_id,
                filled_lots=leg.filled_lots,
                reason=int(Reason.ORDER_NOT_ACTIVE),
            )
        else:
            group.ask_cancel(leg)
        self._cap(leg.instrument)

    def _index(self, symbol: str) -> int:
        symbols = [spec.symbol for spec in self.instruments]
        return symbols.index(symbol)

    # --- the position --------------------------------------------------------------------------

    def _cap(self, instrument: int) -> list[Bracket]:
        """All exits of one direction together never exceed the position: first in, first out.

        The position is taken as it will be when the repairs that are owed have been made. Returns
        the brackets that gave way.
        """
        released = []
        groups = [each for each in self.groups.values() if each.instrument == instrument]
        position = self.positions[instrument] + sum(group.owed_lots for group in groups)
        for side in Side:
            brackets = [
                group
                for group in groups
                if isinstance(group, Bracket) and group.request.entry.side is side
            ]
            covered = sum(max(0, bracket.open_lots) for bracket in brackets)
            room = max(0, position * side.sign) - covered
            excess = max(0, -room)
            for bracket in brackets:
                bracket.room_lots = room
                part = max(0, min(excess, bracket.open_lots))
                if part:
                    bracket.release(part)
                    released.append(bracket)
                    excess -= part
        return released


def _refusal(
    submission: OrderRequest | BracketRequest | OcoRequest,
) -> tuple[Reason, int, int] | None:
    """Why a submission is refused before anything of it is sent; None where it is not."""
    names = [request.client_order_id for request in requests_of(submission)]
    if isinstance(submission, BracketRequest):
        names += [leg.client_order_id for leg in (submission.stop, submission.target) if leg]
    if any(MADE_NAME.fullmatch(name) for name in names):
        return Reason.DUPLICATE_CLIENT_ORDER_ID, 0, 0
    if isinstance(submission, OcoRequest):
        if submission.first.instrument != submission.second.instrument:
            return Reason.UNSUPPORTED, 0, 0
    elif isinstance(submission, BracketRequest):
        return _levels(submission)
    return None


def _levels(bracket: BracketRequest) -> tuple[Reason, int, int] | None:
    """A long needs stop < entry < target, a short the reverse; without a price nobody can say."""
    entry, sign = bracket.entry, bracket.entry.side.sign
    prices = (entry.limit_ticks, entry.stop_ticks, entry.activation_ticks)
    price = next((each for each in prices if each is not None), None)
    exits: tuple[tuple[ExitRequest | None, int], ...] = ((bracket.stop, -1), (bracket.target, 1))
    for leg, way in exits:
        if leg is None or leg.price_ticks is None or price is None:
            continue
        if (leg.price_ticks - price) * sign * way <= 0:
            return Reason.BRACKET_LEVELS, leg.price_ticks, price
    return None


# --- from a journal -----------------------------------------------------------------------------


def refold(
    contingency: Contingency, records: Iterable[RecordedCommand | RecordedEvent]
) -> tuple[list[Command], list[EventRow]]:
    """Bring a new machine to where another was when these records had been made.

    `records` are, in order, the session's commands, the commands that the machine had sent and the
    broker's events. Returns the commands that follow from them and are not among them, so that
    they surely were never sent, and all events that were told. A command that is among them and
    has no answer may have been sent: it is resolved like any other, by its client order id.
    """
    unsent: deque[Command] = deque()
    told: list[EventRow] = []
    for record in records:
        if isinstance(record, RecordedCommand):
            if not (unsent and unsent[0] == record.command):
                reaction = contingency.on_time(record.ts_ns)
                unsent.extend(reaction.commands)
                told.extend(reaction.events)
            if unsent and unsent[0] == record.command:
                unsent.popleft()
                continue
            reaction = contingency.command(record.ts_ns, record.command)
        else:
            reaction = contingency.hear(record.row, record.came_ns)
        unsent.extend(reaction.commands)
        told.extend(reaction.events)
    return list(unsent), told
