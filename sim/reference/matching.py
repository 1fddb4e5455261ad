"""How orders act: arriving, resting, prints, crossings, triggers, activations."""

from __future__ import annotations

from broker_api.event import OrderActivated, OrderTriggered, Reason
from broker_api.order import Liquidity, OrderStatus, OrderType, Side, TimeInForce
from data.schema import RowKind
from sim.reference import bars, queue, triggers
from sim.reference.contingent import cancel
from sim.reference.filling import clipped, fill, fill_noted, sibling_of
from sim.reference.floor import Floor
from sim.reference.market import Market, Row
from sim.reference.orders import Doing, Order
from sim.reference.taking import can_fill_all, meet_own, take, would_meet, would_take

AT_ANY_PRICE = (
    OrderType.MARKET,
    OrderType.STOP,
    OrderType.MARKET_IF_TOUCHED,
    OrderType.TRAILING_STOP,
)
"""Types without a limit, once they have triggered."""


def protection_limit(floor: Floor, order: Order) -> int | None:
    """The worst price of an order with protection, by the touch of this moment."""
    market = floor.market_of(order)
    best = market.best(order.side.opposite)
    if order.protection is None or best is None:
        return None
    worst = best + order.side.sign * order.protection
    return worst if market.instrument.allow_negative_price else max(worst, 1)


def execute(floor: Floor, order: Order) -> None:
    """An order is in the market: it takes what it can, the rest follows its type."""
    limit = order.limit
    if order.order_type in AT_ANY_PRICE:
        limit = protection_limit(floor, order)
    if order.time_in_force is TimeInForce.FOK and not can_fill_all(floor, order, limit):
        cancel(floor, order, Reason.FOK_NOT_AVAILABLE)
    elif order.post_only and would_meet(floor.market_of(order), order):
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
            lots = clipped(order, market.available(side.opposite, best))
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
