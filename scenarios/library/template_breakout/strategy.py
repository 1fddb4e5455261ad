"""Buy a new high: the range says where the stop is and how far it may go."""

import asyncio

from papertape import TradingSuite, get_template


async def template_breakout(suite: TradingSuite) -> None:
    """The range is 21,014 to 21,028; the breakout is bought half a point above it."""
    mnq = suite["MNQ"]
    breakout = get_template("breakout")
    await breakout.create_order(
        mnq, "buy", breakout_price=21_028.5, support_level=21_014.0, resistance_level=21_028.0
    )
    await asyncio.sleep(300)
    await mnq.orders.cancel_all_orders()
    await mnq.orders.close_position("MNQ")
