"""A session of the vendor's own package, unmodified: python projectx_program.py URL USER KEY.

Prints what happened as JSON. It is run by a Python that has the package (make projectx-env).
"""

import asyncio
import json
import sys

from project_x_py import EventType, ProjectX, ProjectXConfig, ProjectXRealtimeClient, TradingSuite
from project_x_py.trading_suite import TradingSuiteConfig

URL, USER, KEY = sys.argv[1:4]
CONFIG = ProjectXConfig(
    api_url=f"{URL}/api",
    user_hub_url=f"{URL}/hubs/user",
    market_hub_url=f"{URL}/hubs/market",
    requests_per_minute=5000,
)
HEARD = (
    EventType.ORDER_FILLED,
    EventType.ORDER_CANCELLED,
    EventType.POSITION_OPENED,
    EventType.POSITION_CLOSED,
)


async def trade(suite: TradingSuite, found: dict) -> None:
    """Every verb once."""
    contract, orders = suite.instrument_id, suite.orders
    found["market"] = (await orders.place_market_order(contract, 0, 1)).success
    limit = await orders.place_limit_order(contract, 0, 1, 20000.0)
    found["modified"] = await orders.modify_order(limit.orderId, limit_price=20001.0)
    found["cancelled"] = await orders.cancel_order(limit.orderId)
    ended = await orders.get_order_by_id(limit.orderId)
    found["ended"] = [int(ended.status), ended.limitPrice]
    await orders.place_stop_order(contract, 1, 1, 20900.0)
    found["open"] = len(await orders.search_open_orders())
    bracket = await orders.place_bracket_order(
        contract, 0, 1, None, 20950.0, 21050.0, entry_type="market"
    )
    found["bracket"] = bracket.success and None not in (
        bracket.stop_order_id,
        bracket.target_order_id,
    )
    found["held"] = [each.size for each in await suite.positions.get_all_positions()]
    await orders.cancel_all_orders()
    await orders.close_position(contract)


async def main() -> None:
    """Connect, trade, look, leave."""
    found: dict = {}
    heard: set[str] = set()

    async def note(event) -> None:
        heard.add(event.type.value)

    async with ProjectX(USER, KEY, config=CONFIG) as client:
        await client.authenticate()
        account = client.get_account_info()
        realtime = ProjectXRealtimeClient(
            client.get_session_token(), str(account.id), config=CONFIG
        )
        suite = TradingSuite(client, realtime, TradingSuiteConfig("MNQ"))
        await suite.connect()
        for kind in HEARD:
            await suite.on(kind, note)
        await trade(suite, found)
        for _ in range(1_200):
            if len(heard) == len(HEARD):
                break
            await asyncio.sleep(0.05)
        counted = suite.orders.get_order_statistics()
        kinds = ("orders_placed", "market_orders", "limit_orders", "stop_orders", "orders_modified")
        found["counted"] = [counted[kind] for kind in kinds]
        found["errors"] = (await suite.get_stats())["total_errors"]
        found["left"] = len(await suite.positions.get_all_positions())
        found["trades"] = len(await client.search_trades())
        found["bars"] = len(await client.get_bars("MNQ", days=5, interval=5))
        await suite.disconnect()
    print(json.dumps(found | {"heard": sorted(heard)}))


asyncio.run(main())
