"""The one fold of a session: commands and events in, orders, positions and cash out.

Nothing here sends, waits or reads a clock. The ledger nets every fill itself and asserts that the
broker's own PositionChanged and AccountChanged say the same, so a run whose books disagree stops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from broker_api.broker import Snapshot
from broker_api.event import EVENT_TYPES, EventKind, EventRow, OrderEventBase, Reason, reason_of
from broker_api.instrument import Instrument
from broker_api.journal import in_order
from broker_api.order import (
    LEGAL_TRANSITIONS,
    NO_PRICE,
    STATUS_BY_CODE,
    BracketRequest,
    Command,
    OcoRequest,
    OrderRequest,
    OrderStatus,
    OrderType,
    Role,
    Side,
    TimeInForce,
    exit_order,
)
from broker_api.record import EXIT_ROLES, OrderRecord, PositionRecord
from broker_api.refusals import EXPIRED, describe

_ORDER_KINDS = frozenset(int(each.KIND) for each in EVENT_TYPES if issubclass(each, OrderEventBase))
# An enumeration's member costs as much to look up as the rest of a line.
_ACCEPTED, _REJECTED, _FILLED = EventKind.ACCEPTED, EventKind.REJECTED, EventKind.FILLED
_POSITION, _ACCOUNT = EventKind.POSITION, EventKind.ACCOUNT
_BUY, _PENDING_CODE, _REFUSED = Side.BUY, OrderStatus.PENDING.code, OrderStatus.REJECTED
_STATELESS = frozenset(
    {
        EventKind.REPLACE_REJECTED,
        EventKind.CANCEL_REJECTED,
        EventKind.UNPROTECTED,
        EventKind.DOUBLE_EXIT,
    }
)
"""Events that tell of an order without changing it."""
_WITH_TERMS = frozenset({EventKind.ACCEPTED, EventKind.REPLACED, EventKind.ACTIVATED})
"""Events that bring an order's prices and total size."""


_UNASKED = {int(Reason.NOT_OURS): Role.FOREIGN, int(Reason.REPAIR): Role.REPAIR}
_TYPE_BY_PRICES = {
    (False, False): OrderType.MARKET,
    (True, False): OrderType.LIMIT,
    (False, True): OrderType.STOP,
    (True, True): OrderType.STOP_LIMIT,
}
"""By whether an order has a limit and a stop."""


class Change(NamedTuple):
    """What an event did: to which order, its status before, and the orders refused with it."""

    record: OrderRecord
    previous: OrderStatus
    with_it: tuple[OrderRecord, ...] = ()


_CHANGE: Callable[[tuple[OrderRecord, OrderStatus, tuple[OrderRecord, ...]]], Change]
_CHANGE = partial(tuple.__new__, Change)
"""A Change of its values: one is made for every event."""


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
        self.discrepancies: dict[tuple[int, int, int], tuple[int, int]] = {}
        """By reason, instrument and order: the broker's figure and ours, while they differ."""
        self._client_ids: dict[str, int] = {}
        self._venue_ids: dict[int, int] = {}
        self._fill_ids: set[int] = set()
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

    def id_of_venue(self, venue_order_id: int) -> int | None:
        """The order id behind the venue's own number of an order, None when there is none."""
        return self._venue_ids.get(venue_order_id)

    def has_fill(self, fill_id: int) -> bool:
        """True when the execution with this number of the venue's is booked already."""
        return fill_id in self._fill_ids

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
                record = self._add(ts_ns, exit_order(bracket.entry, leg, role), role)
                record.held = True
                records.append(record)
        group = tuple([record.order_id for record in records])
        for record in records:
            record.group = group

    def withdraw(self, submission_ids: Sequence[int]) -> None:
        """Forget orders that surely never left: nothing was sent, so nothing can come back."""
        for order_id in submission_ids:
            record = self.orders.pop(order_id)
            del self.working[order_id], self._client_ids[record.client_order_id]
            self.working_entries -= record.is_entry

    # --- events --------------------------------------------------------------------------------

    def apply_event(self, row: EventRow) -> Change | None:
        """Apply what happened. Returns the change of the order that the event is about, if any."""
        kind = row.kind
        if kind not in _ORDER_KINDS:
            self._apply_to_account(row)
            return None
        record = self.orders.get(row.order_id)
        if record is None:
            if kind == _ACCEPTED and (row.order_id < 0 or row.reason != Reason.NONE):
                record = self._add_unasked(row)
            else:
                return None
        previous = record.status
        # A group that was refused whole is refused at its first order's answer already.
        if kind in _STATELESS or (kind == _REJECTED and previous is _REFUSED):
            return _CHANGE((record, previous, ()))
        record.updated_ns = row.ts_ns
        if kind == _FILLED:
            self._apply_fill(record, row)
        else:
            take_over = _TAKE_OVER.get(kind)
            if take_over is not None:
                take_over(record, row)
            if row.value and kind in _WITH_TERMS:
                record.venue_order_id = row.value
                self._venue_ids[row.value] = row.order_id
        self._move(record, STATUS_BY_CODE[row.status])
        assert record.filled_lots == row.filled_lots, (
            f"order {record.order_id}: filled {row.filled_lots} of the broker is not the "
            f"ledger's {record.filled_lots}"
        )
        record.leaves_lots = row.leaves_lots
        refused = self._reject_group(record, row) if kind == _REJECTED else ()
        return _CHANGE((record, previous, refused))

    def _apply_to_account(self, row: EventRow) -> None:
        kind = row.kind
        if kind == _POSITION:
            self._check_position(row)
        elif kind == _ACCOUNT:
            assert row.cash_nanos == self.cash_nanos, (
                f"cash {row.cash_nanos} of the broker is not the ledger's {self.cash_nanos}"
            )
            assert row.fee_nanos == self.fees_nanos, (
                f"fees {row.fee_nanos} of the broker are not the ledger's {self.fees_nanos}"
            )
        elif kind == EventKind.DEPOSITED:
            self.cash_nanos += row.value
        elif kind == EventKind.FUNDING:
            self.cash_nanos -= row.value
            self.funding_nanos += row.value
        elif kind == EventKind.DISCREPANCY:
            about = (row.reason, row.instrument, row.order_id)
            self.discrepancies.pop(about, None)
            if row.value != row.limit:
                self.discrepancies[about] = (row.value, row.limit)

    def _add_unasked(self, row: EventRow) -> OrderRecord:
        """An order that was not sent from here: its first event tells all that is known of it."""
        spec = self.instruments[row.instrument]
        role = _UNASKED.get(row.reason, Role.LIQUIDATION)
        limit = None if row.price_ticks == NO_PRICE else row.price_ticks
        stop = None if row.stop_ticks == NO_PRICE else row.stop_ticks
        order_type = _TYPE_BY_PRICES[limit is not None, stop is not None]
        request = OrderRequest(
            order_id=row.order_id,
            client_order_id=f"{role.name.lower()}{row.order_id}",
            instrument=spec.symbol,
            side=Side(row.side),
            order_type=order_type,
            size_lots=row.lots,
            limit_ticks=limit,
            stop_ticks=stop,
            time_in_force=TimeInForce.NONE if order_type is OrderType.MARKET else TimeInForce.GTC,
            reduce_only=role is Role.LIQUIDATION,
        )
        return self._add(row.ts_ns, request, role)

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

    def _apply_fill(self, record: OrderRecord, row: EventRow) -> None:
        lots, price = row.lots, row.price_ticks
        if row.value:
            assert row.value not in self._fill_ids, f"fill {row.value} is booked already"
            self._fill_ids.add(row.value)
        record.filled_lots += lots
        record.filled_cost += lots * price
        record.fee_nanos += row.fee_nanos
        record.fills.append(row)
        signed = lots if row.side == _BUY else -lots
        realised = self.positions[record.instrument].net(signed, price)
        self.cash_nanos += realised - row.fee_nanos
        self.fees_nanos += row.fee_nanos

    def _reject_group(self, record: OrderRecord, event: EventRow) -> tuple[OrderRecord, ...]:
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

    def _check_position(self, event: EventRow) -> None:
        position = self.positions[event.instrument]
        ours = (position.lots, position.cost, position.realised_nanos)
        theirs = (event.position_lots, event.position_cost, event.realised_nanos)
        assert ours == theirs, (
            f"{position.spec.symbol}: position (lots, cost, realised) {theirs} of the broker is "
            f"not the ledger's {ours}"
        )


def _take_terms(record: OrderRecord, row: EventRow) -> None:
    price, stop = row.price_ticks, row.stop_ticks
    record.size_lots = row.lots
    record.limit_ticks = None if price == NO_PRICE else price
    record.stop_ticks = None if stop == NO_PRICE else stop


def _accept(record: OrderRecord, row: EventRow) -> None:
    _take_terms(record, row)
    record.accepted = True
    record.held = row.status == _PENDING_CODE and record.role in EXIT_ROLES


def _activate(record: OrderRecord, row: EventRow) -> None:
    _take_terms(record, row)
    record.held = False


def _trigger(record: OrderRecord, row: EventRow) -> None:
    record.stop_ticks = row.stop_ticks


def _let_go(record: OrderRecord, row: EventRow) -> None:
    record.held = False


def _hold(record: OrderRecord, row: EventRow) -> None:
    record.held = True


def _cancel(record: OrderRecord, row: EventRow) -> None:
    record.reason = reason_of(row.reason)
    record.reason_text = describe(record.reason, record.spec)


def _expire(record: OrderRecord, row: EventRow) -> None:
    record.reason_text = EXPIRED


def _refuse(record: OrderRecord, row: EventRow) -> None:
    record.reason = reason_of(row.reason)
    record.reason_text = describe(record.reason, record.spec, row.value, row.limit, record.side)


_TAKE_OVER: dict[int, Callable[[OrderRecord, EventRow], None]] = {
    EventKind.ACCEPTED: _accept,
    EventKind.TRIGGERED: _trigger,
    EventKind.REPLACED: _take_terms,
    EventKind.ACTIVATED: _activate,
    EventKind.UNCERTAIN: _let_go,
    EventKind.HELD: _hold,
    EventKind.REJECTED: _refuse,
    EventKind.CANCELLED: _cancel,
    EventKind.EXPIRED: _expire,
}
"""What an event says of an order beside its fills and its status."""


def fold(
    instruments: Sequence[Instrument],
    snapshot: Snapshot,
    commands: Iterable[tuple[int, int, Command]],
    events: Iterable[EventRow],
) -> Ledger:
    """The ledger of a whole journal: commands as (ts_ns, events_before, command), and events.

    The same fold as a session's own, so a journal that is read back ends in the same state.
    """
    ledger = Ledger(instruments, snapshot)
    for record in in_order(commands, events):
        if isinstance(record, EventRow):
            ledger.apply_event(record)
        else:
            ledger.apply_command(record[0], record[2])
    return ledger
