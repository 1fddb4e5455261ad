"""Changes of working orders. A refused change leaves everything as it was."""

from __future__ import annotations

from broker_api.event import Reason, ReplaceRejected
from broker_api.order import OrderStatus, ReplaceRequest, Role
from sim.reference import checks
from sim.reference.checks import Refusal
from sim.reference.contingent import set_size
from sim.reference.floor import Floor
from sim.reference.market import Market
from sim.reference.matching import activate_arriving, arrive
from sim.reference.orders import Bracket, Doing, Order


def replace(floor: Floor, request: ReplaceRequest) -> None:
    """Change a working order, or say why not."""
    order = floor.find(request.order_id)
    if order is None:
        _refuse_unknown(floor, request.order_id)
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
    _apply(floor, order, request)
    activate_arriving(floor)


def _refuse_unknown(floor: Floor, order_id: int) -> None:
    status = floor.ended.get(order_id)
    floor.publish(
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
        _check_modifiable(order, request)
        or _check_session(market, order, request)
        or _check_size(floor, market, order, request)
        or _check_prices(floor, market, order, request)
        or _check_margin(floor, market, order, request)
    )


def _check_modifiable(order: Order, request: ReplaceRequest) -> Refusal | None:
    if order.doing is Doing.WAITING:
        return Refusal(Reason.NOT_MODIFIABLE)
    has_stop = order.order_type in checks.HAS_STOP and not order.triggered
    if request.limit_ticks is not None and order.order_type not in checks.HAS_LIMIT:
        return Refusal(Reason.NOT_MODIFIABLE, request.limit_ticks)
    if request.stop_ticks is not None and not has_stop:
        return Refusal(Reason.NOT_MODIFIABLE, request.stop_ticks)
    return None


def _check_session(market: Market, order: Order, request: ReplaceRequest) -> Refusal | None:
    larger = request.size_lots is not None and request.size_lots > order.size
    moved = _new_limit(order, request) != order.limit or _new_stop(order, request) != order.stop
    return checks.check_session(market) if larger or moved else None


def _new_limit(order: Order, request: ReplaceRequest) -> int | None:
    """The limit after the change: that of a stop-limit exit moves with its stop."""
    if request.limit_ticks is not None:
        return request.limit_ticks
    bracket = order.bracket
    follows = bracket is not None and order.role is Role.STOP_EXIT
    if follows and request.stop_ticks is not None and bracket is not None:
        if bracket.limit_offset is not None:
            return request.stop_ticks - bracket.entry.side.sign * bracket.limit_offset
    return order.limit


def _new_stop(order: Order, request: ReplaceRequest) -> int | None:
    return order.stop if request.stop_ticks is None else request.stop_ticks


def _check_size(
    floor: Floor, market: Market, order: Order, request: ReplaceRequest
) -> Refusal | None:
    size = request.size_lots
    if size is None or size == order.size:
        return None
    if size <= 0:
        return checks.check_size(market, size)
    if size < order.filled:
        return Refusal(Reason.SIZE_BELOW_FILLED, size, order.filled)
    if order.is_exit:
        largest = _largest_exit(floor, order)
        return Refusal(Reason.SIZE_ABOVE_MAXIMUM, size, largest) if size > largest else None
    return checks.check_size(market, size)


def _largest_exit(floor: Floor, order: Order) -> int:
    """An exit cannot grow beyond what is left to close."""
    bracket = order.bracket
    assert bracket is not None
    if order.doing is Doing.HELD:
        return bracket.entry.size
    room = abs(floor.position(order.market)) - sum(
        other.due
        for other in floor.brackets
        if other is not bracket
        and other.entry.market == order.market
        and other.entry.side is bracket.entry.side
    )
    left = min(bracket.entry.filled - bracket.exits_filled, room)
    return order.filled + max(left, order.live)


def _check_prices(
    floor: Floor, market: Market, order: Order, request: ReplaceRequest
) -> Refusal | None:
    refusal = None
    if request.limit_ticks is not None:
        refusal = checks.check_price(market, request.limit_ticks)
    if refusal is None and request.stop_ticks is not None:
        refusal = checks.check_price(market, request.stop_ticks)
    if refusal is not None or order.doing is Doing.HELD:
        return refusal
    if request.stop_ticks is not None and request.stop_ticks != order.stop:
        return checks.check_stop_side(floor, market, order.side, request.stop_ticks)
    moved = request.limit_ticks is not None and request.limit_ticks != order.limit
    if moved and order.post_only and order.doing is Doing.RESTING:
        assert request.limit_ticks is not None
        return checks.check_post_only(market, order.side, request.limit_ticks)
    return None


def _check_margin(
    floor: Floor, market: Market, order: Order, request: ReplaceRequest
) -> Refusal | None:
    if order.is_exit or order.reduce_only or not floor.settings.margin:
        return None
    account = floor.account
    before = account.required(market, floor.working, None, 0, 0)
    free = account.equity() - account.used(floor.working)
    old = order.size, order.limit, order.stop
    order.limit, order.stop = _new_limit(order, request), _new_stop(order, request)
    order.size = order.size if request.size_lots is None else request.size_lots
    added = account.required(market, floor.working, None, 0, 0) - before
    order.size, order.limit, order.stop = old
    return Refusal(Reason.INSUFFICIENT_MARGIN, added, free) if added > 0 and added > free else None


def _apply(floor: Floor, order: Order, request: ReplaceRequest) -> None:
    limit, stop = _new_limit(order, request), _new_stop(order, request)
    size = order.size if request.size_lots is None else request.size_lots
    if size == order.filled:
        _complete(floor, order)
        return
    moved = limit != order.limit or stop != order.stop
    anew = moved or (size > order.size and order.doing is Doing.RESTING)
    doing = order.doing
    if anew and doing in (Doing.RESTING, Doing.STOP):
        floor.leave(order, Doing.ARRIVING)
        order.priority = floor.next_priority()
    order.limit, order.stop = limit, stop
    change = size - order.size
    if change < 0:
        set_size(order, size)
    order.size = size
    floor.publish_replaced(order, Reason.NONE)
    if order.bracket is not None and order.is_exit:
        _end_offsets(order.bracket, order, request)
        if change:
            _follow(floor, order.bracket, order, change)
    if order.doing is Doing.ARRIVING and order.is_working:
        arrive(floor, order)


def _end_offsets(bracket: Bracket, order: Order, request: ReplaceRequest) -> None:
    """A price set by hand no longer follows the entry's average."""
    if order.role is Role.TARGET_EXIT and request.limit_ticks is not None:
        bracket.target_offset = None
    if order.role is Role.STOP_EXIT:
        if request.stop_ticks is not None:
            bracket.stop_offset = None
        if request.limit_ticks is not None:
            bracket.limit_offset = None


def _follow(floor: Floor, bracket: Bracket, order: Order, change: int) -> None:
    """The other exit takes over a new size."""
    bracket.released -= change
    for leg in bracket.legs:
        if leg is order:
            continue
        if leg.size + change > leg.size:
            leg.size += change
        else:
            set_size(leg, leg.size + change)
        floor.publish_replaced(leg, Reason.EXIT_RESIZED)


def _complete(floor: Floor, order: Order) -> None:
    """A new size equal to what has filled completes the order."""
    order.size = order.filled
    order.status = OrderStatus.FILLED
    floor.publish_replaced(order, Reason.COMPLETED_BY_SIZE)
    floor.finish(order)
