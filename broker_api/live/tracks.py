"""One working order while it lives: its numbers here and there, and how far it is."""

from __future__ import annotations

from typing import Any, NamedTuple

from broker_api.event import OrderAccepted, OrderCancelled, OrderRejected, OrderReplaced, Reason
from broker_api.order import (
    NO_PRICE,
    OrderRequest,
    OrderStatus,
    OrderType,
    ReplaceRequest,
    TimeInForce,
)

_AT_MARKET = (OrderType.MARKET, OrderType.STOP, OrderType.MARKET_IF_TOUCHED)


class Terms(NamedTuple):
    """What a change asks for: total size and prices, and what of the size is still to be filled."""

    size_lots: int
    limit_ticks: int | None
    stop_ticks: int | None
    left_lots: int


class Ending(NamedTuple):
    """An order's end that waits for fills which have not been told yet.

    `filled_lots` is what it will have filled, None when nobody has said.
    """

    reason: Reason
    ts: int
    filled_lots: int | None


class Track:
    """One order from its sending to its end; only `Books` changes it.

    `name` is the client's own id of it as the venue has it. `awaits_answer` while the answer to its
    placing is on its way: it says more than updates do. `sent` is the venue's time when it was
    sent, in the venue's unit, `sent_at` the event loop's in seconds. `wanted_lots` is the size that
    was asked for, `size_lots` what it has filled and may fill yet: more, when a fill overtook a
    change.
    """

    __slots__ = (
        "accepted",
        "answer",
        "awaits_answer",
        "change",
        "ended",
        "ending",
        "filled_lots",
        "index",
        "left_lots",
        "limit_ticks",
        "name",
        "oids",
        "replaced",
        "request",
        "sent",
        "sent_at",
        "size_lots",
        "status",
        "stop_ticks",
        "triggered",
        "wanted_lots",
    )

    def __init__(
        self,
        request: OrderRequest,
        index: int,
        name: str,
        *,
        sent: int,
        sent_at: float,
    ) -> None:
        self.request = request
        self.index = index
        self.name = name
        self.sent = sent
        self.sent_at = sent_at
        self.oids: list[int] = []
        self.size_lots = request.size_lots
        self.wanted_lots = request.size_lots
        self.left_lots = request.size_lots
        self.filled_lots = 0
        self.limit_ticks = request.limit_ticks
        self.stop_ticks = request.stop_ticks
        self.status = OrderStatus.PENDING
        self.accepted = False
        self.awaits_answer = True
        self.triggered = False
        self.answer: OrderAccepted | OrderRejected | None = None
        self.ended: OrderCancelled | None = None
        self.replaced: OrderReplaced | None = None
        self.change: Terms | None = None
        self.ending: Ending | None = None

    @property
    def order_id(self) -> int:
        """The session's number."""
        return self.request.order_id

    @property
    def oid(self) -> int:
        """The venue's number of the order as it works now, 0 before it is known."""
        return self.oids[-1] if self.oids else 0

    @property
    def has_ended(self) -> bool:
        """Nothing can happen to it any more."""
        return self.status.is_terminal

    @property
    def excess_lots(self) -> int:
        """What it would fill too much if all that works filled: fills that a change did not see."""
        return max(0, self.filled_lots + self.left_lots - self.wanted_lots)

    @property
    def is_excessive(self) -> bool:
        """It works on more than was asked for, and nothing is under way about it."""
        is_calm = self.accepted and self.change is None and self.ending is None
        return is_calm and not self.has_ended and min(self.left_lots, self.excess_lots) > 0

    @property
    def size_is_certain(self) -> bool:
        """It rests until all of it has filled; the venue neither cuts its rest nor shrinks it."""
        request = self.request
        takes_at_once = request.time_in_force is TimeInForce.IOC or (
            request.order_type in _AT_MARKET
        )
        return not takes_at_once and not request.reduce_only

    @property
    def rest_reason(self) -> Reason:
        """Why the rest of it is gone when the venue calls it filled."""
        if self.request.order_type in _AT_MARKET:
            return Reason.MARKET_REST
        if self.request.time_in_force is TimeInForce.IOC:
            return Reason.IOC_REST
        return Reason.REDUCE_ONLY_DONE if self.request.reduce_only else Reason.BY_VENUE

    def terms_after(self, request: ReplaceRequest) -> Terms:
        """Its terms with a change."""
        size = self.wanted_lots if request.size_lots is None else request.size_lots
        limit = self.limit_ticks if request.limit_ticks is None else request.limit_ticks
        stop = self.stop_ticks if request.stop_ticks is None else request.stop_ticks
        return Terms(size, limit, stop, size - self.filled_lots)

    def prices(self) -> dict[str, Any]:
        """Its prices and size as events tell them."""
        limit = NO_PRICE if self.limit_ticks is None else self.limit_ticks
        stop = NO_PRICE if self.stop_ticks is None else self.stop_ticks
        return {"price_ticks": limit, "stop_ticks": stop, "lots": self.size_lots}
