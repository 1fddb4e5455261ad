"""How orders trade: taking, resting, prints, crossings, triggers, activations."""

from __future__ import annotations

from broker_api.event import OrderActivated, OrderFilled, OrderTriggered, Reason
from broker_api.order import (
    BeyondTop,
    Liquidity,
    OrderStatus,
    OrderType,
    SelfTrade,
    Side,
    TimeInForce,
)
from data.schema import RowKind
from sim.reference import bars, queue, triggers
from sim.reference.contingent import after_fill, cancel
from sim.reference.floor import Floor
from sim.reference.market import Market, Row
from sim.reference.orders import Doing, Order

AT_ANY_PRICE = (
    OrderType.MARKET,
    OrderType.STOP,
    OrderType.MARKET_IF_TOUCHED,
    OrderType.TRAILING_STOP,
)
"""Types without a limit, once they have triggered."""


def fill(floor: Floor, order: Order, ticks: int, lots: int, liquidity: Liquidity) -> None:
    """One execution and what it causes."""
    market = floor.market_of(order)
    order.filled += lots
    order.cost += lots * ticks
    more_may_come = order.is_exit and order.bracket is not None and order.bracket.entry.is_working
    ends = order.leaves == 0 and not more_may_come
    order.status = OrderStatus.FILLED if ends else OrderStatus.PARTIALLY_FILLED
    queue.use_places(order, lots)
    if market.path is not None:
        market.path.fill = ticks
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
        ambiguous=order.ambiguous or bars.reached_too(market, sibling_of(order)),
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


def own_in_the_way(floor: Floor, order: Order, price: int) -> list[Order]:
    """The own resting orders that the order meets at `price` or better, by placement."""
    makers: list[Order] = list(floor.market_of(order).makers[order.side.opposite])
    met = [m for m in makers if m.limit is not None and is_within(order, m.limit, price)]
    return sorted(met, key=lambda maker: maker.placed)


def losers(floor: Floor, taker: Order, maker: Order, filled: int = 0) -> list[Order]:
    """Who is cancelled where two own orders meet: never the one that reduces the position.

    `filled` lots of the taker are to be added to the position first.
    """
    position = floor.position(taker.market) + taker.side.sign * filled
    if position * taker.side.sign < 0:
        return [maker]
    if position * maker.side.sign < 0:
        return [taker]
    policy = floor.settings.self_trade_policy
    if policy is SelfTrade.CANCEL_BOTH:
        return [maker, taker]
    newest, oldest = (taker, maker) if taker.placed > maker.placed else (maker, taker)
    return [newest] if policy is SelfTrade.CANCEL_NEWEST else [oldest]


def meet_own(floor: Floor, order: Order, price: int) -> None:
    """Own orders that would trade at `price` or better: one of each two is cancelled.

    What a print of the same row had given to a resting order fills first.
    """
    while order.live > 0:
        met = own_in_the_way(floor, order, price)
        if not met:
            return
        own = met[0]
        if own.noted:
            fill_noted(floor, own)
            continue
        for loser in losers(floor, order, own):
            if loser.is_working:
                cancel(floor, loser, Reason.SELF_TRADE)


def take(floor: Floor, order: Order, limit: int | None) -> None:
    """Walk from the best price out; every level is a fill of its own."""
    market = floor.market_of(order)
    side = order.side.opposite
    for price in market.levels(side):
        if order.doing is not Doing.WAITING or not is_within(order, price, limit):
            return
        meet_own(floor, order, price)
        lots = market.available(side, price)
        if market.beyond_top is BeyondTop.INFINITE:
            lots = order.live
        lots = clipped(floor, order, lots)
        if lots == 0:
            continue
        if market.beyond_top is not BeyondTop.INFINITE:
            market.take(side, price, lots)
        fill(floor, order, price, lots, Liquidity.TAKER)


def protection_limit(floor: Floor, order: Order) -> int | None:
    """The worst price of an order with protection, by the touch of this moment."""
    market = floor.market_of(order)
    best = market.best(order.side.opposite)
    if order.protection is None or best is None:
        return None
    worst = best + order.side.sign * order.protection
    return worst if market.instrument.allow_negative_price else max(worst, 1)


def can_fill_all(floor: Floor, order: Order, limit: int | None) -> bool:
    """True when the whole size is there now, up to the limit, and no own order forbids it."""
    market = floor.market_of(order)
    wanted = order.live
    if clipped(floor, order, wanted) < wanted:
        return False
    outlived: list[Order] = []
    for price in market.levels(order.side.opposite):
        if not is_within(order, price, limit):
            return False
        # Those that it outlives at an earlier price are gone by then.
        met = [own for own in own_in_the_way(floor, order, price) if own not in outlived]
        if any(order in losers(floor, order, own, order.live - wanted) for own in met):
            return False
        outlived += met
        if market.beyond_top is BeyondTop.INFINITE:
            return True
        wanted -= market.available(order.side.opposite, price)
        if wanted <= 0:
            return True
    return False


def would_take(market: Market, order: Order) -> bool:
    """True when a limit order reaches the best price of the other side."""
    best = market.best(order.side.opposite)
    return best is not None and order.limit is not None and is_within(order, best, order.limit)


def execute(floor: Floor, order: Order) -> None:
    """An order is in the market: it takes what it can, the rest follows its type."""
    limit = order.limit
    if order.order_type in AT_ANY_PRICE:
        limit = protection_limit(floor, order)
    if order.time_in_force is TimeInForce.FOK and not can_fill_all(floor, order, limit):
        cancel(floor, order, Reason.FOK_NOT_AVAILABLE)
    elif order.post_only and would_take(floor.market_of(order), order):
        cancel(floor, order, Reason.POST_ONLY_AT_TRIGGER)
    else:
        go_on(floor, order, limit)


def go_on(floor: Floor, order: Order, limit: int | None) -> None:
    """The order takes what there is, and its rest finds its place."""
    floor.leave(order, Doing.WAITING)
    take(floor, order, limit)
    if order.doing is not Doing.WAITING:
        return
    if order.time_in_force is TimeInForce.IOC:
        cancel(floor, order, Reason.IOC_REST)
        return
    if order.limit is None and limit is not None:
        order.limit = limit
        order.order_type = OrderType.LIMIT
        if order.time_in_force is TimeInForce.NONE:
            order.time_in_force = TimeInForce.GTC
        floor.publish_replaced(order, Reason.PROTECTION_LIMIT)
    if order.limit is not None:
        rest(floor, order)


def rest(floor: Floor, order: Order) -> None:
    """What is left of a limit order joins the book, unless it would rest across an own one."""
    market = floor.market_of(order)
    assert order.limit is not None
    meet_own(floor, order, order.limit)
    if order.doing is not Doing.WAITING:
        return
    order.doing = Doing.RESTING
    queue.join(floor.settings, market, order)
    market.makers[order.side].add(order)


def trigger(floor: Floor, order: Order) -> None:
    """The order saw its price: it becomes a market or a limit order at once."""
    market = floor.market_of(order)
    source = triggers.source_of(market, order)
    if market.path is not None:
        way = triggers.way(order.order_type, order.side)
        market.stands_at = source = bars.acts_at(market, order, way)
    assert source is not None
    floor.leave(order, Doing.WAITING)
    order.triggered = True
    floor.publish_order(OrderTriggered, order, price_ticks=source, stop_ticks=order.stop)
    execute(floor, order)
    market.stands_at = None


def activate_arriving(floor: Floor, market: Market) -> None:
    """Exits that were brought to life arrive, in order of placement, unless nothing trades."""
    while not market.is_halted:
        marked = [leg for leg in floor.arriving if leg.market == market.index]
        if not marked:
            return
        leg = min(marked, key=lambda marked_leg: marked_leg.placed)
        floor.arriving.remove(leg)
        leg.priority = floor.next_priority()
        if leg.is_trailing:
            triggers.join_market(market, leg)
        if leg.status is OrderStatus.PENDING:
            leg.status = leg.working_status
            assert leg.bracket is not None
            leg.size = leg.filled + leg.bracket.due
            publish_activated(floor, leg)
        on_the_way = market.path is not None and market.path.is_continuous
        if on_the_way and leg.order_type is OrderType.TRAILING_STOP:
            triggers.go_on(leg)
        leg.arrives_by_fill = True
        arrive(floor, leg)
        leg.arrives_by_fill = False


def arrive(floor: Floor, order: Order) -> None:
    """An accepted order meets the market for the first time, or anew."""
    if order.waits_for_trigger:
        if triggers.is_through(floor.market_of(order), order):
            trigger(floor, order)
        else:
            floor.wait_as_stop(order)
        return
    if bars.joins_as_maker(floor.market_of(order), order):
        floor.leave(order, Doing.WAITING)
        rest(floor, order)
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
                queue.clear(floor.settings, order)
                everything = floor.settings.trade_through == "all"
                order.noted = order.live if everything else min(order.live, left)
            elif at_price:
                order.noted = queue.meet_print(floor.settings, order, row.qty, left)
            left = max(0, left - order.noted)


def fill_noted(floor: Floor, order: Order) -> None:
    """The part of the print that was noted for a resting order."""
    lots, order.noted = clipped(floor, order, order.noted), 0
    if lots and order.doing is Doing.RESTING:
        price = bars.maker_price(floor.market_of(order), order)
        fill(floor, order, price, lots, Liquidity.MAKER)


def fill_all_noted(floor: Floor, market: Market) -> None:
    """The fills that the print gives, the best price first."""
    for side in Side:
        for order in list(market.makers[side]):
            if order.doing is Doing.RESTING and order.noted:
                fill_noted(floor, order)


def trigger_stops(floor: Floor, market: Market) -> None:
    """What the row triggers, nearest to the old price first, ties by arrival."""
    reached: list[tuple[int, int, Order]] = []
    for order in floor.stops[market.index]:
        if triggers.is_through(market, order):
            reached.append((_distance(market, order), order.priority, order))
    for _, _, order in sorted(reached, key=lambda item: item[:2]):
        if order.doing is Doing.STOP:
            order.ambiguous = reaches_sibling(market, order)
            trigger(floor, order)
            order.ambiguous = False


def trail_stops(floor: Floor, market: Market) -> None:
    """Trailing stops move with the row's source, and those that it makes active say so."""
    waiting = [order for order in floor.stops[market.index] if order.is_trailing]
    for order in sorted(waiting, key=lambda trailing: trailing.placed):
        if triggers.trail_along(market, order):
            publish_activated(floor, order)


def publish_activated(floor: Floor, order: Order) -> None:
    """An exit went live, or a trailing stop began to trail."""
    floor.publish_order(
        OrderActivated,
        order,
        price_ticks=order.limit_ticks,
        stop_ticks=order.stop_ticks,
        lots=order.size,
    )


def _distance(market: Market, order: Order) -> int:
    """For sorting: the farther the row went past a stop, the nearer it was to the old price."""
    new = triggers.source_of(market, order)
    assert order.stop is not None
    assert new is not None
    return -abs(order.stop - new)


def sibling_of(order: Order) -> Order | None:
    """The other exit of a bracket or the other leg of an OCO that has not ended."""
    if order.oco is not None:
        return order.oco.sibling_of(order)
    if order.bracket is None or not order.is_exit:
        return None
    return next((leg for leg in order.bracket.legs if leg is not order), None)


def reaches_sibling(market: Market, order: Order) -> bool:
    """True when the row that triggers a stop gives its sibling a fill as well."""
    sibling = sibling_of(order)
    if sibling is None or sibling.doing is not Doing.RESTING:
        return False
    return sibling.noted > 0 or would_take(market, sibling)


def fill_waiting(floor: Floor, market: Market) -> None:
    """Market orders and triggered stops that wait take what this row offers."""
    for order in list(floor.working):
        if order.market == market.index and order.doing is Doing.WAITING:
            go_on(floor, order, protection_limit(floor, order))


def fill_crossed(floor: Floor, market: Market) -> None:
    """Resting orders that the touch crosses fill at their own price, buys first."""
    for side in Side:
        crossed = [order for order in market.makers[side] if would_take(market, order)]
        for order in crossed:
            best = market.best(side.opposite)
            if order.doing is not Doing.RESTING or best is None:
                continue
            lots = clipped(floor, order, market.available(side.opposite, best))
            if lots:
                market.take(side.opposite, best, lots)
                fill(floor, order, bars.maker_price(market, order), lots, Liquidity.MAKER)


def look_at_queues(floor: Floor, market: Market) -> None:
    """At the end of a packet queues are compared with what is shown."""
    if market.ends_packet():
        for side in Side:
            for order in market.makers[side]:
                queue.look_at_shown(floor.settings, market, order)


def apply_row(floor: Floor, market: Market, row: Row) -> None:
    """Everything that a row does to the orders of its instrument, in the page's order."""
    if row.kind == RowKind.TRADE:
        note_print(floor, market, row)
    if market.brings_source(row):
        trail_stops(floor, market)
        trigger_stops(floor, market)
    if row.kind == RowKind.TRADE:
        fill_all_noted(floor, market)
    if row.kind in (RowKind.QUOTE, RowKind.TRADE):
        fill_waiting(floor, market)
        fill_crossed(floor, market)
    activate_arriving(floor, market)
    if market.path is not None and market.path.is_continuous:
        fill_crossed(floor, market)
        activate_arriving(floor, market)
    look_at_queues(floor, market)
