"""While a market is halted nothing trades, whatever one would give for it."""

import asyncio
from contextlib import suppress

from papertape import MarketClosedError, TradingSuite


async def halt(suite: TradingSuite) -> None:
    """Long into the halt, with a stop: it fills after the reopening, lower than it stands."""
    mnq = suite["MNQ"]
    placed = await mnq.orders.place_bracket_order(
        "MNQ", "buy", 1, stop_offset=12.0, target_offset=100.0
    )
    await asyncio.sleep(150)
    with suppress(MarketClosedError):
        await mnq.orders.close_position("MNQ")
    assert mnq.positions.position().is_long, "there was nobody to sell to"
    out = await mnq.orders.wait_for_fill(placed.stop_order_id, timeout=900)
    assert out.average_price <= out.stop_price
