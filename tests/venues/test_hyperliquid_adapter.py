"""The live adapter trades on the local venue as the interface says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from broker_api.config import AccountConfig
from broker_api.errors import (
    ConfigurationError,
    InsufficientMarginError,
    InvalidOrderError,
    InvalidPriceError,
    NotConnectedError,
    OrderNotActiveError,
    OrderRejectedError,
    PostOnlyWouldCrossError,
    ReduceOnlyError,
)
from broker_api.hyperliquid.manager import HyperliquidOrderManager
from broker_api.order import OrderStatus, Role
from broker_api.suite import TradingSuite
from tests.venues.adapter import (
    assert_books_agree,
    broker_of,
    live_broker,
    live_suite,
    move,
    names,
    order_of,
    until,
)
from tests.venues.local_venue import KEYS, Local, local_venue

Story = Callable[[TradingSuite, Local], Awaitable[None]]


@pytest.fixture
def venue() -> Iterator[Local]:
    with local_venue() as found:
        yield found


def play(venue: Local, story: Story, **settings: Any) -> None:
    """A session with this story, which ends with the books of both ends equal."""

    async def main() -> None:
        # What is told, and in which order, is to be of the stream: nothing is looked up meanwhile.
        async with live_suite(venue, **{"reconcile_seconds": 600.0, **settings}) as suite:
            await story(suite, venue)
            await assert_books_agree(suite, venue)

    asyncio.run(main())


def test_a_limit_order_rests_is_changed_and_is_cancelled(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        orders = suite["ETH"].orders
        placed = await orders.place_limit_order("ETH", "buy", 0.2, 1100)
        assert placed.status is OrderStatus.OPEN
        first = suite.session.ledger.orders[1].venue_order_id
        changed = await orders.modify_order(placed.order_id, limit_price=1200, size=0.3)
        assert (changed.limit_price, changed.size) == (1200.0, 0.3)
        assert suite.session.ledger.orders[1].venue_order_id > first
        cancelled = await orders.cancel_order(placed.order_id)
        assert (cancelled.status, cancelled.reason) == ("cancelled", "cancelled by the user")
        assert names(suite, 1) == ["ACCEPTED", "REPLACED", "CANCELLED"]
        with pytest.raises(OrderNotActiveError):
            await orders.cancel_order(placed.order_id)

    play(venue, story)


def test_market_orders_fill_with_their_fees(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        eth = suite["ETH"]
        bought = await eth.orders.place_market_order("ETH", "buy", 0.5)
        order = await eth.orders.wait_for_fill(bought, 60)
        assert order.average_price == 3000.1
        assert order.fills[0].fee == pytest.approx(3000.1 * 0.5 * 0.00045)
        assert eth.positions.net_size() == 0.5
        assert suite.account.equity == pytest.approx(10_000 - order.fills[0].fee - 0.5 * 0.1)
        closed = await eth.orders.close_position("ETH")
        await eth.orders.wait_for_fill(closed, 60)
        assert eth.positions.net_size() == 0

    play(venue, story)


def test_what_a_market_order_does_not_get_is_cancelled(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        await move(venue, 30, size="2")
        eth = suite["ETH"]
        await until(lambda: eth.data.last_quote is not None and eth.data.last_quote.ask == 30.1)
        placed = await eth.orders.place_market_order("ETH", "buy", 100, protection_ticks=0)
        await until(lambda: order_of(suite, placed.order_id).is_terminal)
        order = order_of(suite, placed.order_id)
        assert order.filled_quantity == 2
        assert order.reason == "the rest of the market order found no liquidity"

    play(venue, story)


def test_a_resting_order_is_filled_in_parts_by_others(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        eth = suite["ETH"]
        placed = await eth.orders.place_limit_order("ETH", "sell", 0.5, 3000, post_only=True)
        other = await asyncio.to_thread(venue.another)
        for size in (0.2, 0.3):
            await asyncio.to_thread(other.limit, True, size, 3000)
        order = await eth.orders.wait_for_fill(placed, 60)
        assert [fill.quantity for fill in order.fills] == [0.2, 0.3]
        assert {fill.liquidity.name for fill in order.fills} == {"MAKER"}
        assert names(suite, placed.order_id) == ["ACCEPTED", "FILLED", "FILLED"]

    play(venue, story)


def test_an_ioc_loses_its_rest(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        orders = suite["ETH"].orders
        placed = await orders.place_limit_order("ETH", "buy", 0.5, 2900, time_in_force="ioc")
        assert names(suite, placed.order_id) == ["ACCEPTED", "CANCELLED"]

    play(venue, story)


def test_a_stop_waits_and_fires(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        eth = suite["ETH"]
        await eth.orders.wait_for_fill(await eth.orders.place_market_order("ETH", "buy", 0.5), 60)
        stop = await eth.orders.place_stop_order("ETH", "sell", 0.5, 2900, reduce_only=True)
        touched = await eth.orders.place_market_if_touched_order("ETH", "buy", 0.1, 2800)
        await move(venue, 2890)
        await until(lambda: order_of(suite, stop.order_id).is_terminal)
        assert names(suite, stop.order_id) == ["ACCEPTED", "TRIGGERED", "FILLED"]
        assert order_of(suite, touched.order_id).status is OrderStatus.OPEN
        moved = await eth.orders.modify_order(touched.order_id, stop_price=2700)
        assert moved.stop_price == 2700
        await eth.orders.cancel_order(touched.order_id)

    play(venue, story)


@pytest.mark.parametrize(
    ("place", "error", "text"),
    [
        (
            lambda orders: orders.place_limit_order("ETH", "buy", 0.2, 3100, post_only=True),
            PostOnlyWouldCrossError,
            r"a post-only buy at 3100\.000 would take liquidity of ETH at 3000\.100",
        ),
        (
            lambda orders: orders.place_limit_order("ETH", "buy", 0.2, 1234.56),
            InvalidPriceError,
            r"nearest are 1234\.500 and 1234\.600",
        ),
        (
            lambda orders: orders.place_limit_order("ETH", "buy", 2_000, 2900),
            InsufficientMarginError,
            "not enough margin",
        ),
        (
            lambda orders: orders.place_limit_order("ETH", "sell", 1, 3100, reduce_only=True),
            ReduceOnlyError,
            "no open position",
        ),
        (
            lambda orders: orders.place_stop_order("ETH", "buy", 1, 2900),
            InvalidPriceError,
            "not above the market",
        ),
        (
            lambda orders: orders.place_limit_order("ETH", "buy", 1, 2900, time_in_force="fok"),
            OrderRejectedError,
            "does not support",
        ),
        (
            lambda orders: orders.place_limit_order("ETH", "sell", 1, 9_000),
            InvalidPriceError,
            r"price 9000\.000 of ETH is outside the price band at 3000\.000",
        ),
    ],
)
def test_refusals_raise_what_they_raise_in_a_simulation(
    venue: Local, place: Callable[[Any], Awaitable[Any]], error: Any, text: str
) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        with pytest.raises(error, match=text):
            await place(suite["ETH"].orders)

    play(venue, story)


def test_many_orders_at_once_go_in_few_requests(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        orders = suite["ETH"].orders
        placing = [orders.place_limit_order("ETH", "buy", 0.1, 1000 + n) for n in range(60)]
        placed = await asyncio.gather(*placing)
        assert [each.order_id for each in placed] == list(range(1, 61))
        oids = [suite.session.ledger.orders[n].venue_order_id for n in range(1, 61)]
        assert oids == sorted(oids)
        answers = await orders.cancel_orders([each.order_id for each in placed])
        assert all(answer.status == "cancelled" for answer in answers.values())

    play(venue, story)


def test_a_second_session_finds_the_position_and_tells_of_foreign_orders(venue: Local) -> None:
    async def main() -> None:
        async with live_suite(venue) as suite:
            eth = suite["ETH"]
            await eth.orders.wait_for_fill(await eth.orders.place_market_order("ETH", 0, 0.5), 60)
            await eth.orders.place_limit_order("ETH", "buy", 0.2, 1100)
        async with live_suite(venue) as suite:
            assert suite["ETH"].positions.net_size() == 0.5
            assert suite.account.equity == pytest.approx(9_999.275, abs=0.01)
            assert "works at the venue and is not this session's" in broker_of(suite).notes[0]
            trader = venue.trader
            await asyncio.to_thread(trader.limit, False, 0.1, 2990.0)
            await until(lambda: suite["ETH"].positions.net_size() == 0.4)
            (foreign,) = suite.session.ledger.orders.values()
            assert foreign.role is Role.FOREIGN

    asyncio.run(main())


def test_a_key_that_was_approved_trades_for_its_master(venue: Local) -> None:
    _, agent = venue.trader.exchange.approve_agent("bot")

    async def story(suite: TradingSuite, venue: Local) -> None:
        assert broker_of(suite).account == venue.trader.address.lower()
        await suite["ETH"].orders.place_limit_order("ETH", "buy", 0.2, 1100)

    play(venue, story, key=agent)


def test_a_key_without_an_account_says_what_to_do(venue: Local) -> None:
    async def main(**settings: Any) -> None:
        async with live_suite(venue, **settings):
            pass

    with pytest.raises(ConfigurationError, match="has no account at the venue"):
        asyncio.run(main(key="0x" + "7" * 64))
    with pytest.raises(ConfigurationError, match="not for the account"):
        asyncio.run(main(account="0x" + "7" * 40))


def test_leverage_of_the_accounts_settings_is_set(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        eth = suite["ETH"]
        await eth.orders.wait_for_fill(await eth.orders.place_market_order("ETH", 0, 0.5), 60)
        state = await broker_of(suite).live.client.state()
        leverage = state.positions[0].position.leverage
        assert (leverage.type, leverage.value) == ("isolated", 3)

    settings = AccountConfig(leverage={"ETH": 3}, isolated=("ETH",))
    play(venue, story, money=settings)


def test_the_dead_mans_switch_cancels_when_nobody_lives(venue: Local) -> None:
    async def main() -> None:
        suite = await TradingSuite.create(["ETH"], broker=live_broker(venue, dead_man_seconds=15.0))
        placed = await suite["ETH"].orders.place_limit_order("ETH", "buy", 0.2, 1100)
        user = venue.engine.users[broker_of(suite).account]
        assert user.scheduled_ms is not None
        venue.wall.ahead_s = 16.0
        await broker_of(suite).live.keeper.sweep()
        await until(lambda: order_of(suite, placed.order_id).is_terminal)
        reason = order_of(suite, placed.order_id).reason
        assert reason == "cancelled at the time that was set with the venue for all orders"
        venue.wall.ahead_s = 0.0
        await suite.disconnect()
        assert user.scheduled_ms is None

    asyncio.run(main())


def test_a_venue_that_is_not_there_is_said_at_once() -> None:
    async def main() -> None:
        await TradingSuite.create(
            ["ETH"],
            broker="hyperliquid",
            base_url="http://127.0.0.1:9",
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAPERTAPE_HYPERLIQUID_KEY", KEYS[0])
        with pytest.raises(Exception, match=r"no connection to http://127\.0\.0\.1:9"):
            asyncio.run(main())


def test_after_disconnect_nothing_is_sent_and_what_was_known_is_known(venue: Local) -> None:
    async def main() -> None:
        suite = await TradingSuite.create(["ETH"], broker=live_broker(venue))
        orders = suite["ETH"].orders
        await orders.place_limit_order("ETH", "buy", 0.2, 1100)
        await suite.disconnect()
        await suite.disconnect()
        with pytest.raises(NotConnectedError):
            await orders.place_limit_order("ETH", "buy", 0.2, 1100)
        assert suite.account.equity == 10_000
        assert suite["ETH"].data.last_quote is not None
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

    asyncio.run(main())
    assert len(venue.trader.open_oids()) == 1


def test_the_three_verbs_of_the_sdks_document(
    venue: Local, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PAPERTAPE_HYPERLIQUID_KEY", KEYS[0])
    monkeypatch.setenv("PAPERTAPE_HOME", str(tmp_path))

    async def main() -> None:
        settings = {"network": "local", "base_url": venue.url, "candle_history": 0}
        async with HyperliquidOrderManager(**settings) as manager:
            assert await manager.get_positions() == []
            oid = await manager.place_limit_order("ETH", True, 0.2, 1100)
            assert venue.trader.open_oids() == [oid]
            cancelled = await manager.cancel_order("ETH", oid)
            assert cancelled is not None
            assert cancelled.status == "cancelled"
            with pytest.raises(OrderNotActiveError):
                await manager.cancel_order("ETH", oid)
            eth = await manager.coin("ETH")
            bought = await eth.orders.place_market_order("ETH", "buy", 0.5)
            await eth.orders.wait_for_fill(bought, 60)
            (position,) = await manager.get_positions()
            assert (position.coin, float(position.size)) == ("ETH", 0.5)
            older = await asyncio.to_thread(venue.trader.limit, True, 0.2, 1200)
            assert await manager.cancel_order("ETH", older["resting"]["oid"]) is None
            with pytest.raises(OrderNotActiveError, match="the venue says"):
                await manager.cancel_order("ETH", 999)
        with pytest.raises(NotConnectedError):
            await manager.place_limit_order("ETH", True, 0.2, 1100)

    asyncio.run(main())
    assert venue.trader.open_oids() == []
    assert [path.suffix for path in (tmp_path / "nonces").iterdir()].count(".nonce") == 1


def test_a_name_of_the_users_own_is_not_used_twice_at_the_venue(venue: Local) -> None:
    async def main() -> None:
        async with live_suite(venue, scope="my strategy") as suite:
            orders = suite["ETH"].orders
            await orders.place_limit_order("ETH", "buy", 0.2, 1100)
            await orders.place_limit_order("ETH", "buy", 0.2, 1100, client_order_id="entry")
        async with live_suite(venue, scope="my strategy") as suite:
            orders = suite["ETH"].orders
            await orders.place_limit_order("ETH", "buy", 0.2, 1100)  # number 1 again
            with pytest.raises(InvalidOrderError, match="client_order_id is already used"):
                await orders.place_limit_order("ETH", "buy", 0.2, 1100, client_order_id="entry")
            await orders.place_limit_order("ETH", "buy", 0.2, 1100, client_order_id="another")
        async with live_suite(venue) as suite:  # no name: nothing in common with the others
            orders = suite["ETH"].orders
            await orders.place_limit_order("ETH", "buy", 0.2, 1100, client_order_id="entry")

    asyncio.run(main())
    assert len(venue.trader.open_oids()) == 5


def test_a_bracket_is_kept_over_plain_orders(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        eth = suite["ETH"]
        placed = await eth.orders.place_bracket_order(
            "ETH", "buy", 0.5, 3005, stop_offset=50, target_offset=40
        )
        await eth.orders.wait_for_fill(placed, 60)
        stop, target = placed.stop_order_id, placed.target_order_id
        await until(lambda: order_of(suite, target).status is OrderStatus.OPEN)
        assert order_of(suite, stop).stop_price == 2950.1
        assert order_of(suite, target).limit_price == 3040.1
        assert [
            order["reduceOnly"] for order in venue.trader.info.open_orders(broker_of(suite).account)
        ] == [True, True]
        await move(venue, 3050)
        await until(lambda: order_of(suite, stop).is_terminal)
        assert order_of(suite, target).status is OrderStatus.FILLED
        assert order_of(suite, stop).reason == "cancelled because its sibling ended"
        assert eth.positions.net_size() == 0

    play(venue, story)


def test_exits_at_odd_prices_are_put_where_the_venue_takes_them(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        eth = suite["ETH"]
        placed = await eth.orders.place_bracket_order(
            "ETH", "buy", 0.5, 3005, stop_offset=50.037, target_offset=40.037
        )
        await eth.orders.wait_for_fill(placed, 60)
        await until(
            lambda: (
                order_of(suite, placed.target_order_id).status is OrderStatus.OPEN
                and order_of(suite, placed.stop_order_id).status is OrderStatus.OPEN
            )
        )
        # 3000.1 less 50.037 and plus 40.037, with five digits
        assert order_of(suite, placed.stop_order_id).stop_price == 2950.1
        assert order_of(suite, placed.target_order_id).limit_price == 3040.1
        await asyncio.sleep(1)  # and it is not asked for again and again
        assert names(suite, placed.stop_order_id) == ["ACCEPTED", "ACTIVATED"]

    play(venue, story)


def test_one_of_a_pair_completes(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        orders = suite["ETH"].orders
        pair = await orders.place_oco_order(
            "ETH",
            0.2,
            first_order={"type": "limit", "side": "buy", "price": 2900},
            second_order={"type": "stop", "side": "buy", "stop_price": 3100},
        )
        await until(lambda: order_of(suite, pair.second_order_id).status is OrderStatus.OPEN)
        await move(venue, 3105)
        await until(lambda: order_of(suite, pair.first_order_id).is_terminal)
        assert order_of(suite, pair.second_order_id).status is OrderStatus.FILLED
        assert order_of(suite, pair.first_order_id).status is OrderStatus.CANCELLED

    play(venue, story)
