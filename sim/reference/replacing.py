"""Changes of working orders. A refused change leaves everything as it was."""

from __future__ import annotations

from broker_api.event import Reason, ReplaceRejected
from broker_api.order import OrderStatus, OrderType, ReplaceRequest, Role
from sim.reference import checks, triggers
from sim.reference.account import Account
from sim.reference.checks import Refusal
from sim.reference.contingent import (
    after_end,
    complete_by_size,
    followed_prices,
    headroom,
    set_smaller,
    sync,
)
from sim.reference.floor import Floor
from sim.reference.market import Market
from sim.reference.matching import AT_ANY_PRICE, activate_arriving, arrive
from sim.reference.orders import Bracket, Doing, Order


def replace(floor: Floor, account: Account, request: ReplaceRequest) -> None:
    """Change a working order of an account, or say why not."""
    order = floor.find(account, request.order_id)
    if order is None:
        _refuse_unknown(floor, account, request.order_id)
        return
    refusal = _refusal(floor, order, request)
    if refusal is not None:
        floor.publish_order(
            ReplaceRejected,
            order,
            reason=refusal.reason,
            value=refusal.value,
            limit=refusal.limit,
        )
        return
    if order.is_exit:
        _change_exit(floor, order, request)
    else:
        _change_order(floor, order, request)
    activate_arriving(floor, floor.market_of(order))


def _refuse_unknown(floor: Floor, account: Account, order_id: int) -> None:
    status = account.ended.get(order_id)
    floor.publish(
        account,
        ReplaceRejected,
        -1,
        order_id=order_id,
        status=status or OrderStatus.REJECTED,
        filled_lots=0,
        leaves_lots=0,
        reason=Reason.ORDER_NOT_ACTIVE if status else Reason.UNKNOWN_ORDER,
        value=0,
        limit=0,
    )


def _refusal(floor: Floor, order: Order, request: ReplaceRequest) -> Refusal | None:
    market = floor.market_of(order)
    return (
        _check_kind(order, request)
        or _check_session(market, order, request)
        or _check_size(floor, market, order, request)
        or _check_prices(floor, market, order, request)
        or _check_margin(floor, market, order, request)
    )


def _check_kind(order: Order, request: ReplaceRequest) -> Refusal | None:
    """Market orders and triggered stops cannot change, nor can a price that the type lacks."""
    has_acted = order.triggered or order.order_type is OrderType.MARKET
    if has_acted and order.order_type in AT_ANY_PRICE:
        return Refusal(Reason.NOT_MODIFIABLE)
    waits_for_stop = order.order_type in checks.HAS_STOP and not order.triggered
    if request.limit_ticks is not None and order.order_type not in checks.HAS_LIMIT:
        return Refusal(Reason.NOT_MODIFIABLE, request.limit_ticks)
    if request.stop_ticks is not None and not waits_for_stop:
        return Refusal(Reason.NOT_MODIFIABLE, request.stop_ticks)
    if request.trail_ticks is not None and not order.is_trailing:
        return Refusal(Reason.NOT_MODIFIABLE, request.trail_ticks)
    return None


def _check_session(market: Market, order: Order, request: ReplaceRequest) -> Refusal | None:
    """While nothing trades only a reduction of size is taken."""
    prices = request.limit_ticks, request.stop_ticks, request.trail_ticks
    has_price = any(price is not None for price in prices)
    is_smaller = request.size_lots is not None and request.size_lots < order.size
    return None if is_smaller and not has_price else checks.check_session(market)


def _check_size(
    floor: Floor, market: Market, order: Order, request: ReplaceRequest
) -> Refusal | None:
    size = request.size_lots
    if size is None:
        return None
    if 0 < size < order.filled:
        return Refusal(Reason.SIZE_BELOW_FILLED, size, order.filled)
    prices = request.limit_ticks, request.stop_ticks, request.trail_ticks
    refusal = checks.check_size(floor, order.account, market, size, prices, order.size)
    if 0 < size == order.filled:
        refusal = None
    if refusal is None and order.is_exit:
        largest = _largest_exit(floor, order)
        refusal = Refusal(Reason.SIZE_ABOVE_MAXIMUM, size, largest) if size > largest else None
    return refusal


def _largest_exit(floor: Floor, order: Order) -> int:
    """An exit cannot grow beyond what is left to close: the entry's size before it fills, later
    what was given back, as far as the position still has it."""
    bracket = order.bracket
    assert bracket is not None
    if bracket.waits_for_entry:
        return bracket.entry.size
    free = headroom(floor, order, bracket.entry.side)
    overdue = bracket.exits_filled + bracket.released - bracket.covered
    return order.size + max(0, min(bracket.released, free + max(0, overdue)))


def _check_prices(
    floor: Floor, market: Market, order: Order, request: ReplaceRequest
) -> Refusal | None:
    if request.trail_ticks is not None and request.trail_ticks <= 0:
        return Refusal(Reason.PRICE_NOT_POSITIVE, request.trail_ticks, 1)
    stop = triggers.changed_stop(order, request.trail_ticks, request.stop_ticks)
    for price in (request.limit_ticks, request.stop_ticks, None if stop == order.stop else stop):
        refusal = None if price is None else checks.check_price(market, price)
        if refusal is not None:
            return refusal
    if request.limit_ticks is not None and request.limit_ticks != order.limit:
        refusal = checks.check_band(market, order.side, request.limit_ticks)
        if refusal is not None:
            return refusal
    if order.status is OrderStatus.PENDING:
        return None
    if stop is not None and stop != order.stop:
        return checks.check_stop_side(floor, market, order.order_type, order.side, stop)
    size, limit = _wanted(request.size_lots, order.size), _wanted(request.limit_ticks, order.limit)
    if order.post_only and order.order_type is OrderType.LIMIT and limit is not None:
        if limit != order.limit or (size or 0) > order.size:
            return checks.check_post_only(order.account, market, order.side, limit)
    return None


def _wanted(new: int | None, old: int | None) -> int | None:
    return old if new is None else new


def _check_margin(
    floor: Floor, market: Market, order: Order, request: ReplaceRequest
) -> Refusal | None:
    """A larger or dearer order needs margin for the difference."""
    if order.is_exit or not floor.settings.margin:
        return None
    account = order.account
    before = account.required(market, floor.working, None, 0, 0)
    free = account.free(floor.working)
    old = order.size, order.limit, order.stop
    order.size = order.size if request.size_lots is None else request.size_lots
    order.limit = _wanted(request.limit_ticks, order.limit)
    order.stop = triggers.changed_stop(order, request.trail_ticks, request.stop_ticks)
    added = account.required(market, floor.working, None, 0, 0) - before
    order.size, order.limit, order.stop = old
    return Refusal(Reason.INSUFFICIENT_MARGIN, added, free) if added > 0 and added > free else None


def _change_order(floor: Floor, order: Order, request: ReplaceRequest) -> None:
    """A new price or a larger size loses the place, a smaller size keeps it."""
    size = order.size if request.size_lots is None else request.size_lots
    limit = _wanted(request.limit_ticks, order.limit)
    stop = triggers.changed_stop(order, request.trail_ticks, request.stop_ticks)
    if size == order.filled:
        complete_by_size(floor, order)
        after_end(floor, order, Reason.NONE)
        return
    loses_place = limit != order.limit or size > order.size
    # What waits for its trigger is judged again, but nothing triggers in a halt.
    is_judged = order.doing is Doing.STOP and not floor.market_of(order).is_halted
    if loses_place or is_judged:
        floor.leave(order, Doing.ARRIVING)
    if size < order.size:
        set_smaller(order, size)
    order.size, order.limit, order.stop = size, limit, stop
    if request.trail_ticks is not None:
        order.trail, order.trail_ppm = request.trail_ticks, None
    floor.publish_replaced(order, Reason.NONE)
    if order.role is Role.ENTRY and order.bracket is not None:
        _resize_held_exits(floor, order.bracket)
    if loses_place:
        order.priority = floor.next_priority()
    if order.doing is Doing.ARRIVING:
        arrive(floor, order)


def _resize_held_exits(floor: Floor, bracket: Bracket) -> None:
    """Before anything of the entry has filled its exits show the size that they will have."""
    if not bracket.waits_for_entry:
        return
    size = bracket.entry.size if bracket.cap is None else min(bracket.entry.size, bracket.cap)
    for leg in bracket.legs:
        if leg.size != size:
            leg.size = size
            floor.publish_replaced(leg, Reason.EXIT_RESIZED)


def _change_exit(floor: Floor, order: Order, request: ReplaceRequest) -> None:
    """A price by hand stays; a size is for both exits."""
    bracket = order.bracket
    assert bracket is not None
    was, size = order.size, order.size if request.size_lots is None else request.size_lots
    if request.trail_ticks is not None:
        limit, stop = _trailing_prices(bracket, order, request.trail_ticks)
    else:
        limit, stop = _exit_prices(bracket, order, request)
    moved = stop != order.stop if order.waits_for_trigger else limit != order.limit
    is_live = order.status is not OrderStatus.PENDING
    if is_live and (moved or size > was):
        floor.leave(order, Doing.ARRIVING)
        floor.arriving.append(order)
    if order.doing is Doing.STOP:
        floor.leave(order, Doing.ARRIVING)
        order.limit, order.stop = limit, stop
        floor.wait_as_stop(order)
    if size < was:
        set_smaller(order, size)
    order.size, order.limit, order.stop = size, limit, stop
    floor.publish_replaced(order, Reason.NONE)
    if size == was:
        return
    if not is_live:
        _resize_held_sibling(floor, bracket, order, was)
    if bracket.waits_for_entry:
        bracket.cap = size
    else:
        bracket.released += was - size
    sync(floor, bracket)


def _trailing_prices(bracket: Bracket, order: Order, trail: int) -> tuple[int | None, int | None]:
    """A new distance of a trailing exit: from best where there is one, else from the entry."""
    order.trail = trail
    if order.best is None:
        bracket.stop_offset = trail
        return followed_prices(bracket, order)
    bracket.stop_offset = None
    return None, triggers.stop_at(order, order.best)


def _exit_prices(
    bracket: Bracket, order: Order, request: ReplaceRequest
) -> tuple[int | None, int | None]:
    """An exit's new limit and stop; the limit of a stop-limit moves with its stop."""
    limit, stop = order.limit, order.stop
    if request.stop_ticks is not None:
        bracket.stop_offset = None
        if order.order_type is OrderType.STOP_LIMIT:
            if limit is not None and stop is not None:
                limit += request.stop_ticks - stop
            elif bracket.limit_offset is not None:
                limit = request.stop_ticks - bracket.entry.side.sign * bracket.limit_offset
        stop = request.stop_ticks
    if request.limit_ticks is not None:
        limit = request.limit_ticks
        if order.role is Role.TARGET_EXIT:
            bracket.target_offset = None
        else:
            bracket.limit_offset = None
    return limit, stop


def _resize_held_sibling(floor: Floor, bracket: Bracket, order: Order, was: int) -> None:
    for leg in bracket.legs:
        is_held = leg is not order and leg.status is OrderStatus.PENDING
        if is_held and leg.filled == 0 and leg.size == was:
            leg.size = order.size
            floor.publish_replaced(leg, Reason.EXIT_RESIZED)
