"""A market order fills at once, at the best price of the other side, and pays for it."""

import asyncio

from papertape import TradingSuite


async def market_order(suite: TradingSuite) -> None:
    """Buy one, hold it for two minutes, close it."""
    mnq = suite["MNQ"]
    bought = await mnq.orders.place_market_order("MNQ", "buy", 1)
    entry = await mnq.orders.wait_for_fill(bought)
    assert entry.fills[0].liquidity.name == "TAKER"
    await asyncio.sleep(120)
    await mnq.orders.close_position("MNQ")
