"""Long one index, short another: two tapes, one clock, one account."""

import asyncio

from papertape import TradingSuite


async def two_instruments(suite: TradingSuite, hedge: int = 3, loss: float = 60.0) -> None:
    """Buy `hedge` MNQ against one short ES; out after five minutes or at a loss of `loss`."""
    nasdaq, sp500 = suite["MNQ"], suite["ES"]
    await asyncio.gather(
        nasdaq.orders.place_market_order("MNQ", "buy", hedge),
        sp500.orders.place_market_order("ES", "sell", 1),
    )
    start = suite.account.equity
    for _ in range(60):
        await asyncio.sleep(5)
        if suite.account.equity < start - loss:
            break
    await nasdaq.orders.close_position("MNQ")
    await sp500.orders.close_position("ES")
