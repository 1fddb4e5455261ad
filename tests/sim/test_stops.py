"""Stops: which price triggers them, where they fill, in which order."""

from __future__ import annotations

from dataclasses import replace as changed

import pytest

from broker_api.order import TriggerSource
from tests.sim.market import PLAIN, Market, fires_on, tape_of

QUOTE = "0 5x99 101x5"
MARKS = changed(PLAIN, trigger_source=TriggerSource.MARK)


@pytest.mark.parametrize(
    ("source", "order", "row", "triggered"),
    [
        (TriggerSource.LAST, "buy 1 stop 103", "10 buy 1@103", True),
        (TriggerSource.LAST, "buy 1 stop 103", "10 buy 1@102", False),
        (TriggerSource.LAST, "buy 1 stop 103", "10 5x102 104x5", False),
        (TriggerSource.LAST, "sell 1 stop 97", "10 sell 1@97", True),
        (TriggerSource.LAST, "sell 1 stop 97", "10 sell 1@96", True),
        (TriggerSource.LAST, "sell 1 stop 97", "10 5x96 97x5", False),
        (TriggerSource.BID_ASK, "buy 1 stop 103", "10 5x99 103x5", True),
        (TriggerSource.BID_ASK, "buy 1 stop 103", "10 5x103 104x5", True),
        (TriggerSource.BID_ASK, "buy 1 stop 103", "10 5x99 102x5", False),
        (TriggerSource.BID_ASK, "buy 1 stop 103", "10 buy 1@103", False),
        (TriggerSource.BID_ASK, "sell 1 stop 97", "10 5x97 101x5", True),
        (TriggerSource.BID_ASK, "sell 1 stop 97", "10 - 101x5", False),
        (TriggerSource.MARK, "buy 1 stop 103", "10 mark 103", True),
        (TriggerSource.MARK, "buy 1 stop 103", "10 mark 102.999", False),
        (TriggerSource.MARK, "buy 1 stop 103", "10 funding 10ppm 103.5", True),
        (TriggerSource.MARK, "sell 1 stop 97", "10 mark 97", True),
        (TriggerSource.MARK, "sell 1 stop 97", "10 mark 97.001", False),
        (TriggerSource.MARK, "sell 1 stop 97", "10 sell 1@90", False),
    ],
)
def test_each_source_triggers_by_its_own_price(
    source: TriggerSource, order: str, row: str, triggered: bool
) -> None:
    assert fires_on(source, order, row) == triggered


def test_a_tape_without_trades_falls_back_to_bid_and_ask_and_says_so() -> None:
    market = Market(QUOTE, "10 5x102 104x5")
    market.place("buy 1 stop 104")
    assert market.run_to(10) == ["#1 triggered at 104", "#1 buy 1@104 taker left 0"]
    note = "X: the tape has no last prices; stops trigger on bid_ask"
    assert market.exchange.notes == [note]


def test_a_tape_without_marks_falls_back_to_the_last_trade() -> None:
    market = Market(QUOTE, "10 buy 1@103", instruments=[MARKS])
    market.place("buy 1 stop 103")
    assert market.run_to(10)[0] == "#1 triggered at 103"
    assert market.exchange.notes == ["X: the tape has no mark prices; stops trigger on last"]


def test_the_last_trade_of_an_earlier_row_judges_the_wrong_side() -> None:
    market = Market(QUOTE, "10 buy 1@103", "20 5x99 101x5")
    market.run_to(20)
    assert market.place("buy 1 stop 102") == ["#1 rejected stop_wrong_side 102 103"]


def test_a_gap_fills_at_the_market_not_at_the_stop() -> None:
    market = Market(QUOTE, "10 sell 1@90 3x89 92x5")
    market.place("sell 4 stop 97")
    assert market.run_to(10) == [
        "#1 triggered at 90",
        "#1 sell 3@89 taker left 1",
        "#1 sell 1@88 taker left 0",
    ]


def test_a_triggered_stop_limit_arrives_as_a_limit() -> None:
    rows = ("10 sell 1@97 2x97 98x5", "20 sell 1@96 2x95 96x5", "30 buy 2@96 2x95 97x5")
    market = Market(QUOTE, *rows)
    market.place("sell 4 stop 97 limit 97")
    assert market.run_to(10) == ["#1 triggered at 97", "#1 sell 2@97 taker left 2"]
    assert market.queue_ahead(1) == 0
    assert market.run_to(30) == []
    assert market.replace(1, limit=96) == ["#1 replaced 4 stop 97 limit 96"]


def test_a_triggered_stop_limit_beyond_its_limit_rests() -> None:
    market = Market(QUOTE, "10 sell 1@90 3x89 92x5", "20 buy 3@96 3x89 97x5")
    market.place("sell 2 stop 97 limit 95")
    assert market.run_to(10) == ["#1 triggered at 90"]
    assert market.run_to(20) == ["#1 sell 2@95 maker left 0"]


def test_several_stops_in_one_gap_trigger_nearest_first_and_share_what_is_there() -> None:
    market = Market(QUOTE, "10 sell 1@90 3x89 92x5", beyond_top="wait")
    for order in ("sell 1 stop 93", "sell 1 stop 97", "sell 2 stop 95", "sell 1 stop 97"):
        market.place(order)
    assert market.run_to(10) == [
        "#2 triggered at 90",
        "#2 sell 1@89 taker left 0",
        "#4 triggered at 90",
        "#4 sell 1@89 taker left 0",
        "#3 triggered at 90",
        "#3 sell 1@89 taker left 1",
        "#1 triggered at 90",
    ]


def test_a_stop_against_an_empty_side_takes_the_first_liquidity_that_comes() -> None:
    rows = ("10 sell 1@97 - 98x5", "20 - 97x5", "30 1x90 97x5", "40 1x90 97x4", "50 9x89 97x4")
    market = Market(QUOTE, *rows, beyond_top="wait")
    market.place("sell 3 stop 97")
    assert market.run_to(20) == ["#1 triggered at 97"]
    assert market.run_to(30) == ["#1 sell 1@90 taker left 2"]
    assert market.run_to(40) == []
    assert market.run_to(50) == ["#1 sell 2@89 taker left 0"]


def test_the_print_that_triggers_is_not_deducted_twice() -> None:
    market = Market(QUOTE, "10 sell 3@97 4x97 98x5")
    market.place("sell 4 stop 97")
    assert market.run_to(10)[1:] == ["#1 sell 4@97 taker left 0"]


@pytest.mark.parametrize(
    ("order", "lines"),
    [
        ("sell 9 stop 97 ioc", ["#1 sell 4@97 taker left 5", "#1 cancelled ioc_rest, filled 4"]),
        ("sell 9 stop 97 fok", ["#1 cancelled fok_not_available, filled 0"]),
        ("sell 4 stop 97 fok", ["#1 sell 4@97 taker left 0"]),
        ("sell 4 stop 97 limit 96 post-only", ["#1 cancelled post_only_at_trigger, filled 0"]),
    ],
)
def test_a_triggered_stop_is_judged_like_an_arrival(order: str, lines: list[str]) -> None:
    market = Market(QUOTE, "10 sell 3@97 4x97 98x5", beyond_top="wait")
    market.place(order)
    assert market.run_to(10) == ["#1 triggered at 97", *lines]


def test_a_post_only_stop_limit_that_would_not_take_rests() -> None:
    market = Market(QUOTE, "10 sell 3@97 4x96 98x5")
    market.place("sell 4 stop 97 limit 98 post-only")
    assert market.run_to(10) == ["#1 triggered at 97"]
    assert market.queue_ahead(1) == 5


def test_a_stop_is_no_maker_and_gets_nothing_of_a_print() -> None:
    market = Market(QUOTE, "10 sell 9@98", "20 sell 9@97 3x90 92x3")
    market.place("buy 1 stop 105")
    market.place("sell 1 stop 97")
    assert market.run_to(10) == []
    assert market.run_to(20)[0] == "#2 triggered at 97"


def test_moving_a_stop_through_the_market_is_refused() -> None:
    market = Market(QUOTE, "10 print 1@100")
    market.run_to(10)
    market.place("sell 1 stop 97")
    assert market.replace(1, stop=100) == ["#1 change refused stop_wrong_side 100 100"]
    assert market.replace(1, stop=99) == ["#1 replaced 1 stop 99"]


def test_a_stop_that_is_moved_triggers_at_its_new_price() -> None:
    market = Market(QUOTE, "1 print 1@100", "10 sell 1@97", "20 sell 1@95 5x94 96x5")
    market.run_to(1)
    market.place("sell 1 stop 97")
    market.replace(1, stop=95)
    assert market.run_to(10) == []
    assert market.run_to(20)[0] == "#1 triggered at 95"


def test_two_instruments_have_their_own_trigger_sources() -> None:
    first = tape_of(["0 5x99 101x5", "1 mark 100", "10 mark 104", "20 buy 1@104"])
    second = tape_of(["0 5x99 101x5", "1 mark 100", "10 mark 104", "20 buy 1@104"], symbol="Y")
    instruments = [MARKS, changed(PLAIN, symbol="Y", id="Y")]
    market = Market(tapes=[first, second], instruments=instruments)
    market.run_to(5)
    market.place("buy 1 stop 104")
    market.place("buy 1 stop 104", symbol="Y")
    assert market.run_to(10)[0] == "#1 triggered at 104"
    assert market.run_to(20)[0] == "#2 triggered at 104"
