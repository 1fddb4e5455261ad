"""A limit order rests: others were there first, and it fills when they are served."""

from papertape import TradingSuite


async def limit_order(suite: TradingSuite, below: float = 4.0, profit: float = 6.0) -> None:
    """Buy `below` the bid, then sell `profit` above the entry; both as maker."""
    mnq = suite["MNQ"]
    quote = mnq.data.last_quote
    bought = await mnq.orders.place_limit_order("MNQ", "buy", 1, quote.bid - below)
    entry = await mnq.orders.wait_for_fill(bought, timeout=120)
    sold = await mnq.orders.place_limit_order("MNQ", "sell", 1, entry.limit_price + profit)
    exit_order = await mnq.orders.wait_for_fill(sold, timeout=300)
    assert [fill.liquidity.name for fill in (*entry.fills, *exit_order.fills)] == ["MAKER"] * 2
