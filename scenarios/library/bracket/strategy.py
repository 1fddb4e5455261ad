"""A bracket: the position is never without its stop, and never with two exits at work."""

from papertape import TradingSuite


async def bracket(suite: TradingSuite, stop: float = 8.0, target: float = 8.0) -> None:
    """One bracket at the market; the market goes to the target."""
    mnq = suite["MNQ"]
    placed = await mnq.orders.place_bracket_order(
        "MNQ", "buy", 1, stop_offset=stop, target_offset=target
    )
    assert placed.target_order_id is not None
    await mnq.orders.wait_for_fill(placed.target_order_id, timeout=300)
    other = await mnq.orders.get_order(placed.stop_order_id)
    assert other.status == "cancelled"
