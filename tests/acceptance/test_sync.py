"""The face without await: the same verbs, the same effects, also inside a running event loop."""

import asyncio

import pytest

from papertape import NotConnectedError, OrderRejectedError, TradingError
from papertape.sync import TradingSuite


def test_orders_are_placed_filled_and_seen_without_await():
    with TradingSuite.create(["MNQ"]) as suite:
        mnq = suite["MNQ"]
        bracket = mnq.orders.place_bracket_order(
            mnq.instrument_info.id, "buy", 1, entry_price=None, stop_offset=50, target_offset=20
        )
        assert mnq.positions.position().size == 1
        filled = mnq.orders.wait_for_fill(bracket.target_order_id, timeout=3600)
        assert filled.status == "filled"
        assert mnq.positions.position().is_flat
        assert suite.account.cash == pytest.approx(50_000 + 20 * 2 - 2 * 0.37)


def test_time_stands_still_between_calls_and_goes_by_in_sleep():
    with TradingSuite.create(["MNQ"]) as suite:
        start = suite.clock.now_ns()
        assert suite.clock.now_ns() == start
        suite.sleep(60)
        assert suite.clock.now_ns() == start + 60 * 10**9


def test_refusals_raise_and_the_session_goes_on():
    with TradingSuite.create(["MNQ"]) as suite:
        orders = suite["MNQ"].orders
        with pytest.raises(OrderRejectedError, match=r"21000\.1 is not a multiple"):
            orders.place_limit_order("MNQ", 0, 1, 21000.1)
        assert orders.place_limit_order("MNQ", 0, 1, 21000.0).success


def test_it_works_where_another_event_loop_runs():
    async def notebook():
        with TradingSuite.create(["MNQ"]) as suite:
            return suite["MNQ"].orders.place_market_order("MNQ", 0, 1).status

    assert asyncio.run(notebook()) == "filled"


def test_waiting_past_the_end_of_the_tape_is_an_error_that_says_so():
    suite = TradingSuite.create(["MNQ"])
    with pytest.raises(TradingError, match="the tape ended"):
        suite.sleep(10 * 86_400)
    suite.disconnect()


def test_after_disconnect_nothing_is_sent():
    suite = TradingSuite.create(["MNQ"])
    orders = suite["MNQ"].orders
    suite.disconnect()
    suite.disconnect()
    with pytest.raises(NotConnectedError):
        orders.place_market_order("MNQ", 0, 1)
