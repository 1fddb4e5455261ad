"""Post-only keeps a maker's fee a maker's fee."""

import asyncio
from contextlib import suppress

from papertape import OrderRejectedError, TradingSuite


async def post_only(suite: TradingSuite) -> None:
    """At the ask it would take and is refused; at the bid it rests, and is taken back."""
    mnq = suite["MNQ"]
    quote = mnq.data.last_quote
    with suppress(OrderRejectedError):
        await mnq.orders.place_limit_order("MNQ", "buy", 1, quote.ask + 1.0, post_only=True)
    assert not await mnq.orders.get_orders("open")
    rests = await mnq.orders.place_limit_order("MNQ", "buy", 1, quote.bid - 5.0, post_only=True)
    await asyncio.sleep(5)
    await mnq.orders.cancel_order(rests)
