"""A stop order above the market buys strength; one below the position ends a mistake."""

import asyncio

from papertape import TradingSuite


async def stop_order(suite: TradingSuite, away: float = 6.0) -> None:
    """Buy what rises `away` points; give it a stop of the same distance, and close in time."""
    mnq = suite["MNQ"]
    quote = mnq.data.last_quote
    bought = await mnq.orders.place_stop_order("MNQ", "buy", 1, quote.ask + away)
    entry = await mnq.orders.wait_for_fill(bought, timeout=300)
    assert entry.average_price >= quote.ask + away
    await mnq.orders.place_stop_order("MNQ", "sell", 1, quote.ask, reduce_only=True)
    await asyncio.sleep(60)
    await mnq.orders.close_position("MNQ")  # The reduce-only stop ends with the position.
