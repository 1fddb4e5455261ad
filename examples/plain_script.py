"""An ordinary asyncio program: it opens its own session and runs unchanged, in simulated time.

papertape run examples/plain_script.py --instrument MNQ
"""

import asyncio

from papertape import OrderTimeoutError, TradingSuite


async def main() -> None:
    """Wait at a limit below the market for at most ten minutes, then hold for one hour."""
    async with await TradingSuite.create(["MNQ"]) as suite:
        mnq = suite["MNQ"]
        contract = mnq.instrument_info.id
        await asyncio.sleep(1)
        limit = mnq.data.current_price - 10

        order = await mnq.orders.place_limit_order(contract, side=0, size=2, limit_price=limit)
        try:
            filled = await mnq.orders.wait_for_fill(order.order_id, timeout=600)
        except OrderTimeoutError:
            await mnq.orders.cancel_order(order.order_id)
            print(f"no fill at {limit:.2f} within ten minutes")
            return
        print(f"{suite.clock.now():%H:%M:%S} bought {filled.size} at {filled.average_price:.2f}")

        await asyncio.sleep(3600)
        await mnq.orders.close_position(contract)
        await asyncio.sleep(1)
        print(f"{suite.clock.now():%H:%M:%S} closed; equity {suite.account.equity:,.2f}")


if __name__ == "__main__":
    asyncio.run(main())
