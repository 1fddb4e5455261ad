"""Answers, frames and connections are lost: the adapter does nothing twice and loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from broker_api.errors import OrderUncertainError
from broker_api.order import OrderStatus
from broker_api.suite import TradingSuite
from tests.venues.adapter import (
    assert_books_agree,
    broker_of,
    control,
    faults,
    live_suite,
    move,
    names,
    order_of,
    until,
)
from tests.venues.local_venue import Local, local_venue

Story = Callable[[TradingSuite, Local], Awaitable[None]]


@pytest.fixture
def venue() -> Iterator[Local]:
    with local_venue() as found:
        yield found


def play(venue: Local, story: Story, **settings: Any) -> None:
    async def main() -> None:
        async with live_suite(venue, **settings) as suite:
            await story(suite, venue)
            await control(venue, "/faults", rules=[])
            await assert_books_agree(suite, venue)

    asyncio.run(main())


def placed_orders(venue: Local) -> int:
    """Orders that ever reached the venue."""
    return len(venue.engine.records)


@pytest.mark.parametrize("kind", ["drop_after", "500_after"])
def test_an_order_whose_answer_was_lost_is_found(venue: Local, kind: str) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        await faults(venue, {"kind": kind, "match": "order"}, {"kind": "frame_drop", "count": 3})
        orders = suite["ETH"].orders
        with pytest.raises(OrderUncertainError) as caught:
            await orders.place_limit_order("ETH", "buy", 0.2, 1100)
        assert caught.value.order_may_exist
        assert caught.value.order.order_id == 1
        await until(lambda: order_of(suite, 1).status is OrderStatus.OPEN)
        assert names(suite, 1) == ["UNCERTAIN", "ACCEPTED"]
        assert placed_orders(venue) == 1
        await orders.cancel_order(1)

    play(venue, story)


@pytest.mark.parametrize("kind", ["drop_before", "500_before"])
def test_an_order_that_never_arrived_is_refused_and_not_sent_again(venue: Local, kind: str) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        await faults(venue, {"kind": kind, "match": "order"})
        orders = suite["ETH"].orders
        with pytest.raises(OrderUncertainError):
            await orders.place_limit_order("ETH", "buy", 0.2, 1100)
        assert order_of(suite, 1).status is OrderStatus.UNCERTAIN
        await until(lambda: order_of(suite, 1).is_terminal)
        assert order_of(suite, 1).reason == "the command surely never reached the venue"
        assert placed_orders(venue) == 0

    play(venue, story, valid_seconds=1.0)


def test_an_order_that_is_late_is_void(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        await faults(venue, {"kind": "delay_before", "match": "order", "ms": 4_000})
        with pytest.raises(OrderUncertainError, match="no answer within 2 s"):
            await suite["ETH"].orders.place_limit_order("ETH", "buy", 0.2, 1100)
        await until(lambda: order_of(suite, 1).is_terminal)
        assert placed_orders(venue) == 0

    play(venue, story, answer_seconds=2.0, valid_seconds=1.0)


def test_too_many_requests_wait_and_go_once(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        await faults(venue, {"kind": "429", "match": "order", "count": 2})
        placed = await suite["ETH"].orders.place_limit_order("ETH", "buy", 0.2, 1100)
        assert placed.status is OrderStatus.OPEN
        assert placed_orders(venue) == 1

    play(venue, story)


def test_a_market_order_whose_answer_was_lost_is_found_with_its_fills(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        await faults(
            venue,
            {"kind": "drop_after", "match": "order"},
            {"kind": "frame_drop", "match": "userFills"},
            {"kind": "frame_drop", "match": "orderUpdates", "count": 5},
        )
        with pytest.raises(OrderUncertainError):
            await suite["ETH"].orders.place_market_order("ETH", "buy", 0.5)
        await until(lambda: order_of(suite, 1).is_terminal)
        assert names(suite, 1) == ["UNCERTAIN", "ACCEPTED", "FILLED"]
        assert suite["ETH"].positions.net_size() == 0.5

    play(venue, story)


@pytest.mark.parametrize("kind", ["drop_after", "500_after", "drop_before", "500_before"])
def test_a_cancel_is_sent_again_until_it_is_known(venue: Local, kind: str) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        orders = suite["ETH"].orders
        await orders.place_limit_order("ETH", "buy", 0.2, 1100)
        await faults(venue, {"kind": kind, "match": "cancelByCloid"})
        cancelled = await orders.cancel_order(1)
        assert cancelled.status is OrderStatus.CANCELLED
        assert names(suite, 1) == ["ACCEPTED", "CANCELLED"]

    play(venue, story)


def test_a_cancel_of_an_order_that_is_uncertain_may_be_so_too(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        orders = suite["ETH"].orders
        await faults(
            venue,
            {"kind": "500_after", "match": "order"},
            {"kind": "frame_drop", "match": "orderUpdates"},
            {"kind": "500_before", "match": "orderStatus", "count": 1_000},
            {"kind": "500_before", "match": "cancelByCloid", "count": 3},
        )
        for command in (orders.place_limit_order("ETH", "buy", 0.2, 1100), orders.cancel_order(1)):
            with pytest.raises(OrderUncertainError):
                await asyncio.wait_for(command, 60)
        await asyncio.to_thread(venue.control, "/faults", "DELETE")
        await until(lambda: order_of(suite, 1).status is OrderStatus.OPEN)
        assert (await orders.cancel_order(1)).status is OrderStatus.CANCELLED

    play(venue, story, reconcile_seconds=60.0)


@pytest.mark.parametrize("kind", ["drop_after", "500_after", "drop_before", "500_before"])
def test_a_change_whose_answer_was_lost_is_found_out_about(venue: Local, kind: str) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        orders = suite["ETH"].orders
        await orders.place_limit_order("ETH", "buy", 0.2, 1100)
        await faults(
            venue,
            {"kind": kind, "match": "batchModify"},
            {"kind": "frame_drop", "match": "orderUpdates", "count": 4},
        )
        with pytest.raises(OrderUncertainError):
            await orders.modify_order(1, limit_price=1200)
        await until(lambda: order_of(suite, 1).status is OrderStatus.OPEN)
        price = 1200.0 if kind.endswith("after") else 1100.0
        live = broker_of(suite).live
        await until(lambda: not live.keeper.busy)
        assert order_of(suite, 1).limit_price == price
        await orders.cancel_order(1)

    play(venue, story, valid_seconds=2.0)


def test_a_request_that_arrives_twice_is_one_order(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        await faults(venue, {"kind": "duplicate", "match": "order"})
        await suite["ETH"].orders.place_limit_order("ETH", "buy", 0.2, 1100)
        assert placed_orders(venue) == 1

    play(venue, story)


def test_frames_that_come_twice_or_in_another_order_are_told_once(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        eth = suite["ETH"]
        for kind in ("frame_duplicate", "frame_reorder", "frame_duplicate", "frame_reorder"):
            await faults(venue, {"kind": kind, "count": 2})
            placed = await eth.orders.place_market_order("ETH", "buy", 0.1)
            await eth.orders.wait_for_fill(placed, 60)
        assert eth.positions.net_size() == pytest.approx(0.4)

    play(venue, story)


def test_fills_of_a_lost_frame_are_fetched(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        eth = suite["ETH"]
        placed = await eth.orders.place_limit_order("ETH", "sell", 0.5, 3000, post_only=True)
        await faults(venue, {"kind": "frame_drop", "match": "userFills"})
        other = await asyncio.to_thread(venue.another)
        await asyncio.to_thread(other.limit, True, 0.2, 3000)
        await until(lambda: eth.positions.net_size() == -0.2)
        await eth.orders.cancel_order(placed.order_id)

    play(venue, story, reconcile_seconds=1.0)


def test_after_a_lost_connection_everything_missed_is_told(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        eth = suite["ETH"]
        resting = await eth.orders.place_limit_order("ETH", "sell", 0.5, 3000, post_only=True)
        gone = await eth.orders.place_limit_order("ETH", "buy", 0.2, 1100)
        stream = broker_of(suite).live.stream
        before = stream.connections
        # The next connections end at their first frame.
        await faults(venue, {"kind": "disconnect", "count": 2})
        await control(venue, "/disconnect")
        other = await asyncio.to_thread(venue.another)
        await asyncio.to_thread(other.limit, True, 0.5, 3000)
        oid = suite.session.ledger.orders[2].venue_order_id
        await asyncio.to_thread(venue.trader.exchange.cancel, "ETH", oid)
        await until(lambda: stream.connections > before + 1)
        await eth.orders.wait_for_fill(resting, 60)
        await until(lambda: order_of(suite, gone.order_id).is_terminal)
        assert eth.positions.net_size() == -0.5
        assert any("WebSocket is down" in note for note in broker_of(suite).notes)
        await move(venue, 3010)
        await until(lambda: eth.data.last_quote.bid > 3005)

    play(venue, story, reconcile_seconds=60.0)


def test_a_frame_that_cannot_be_read_is_asked_for_instead(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        eth = suite["ETH"]
        live = broker_of(suite).live
        await eth.orders.place_limit_order("ETH", "sell", 0.5, 3000, post_only=True)
        await faults(venue, {"kind": "frame_drop", "match": "userFills"})
        other = await asyncio.to_thread(venue.another)
        await asyncio.to_thread(other.limit, True, 0.5, 3000)
        await until(lambda: not venue.server.faults.rules)
        live.stream.take('{"channel": "userFills", "data": {"fills": [5]}}')
        await until(lambda: eth.positions.net_size() == -0.5)

    play(venue, story, reconcile_seconds=60.0)
