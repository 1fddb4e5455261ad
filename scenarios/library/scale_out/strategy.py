"""Scale out: the first part pays for the idea, the last part is the idea."""

import asyncio

from papertape import TradingSuite


async def scale_out(suite: TradingSuite) -> None:
    """Sell a contract at each of three targets, under one stop for what is left."""
    mnq = suite["MNQ"]
    bought = await mnq.orders.place_market_order("MNQ", "buy", 3)
    entry = await mnq.orders.wait_for_fill(bought)
    at = mnq.instrument_info.nearest_price(entry.average_price)
    await mnq.orders.place_stop_order("MNQ", "sell", 3, at - 10, reduce_only=True)
    for points in (6, 12, 20):
        await mnq.orders.place_limit_order("MNQ", "sell", 1, at + points, reduce_only=True)
    while not mnq.positions.position().is_flat:
        await asyncio.sleep(5)
    assert not await mnq.orders.get_orders("open"), "the stop ended with the position"
