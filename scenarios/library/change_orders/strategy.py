"""Orders are changed in place: price, size, and the stop of a position that has earned it."""

import asyncio

from papertape import TradingSuite


async def change_orders(suite: TradingSuite) -> None:
    """Chase the market with an entry, double it, and move the stop to break-even."""
    mnq = suite["MNQ"]
    quote = mnq.data.last_quote
    placed = await mnq.orders.place_bracket_order(
        "MNQ", "buy", 1, quote.bid - 20.0, stop_offset=12.0, target_offset=60.0
    )
    await asyncio.sleep(10)
    quote = mnq.data.last_quote
    await mnq.orders.modify_order(placed.main_order_id, limit_price=quote.bid - 2.0, size=2)
    entry = await mnq.orders.wait_for_fill(placed.main_order_id, timeout=120)
    await asyncio.sleep(60)
    await mnq.orders.modify_order(placed.stop_order_id, stop_price=entry.limit_price)
    await mnq.orders.wait_for_fill(placed.stop_order_id, timeout=300)
