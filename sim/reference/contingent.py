"""What a fill or an end causes: OCO siblings, exits of brackets, reduce-only orders."""

from __future__ import annotations

from broker_api.event import OrderHeld, Reason, Unprotected
from broker_api.order import OnPartial, OrderStatus, Role, Side
from sim.reference.floor import Floor
from sim.reference.orders import Bracket, Doing, Order
from sim.reference.queue import join_rest


def after_fill(floor: Floor, order: Order, lots: int) -> None:
    """The consequences of a fill that has been published."""
    if order.bracket is not None and order.is_exit:
        order.bracket.exits_filled += lots
        if order.bracket.on_partial is OnPartial.CANCEL:
            _end_other_exits(floor, order.bracket, order)
    if order.oco is not None:
        _shrink_sibling(floor, order, lots)
    if order.status is OrderStatus.FILLED:
        floor.finish(order)
    _release_excess(floor, order)
    for bracket in list(floor.brackets):
        if _stand_together(bracket.entry, order):
            sync(floor, bracket)
    _end_reduce_only(floor, order)


def cancel(floor: Floor, order: Order, reason: Reason) -> None:
    """Cancel an order and everything that follows from it."""
    floor.cancel(order, reason)
    after_end(floor, order, reason)


def after_end(floor: Floor, order: Order, reason: Reason) -> None:
    """The consequences of an end without a fill that has been published."""
    if order.oco is not None and reason is not Reason.SELF_TRADE:
        sibling = order.oco.sibling_of(order)
        if sibling is not None:
            floor.cancel(sibling, Reason.SIBLING)
    bracket = order.bracket
    if bracket is None:
        return
    given_up = reason in (Reason.BY_USER, Reason.SIBLING)
    if order.role is Role.STOP_EXIT and given_up and bracket.due > 0:
        floor.publish_order(Unprotected, order, leaves_lots=0)
    if order.role is Role.ENTRY:
        sync(floor, bracket)
    _forget(floor, bracket)


def complete_by_size(floor: Floor, order: Order) -> None:
    """An order whose size became what it has filled is filled, without a further fill."""
    order.size = order.filled
    order.status = OrderStatus.FILLED
    floor.publish_replaced(order, Reason.COMPLETED_BY_SIZE)
    floor.finish(order)


def _forget(floor: Floor, bracket: Bracket) -> None:
    """A bracket is no more when its entry and its exits have ended."""
    if bracket in floor.brackets and not bracket.legs and not bracket.entry.is_working:
        floor.brackets.remove(bracket)


def _end_other_exits(floor: Floor, bracket: Bracket, order: Order) -> None:
    """The exit that fills first is the one that is wanted; the other does not come back."""
    for leg in bracket.legs:
        if leg is not order:
            cancel(floor, leg, Reason.SIBLING)


def _shrink_sibling(floor: Floor, order: Order, lots: int) -> None:
    assert order.oco is not None
    sibling = order.oco.sibling_of(order)
    if sibling is None:
        return
    is_complete = order.status is OrderStatus.FILLED
    if is_complete or order.oco.on_partial is OnPartial.CANCEL or sibling.leaves <= lots:
        floor.cancel(sibling, Reason.SIBLING)
        return
    set_smaller(sibling, sibling.size - lots)
    floor.publish_replaced(sibling, Reason.OCO_RESIZED)


def set_smaller(order: Order, size: int) -> None:
    """A smaller size that keeps the place: the youngest lots go first."""
    less = order.size - size
    order.size = size
    for place in reversed(order.places):
        gone = min(less, place.lots)
        place.lots -= gone
        less -= gone
    order.places = [place for place in order.places if place.lots > 0]


def _stand_together(order: Order, other: Order) -> bool:
    """True for orders that share a position: of one account, in one market."""
    return order.account is other.account and order.market == other.market


def _brackets_of(floor: Floor, order: Order, side: Side) -> list[Bracket]:
    """The brackets with entries of a side that share a position with an order, oldest first."""
    found = (each for each in floor.brackets if _stand_together(each.entry, order))
    return [bracket for bracket in found if bracket.entry.side is side]


def headroom(floor: Floor, order: Order, side: Side) -> int:
    """Lots of an order's position on a side that no bracket's exits cover; negative when they
    cover too many."""
    covered = sum(bracket.due for bracket in _brackets_of(floor, order, side))
    return max(0, order.position * side.sign) - covered


def _release_excess(floor: Floor, order: Order) -> None:
    """All exits of one direction never exceed the position; the oldest bracket gives way first."""
    for side in Side:
        excess = max(0, -headroom(floor, order, side))
        for bracket in _brackets_of(floor, order, side):
            less = min(excess, bracket.due)
            bracket.released += less
            excess -= less


def _end_reduce_only(floor: Floor, filled: Order) -> None:
    """Reduce-only orders end when nothing is left that they could reduce."""
    for order in list(floor.working):
        if not order.reduce_only or not order.is_working or not _stand_together(order, filled):
            continue
        if order.position * order.side.sign >= 0:
            cancel(floor, order, Reason.REDUCE_ONLY_DONE)


def sync(floor: Floor, bracket: Bracket) -> None:
    """Bring the exits to what they have to close, and end them when that is nothing for good."""
    legs, due = bracket.legs, bracket.due
    for leg in legs:
        if due == 0 and not bracket.entry.is_working:
            _end_exit(floor, bracket, leg)
            continue
        limit, stop = followed_prices(bracket, leg)
        if leg.status is OrderStatus.PENDING:
            leg.limit, leg.stop = limit, stop
            _set_held(floor, leg, due if bracket.is_armed else 0)
        elif due == 0:
            _hold(floor, bracket, leg)
        elif (limit, stop) != (leg.limit, leg.stop):
            floor.leave(leg, Doing.ARRIVING)
            leg.limit, leg.stop, leg.size = limit, stop, leg.filled + due
            floor.publish_replaced(leg, Reason.EXIT_REPRICED)
            floor.arriving.append(leg)
        elif leg.leaves != due:
            _resize(floor, leg, due)
    _forget(floor, bracket)


def _end_exit(floor: Floor, bracket: Bracket, leg: Order) -> None:
    if leg.filled and leg.leaves == 0:
        complete_by_size(floor, leg)
    elif bracket.exits_filled:
        floor.cancel(leg, Reason.SIBLING)
    else:
        floor.cancel(leg, Reason.POSITION_FLAT if bracket.released else Reason.ENTRY_ENDED)


def _set_held(floor: Floor, leg: Order, due: int) -> None:
    """A leg that is not live: it will arrive when something is due, with as much."""
    floor.leave(leg, Doing.HELD)
    if due:
        leg.doing = Doing.ARRIVING
        floor.arriving.append(leg)


def _hold(floor: Floor, bracket: Bracket, leg: Order) -> None:
    """All that there was to close is closed, but the entry may fill more."""
    floor.leave(leg, Doing.HELD)
    leg.triggered = False
    leg.limit, leg.stop = followed_prices(bracket, leg)
    leg.status = OrderStatus.PENDING
    floor.publish_order(OrderHeld, leg)


def _resize(floor: Floor, leg: Order, due: int) -> None:
    size = leg.filled + due
    if size < leg.size:
        set_smaller(leg, size)
    else:
        more = size - leg.size
        leg.size = size
        if leg.doing is Doing.RESTING:
            join_rest(floor.settings, floor.market_of(leg), leg, more)
    floor.publish_replaced(leg, Reason.EXIT_RESIZED)


def followed_prices(bracket: Bracket, leg: Order) -> tuple[int | None, int | None]:
    """Limit and stop of an exit: at its offset from the entry's average until something of it
    has filled or triggered."""
    limit, stop = leg.limit, leg.stop
    if leg.filled or leg.triggered or not bracket.entry.filled:
        return limit, stop
    sign = bracket.entry.side.sign
    if leg.role is Role.TARGET_EXIT and bracket.target_offset is not None:
        limit = _near_entry(bracket, sign * bracket.target_offset)
    if leg.role is Role.STOP_EXIT and bracket.stop_offset is not None:
        stop = _near_entry(bracket, -sign * bracket.stop_offset)
        if bracket.limit_offset is not None:
            limit = stop - sign * bracket.limit_offset
    return limit, stop


def _near_entry(bracket: Bracket, offset: int) -> int:
    """The average fill price plus an offset, rounded to the tick nearer the entry."""
    cost, lots = bracket.entry.cost, bracket.entry.filled
    exact = cost + offset * lots
    return exact // lots if offset > 0 else -(-exact // lots)
