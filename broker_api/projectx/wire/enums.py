"""The gateway's enumerations, and both ways between them and ours.

Source: "Enumerations" of its documentation. Sides have our own numbers (`order.Side`).
"""

from __future__ import annotations

from enum import IntEnum

from broker_api import order as ours


class OrderType(IntEnum):
    """How an order meets the market. JOIN_BID and JOIN_ASK are limits at the touch on arrival."""

    UNKNOWN = 0
    LIMIT = 1
    MARKET = 2
    STOP_LIMIT = 3
    STOP = 4
    TRAILING_STOP = 5
    JOIN_BID = 6
    JOIN_ASK = 7


class OrderStatus(IntEnum):
    """Where an order is in its life. A partly filled order stays OPEN."""

    NONE = 0
    OPEN = 1
    FILLED = 2
    CANCELLED = 3
    EXPIRED = 4
    REJECTED = 5
    PENDING = 6
    PENDING_CANCELLATION = 7
    SUSPENDED = 8

    @property
    def is_final(self) -> bool:
        """True when nothing can happen to the order any more."""
        return self in (self.FILLED, self.CANCELLED, self.EXPIRED, self.REJECTED)


class PositionType(IntEnum):
    """Which way a position lies."""

    UNDEFINED = 0
    LONG = 1
    SHORT = 2


class TradeLogType(IntEnum):
    """The aggressor of a trade in the market."""

    BUY = 0
    SELL = 1


class DomType(IntEnum):
    """What a depth message tells."""

    UNKNOWN = 0
    ASK = 1
    BID = 2
    BEST_ASK = 3
    BEST_BID = 4
    TRADE = 5
    RESET = 6
    LOW = 7
    HIGH = 8
    NEW_BEST_BID = 9
    NEW_BEST_ASK = 10
    FILL = 11


class BarUnit(IntEnum):
    """The unit of a bar's length."""

    UNSPECIFIED = 0
    SECOND = 1
    MINUTE = 2
    HOUR = 3
    DAY = 4
    WEEK = 5
    MONTH = 6
    TICK = 7


_TO_OURS = {
    OrderType.LIMIT: ours.OrderType.LIMIT,
    OrderType.MARKET: ours.OrderType.MARKET,
    OrderType.STOP_LIMIT: ours.OrderType.STOP_LIMIT,
    OrderType.STOP: ours.OrderType.STOP,
    OrderType.TRAILING_STOP: ours.OrderType.TRAILING_STOP,
    OrderType.JOIN_BID: ours.OrderType.LIMIT,
    OrderType.JOIN_ASK: ours.OrderType.LIMIT,
}
_FROM_OURS = {
    mine: theirs
    for theirs, mine in _TO_OURS.items()
    if theirs not in (OrderType.JOIN_BID, OrderType.JOIN_ASK)
}


def type_to_ours(kind: OrderType) -> ours.OrderType | None:
    """Our order type; None for UNKNOWN."""
    return _TO_OURS.get(kind)


def type_from_ours(kind: ours.OrderType) -> OrderType | None:
    """The gateway's order type; None where it has none: orders that a touch triggers."""
    return _FROM_OURS.get(kind)


def status_from_ours(status: ours.OrderStatus, *, held: bool = False) -> OrderStatus:
    """The gateway's status; a bracket's exit that is held for its entry is SUSPENDED."""
    if held and status is ours.OrderStatus.PENDING:
        return OrderStatus.SUSPENDED
    return OrderStatus(status.projectx_code)
