"""Expiry, halts, sessions, and the order of things at one instant."""

from __future__ import annotations

import pytest

from tests.sim.market import Hours, Market

QUOTE = "0 5x99 101x5"


def test_rows_at_the_expiry_still_fill() -> None:
    market = Market(QUOTE, "20 5x98 99x9")
    market.place("buy 1 limit 99 gtd=20")
    assert market.run_to(30) == ["#1 buy 1@99 maker left 0"]


def test_an_expiry_inside_a_gap_of_the_data_has_its_own_time() -> None:
    market = Market(QUOTE, "20 5x98 100x9", "1000 5x98 99x9")
    market.place("buy 3 limit 99 gtd=500")
    assert market.run_to(1000) == ["#1 expired, filled 0"]
    assert market.events[-1].ts_ns == 500


def test_expiries_behind_the_end_of_the_tape_still_come() -> None:
    market = Market(QUOTE)
    market.place("buy 1 limit 99 gtd=500")
    assert market.run_to(499) == []
    assert market.run_to(600) == ["#1 expired, filled 0"]


def test_orders_of_one_expiry_end_in_order_of_placement() -> None:
    market = Market(QUOTE)
    for order in ("buy 1 limit 97 gtd=20", "buy 1 limit 98 gtd=10", "buy 1 limit 99 gtd=20"):
        market.place(order)
    assert market.run_to(30) == [
        "#2 expired, filled 0",
        "#1 expired, filled 0",
        "#3 expired, filled 0",
    ]


def test_a_partly_filled_order_expires_with_what_it_has() -> None:
    market = Market(QUOTE, "10 5x98 99x1")
    market.place("buy 3 limit 99 gtd=20")
    assert market.run_to(20) == ["#1 buy 1@99 maker left 2", "#1 expired, filled 1"]


def test_a_day_order_ends_with_its_session() -> None:
    market = Market(QUOTE, "150 5x99 101x6", calendar=Hours((0, 100), (140, 200)))
    market.place("buy 1 limit 90 day")
    market.place("buy 1 limit 90")
    assert market.run_to(150) == [
        "halted market_closed at 100",
        "#1 expired, filled 0",
        "resumed at 140",
    ]
    market.place("buy 1 limit 90 day")
    assert market.run_to(300) == ["#3 expired, filled 0"]
    assert market.events[-1].ts_ns == 200


@pytest.mark.parametrize(("down", "up"), [("halt", "resume"), ("close", "open")])
def test_while_halted_nothing_matches_or_triggers(down: str, up: str) -> None:
    rows = (
        f"10 {down}",
        "20 sell 9@90 5x90 91x5",
        f"30 {up}",
        "40 5x98 100x5",
        "50 sell 1@95 5x94 99x5",
    )
    market = Market(QUOTE, *rows)
    market.place("buy 1 limit 99")
    market.place("sell 1 stop 95")
    assert market.run_to(20) == ["halted market_halted at 10"]
    assert market.place("buy 1 limit 98") == [f"#3 rejected market_halted 0 {(1 << 63) - 1}"]
    assert market.replace(1, limit=100)[0].startswith("#1 change refused market_halted")
    assert market.run_to(40) == ["resumed at 30"]
    assert market.run_to(50) == [
        "#2 triggered at 95",
        "#1 buy 1@99 maker left 0",
        "#2 sell 1@94 taker left 0",
    ]


def test_while_halted_cancels_reductions_and_expiries_go_on() -> None:
    market = Market(QUOTE, "10 halt", "50 resume")
    market.place("buy 3 limit 98")
    market.place("buy 3 limit 98")
    market.place("buy 3 limit 98 gtd=30")
    market.run_to(20)
    assert market.replace(1, size=2) == ["#1 replaced 2 limit 98"]
    assert market.replace(1, size=3)[0].startswith("#1 change refused market_halted")
    assert market.cancel(2) == ["#2 cancelled by_user, filled 0"]
    assert market.run_to(40) == ["#3 expired, filled 0"]


def test_after_a_reopening_the_book_is_unknown_until_the_first_row() -> None:
    market = Market(QUOTE, "10 halt", "20 resume", "30 5x97 99x5")
    market.run_to(20)
    assert market.place("buy 1 market") == ["#1 rejected no_liquidity 0 0"]
    assert market.place("buy 1 limit 105") == ["#2 accepted buy 1 limit 105"]
    assert market.run_to(30) == ["#2 buy 1@105 maker left 0"]


def test_stops_are_judged_on_the_first_row_after_a_reopening() -> None:
    market = Market(QUOTE, "10 halt", "15 5x90 91x5", "20 resume", "30 5x94 96x5")
    market.place("sell 1 stop 95")
    assert market.run_to(20) == ["halted market_halted at 10", "resumed at 20"]
    assert market.run_to(30) == ["#1 triggered at 94", "#1 sell 1@94 taker left 0"]


def test_a_reopened_touch_has_nothing_taken_from_it() -> None:
    market = Market(QUOTE, "10 halt", "20 resume", "30 5x99 101x5")
    market.place("buy 5 market")
    market.run_to(30)
    assert market.place("buy 5 limit 101")[1:] == ["#2 buy 5@101 taker left 0"]


def test_exits_that_were_to_go_live_in_a_halt_act_after_it() -> None:
    rows = ("10 5x98 99x1", "20 halt", "50 resume", "60 5x99 101x5", "70 5x94 95x5")
    market = Market(QUOTE, *rows)
    market.bracket("buy 3 limit 99 gtd=30", stop="95", target="105", arm="full")
    assert market.run_to(50)[1:] == [
        "halted market_halted at 20",
        "#1 expired, filled 1",
        "resumed at 50",
    ]
    assert market.run_to(60) == ["#2 activated 1 stop 95", "#3 activated 1 limit 105"]
    assert market.run_to(70)[0] == "#2 triggered at 94"


def test_an_opening_instant_is_open_and_a_closing_instant_is_closed() -> None:
    rows = ("50 5x98 100x5", "100 5x98 99x1", "200 5x98 99x2", "210 5x98 99x3")
    market = Market(QUOTE, *rows, calendar=Hours((0, 100), (200, 210)))
    market.place("buy 9 limit 99")
    assert market.run_to(300) == [
        "halted market_closed at 100",
        "resumed at 200",
        "#1 buy 2@99 maker left 7",
        "halted market_closed at 210",
    ]


def test_tape_and_calendar_must_both_have_the_market_open() -> None:
    rows = ("90 halt", "150 resume", "190 halt", "210 resume")
    market = Market(QUOTE, *rows, calendar=Hours((0, 100), (200, 300), (400, 500)))
    assert market.run_to(95) == ["halted market_halted at 90"]
    assert market.run_to(120) == []
    assert market.place("buy 1 limit 99") == ["#1 rejected market_closed 0 200"]
    assert market.run_to(205) == []
    assert market.place("buy 1 limit 99")[0].startswith("#2 rejected market_halted")
    assert market.run_to(210) == ["resumed at 210"]
    assert market.place("buy 1 limit 99") == ["#3 accepted buy 1 limit 99"]


def test_a_session_that_starts_closed_says_so() -> None:
    market = Market(QUOTE, "60 5x99 101x5", calendar=Hours((50, 100)))
    assert market.place("buy 1 limit 99") == ["#1 rejected market_closed 0 50"]
    market.run_to(60)
    assert market.place("buy 1 limit 99") == ["#2 accepted buy 1 limit 99"]
    assert [event.ts_ns for event in market.events[:3]] == [0, 0, 50]


def test_a_row_comes_before_a_command_of_its_time() -> None:
    market = Market(QUOTE, "10 5x99 103x5")
    market.run_to(10)
    assert market.place("buy 1 market")[1] == "#1 buy 1@103 taker left 0"


def test_all_rows_of_an_instant_are_done_before_time_is_there() -> None:
    market = Market(QUOTE, "10 5x98 99x1", "10 5x98 99x2", "10 5x97 98x1")
    market.place("buy 9 limit 99")
    assert market.run_to(10) == [
        "#1 buy 1@99 maker left 8",
        "#1 buy 2@99 maker left 6",
        "#1 buy 1@99 maker left 5",
    ]
