"""A bracket every five minutes, and an eye on every minute's bar."""

import asyncio
from contextlib import suppress
from typing import Any

from papertape import OrderError, TradingSuite


async def day(suite: TradingSuite) -> None:
    """Buys and sells by turns until the market ends."""
    (market,) = suite.values()

    async def on_bar(bar: Any) -> None:
        quote = market.data.last_quote
        assert quote is None or bar.close > 0

    await suite.on("bar", on_bar, timeframe="1min")
    for turn in range(1_000_000):
        await asyncio.sleep(300)
        with suppress(OrderError):
            await market.orders.place_bracket_order(
                market.symbol, side=turn % 2, size=1, stop_offset=6.0, target_offset=6.0
            )
