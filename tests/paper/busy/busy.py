"""Trade in every way at once: what is under way when a session is killed must be there again."""

import asyncio
from typing import Any

from papertape import OrderError, TradingSuite


async def busy(suite: TradingSuite, pause: float = 2.0) -> None:
    """Brackets and quotes by turns, on timers, bars, ticks and fills, to the end of the market."""
    (market,) = suite.values()
    orders, symbol = market.orders, market.symbol
    state: dict[str, Any] = {"bars": 0, "fills": 0, "high": 0.0}

    async def on_bar(bar: Any) -> None:
        state["bars"] += 1
        if state["bars"] % 3 == 0:
            await orders.place_trailing_stop_order(
                symbol, side=state["bars"] % 2, size=1, trail_ticks=8
            )

    async def on_fill(fill: Any) -> None:
        state["fills"] += 1
        if state["fills"] % 5 == 0:
            await orders.cancel_all_orders()

    def on_tick(bid: float, ask: float) -> None:
        if ask > state["high"] + 5:
            state["high"] = ask
            orders.nowait.place_limit_order(symbol, side=0, size=1, limit_price=bid)

    await suite.on("bar", on_bar, timeframe="20s")
    await suite.on("fill", on_fill)
    await suite.on("tick", on_tick)
    for turn in range(1_000_000):
        try:
            await orders.place_bracket_order(
                symbol, side=turn % 2, size=1, stop_offset=3.0, target_offset=4.0
            )
        except OrderError as refused:
            state["refused"] = str(refused)
        await asyncio.sleep(pause + turn % 3)
