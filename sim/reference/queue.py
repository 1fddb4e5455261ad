"""The queue ahead of a resting order: joining it, prints, cancels, and the caps of a shown size.

`ahead` counts 1/1024 lots. A place whose depth is unknown has `ahead` None until its price is the
touch for the first time.
"""

from __future__ import annotations

import math

from broker_api.config import SimulationConfig
from broker_api.order import QueueModel, Side
from data.schema import RowKind
from sim.reference.market import Market, Row
from sim.reference.orders import QUEUE_UNIT, Order, Place

FIRST_FILL = QUEUE_UNIT // 4
"""What the first fill of a place needs beyond its queue."""


def is_better(side: Side, price: int, than: int) -> bool:
    """True when `price` is nearer to the other side of the market."""
    return (price - than) * side.sign > 0


def join(settings: SimulationConfig, market: Market, order: Order, lots: int) -> Place:
    """A place behind everybody who is there."""
    assert order.limit is not None
    if settings.queue_model in (QueueModel.FRONT, QueueModel.BACK):
        return Place(lots, 0, None)
    touch = market.shown(order.side)
    if not market.is_known or touch.price is None:
        known = market.seen[order.side].get(order.limit)
        return Place(lots, None if known is None else known * QUEUE_UNIT, None)
    if order.limit == touch.price:
        return Place(lots, touch.lots * QUEUE_UNIT, touch.lots)
    if is_better(order.side, order.limit, touch.price):
        return Place(lots, 0, None)
    known = market.seen[order.side].get(order.limit)
    return Place(lots, None if known is None else known * QUEUE_UNIT, None)


def meet_print(settings: SimulationConfig, order: Order, lots: int) -> int:
    """Lots that a print of `lots` at the order's price gives it, after eating the queue ahead."""
    if settings.queue_model is QueueModel.BACK:
        return 0
    got = 0
    for place in order.places:
        left = lots - got
        if place.ahead is None:
            place.traded += lots
            continue
        over = left * QUEUE_UNIT - place.ahead
        place.ahead = max(0, -over)
        needed = QUEUE_UNIT if place.met else FIRST_FILL
        if over < needed or left == 0:
            continue
        whole = over // QUEUE_UNIT if place.met else max(1, (over + QUEUE_UNIT // 2) // QUEUE_UNIT)
        fill = min(whole, place.lots, left)
        place.met = place.met or fill > 0
        got += fill
    return got


def explain(order: Order, lots: int) -> None:
    """A print at the order's price explains that much of what the level shows less."""
    for place in order.places:
        place.explained += lots


def look_at_shown(settings: SimulationConfig, market: Market, order: Order, row: Row) -> None:
    """Compare the order's queue with what its side shows at the end of a packet."""
    assert order.limit is not None
    if settings.queue_model in (QueueModel.FRONT, QueueModel.BACK):
        return
    touch = market.shown(order.side)
    if touch.price is None:
        return
    for place in order.places:
        if order.limit == touch.price:
            _look_at_level(settings, place, touch.lots)
        elif is_better(order.side, order.limit, touch.price):
            place.ahead = 0
            place.shown = None
        else:
            place.shown = None
        if row.kind == RowKind.QUOTE:
            place.explained = 0


def _look_at_level(settings: SimulationConfig, place: Place, shown: int) -> None:
    if place.ahead is None:
        half = QUEUE_UNIT // 2
        place.ahead = max(0, (shown + place.traded) * half - place.traded * QUEUE_UNIT)
    elif place.shown is not None:
        shrink = max(0, place.shown - shown)
        cancels = max(0, shrink - place.explained)
        back = place.shown - min(shrink, place.explained) - place.ahead / QUEUE_UNIT
        if cancels and settings.queue_model is QueueModel.PROPORTIONAL:
            ahead = place.ahead
            share = share_ahead(settings.queue_power, ahead / QUEUE_UNIT, max(0.0, back))
            place.ahead = max(0, ahead - int(share * cancels * QUEUE_UNIT))
        place.explained -= min(shrink, place.explained)
    place.ahead = min(place.ahead, shown * QUEUE_UNIT)
    place.shown = shown


def share_ahead(power: float, front: float, back: float) -> float:
    """front^n / (front^n + back^n), with products and the square root only."""
    if front <= 0:
        return 0.0
    first, second = _power(front, power), _power(back, power)
    return first / (first + second)


def _power(value: float, power: float) -> float:
    if power == 1.0:
        return value
    return value * math.sqrt(value) if power == 1.5 else value * value
