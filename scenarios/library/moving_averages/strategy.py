"""The strategy that everybody starts with: long while the fast average is above the slow one."""

from papertape import TradingSuite


async def moving_averages(
    suite: TradingSuite, fast: int = 10, slow: int = 40, hours: float = 3.0
) -> None:
    """Averages of the last `fast` and `slow` closes of minute bars; out after `hours`."""
    mnq = suite["MNQ"]
    until_ns = suite.clock.now_ns() + int(hours * 3_600e9)
    async for bar in mnq.data.stream_bars("1min"):
        closes = [each.close for each in mnq.data.bars("1min", slow)]
        if len(closes) < slow:
            continue
        is_up = sum(closes[-fast:]) * slow > sum(closes) * fast
        is_flat = mnq.positions.position().is_flat
        if is_up and is_flat:
            await mnq.orders.place_market_order("MNQ", "buy", 1)
        elif not is_up and not is_flat:
            await mnq.orders.close_position("MNQ")
        if bar.ts_ns >= until_ns:
            break
    await mnq.orders.close_position("MNQ")
