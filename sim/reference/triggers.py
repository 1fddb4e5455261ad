"""What orders wait for: stops, touched orders and trailing stops, and how the last ones trail."""

from __future__ import annotations

from broker_api.order import OrderRequest, OrderType, Side, TriggerSource
from sim.reference.market import Market
from sim.reference.orders import Order

TOUCHED = (OrderType.MARKET_IF_TOUCHED, OrderType.LIMIT_IF_TOUCHED)
PPM = 1_000_000


def way(order_type: OrderType, side: Side) -> int:
    """+1 for what triggers at its price or above, -1 for at or below."""
    return -side.sign if order_type in TOUCHED else side.sign


def source(market: Market, order_type: OrderType, side: Side) -> int | None:
    """The source price that such an order looks at; a mark is rounded against its way."""
    is_mark = market.source is TriggerSource.MARK
    if order_type in TOUCHED and is_mark:
        return market.source_ticks(side.opposite)
    return market.source_ticks(side)


def source_of(market: Market, order: Order) -> int | None:
    """The source price that an order looks at."""
    return source(market, order.order_type, order.side)


def is_through(market: Market, order: Order) -> bool:
    """True when the source has reached what the order waits for; equality counts."""
    price = source_of(market, order)
    if price is None or order.stop is None:
        return False
    return (price - order.stop) * way(order.order_type, order.side) >= 0


# trailing stops


def distance(trail: int | None, trail_ppm: int | None, best: int) -> int:
    """Ticks between best and stop; a percentage is rounded half up, and at least one tick."""
    if trail is not None:
        return trail
    assert trail_ppm is not None
    return max(1, (abs(best) * trail_ppm + PPM // 2) // PPM)


def start(market: Market, request: OrderRequest) -> int | None:
    """The source that a new trailing stop starts from, None when it is not active on arrival."""
    price = market.source_ticks(request.side)
    if price is None or request.activation_ticks is None:
        return price
    is_there = (price - request.activation_ticks) * request.side.sign <= 0
    return price if is_there else None


def first_stop(market: Market, request: OrderRequest) -> int | None:
    """Where a new trailing stop lies on arrival, None while it is not active."""
    best = start(market, request)
    if best is None:
        return None
    away = distance(request.trail_ticks, request.trail_ppm, best)
    return best + request.side.sign * away


def stop_at(order: Order, best: int) -> int:
    """The stop at the order's distance from a price."""
    return best + order.side.sign * distance(order.trail, order.trail_ppm, best)


def is_ahead(order: Order, price: int) -> bool:
    """True when a price is better than the order's best so far: higher for a sell."""
    return order.best is None or (price - order.best) * order.side.sign < 0


def pull(order: Order) -> None:
    """Bring the stop to its distance from best, but never back."""
    assert order.best is not None
    stop = stop_at(order, order.best)
    if order.stop is None or (stop - order.stop) * order.side.sign < 0:
        order.stop = stop


def join_market(market: Market, order: Order) -> None:
    """A trailing exit goes live: best is the better of what it had, its entry and the market.

    While it follows its entry the stop stays where the average puts it; nothing follows any more
    once some of it has filled.
    """
    bracket = order.bracket
    assert bracket is not None
    known = [market.source_ticks(order.side)]
    is_following = bracket.stop_offset is not None and not order.filled
    if is_following:
        assert order.stop is not None
        assert order.trail is not None
        known.append(order.stop - order.side.sign * order.trail)
    for price in known:
        if price is not None and is_ahead(order, price):
            order.best = price
    if not is_following:
        pull(order)


def go_on(order: Order) -> None:
    """On the way between bars' prices the market moves on from the fill that armed the exit."""
    before = order.stop
    pull(order)
    if order.stop != before and order.bracket is not None:
        order.bracket.stop_offset = None


def trail_along(market: Market, order: Order) -> bool:
    """Move best and stop with the source; True when the order became active by it."""
    price = market.source_ticks(order.side)
    if price is None or not is_ahead(order, price):
        return False
    was_active = order.best is not None
    if not was_active:
        assert order.activation is not None
        if (price - order.activation) * order.side.sign > 0:
            return False
    order.best = price
    pull(order)
    if order.bracket is not None and order.is_exit:
        order.bracket.stop_offset = None
    return not was_active


def changed_stop(order: Order, trail: int | None, stop: int | None) -> int | None:
    """The stop that a change gives an order: by a new distance from best, or as it is named."""
    if trail is not None and order.best is not None:
        return order.best + order.side.sign * trail
    if trail is not None and order.stop is not None and order.trail is not None:
        # A held exit that knows the average of its entry.
        return order.stop + order.side.sign * (trail - order.trail)
    return order.stop if stop is None else stop
