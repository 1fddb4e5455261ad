"""What a session in a storm has been told: orders, position and cash, as far as it goes.

The exchange knows more. What is told must fit what was told before it: a fill that the session has
not heard of is in no position and in no cash that it hears of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from broker_api.broker import Snapshot
from broker_api.event import (
    SESSION_KINDS,
    AccountChanged,
    EventKind,
    EventRow,
    PositionChanged,
    Reason,
    encode,
    row_of,
)
from broker_api.instrument import Instrument
from broker_api.order import (
    NO_PRICE,
    STATUS_BY_CODE,
    CancelRequest,
    Command,
    OrderStatus,
    ReplaceRequest,
    Side,
    order_ids_of,
    requests_of,
)
from broker_api.record import PositionRecord

_NO_ORDERS = (
    EventKind.POSITION,
    EventKind.ACCOUNT,
    EventKind.FUNDING,
    EventKind.DEPOSITED,
    EventKind.LIQUIDATION,
    EventKind.HALTED,
    EventKind.RESUMED,
    *sorted(SESSION_KINDS),
)
_STATELESS = (
    EventKind.REPLACE_REJECTED,
    EventKind.CANCEL_REJECTED,
    EventKind.UNPROTECTED,
    EventKind.DOUBLE_EXIT,
)
_WITH_TERMS = (EventKind.ACCEPTED, EventKind.REPLACED, EventKind.ACTIVATED)


@dataclass
class Doubt:
    """A command whose outcome the session does not know, and what is held back of its orders.

    `arrived` is what the venue knows.
    """

    command: Command
    ids: tuple[int, ...]
    arrived: bool
    held: list[tuple[EventRow, int]] = field(default_factory=list)

    def is_about(self, ids: Sequence[int]) -> bool:
        """Whether any of these orders is in doubt."""
        return any(order_id in self.ids for order_id in ids)


@dataclass
class _Told:
    """An order as the session knows it."""

    instrument: int
    side: Side
    status: OrderStatus
    lots: int
    price_ticks: int
    stop_ticks: int
    filled_lots: int = 0
    leaves_lots: int = 0
    accepted: bool = False
    was_held: bool = False
    """It waited behind its entry before it was uncertain."""


def ids_of(command: Command) -> tuple[int, ...]:
    """The orders that a command makes, changes or ends."""
    if isinstance(command, ReplaceRequest | CancelRequest):
        return (command.order_id,)
    return order_ids_of(command)


class ToldBooks:
    """Orders, positions and cash by what has been told; numbers the events that are."""

    def __init__(self, instruments: Sequence[Instrument], snapshot: Snapshot) -> None:
        self._index = {spec.symbol: index for index, spec in enumerate(instruments)}
        self._positions = [PositionRecord(spec) for spec in instruments]
        self._cash_nanos = snapshot.cash_nanos
        self._fees_nanos = 0
        self._orders: dict[int, _Told] = {}
        self._held: set[int] = set()
        self._is_behind = self._is_aside = False
        self._seq = 0
        self._newest_ns = 0

    # --- what is on its way --------------------------------------------------------------------

    def sent(self, command: Command) -> None:
        """A command is about to be sent."""
        if isinstance(command, ReplaceRequest | CancelRequest):
            return
        request = requests_of(command)[0]
        index = self._index.get(request.instrument, 0)
        for order_id in order_ids_of(command):
            self._orders[order_id] = _Told(
                index,
                request.side,
                OrderStatus.PENDING,
                request.size_lots,
                NO_PRICE,
                NO_PRICE,
                leaves_lots=request.size_lots,
            )

    def hold(self, row: EventRow) -> None:
        """An event is held back."""
        self._held.add(row.seq)
        self._is_behind = self._is_behind or row.kind == EventKind.FILLED

    def is_held(self, seq: int) -> bool:
        """Whether the event of this number has not been told yet."""
        return seq in self._held

    def step_aside(self) -> None:
        """Somebody else tells events too: these are not counted any more, and go on as they are."""
        self._is_aside = True

    # --- events of the storm's own -------------------------------------------------------------

    def refusal(self, command: Command, seq: int, ts_ns: int) -> EventRow:
        """The venue refuses a command for a reason of its own; orders that exist stay."""
        kind = EventKind.REJECTED
        if isinstance(command, ReplaceRequest):
            kind = EventKind.REPLACE_REJECTED
        elif isinstance(command, CancelRequest):
            kind = EventKind.CANCEL_REJECTED
        order_id = ids_of(command)[0]
        row = self._row(kind, order_id, self._orders[order_id], ts_ns)
        row = row._replace(seq=seq, reason=int(Reason.REFUSED_BY_VENUE))
        if kind is not EventKind.REJECTED:
            return row
        return row._replace(status=OrderStatus.REJECTED.code, leaves_lots=0)

    def uncertain(self, doubt: Doubt, ts_ns: int) -> Iterator[EventRow]:
        """Nobody knows of these orders; of those that have ended there is nothing to doubt."""
        for order_id in doubt.ids:
            order = self._orders.get(order_id)
            if order is not None and not order.status.is_terminal:
                row = self._row(EventKind.UNCERTAIN, order_id, order, ts_ns)
                yield row._replace(status=OrderStatus.UNCERTAIN.code)

    def found(self, doubt: Doubt, ts_ns: int) -> Iterator[EventRow]:
        """What a look at the venue tells before the events that were held back.

        Of an order that had been accepted: that it is there, with the terms that were told last. Of
        a new one that never arrived: that it is not.
        """
        for order_id in doubt.ids:
            order = self._orders.get(order_id)
            if order is None or order.status.is_terminal:
                continue
            if order.accepted and order.status is OrderStatus.UNCERTAIN:
                partly = OrderStatus.PARTIALLY_FILLED
                status = partly if order.filled_lots else OrderStatus.OPEN
                if order.was_held:
                    status = OrderStatus.PENDING
                row = self._row(EventKind.ACCEPTED, order_id, order, ts_ns)
                yield row._replace(
                    status=status.code,
                    side=int(order.side),
                    price_ticks=order.price_ticks,
                    stop_ticks=order.stop_ticks,
                    lots=order.lots,
                )
            elif not order.accepted and not doubt.arrived:
                row = self._row(EventKind.REJECTED, order_id, order, ts_ns)
                yield row._replace(
                    status=OrderStatus.REJECTED.code, leaves_lots=0, reason=int(Reason.NOT_ARRIVED)
                )

    @staticmethod
    def _row(kind: EventKind, order_id: int, order: _Told, ts_ns: int) -> EventRow:
        return row_of(
            kind,
            ts_ns=ts_ns,
            instrument=order.instrument,
            order_id=order_id,
            status=order.status.code,
            filled_lots=order.filled_lots,
            leaves_lots=order.leaves_lots,
        )

    # --- telling -------------------------------------------------------------------------------

    def told(self, row: EventRow) -> list[EventRow]:
        """The events that the session hears in the place of this one, numbered, times in order.

        As long as nothing has been held back they are the exchange's own. Afterwards position and
        cash are counted here, and follow each fill that is told.
        """
        self._held.discard(row.seq)
        if self._is_aside:
            return [row]
        kind = row.kind
        if self._is_behind and kind in (EventKind.POSITION, EventKind.ACCOUNT):
            return []
        rows = [row]
        if kind == EventKind.FILLED:
            rows += self._filled(row)
        elif kind in (EventKind.FUNDING, EventKind.DEPOSITED):
            self._cash_nanos += row.value if kind == EventKind.DEPOSITED else -row.value
            rows += self._account(row)
        if kind not in _NO_ORDERS:
            self._note(row)
        return [self._numbered(each) for each in rows]

    def _numbered(self, row: EventRow) -> EventRow:
        self._seq += 1
        self._newest_ns = max(self._newest_ns, row.ts_ns)
        return row._replace(seq=self._seq, ts_ns=self._newest_ns)

    def _note(self, row: EventRow) -> None:
        """What the session knows of an order from now on."""
        order = self._orders.get(row.order_id)
        if order is None or row.kind in _STATELESS:
            return
        if row.kind == EventKind.UNCERTAIN:
            order.was_held = order.accepted and order.status is OrderStatus.PENDING
        order.status = STATUS_BY_CODE[row.status]
        order.filled_lots, order.leaves_lots = row.filled_lots, row.leaves_lots
        if row.kind in _WITH_TERMS:
            order.accepted = True
            order.lots = row.lots
            order.price_ticks, order.stop_ticks = row.price_ticks, row.stop_ticks
        if row.kind == EventKind.ACCEPTED:
            order.side = Side(row.side)

    def _filled(self, row: EventRow) -> list[EventRow]:
        position = self._positions[row.instrument]
        signed = row.lots * Side(row.side).sign
        realised = position.net(signed, row.price_ticks)
        self._cash_nanos += realised - row.fee_nanos
        self._fees_nanos += row.fee_nanos
        if not self._is_behind:
            return []
        changed = PositionChanged(
            0, row.ts_ns, row.instrument, position.lots, position.cost, position.realised_nanos
        )
        return [encode(changed), *self._account(row)]

    def _account(self, row: EventRow) -> list[EventRow]:
        if not self._is_behind:
            return []
        changed = AccountChanged(0, row.ts_ns, -1, self._cash_nanos, self._fees_nanos)
        return [encode(changed)]
