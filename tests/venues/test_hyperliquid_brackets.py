"""Brackets and OCO over the live adapter, which knows plain orders only, on the local venue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from broker_api.errors import OrderRejectedError
from broker_api.suite import TradingSuite
from tests.venues.adapter import (
    assert_books_agree,
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


def play(venue: Local, story: Story, reconcile_seconds: float = 600.0) -> None:
    """A session with this story. Its comparisons may come before what the stream tells."""

    async def main() -> None:
        async with live_suite(venue, reconcile_seconds=reconcile_seconds) as suite:
            await story(suite, venue)
            await assert_books_agree(suite, venue)

    asyncio.run(main())


async def bought(suite: TradingSuite, **more: float) -> None:
    """A bracket of 0.2 ETH at market, both of whose exits are live."""
    orders = suite["ETH"].orders
    terms = {"stop_offset": 100, "target_offset": 200, **more}
    await orders.place_bracket_order("ETH", "buy", 0.2, entry_price=None, **terms)
    await until(lambda: all(order_of(suite, key).status == "open" for key in (2, 3)))


def test_a_target_that_fills_ends_its_stop(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        await bought(suite)
        entry = order_of(suite, 1).average_price
        assert entry is not None
        assert order_of(suite, 2).stop_price == pytest.approx(entry - 100, abs=0.2)
        assert order_of(suite, 3).limit_price == pytest.approx(entry + 200, abs=0.2)
        await move(venue, entry + 300)
        await until(lambda: order_of(suite, 2).is_terminal)
        assert order_of(suite, 3).status == "filled"
        assert order_of(suite, 2).status == "cancelled"
        assert suite["ETH"].positions.net_size() == 0

    play(venue, story)


def test_a_stop_that_is_moved_through_the_market_stays_where_it_is(venue: Local) -> None:
    """The venue would refuse the change and end the stop."""

    async def story(suite: TradingSuite, venue: Local) -> None:
        await bought(suite)
        before = order_of(suite, 2).stop_price
        with pytest.raises(OrderRejectedError, match="3050"):
            await suite["ETH"].orders.modify_order(2, stop_price=3050)
        assert order_of(suite, 2).status == "open"
        assert order_of(suite, 2).stop_price == before
        assert "UNPROTECTED" not in names(suite, 2)
        await suite["ETH"].orders.modify_order(2, stop_price=2950)
        assert order_of(suite, 2).stop_price == 2950

    play(venue, story)


def test_a_stop_that_fires_ends_its_target(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        await bought(suite)
        entry = order_of(suite, 1).average_price
        assert entry is not None
        await move(venue, entry - 150)
        await until(lambda: order_of(suite, 3).is_terminal)
        assert order_of(suite, 2).status == "filled"
        assert "TRIGGERED" in names(suite, 2)
        assert suite["ETH"].positions.net_size() == 0

    play(venue, story)


def test_exits_shrink_with_the_position_and_end_when_it_is_closed(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        await bought(suite)
        orders = suite["ETH"].orders
        await orders.reduce_position(instrument="ETH", percentage=0.5)
        await until(lambda: {order_of(suite, key).size for key in (2, 3)} == {0.1})
        await assert_books_agree(suite, venue)
        await orders.close_position(instrument="ETH")
        await until(lambda: all(order_of(suite, key).is_terminal for key in (2, 3)))
        assert suite["ETH"].positions.net_size() == 0

    play(venue, story)


@pytest.mark.parametrize("kind", ["drop_after", "drop_before", "500_after", "500_before"])
def test_exits_whose_answer_is_lost_are_found_or_placed_again(venue: Local, kind: str) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        told = []
        await suite.on("protection", lambda event: told.append(event.kind.name))
        orders = suite["ETH"].orders
        await orders.place_bracket_order(
            "ETH", "buy", 0.2, entry_price=2900, stop_offset=100, target_offset=200
        )
        await faults(venue, {"kind": kind, "match": "order"}, {"kind": "frame_drop", "count": 6})
        await move(venue, 2890)
        await until(lambda: all(order_of(suite, key).status == "open" for key in (2, 3)))
        await faults(venue)
        # Where the order arrived its updates may tell so before anybody has to doubt.
        assert told == ["UNPROTECTED"] or (told == [] and kind.endswith("after"))
        await assert_books_agree(suite, venue)
        await orders.close_position(instrument="ETH")
        await until(lambda: all(order_of(suite, key).is_terminal for key in (2, 3)))

    play(venue, story, reconcile_seconds=3.0)


def test_of_a_pair_one_is_left(venue: Local) -> None:
    async def story(suite: TradingSuite, venue: Local) -> None:
        low = {"type": "limit", "side": "buy", "price": 2900}
        high = {"type": "stop", "side": "buy", "stop_price": 3100}
        pair = await suite["ETH"].orders.place_oco_order("ETH", 0.1, low, high)
        await move(venue, 2890)
        await until(lambda: order_of(suite, pair.second_order_id).is_terminal)
        assert order_of(suite, pair.first_order_id).status == "filled"
        assert suite["ETH"].positions.net_size() == pytest.approx(0.1)

    play(venue, story)
