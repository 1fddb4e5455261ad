"""Buy, then sell, then buy at the best price, each time with a stop and a target.

papertape run examples/turns.py --instrument ETH

The same file trades in a simulation, on a local venue and on a live one. It looks at the market and
at its own orders every `pause` seconds of the session's clock and at nothing else, so what fails
once is seen, and done, at the next look.
"""

from contextlib import suppress

from papertape import InstrumentContext, OrderError, TradingSuite


async def turns(
    suite: TradingSuite,
    rounds: int = 60,
    pause: float = 10.0,
    size: float = 1,
    stop: float = 4.0,
    target: float = 6.0,
) -> None:
    """Looks `rounds` times; `stop` and `target` are price points from the entry."""
    (market,) = suite.values()
    sides, looks = ["buy", "sell"], 0
    for _ in range(rounds):
        await suite.clock.sleep(pause)
        looks += 1
        with suppress(OrderError):
            if market.positions.position().is_flat:
                looks = 0
                if not await is_waiting(market):
                    await enter(market, sides[0], size, stop, target)
                    sides.reverse()
            elif looks == 3:
                await to_break_even(market)
            elif looks >= 9:
                await leave(market)
    with suppress(OrderError):
        await is_waiting(market)
        if not market.positions.position().is_flat:
            await leave(market)


async def is_waiting(market: InstrumentContext) -> bool:
    """Cancel what is left of the last turn; False when nothing was."""
    working = await market.orders.get_orders("pending")
    for order in working:
        if (await market.orders.get_order(order.order_id)).status.is_working:
            await market.orders.cancel_order(order.order_id)  # exits end with their entry
    return bool(working)


async def enter(
    market: InstrumentContext, side: str, size: float, stop: float, target: float
) -> None:
    """A bracket whose entry joins the best price."""
    quote = market.data.last_quote
    if quote is not None:
        await market.orders.place_bracket_order(
            market.instrument_info.id,
            side,
            size,
            quote.bid if side == "buy" else quote.ask,
            stop_offset=stop,
            target_offset=target,
        )


async def leave(market: InstrumentContext) -> None:
    """Close the position, which also ends its exits."""
    closing = await market.orders.close_position(market.instrument_info.id)
    await market.orders.wait_for_fill(closing)


async def to_break_even(market: InstrumentContext, room: float = 0.5) -> None:
    """Move the stop to the entry's price, if the market has left that behind by `room`."""
    position, quote = market.positions.position(), market.data.last_quote
    price = position.average_price
    if quote is None or price is None:
        return
    beyond = quote.bid - price if position.is_long else price - quote.ask
    for order in await market.orders.get_orders("pending"):
        if order.stop_price is not None and beyond >= room:
            await market.orders.modify_order(order.order_id, stop_price=price)
