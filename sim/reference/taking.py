"""An order walks through the other side of the market: own orders, foreign makers, the tape.

What the tape shows and what other accounts have resting is one book to the one who takes. At a
price the lots of the tape that were there before a maker joined come first, then the maker, then
what is left on the tape.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from broker_api.event import Reason
from broker_api.order import BeyondTop, Liquidity, SelfTrade, Side
from sim.reference import foreign, queue
from sim.reference.contingent import cancel
from sim.reference.filling import clipped, fill, fill_noted
from sim.reference.floor import Floor
from sim.reference.market import Market
from sim.reference.orders import Doing, Order


class Stop(NamedTuple):
    """One price on the way of an order; `is_level` where it is one of the tape's levels."""

    price: int
    is_level: bool


def is_within(order: Order, price: int, limit: int | None) -> bool:
    """True when an order with this limit may trade at the price."""
    return limit is None or (limit - price) * order.side.sign >= 0


def would_take(market: Market, order: Order) -> bool:
    """True when a limit order reaches the best price that the tape shows on the other side."""
    best = market.best(order.side.opposite)
    return best is not None and order.limit is not None and is_within(order, best, order.limit)


def would_meet(market: Market, order: Order) -> bool:
    """True when a limit order reaches the tape's other side or a maker of another account."""
    best = foreign.first_met(order.account, market, order.side)
    return best is not None and order.limit is not None and is_within(order, best, order.limit)


# own orders


def own_in_the_way(floor: Floor, order: Order, price: int) -> list[Order]:
    """The own resting orders that the order meets at `price` or better, by placement."""
    makers: list[Order] = list(floor.market_of(order).makers[order.side.opposite])
    own = [maker for maker in makers if maker.account is order.account]
    met = [m for m in own if m.limit is not None and is_within(order, m.limit, price)]
    return sorted(met, key=lambda maker: maker.placed)


def losers(floor: Floor, taker: Order, maker: Order, filled: int = 0) -> list[Order]:
    """Who is cancelled where two own orders meet: never the one that reduces the position.

    `filled` lots of the taker are to be added to the position first.
    """
    position = taker.position + taker.side.sign * filled
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


# the walk


def way_of(market: Market, order: Order, limit: int | None) -> Iterator[Stop]:
    """The prices that an order comes to, from the best outward: levels and foreign makers.

    Downwards they end where the instrument has no more.
    """
    lowest = None if market.instrument.allow_negative_price or order.side is Side.BUY else 1
    levels = market.levels(order.side.opposite)
    level, last = next(levels, None), None
    while True:
        maker = _first_beyond(market, order, last)
        price = foreign.nearest(order.side, [level, maker])
        if price is None or not is_within(order, price, limit):
            return
        if lowest is not None and price < lowest:
            return
        yield Stop(price, price == level)
        last = price
        if price == level:
            level = next(levels, None)


def _first_beyond(market: Market, order: Order, last: int | None) -> int | None:
    """The price of the first foreign maker behind `last`, the best of all where that is None."""
    for maker in foreign.makers(order.account, market, order.side.opposite):
        assert maker.limit is not None
        is_behind = last is None or (maker.limit - last) * order.side.sign > 0
        if is_behind and clipped(maker, maker.live):
            return maker.limit
    return None


def take(floor: Floor, order: Order, limit: int | None) -> None:
    """Walk from the best price out. Every go at the tape and every maker is a fill of its own."""
    for stop in way_of(floor.market_of(order), order, limit):
        meet_own(floor, order, stop.price)
        _meet_foreign(floor, order, stop)
        _take_shown(floor, order, stop, order.live)
        if order.doing is not Doing.WAITING:
            return


def _take_shown(floor: Floor, order: Order, stop: Stop, most: int) -> None:
    """The tape gives up to so many lots at one of its levels; they leave the queue there."""
    market, side = floor.market_of(order), order.side.opposite
    if not stop.is_level:
        return
    is_infinite = market.beyond_top is BeyondTop.INFINITE
    there = most if is_infinite else min(most, market.available(side, stop.price))
    lots = clipped(order, there)
    if lots == 0:
        return
    if not is_infinite:
        market.take(side, stop.price, lots)
    for maker in market.makers[side]:
        if maker.limit == stop.price:
            queue.lose_taken(floor.settings, maker, lots)
    fill(floor, order, stop.price, lots, Liquidity.TAKER)


def _meet_foreign(floor: Floor, order: Order, stop: Stop) -> None:
    """Makers of other accounts at a price in turn, each behind the tape's lots ahead of it."""
    while order.doing is Doing.WAITING and clipped(order, order.live):
        maker = _next_at(floor, order, stop.price)
        if maker is None:
            return
        if maker.noted:
            fill_noted(floor, maker)
            continue
        ahead = queue.lots_ahead(floor.settings, maker)
        _take_shown(floor, order, stop, order.live if ahead is None else ahead)
        if order.doing is Doing.WAITING:
            _match(floor, order, maker)


def _next_at(floor: Floor, order: Order, price: int) -> Order | None:
    """The foreign maker whose turn it is at a price."""
    found = foreign.makers(order.account, floor.market_of(order), order.side.opposite)
    return next((m for m in found if m.limit == price and clipped(m, m.live)), None)


def _match(floor: Floor, order: Order, maker: Order) -> None:
    """The two trade at the maker's limit, as much as its first place is for: the taker first."""
    assert maker.limit is not None
    lots = min(clipped(order, order.live), clipped(maker, maker.places[0].lots))
    if lots:
        fill(floor, order, maker.limit, lots, Liquidity.TAKER)
        fill(floor, maker, maker.limit, lots, Liquidity.MAKER)


def can_fill_all(floor: Floor, order: Order, limit: int | None) -> bool:
    """True when the whole size is there now, up to the limit, and no own order forbids it."""
    market = floor.market_of(order)
    wanted = order.live
    if clipped(order, wanted) < wanted:
        return False
    outlived: list[Order] = []
    for stop in way_of(market, order, limit):
        # Those that it outlives at an earlier price are gone by then.
        met = [own for own in own_in_the_way(floor, order, stop.price) if own not in outlived]
        if any(order in losers(floor, order, own, order.live - wanted) for own in met):
            return False
        outlived += met
        if stop.is_level and market.beyond_top is BeyondTop.INFINITE:
            return True
        if stop.is_level:
            wanted -= market.available(order.side.opposite, stop.price)
        wanted -= foreign.plain_lots(order, market, stop.price)
        if wanted <= 0:
            return True
    return False
