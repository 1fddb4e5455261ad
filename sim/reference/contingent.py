"""What a fill or an end causes: OCO siblings, exits of brackets, reduce-only orders."""

from __future__ import annotations

from broker_api.event import OrderHeld, Reason, Unprotected
from broker_api.order import OnPartial, OrderStatus, Role, Side
from sim.reference.floor import Floor
from sim.reference.orders import Bracket, Doing, Order
from sim.reference.queue import join

ECHOED = (Reason.BY_USER, Reason.NONE)
"""Ends that an OCO's other leg follows: by the user, by expiry (NONE)."""


def after_fill(floor: Floor, order: Order, lots: int) -> None:
    """The consequences of a fill that has been published."""
    is_complete = order.leaves == 0
    if order.oco is not None:
        _shrink_sibling(floor, order, lots, is_complete)
    if order.bracket is not None and order.is_exit:
        order.bracket.exits_filled += lots
    ends = is_complete and order.status is OrderStatus.FILLED
    if ends and order.is_working:
        floor.finish(order)
    _release_excess(floor, order.market)
    for bracket in list(floor.brackets):
        if bracket.entry.market == order.market:
            own = order.bracket is bracket and order.is_exit
            sync(floor, bracket, Reason.SIBLING if own else Reason.POSITION_FLAT)
    _end_reduce_only(floor, order.market)


def after_end(floor: Floor, order: Order, reason: Reason) -> None:
    """The consequences of a cancel or an expiry that has been published."""
    if order.oco is not None and reason in ECHOED:
        sibling = order.oco.sibling_of(order)
        if sibling is not None:
            floor.cancel(sibling, Reason.SIBLING)
    bracket = order.bracket
    if bracket is None:
        return
    if order.role is Role.ENTRY:
        sync(floor, bracket, Reason.ENTRY_ENDED)
    elif order.role is Role.STOP_EXIT and reason is Reason.BY_USER and bracket.due > 0:
        floor.publish_order(Unprotected, order, leaves_lots=0)
    _forget(floor, bracket)


def _forget(floor: Floor, bracket: Bracket) -> None:
    if bracket in floor.brackets and not bracket.legs:
        floor.brackets.remove(bracket)


def _shrink_sibling(floor: Floor, order: Order, lots: int, is_complete: bool) -> None:
    assert order.oco is not None
    sibling = order.oco.sibling_of(order)
    if sibling is None:
        return
    if is_complete or order.oco.on_partial is OnPartial.CANCEL or sibling.leaves <= lots:
        floor.cancel(sibling, Reason.SIBLING)
        return
    set_size(sibling, sibling.size - lots)
    floor.publish_replaced(sibling, Reason.OCO_RESIZED)


def set_size(order: Order, size: int) -> None:
    """A smaller size that keeps the place: the youngest lots go first."""
    less = order.size - size
    order.size = size
    for place in reversed(order.places):
        gone = min(less, place.lots)
        place.lots -= gone
        less -= gone
    order.places = [place for place in order.places if place.lots > 0]


def _release_excess(floor: Floor, market: int) -> None:
    """All exits of one direction never exceed the position; the oldest bracket gives way first."""
    for side in Side:
        there = [b for b in floor.brackets if b.entry.market == market and b.entry.side is side]
        room = max(0, floor.position(market) * side.sign)
        excess = sum(bracket.due for bracket in there) - room
        for bracket in there:
            less = min(max(0, excess), bracket.due)
            bracket.released += less
            excess -= less


def _end_reduce_only(floor: Floor, market: int) -> None:
    """Reduce-only orders end when nothing is left that they could reduce."""
    for order in list(floor.working):
        if order.market != market or not order.reduce_only or not order.is_working:
            continue
        if floor.position(market) * order.side.sign >= 0:
            floor.cancel(order, Reason.REDUCE_ONLY_DONE)
            after_end(floor, order, Reason.REDUCE_ONLY_DONE)


def sync(floor: Floor, bracket: Bracket, reason: Reason) -> None:
    """Bring the exits to what they have to close; `reason` is why they end if that is nothing."""
    for leg in bracket.legs:
        if bracket.due == 0:
            if not bracket.entry.is_working:
                floor.cancel(leg, reason)
            elif leg.doing is not Doing.HELD:
                _hold(floor, leg)
        elif bracket.is_armed:
            reprice(bracket, leg) if leg.doing in (Doing.HELD, Doing.ARRIVING) else None
            if leg.doing is Doing.HELD:
                leg.doing = Doing.ARRIVING
                leg.size = leg.filled + bracket.due
                floor.arriving.append(leg)
            elif leg.doing is Doing.ARRIVING:
                leg.size = leg.filled + bracket.due
            else:
                _adjust(floor, bracket, leg)
    _forget(floor, bracket)


def _hold(floor: Floor, leg: Order) -> None:
    was_announced = leg.doing is not Doing.ARRIVING
    floor.leave(leg, Doing.HELD)
    leg.triggered = False
    leg.status = OrderStatus.PENDING
    if was_announced:
        floor.publish_order(OrderHeld, leg)


def _adjust(floor: Floor, bracket: Bracket, leg: Order) -> None:
    """A live exit follows the size, and where it was given by offset the average price."""
    size = leg.filled + bracket.due
    if size < leg.size:
        set_size(leg, size)
        floor.publish_replaced(leg, Reason.EXIT_RESIZED)
    elif size > leg.size:
        _grow(floor, leg, size)
        floor.publish_replaced(leg, Reason.EXIT_RESIZED)
    before = leg.limit, leg.stop
    if reprice(bracket, leg, dry=True) != before and not leg.triggered and leg.filled == 0:
        floor.leave(leg, Doing.ARRIVING)
        reprice(bracket, leg)
        floor.publish_replaced(leg, Reason.EXIT_REPRICED)
        floor.arriving.append(leg)


def _grow(floor: Floor, leg: Order, size: int) -> None:
    """The grown part queues behind; all parts that came after the first share one place."""
    more = size - leg.size
    leg.size = size
    if leg.doing is not Doing.RESTING:
        return
    later = sum(place.lots for place in leg.places[1:])
    del leg.places[1:]
    leg.places.append(join(floor.settings, floor.market_of(leg), leg, later + more))


def reprice(bracket: Bracket, leg: Order, dry: bool = False) -> tuple[int | None, int | None]:
    """The exit's limit and stop at its offset from the entry's average; set unless `dry`."""
    limit, stop = leg.limit, leg.stop
    sign = bracket.entry.side.sign
    if leg.filled == 0 and not leg.triggered and bracket.entry.filled:
        if leg.role is Role.STOP_EXIT and bracket.stop_offset is not None:
            stop = _near_entry(bracket, -sign * bracket.stop_offset)
        if leg.role is Role.STOP_EXIT and bracket.limit_offset is not None and stop is not None:
            limit = stop - sign * bracket.limit_offset
        if leg.role is Role.TARGET_EXIT and bracket.target_offset is not None:
            limit = _near_entry(bracket, sign * bracket.target_offset)
    if not dry:
        leg.limit, leg.stop = limit, stop
    return limit, stop


def _near_entry(bracket: Bracket, offset: int) -> int:
    """The average fill price plus an offset, rounded to the tick nearer the entry."""
    cost, lots = bracket.entry.cost, bracket.entry.filled
    exact = cost + offset * lots
    return exact // lots if offset > 0 else -(-exact // lots)
