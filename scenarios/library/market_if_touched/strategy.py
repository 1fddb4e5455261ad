"""Market-if-touched buys a dip like a limit order, but never waits in a queue."""

from papertape import TradingSuite


async def market_if_touched(suite: TradingSuite, dip: float = 8.0) -> None:
    """Buy when a print comes `dip` points down, sell when one comes as far up again."""
    mnq = suite["MNQ"]
    quote = mnq.data.last_quote
    bought = await mnq.orders.place_market_if_touched_order("MNQ", "buy", 1, quote.bid - dip)
    entry = await mnq.orders.wait_for_fill(bought, timeout=200)
    assert entry.fills[0].liquidity.name == "TAKER"
    sold = await mnq.orders.place_market_if_touched_order(
        "MNQ", "sell", 1, quote.bid, reduce_only=True
    )
    await mnq.orders.wait_for_fill(sold, timeout=300)
