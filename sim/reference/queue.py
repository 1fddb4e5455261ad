"""The queue ahead of a resting order: joining it, prints, cancels, and the caps of a shown size.

`ahead` counts 1/1024 lots. While the depth at an order's price is unknown, `ahead` of its first
place is None; it becomes known when the price first is the touch.
"""

from __future__ import annotations

import math

from broker_api.config import SimulationConfig
from broker_api.order import QueueModel, Side
from sim.reference.market import Market
from sim.reference.orders import QUEUE_UNIT, Order, Place

FIRST_FILL = QUEUE_UNIT // 4
"""What the first fill of a place needs beyond its queue."""
ESTIMATED = (QueueModel.PROPORTIONAL, QueueModel.DISPLAYED)


def is_better(side: Side, price: int, than: int) -> bool:
    """True when `price` is nearer to the other side of the market."""
    return (price - than) * side.sign > 0


def depth(settings: SimulationConfig, market: Market, order: Order) -> int | None:
    """What is ahead of an order that joins now, None where nothing tells."""
    assert order.limit is not None
    if settings.queue_model not in ESTIMATED:
        return 0
    touch = market.shown(order.side)
    if market.is_known and touch.price is not None:
        if order.limit == touch.price and touch.lots is not None:
            return touch.lots * QUEUE_UNIT
        if is_better(order.side, order.limit, touch.price):
            return 0
    last_shown = market.seen[order.side].get(order.limit)
    return None if last_shown is None else last_shown * QUEUE_UNIT


def join(settings: SimulationConfig, market: Market, order: Order) -> None:
    """All of the order joins behind everybody who is there."""
    ahead = depth(settings, market, order)
    base = market.shown(order.side)
    order.places = [Place(order.live, ahead, market.row_ts, base)]


def join_rest(settings: SimulationConfig, market: Market, order: Order, lots: int) -> None:
    """New lots of an order queue behind it, together with all that came after its first place."""
    joined = depth(settings, market, order) or 0
    before = [place.ahead or 0 for place in order.places]
    later = sum(place.lots for place in order.places[1:])
    base = market.shown(order.side)
    order.places[1:] = [Place(later + lots, max(joined, *before), market.row_ts, base)]


def use_places(order: Order, lots: int) -> None:
    """A fill comes out of the oldest place first; what was unknown for it stays so for the next."""
    for place in list(order.places):
        used = min(lots, place.lots)
        place.met = place.met or used > 0
        place.lots -= used
        lots -= used
        if place.lots == 0:
            order.places.remove(place)
            if place.ahead is None and order.places:
                order.places[0].ahead, order.places[0].traded = None, place.traded


def meet_print(settings: SimulationConfig, order: Order, printed: int, left: int) -> int:
    """Lots that a print at the order's price gives it, after eating the queue ahead.

    `left` of the `printed` lots were not given to earlier own orders.
    """
    for place in order.places:
        place.explained += printed
    if settings.queue_model is QueueModel.BACK:
        return 0
    first = order.places[0]
    if first.ahead is None:
        first.traded += printed
        return 0
    got = before = 0
    for place in order.places:
        ours = _over(place, left) if got == before else 0
        before += place.lots
        assert place.ahead is not None
        place.ahead = max(0, place.ahead - left * QUEUE_UNIT)
        got += ours
        left -= ours
    return got


def _over(place: Place, left: int) -> int:
    """What of a print is over a place's queue, in whole lots."""
    assert place.ahead is not None
    over = left * QUEUE_UNIT - place.ahead
    if over < (QUEUE_UNIT if place.met else FIRST_FILL):
        return 0
    rounded = over // QUEUE_UNIT if place.met else (over + QUEUE_UNIT // 2) // QUEUE_UNIT
    return min(max(1, rounded), place.lots, left)


def lots_ahead(settings: SimulationConfig, order: Order) -> int | None:
    """Whole lots that are ahead of a maker's oldest place; None: all that is there."""
    first = order.places[0]
    if settings.queue_model is QueueModel.BACK or first.ahead is None:
        return None
    return -(-first.ahead // QUEUE_UNIT)


def lose_taken(settings: SimulationConfig, order: Order, lots: int) -> None:
    """Lots that another account took from the tape at the order's price leave the queue.

    As with prints, nothing moves while the depth is unknown.
    """
    if settings.queue_model is QueueModel.BACK or order.places[0].ahead is None:
        return
    for place in order.places:
        assert place.ahead is not None
        place.ahead = max(0, place.ahead - lots * QUEUE_UNIT)


def clear(settings: SimulationConfig, order: Order) -> None:
    """Everything that was ahead is known to be gone."""
    if settings.queue_model is not QueueModel.BACK:
        for place in order.places:
            place.ahead = 0


def look_at_shown(settings: SimulationConfig, market: Market, order: Order) -> None:
    """At the end of a packet: compare the order's queue with what its side shows."""
    assert order.limit is not None
    touch = market.shown(order.side)
    if settings.queue_model in ESTIMATED and touch.price is not None:
        if is_better(order.side, order.limit, touch.price):
            clear(settings, order)
        elif order.limit == touch.price and touch.lots is not None:
            _look_at_level(settings, market, order, touch.lots)
    for place in order.places:
        place.explained = 0


def _look_at_level(settings: SimulationConfig, market: Market, order: Order, shown: int) -> None:
    """The price is the touch: cancels first, then no more can be ahead than is shown."""
    if order.places[0].ahead is None:
        _resolve(order, shown)
    else:
        for place in order.places:
            _lose_cancelled(settings, market, order, place, shown)
    for place in order.places:
        assert place.ahead is not None
        place.ahead = min(place.ahead, shown * QUEUE_UNIT)


def _resolve(order: Order, shown: int) -> None:
    """The price is the touch for the first time: half of what was there was ahead."""
    first = order.places[0]
    half = (shown + first.traded) * QUEUE_UNIT // 2
    first.ahead = max(0, half - first.traded * QUEUE_UNIT)
    for place in order.places[1:]:
        place.ahead = max(first.ahead, place.ahead or 0)


def _lose_cancelled(
    settings: SimulationConfig, market: Market, order: Order, place: Place, shown: int
) -> None:
    """What the level lost without a print was cancelled, partly ahead of us."""
    joined_now = place.joined_ts == market.row_ts
    base = place.base if joined_now else market.before_packet[order.side]
    if base.price != order.limit or base.lots is None:
        return
    if settings.queue_model is not QueueModel.PROPORTIONAL:
        return
    level = (base.lots - place.explained) * QUEUE_UNIT
    cancelled = level - shown * QUEUE_UNIT
    assert place.ahead is not None
    if cancelled > 0:
        share = share_ahead(settings.queue_power, place.ahead, level - place.ahead)
        place.ahead -= min(place.ahead, int(cancelled * share))


def share_ahead(exponent: float, front: int, back: int) -> float:
    """front^n / (front^n + back^n), with products and the square root only."""
    first, second = _power(float(front), exponent), _power(float(max(0, back)), exponent)
    return first / (first + second) if first + second > 0 else 0.0


def _power(value: float, exponent: float) -> float:
    if exponent == 1.0:
        return value
    return value * math.sqrt(value) if exponent == 1.5 else value * value
