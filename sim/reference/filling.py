"""An execution and what it causes, whoever was on the other side."""

from __future__ import annotations

from broker_api.event import OrderFilled
from broker_api.order import Liquidity, OrderStatus
from sim.reference import bars, queue
from sim.reference.contingent import after_fill
from sim.reference.floor import Floor
from sim.reference.orders import Doing, Order


def fill(floor: Floor, order: Order, ticks: int, lots: int, liquidity: Liquidity) -> None:
    """One execution and what it causes."""
    market, account = floor.market_of(order), order.account
    order.filled += lots
    order.cost += lots * ticks
    more_may_come = order.is_exit and order.bracket is not None and order.bracket.entry.is_working
    ends = order.leaves == 0 and not more_may_come
    order.status = OrderStatus.FILLED if ends else OrderStatus.PARTIALLY_FILLED
    queue.use_places(order, lots)
    if market.path is not None:
        market.path.fill = ticks
    fee = account.fee(market, ticks, lots, liquidity)
    account.settle(market, order.side, ticks, lots, fee)
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
    floor.publish_money(account, market.index)
    after_fill(floor, order, lots)


def clipped(order: Order, lots: int) -> int:
    """Lots of a fill that the order may have: a reduce-only order no more than is open."""
    lots = min(lots, order.live)
    return min(lots, abs(order.position)) if order.reduce_only else lots


def fill_noted(floor: Floor, order: Order) -> None:
    """The part of the print that was noted for a resting order."""
    lots, order.noted = clipped(order, order.noted), 0
    if lots and order.doing is Doing.RESTING:
        price = bars.maker_price(floor.market_of(order), order)
        fill(floor, order, price, lots, Liquidity.MAKER)


def sibling_of(order: Order) -> Order | None:
    """The other exit of a bracket or the other leg of an OCO that has not ended."""
    if order.oco is not None:
        return order.oco.sibling_of(order)
    if order.bracket is None or not order.is_exit:
        return None
    return next((leg for leg in order.bracket.legs if leg is not order), None)
