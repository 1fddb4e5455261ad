"""Makers of other accounts: who they are for an order that would take, and which it meets first."""

from __future__ import annotations

from collections.abc import Iterator

from broker_api.order import Role, Side
from sim.reference.account import Account
from sim.reference.market import Market
from sim.reference.orders import Order

PLAIN = (Role.SINGLE, Role.ENTRY)
"""Roles of orders that nothing but their own fills makes smaller."""


def makers(account: Account, market: Market, side: Side) -> Iterator[Order]:
    """Resting orders of a side that belong to others, the best price first, then the earlier."""
    return (maker for maker in market.makers[side] if maker.account is not account)


def first_met(account: Account, market: Market, side: Side) -> int | None:
    """The best price that an order of `side` would meet now, of the tape or of a foreign maker."""
    best = market.best(side.opposite)
    maker = next(makers(account, market, side.opposite), None)
    prices = [best, None if maker is None else maker.limit]
    return nearest(side, prices)


def nearest(side: Side, prices: list[int | None]) -> int | None:
    """The best of some prices for one who takes with an order of `side`."""
    known = [price for price in prices if price is not None]
    return min(known, key=lambda price: price * side.sign, default=None)


def plain_lots(order: Order, market: Market, price: int) -> int:
    """Lots at a price on which a fill-or-kill may count: of foreign makers that will not shrink.

    What a print of the same row has given them is gone before the order comes to them.
    """
    return sum(
        maker.live - maker.noted
        for maker in makers(order.account, market, order.side.opposite)
        if maker.limit == price and maker.role in PLAIN and not maker.reduce_only
    )
