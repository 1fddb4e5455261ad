"""Leverage: a small move against a large position ends it at the market, and not by choice."""

import asyncio

from papertape import TradingSuite


async def liquidation(suite: TradingSuite, size: float = 10.0) -> None:
    """Ten coins on two thousand dollars; the market falls, and the venue sells them."""
    eth = suite["ETH"]
    await eth.orders.wait_for_fill(await eth.orders.place_market_order("ETH", "buy", size))
    await asyncio.sleep(650)
    assert eth.positions.position().is_flat
    assert suite.account.cash < 1_000
