"""A trailing stop gives a profit room and takes what is left of it."""

import asyncio

from papertape import TradingSuite


async def trailing_stop(suite: TradingSuite, trail_ticks: int = 24) -> None:
    """Buy into a rise and trail it by `trail_ticks` until the market turns."""
    mnq = suite["MNQ"]
    await asyncio.sleep(10)  # It follows prints: there has to be one.
    bought = await mnq.orders.place_market_order("MNQ", "buy", 1)
    entry = await mnq.orders.wait_for_fill(bought)
    trailing = await mnq.orders.place_trailing_stop_order(
        "MNQ", "sell", 1, trail_ticks=trail_ticks, reduce_only=True
    )
    out = await mnq.orders.wait_for_fill(trailing, timeout=600)
    assert out.average_price > entry.average_price
