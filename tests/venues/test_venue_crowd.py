"""Eight clients at once, a thousand orders each: every one is accounted for.

    python -m tests.venues.test_venue_crowd

says how many commands a second a venue took, with the clients in the same process as the venue.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from broker_api.hyperliquid.signing import Signer, sign_l1
from broker_api.hyperliquid.wire.schema import encode
from broker_api.projectx.wire.enums import OrderStatus
from broker_api.secret import Secret
from sim.venues.hyperliquid.engine import Options
from sim.venues.projectx.engine import AccountSettings, ProjectXEngine
from sim.venues.projectx.serve import VenueSettings, make_server
from sim.venues.server import ServerSettings, VenueServer, in_background
from tests.venues.controlled import TOKEN, WallTime
from tests.venues.local_gateway import BUY, CONTRACT, LIMIT, MARKET, SELL, still_futures
from tests.venues.local_venue import KEYS, Local, local_venue

ORDERS, CLIENTS = 1_000, len(KEYS)

Post = Callable[[dict[str, Any]], Awaitable[Any]]

# --- Hyperliquid ---------------------------------------------------------------------------------


def order(is_buy: bool, price: str, tif: str) -> dict[str, Any]:
    terms = {"limit": {"tif": tif}}
    placed = {"a": 1, "b": is_buy, "p": price, "s": "0.01", "r": False, "t": terms}
    return {"type": "order", "orders": [placed], "grouping": "na"}


def body(signer: Signer, action: dict[str, Any], nonce: int) -> dict[str, Any]:
    signature = encode(sign_l1(signer, action, nonce, is_mainnet=False))
    return {
        "action": action,
        "nonce": nonce,
        "signature": signature,
        "vaultAddress": None,
        "expiresAfter": None,
    }


async def trade_perpetuals(signer: Signer, post: Post) -> None:
    """Place and cancel, buy and sell, by turns; every answer is as it should be."""
    nonce = time.time_ns() // 1_000_000
    for _ in range(ORDERS // 4):
        oid = None
        for turn in range(4):
            nonce += 1
            actions = [
                order(True, "2900", "Gtc"),
                {"type": "cancel", "cancels": [{"a": 1, "o": oid}]},
                order(True, "3000.1", "Ioc"),
                order(False, "2999.9", "Ioc"),
            ]
            answer = await post(body(signer, actions[turn], nonce))
            entry = answer["response"]["data"]["statuses"][0]
            if turn == 0:
                oid = entry["resting"]["oid"]
            elif turn == 1:
                assert entry == "success"
            else:
                assert entry["filled"]["totalSz"] == "0.01"


async def by_http(session: aiohttp.ClientSession, url: str, signer: Signer) -> None:
    async def post(envelope: dict[str, Any]) -> Any:
        async with session.post(url + "/exchange", json=envelope) as answer:
            return await answer.json()

    await trade_perpetuals(signer, post)


async def by_socket(session: aiohttp.ClientSession, url: str, signer: Signer) -> None:
    async with session.ws_connect(url + "/ws") as stream:

        async def post(envelope: dict[str, Any]) -> Any:
            request = {"type": "action", "payload": envelope}
            await stream.send_json({"method": "post", "id": envelope["nonce"], "request": request})
            data = json.loads(await stream.receive_str())["data"]
            assert data["id"] == envelope["nonce"]
            return data["response"]["payload"]

        await trade_perpetuals(signer, post)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("way", [by_http, by_socket], ids=["http", "websocket"])
def test_every_order_of_eight_clients_of_hyperliquid_is_accounted_for(
    way: Callable[[aiohttp.ClientSession, str, Signer], Awaitable[None]],
) -> None:
    perpetuals(way)


def perpetuals(way: Callable[[aiohttp.ClientSession, str, Signer], Awaitable[None]]) -> float:
    """The crowd on a local Hyperliquid; the seconds it took."""

    async def crowd(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*[way(session, url, Signer(key)) for key in KEYS])

    with local_venue(options=Options(counts_requests=False)) as venue:
        began = time.monotonic()
        asyncio.run(crowd(venue.url))
        seconds = time.monotonic() - began
        check(venue)
    return seconds


def check(venue: Local) -> None:
    engine = venue.engine
    assert engine.oids == len(KEYS) * ORDERS * 3 // 4
    oids, tids = set(), set()
    for user in engine.users.values():
        words = [record.word for record in user.orders.values()]
        assert (words.count("canceled"), words.count("filled")) == (ORDERS // 4, ORDERS // 2)
        assert not user.open
        oids |= set(user.orders)
        tids |= {fill.tid for fill in user.fills}
        ledger = engine.venue.ledgers[user.account]
        assert ledger.cash_nanos == engine.venue.exchange.cash_nanos(user.account)
        assert ledger.positions[1].lots == 0
    assert len(oids) == engine.oids
    assert len(tids) == len(KEYS) * ORDERS // 2


# --- ProjectX ------------------------------------------------------------------------------------


async def trade_futures(session: aiohttp.ClientSession, url: str, number: int) -> None:
    """Place and cancel, buy and sell, by turns; every answer is as it should be."""

    async def ask(path: str, **body: Any) -> dict[str, Any]:
        async with session.post(f"{url}/api/{path}", json=body, headers=headers) as answer:
            found: dict[str, Any] = await answer.json()
            assert found["success"], found
            return found

    headers: dict[str, str] = {}
    login = await ask("Auth/loginKey", userName=f"user {number}", apiKey=f"a key of {number}")
    headers = {"Authorization": f"Bearer {login['token']}"}
    account = 1001 + number
    about = {"accountId": account, "contractId": CONTRACT, "size": 1}
    for turn in range(ORDERS // 4):
        tag = f"{number}.{turn}"
        placed = await ask(
            "Order/place", **about, type=LIMIT, side=BUY, limitPrice=20_000.0, customTag=tag
        )
        await ask("Order/cancel", accountId=account, orderId=placed["orderId"])
        for side in (BUY, SELL):
            await ask("Order/place", **about, type=MARKET, side=side)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_order_of_eight_clients_of_projectx_is_accounted_for() -> None:
    futures()


def futures() -> float:
    """The crowd on a local ProjectX Gateway; the seconds it took."""
    users = {f"user {number}": Secret(f"a key of {number}") for number in range(CLIENTS)}
    settings = VenueSettings(
        sources=still_futures(),
        server=ServerSettings(Secret(TOKEN)),
        keys=users,
        accounts=tuple(AccountSettings(f"A{number}", user) for number, user in enumerate(users)),
    )

    async def crowd(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*[trade_futures(session, url, n) for n in range(CLIENTS)])

    with in_background(lambda: make_server(settings, WallTime())) as server:
        began = time.monotonic()
        asyncio.run(crowd(server.url))
        seconds = time.monotonic() - began
        check_futures(server)
    return seconds


def check_futures(server: VenueServer) -> None:
    engine = server.runner.engine
    assert isinstance(engine, ProjectXEngine)
    assert len(engine.orders) == CLIENTS * ORDERS * 3 // 4
    trades = set()
    for account in engine.accounts:
        found = [each.status for each in engine.orders.values() if each.account is account]
        assert found.count(OrderStatus.CANCELLED) == ORDERS // 4
        assert found.count(OrderStatus.FILLED) == ORDERS // 2
        trades |= {trade.id for trade in account.trades}
        ledger = engine.venue.ledgers[account.number]
        assert ledger.cash_nanos == engine.venue.exchange.cash_nanos(account.number)
        assert ledger.positions[0].lots == 0
    assert len(trades) == CLIENTS * ORDERS // 2


def main() -> None:
    """The rates of all ways."""
    ways = {
        "hyperliquid over HTTP": lambda: perpetuals(by_http),
        "hyperliquid over WebSocket": lambda: perpetuals(by_socket),
        "projectx over HTTP": futures,
    }
    for name, play in ways.items():
        print(f"{CLIENTS * ORDERS / play():>7,.0f} commands a second: {name}")


if __name__ == "__main__":
    main()
