"""A gap: between two rows of the tape there is no price at which anybody could have got out."""

from papertape import TradingSuite


async def gap_through_stop(suite: TradingSuite, stop: float = 10.0) -> None:
    """Long with a stop ten points away; it fills where the market is after the gap."""
    mnq = suite["MNQ"]
    placed = await mnq.orders.place_bracket_order(
        "MNQ", "buy", 1, stop_offset=stop, target_offset=200.0
    )
    out = await mnq.orders.wait_for_fill(placed.stop_order_id, timeout=600)
    assert out.average_price < out.stop_price - 10.0, "far beyond the stop"
