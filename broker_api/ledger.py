"""The one fold of a session: commands and events in, orders, positions and cash out.

Nothing here sends, waits or reads a clock. The ledger nets every fill itself and asserts that the
broker's own PositionChanged and AccountChanged say the same, so a run whose books disagree stops.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from broker_api.broker import Snapshot
from broker_api.event import (
    AccountChanged,
    CancelRejected,
    Event,
    FundingPaid,
    OrderAccepted,
    OrderActivated,
    OrderCancelled,
    OrderEventBase,
    OrderExpired,
    OrderFilled,
    OrderHeld,
    OrderRejected,
    OrderReplaced,
    OrderTriggered,
    PositionChanged,
    ReplaceRejected,
    Unprotected,
)
from broker_api.instrument import Instrument
from broker_api.order import (
    LEGAL_TRANSITIONS,
    NO_PRICE,
    BracketRequest,
    Command,
    ExitRequest,
    OcoRequest,
    OrderRequest,
    OrderStatus,
    OrderType,
    Role,
    Side,
    TimeInForce,
)
from broker_api.record import EXIT_ROLES, OrderRecord, PositionRecord
from broker_api.refusals import EXPIRED, describe
from broker_api.view import Fill

_STATELESS = (ReplaceRejected, CancelRejected, Unprotected)
"""Events that tell of an order without changing it."""


class Change(NamedTuple):
    """What an event did: to which order, its status before, and the orders refused with it."""

    record: OrderRecord
    previous: OrderStatus
    with_it: tuple[OrderRecord, ...] = ()


class Ledger:
    """Orders in creation order, positions by instrument index, and the account's money.

    `keep_ended=False` forgets orders as they end; working orders are never forgotten.
    """

    def __init__(
        self, instruments: Sequence[Instrument], snapshot: Snapshot, *, keep_ended: bool = True
    ) -> None:
        self.instruments = tuple(instruments)
        self.orders: dict[int, OrderRecord] = {}
        self.working: dict[int, OrderRecord] = {}
        self.positions = [PositionRecord(spec) for spec in self.instruments]
        self.cash_nanos = snapshot.cash_nanos
        self.fees_nanos = 0
        self.funding_nanos = 0
        self.working_entries = 0
        self._keep_ended = keep_ended
        self._client_ids: dict[str, int] = {}
        self._index = {spec.symbol: index for index, spec in enumerate(self.instruments)}
        for state in snapshot.positions:
            position = self.positions[state.instrument]
            position.lots = state.position_lots
            position.cost = state.position_cost
            position.realised_nanos = state.realised_nanos

    @property
    def realised_nanos(self) -> int:
        """Realised P&L of all instruments, fees and funding apart."""
        return sum(position.realised_nanos for position in self.positions)

    def id_of_client(self, client_order_id: str) -> int | None:
        """The order id behind a client order id, None when there is none."""
        return self._client_ids.get(client_order_id)

    # --- commands ------------------------------------------------------------------------------

    def apply_command(self, ts_ns: int, command: Command) -> None:
        """Note what is about to be sent. Replaces and cancels change nothing until answered."""
        if isinstance(command, OrderRequest):
            self._add(ts_ns, command, Role.SINGLE)
        elif isinstance(command, BracketRequest):
            self._add_bracket(ts_ns, command)
        elif isinstance(command, OcoRequest):
            legs = (command.first, command.second)
            for leg in legs:
                record = self._add(ts_ns, leg, Role.OCO_LEG)
                record.group = (command.first.order_id, command.second.order_id)

    def _add(self, ts_ns: int, request: OrderRequest, role: Role) -> OrderRecord:
        assert request.order_id not in self.orders, f"order id {request.order_id} is used twice"
        index = self._index[request.instrument]
        record = OrderRecord(request, index, self.instruments[index], role, ts_ns)
        self.orders[record.order_id] = self.working[record.order_id] = record
        self._client_ids[record.client_order_id] = record.order_id
        self.working_entries += record.is_entry
        return record

    def _add_bracket(self, ts_ns: int, bracket: BracketRequest) -> None:
        entry = self._add(ts_ns, bracket.entry, Role.ENTRY)
        records = [entry]
        for leg, role in ((bracket.stop, Role.STOP_EXIT), (bracket.target, Role.TARGET_EXIT)):
            if leg is not None:
                record = self._add(ts_ns, _exit_order(bracket.entry, leg, role), role)
                record.held = True
                records.append(record)
        group = tuple(record.order_id for record in records)
        for record in records:
            record.group = group

    def withdraw(self, submission_ids: Sequence[int]) -> None:
        """Forget orders that surely never left: nothing was sent, so nothing can come back."""
        for order_id in submission_ids:
            record = self.orders.pop(order_id)
            del self.working[order_id], self._client_ids[record.client_order_id]
            self.working_entries -= record.is_entry

    # --- events --------------------------------------------------------------------------------

    def apply_event(self, event: Event) -> Change | None:
        """Apply what happened. Returns the change of the order that the event is about, if any."""
        if isinstance(event, OrderEventBase):
            return self._apply_order_event(event)
        if isinstance(event, PositionChanged):
            self._check_position(event)
        elif isinstance(event, AccountChanged):
            assert event.cash_nanos == self.cash_nanos, (
                f"cash {event.cash_nanos} of the broker is not the ledger's {self.cash_nanos}"
            )
            assert event.fee_nanos == self.fees_nanos, (
                f"fees {event.fee_nanos} of the broker are not the ledger's {self.fees_nanos}"
            )
        elif isinstance(event, FundingPaid):
            self.cash_nanos -= event.value
            self.funding_nanos += event.value
        return None

    def _apply_order_event(self, event: OrderEventBase) -> Change | None:
        record = self.orders.get(event.order_id)
        if record is None:
            if isinstance(event, OrderAccepted) and event.order_id < 0:
                record = self._add_liquidation(event)
            else:
                return None
        previous = record.status
        if isinstance(event, _STATELESS):
            return Change(record, previous)
        if isinstance(event, OrderRejected) and previous is OrderStatus.REJECTED:
            # A group that was refused whole is refused at its first order's answer already.
            return Change(record, previous)
        record.updated_ns = event.ts_ns
        if isinstance(event, OrderFilled):
            self._apply_fill(record, event)
        else:
            _apply_terms(record, event)
        self._move(record, event.status)
        assert record.filled_lots == event.filled_lots, (
            f"order {record.order_id}: filled {event.filled_lots} of the broker is not the "
            f"ledger's {record.filled_lots}"
        )
        record.leaves_lots = event.leaves_lots
        if isinstance(event, OrderRejected):
            return Change(record, previous, self._reject_group(record, event))
        return Change(record, previous)

    def _add_liquidation(self, event: OrderAccepted) -> OrderRecord:
        spec = self.instruments[event.instrument]
        request = OrderRequest(
            order_id=event.order_id,
            client_order_id=f"liquidation{event.order_id}",
            instrument=spec.symbol,
            side=event.side,
            order_type=OrderType.MARKET,
            size_lots=event.lots,
            time_in_force=TimeInForce.NONE,
            reduce_only=True,
        )
        return self._add(event.ts_ns, request, Role.LIQUIDATION)

    def _move(self, record: OrderRecord, status: OrderStatus) -> None:
        previous = record.status
        if status is not previous:
            assert status in LEGAL_TRANSITIONS[previous], (
                f"order {record.order_id} cannot go from {previous} to {status}"
            )
            record.status = status
            if status.is_terminal:
                self._end(record)
        else:
            assert not previous.is_terminal, f"order {record.order_id} has ended: {previous}"

    def _end(self, record: OrderRecord) -> None:
        record.held = False
        del self.working[record.order_id]
        self.working_entries -= record.is_entry
        if not self._keep_ended:
            del self.orders[record.order_id], self._client_ids[record.client_order_id]

    def _apply_fill(self, record: OrderRecord, event: OrderFilled) -> None:
        record.filled_lots += event.lots
        record.filled_cost += event.lots * event.price_ticks
        record.fee_nanos += event.fee_nanos
        record.fills.append(
            Fill(
                record.spec,
                event.seq,
                event.order_id,
                event.ts_ns,
                event.side,
                event.price_ticks,
                event.lots,
                event.fee_nanos,
                event.liquidity,
                event.ambiguous,
            )
        )
        position = self.positions[record.instrument]
        self.cash_nanos += position.net(event.side.sign * event.lots, event.price_ticks)
        self.cash_nanos -= event.fee_nanos
        self.fees_nanos += event.fee_nanos

    def _reject_group(self, record: OrderRecord, event: OrderRejected) -> tuple[OrderRecord, ...]:
        """A group is refused whole: orders that never were accepted go with the first."""
        refused = []
        for order_id in record.group:
            other = self.orders.get(order_id)
            if other is not None and other.status is OrderStatus.PENDING and not other.accepted:
                _refuse(other, event)
                other.updated_ns = event.ts_ns
                other.leaves_lots = 0
                self._move(other, OrderStatus.REJECTED)
                refused.append(other)
        return tuple(refused)

    def _check_position(self, event: PositionChanged) -> None:
        position = self.positions[event.instrument]
        ours = (position.lots, position.cost, position.realised_nanos)
        theirs = (event.position_lots, event.position_cost, event.realised_nanos)
        assert ours == theirs, (
            f"{position.spec.symbol}: position (lots, cost, realised) {theirs} of the broker is "
            f"not the ledger's {ours}"
        )


def _exit_order(entry: OrderRequest, leg: ExitRequest, role: Role) -> OrderRequest:
    """A bracket's exit as an order: opposite to the entry, prices known only if they are fixed."""
    if role is Role.TARGET_EXIT:
        order_type, limit, stop = OrderType.LIMIT, leg.price_ticks, None
    else:
        order_type, limit, stop = OrderType.STOP, None, leg.price_ticks
        if leg.limit_offset_ticks is not None:
            order_type = OrderType.STOP_LIMIT
        elif leg.trail_ticks is not None:
            order_type = OrderType.TRAILING_STOP
    return OrderRequest(
        order_id=leg.order_id,
        client_order_id=leg.client_order_id,
        instrument=entry.instrument,
        side=Side(entry.side).opposite,
        order_type=order_type,
        size_lots=entry.size_lots,
        limit_ticks=limit,
        stop_ticks=stop,
        tag=leg.tag,
    )


def _apply_terms(record: OrderRecord, event: OrderEventBase) -> None:
    """Take over prices, size, reason and whether the order is held."""
    if isinstance(event, OrderAccepted | OrderReplaced | OrderActivated):
        record.size_lots = event.lots
        record.limit_ticks = None if event.price_ticks == NO_PRICE else event.price_ticks
        record.stop_ticks = None if event.stop_ticks == NO_PRICE else event.stop_ticks
    elif isinstance(event, OrderTriggered):
        record.stop_ticks = event.stop_ticks
    if isinstance(event, OrderAccepted):
        record.accepted = True
        record.held = event.status is OrderStatus.PENDING and record.role in EXIT_ROLES
    elif isinstance(event, OrderActivated):
        record.held = False
    elif isinstance(event, OrderHeld):
        record.held = True
    elif isinstance(event, OrderRejected):
        _refuse(record, event)
    elif isinstance(event, OrderCancelled):
        record.reason = event.reason
        record.reason_text = describe(event.reason, record.spec)
    elif isinstance(event, OrderExpired):
        record.reason_text = EXPIRED


def _refuse(record: OrderRecord, event: OrderRejected) -> None:
    record.reason = event.reason
    record.reason_text = describe(event.reason, record.spec, event.value, event.limit, record.side)


def fold(
    instruments: Sequence[Instrument],
    snapshot: Snapshot,
    commands: Iterable[tuple[int, int, Command]],
    events: Iterable[Event],
) -> Ledger:
    """The ledger of a whole journal: commands as (ts_ns, events_before, command), and events.

    The same fold as a session's own, so a journal that is read back ends in the same state.
    """
    ledger = Ledger(instruments, snapshot)
    waiting = list(commands)
    next_command = 0
    for count, event in enumerate(events):
        while next_command < len(waiting) and waiting[next_command][1] <= count:
            ts_ns, _, command = waiting[next_command]
            ledger.apply_command(ts_ns, command)
            next_command += 1
        ledger.apply_event(event)
    for ts_ns, _, command in waiting[next_command:]:
        ledger.apply_command(ts_ns, command)
    return ledger
