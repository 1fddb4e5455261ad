"""Quote both sides of the touch, cancel and quote anew every few seconds, never hold too much."""

import asyncio
from contextlib import suppress

from papertape import OrderError, TradingSuite


async def market_maker(
    suite: TradingSuite, most: int = 3, pause: float = 5.0, rounds: int = 150
) -> None:
    """Buy at the bid and sell at the ask while the position is within `most` contracts."""
    es = suite["ES"]
    for _ in range(rounds):
        quote, held = es.data.last_quote, es.positions.position().size
        with suppress(OrderError):  # A quote that would take by now is refused: the next one.
            if held < most:
                await es.orders.place_limit_order("ES", "buy", 1, quote.bid, post_only=True)
            if held > -most:
                await es.orders.place_limit_order("ES", "sell", 1, quote.ask, post_only=True)
        await asyncio.sleep(pause)
        await es.orders.cancel_all_orders()
    await es.orders.close_position("ES")
