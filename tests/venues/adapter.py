"""The live adapter on a local venue: sessions in real time, and both ends' books side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from broker_api.config import AccountConfig
from broker_api.contingent_broker import ContingentBroker
from broker_api.event import EventKind
from broker_api.hyperliquid.broker import HyperliquidBroker
from broker_api.hyperliquid.config import HyperliquidConfig
from broker_api.hyperliquid.signing import Signer
from broker_api.instrument import to_nanos
from broker_api.live.broker import LiveClock
from broker_api.plain_order import asked_id
from broker_api.suite import TradingSuite
from broker_api.view import Order
from tests.venues.local_venue import KEYS, Local

PATIENT = {"stop_close_after_seconds": 600.0}


def live_broker(
    venue: Local,
    *,
    key: str = KEYS[0],
    money: AccountConfig | None = None,
    clock: LiveClock | None = None,
    **settings: Any,
) -> HyperliquidBroker:
    """The adapter for one key of the venue: patient with a slow machine, quick to look again."""
    config = HyperliquidConfig(
        **{
            "base_url": venue.url,
            "answer_seconds": 30.0,
            "valid_seconds": 30.0,
            "grace_seconds": 0.5,
            "settle_seconds": 0.3,
            "reconcile_seconds": 3.0,
            "candle_history": 10,
            **settings,
        }
    )
    return HyperliquidBroker(
        config,
        config.place({}),
        Signer(key),
        ["ETH"],
        account=money or AccountConfig(),
        nonce_folder=None,
        draws=np.random.Generator(np.random.Philox(7)),
        clock=clock,
    )


@asynccontextmanager
async def live_suite(venue: Local, **settings: Any) -> AsyncIterator[TradingSuite]:
    """A session on the venue; a stop that is late on a slow machine is waited for."""
    suite = await TradingSuite.create(
        ["ETH"], broker=live_broker(venue, **settings), order_manager_config=PATIENT
    )
    async with suite:
        yield suite


def broker_of(suite: TradingSuite) -> HyperliquidBroker:
    """The adapter of a session."""
    broker = suite.session.broker
    assert isinstance(broker, ContingentBroker)
    assert isinstance(broker.plain, HyperliquidBroker)
    return broker.plain


async def control(venue: Local, path: str, method: str = "POST", **body: Any) -> Any:
    """A control request, beside the loop."""
    return await asyncio.to_thread(venue.control, path, method, **body)


async def faults(venue: Local, *rules: dict[str, Any]) -> None:
    """Put rules of faults in force."""
    await control(venue, "/faults", rules=list(rules))


async def move(venue: Local, price: float, **more: Any) -> None:
    """Set ETH's price."""
    await asyncio.to_thread(venue.price, price, **more)


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something that must come."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the venue is another thread
            await asyncio.sleep(0.005)


def names(suite: TradingSuite, order_id: int | None) -> list[str]:
    """What the journal has of an order, by the kinds of events."""
    return [
        EventKind(row["kind"]).name
        for row in suite.session.journal.events()
        if row["order_id"] == order_id
    ]


def order_of(suite: TradingSuite, order_id: int | None) -> Order:
    """An order as it is."""
    assert order_id is not None
    return suite.session.ledger.orders[order_id].view()


async def assert_books_agree(suite: TradingSuite, venue: Local) -> None:
    """Position, cash and working orders here are the venue's."""
    broker = broker_of(suite)
    await broker.live.keeper.sweep()
    ledger = suite.session.ledger
    state = await broker.live.client.state()
    sizes = {entry.position.coin: entry.position.size for entry in state.positions}
    contract = broker.live.contracts[0]
    theirs = contract.lots(sizes["ETH"]) if "ETH" in sizes else 0
    assert ledger.positions[0].lots == theirs, f"position {ledger.positions[0].lots}, not {theirs}"
    orders = await broker.live.client.open_orders()
    ours = {track.oid for track in broker.live.books.tracks.values()}
    seen = {record.order_id for record in ledger.working.values() if not record.held}
    tracked = {asked_id(order_id) for order_id in broker.live.books.tracks}
    assert seen == tracked, f"{seen} work for the session, {tracked} for the adapter"
    working = {order.oid for order in orders}
    assert working == ours, f"orders {ours} work here, {working} there; {broker.notes}"
    # How the venue shares its value out between cash and open profit it shows cut off.
    value = ledger.cash_nanos
    for entry in state.positions:
        mark = entry.position.position_value / abs(entry.position.size)
        value += ledger.positions[0].unrealised_nanos(contract.nearest_ticks(mark))
    assert abs(value - to_nanos(state.margin.account_value)) < 10**6
    assert ledger.discrepancies == {}
