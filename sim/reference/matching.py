"""How orders trade: taking, resting, prints, crossings, triggers, activations."""

from __future__ import annotations

from broker_api.event import OrderActivated, OrderFilled, OrderTriggered, Reason
from broker_api.order import (
    BeyondTop,
    Liquidity,
    OrderStatus,
    OrderType,
    Role,
    SelfTrade,
    Side,
    TimeInForce,
)
from data.schema import RowKind
from sim.reference import queue
from sim.reference.contingent import after_end, after_fill
from sim.reference.floor import Floor
from sim.reference.market import Market, Row
from sim.reference.orders import Doing, Order


def cancel(floor: Floor, order: Order, reason: Reason) -> None:
    """Cancel an order and everything that follows from it."""
    floor.cancel(order, reason)
    after_end(floor, order, reason)


def fill(floor: Floor, order: Order, ticks: int, lots: int, liquidity: Liquidity) -> None:
    """One execution and what it causes."""
    market = floor.market_of(order)
    order.filled += lots
    order.cost += lots * ticks
    more_may_come = order.is_exit and order.bracket is not None and order.bracket.entry.is_working
    ends = order.leaves == 0 and not more_may_come
    order.status = OrderStatus.FILLED if ends else OrderStatus.PARTIALLY_FILLED
    left = lots
    for place in order.places:
        used = min(left, place.lots)
        place.lots -= used
        left -= used
    order.places = [place for place in order.places if place.lots > 0]
    fee = floor.account.fee(market, ticks, lots, liquidity)
    floor.account.settle(market, order.side, ticks, lots, fee)
    floor.publish_order(
        OrderFilled,
        order,
        side=order.side,
        price_ticks=ticks,
        lots=lots,
        fee_nanos=fee,
        liquidity=liquidity,
        ambiguous=order.ambiguous,
    )
    floor.publish_money(market.index)
    after_fill(floor, order, lots)


def clipped(floor: Floor, order: Order, lots: int) -> int:
    """Lots of a fill that the order may have: a reduce-only order no more than is open."""
    lots = min(lots, order.live)
    return min(lots, abs(floor.position(order.market))) if order.reduce_only else lots


def is_within(order: Order, price: int, limit: int | None) -> bool:
    """True when an order with this limit may trade at the price."""
    return limit is None or (limit - price) * order.side.sign >= 0


def best_level(market: Market, order: Order, limit: int | None) -> int | None:
    """The best price at which the order finds liquidity, within its limit."""
    for price in market.levels(order.side.opposite):
        if not is_within(order, price, limit):
            return None
        if market.available(order.side.opposite, price) > 0:
            return price
    return None


def own_in_the_way(
    market: Market, order: Order, level: int | None, limit: int | None
) -> Order | None:
    """The best own resting order that a taker meets at `level`, or while joining the book."""
    makers = market.makers[order.side.opposite]
    if not makers:
        return None
    maker: Order = makers[0]
    assert maker.limit is not None
    if level is not None:
        meets = is_within(order, maker.limit, level)
    else:
        meets = limit is not None and is_within(order, maker.limit, limit)
    return maker if meets else None


def losers(floor: Floor, taker: Order, maker: Order) -> list[Order]:
    """Who is cancelled where two own orders meet: never the one that reduces the position."""
    position = floor.position(taker.market)
    if position * taker.side.sign < 0:
        return [maker]
    if position * maker.side.sign < 0:
        return [taker]
    newest, oldest = (taker, maker) if taker.placed > maker.placed else (maker, taker)
    policy = floor.settings.self_trade_policy
    if policy is SelfTrade.CANCEL_BOTH:
        return [oldest, newest]
    return [newest] if policy is SelfTrade.CANCEL_NEWEST else [oldest]


def take(floor: Floor, order: Order, limit: int | None) -> None:
    """Walk from the best price out; every level is a fill of its own."""
    market = floor.market_of(order)
    side = order.side.opposite
    while order.live > 0:
        level = best_level(market, order, limit)
        own = own_in_the_way(market, order, level, limit)
        if own is not None:
            if own.noted:
                fill_noted(floor, own)
                continue
            for loser in losers(floor, order, own):
                if loser.is_working:
                    cancel(floor, loser, Reason.SELF_TRADE)
            continue
        if level is None:
            return
        lots = clipped(floor, order, market.available(side, level))
        if lots == 0:
            return
        market.take(side, level, lots)
        fill(floor, order, level, lots, Liquidity.TAKER)


def protection_limit(floor: Floor, order: Order) -> int | None:
    """The worst price of an order with protection, by the touch of this moment."""
    best = floor.market_of(order).best(order.side.opposite)
    if order.protection is None or best is None:
        return None
    return best + order.side.sign * order.protection


def can_fill_all(floor: Floor, order: Order, limit: int | None) -> bool:
    """True when the whole size is there now, up to the limit."""
    market = floor.market_of(order)
    wanted = order.live
    if order.reduce_only and wanted > abs(floor.position(order.market)):
        return False
    for price in market.levels(order.side.opposite):
        if not is_within(order, price, limit):
            return False
        own = own_in_the_way(market, order, price, limit)
        if own is not None and order in losers(floor, order, own):
            return False
        wanted -= market.available(order.side.opposite, price)
        if wanted <= 0:
            return True
    return False


def would_take(floor: Floor, order: Order) -> bool:
    """True when a limit order reaches the touch of the other side."""
    best = floor.market_of(order).best(order.side.opposite)
    return best is not None and order.limit is not None and is_within(order, best, order.limit)


def execute(floor: Floor, order: Order) -> None:
    """An order is in the market: it takes what it can, the rest follows its type."""
    limit = order.limit
    if order.order_type in (OrderType.MARKET, OrderType.STOP):
        limit = protection_limit(floor, order)
    if order.triggered and order.post_only and would_take(floor, order):
        cancel(floor, order, Reason.POST_ONLY_WOULD_TAKE)
        return
    if order.time_in_force is TimeInForce.FOK and not can_fill_all(floor, order, limit):
        cancel(floor, order, Reason.FOK_NOT_AVAILABLE)
        return
    floor.leave(order, Doing.WAITING)
    take(floor, order, limit)
    if order.live == 0:
        return
    if order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
        cancel(floor, order, Reason.IOC_REST)
    elif order.limit is not None:
        rest(floor, order)
    elif limit is not None:
        order.limit = limit
        order.order_type = OrderType.LIMIT
        order.time_in_force, order.expires_ns = TimeInForce.GTC, None
        floor.publish_replaced(order, Reason.PROTECTION_LIMIT)
        rest(floor, order)


def rest(floor: Floor, order: Order) -> None:
    """What is left of a limit order joins the book."""
    market = floor.market_of(order)
    order.doing = Doing.RESTING
    order.places = [queue.join(floor.settings, market, order, order.live)]
    market.makers[order.side].add(order)


def is_through(market: Market, order: Order) -> bool:
    """True when the trigger source has reached the order's stop; equality counts."""
    source = market.source_price(order.side)
    assert order.stop is not None
    if source is None:
        return False
    return (source - order.stop * market.tick_nanos) * order.side.sign >= 0


def trigger(floor: Floor, order: Order) -> None:
    """The stop saw its price: it becomes a market or a limit order at once."""
    market = floor.market_of(order)
    source = market.source_price(order.side)
    assert source is not None
    floor.leave(order, Doing.WAITING)
    order.triggered = True
    floor.publish_order(OrderTriggered, order, price_ticks=source // market.tick_nanos)
    execute(floor, order)


def activate_arriving(floor: Floor) -> None:
    """Exits that were brought to life arrive, as soon as their market trades."""
    while True:
        ready = [
            leg
            for leg in floor.arriving
            if not floor.market_of(leg).is_halted and floor.market_of(leg).is_known
        ]
        if not ready:
            return
        leg = ready[0]
        floor.arriving.remove(leg)
        if leg.status is OrderStatus.PENDING:
            leg.status = leg.working_status
            floor.publish_order(
                OrderActivated,
                leg,
                price_ticks=leg.limit_ticks,
                stop_ticks=leg.stop_ticks,
                lots=leg.size,
            )
        arrive(floor, leg)


def arrive(floor: Floor, order: Order) -> None:
    """An accepted order meets the market for the first time, or anew."""
    if order.stop is not None and not order.triggered:
        if is_through(floor.market_of(order), order):
            trigger(floor, order)
        else:
            floor.wait_as_stop(order)
        return
    execute(floor, order)


# what a row brings


def note_print(floor: Floor, market: Market, row: Row) -> None:
    """Share a print among the resting orders at its price or better; nothing fills yet."""
    for side in Side:
        left = row.qty
        for order in market.makers[side]:
            assert order.limit is not None
            order.noted = 0
            is_beyond = queue.is_better(side, order.limit, row.px)
            at_price = order.limit == row.px and row.side * side.sign <= 0
            if is_beyond:
                everything = floor.settings.trade_through == "all"
                order.noted = order.live if everything else min(order.live, left)
            elif at_price:
                queue.explain(order, row.qty)
                order.noted = min(order.live, queue.meet_print(floor.settings, order, left))
            left = max(0, left - order.noted)


def fill_noted(floor: Floor, order: Order) -> None:
    """The part of the print that was noted for a resting order."""
    lots, order.noted = clipped(floor, order, order.noted), 0
    if lots and order.doing is Doing.RESTING:
        assert order.limit is not None
        fill(floor, order, order.limit, lots, Liquidity.MAKER)


def fill_all_noted(floor: Floor, market: Market) -> None:
    """The fills that the print gives, the best price first."""
    for side in Side:
        for order in list(market.makers[side]):
            if order.doing is Doing.RESTING and order.noted:
                fill_noted(floor, order)


def trigger_stops(floor: Floor, market: Market, before: dict[Side, int | None]) -> None:
    """Stops that the row reaches, nearest to the old price first, ties by placement."""
    reached: list[tuple[int, int, Order]] = []
    for side in Side:
        for order in floor.stops[market.index][side]:
            if not is_through(market, order):
                break
            old, new = before[side], market.source_price(side)
            assert new is not None
            stop = order.stop * market.tick_nanos
            distance = abs(stop - old) if old is not None else -abs(stop - new)
            reached.append((distance, order.placed, order))
    for _, _, order in sorted(reached, key=lambda item: item[:2]):
        if order.doing is Doing.STOP:
            order.ambiguous = reaches_sibling(floor, market, order)
            trigger(floor, order)


def reaches_sibling(floor: Floor, market: Market, order: Order) -> bool:
    """True when the row that triggers a stop gives its sibling a fill as well."""
    sibling: Order | None = None
    if order.bracket is not None and order.role is Role.STOP_EXIT:
        sibling = order.bracket.target
    elif order.oco is not None:
        sibling = order.oco.sibling_of(order)
    if sibling is None or sibling.doing is not Doing.RESTING:
        return False
    return sibling.noted > 0 or crossing_lots(market, sibling) > 0


def crossing_lots(market: Market, order: Order) -> int:
    """Lots at the touch of the other side that cross a resting order."""
    side = order.side.opposite
    touch = market.touch[side].price
    if touch is None or not is_within(order, touch, order.limit):
        return 0
    if market.beyond_top is BeyondTop.INFINITE:
        return market.shown(side).lots
    return market.available(side, touch)


def fill_waiting(floor: Floor, market: Market) -> None:
    """Market orders and triggered stops that wait take what this row offers."""
    for order in list(floor.working):
        if order.market == market.index and order.doing is Doing.WAITING:
            execute(floor, order)


def fill_crossed(floor: Floor, market: Market) -> None:
    """Resting orders that the touch crosses fill at their own price, buys first."""
    for side in Side:
        for order in list(market.makers[side]):
            if order.doing is not Doing.RESTING:
                continue
            lots = clipped(floor, order, crossing_lots(market, order))
            if lots:
                touch = market.touch[side.opposite].price
                assert touch is not None
                assert order.limit is not None
                market.take(side.opposite, touch, lots)
                fill(floor, order, order.limit, lots, Liquidity.MAKER)


def look_at_queues(floor: Floor, market: Market, row: Row) -> None:
    """At the end of a packet queues are compared with what is shown."""
    if market.ends_packet():
        for side in Side:
            for order in market.makers[side]:
                queue.look_at_shown(floor.settings, market, order, row)


def apply_row(floor: Floor, market: Market, row: Row) -> None:
    """Everything that a row does to the orders of its instrument, in the page's order."""
    before = {side: market.source_price(side) for side in Side}
    market.show(row)
    if market.is_halted or row.kind in (RowKind.OPEN, RowKind.RESUME):
        return
    market.is_known = True
    if row.kind == RowKind.TRADE:
        note_print(floor, market, row)
    trigger_stops(floor, market, before)
    if row.kind == RowKind.TRADE:
        fill_all_noted(floor, market)
    fill_waiting(floor, market)
    fill_crossed(floor, market)
    activate_arriving(floor)
    look_at_queues(floor, market, row)
