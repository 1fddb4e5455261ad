"""A foreign venue of plain orders, as a model: slow, lossy, with fills under way; all from a seed.

It knows single orders only and nothing of brackets. Commands take a while to arrive, events a while
to come back (in order); placements and changes may be refused; answers may be lost, and then the
client hears that the outcome is unknown and later, as reconciliation would find it, what is so.
It is the truth that tests compare with.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from broker_api.event import EventKind, EventRow, Reason, row_of
from broker_api.order import (
    NO_PRICE,
    CancelRequest,
    OrderRequest,
    OrderStatus,
    OrderType,
    ReplaceRequest,
)

MS = 1_000_000
OPEN, PARTIAL = OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED
TRANSIENT = (Reason.REFUSED_BY_VENUE, Reason.NOT_ARRIVED, Reason.RISK_LIMIT)


@dataclass
class Faults:
    """What may go wrong, as chances, and how long messages are under way, in steps."""

    refuse: float = 0.0
    lose: float = 0.0
    drop: float = 0.0
    """Chance that a placement or change whose answer is lost had no effect either."""
    end: float = 0.0
    """Chance, a step and order, that the venue ends an order by itself."""
    delay_max: int = 3
    doubt_steps: int = 6
    """How long until a lost answer is noticed; as long again until the truth is found."""
    no_replace: bool = False
    no_stops_until: int = 0


@dataclass
class Resting:
    """An order at the venue."""

    request: OrderRequest
    size: int
    limit: int | None
    stop: int | None
    filled: int = 0
    triggered: bool = False
    status: OrderStatus = OPEN

    @property
    def left(self) -> int:
        return 0 if self.status.is_terminal else self.size - self.filled


@dataclass
class PlainVenue:
    """Orders by id, the price, and two queues of messages with the step at which each is due."""

    chance: random.Random
    faults: Faults
    price: int = 1_000
    step: int = 0
    orders: dict[int, Resting] = field(default_factory=dict)
    position: int = 0
    way_in: list[tuple[int, object]] = field(default_factory=list)
    way_out: list[tuple[int, EventRow]] = field(default_factory=list)
    doubts: list[tuple[int, int, bool]] = field(default_factory=list)
    """(step, order id, whether it was said already): answers that were lost."""
    ended_told: set[int] = field(default_factory=set)
    fills: int = 0

    @property
    def now_ns(self) -> int:
        return self.step * 100 * MS

    # --- messages ------------------------------------------------------------------------------

    def send(self, command: object) -> None:
        due = self.step + self.chance.randint(0, self.faults.delay_max)
        self.way_in.append((due, command))

    def deliver(self) -> list[EventRow]:
        """The events that reach the client now, in the order in which they were made."""
        count = 0
        while count < len(self.way_out) and self.way_out[count][0] <= self.step:
            count += 1
        rows = [row for _, row in self.way_out[:count]]
        del self.way_out[:count]
        return rows

    def is_quiet(self) -> bool:
        return not (self.way_in or self.way_out or self.doubts)

    def _tell(self, kind: EventKind, order_id: int, status: OrderStatus, **columns: int) -> None:
        order = self.orders.get(order_id)
        filled = 0 if order is None else order.filled
        left = 0 if order is None or status.is_terminal else order.size - order.filled
        row = row_of(
            kind,
            ts_ns=self.now_ns,
            order_id=order_id,
            status=status.code,
            **{"filled_lots": filled, "leaves_lots": left, **columns},
        )
        if status.is_terminal and kind not in (
            EventKind.CANCEL_REJECTED,
            EventKind.REPLACE_REJECTED,
        ):
            self.ended_told.add(order_id)
        due = self.step + self.chance.randint(0, self.faults.delay_max)
        if self.way_out:
            due = max(due, self.way_out[-1][0])
        self.way_out.append((due, row))

    def _tell_terms(self, kind: EventKind, order: Resting, reason: Reason = Reason.NONE) -> None:
        self._tell(
            kind,
            order.request.order_id,
            order.status,
            side=int(order.request.side),
            price_ticks=NO_PRICE if order.limit is None else order.limit,
            stop_ticks=NO_PRICE if order.stop is None else order.stop,
            lots=order.size,
            reason=int(reason),
        )

    # --- a step --------------------------------------------------------------------------------

    def advance(self) -> None:
        self.step += 1
        self.price += self.chance.choice((-4, -2, -1, -1, 0, 0, 1, 1, 2, 4))
        due = [command for step, command in self.way_in if step <= self.step]
        self.way_in = [each for each in self.way_in if each[0] > self.step]
        for command in due:
            self._arrive(command)
        for order in tuple(self.orders.values()):
            if order.left:
                self._match(order)
        self._settle_doubts()

    def _arrive(self, command: object) -> None:
        order_id = command.order_id
        is_lost = self.chance.random() < self.faults.lose
        if is_lost:
            self.doubts.append((self.step + self.faults.doubt_steps, order_id, False))
            if self.chance.random() < self.faults.drop:
                return
        if isinstance(command, OrderRequest):
            self._place(command, is_lost)
        elif isinstance(command, ReplaceRequest):
            self._replace(command, is_lost)
        else:
            self._cancel(command, is_lost)

    def _refuses(self) -> bool:
        return self.chance.random() < self.faults.refuse

    def _place(self, request: OrderRequest, is_lost: bool) -> None:
        assert request.order_id not in self.orders, "an id is used once"
        is_stop = request.order_type in (OrderType.STOP, OrderType.STOP_LIMIT)
        if self._refuses() or (is_stop and self.step < self.faults.no_stops_until):
            if not is_lost:
                reason = int(self.chance.choice(TRANSIENT))
                self._tell(
                    EventKind.REJECTED, request.order_id, OrderStatus.REJECTED, reason=reason
                )
            return
        order = Resting(request, request.size_lots, request.limit_ticks, request.stop_ticks)
        self.orders[request.order_id] = order
        if not is_lost:
            self._tell_terms(EventKind.ACCEPTED, order)

    def _replace(self, change: ReplaceRequest, is_lost: bool) -> None:
        order = self.orders.get(change.order_id)
        reason = Reason.NONE
        if order is None:
            reason = Reason.UNKNOWN_ORDER
        elif order.status.is_terminal:
            reason = Reason.ORDER_NOT_ACTIVE
        elif self.faults.no_replace or order.triggered:
            reason = Reason.NOT_MODIFIABLE
        elif change.size_lots is not None and change.size_lots <= order.filled:
            reason = Reason.SIZE_BELOW_FILLED
        elif self._refuses():
            reason = Reason.REFUSED_BY_VENUE
        if reason is not Reason.NONE or order is None:
            if not is_lost:
                status = OrderStatus.REJECTED if order is None else order.status
                self._tell(EventKind.REPLACE_REJECTED, change.order_id, status, reason=int(reason))
            return
        order.size = order.size if change.size_lots is None else change.size_lots
        order.limit = order.limit if change.limit_ticks is None else change.limit_ticks
        order.stop = order.stop if change.stop_ticks is None else change.stop_ticks
        if not is_lost:
            self._tell_terms(EventKind.REPLACED, order)

    def _cancel(self, request: CancelRequest, is_lost: bool) -> None:
        order = self.orders.get(request.order_id)
        reason = Reason.NONE
        if order is None:
            reason = Reason.UNKNOWN_ORDER
        elif order.status.is_terminal:
            reason = Reason.ORDER_NOT_ACTIVE
        elif self._refuses():
            reason = Reason.REFUSED_BY_VENUE
        if reason is not Reason.NONE or order is None:
            if not is_lost:
                status = OrderStatus.REJECTED if order is None else order.status
                self._tell(EventKind.CANCEL_REJECTED, request.order_id, status, reason=int(reason))
            return
        order.status = OrderStatus.CANCELLED
        if not is_lost:
            self._tell(
                EventKind.CANCELLED,
                request.order_id,
                OrderStatus.CANCELLED,
                reason=int(Reason.BY_USER),
            )

    def _match(self, order: Resting) -> None:
        """Fill what the price reaches, in parts; the venue may also end an order by itself."""
        request, price = order.request, self.price
        order_id, sign = request.order_id, request.side.sign
        if self.chance.random() < self.faults.end and request.order_type is not OrderType.MARKET:
            order.status = OrderStatus.CANCELLED
            reason = int(Reason.BY_VENUE)
            self._tell(EventKind.CANCELLED, order_id, order.status, reason=reason)
            return
        if order.stop is not None and not order.triggered:
            if (price - order.stop) * sign < 0:
                return
            order.triggered = True
            self._tell(EventKind.TRIGGERED, order_id, order.status, stop_ticks=order.stop)
        if order.limit is not None and (order.limit - price) * sign < 0:
            return
        lots = order.left if self.chance.random() < 0.5 else self.chance.randint(1, order.left)
        self._fill(order, lots)

    def _fill(self, order: Resting, lots: int) -> None:
        request = order.request
        order.filled += lots
        order.status = OrderStatus.FILLED if order.filled == order.size else PARTIAL
        self.position += request.side.sign * lots
        self.fills += 1
        self._tell(
            EventKind.FILLED,
            request.order_id,
            order.status,
            side=int(request.side),
            price_ticks=self.price,
            lots=lots,
            value=self.fills,
        )

    # --- lost answers --------------------------------------------------------------------------

    def _settle_doubts(self) -> None:
        """Say that an answer is missing, and later what is so, as reconciliation finds it."""
        kept = []
        for due, order_id, is_said in self.doubts:
            if due > self.step:
                kept.append((due, order_id, is_said))
            elif order_id in self.ended_told:
                continue
            elif not is_said:
                self._tell(EventKind.UNCERTAIN, order_id, OrderStatus.UNCERTAIN)
                kept.append((self.step + self.faults.doubt_steps, order_id, True))
            else:
                self._tell_truth(order_id)
        self.doubts = kept

    def _tell_truth(self, order_id: int) -> None:
        order = self.orders.get(order_id)
        if order is None:
            reason = int(Reason.NOT_ARRIVED)
            self._tell(EventKind.REJECTED, order_id, OrderStatus.REJECTED, reason=reason)
        elif order.status.is_terminal:
            reason = int(Reason.ENDED_AWAY)
            self._tell(EventKind.CANCELLED, order_id, order.status, reason=reason)
        else:
            self._tell_terms(EventKind.ACCEPTED, order)
