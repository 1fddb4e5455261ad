"""The live adapter trades on the local gateway as the interface says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from broker_api.errors import (
    BrokerError,
    ConfigurationError,
    InvalidPriceError,
    NotConnectedError,
    OrderNotActiveError,
    OrderRejectedError,
    ReduceOnlyError,
)
from broker_api.order import OrderStatus, Role
from broker_api.projectx.wire.fields import time_ns
from broker_api.secret import Secret
from broker_api.suite import TradingSuite
from sim.venues.sources import source_of
from tests.venues.adapter import names, order_of, until
from tests.venues.local_gateway import (
    ACCOUNT,
    BUY,
    CATALOG,
    CONTRACT,
    KEY,
    LIMIT,
    USER,
    Gateway,
    local_gateway,
)
from tests.venues.projectx_adapter import (
    assert_books_agree,
    broker_of,
    live_broker,
    live_suite,
    move,
)

PATIENCE = 60.0
Story = Callable[[TradingSuite, Gateway], Awaitable[None]]


@pytest.fixture
def venue() -> Iterator[Gateway]:
    with local_gateway() as found:
        yield found


def play(venue: Gateway, story: Story, **settings: Any) -> None:
    """A session with this story, which ends with the books of both ends equal."""

    async def main() -> None:
        # What is told, and in which order, is to be of the stream: nothing is looked up meanwhile.
        async with live_suite(venue, **{"reconcile_seconds": 600.0, **settings}) as suite:
            await story(suite, venue)
            await assert_books_agree(suite, venue)

    asyncio.run(main())


def test_a_limit_order_rests_is_changed_and_is_cancelled(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        orders = suite["MNQ"].orders
        placed = await orders.place_limit_order("MNQ", "buy", 2, 20_900)
        assert placed.status is OrderStatus.OPEN
        changed = await orders.modify_order(placed.order_id, limit_price=20_910, size=3)
        assert (changed.limit_price, changed.size) == (20_910.0, 3)
        cancelled = await orders.cancel_order(placed.order_id)
        assert (cancelled.status, cancelled.reason) == ("cancelled", "cancelled by the user")
        assert names(suite, 1) == ["ACCEPTED", "REPLACED", "CANCELLED"]

    play(venue, story)


def test_market_orders_fill_with_their_fees(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        mnq = suite["MNQ"]
        bought = await mnq.orders.place_market_order("MNQ", "buy", 2)
        order = await mnq.orders.wait_for_fill(bought, 30)
        assert order.average_price == 21_000.25
        assert sum(fill.fee for fill in order.fills) == pytest.approx(0.74)
        assert mnq.positions.net_size() == 2
        await move(venue, 21_010)
        closed = await mnq.orders.close_position("MNQ")
        await mnq.orders.wait_for_fill(closed, 30)
        assert mnq.positions.net_size() == 0

    play(venue, story)


def test_a_bracket_is_kept_over_plain_orders(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        orders = suite["MNQ"].orders
        placed = await orders.place_bracket_order(
            "MNQ", "buy", 2, entry_price=None, stop_offset=25, target_offset=50
        )
        await until(lambda: all(order_of(suite, key).status == "open" for key in (2, 3)), 60)
        assert order_of(suite, placed.stop_order_id).stop_price == 20_975.25
        assert order_of(suite, placed.target_order_id).limit_price == 21_050.25
        await move(venue, 21_060)
        await until(lambda: order_of(suite, 2).is_terminal, 60)
        assert order_of(suite, 3).status == "filled"
        assert suite["MNQ"].positions.net_size() == 0

    play(venue, story)


async def bought(suite: TradingSuite, size: int) -> None:
    """A position, bought at market."""
    orders = suite["MNQ"].orders
    await orders.wait_for_fill(await orders.place_market_order("MNQ", "buy", size), PATIENCE)


# --- kinds of orders -----------------------------------------------------------------------------


def test_a_stop_waits_and_fires(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        orders = suite["MNQ"].orders
        await bought(suite, 2)
        stop = await orders.place_stop_order("MNQ", "sell", 2, 20_950)
        limited = await orders.place_stop_limit_order("MNQ", "buy", 1, 21_100, 21_110)
        moved = await orders.modify_order(stop.order_id, stop_price=20_960)
        assert moved.stop_price == 20_960
        await move(venue, 20_955)
        await until(lambda: order_of(suite, stop.order_id).is_terminal, PATIENCE)
        assert names(suite, stop.order_id) == ["ACCEPTED", "REPLACED", "TRIGGERED", "FILLED"]
        assert order_of(suite, limited.order_id).status is OrderStatus.OPEN
        await orders.cancel_order(limited.order_id)

    play(venue, story)


def test_a_trailing_stop_follows_from_the_distance_that_was_asked_for(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        orders, mnq = suite["MNQ"].orders, suite["MNQ"]
        await move(venue, 21_000)  # the first print: a distance is from the last trade
        await until(lambda: mnq.data.last_trade is not None, PATIENCE)
        await bought(suite, 1)
        trailing = await orders.place_trailing_stop_order("MNQ", "sell", 1, trail_ticks=40)
        record = await asyncio.to_thread(
            venue.order, suite.session.ledger.orders[trailing.order_id].venue_order_id
        )
        assert record["trailDistance"] == 40
        await orders.modify_order(trailing.order_id, trail_ticks=60)
        await move(venue, 21_050)
        await move(venue, 21_036)
        assert order_of(suite, trailing.order_id).status is OrderStatus.OPEN
        await move(venue, 21_034)
        await until(lambda: order_of(suite, trailing.order_id).is_terminal, PATIENCE)
        assert mnq.positions.net_size() == 0

    play(venue, story)


@pytest.mark.parametrize(
    ("place", "error", "text"),
    [
        (
            lambda orders: orders.place_limit_order("MNQ", "buy", 1, 20_000, post_only=True),
            OrderRejectedError,
            "does not support",
        ),
        (
            lambda orders: orders.place_limit_order("MNQ", "buy", 1, 20_000, time_in_force="ioc"),
            OrderRejectedError,
            "does not support",
        ),
        (
            lambda orders: orders.place_limit_order("MNQ", "buy", 1, 20_000.1),
            InvalidPriceError,
            "nearest are 20000 and 20000.25",
        ),
        (
            lambda orders: orders.place_stop_order("MNQ", "buy", 1, 20_000),
            InvalidPriceError,
            "not above the market",
        ),
        (
            lambda orders: orders.place_limit_order("MNQ", "sell", 1, 21_100, reduce_only=True),
            ReduceOnlyError,
            "no open position",
        ),
        (
            lambda orders: orders.place_market_if_touched_order("MNQ", "buy", 1, 20_000),
            OrderRejectedError,
            "market-if-touched",
        ),
    ],
)
def test_refusals_raise_what_they_raise_in_a_simulation(
    venue: Gateway, place: Callable[[Any], Awaitable[Any]], error: Any, text: str
) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        with pytest.raises(error, match=text):
            await place(suite["MNQ"].orders)

    play(venue, story)


def test_many_orders_at_once_keep_their_order(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        orders = suite["MNQ"].orders
        placing = [orders.place_limit_order("MNQ", "buy", 1, 20_000 + n) for n in range(20)]
        placed = await asyncio.gather(*placing)
        assert [each.order_id for each in placed] == list(range(1, 21))
        numbers = [suite.session.ledger.orders[n].venue_order_id for n in range(1, 21)]
        assert numbers == sorted(numbers)
        answers = await orders.cancel_orders([each.order_id for each in placed])
        assert all(answer.status == "cancelled" for answer in answers.values())
        with pytest.raises(OrderNotActiveError):
            await orders.cancel_order(1)

    play(venue, story)


# --- what only reduces ---------------------------------------------------------------------------


def sizes_there(venue: Gateway) -> dict[int, int]:
    """Sizes of working orders at the gateway, by number."""
    found = venue.server.runner.engine.orders.values()
    return {each.id: each.lots for each in found if not each.status.is_final}


def test_what_only_reduces_follows_the_position(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        orders = suite["MNQ"].orders
        await bought(suite, 4)
        exit_ = await orders.place_limit_order("MNQ", "sell", 6, 21_100, reduce_only=True)
        number = suite.session.ledger.orders[exit_.order_id].venue_order_id
        assert sizes_there(venue) == {number: 4}
        assert order_of(suite, exit_.order_id).size == 6
        await orders.place_market_order("MNQ", "sell", 1)
        await until(lambda: sizes_there(venue) == {number: 3}, PATIENCE)
        await orders.place_market_order("MNQ", "buy", 2)
        await until(lambda: sizes_there(venue) == {number: 5}, PATIENCE)
        await orders.close_position("MNQ")
        await until(lambda: order_of(suite, exit_.order_id).is_terminal, PATIENCE)
        assert "reduce" in str(order_of(suite, exit_.order_id).reason)
        assert sizes_there(venue) == {}

    play(venue, story)


def test_closing_twice_at_once_closes_once(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        orders = suite["MNQ"].orders
        await bought(suite, 3)
        answers = await asyncio.gather(
            orders.close_position("MNQ"), orders.close_position("MNQ"), return_exceptions=True
        )
        assert [type(each).__name__ for each in answers] == ["OrderResponse", "ReduceOnlyError"]
        await until(lambda: suite["MNQ"].positions.net_size() == 0, PATIENCE)

    play(venue, story)


# --- the account and the market ------------------------------------------------------------------


def test_a_second_session_finds_the_position_and_tells_of_foreign_orders(venue: Gateway) -> None:
    async def main() -> None:
        async with live_suite(venue) as suite:
            await bought(suite, 2)
            await suite["MNQ"].orders.place_limit_order("MNQ", "buy", 1, 20_000)
        await asyncio.to_thread(venue.place, LIMIT, BUY, 1, limitPrice=21_010.0)
        async with live_suite(venue) as suite:
            assert suite["MNQ"].positions.net_size() == 3
            assert suite.account.cash == pytest.approx(50_000 - 3 * 0.37)
            assert suite.account.equity == pytest.approx(50_000 - 3 * 0.37 - 3 * 0.25 * 2)
            assert "works at the gateway and is not this session's" in broker_of(suite).notes[-1]
            await asyncio.to_thread(venue.place, LIMIT, BUY, 1, limitPrice=21_010.0)
            await until(lambda: suite["MNQ"].positions.net_size() == 4, PATIENCE)
            (foreign,) = suite.session.ledger.orders.values()
            assert foreign.role is Role.FOREIGN

    asyncio.run(main())


def test_quotes_prints_and_bars_reach_a_strategy(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        quotes, trades, ticks = [], [], []
        await suite.on("quote", quotes.append)
        await suite.on("trade", trades.append)
        await suite.on("tick", lambda bid, price: ticks.append((bid, price)))
        await move(venue, 21_005)
        await until(lambda: bool(quotes) and bool(trades) and bool(ticks), PATIENCE)
        assert quotes[-1].bid == 21_004.75
        assert trades[-1].price == 21_005.0
        assert suite["MNQ"].data.last_quote.ask == 21_005.25

    play(venue, story)


def test_bars_begin_with_the_gateways_history_and_go_on_with_prints() -> None:
    source = source_of(CATALOG["MNQ"], "sample", is_perpetual=False)
    with local_gateway([source]) as venue:
        venue.control("/advance", seconds=600)

        async def main() -> None:
            async with live_suite(venue, bar_history=8) as suite:
                data = suite["MNQ"].data
                before = data.bars("1min", 5)
                assert len(before) == 5
                assert {bar.interval_ns for bar in before} == {60 * 10**9}
                await asyncio.to_thread(venue.control, "/advance", seconds=120)
                shown = await asyncio.to_thread(bars_there, venue)
                assert shown[1][0] > before[-1].ts_ns

                def is_told() -> bool:
                    ours = {bar.ts_ns: (bar.close, bar.volume) for bar in data.bars("1min", 8)}
                    return all(ours.get(at) == (close, lots) for at, close, lots in shown[1:4])

                await until(is_told, PATIENCE)

        asyncio.run(main())


def bars_there(venue: Gateway) -> list[tuple[int, float, float]]:
    """The gateway's own bars of a minute, the newest first: start, close, volume."""
    body = {"contractId": CONTRACT, "startTime": "2020-01-01T00:00:00Z"}
    body |= {"endTime": "2030-01-01T00:00:00Z", "unit": 2, "unitNumber": 1, "limit": 8}
    found = venue.ask("History/retrieveBars", **body)["bars"]
    return [(time_ns(bar["t"]), bar["c"], bar["v"]) for bar in found]


def test_the_broker_is_found_by_its_name_and_says_what_it_does_not_trade(venue: Gateway) -> None:
    settings: dict[str, Any] = {
        "broker": "projectx",
        "base_url": venue.url + "/api",
        "user": USER,
        "key": Secret(KEY),
        "bar_history": 0,
    }

    async def main() -> None:
        async with await TradingSuite.create(["MNQ", "ES"], **settings) as suite:
            assert list(suite) == ["MNQ", "ES"]
            assert suite.account.name == "SIM-1"
            await suite["ES"].orders.place_limit_order("ES", "buy", 1, 5_900)
        with pytest.raises(ConfigurationError, match=r"has no contract 'MNX'.*MNQ"):
            await TradingSuite.create(["MNX"], **settings)
        async with await TradingSuite.create(["MNQ"], account_name="x", **settings):
            pass

    with pytest.raises(ConfigurationError, match=r"account_name.*account"):
        asyncio.run(main())


def test_accounts_are_chosen_by_name_and_keys_are_never_told(venue: Gateway) -> None:
    async def main() -> None:
        async with live_suite(venue, account="sim-2") as suite:
            assert suite.account.name == "SIM-2"
            await suite["MNQ"].orders.place_market_order("MNQ", "buy", 1)
        with pytest.raises(ConfigurationError, match=r"'SIM-3' for this user.*SIM-2"):
            await TradingSuite.create(["MNQ"], broker=live_broker(venue, account="SIM-3"))
        wrong = live_broker(venue, key=Secret("a wrong key of tests"))
        with pytest.raises(ConfigurationError, match="cannot log in: Invalid credentials") as told:
            await TradingSuite.create(["MNQ"], broker=wrong)
        assert "a wrong key" not in str(told.value)

    asyncio.run(main())
    assert venue.position(ACCOUNT) == []


def test_a_gateway_that_is_not_there_is_said_at_once() -> None:
    class Nowhere:
        url = "http://127.0.0.1:9"

    async def main() -> None:
        await TradingSuite.create(["MNQ"], broker=live_broker(Nowhere()))  # type: ignore[arg-type]

    with pytest.raises(BrokerError, match=r"no connection to http://127\.0\.0\.1:9"):
        asyncio.run(main())


def test_after_disconnect_nothing_is_sent_and_what_was_known_is_known(venue: Gateway) -> None:
    async def main() -> None:
        suite = await TradingSuite.create(["MNQ"], broker=live_broker(venue))
        orders = suite["MNQ"].orders
        await orders.place_limit_order("MNQ", "buy", 1, 20_000)
        await suite.disconnect()
        await suite.disconnect()
        with pytest.raises(NotConnectedError):
            await orders.place_limit_order("MNQ", "buy", 1, 20_000)
        assert suite.account.equity == 50_000
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

    asyncio.run(main())
    assert len(sizes_there(venue)) == 1


def test_no_token_is_in_what_is_noted_or_raised(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        live = broker_of(suite).live
        token = (await live.client.tokens.token()).reveal()
        await asyncio.to_thread(venue.control, "/faults", rules=[{"kind": "disconnect"}])
        await asyncio.to_thread(venue.control, "/disconnect")
        before = live.user_hub.connections
        await until(lambda: live.user_hub.connections > before, PATIENCE)
        told = " ".join(broker_of(suite).notes) + repr(live.client.tokens) + repr(suite.session)
        assert "hub is down" in told
        assert token not in told
        assert KEY not in told

    play(venue, story)
