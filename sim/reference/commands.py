"""Commands: place, bracket, OCO, cancel. Each is answered first, then it acts."""

from __future__ import annotations

from broker_api.event import CancelRejected, OrderAccepted, OrderRejected, Reason
from broker_api.order import (
    BracketRequest,
    CancelRequest,
    ExitRequest,
    OcoRequest,
    OrderRequest,
    OrderStatus,
    OrderType,
    Role,
    Side,
    Submission,
    TimeInForce,
    order_ids_of,
    requests_of,
)
from sim.reference import checks, triggers
from sim.reference.account import Account
from sim.reference.checks import Refusal
from sim.reference.contingent import cancel
from sim.reference.floor import Floor
from sim.reference.market import Market
from sim.reference.matching import activate_arriving, arrive
from sim.reference.orders import Bracket, Doing, Oco, Order


def submit(floor: Floor, account: Account, market: Market, submission: Submission) -> None:
    """Refuse a submission whole, or accept all of its orders and let them arrive."""
    refusal = _refusal(floor, account, market, submission)
    if refusal is not None:
        for order_id in order_ids_of(submission):
            reject(floor, account, market, order_id, refusal)
        return
    match submission:
        case OrderRequest():
            arrive(floor, _accept(floor, account, market, submission, Role.SINGLE))
        case BracketRequest():
            _place_bracket(floor, account, market, submission)
        case OcoRequest():
            _place_oco(floor, account, submission, market)
    activate_arriving(floor, market)


def reject(floor: Floor, account: Account, market: Market, order_id: int, refusal: Refusal) -> None:
    """An order that is refused never exists."""
    floor.publish(
        account,
        OrderRejected,
        market.index,
        order_id=order_id,
        status=OrderStatus.REJECTED,
        filled_lots=0,
        leaves_lots=0,
        reason=refusal.reason,
        value=refusal.value,
        limit=refusal.limit,
    )


def _refusal(
    floor: Floor, account: Account, market: Market, submission: Submission
) -> Refusal | None:
    refusal = checks.check_supported(submission, floor.markets)
    for request in requests_of(submission):
        expires_ns = expiry_ns(floor, market, request)
        refusal = refusal or checks.check(floor, account, market, request, expires_ns)
    refusal = refusal or checks.check_room(floor, submission)
    if isinstance(submission, BracketRequest):
        refusal = refusal or checks.check_levels(account, market, submission)
    if not isinstance(submission, OrderRequest):
        refusal = refusal or checks.check_groups(floor)
    return refusal


def expiry_ns(floor: Floor, market: Market, request: OrderRequest) -> int | None:
    """When the order's time is over, None for never."""
    if request.time_in_force is TimeInForce.DAY:
        return market.calendar.session_end_ns(floor.ts_ns)
    return request.expires_at_ns if request.time_in_force is TimeInForce.GTD else None


def _accept(
    floor: Floor, account: Account, market: Market, request: OrderRequest, role: Role
) -> Order:
    placed = floor.next_priority()
    stop = request.stop_ticks if request.order_type in checks.HAS_STOP else None
    is_trailing = request.order_type is OrderType.TRAILING_STOP
    if is_trailing:
        stop = triggers.first_stop(market, request)
    order = Order(
        account=account,
        order_id=request.order_id,
        market=market.index,
        side=request.side,
        order_type=request.order_type,
        time_in_force=request.time_in_force,
        role=role,
        size=request.size_lots,
        limit=request.limit_ticks if request.order_type in checks.HAS_LIMIT else None,
        stop=stop,
        protection=request.protection_ticks,
        post_only=request.post_only,
        reduce_only=request.reduce_only,
        expires_ns=expiry_ns(floor, market, request),
        placed=placed,
        priority=placed,
        status=OrderStatus.OPEN,
        trail=request.trail_ticks if is_trailing else None,
        trail_ppm=request.trail_ppm if is_trailing else None,
        activation=request.activation_ticks if is_trailing else None,
        best=triggers.start(market, request) if is_trailing else None,
    )
    _announce(floor, order)
    return order


def _announce(floor: Floor, order: Order) -> None:
    floor.working.append(order)
    floor.publish_order(
        OrderAccepted,
        order,
        side=order.side,
        price_ticks=order.limit_ticks,
        stop_ticks=order.stop_ticks,
        lots=order.size,
    )


def _place_bracket(floor: Floor, account: Account, market: Market, request: BracketRequest) -> None:
    entry = _accept(floor, account, market, request.entry, Role.ENTRY)
    stop, target = request.stop, request.target
    bracket = Bracket(
        entry=entry,
        stop=None,
        target=None,
        arm=request.arm,
        on_partial=request.on_partial,
        stop_offset=None if stop is None else stop.trail_ticks or stop.offset_ticks,
        limit_offset=None if stop is None else stop.limit_offset_ticks,
        target_offset=None if target is None else target.offset_ticks,
    )
    entry.bracket = bracket
    if stop is not None:
        bracket.stop = _accept_exit(floor, bracket, stop, Role.STOP_EXIT)
    if target is not None:
        bracket.target = _accept_exit(floor, bracket, target, Role.TARGET_EXIT)
    floor.brackets.append(bracket)
    arrive(floor, entry)


def _accept_exit(floor: Floor, bracket: Bracket, request: ExitRequest, role: Role) -> Order:
    entry, placed = bracket.entry, floor.next_priority()
    limit, stop = request.price_ticks, None
    order_type = OrderType.LIMIT
    if role is Role.STOP_EXIT:
        limit, stop = None, request.price_ticks
        order_type = OrderType.STOP
        if request.trail_ticks is not None:
            order_type = OrderType.TRAILING_STOP
        if bracket.limit_offset is not None:
            order_type = OrderType.STOP_LIMIT
            limit = None if stop is None else stop - entry.side.sign * bracket.limit_offset
    leg = Order(
        account=entry.account,
        order_id=request.order_id,
        market=entry.market,
        side=entry.side.opposite,
        order_type=order_type,
        time_in_force=TimeInForce.GTC,
        role=role,
        size=entry.size,
        limit=limit,
        stop=stop,
        protection=None,
        post_only=False,
        reduce_only=False,
        expires_ns=None,
        placed=placed,
        priority=placed,
        doing=Doing.HELD,
        bracket=bracket,
        trail=request.trail_ticks,
    )
    _announce(floor, leg)
    return leg


def _place_oco(floor: Floor, account: Account, request: OcoRequest, market: Market) -> None:
    first = _accept(floor, account, market, request.first, Role.OCO_LEG)
    second = _accept(floor, account, market, request.second, Role.OCO_LEG)
    first.oco = second.oco = Oco(first, second, request.on_partial)
    for leg in (first, second):
        if leg.is_working:
            arrive(floor, leg)


def cancel_by_user(floor: Floor, account: Account, request: CancelRequest) -> None:
    """End a working order of an account, or say that there is none."""
    order = floor.find(account, request.order_id)
    if order is not None:
        cancel(floor, order, Reason.BY_USER)
        activate_arriving(floor, floor.market_of(order))
        return
    status = account.ended.get(request.order_id)
    floor.publish(
        account,
        CancelRejected,
        -1,
        order_id=request.order_id,
        status=status or OrderStatus.REJECTED,
        filled_lots=0,
        leaves_lots=0,
        reason=Reason.ORDER_NOT_ACTIVE if status else Reason.UNKNOWN_ORDER,
    )


def liquidate(floor: Floor, account: Account, market: Market) -> None:
    """The venue closes a position with a market order of its own.

    Exits of others that it brings to life arrive right behind it.
    """
    account.liquidations += 1
    lots = account.lots(market.index)
    request = OrderRequest(
        order_id=-account.liquidations,
        client_order_id="",
        instrument=market.instrument.symbol,
        side=Side.SELL if lots > 0 else Side.BUY,
        order_type=OrderType.MARKET,
        size_lots=abs(lots),
        time_in_force=TimeInForce.NONE,
        reduce_only=True,
    )
    order = _accept(floor, account, market, request, Role.LIQUIDATION)
    if market.is_halted:
        order.doing = Doing.WAITING
        return
    arrive(floor, order)
    activate_arriving(floor, market)
