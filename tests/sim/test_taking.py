"""Taking liquidity: what is there, what we used up, what happens to the rest."""

from __future__ import annotations

import pytest

from tests.sim.market import Market

QUOTE = "0 5x99 101x3"


@pytest.mark.parametrize(
    ("beyond_top", "fills"),
    [
        ("ladder", ["3@101 taker left 5", "3@102 taker left 2", "2@103 taker left 0"]),
        ("wait", ["3@101 taker left 5"]),
        ("infinite", ["8@101 taker left 0"]),
    ],
)
def test_what_lies_beyond_the_touch_is_a_setting(beyond_top: str, fills: list[str]) -> None:
    market = Market(QUOTE, beyond_top=beyond_top)
    expected = ["#1 accepted buy 8", *(f"#1 buy {fill}" for fill in fills)]
    assert market.place("buy 8 market") == expected


def test_the_rest_of_a_waiting_market_order_takes_the_next_liquidity() -> None:
    market = Market(QUOTE, "10 5x99 101x3", "20 5x99 102x4", "30 5x99 102x5", beyond_top="wait")
    market.place("buy 9 market")
    assert market.run_to(10) == []  # the same quote again is not new liquidity
    assert market.run_to(20) == ["#1 buy 4@102 taker left 2"]
    assert market.run_to(30) == ["#1 buy 2@102 taker left 0"]


def test_our_own_fills_use_liquidity_up() -> None:
    market = Market(QUOTE, "10 5x99 101x3", "20 6x99 101x3", "30 6x99 101x4")
    market.place("buy 2 market")
    assert market.place("buy 3 market")[1:] == [
        "#2 buy 1@101 taker left 2",
        "#2 buy 2@102 taker left 0",
    ]
    for ts_ns in (10, 20):  # a newer time, and a change of the other side, restore nothing
        market.run_to(ts_ns)
        assert market.place("buy 1 limit 101 ioc")[-1].endswith("cancelled ioc_rest, filled 0")
    market.run_to(30)
    assert market.place("buy 4 market")[1:] == ["#5 buy 4@101 taker left 0"]


def test_ladder_levels_stay_used_until_the_touch_changes() -> None:
    market = Market(QUOTE, "10 5x99 101x3", "20 5x99 101x2")
    market.place("buy 5 market")  # 3@101, 2@102
    market.run_to(10)
    assert market.place("buy 3 market")[1:] == [
        "#2 buy 1@102 taker left 2",
        "#2 buy 2@103 taker left 0",
    ]
    market.run_to(20)
    assert market.place("buy 3 market")[1:] == [
        "#3 buy 2@101 taker left 1",
        "#3 buy 1@102 taker left 0",
    ]


def test_a_level_that_left_and_came_back_is_new_liquidity() -> None:
    market = Market(QUOTE, "10 5x99 102x3", "20 5x99 101x3")
    market.place("buy 3 market")
    market.run_to(20)
    assert market.place("buy 3 market")[1:] == ["#2 buy 3@101 taker left 0"]


def test_the_two_sides_are_used_up_apart() -> None:
    market = Market(QUOTE)
    market.place("buy 3 market")
    assert market.place("sell 5 market")[1:] == ["#2 sell 5@99 taker left 0"]


@pytest.mark.parametrize(
    ("order", "answer"),
    [
        ("buy 6 market fok", ["#1 buy 3@101 taker left 3", "#1 buy 3@102 taker left 0"]),
        ("buy 6 limit 102 fok", ["#1 buy 3@101 taker left 3", "#1 buy 3@102 taker left 0"]),
        ("buy 7 limit 102 fok", ["#1 cancelled fok_not_available, filled 0"]),
        ("buy 1 limit 100 fok", ["#1 cancelled fok_not_available, filled 0"]),
        ("buy 7 limit 102 ioc", ["3@101", "3@102", "#1 cancelled ioc_rest, filled 6"]),
        ("buy 1 limit 100 ioc", ["#1 cancelled ioc_rest, filled 0"]),
        ("buy 5 limit 101", ["#1 buy 3@101 taker left 2"]),
        ("buy 4 market ioc", ["#1 buy 3@101 taker left 1", "#1 buy 1@102 taker left 0"]),
    ],
)
def test_times_in_force_of_takers(order: str, answer: list[str]) -> None:
    market = Market(QUOTE)
    lines = market.place(order)[1:]
    assert len(lines) == len(answer)
    assert all(want in line for want, line in zip(answer, lines, strict=True))


@pytest.mark.parametrize(
    ("beyond_top", "order", "filled"),
    [
        ("wait", "buy 4 market fok", False),
        ("wait", "buy 3 market fok", True),
        ("wait", "buy 3 limit 105 fok", True),
        ("wait", "buy 4 limit 105 fok", False),
        ("infinite", "buy 999 market fok", True),
        ("ladder", "buy 768 market fok", True),
        ("ladder", "buy 769 market fok", False),
    ],
)
def test_fill_or_kill_needs_all_of_it_now(beyond_top: str, order: str, filled: bool) -> None:
    market = Market(QUOTE, beyond_top=beyond_top)
    lines = market.place(order)
    assert ("left 0" in lines[-1]) == filled
    assert filled or lines[1:] == ["#1 cancelled fok_not_available, filled 0"]


def test_fill_or_kill_counts_what_we_took_before() -> None:
    market = Market(QUOTE)
    market.place("buy 2 market")
    assert market.place("buy 2 limit 101 fok")[1:] == ["#2 cancelled fok_not_available, filled 0"]
    assert market.place("buy 4 limit 102 fok")[1:] == [
        "#3 buy 1@101 taker left 3",
        "#3 buy 3@102 taker left 0",
    ]


def test_the_rest_past_the_protection_becomes_a_limit_there() -> None:
    market = Market(QUOTE, "10 5x99 101x2", "20 5x99 103x9")
    assert market.place("buy 9 market protect=1") == [
        "#1 accepted buy 9",
        "#1 buy 3@101 taker left 6",
        "#1 buy 3@102 taker left 3",
        "#1 replaced 9 limit 102 (protection_limit)",
    ]
    assert market.run_to(10) == ["#1 buy 2@102 maker left 1"]
    assert market.run_to(20) == []


def test_a_protected_order_that_cancels_its_rest_becomes_no_limit() -> None:
    market = Market(QUOTE)
    assert market.place("buy 9 market ioc protect=0")[1:] == [
        "#1 buy 3@101 taker left 6",
        "#1 cancelled ioc_rest, filled 3",
    ]


def test_a_walk_ends_after_256_levels_and_the_rest_waits() -> None:
    market = Market("0 5x999 1001x1", "10 5x999 1001x2")
    assert market.place("buy 300 market")[-1] == "#1 buy 1@1256 taker left 44"
    assert market.run_to(10)[:2] == ["#1 buy 2@1001 taker left 42", "#1 buy 2@1002 taker left 40"]
    assert market.position == 300


def test_a_print_is_in_the_book_of_its_own_row() -> None:
    market = Market(QUOTE, "10 buy 2@101 5x99 101x1")
    market.run_to(10)
    assert market.place("buy 2 market")[1:] == [
        "#1 buy 1@101 taker left 1",
        "#1 buy 1@102 taker left 0",
    ]


def test_with_a_book_from_before_prints_are_gone_until_the_next_quote() -> None:
    market = Market(QUOTE, "10 buy 2@101", "20 5x99 101x3", bbo_after_trade=False)
    market.run_to(10)
    assert market.place("buy 2 market")[1:] == [
        "#1 buy 1@101 taker left 1",
        "#1 buy 1@102 taker left 0",
    ]
    market.run_to(20)
    assert market.place("buy 1 market")[1:] == ["#2 buy 1@101 taker left 0"]


def test_several_prints_add_up_and_a_mark_between_changes_nothing() -> None:
    rows = (QUOTE, "10 buy 1@101", "11 mark 101", "12 print 1@101", "13 sell 4@99")
    market = Market(*rows, bbo_after_trade=False)
    market.run_to(13)
    assert market.place("buy 2 limit 101 ioc")[1:] == [
        "#1 buy 1@101 taker left 1",
        "#1 cancelled ioc_rest, filled 1",
    ]
    assert market.place("sell 2 limit 99 ioc")[1:] == [
        "#2 sell 1@99 taker left 1",
        "#2 cancelled ioc_rest, filled 1",
    ]


def test_a_print_beyond_the_touch_empties_the_levels_before_it() -> None:
    market = Market(QUOTE, "10 buy 1@103", bbo_after_trade=False)
    market.run_to(10)
    assert market.place("buy 3 market")[1:] == [
        "#1 buy 2@103 taker left 1",
        "#1 buy 1@104 taker left 0",
    ]


def test_a_row_that_shows_another_touch_has_the_earlier_prints_in_it() -> None:
    rows = (QUOTE, "10 buy 2@101 5x99 101x3", "20 buy 1@101 5x99 101x1")
    market = Market(*rows, bbo_after_trade=False)
    market.run_to(20)
    assert market.place("buy 1 limit 101 ioc")[1:] == ["#1 cancelled ioc_rest, filled 0"]


@pytest.mark.parametrize(
    ("policy", "lines"),
    [
        ("cancel_newest", ["#2 cancelled self_trade, filled 0"]),
        ("cancel_oldest", ["#1 cancelled self_trade, filled 0", "#2 buy 2@101 taker left 0"]),
        (
            "cancel_both",
            ["#1 cancelled self_trade, filled 0", "#2 cancelled self_trade, filled 0"],
        ),
    ],
)
def test_a_taker_meets_an_own_maker(policy: str, lines: list[str]) -> None:
    market = Market(QUOTE, self_trade=policy)
    market.place("sell 1 limit 101")
    assert market.place("buy 2 market")[1:] == lines


def test_levels_before_the_own_maker_are_taken_first() -> None:
    market = Market(QUOTE)
    market.place("sell 1 limit 102")
    assert market.place("buy 5 market")[1:] == [
        "#2 buy 3@101 taker left 2",
        "#2 cancelled self_trade, filled 3",
    ]


@pytest.mark.parametrize(
    ("order", "filled"), [("buy 3 market fok", True), ("buy 4 market fok", False)]
)
def test_fill_or_kill_is_not_filled_in_part_for_an_own_maker(order: str, filled: bool) -> None:
    market = Market(QUOTE)
    market.place("sell 1 limit 102")
    killed = ["#2 cancelled fok_not_available, filled 0"]
    assert market.place(order)[1:] == (["#2 buy 3@101 taker left 0"] if filled else killed)


def test_fill_or_kill_that_outlives_an_own_maker_is_filled() -> None:
    market = Market(QUOTE, self_trade="cancel_oldest")
    market.place("sell 4 market")
    market.place("sell 1 limit 102")
    market.place("sell 1 limit 105")
    assert market.place("buy 4 market fok")[1:] == [
        "#4 buy 3@101 taker left 1",
        "#2 cancelled self_trade, filled 0",
        "#4 buy 1@102 taker left 0",
    ]


def test_fill_or_kill_that_would_no_longer_reduce_when_it_meets_an_own_maker_is_killed() -> None:
    market = Market(QUOTE, self_trade="cancel_oldest")
    market.place("sell 2 market")
    market.place("sell 1 limit 102")
    assert market.place("buy 4 market fok")[1:] == ["#3 cancelled fok_not_available, filled 0"]


def test_a_limit_that_would_rest_across_an_own_maker_meets_it_too() -> None:
    market = Market("0 5x95 105x5")
    market.place("sell 1 limit 100")
    assert market.place("buy 1 limit 100")[1:] == ["#2 cancelled self_trade, filled 0"]
    assert market.place("buy 1 limit 99")[1:] == []


def test_the_order_that_reduces_exposure_lives() -> None:
    market = Market(QUOTE, "10 5x99 100x5", self_trade="cancel_both")
    market.place("buy 2 market")
    market.place("buy 4 limit 100")
    assert market.place("sell 2 limit 99")[1:] == [
        "#2 cancelled self_trade, filled 0",
        "#3 sell 2@99 taker left 0",
    ]


def test_a_maker_that_reduces_exposure_outlives_a_taker() -> None:
    market = Market(QUOTE, self_trade="cancel_oldest")
    market.place("buy 2 market")
    market.place("sell 2 limit 101")
    assert market.place("buy 1 market")[1:] == ["#3 cancelled self_trade, filled 0"]


def test_a_print_fills_an_own_entry_before_the_stop_that_it_triggers() -> None:
    market = Market(QUOTE, "10 sell 9@97 5x96 98x5")
    market.bracket("buy 2 market", stop="98")
    market.place("buy 3 limit 98")
    assert market.run_to(10) == [
        "#2 triggered at 97",
        "#3 buy 3@98 maker left 0",
        "#2 sell 2@96 taker left 0",
    ]
