"""The live adapter on a local gateway: sessions in real time, and both ends' books side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from broker_api.catalog import load_catalog
from broker_api.contingent_broker import ContingentBroker
from broker_api.instrument import to_nanos
from broker_api.plain_order import asked_id
from broker_api.projectx.broker import ProjectXBroker
from broker_api.projectx.config import ProjectXConfig
from broker_api.projectx.keeper import lots_of
from broker_api.secret import Secret
from broker_api.suite import TradingSuite
from tests.venues.adapter import PATIENT
from tests.venues.local_gateway import KEY, USER, Gateway


def live_broker(gateway: Gateway, *, clock: Any = None, **settings: Any) -> ProjectXBroker:
    """The adapter for the first user: patient with a slow machine, quick to look again."""
    config = ProjectXConfig(
        **{
            "base_url": gateway.url,
            "user": USER,
            "key": Secret(KEY),
            "answer_seconds": 30.0,
            "arrival_seconds": 1.5,
            "settle_seconds": 0.3,
            "reconcile_seconds": 3.0,
            "bar_history": 10,
            "requests_per_minute": 5_000,
            **settings,
        }
    )
    return ProjectXBroker(
        config,
        ["MNQ"],
        known=tuple(load_catalog().values()),
        environment={},
        draws=np.random.Generator(np.random.Philox(7)),
        clock=clock,
    )


@asynccontextmanager
async def live_suite(gateway: Gateway, **settings: Any) -> AsyncIterator[TradingSuite]:
    """A session on the gateway; a stop that is late on a slow machine is waited for."""
    suite = await TradingSuite.create(
        ["MNQ"], broker=live_broker(gateway, **settings), order_manager_config=PATIENT
    )
    async with suite:
        yield suite


def broker_of(suite: TradingSuite) -> ProjectXBroker:
    """The adapter of a session."""
    broker = suite.session.broker
    assert isinstance(broker, ContingentBroker)
    assert isinstance(broker.plain, ProjectXBroker)
    return broker.plain


async def move(gateway: Gateway, price: float, **more: Any) -> None:
    """Set MNQ's price."""
    await asyncio.to_thread(gateway.price, price, "MNQ", **more)


async def assert_books_agree(suite: TradingSuite, venue: Gateway) -> None:
    """Position, cash and working orders here are the gateway's."""
    live = broker_of(suite).live
    await live.keeper.sweep()
    ledger = suite.session.ledger
    positions = await live.client.positions()
    (theirs,) = lots_of(positions, live.contracts)
    assert ledger.positions[0].lots == theirs, f"position {ledger.positions[0].lots}, not {theirs}"
    orders = await live.client.open_orders()
    seen = {record.order_id for record in ledger.working.values() if not record.held}
    tracked = {asked_id(order_id) for order_id in live.books.tracks}
    assert seen == tracked, f"{seen} work for the session, {tracked} for the adapter"
    ours = {track.oid for track in live.books.tracks.values()}
    working = {order.id for order in orders}
    assert working == ours, f"orders {ours} work here, {working} there; {broker_of(suite).notes}"
    account = next(each for each in await live.client.accounts() if each.id == live.account.id)
    # Events that overtake each other close other lots first: what is realised may then differ by
    # what is open, and the sum of both is the same.
    (contract,), value = live.contracts, to_nanos(account.balance)
    for each in positions:
        cost = int((each.average_price * theirs / contract.spec.tick_size).to_integral_value())
        value -= cost * contract.spec.tick_value_nanos
    ours_value = ledger.cash_nanos - ledger.positions[0].cost * contract.spec.tick_value_nanos
    assert ours_value == value, f"value {ours_value}, not {value}"
    assert ledger.discrepancies == {}
