"""One number for the risk, one for the reward."""

import asyncio

from papertape import TradingSuite, get_template


async def template_risk_reward(suite: TradingSuite, stop: float = 5.0, ratio: float = 2.0) -> None:
    """Sell at the market; stop `stop` points away, target `ratio` times as far."""
    mnq = suite["MNQ"]
    await get_template("risk_reward").create_order(mnq, "sell", stop_distance=stop, ratio=ratio)
    await asyncio.sleep(300)
    await mnq.orders.cancel_all_orders()
    await mnq.orders.close_position("MNQ")
