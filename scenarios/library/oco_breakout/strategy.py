"""Which way it goes nobody knows: two entries, and the first to fill cancels the other."""

import asyncio

from papertape import TradingSuite


async def oco_breakout(suite: TradingSuite, away: float = 8.0, profit: float = 12.0) -> None:
    """Stops `away` above and below the market, then an OCO of stop and target as exits."""
    mnq = suite["MNQ"]
    quote = mnq.data.last_quote
    entries = await mnq.orders.place_oco_order(
        "MNQ",
        1,
        {"type": "stop", "side": "buy", "stop_price": quote.ask + away},
        {"type": "stop", "side": "sell", "stop_price": quote.bid - away},
    )
    while mnq.positions.position().is_flat:
        await asyncio.sleep(1)
    buy, sell = [
        await mnq.orders.get_order(each)
        for each in (entries.first_order_id, entries.second_order_id)
    ]
    assert {buy.status, sell.status} == {"filled", "cancelled"}
    entry, way = (buy, 1) if buy.status == "filled" else (sell, -1)
    at = mnq.instrument_info.nearest_price(entry.average_price)
    side = "sell" if way > 0 else "buy"
    exits = await mnq.orders.place_oco_order(
        "MNQ",
        1,
        {"type": "limit", "side": side, "price": at + way * int(profit)},
        {"type": "stop", "side": side, "stop_price": at - way * int(away)},
        reduce_only=True,
    )
    await mnq.orders.wait_for_fill(exits.first_order_id, timeout=600)
