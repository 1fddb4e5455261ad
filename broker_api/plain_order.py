"""One plain order at a venue as far as its events tell, and the ids of orders made by the client.

Part of `contingency.py`. An order is in one of four states: a command to it is unanswered, its
outcome is unknown, it works with known terms, or it is over. Only one command is ever under way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from broker_api.event import EventKind, EventRow, Reason, row_of
from broker_api.order import (
    NO_PRICE,
    STATUS_BY_CODE,
    CancelRequest,
    Command,
    OrderRequest,
    OrderStatus,
    OrderType,
    ReplaceRequest,
    Side,
    TimeInForce,
)

NS_MS = 1_000_000
SESSION_IDS = 1 << 32
"""Orders that a session numbers itself have ids below this; those made here have them above."""
REPAIRS_FROM = 1 << 15
"""Numbers of repairs begin here, those of repeated placements at 1."""
MADE_NAME = re.compile(r".+~r?[0-9]+")
GONE = (Reason.ORDER_NOT_ACTIVE, Reason.UNKNOWN_ORDER)
"""Refusals that say the order is not there any more: its end is on the way, or was missed."""


def made_id(order_id: int, number: int) -> int:
    """The id of the order that stands for `order_id` when it is placed for the `number`th time.

    The first time (0) it is the id itself, so that a restart can tell which belongs to which.
    """
    return (number << 32) | order_id if number else order_id


def asked_id(order_id: int) -> int:
    """The id in the session behind an id of `made_id`."""
    return order_id % SESSION_IDS if order_id > 0 else order_id


def is_repair(order_id: int) -> bool:
    """True for the ids of orders at market by which a group repairs its position."""
    return order_id > 0 and order_id >> 32 >= REPAIRS_FROM


def made_name(client_order_id: str, number: int) -> str:
    """The client order id that goes with `made_id`."""
    if number >= REPAIRS_FROM:
        return f"{client_order_id}~r{number - REPAIRS_FROM}"
    return f"{client_order_id}~{number}" if number else client_order_id


@dataclass(frozen=True, slots=True)
class Protection:
    """How exits that the client keeps are looked after.

    A placement or change that was refused is repeated after `retry_ns`, twice as long each time, up
    to `retry_max_ns`. A position whose stop was refused `attempts_max` times, or has been missing
    for `close_after_ns`, is closed at market. `reduce_only` sends exits so, where the venue can.
    """

    retry_ns: int = 500 * NS_MS
    retry_max_ns: int = 30_000 * NS_MS
    attempts_max: int = 4
    close_after_ns: int = 10_000 * NS_MS
    reduce_only: bool = False

    def pause_ns(self, refusals: int) -> int:
        """How long to wait after so many refusals in a row."""
        return min(self.retry_max_ns, self.retry_ns << min(refusals - 1, 30))


@dataclass(slots=True)
class Voice:
    """What one input causes: commands to send and events to tell, which it numbers on.

    `now_ns` is the session's time, by which pauses and bounds are measured; `ts_ns` the venue's,
    which events carry. The two need not agree.
    """

    now_ns: int
    ts_ns: int
    told: int
    commands: list[Command] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)

    def send(self, command: Command) -> None:
        """Ask for a command to be sent."""
        self.commands.append(command)

    def tell(self, row: EventRow) -> None:
        """Tell an event under the next number."""
        self.told += 1
        self.events.append(row._replace(seq=self.told))

    def make(self, kind: EventKind, status: OrderStatus, **columns: int) -> None:
        """Tell an event of now."""
        self.tell(row_of(kind, ts_ns=self.ts_ns, status=status.code, **columns))


@dataclass(slots=True)
class PlainOrder:
    """One order as it is at the venue. `hear` is told of each of its events, in order."""

    request: OrderRequest
    instrument: int
    size_lots: int
    limit_ticks: int | None
    stop_ticks: int | None
    trail_ticks: int | None
    sent: Command | None
    venue_order_id: int = 0
    filled_lots: int = 0
    is_there: bool = False
    is_uncertain: bool = False
    awaits_end: bool = False
    is_over: bool = False

    @classmethod
    def placed(cls, request: OrderRequest, instrument: int) -> PlainOrder:
        """An order whose placement is under way."""
        return cls(
            request,
            instrument,
            request.size_lots,
            request.limit_ticks,
            request.stop_ticks,
            request.trail_ticks,
            request,
        )

    @property
    def order_id(self) -> int:
        """Its own id; `asked_id` gives that of the session's order for which it stands."""
        return self.request.order_id

    @property
    def leaves_lots(self) -> int:
        """What it may still fill, as far as is known."""
        return 0 if self.is_over else max(0, self.size_lots - self.filled_lots)

    @property
    def is_filled(self) -> bool:
        """True when nothing of it is unfilled, whether it is over or not."""
        return self.filled_lots >= self.size_lots

    @property
    def is_calm(self) -> bool:
        """True when it works with known terms and nothing is under way to it."""
        unclear = self.is_over or self.is_uncertain or self.awaits_end
        return self.sent is None and not unclear

    @property
    def status(self) -> OrderStatus:
        """Its status by its fills, for an order that works."""
        return OrderStatus.PARTIALLY_FILLED if self.filled_lots else OrderStatus.OPEN

    def cancel(self, voice: Voice) -> None:
        """Send its cancel."""
        self.sent = CancelRequest(self.order_id)
        voice.send(self.sent)

    def hear(self, row: EventRow) -> None:
        """Take in one of its events. What comes after its end is a fill that was late, or nothing.

        An answer to a command ends its being under way; an uncertain one too: nobody knows.
        """
        kind = row.kind
        if kind == EventKind.FILLED:
            self.filled_lots += row.lots
            self.is_there, self.is_uncertain = True, False
        if self.is_over:
            return
        if STATUS_BY_CODE[row.status].is_terminal and kind not in _REFUSED_CHANGES:
            self.is_over = True
            self.sent, self.is_uncertain, self.awaits_end = None, False, False
        elif kind == EventKind.ACCEPTED:
            self._take_terms(row)
            if self.is_uncertain or isinstance(self.sent, OrderRequest):
                self.sent = None
            self.is_there, self.is_uncertain, self.awaits_end = True, False, False
        elif kind == EventKind.REPLACED:
            self._take_terms(row)
            if row.reason == Reason.NONE and isinstance(self.sent, ReplaceRequest):
                self._take_distance(self.sent)
                self.sent = None
            self.is_uncertain = False
        elif kind in _REFUSED_CHANGES:
            if isinstance(self.sent, _CHANGE_OF[kind]):
                self.sent = None
            self.awaits_end = row.reason in GONE
        elif kind == EventKind.TRIGGERED:
            self.stop_ticks = row.stop_ticks
        elif kind == EventKind.UNCERTAIN:
            self.sent, self.is_uncertain, self.awaits_end = None, True, False

    def _take_terms(self, row: EventRow) -> None:
        self.size_lots = row.lots
        self.venue_order_id = row.value or self.venue_order_id
        self.limit_ticks = None if row.price_ticks == NO_PRICE else row.price_ticks
        self.stop_ticks = None if row.stop_ticks == NO_PRICE else row.stop_ticks

    def _take_distance(self, change: ReplaceRequest) -> None:
        if change.trail_ticks is not None:
            self.trail_ticks = change.trail_ticks


_REFUSED_CHANGES = (EventKind.REPLACE_REJECTED, EventKind.CANCEL_REJECTED)
_CHANGE_OF = {
    int(EventKind.REPLACE_REJECTED): ReplaceRequest,
    int(EventKind.CANCEL_REJECTED): CancelRequest,
}


@dataclass(slots=True)
class MarketOrders:
    """The orders at market by which a group repairs its position: one at a time, each numbered."""

    template: OrderRequest
    instrument: int
    rules: Protection
    order: PlainOrder | None = None
    count: int = 0
    refusals: int = 0
    retry_ns: int = 0

    def may_send(self, now_ns: int) -> bool:
        """True when none is under way and the pause after a refusal is over."""
        return self.order is None and now_ns >= self.retry_ns

    def send(self, side: Side, lots: int, voice: Voice, *, reduce_only: bool = False) -> None:
        """Send an order at market and tell of it: nobody asked for it."""
        number = REPAIRS_FROM + self.count
        self.count += 1
        request = OrderRequest(
            order_id=made_id(self.template.order_id, number),
            client_order_id=made_name(self.template.client_order_id, number),
            instrument=self.template.instrument,
            side=side,
            order_type=OrderType.MARKET,
            size_lots=lots,
            time_in_force=TimeInForce.NONE,
            reduce_only=reduce_only,
            tag=self.template.tag,
        )
        self.order = PlainOrder.placed(request, self.instrument)
        voice.send(request)
        voice.make(
            EventKind.ACCEPTED,
            OrderStatus.PENDING,
            instrument=self.instrument,
            order_id=request.order_id,
            leaves_lots=lots,
            side=int(side),
            lots=lots,
            reason=int(Reason.REPAIR),
        )

    def hear(self, row: EventRow, voice: Voice) -> None:
        """Take in an event of one of them; a refusal or an unfilled rest is repeated later."""
        voice.tell(row._replace(reason=int(Reason.REPAIR)) if _is_accepted(row) else row)
        order = self.order
        if order is None or row.order_id != order.order_id:
            return
        order.hear(row)
        if order.is_over:
            self.order = None
            self.refusals = (0 if order.filled_lots else self.refusals) + (not order.is_filled)
            pause_ns = self.rules.pause_ns(self.refusals) if self.refusals else 0
            self.retry_ns = voice.now_ns + pause_ns


def _is_accepted(row: EventRow) -> bool:
    return row.kind == EventKind.ACCEPTED
