"""A session over the simulated broker: order of events, handlers, failures, the end."""

from __future__ import annotations

import asyncio

import pytest

from broker_api.broker import Snapshot
from broker_api.errors import (
    ConfigurationError,
    InvalidOrderError,
    InvalidPriceError,
    InvalidSizeError,
    NotConnectedError,
    OrderNotActiveError,
    OrderNotFoundError,
    OrderTimeoutError,
    RiskLimitError,
    RunawayStrategy,
)
from broker_api.event import EventKind, EventRow
from broker_api.ledger import fold
from papertape import SimulationConfig, TradingSuite, run

QUICK = {"queue": "displayed"}


def play(strategy, **settings):
    """Run `strategy(suite, orders)` on the MNQ sample and return what it returns."""

    async def main():
        suite = await TradingSuite.create("MNQ", **{"simulation": QUICK, **settings})
        async with suite:
            return await strategy(suite, suite["MNQ"].orders)

    return run(main())


def test_market_order_fills_and_the_books_agree():
    async def strategy(suite, orders):
        response = await orders.place_market_order("MNQ", "buy", 2)
        order = await orders.wait_for_fill(response)
        position = suite["MNQ"].positions.position()
        return response, order, position, suite.account.cash

    response, order, position, cash = play(strategy)
    assert (response.order_id, response.orderId, response.client_order_id) == (1, 1, "1")
    assert (order.status, order.filled_quantity, order.remaining_quantity) == ("filled", 2, 0)
    assert (position.size, position.average_price) == (2, order.average_price)
    assert cash == 50_000 - order.fee


def test_journal_folds_to_the_sessions_own_ledger():
    async def strategy(suite, orders):
        await orders.place_market_order("MNQ", 0, 1)
        resting = await orders.place_limit_order("MNQ", 0, 1, 20_000)
        await orders.modify_order(resting.order_id, size=2)
        await orders.cancel_order(resting.order_id)
        return suite.session

    session = play(strategy)
    again = fold(
        session.instruments,
        Snapshot("SIM", "USD", 50_000 * 10**9, ()),
        session.journal.recorded_commands(),
        [EventRow(*map(int, row)) for row in session.journal.events()],
    )
    ours = [record.view() for record in session.ledger.orders.values()]
    assert [record.view() for record in again.orders.values()] == ours
    assert again.cash_nanos == session.ledger.cash_nanos


def test_handlers_are_told_one_at_a_time_in_event_order_and_may_place_orders():
    told = []

    async def strategy(suite, orders):
        inside = 0

        async def slow(event):
            nonlocal inside
            inside += 1
            assert inside == 1
            told.append(("begin", event.order_id, event.kind))
            if event.order_id == 1 and event.kind is EventKind.ACCEPTED:
                answer = await orders.place_limit_order("MNQ", 0, 1, 20_000)
                told.append(("answered", answer.order_id, answer.status))
            await asyncio.sleep(1)
            inside -= 1

        await orders.on_order_update(slow)
        await orders.on_order_update(lambda event: told.append(("plain", event.order_id)))
        await orders.place_limit_order("MNQ", 0, 1, 20_001)
        await asyncio.sleep(10)

    play(strategy)
    assert told == [
        ("begin", 1, EventKind.ACCEPTED),
        ("answered", 2, "open"),
        ("plain", 1),
        ("begin", 2, EventKind.ACCEPTED),
        ("plain", 2),
    ]


def test_filled_is_told_once_and_fill_at_every_execution():
    async def strategy(suite, orders):
        fills, filled, positions = [], [], []
        await orders.on_fill(fills.append)
        await orders.on_order_filled(filled.append)
        await suite.on("position", positions.append)
        await orders.place_market_order("MNQ", 0, 40)
        await asyncio.sleep(1)
        return fills, filled, positions

    fills, filled, positions = play(strategy)
    assert len(fills) > 1
    assert sum(event.fill_quantity for event in fills) == 40
    assert [event.order_id for event in filled] == [1]
    assert filled[0].fill_price == fills[-1].fill_price
    assert filled[0].position.size == positions[-1].size == 40
    assert [event.status for event in fills[:-1]] == ["partially_filled"] * (len(fills) - 1)


def test_cancelled_subscription_is_silent():
    async def strategy(suite, orders):
        told = []
        subscription = await orders.on_order_update(told.append)
        subscription.cancel()
        subscription.cancel()
        await orders.place_limit_order("MNQ", 0, 1, 20_000)
        await asyncio.sleep(1)
        return told

    assert play(strategy) == []


class StrategyFault(Exception):
    pass


def fail(event):
    raise StrategyFault("in a handler")


def test_handlers_exception_stops_the_run_and_comes_out_of_the_suite():
    suites = []

    async def strategy(suite, orders):
        suites.append(suite)
        await orders.on_order_update(fail)
        await orders.place_limit_order("MNQ", 0, 1, 20_000)
        await asyncio.sleep(3600)

    with pytest.raises(StrategyFault, match="in a handler"):
        play(strategy)
    assert isinstance(suites[0].failure, StrategyFault)
    rows = suites[0].session.journal.commands().to_pylist()
    assert [row["tag"] for row in rows if row["kind"] == "error"] == ["StrategyFault: in a handler"]


def test_handlers_exception_is_recorded_and_the_run_goes_on_when_asked_to():
    async def strategy(suite, orders):
        await orders.on_order_update(fail)
        await orders.place_limit_order("MNQ", 0, 1, 20_000)
        await asyncio.sleep(1)
        answer = await orders.place_limit_order("MNQ", 0, 1, 20_000)
        return suite.session.errors, answer.status

    errors, status = play(strategy, simulation=SimulationConfig(on_error="continue"))
    assert [type(error) for error in errors] == [StrategyFault, StrategyFault]
    assert status == "open"


def test_too_many_commands_at_one_instant_are_a_runaway():
    async def strategy(suite, orders):
        async def place():
            await orders.place_limit_order("MNQ", 0, 0, 20_000)

        await asyncio.gather(*(place() for _ in range(10_001)))

    with pytest.raises(RunawayStrategy, match="more than 10000 commands at one instant"):
        play(strategy, order_manager_config={"max_concurrent_orders": 20_000})


def test_wait_times_out_in_session_time_and_leaves_the_order():
    async def strategy(suite, orders):
        answer = await orders.place_limit_order("MNQ", 0, 1, 20_000)
        before = suite.clock.now_ns()
        with pytest.raises(OrderTimeoutError) as caught:
            await orders.wait_for_fill(answer.order_id, timeout=2.5)
        waited = suite.clock.now_ns() - before
        return str(caught.value), caught.value.order.status, waited

    text, status, waited = play(strategy)
    assert text == "order 1 did not fill within 2.5 s: it is open, filled 0 of 1"
    assert (status, waited) == ("open", 2_500_000_000)


def test_wait_uses_the_configured_timeout():
    async def strategy(suite, orders):
        answer = await orders.place_limit_order("MNQ", 0, 1, 20_000)
        with pytest.raises(OrderTimeoutError, match=r"within 7 s"):
            await orders.wait_for_fill(answer.order_id)

    play(strategy, order_manager_config={"default_timeout": 7})


def test_wait_ends_at_once_when_the_order_ends_otherwise():
    async def strategy(suite, orders):
        answer = await orders.place_limit_order("MNQ", 0, 1, 20_000)
        wait = asyncio.create_task(orders.wait_for_fill(answer.order_id))
        await asyncio.sleep(1)
        await orders.cancel_order(answer.order_id)
        with pytest.raises(OrderNotActiveError, match="it is cancelled: cancelled by the user"):
            await wait

    play(strategy)


def test_order_can_be_cancelled_by_its_client_id_before_it_is_acknowledged():
    async def strategy(suite, orders):
        placing = asyncio.create_task(
            orders.place_limit_order("MNQ", 0, 1, 20_000, client_order_id="mine")
        )
        await asyncio.sleep(0)
        order = await orders.cancel_order("mine")
        return order.status, (await placing).client_order_id

    assert play(strategy) == ("cancelled", "mine")


def test_second_cancel_says_how_the_order_ended_and_unknown_orders_are_named():
    async def strategy(suite, orders):
        answer = await orders.place_limit_order("MNQ", 0, 1, 20_000)
        await orders.cancel_order(answer.order_id)
        with pytest.raises(OrderNotActiveError, match="order 1 is not active: it is cancelled"):
            await orders.cancel_order(answer.order_id)
        with pytest.raises(OrderNotFoundError, match="order 7 is not of this session; its orders"):
            await orders.get_order(7)
        return await orders.cancel_orders([answer.order_id, 7])

    results = play(strategy)
    assert [type(result) for result in results.values()] == [
        OrderNotActiveError,
        OrderNotFoundError,
    ]
    assert list(results) == [1, 7]


def test_queries_filter_by_status_and_instrument_and_newest_come_first_when_recent():
    async def strategy(suite, orders):
        for price in (20_000, 20_001, 20_002):
            await orders.place_limit_order("MNQ", 0, 1, price)
        await orders.cancel_order(2)
        with pytest.raises(InvalidOrderError, match='did you mean "cancelled"'):
            await orders.get_orders(status="canceled")
        queries = (
            await orders.get_orders(),
            await orders.get_orders(status="pending"),
            await orders.get_orders(status="cancelled", instrument="MNQ"),
            await orders.get_recent_orders(limit=2),
        )
        return [[order.order_id for order in found] for found in queries]

    assert play(strategy) == [[1, 2, 3], [1, 3], [2], [3, 2]]


def test_working_entries_are_limited_but_what_reduces_exposure_is_not():
    async def strategy(suite, orders):
        await orders.place_market_order("MNQ", 0, 1)
        await orders.place_limit_order("MNQ", 0, 1, 20_000)
        await orders.place_limit_order("MNQ", 0, 1, 20_000)
        with pytest.raises(RiskLimitError, match="3 working orders would be more than the limit 2"):
            await orders.place_limit_order("MNQ", 0, 1, 20_000)
        closing = await orders.place_limit_order("MNQ", 1, 1, 22_000, reduce_only=True)
        stats = await orders.get_stats()
        return closing.status, stats["denied_orders"], stats["rejected_orders"]

    config = {"max_concurrent_orders": 2}
    assert play(strategy, order_manager_config=config) == ("open", 1, 0)


def test_risk_limits_refuse_before_sending():
    async def strategy(suite, orders):
        with pytest.raises(RiskLimitError, match=r"max_order_size: size 3 is above the limit 2"):
            await orders.place_market_order("MNQ", 0, 3)
        await orders.place_limit_order("MNQ", 0, 2, 20_000)
        with pytest.raises(RiskLimitError, match=r"max_position_size: size 4 is above the limit 3"):
            await orders.place_limit_order("MNQ", 0, 2, 20_000)

    play(strategy, risk={"max_order_size": 2, "max_position_size": 3})


def test_flat_positions_are_closed_without_an_order():
    async def strategy(suite, orders):
        closed = await orders.close_position(instrument="MNQ", method="market")
        reduced = await orders.reduce_position(instrument="MNQ", percentage=0.5)
        scaled = await orders.scale_out_position("MNQ", levels=[{"percentage": 1, "price": 1.0}])
        return closed, reduced, scaled, await orders.get_orders()

    closed, reduced, scaled, orders = play(strategy)
    assert (closed.order_id, closed.success) == (None, False)
    assert closed.reason == reduced.reason == "no open position in MNQ"
    assert (scaled, orders) == ([], [])


def test_scale_out_answers_every_level_and_shares_lots_by_remainder():
    async def strategy(suite, orders):
        await orders.place_market_order("MNQ", 0, 2)
        await asyncio.sleep(1)
        levels = [
            {"percentage": 0.33, "price": 22_060.0},
            {"percentage": 0.33, "price": 22_080.0},
            {"percentage": 0.34, "price": 22_100.0},
        ]
        answers = await orders.scale_out_position(instrument="MNQ", levels=levels)
        with pytest.raises(InvalidSizeError, match="sum to 1"):
            await orders.scale_out_position("MNQ", levels=[*levels, levels[0]])
        with pytest.raises(InvalidPriceError, match="price of level 1"):
            await orders.scale_out_position("MNQ", levels=[{"percentage": 1}])
        return answers, await orders.get_orders(status="open")

    answers, working = play(strategy)
    assert [answer.success for answer in answers] == [True, False, True]
    assert answers[1].reason == "level 2 gets no lot of 2"
    assert [(order.limit_price, order.size, order.reduce_only) for order in working] == [
        (22_060.0, 1, True),
        (22_100.0, 1, True),
    ]


def test_half_of_one_lot_is_refused_not_rounded():
    async def strategy(suite, orders):
        await orders.place_market_order("MNQ", 0, 1)
        await asyncio.sleep(1)
        with pytest.raises(InvalidSizeError, match=r"0\.5 of the position 1 in MNQ is less"):
            await orders.reduce_position("MNQ", percentage=0.5)
        with pytest.raises(InvalidSizeError, match="percentage 50 is not a fraction"):
            await orders.reduce_position("MNQ", percentage=50)

    play(strategy)


def test_denied_orders_take_no_number_and_leave_no_trace_in_the_journal():
    async def strategy(suite, orders):
        for bad in ({"size": 0.5}, {"limit_price": 20_000.1}, {"side": 2}):
            arguments = {"side": 0, "size": 1, "limit_price": 20_000.0, **bad}
            with pytest.raises(InvalidOrderError):
                await orders.place_limit_order("MNQ", **arguments)
        answer = await orders.place_limit_order("MNQ", 0, 1, 20_000)
        stats = await orders.get_stats()
        rows = suite.session.journal.commands().num_rows
        return answer.order_id, stats["denied_orders"], stats["error_rate"], rows

    assert play(strategy) == (1, 3, 0.75, 1)


def test_tracking_switched_off_forgets_ended_orders_only():
    async def strategy(suite, orders):
        await orders.place_market_order("MNQ", 0, 1)
        await orders.place_limit_order("MNQ", 0, 1, 20_000)
        await asyncio.sleep(1)
        known = [order.order_id for order in await orders.get_orders()]
        return known, (await orders.get_stats())["filled_orders"]

    config = {"enable_order_tracking": False, "track_performance": False}
    assert play(strategy, order_manager_config=config) == ([2], 1)


def test_statistics_have_the_pages_keys_in_session_time():
    async def strategy(suite, orders):
        await orders.place_market_order("MNQ", 0, 1)
        await orders.place_limit_order("MNQ", 0, 1, 20_000)
        await asyncio.sleep(1)
        return await orders.get_stats()

    stats = play(strategy)
    assert (stats["total_orders"], stats["pending_orders"], stats["fill_rate"]) == (2, 1, 0.5)
    assert (stats["rejected_orders"], stats["error_rate"]) == (0, 0.0)
    assert stats["avg_fill_time_ms"] == 2.0
    performance = stats["performance_metrics"]
    assert performance["avg_response_time_ms"] == 2.0
    assert performance["orders_per_second"] == pytest.approx(2 / 1.004)


def test_disconnect_is_idempotent_and_verbs_afterwards_are_refused():
    async def strategy(suite, orders):
        await suite.disconnect()
        await suite.disconnect()
        with pytest.raises(NotConnectedError, match="disconnected; nothing was sent"):
            await orders.place_market_order("MNQ", 0, 1)
        with pytest.raises(NotConnectedError):
            await orders.on_order_update(print)
        return suite.is_connected

    assert play(strategy) is False


def test_auto_cancel_ends_entries_and_keeps_the_protection_of_an_open_position():
    async def strategy(suite, orders):
        await orders.place_market_order("MNQ", 0, 1)
        await orders.place_limit_order("MNQ", 0, 1, 20_000)
        await orders.place_limit_order("MNQ", 1, 1, 22_000, reduce_only=True)
        await suite.disconnect()
        return [str(order.status) for order in await orders.get_orders()]

    config = {"auto_cancel_on_disconnect": True}
    assert play(strategy, order_manager_config=config) == ["filled", "cancelled", "open"]


def test_quotes_trades_and_bars_reach_handlers_and_iterators():
    async def strategy(suite, orders):
        told = {"quote": [], "trade": [], "bar": []}
        data = suite["MNQ"].data
        await data.on_quote(told["quote"].append)
        await suite.on("trade", told["trade"].append)
        await suite.on("bar", told["bar"].append, timeframe="5sec")
        prices = []
        async for trade in data.trades():
            prices.append(trade.price)
            if len(prices) == 3:
                break
        await asyncio.sleep(20)
        return told, prices, data.last_quote, data.current_price, data.bars("5s", 2)

    told, prices, quote, price, bars = play(strategy)
    assert told["quote"][-1] == quote
    assert prices == [trade.price for trade in told["trade"][:3]]
    assert price == told["trade"][-1].price
    assert bars == told["bar"][-2:]
    times = [item.ts_ns for item in told["quote"]]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"instruments": "MNK"}, 'did you mean "MNQ"'),
        ({"instruments": ["MNQ", "MNQ"]}, "'MNQ' is named twice"),
        ({"instruments": []}, "no instrument was named"),
        ({"instruments": "MNQ", "broker": "simm"}, "broker 'simm' is not installed"),
        ({"instruments": ["MNQ", "ES"], "tape": "x"}, "one tape for 2 instruments"),
        ({"instruments": "MNQ", "tape": {"MNK": "x"}}, "a tape is given for 'MNK'; did you mean"),
        ({"instruments": "MNQ", "account": 5}, "5 is no AccountConfig"),
        ({"instruments": "MNQ", "simulation": {"sed": 1}}, 'did you mean "seed"'),
    ],
)
def test_bad_session_is_refused_before_anything_starts(arguments, message):
    with pytest.raises(ConfigurationError) as caught:
        run(TradingSuite.create(**arguments))
    assert message in str(caught.value)


def test_suite_is_a_mapping_of_its_instruments():
    async def strategy(suite, orders):
        return list(suite), len(suite), "MNQ" in suite, suite["CME:MNQ"] is suite["MNQ"]

    assert play(strategy) == (["MNQ"], 1, True, True)
