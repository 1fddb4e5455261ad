"""Trade every second on a market that goes on, and say so."""

from typing import Any

from papertape import OrderError, TradingSuite


async def turns(
    suite: TradingSuite, size: float = 0.01, most: int = 0, stays: bool = False
) -> None:
    """Buy and sell by turns until `most` have filled, 0 for as long as the market goes on.

    `stays`: then wait for whoever ends the session.
    """
    (market,) = suite.values()
    fills: list[Any] = []

    def on_resumed(event: Any) -> None:
        print(f"resumed, {event.limit} rows", flush=True)

    def on_fill(event: Any) -> None:
        fills.append(event)
        print(f"turn {len(fills)}", flush=True)

    await suite.on("resumed", on_resumed)
    await suite.on("fill", on_fill)
    while not most or len(fills) < most:
        await suite.clock.sleep(1)
        try:
            side = len(fills) % 2
            await market.orders.place_market_order(market.symbol, side=side, size=size)
        except OrderError as refused:  # the feed is down, or has not shown a price yet
            print(refused, flush=True)
    while stays:
        await suite.clock.sleep(60)
