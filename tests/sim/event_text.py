"""Events as short lines, so that a list of what is expected can be read."""

from __future__ import annotations

from collections.abc import Iterable

from broker_api.event import (
    AccountChanged,
    CancelRejected,
    Event,
    FundingPaid,
    Liquidation,
    MarketHalted,
    MarketResumed,
    OrderAccepted,
    OrderActivated,
    OrderCancelled,
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
from broker_api.order import NO_PRICE, OrderStatus, Side


def texts(events: Iterable[Event]) -> list[str]:
    """A line an event; positions and account have their own tests and are left out.

    Lines of the second account begin with `b`, of the third with `c`.
    """
    money = PositionChanged | AccountChanged
    told = [event for event in events if not isinstance(event, money)]
    return [chr(ord("a") + event.account) * (event.account > 0) + text(event) for event in told]


def _prices(event: OrderAccepted | OrderActivated | OrderReplaced) -> str:
    stop = "" if event.stop_ticks == NO_PRICE else f" stop {event.stop_ticks}"
    limit = "" if event.price_ticks == NO_PRICE else f" limit {event.price_ticks}"
    return stop + limit


def text(event: Event) -> str:
    """One event in the words of the tests."""
    match event:
        case OrderAccepted():
            side = "buy" if event.side is Side.BUY else "sell"
            held = " held" if event.status is OrderStatus.PENDING else ""
            return f"#{event.order_id} accepted{held} {side} {event.lots}{_prices(event)}"
        case OrderFilled():
            side = "buy" if event.side is Side.BUY else "sell"
            mark = " ambiguous" if event.ambiguous else ""
            how = event.liquidity.name.lower()
            left = f" left {event.leaves_lots}"
            return f"#{event.order_id} {side} {event.lots}@{event.price_ticks} {how}{left}{mark}"
        case OrderTriggered():
            return f"#{event.order_id} triggered at {event.price_ticks}"
        case OrderActivated():
            return f"#{event.order_id} activated {event.leaves_lots}{_prices(event)}"
        case OrderHeld():
            return f"#{event.order_id} waits for its entry"
        case OrderExpired():
            return f"#{event.order_id} expired, filled {event.filled_lots}"
        case Unprotected():
            return f"#{event.order_id} unprotected"
        case OrderReplaced():
            why = f" ({event.reason.name.lower()})" if event.reason else ""
            return f"#{event.order_id} replaced {event.lots}{_prices(event)}{why}"
        case OrderCancelled():
            why = event.reason.name.lower()
            return f"#{event.order_id} cancelled {why}, filled {event.filled_lots}"
        case OrderRejected() | ReplaceRejected():
            what = "rejected" if isinstance(event, OrderRejected) else "change refused"
            why = event.reason.name.lower()
            return f"#{event.order_id} {what} {why} {event.value} {event.limit}"
        case CancelRejected():
            return f"#{event.order_id} cancel refused {event.reason.name.lower()} {event.status}"
        case _:
            return _market_text(event)


def _market_text(event: Event) -> str:
    match event:
        case MarketHalted():
            return f"halted {event.reason.name.lower()} at {event.ts_ns}"
        case MarketResumed():
            return f"resumed at {event.ts_ns}"
        case Liquidation():
            whose = "" if event.instrument < 0 else f" of {event.instrument}"
            return f"liquidation{whose} {event.value / 1e9:g} < {event.limit / 1e9:g}"
        case FundingPaid():
            return f"funding {event.value / 1e9:g} on {event.position_lots}"
    raise AssertionError(f"no text for {event}")
