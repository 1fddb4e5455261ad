"""Touched orders and trailing stops through the session's verbs, on a tape on this page."""

from __future__ import annotations

import asyncio

import pytest

from broker_api.broker import Snapshot
from broker_api.catalog import find, load_catalog
from broker_api.errors import InvalidOrderError, InvalidPriceError, OrderRejectedError
from broker_api.event import EventRow, Reason, encode
from broker_api.journal_parquet import commands_from_table, read_journal
from broker_api.ledger import fold
from broker_api.order import OrderType
from data.tape import tape_from_frame
from papertape import SimulationConfig, TradingSuite, run
from sim.replay import Recording, replay

START_NS = 1_704_207_600_000_000_000  # 2024-01-02 15:00 UTC
SECOND_NS = 1_000_000_000
MNQ = find(load_catalog(), "MNQ")
SETTINGS = SimulationConfig(entry_latency_ms=1, response_latency_ms=1)


def tape(*prices):
    """A print a second and with it a book half a point wide around it, ten lots each."""
    count = len(prices)
    return tape_from_frame(
        {
            "ts": [START_NS + at * SECOND_NS for at in range(count)],
            "bid": [price - 0.25 for price in prices],
            "ask": [price + 0.25 for price in prices],
            "bid_size": [10.0] * count,
            "ask_size": [10.0] * count,
            "price": [float(price) for price in prices],
            "size": [1.0] * count,
            "side": [1] * count,
        },
        MNQ,
        bbo_of_trade="after",
    )


def play(strategy, *prices):
    """Run `strategy(suite, orders)` on these prices, one a second."""

    async def main():
        settings = {"tape": tape(*prices), "simulation": SETTINGS}
        async with await TradingSuite.create("MNQ", **settings) as suite:
            return await strategy(suite, suite["MNQ"].orders)

    return run(main())


def test_a_trailing_stop_follows_and_its_stop_price_is_where_it_triggered():
    async def strategy(suite, orders):
        triggered = []
        await orders.on_order_triggered(triggered.append)
        await orders.place_market_order("MNQ", 0, 1)
        stop = await orders.place_trailing_stop_order("MNQ", 1, 1, trail_ticks=8)
        before = await orders.get_order(stop)
        after = await orders.wait_for_fill(stop, timeout=60)
        return before, after, triggered

    before, after, triggered = play(strategy, 100, 101, 105, 104, 103, 103)
    assert (before.type, before.stop_price) == (OrderType.TRAILING_STOP, 98.0)
    assert (after.stop_price, after.average_price) == (103.0, 102.75)
    assert [event.order_id for event in triggered] == [before.order_id]


def test_a_trailing_stop_in_percent_starts_at_its_activation_price():
    async def strategy(suite, orders):
        stop = await orders.place_trailing_stop_order(
            "MNQ", "sell", 1, trail_percent=1, activation_price=104
        )
        first = (await orders.get_order(stop)).stop_price
        await asyncio.sleep(2.5)
        second = (await orders.get_order(stop)).stop_price
        return first, second, (await orders.wait_for_fill(stop)).stop_price

    assert play(strategy, 100, 103, 104, 200, 198, 198) == (None, 103.0, 198.0)


def test_touched_orders_trade_when_the_price_comes_to_them():
    async def strategy(suite, orders):
        market = await orders.place_market_if_touched_order("MNQ", 0, 1, 98)
        limit = await orders.place_limit_if_touched_order("MNQ", 1, 1, 104, 103.5)
        filled = await orders.wait_for_fill(market, timeout=60)
        return filled, await orders.wait_for_fill(limit, timeout=60)

    bought, sold = play(strategy, 100, 99, 97, 100, 104, 104)
    assert (bought.type, bought.stop_price) == (OrderType.MARKET_IF_TOUCHED, 98.0)
    assert bought.average_price == 97.25
    assert (sold.type, sold.average_price) == (OrderType.LIMIT_IF_TOUCHED, 103.75)


def test_a_touched_order_can_be_a_leg_of_an_oco():
    async def strategy(suite, orders):
        await orders.place_market_order("MNQ", 0, 1)
        pair = await orders.place_oco_order(
            "MNQ",
            1,
            {"type": "market_if_touched", "side": 1, "trigger_price": 103},
            {"type": "stop", "side": 1, "stop_price": 95},
        )
        await orders.wait_for_fill(pair.first_order_id, timeout=60)
        return (await orders.get_order(pair.second_order_id)).status

    assert play(strategy, 100, 101, 103, 103) == "cancelled"


def test_a_bracket_with_a_trailing_stop_follows_its_entry():
    async def strategy(suite, orders):
        bracket = await orders.place_bracket_order("MNQ", 0, 1, trail_offset=2)
        first = await orders.get_order(bracket.stop_order_id)
        stop = await orders.wait_for_fill(bracket.stop_order_id, timeout=60)
        return first, stop

    first, stop = play(strategy, 100, 101, 105, 103, 103)
    assert (first.type, first.stop_price) == (OrderType.TRAILING_STOP, 98.25)
    assert (stop.stop_price, stop.average_price) == (103.0, 102.75)


def test_the_distance_of_a_trailing_stop_can_be_changed():
    async def strategy(suite, orders):
        stop = await orders.place_trailing_stop_order("MNQ", 1, 1, trail_ticks=8)
        changed = await orders.modify_order(stop, trail_ticks=20)
        other = await orders.place_stop_order("MNQ", 1, 1, 90)
        refused = []
        for order, change in (
            (stop, {"trail_ticks": 0}),
            (stop, {"stop_price": 95}),
            (other, {"trail_ticks": 4}),
        ):
            with pytest.raises(InvalidOrderError) as error:
                await orders.modify_order(order, **change)
            refused.append(str(error.value))
        return changed.stop_price, refused

    stop_price, refused = play(strategy, 100, 101)
    assert stop_price == 95.0
    assert refused == [
        "trail_ticks 0 is not a whole number of at least 1",
        "order 1 is a trailing-stop order and has no stop_price",
        "order 2 is a stop order and has no trail_ticks",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs trail_ticks or trail_percent"),
        ({"trail_ticks": 4, "trail_percent": 1}, "needs trail_ticks or trail_percent"),
        ({"trail_ticks": -1}, "trail_ticks -1 is not a whole number"),
        ({"trail_percent": 100}, "not between 0 and 100"),
        ({"trail_ticks": 4, "activation_price": 100.1}, "activation_price 100.1"),
        ({"trail_ticks": 400}, "price 0.00 of MNQ is not positive"),
    ],
)
def test_a_distance_that_cannot_be_is_refused(arguments, message):
    async def strategy(suite, orders):
        with pytest.raises(InvalidPriceError, match=message):
            await orders.place_trailing_stop_order("MNQ", 1, 1, **arguments)
        return await orders.get_orders(status="pending")

    assert play(strategy, 100, 100) == []


def test_a_trailing_stop_without_a_price_to_start_from_is_refused():
    async def main():
        async with await TradingSuite.create("MNQ") as suite:
            orders = suite["MNQ"].orders
            with pytest.raises(OrderRejectedError) as refused:
                await orders.place_trailing_stop_order("MNQ", 1, 1, trail_ticks=8)
            return refused.value

    error = run(main())
    assert error.reason is Reason.NO_TRIGGER_SOURCE
    assert str(error) == "MNQ has no price yet that could trigger the order"


def test_the_journal_brings_them_back(tmp_path):
    async def strategy(suite, orders):
        await orders.place_bracket_order("MNQ", 0, 1, trail_offset=2)
        stop = await orders.place_trailing_stop_order("MNQ", 1, 1, trail_percent=1)
        await orders.modify_order(stop, trail_ticks=3)
        await orders.place_limit_if_touched_order("MNQ", 1, 1, 104, 103.5)
        await asyncio.sleep(3)
        return suite

    suite = play(strategy, 100, 103, 104, 102, 102)
    session = suite.session
    session.journal.write(tmp_path)
    rows, table = read_journal(tmp_path)
    commands = commands_from_table(table)
    events = [EventRow(*map(int, row)) for row in rows]
    snapshot = Snapshot("SIM", "USD", 50_000 * 10**9, ())
    ledger = fold(session.instruments, snapshot, commands, events)
    ours = [record.view() for record in session.ledger.orders.values()]
    assert [record.view() for record in ledger.orders.values()] == ours
    broker = session.broker
    recording = Recording(
        tuple(broker.instruments()),
        broker.tapes,
        broker.spec.simulation,
        broker.spec.account,
        START_NS,
        START_NS + 4 * SECOND_NS,
        tuple(commands),
        rows,
    )
    replayed = replay(recording, recording.exchange())
    assert [encode(event) for event in replayed][: len(events)] == events
