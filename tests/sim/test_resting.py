"""Resting limits: the queue ahead, prints, crossings, and orders that share a print.

`queue_ahead` is in lots. The touch of these markets is 10 bid at 99, 10 offered at 101.
"""

from __future__ import annotations

import pytest

from tests.sim.market import Market

QUOTE = "0 10x99 101x10"


def resting(*rows: str, order: str = "buy 4 limit 99", **settings: object) -> Market:
    """A market in which one order rests from the first row on."""
    market = Market(QUOTE, *rows, **settings)
    assert market.place(order)[0].startswith("#1 accepted")
    return market


@pytest.mark.parametrize(
    ("queue", "ahead"), [("proportional", 10), ("displayed", 10), ("front", 0)]
)
def test_at_the_touch_the_size_shown_is_ahead(queue: str, ahead: float) -> None:
    assert resting(queue=queue).queue_ahead(1) == ahead


@pytest.mark.parametrize("order", ["buy 4 limit 100", "sell 4 limit 100"])
def test_improving_the_touch_nothing_is_ahead(order: str) -> None:
    assert resting(order=order).queue_ahead(1) == 0


def test_behind_the_touch_the_size_last_shown_there_is_ahead() -> None:
    market = Market("0 7x98 101x9", "10 3x99 101x9", "20 4x100 101x9")
    market.run_to(20)
    market.place("buy 1 limit 99")
    market.place("buy 1 limit 98")
    market.place("buy 1 limit 97")
    assert [market.queue_ahead(number) for number in (1, 2, 3)] == [3, 7, None]


def test_prints_eat_the_queue_and_what_is_over_fills() -> None:
    market = resting("10 sell 6@99 4x99 101x10", "20 sell 5@99 9x99 101x10", "30 sell 9@99")
    assert market.run_to(10) == []
    assert market.queue_ahead(1) == 4
    assert market.run_to(20) == ["#1 buy 1@99 maker left 3"]
    assert market.run_to(30) == ["#1 buy 3@99 maker left 0"]


def test_a_fill_is_never_more_than_the_print() -> None:
    market = resting("10 sell 2@99", "20 sell 1@99", queue="front")
    assert market.run_to(10) == ["#1 buy 2@99 maker left 2"]
    assert market.run_to(20) == ["#1 buy 1@99 maker left 1"]


@pytest.mark.parametrize(
    ("row", "filled"),
    [
        ("10 sell 3@99", True),
        ("10 print 3@99", True),
        ("10 buy 3@99", False),
        ("10 buy 3@101", False),
        ("10 sell 3@100", False),
        ("10 sell 3@98", True),
        ("10 buy 3@98", True),
    ],
)
def test_which_prints_reach_a_bid(row: str, filled: bool) -> None:
    market = resting(row, queue="front")
    assert market.run_to(10) == (["#1 buy 3@99 maker left 1"] if filled else [])


@pytest.mark.parametrize(
    ("row", "filled"), [("10 buy 3@101", True), ("10 sell 3@101", False), ("10 sell 3@102", True)]
)
def test_which_prints_reach_an_offer(row: str, filled: bool) -> None:
    market = resting(row, order="sell 4 limit 101", queue="front")
    assert market.run_to(10) == (["#1 sell 3@101 maker left 1"] if filled else [])


def test_a_print_through_the_price_met_it_first() -> None:
    market = resting("10 sell 3@98 5x98 100x5")
    assert market.run_to(10) == ["#1 buy 3@99 maker left 1"]
    assert market.queue_ahead(1) == 0


def test_a_print_through_may_be_told_to_fill_everything() -> None:
    market = resting("10 sell 1@98 5x98 100x5", trade_through="all")
    assert market.run_to(10) == ["#1 buy 4@99 maker left 0"]


def test_the_model_back_fills_only_through_the_price() -> None:
    market = resting("10 sell 500@99", "20 2x98 100x5", "30 sell 3@98", queue="back")
    assert market.run_to(20) == []
    assert market.run_to(30) == ["#1 buy 3@99 maker left 1"]


def test_an_ask_at_the_price_crosses_up_to_what_it_shows() -> None:
    market = resting("10 5x98 99x3", "20 5x98 99x3", "30 5x97 98x6")
    assert market.run_to(10) == ["#1 buy 3@99 maker left 1"]
    assert market.run_to(20) == []
    assert market.run_to(30) == ["#1 buy 1@99 maker left 0"]


def test_a_crossing_uses_the_touch_up() -> None:
    market = resting("10 5x98 99x6")
    market.run_to(10)
    assert market.place("buy 9 limit 99 ioc")[1:] == [
        "#2 buy 2@99 taker left 7",
        "#2 cancelled ioc_rest, filled 2",
    ]


def test_synthetic_levels_do_not_cross_resting_orders() -> None:
    market = Market("0 10x99 101x2", "10 10x99 102x2")
    assert market.place("buy 9 limit 102")[1:] == [
        "#1 buy 2@101 taker left 7",
        "#1 buy 2@102 taker left 5",
    ]
    assert market.run_to(10) == ["#1 buy 2@102 maker left 3"]


def test_own_orders_share_a_print_best_price_first_then_by_time() -> None:
    market = Market(QUOTE, "10 sell 8@98 5x97 100x5", queue="front")
    for order in ("buy 3 limit 98", "buy 2 limit 99", "buy 2 limit 99", "buy 3 limit 98"):
        market.place(order)
    assert market.run_to(10) == [
        "#2 buy 2@99 maker left 0",
        "#3 buy 2@99 maker left 0",
        "#1 buy 3@98 maker left 0",
        "#4 buy 1@98 maker left 2",
    ]


def test_the_sum_of_own_fills_never_exceeds_the_print() -> None:
    market = Market(QUOTE, "10 sell 5@99", queue="front")
    for _ in range(3):
        market.place("buy 2 limit 99")
    assert market.run_to(10) == [
        "#1 buy 2@99 maker left 0",
        "#2 buy 2@99 maker left 0",
        "#3 buy 1@99 maker left 1",
    ]


def test_only_the_rest_of_a_print_counts_against_a_later_own_order() -> None:
    market = Market(QUOTE, "10 sell 12@99 20x99 101x10", "20 sell 3@99")
    market.place("buy 2 limit 99")
    market.place("buy 2 limit 99")
    assert market.run_to(10) == ["#1 buy 2@99 maker left 0"]
    assert market.queue_ahead(2) == 0
    assert market.run_to(20) == ["#2 buy 2@99 maker left 0"]


@pytest.mark.parametrize(
    ("power", "ahead"),
    # order of 10 ahead and 5 behind; 6 of the 15 are cancelled
    [
        (1.0, 10 - 6 * 10 / 15),
        (1.5, 10 - 6 * 10**1.5 / (10**1.5 + 5**1.5)),
        (2.0, 10 - 6 * 100 / (100 + 25)),
    ],
)
def test_cancels_are_shared_by_position(power: float, ahead: float) -> None:
    market = resting("10 15x99 101x10", "20 9x99 101x10", queue_power=power)
    market.run_to(10)
    assert market.queue_ahead(1) == 10
    market.run_to(20)
    assert market.queue_ahead(1) == pytest.approx(min(ahead, 9), abs=2 / 1024)


def test_growth_of_the_level_is_behind_us() -> None:
    market = resting("10 50x99 101x10", "20 sell 11@99 39x99 101x10")
    market.run_to(10)
    assert market.queue_ahead(1) == 10
    assert market.run_to(20) == ["#1 buy 1@99 maker left 3"]


def test_what_prints_explain_is_no_cancel() -> None:
    market = resting("10 20x99 101x10", "20 sell 4@99 16x99 101x10", queue_power=1.0)
    market.run_to(20)
    assert market.queue_ahead(1) == 6


def test_prints_of_one_packet_come_before_its_quote() -> None:
    rows = ("10 20x99 101x10", "20 sell 4@99 12x99 101x10", "20 12x99 101x11")
    market = resting(*rows, queue_power=1.0)
    market.run_to(20)
    # after the print 6 of 16 are ahead; 4 more left unexplained, 6/16 of them ahead
    assert market.queue_ahead(1) == pytest.approx(6 - 4 * 6 / 16, abs=2 / 1024)


def test_displayed_moves_with_prints_and_caps_only() -> None:
    rows = ("10 9x99 101x10", "20 sell 2@99 7x99 101x10", "30 4x99 101x10")
    market = resting(*rows, queue="displayed")
    ahead = []
    for ts_ns in (10, 20, 30):
        market.run_to(ts_ns)
        ahead.append(market.queue_ahead(1))
    assert ahead == [9, 7, 4]


def test_the_touch_leaves_and_returns() -> None:
    """It left upwards and came back with less: no more can be ahead than is shown."""
    market = resting("10 5x100 101x10", "20 3x99 101x10")
    market.run_to(10)
    assert market.queue_ahead(1) == 10
    market.run_to(20)
    assert market.queue_ahead(1) == 3


def test_a_touch_beyond_our_price_cleared_the_way() -> None:
    market = resting("10 5x98 101x10", "20 6x99 101x10", "30 sell 1@99")
    market.run_to(10)
    assert market.queue_ahead(1) == 0
    market.run_to(20)
    assert market.queue_ahead(1) == 0
    assert market.run_to(30) == ["#1 buy 1@99 maker left 3"]


def test_an_empty_side_tells_nothing() -> None:
    market = resting("10 - 101x10", "20 8x99 101x10")
    market.run_to(10)
    assert market.queue_ahead(1) == 10
    market.run_to(20)
    assert market.queue_ahead(1) == 8


def test_unknown_depth_is_half_of_what_is_shown_first() -> None:
    rows = ("10 - 101x10", "20 8x97 101x10", "30 sell 5@97", "40 sell 1@97")
    market = Market(QUOTE, *rows)
    market.place("buy 2 limit 97")
    market.run_to(10)
    assert market.queue_ahead(1) is None
    market.run_to(20)
    assert market.queue_ahead(1) == 4
    assert market.run_to(30) == ["#1 buy 1@97 maker left 1"]


def test_prints_into_an_unknown_queue_fill_nothing_but_count() -> None:
    market = Market(QUOTE, "10 sell 3@97", "20 5x97 101x10")
    market.place("buy 2 limit 97")
    assert market.run_to(10) == []
    assert market.queue_ahead(1) is None
    market.run_to(20)
    assert market.queue_ahead(1) == (5 + 3) / 2 - 3


def test_a_print_through_an_unknown_queue_fills() -> None:
    market = Market(QUOTE, "10 sell 3@96")
    market.place("buy 2 limit 97")
    assert market.run_to(10) == ["#1 buy 2@97 maker left 0"]


@pytest.mark.parametrize(
    ("over_1024ths", "filled"), [(255, 0), (256, 1), (1024, 1), (1535, 1), (1536, 2), (2048, 2)]
)
def test_the_first_fill_needs_a_quarter_lot_and_is_rounded(over_1024ths: int, filled: int) -> None:
    market = resting("10 sell 5@99")
    market.book["o_queue"][market.book["active"][0]] = 5 * 1024 - over_1024ths
    market.reference.floor.working[0].places[0].ahead = 5 * 1024 - over_1024ths
    lines = market.run_to(10)
    assert lines == ([f"#1 buy {filled}@99 maker left {4 - filled}"] if filled else [])


def test_a_book_from_before_the_print_has_lost_it_in_the_queue_too() -> None:
    market = Market(QUOTE, "10 sell 4@99", "20 6x99 101x10", bbo_after_trade=False)
    market.run_to(10)
    market.place("buy 1 limit 99")
    assert market.queue_ahead(1) == 6
    market.run_to(20)
    assert market.queue_ahead(1) == 6


def test_interest_in_prices_is_dropped_with_the_order() -> None:
    market = resting("10 sell 3@98 5x97 98x5")
    market.cancel(1)
    assert market.run_to(10) == []


def test_one_crossing_that_flattens_serves_each_order_once() -> None:
    market = Market(QUOTE, "10 10x105 106x10")
    market.place("buy 2 market")
    market.place("sell 2 limit 104")
    market.place("sell 2 limit 105 reduce-only")
    assert market.run_to(10) == [
        "#2 sell 2@104 maker left 0",
        "#3 cancelled reduce_only_done, filled 0",
    ]


def test_equal_runs_have_equal_states() -> None:
    one, other = (resting("10 sell 3@99") for _ in range(2))
    assert one.exchange.state_hash == other.exchange.state_hash
    other.replace(1, limit=98)
    assert one.exchange.state_hash != other.exchange.state_hash


def test_with_a_book_from_before_prints_wait_for_the_quote_to_judge_cancels() -> None:
    rows = ("10 20x99 101x10", "20 sell 4@99", "30 10x99 101x10")
    market = resting(*rows, bbo_after_trade=False, queue_power=1.0)
    market.run_to(20)
    assert market.queue_ahead(1) == 6
    market.run_to(30)
    # of 16 left after the print 6 were cancelled, 6/16 of them ahead
    assert market.queue_ahead(1) == pytest.approx(6 - 6 * 6 / 16, abs=2 / 1024)
