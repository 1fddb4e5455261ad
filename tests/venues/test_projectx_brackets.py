"""Brackets and OCO over the ProjectX adapter: plain orders there, and none that only reduces."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from broker_api.order import Role
from broker_api.suite import TradingSuite
from tests.venues.adapter import faults, names, order_of, until
from tests.venues.local_gateway import Gateway, local_gateway
from tests.venues.projectx_adapter import assert_books_agree, live_suite, move

Story = Callable[[TradingSuite, Gateway], Awaitable[None]]
PATIENCE = 60.0


@pytest.fixture
def venue() -> Iterator[Gateway]:
    with local_gateway() as found:
        yield found


def play(venue: Gateway, story: Story) -> None:
    """A session with this story. It compares nothing meanwhile, which may come before the hub."""

    async def main() -> None:
        async with live_suite(venue, reconcile_seconds=600.0) as suite:
            await story(suite, venue)
            await assert_books_agree(suite, venue)

    asyncio.run(main())


async def bought(suite: TradingSuite, size: int = 2) -> None:
    """A bracket at market, both of whose exits are live."""
    orders = suite["MNQ"].orders
    await orders.place_bracket_order(
        "MNQ", "buy", size, entry_price=None, stop_offset=25, target_offset=50
    )
    await until(lambda: all(order_of(suite, key).status == "open" for key in (2, 3)), PATIENCE)


@pytest.mark.parametrize(("price", "filled", "ended"), [(21_060, 3, 2), (20_960, 2, 3)])
def test_an_exit_that_fills_ends_the_other(
    venue: Gateway, price: float, filled: int, ended: int
) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        await bought(suite)
        await move(venue, price)
        await until(lambda: order_of(suite, ended).is_terminal, PATIENCE)
        assert order_of(suite, filled).status == "filled"
        assert order_of(suite, ended).reason == "cancelled because its sibling ended"
        assert suite["MNQ"].positions.net_size() == 0

    play(venue, story)


def test_exits_cover_what_the_entry_has_filled(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        orders = suite["MNQ"].orders
        await orders.place_bracket_order(
            "MNQ", "buy", 150, entry_price=21_000.25, stop_offset=25, target_offset=50
        )  # the touch has 100: the rest of it waits
        await until(lambda: order_of(suite, 1).filled_quantity == 100, PATIENCE)
        await until(lambda: {order_of(suite, key).size for key in (2, 3)} == {100}, PATIENCE)
        await orders.cancel_order(1)
        await orders.close_position("MNQ")
        await until(lambda: all(order_of(suite, key).is_terminal for key in (2, 3)), PATIENCE)

    play(venue, story)


def test_exits_that_both_filled_are_traded_back_and_said(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        told: list[str] = []
        await suite.on("protection", lambda event: told.append(event.kind.name))
        await bought(suite)
        # The session hears of the first exit only after the market has been at both.
        await faults(venue, {"kind": "frame_delay", "match": "GatewayUserOrder", "ms": 6_000})
        await move(venue, 21_060)
        await move(venue, 20_960)
        await until(lambda: "DOUBLE_EXIT" in told, PATIENCE)
        await until(lambda: suite["MNQ"].positions.net_size() == 0, PATIENCE)
        roles = [record.role for record in suite.session.ledger.orders.values()]
        assert roles.count(Role.REPAIR) == 1
        assert [order_of(suite, key).status for key in (2, 3)] == ["filled", "filled"]

    play(venue, story)


@pytest.mark.parametrize("kind", ["drop_after", "drop_before", "500_after", "500_before", "429"])
def test_exits_whose_answer_is_lost_are_found_or_placed_again(venue: Gateway, kind: str) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        told: list[str] = []
        await suite.on("protection", lambda event: told.append(event.kind.name))
        orders = suite["MNQ"].orders
        await orders.place_bracket_order(
            "MNQ", "buy", 2, entry_price=20_990, stop_offset=25, target_offset=50
        )
        await faults(venue, {"kind": kind, "match": "place"})
        await move(venue, 20_985)
        await until(lambda: all(order_of(suite, key).status == "open" for key in (2, 3)), PATIENCE)
        # Where the order arrived the hub may tell so before anybody has to doubt.
        assert told == ["UNPROTECTED"] or (told == [] and kind.endswith("after"))
        await assert_books_agree(suite, venue)
        await orders.close_position("MNQ")
        await until(lambda: all(order_of(suite, key).is_terminal for key in (2, 3)), PATIENCE)

    play(venue, story)


def test_of_a_pair_one_is_left(venue: Gateway) -> None:
    async def story(suite: TradingSuite, venue: Gateway) -> None:
        low = {"type": "limit", "side": "buy", "price": 20_950}
        high = {"type": "stop", "side": "buy", "stop_price": 21_050}
        pair = await suite["MNQ"].orders.place_oco_order("MNQ", 1, low, high)
        await move(venue, 20_940)
        await until(lambda: order_of(suite, pair.second_order_id).is_terminal, PATIENCE)
        assert order_of(suite, pair.first_order_id).status == "filled"
        assert names(suite, pair.second_order_id)[-1] == "CANCELLED"
        assert suite["MNQ"].positions.net_size() == 1

    play(venue, story)


def test_a_session_that_leaves_at_once_leaves_the_stop_behind(venue: Gateway) -> None:
    async def main() -> None:
        async with live_suite(venue) as suite:
            await suite["MNQ"].orders.place_bracket_order(
                "MNQ", "buy", 1, entry_price=None, stop_offset=25, target_offset=50
            )

    asyncio.run(main())
    found = venue.server.runner.engine.orders.values()
    kinds = sorted(each.type.name for each in found if not each.status.is_final)
    assert kinds == ["LIMIT", "STOP"]
