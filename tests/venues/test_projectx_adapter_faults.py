"""Answers, events and connections are lost: the adapter does nothing twice and loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from broker_api.errors import OrderUncertainError
from broker_api.order import OrderStatus
from broker_api.projectx.config import ProjectXConfig
from broker_api.projectx.pace import pacing_of
from broker_api.projectx.wire.fields import time_ns
from broker_api.projectx.wire.signalr import Invocation
from broker_api.suite import TradingSuite
from tests.venues.adapter import control, faults, names, order_of, until
from tests.venues.local_gateway import ACCOUNT, LIMIT, SELL, Gateway, local_gateway
from tests.venues.projectx_adapter import assert_books_agree, broker_of, live_suite, move

Story = Callable[[TradingSuite, Gateway], Awaitable[None]]
LOST = ["drop_after", "500_after", "drop_before", "500_before"]
PATIENCE = 60.0


@pytest.fixture
def venue() -> Iterator[Gateway]:
    with local_gateway() as found:
        yield found


def play(venue: Gateway, story: Story, **settings: Any) -> None:
    async def main() -> None:
        async with live_suite(venue, **settings) as suite:
            await story(suite, venue)
            await heal(venue)
            await assert_books_agree(suite, venue)

    asyncio.run(main())


async def heal(venue: Gateway) -> None:
    """No faults any more."""
    await asyncio.to_thread(venue.control, "/faults", "DELETE")


def placed_orders(venue: Gateway) -> int:
    """Orders that ever reached the gateway."""
    return len(venue.server.runner.engine.orders)


@pytest.mark.parametrize("kind", ["drop_after", "500_after"])
def test_an_order_whose_answer_was_lost_is_found_by_its_tag(venue: Gateway, kind: str) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        dropped = {"kind": "frame_drop", "match": "GatewayUserOrder", "count": 3}
        await faults(venue, {"kind": kind, "match": "place"}, dropped)
        orders = suite["MNQ"].orders
        with pytest.raises(OrderUncertainError) as caught:
            await orders.place_limit_order("MNQ", "buy", 2, 20_000)
        assert caught.value.order_may_exist
        await until(lambda: order_of(suite, 1).status is OrderStatus.OPEN, PATIENCE)
        assert names(suite, 1) == ["UNCERTAIN", "ACCEPTED"]
        assert placed_orders(venue) == 1
        await heal(venue)
        await orders.cancel_order(1)

    play(venue, story)


@pytest.mark.parametrize("kind", ["drop_before", "500_before", "429"])
def test_an_order_that_never_arrived_is_refused_and_not_sent_again(
    venue: Gateway, kind: str
) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        await faults(venue, {"kind": kind, "match": "place"})
        with pytest.raises(OrderUncertainError):
            await suite["MNQ"].orders.place_limit_order("MNQ", "buy", 2, 20_000)
        await until(lambda: order_of(suite, 1).is_terminal, PATIENCE)
        assert order_of(suite, 1).reason == "the command surely never reached the venue"
        assert names(suite, 1) == ["UNCERTAIN", "REJECTED"]
        assert placed_orders(venue) == 0

    play(venue, story)


def test_an_order_that_arrives_after_it_was_given_up_is_cancelled(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        await faults(venue, {"kind": "delay_before", "match": "place", "ms": 10_000})
        with pytest.raises(OrderUncertainError, match="no answer within 2 s"):
            await suite["MNQ"].orders.place_limit_order("MNQ", "buy", 2, 20_000)
        await until(lambda: order_of(suite, 1).is_terminal, PATIENCE)
        await until(lambda: placed_orders(venue) == 1, PATIENCE)
        engine = venue.server.runner.engine
        await until(lambda: all(each.status.is_final for each in engine.orders.values()), PATIENCE)
        assert any("came late and is cancelled" in note for note in broker_of(suite).notes)

    play(venue, story, answer_seconds=2.0, arrival_seconds=0.5)


def test_a_market_order_whose_answer_was_lost_is_found_with_its_fills(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        await faults(
            venue,
            {"kind": "drop_after", "match": "place"},
            {"kind": "frame_drop", "match": "GatewayUserTrade", "count": 2},
            {"kind": "frame_drop", "match": "GatewayUserOrder", "count": 5},
        )
        with pytest.raises(OrderUncertainError):
            await suite["MNQ"].orders.place_market_order("MNQ", "buy", 2)
        await until(lambda: order_of(suite, 1).is_terminal, PATIENCE)
        assert names(suite, 1) == ["UNCERTAIN", "ACCEPTED", "FILLED"]
        assert suite["MNQ"].positions.net_size() == 2
        assert placed_orders(venue) == 1

    play(venue, story)


@pytest.mark.parametrize("kind", [*LOST, "429"])
def test_a_cancel_is_sent_again_until_it_is_known(venue: Gateway, kind: str) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        orders = suite["MNQ"].orders
        await orders.place_limit_order("MNQ", "buy", 2, 20_000)
        await faults(venue, {"kind": kind, "match": "cancel"})
        cancelled = await orders.cancel_order(1)
        assert cancelled.status is OrderStatus.CANCELLED
        assert names(suite, 1) == ["ACCEPTED", "CANCELLED"]

    play(venue, story)


@pytest.mark.parametrize("kind", LOST)
def test_a_change_whose_answer_was_lost_is_found_out_about(venue: Gateway, kind: str) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        orders = suite["MNQ"].orders
        await orders.place_limit_order("MNQ", "buy", 2, 20_000)
        await faults(
            venue,
            {"kind": kind, "match": "modify"},
            {"kind": "frame_drop", "match": "GatewayUserOrder"},
        )
        with pytest.raises(OrderUncertainError):
            await orders.modify_order(1, limit_price=20_100)
        await until(lambda: order_of(suite, 1).status is OrderStatus.OPEN, PATIENCE)
        price = 20_100.0 if kind.endswith("after") else 20_000.0
        await until(lambda: not broker_of(suite).live.keeper.busy, PATIENCE)
        assert order_of(suite, 1).limit_price == price
        await heal(venue)
        await orders.cancel_order(1)

    play(venue, story)


def test_a_request_that_arrives_twice_is_one_order(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        await faults(venue, {"kind": "duplicate", "match": "place"})
        await suite["MNQ"].orders.place_limit_order("MNQ", "buy", 2, 20_000)
        records = venue.server.runner.engine.orders.values()
        working = [each for each in records if not each.status.is_final]
        assert len(working) == 1
        assert order_of(suite, 1).status is OrderStatus.OPEN

    play(venue, story)


def test_events_that_come_twice_or_in_another_order_are_told_once(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        mnq = suite["MNQ"]
        for kind in ("frame_duplicate", "frame_reorder", "frame_duplicate", "frame_reorder"):
            await faults(venue, {"kind": kind, "match": "GatewayUserOrder", "count": 2})
            await faults(venue, {"kind": kind, "match": "GatewayUserTrade"})
            placed = await mnq.orders.place_market_order("MNQ", "buy", 1)
            await mnq.orders.wait_for_fill(placed, PATIENCE)
            assert names(suite, placed.order_id) == ["ACCEPTED", "FILLED"]
        assert mnq.positions.net_size() == 4

    play(venue, story)


def test_executions_of_lost_events_are_fetched(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        mnq = suite["MNQ"]
        placed = await mnq.orders.place_limit_order("MNQ", "sell", 2, 21_010)
        await faults(venue, {"kind": "frame_drop", "match": "GatewayUserTrade", "count": 2})
        await move(venue, 21_020)
        await until(lambda: mnq.positions.net_size() == -2, PATIENCE)
        assert names(suite, placed.order_id) == ["ACCEPTED", "FILLED"]

    play(venue, story)


def test_after_a_lost_connection_everything_missed_is_told(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        mnq, live = suite["MNQ"], broker_of(suite).live
        resting = await mnq.orders.place_limit_order("MNQ", "sell", 2, 21_010)
        gone = await mnq.orders.place_limit_order("MNQ", "buy", 2, 20_000)
        before = live.user_hub.connections
        await faults(venue, {"kind": "disconnect", "count": 2})
        await control(venue, "/disconnect")
        number = suite.session.ledger.orders[2].venue_order_id
        await asyncio.to_thread(venue.ask, "Order/cancel", accountId=ACCOUNT, orderId=number)
        await move(venue, 21_020)
        await mnq.orders.wait_for_fill(resting, PATIENCE)
        await until(lambda: order_of(suite, gone.order_id).is_terminal, PATIENCE)
        await until(lambda: live.user_hub.connections > before, PATIENCE)
        assert mnq.positions.net_size() == -2
        await until(
            lambda: any("user hub is down" in note for note in broker_of(suite).notes), PATIENCE
        )
        await move(venue, 21_050)
        await until(lambda: mnq.data.last_quote.bid > 21_045, PATIENCE)

    play(venue, story, reconcile_seconds=60.0)


def test_an_event_that_cannot_be_read_is_asked_for_instead(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        mnq, live = suite["MNQ"], broker_of(suite).live
        await mnq.orders.place_limit_order("MNQ", "sell", 2, 21_010)
        await faults(
            venue,
            {"kind": "frame_drop", "match": "GatewayUserTrade"},
            {"kind": "frame_drop", "match": "GatewayUserOrder"},
        )
        await move(venue, 21_020)
        await until(lambda: not venue.server.faults.rules, PATIENCE)
        live.user_hub.take(Invocation("GatewayUserOrder", ({"id": "none"},)))
        await until(lambda: mnq.positions.net_size() == -2, PATIENCE)
        assert any("cannot be read" in note for note in broker_of(suite).notes)

    play(venue, story, reconcile_seconds=60.0)


def test_searches_wait_when_there_are_too_many(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        await faults(venue, {"kind": "429", "match": "searchOpen", "count": 2})
        await broker_of(suite).live.keeper.sweep()

    play(venue, story, reconcile_seconds=60.0)


def test_commands_wait_for_the_limit_and_cancels_have_a_reserve(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        orders = suite["MNQ"].orders
        placing = [orders.place_limit_order("MNQ", "buy", 1, 20_000) for _ in range(40)]
        answers = await asyncio.gather(*placing, return_exceptions=True)
        kinds = [type(each).__name__ for each in answers]
        placed = kinds.count("OrderResponse")
        assert kinds.count("RateLimited") == 40 - placed
        assert 3 < placed < 30
        assert placed_orders(venue) == placed
        assert (await orders.cancel_order(1)).status is OrderStatus.CANCELLED
        assert len(suite.session.ledger.working) == placed - 1
        broker_of(suite).live.client.pacing = pacing_of(
            ProjectXConfig(requests_per_minute=5_000), np.random.Generator(np.random.Philox(1))
        )

    limits = {"requests_per_minute": 40, "cancel_reserve": 10, "wait_max_seconds": 1.0}
    play(venue, story, reconcile_seconds=600.0, bar_history=0, **limits)


def test_an_order_that_only_reduces_is_made_smaller_though_a_message_was_lost(
    venue: Gateway,
) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        orders = suite["MNQ"].orders
        await orders.place_market_order("MNQ", "buy", 4)
        exit_ = await orders.place_limit_order("MNQ", "sell", 4, 21_100, reduce_only=True)
        number = suite.session.ledger.orders[exit_.order_id].venue_order_id
        await faults(venue, {"kind": "500_before", "match": "modify"})
        await orders.place_market_order("MNQ", "sell", 3)
        engine = venue.server.runner.engine
        await until(lambda: engine.orders[number].lots == 1, PATIENCE)
        assert not venue.server.faults.rules

    play(venue, story, reconcile_seconds=1.0)


def test_bars_that_were_missed_are_read_again(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        live = broker_of(suite).live
        before = live.market_hub.connections
        await faults(venue, {"kind": "disconnect", "match": "GatewayQuote"})
        await faults(venue, {"kind": "frame_drop", "match": "GatewayTrade"})
        await move(venue, 21_012)  # nobody tells of it
        await until(lambda: live.market_hub.connections > before, PATIENCE)
        await until(
            lambda: any(bar.close == 21_012 for bar in suite["MNQ"].data.bars("1min", 10)), PATIENCE
        )

    play(venue, story, reconcile_seconds=600.0)


def test_an_order_of_somebody_else_is_told_as_his(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        await asyncio.to_thread(venue.place, LIMIT, SELL, 2, limitPrice=20_990.0)
        await until(lambda: suite["MNQ"].positions.net_size() == -2, PATIENCE)
        (foreign,) = suite.session.ledger.orders.values()
        assert foreign.role.name == "FOREIGN"

    play(venue, story)


@pytest.mark.parametrize(("day", "is_dropped"), [("2026-11-18", True), ("2026-11-21", False)])
def test_a_silent_market_hub_is_connected_again_while_the_market_is_open(
    venue: Gateway, day: str, is_dropped: bool
) -> None:
    clock = AheadClock(venue)
    noon_ns = time_ns(f"{day}T18:00:00Z")
    venue.wall.ahead_s = (noon_ns - clock.now_ns()) / 1e9

    async def story(suite: TradingSuite, venue: Gateway) -> None:
        live = broker_of(suite).live
        first = live.market_hub.connections
        if is_dropped:
            await until(lambda: live.market_hub.connections > first, PATIENCE)
            return
        heard = live._heard_at
        await until(lambda: live._heard_at > heard, PATIENCE)  # it was silent, and that is all
        assert live.market_hub.connections == first

    play(venue, story, clock=clock, quiet_seconds=1.0, reconcile_seconds=600.0)


# --- tokens --------------------------------------------------------------------------------------


def test_an_order_at_an_expired_token_logs_in_again_and_goes_once(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        tokens = broker_of(suite).live.client.tokens
        venue.wall.ahead_s = 25 * 3600.0  # the gateway's clock; ours stands where it was
        placed = await suite["MNQ"].orders.place_limit_order("MNQ", "buy", 2, 20_000)
        assert placed.status is OrderStatus.OPEN
        assert placed_orders(venue) == 1
        assert tokens.renewals >= 1

    play(venue, story)


class AheadClock:
    """The wall's time as the gateway sees it."""

    def __init__(self, venue: Gateway) -> None:
        self._wall = venue.wall

    def now_ns(self) -> int:
        return self._wall()

    def now_ms(self) -> int:
        return self._wall() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def test_a_token_is_renewed_before_it_ends_and_the_hubs_follow(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        live = broker_of(suite).live
        tokens, before = live.client.tokens, live.user_hub.connections
        first = await tokens.token()
        venue.wall.ahead_s = 0.79 * 24 * 3600
        assert await tokens.token() is first
        venue.wall.ahead_s = 0.81 * 24 * 3600
        second = await tokens.token()
        assert second != first
        assert tokens.renewals == 1
        await until(lambda: live.user_hub.connections > before, PATIENCE)
        await suite["MNQ"].orders.place_limit_order("MNQ", "buy", 2, 20_000)
        venue.wall.ahead_s = 1.2 * 24 * 3600  # the first has ended by now, the second has not
        await suite["MNQ"].orders.cancel_order(1)
        assert tokens.renewals == 1

    play(venue, story, clock=AheadClock(venue), reconcile_seconds=600.0)


def test_a_session_that_the_gateway_ends_begins_again(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        live = broker_of(suite).live
        token, before = await live.client.tokens.token(), live.user_hub.connections
        await asyncio.to_thread(venue.post, "Auth/logout", token.reveal())
        await until(lambda: live.user_hub.connections > before, PATIENCE)
        await suite["MNQ"].orders.place_market_order("MNQ", "buy", 1)
        await until(lambda: suite["MNQ"].positions.net_size() == 1, PATIENCE)

    play(venue, story)
