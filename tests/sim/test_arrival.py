"""What an arriving order is checked for, in which order, and what the refusal says."""

from __future__ import annotations

from decimal import Decimal

import pytest

from broker_api.order import (
    BracketRequest,
    ExitRequest,
    OcoRequest,
    OrderRequest,
    OrderType,
    Side,
    TriggerSource,
)
from tests.sim.market import Hours, Market, an_instrument, order_of, tape_of

QUOTE = "0 5x99 101x7"
SMALL = an_instrument(min_size=Decimal(2), max_size=Decimal(20))


@pytest.mark.parametrize(
    ("order", "answer"),
    [
        ("buy 0 market", "size_not_positive 0 2"),
        ("buy -3 market", "size_not_positive -3 2"),
        ("buy 1 limit 99", "size_below_minimum 1 2"),
        ("buy 21 limit 99", "size_above_maximum 21 20"),
        ("buy 2 limit 0", "price_not_positive 0 1"),
        ("buy 2 limit -5", "price_not_positive -5 1"),
        ("sell 2 stop -5", "price_not_positive -5 1"),
        ("sell 2 stop 95 limit 0", "price_not_positive 0 1"),
        ("buy 2 stop 101", "stop_wrong_side 101 101"),
        ("buy 2 stop 100", "stop_wrong_side 100 101"),
        ("sell 2 stop 99", "stop_wrong_side 99 99"),
        ("sell 2 stop 100 limit 98", "stop_wrong_side 100 99"),
        ("buy 2 limit 99 gtd=5", "expiry_in_the_past 5 5"),
        ("buy 2 limit 99 gtd=3", "expiry_in_the_past 3 5"),
        ("sell 2 limit 105 reduce-only", "no_position_to_reduce 0 0"),
        ("buy 2 limit 101 post-only", "post_only_would_take 101 101"),
        ("sell 2 limit 98 post-only", "post_only_would_take 98 99"),
    ],
)
def test_each_refusal_names_value_and_limit(order: str, answer: str) -> None:
    market = Market(QUOTE, instruments=[SMALL])
    market.run_to(5)
    assert market.place(order) == [f"#1 rejected {answer}"]


@pytest.mark.parametrize(
    "order",
    ["buy 2 limit 99", "buy 2 stop 102", "sell 20 stop 98 limit 90", "buy 2 limit 99 gtd=6"],
)
def test_what_is_just_inside_is_accepted(order: str) -> None:
    market = Market(QUOTE, instruments=[SMALL])
    market.run_to(5)
    assert market.place(order)[0].startswith("#1 accepted")


def test_checks_come_in_the_order_of_the_page() -> None:
    """Each order breaks every rule from one on; the first broken one is the answer."""
    closed = Market(QUOTE, instruments=[SMALL], calendar=Hours((100, 200)))
    assert closed.place("buy 99 limit -1 gtd=0") == ["#1 rejected market_closed 0 100"]
    market = Market(QUOTE, instruments=[SMALL], margin=True, cash=0)
    orders = {
        "buy 99 stop 90 limit -1 gtd=0 reduce-only": "expiry_in_the_past 0 0",
        "buy 99 stop 90 limit -1 reduce-only": "size_above_maximum 99 20",
        "buy 9 stop 90 limit -1 reduce-only": "price_not_positive -1 1",
        "buy 9 stop 90 limit 9 reduce-only": "stop_wrong_side 90 101",
        "buy 9 limit 101 reduce-only post-only": "no_position_to_reduce 0 0",
    }
    answers = [market.place(order)[0].split("rejected ")[1] for order in orders]
    assert answers == list(orders.values())


def test_margin_is_checked_before_post_only_and_liquidity() -> None:
    dear = an_instrument(initial_margin=Decimal(100))
    market = Market(QUOTE, instruments=[dear], margin=True, cash=250)
    need = "insufficient_margin 300000000000 250000000000"
    assert market.place("buy 3 limit 101 post-only") == [f"#1 rejected {need}"]
    assert market.place("buy 2 limit 101 post-only") == ["#2 rejected post_only_would_take 101 101"]


def test_reduce_only_on_the_side_of_the_position_is_refused() -> None:
    market = Market(QUOTE)
    market.place("buy 2 market")
    assert market.place("buy 1 limit 99 reduce-only") == ["#2 rejected reduce_only_wrong_side 2 0"]


def test_a_market_order_against_an_empty_side_is_refused() -> None:
    market = Market("0 5x99 -", "10 - 101x5")
    assert market.place("buy 1 market") == ["#1 rejected no_liquidity 0 0"]
    market.run_to(10)
    assert market.place("sell 1 market") == ["#2 rejected no_liquidity 0 0"]
    assert market.place("sell 1 limit 99") == ["#3 accepted sell 1 limit 99"]


def test_prices_that_a_type_needs_may_not_be_missing() -> None:
    market = Market(QUOTE)
    for number, kind in enumerate((OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT), 1):
        request = OrderRequest(number, "", "X", Side.BUY, kind, 1)
        assert market.execute(request) == [f"#{number} rejected price_missing 0 0"]
    bracket = BracketRequest(order_of("buy 1 market", 4), ExitRequest(5, "5"), None)
    assert market.execute(bracket)[0] == "#4 rejected price_missing 0 0"


def test_an_instrument_may_allow_negative_prices() -> None:
    oil = an_instrument(allow_negative_price=True)
    market = Market("0 5x-3 2x7", instruments=[oil], tapes=[tape_of(["0 5x-3 2x7"])])
    assert market.place("sell 7 market") == [
        "#1 accepted sell 7",
        "#1 sell 5@-3 taker left 2",
        "#1 sell 2@-4 taker left 0",
    ]
    assert market.place("buy 1 limit -9") == ["#2 accepted buy 1 limit -9"]


def test_a_ladder_downwards_ends_at_the_lowest_price() -> None:
    market = Market("0 2x3 4x2")
    assert market.place("sell 9 market") == [
        "#1 accepted sell 9",
        "#1 sell 2@3 taker left 7",
        "#1 sell 2@2 taker left 5",
        "#1 sell 2@1 taker left 3",
    ]
    assert market.place("sell 5 market fok")[-1] == "#2 cancelled fok_not_available, filled 0"


def test_a_stop_without_a_trigger_value_waits() -> None:
    rows = ["0 5x99 101x7", "10 buy 1@101", "20 buy 1@105"]
    market = Market(*rows, trigger=TriggerSource.LAST)
    assert market.place("buy 1 stop 90 gtd=15") == ["#1 accepted buy 1 stop 90"]
    assert market.run_to(10) == ["#1 triggered at 101", "#1 buy 1@101 taker left 0"]
    assert market.place("buy 1 stop 101") == ["#2 rejected stop_wrong_side 101 101"]


def test_a_wrong_side_stop_can_be_told_to_trigger() -> None:
    market = Market(QUOTE, stop_wrong_side="trigger")
    assert market.place("buy 2 stop 100") == [
        "#1 accepted buy 2 stop 100",
        "#1 triggered at 101",
        "#1 buy 2@101 taker left 0",
    ]


def test_more_orders_than_there_is_room_for_are_refused() -> None:
    market = Market(QUOTE)
    market.check_after_calls = False
    for _ in range(1023):
        market.place("buy 1 limit 50")
    assert market.place("buy 1 limit 50")[0].startswith("#1024 accepted")
    assert market.place("buy 1 limit 50") == ["#1025 rejected too_many_orders 1025 1024"]
    market.cancel(1)
    refusal = market.bracket("buy 1 limit 50", stop="+5")[0]
    assert refusal == "#1026 rejected too_many_orders 1026 1024"


def test_two_instruments_in_one_oco_are_refused() -> None:
    two = [an_instrument("X"), an_instrument("Y")]
    market = Market(tapes=[tape_of([QUOTE]), tape_of([QUOTE], symbol="Y")], instruments=two)
    first, second = order_of("buy 1 limit 98", 1, "X"), order_of("sell 1 limit 105", 2, "Y")
    answers = ["#1 rejected unsupported 1 0", "#2 rejected unsupported 1 0"]
    assert market.execute(OcoRequest(first, second)) == answers


def test_unknown_and_ended_orders_are_told_apart() -> None:
    market = Market(QUOTE)
    market.place("buy 1 market")
    assert market.cancel(1) == ["#1 cancel refused order_not_active filled"]
    assert market.cancel(77) == ["#77 cancel refused unknown_order rejected"]
    assert market.replace(1, size=2) == ["#1 change refused order_not_active 0 0"]
    assert market.replace(77, size=2) == ["#77 change refused unknown_order 0 0"]


def test_sizes_whose_money_would_not_fit_are_refused() -> None:
    huge = an_instrument(max_size=Decimal(10**15))
    market = Market("0 5x99 101x7", instruments=[huge])
    answer = market.place(f"buy {10**14} limit 99")
    assert answer[0].startswith("#1 rejected size_above_maximum 100000000000000 ")
    assert market.place("buy 1000 limit 99")[0].startswith("#2 accepted")
    far = OrderRequest(3, "3", "X", Side.BUY, OrderType.LIMIT, 1, 1 << 40)
    assert market.execute(far)[0].startswith("#3 rejected size_above_maximum 1 0")


@pytest.mark.parametrize(
    ("order", "stop", "target", "answer"),
    [
        ("buy 1 limit 99", "99", "110", "bracket_levels 99 99"),
        ("buy 1 limit 99", "95", "99", "bracket_levels 99 99"),
        ("sell 1 limit 105", "104", "90", "bracket_levels 104 105"),
        ("sell 1 limit 105", "110", "106", "bracket_levels 106 105"),
        ("buy 1 market", "101", None, "bracket_levels 101 101"),
        ("sell 1 market", None, "99", "bracket_levels 99 99"),
        ("buy 1 limit 99", "+0", "110", "bracket_levels 0 0"),
        ("buy 1 limit 99", "+5", "+0", "bracket_levels 0 0"),
        ("buy 1 limit 99", "+99", "110", "price_not_positive 0 1"),
        ("sell 1 limit 105", "110", "+105", "price_not_positive 0 1"),
        ("buy 1 stop 120", "121", "130", "bracket_levels 121 120"),
    ],
)
def test_a_bracket_whose_levels_make_no_sense_is_refused_whole(
    order: str, stop: str | None, target: str | None, answer: str
) -> None:
    market = Market(QUOTE)
    expected = [f"#{number} rejected {answer}" for number in (1, 2, 3)[: 1 + 2]]
    lines = market.bracket(order, stop=stop, target=target)
    assert lines == expected[: len(lines)]
    assert len(lines) == 1 + (stop is not None) + (target is not None)
    assert market.run_to(100) == []


def test_a_fill_or_kill_entry_that_is_killed_takes_its_exits_with_it() -> None:
    market = Market(QUOTE)
    assert market.bracket("buy 9 limit 101 fok", stop="+5", target="+5") == [
        "#1 accepted buy 9 limit 101",
        "#2 accepted held sell 9",
        "#3 accepted held sell 9",
        "#1 cancelled fok_not_available, filled 0",
        "#2 cancelled entry_ended, filled 0",
        "#3 cancelled entry_ended, filled 0",
    ]
