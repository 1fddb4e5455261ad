"""How long an order lives: IOC and FOK for a moment, GTD until its time."""

import asyncio
from datetime import timedelta

from papertape import TradingSuite


async def time_in_force(suite: TradingSuite) -> None:
    """One order of each kind, none of which is left behind."""
    mnq = suite["MNQ"]
    quote = mnq.data.last_quote
    # Immediate or cancel: what the touch shows, the rest is cancelled.
    ioc = await mnq.orders.place_limit_order("MNQ", "buy", 200, quote.ask, time_in_force="IOC")
    taken = await mnq.orders.get_order(ioc)
    assert 0 < taken.filled_quantity < 200
    await mnq.orders.close_position("MNQ")
    # Fill or kill: all of it or nothing.
    quote = mnq.data.last_quote
    fok = await mnq.orders.place_limit_order("MNQ", "buy", 400, quote.ask, time_in_force="FOK")
    assert (await mnq.orders.get_order(fok)).filled_quantity == 0
    # Good till date: it expires by itself.
    until = suite.clock.now() + timedelta(seconds=30)
    gtd = await mnq.orders.place_limit_order("MNQ", "buy", 1, quote.bid - 20.0, expires_at=until)
    await asyncio.sleep(40)
    assert (await mnq.orders.get_order(gtd)).status == "expired"
