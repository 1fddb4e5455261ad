"""The template turns a range and an amount at risk into a bracket."""

import asyncio

from papertape import TradingSuite, get_template


async def template_scalping(suite: TradingSuite, atr: float = 12.0, risk: float = 20.0) -> None:
    """Risk `risk` on a stop of half the range; the target is three quarters of it."""
    mnq = suite["MNQ"]
    quote = mnq.data.last_quote
    scalp = get_template("scalping")
    await scalp.create_order(mnq, "buy", current_price=quote.ask, atr_value=atr, risk_amount=risk)
    await asyncio.sleep(240)
    await mnq.orders.cancel_all_orders()
    await mnq.orders.close_position("MNQ")
