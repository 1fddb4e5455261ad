"""Buy a new high or sell a new low of one-minute bars, each entry with a stop and a target.

papertape run examples/bracket.py --instrument MNQ --set lookback=15
"""

from papertape import Side, TradingSuite


async def bracket(
    suite: TradingSuite, lookback: int = 20, stop: float = 12.0, target: float = 24.0
) -> None:
    """`lookback` bars make the range; `stop` and `target` are price points from the entry."""
    (market,) = suite.values()
    async for bar in market.data.stream_bars("1min"):
        earlier = market.data.bars("1min", lookback + 1)[:-1]
        if len(earlier) < lookback or not market.positions.position().is_flat:
            continue
        if bar.close > max(each.high for each in earlier):
            side = Side.BUY
        elif bar.close < min(each.low for each in earlier):
            side = Side.SELL
        else:
            continue
        await market.orders.place_bracket_order(
            market.instrument_info.id, side, size=1, stop_offset=stop, target_offset=target
        )
