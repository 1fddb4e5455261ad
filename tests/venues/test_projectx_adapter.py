"""The live adapter trades on the local gateway as the interface says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from broker_api.order import OrderStatus
from broker_api.suite import TradingSuite
from tests.venues.adapter import names, order_of, until
from tests.venues.local_gateway import Gateway, local_gateway
from tests.venues.projectx_adapter import assert_books_agree, live_suite, move

Story = Callable[[TradingSuite, Gateway], Awaitable[None]]


@pytest.fixture
def venue() -> Iterator[Gateway]:
    with local_gateway() as found:
        yield found


def play(venue: Gateway, story: Story, **settings: Any) -> None:
    """A session with this story, which ends with the books of both ends equal."""

    async def main() -> None:
        async with live_suite(venue, **settings) as suite:
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
