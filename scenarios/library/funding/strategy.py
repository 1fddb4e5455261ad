"""Holding a perpetual over the hour costs, or earns, its funding."""

import asyncio

from papertape import TradingSuite


async def funding(suite: TradingSuite, size: float = 2.0) -> None:
    """Long over the hour; the account pays once."""
    eth = suite["ETH"]
    await eth.orders.wait_for_fill(await eth.orders.place_market_order("ETH", "buy", size))
    await asyncio.sleep(12 * 60)
    assert suite.account.funding > 0
    await eth.orders.close_position("ETH")
