"""Reduce-only: an exit that cannot turn into a position of its own."""

from contextlib import suppress

from papertape import OrderRejectedError, TradingSuite


async def reduce_only(suite: TradingSuite) -> None:
    """Sell three against a position of two: two are sold. Without a position it is refused."""
    mnq = suite["MNQ"]
    await mnq.orders.wait_for_fill(await mnq.orders.place_market_order("MNQ", "buy", 2))
    sold = await mnq.orders.place_market_order("MNQ", "sell", 3, reduce_only=True)
    assert (await mnq.orders.get_order(sold)).filled_quantity == 2
    assert mnq.positions.position().is_flat
    with suppress(OrderRejectedError):
        await mnq.orders.place_market_order("MNQ", "sell", 1, reduce_only=True)
    assert mnq.positions.position().is_flat
