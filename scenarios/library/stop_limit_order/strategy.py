"""A stop-limit order names the worst price that it pays; beyond that it has no trade."""

import asyncio

from papertape import TradingSuite


async def stop_limit_order(suite: TradingSuite) -> None:
    """Buy at 21,030 or up to 21,034: the market opens far above both, and there is no fill."""
    mnq = suite["MNQ"]
    placed = await mnq.orders.place_stop_limit_order("MNQ", "buy", 1, 21_030.0, 21_034.0)
    await asyncio.sleep(180)
    order = await mnq.orders.get_order(placed)
    assert order.filled_quantity == 0
    assert order.status == "open", "it was triggered, and rests at its limit"
    await mnq.orders.cancel_order(placed)
