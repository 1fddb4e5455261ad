"""Eight clients at once, a thousand orders each: every one is accounted for."""

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
from sim.venues.hyperliquid.engine import Options
from tests.venues.local_venue import KEYS, Local, local_venue

ORDERS = 1_000

Post = Callable[[dict[str, Any]], Awaitable[Any]]


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


async def trade(signer: Signer, post: Post) -> None:
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

    await trade(signer, post)


async def by_socket(session: aiohttp.ClientSession, url: str, signer: Signer) -> None:
    async with session.ws_connect(url + "/ws") as stream:

        async def post(envelope: dict[str, Any]) -> Any:
            request = {"type": "action", "payload": envelope}
            await stream.send_json({"method": "post", "id": envelope["nonce"], "request": request})
            data = json.loads(await stream.receive_str())["data"]
            assert data["id"] == envelope["nonce"]
            return data["response"]["payload"]

        await trade(signer, post)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("way", [by_http, by_socket], ids=["http", "websocket"])
def test_every_order_of_eight_clients_is_accounted_for(
    way: Callable[[aiohttp.ClientSession, str, Signer], Awaitable[None]],
) -> None:
    async def crowd(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*[way(session, url, Signer(key)) for key in KEYS])

    with local_venue(options=Options(counts_requests=False)) as venue:
        asyncio.run(crowd(venue.url))
        check(venue)


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
