"""Limit-if-touched shows its limit only once the market is near."""

from papertape import TradingSuite


async def limit_if_touched(suite: TradingSuite) -> None:
    """At 21,012 a limit of 21,010 goes to work; a limit order takes the profit."""
    mnq = suite["MNQ"]
    bought = await mnq.orders.place_limit_if_touched_order("MNQ", "buy", 1, 21_012.0, 21_010.0)
    entry = await mnq.orders.wait_for_fill(bought, timeout=200)
    assert entry.average_price <= 21_010.0
    sold = await mnq.orders.place_limit_order("MNQ", "sell", 1, 21_016.0, reduce_only=True)
    await mnq.orders.wait_for_fill(sold, timeout=300)
