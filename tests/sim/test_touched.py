"""Touched orders: market-if-touched and limit-if-touched, the mirror image of stops."""

from __future__ import annotations

from dataclasses import replace as changed

import pytest

from broker_api.order import TriggerSource
from tests.sim.market import PLAIN, Market, fires_on

QUOTE = "0 5x99 101x5"
LAST, BID_ASK, MARK = TriggerSource


@pytest.mark.parametrize(
    ("source", "order", "row", "triggered"),
    [
        (LAST, "buy 1 touched 97", "10 sell 1@97", True),
        (LAST, "buy 1 touched 97", "10 sell 1@96", True),
        (LAST, "buy 1 touched 97", "10 sell 1@98", False),
        (LAST, "buy 1 touched 97", "10 5x95 96x5", False),
        (LAST, "sell 1 touched 103", "10 buy 1@103", True),
        (LAST, "sell 1 touched 103", "10 buy 1@102", False),
        (BID_ASK, "buy 1 touched 97", "10 5x95 97x5", True),
        (BID_ASK, "buy 1 touched 97", "10 5x97 98x5", False),
        (BID_ASK, "buy 1 touched 97", "10 5x96 -", False),
        (BID_ASK, "sell 1 touched 103", "10 5x103 105x5", True),
        (BID_ASK, "sell 1 touched 103", "10 5x102 103x5", False),
        (BID_ASK, "sell 1 touched 103", "10 buy 1@103", False),
        (MARK, "buy 1 touched 97", "10 mark 97", True),
        (MARK, "buy 1 touched 97", "10 mark 97.001", False),
        (MARK, "sell 1 touched 103", "10 mark 103.5", True),
        (MARK, "sell 1 touched 103", "10 mark 102.999", False),
    ],
)
def test_each_source_touches_by_its_own_price(
    source: TriggerSource, order: str, row: str, triggered: bool
) -> None:
    assert fires_on(source, order, row) == triggered


def test_a_touched_market_order_trades_at_that_very_row() -> None:
    market = Market(QUOTE, "10 sell 1@95 4x94 96x2")
    assert market.place("buy 3 touched 95") == ["#1 accepted buy 3 stop 95"]
    assert market.run_to(10) == [
        "#1 triggered at 95",
        "#1 buy 2@96 taker left 1",
        "#1 buy 1@97 taker left 0",
    ]


def test_a_touched_limit_order_takes_up_to_its_limit_and_the_rest_rests() -> None:
    market = Market(QUOTE, "10 sell 1@95 4x94 96x2", "20 5x94 95x1")
    market.place("buy 3 touched 95 limit 96")
    assert market.run_to(10) == ["#1 triggered at 95", "#1 buy 2@96 taker left 1"]
    assert market.run_to(20) == ["#1 buy 1@96 maker left 0"]


def test_the_event_names_the_source_and_the_trigger() -> None:
    market = Market(QUOTE, "10 sell 1@93")
    market.place("buy 1 touched 95")
    market.run_to(10)
    triggered = next(event for event in market.events if event.KIND.name == "TRIGGERED")
    assert (triggered.price_ticks, triggered.stop_ticks) == (93, 95)


@pytest.mark.parametrize(
    ("order", "refusal"),
    [
        ("buy 1 touched 100", "#1 rejected stop_wrong_side 100 100"),
        ("buy 1 touched 101", "#1 rejected stop_wrong_side 101 100"),
        ("sell 1 touched 100 limit 99", "#1 rejected stop_wrong_side 100 100"),
        ("sell 1 touched 0", "#1 rejected price_not_positive 0 1"),
    ],
)
def test_a_trigger_that_is_touched_already_is_refused(order: str, refusal: str) -> None:
    market = Market(QUOTE, "1 print 1@100")
    market.run_to(1)
    assert market.place(order) == [refusal]


def test_a_trigger_that_is_touched_already_may_run_at_once() -> None:
    market = Market(QUOTE, "1 print 1@100", stop_wrong_side="trigger")
    market.run_to(1)
    assert market.place("sell 1 touched 100") == [
        "#1 accepted sell 1 stop 100",
        "#1 triggered at 100",
        "#1 sell 1@99 taker left 0",
    ]


def test_before_the_first_print_a_touched_order_is_accepted_and_waits() -> None:
    market = Market(QUOTE, "10 print 1@100")
    assert market.place("buy 1 touched 105") == ["#1 accepted buy 1 stop 105"]
    assert market.run_to(10)[0] == "#1 triggered at 100"


def test_stops_and_touched_orders_of_one_row_trigger_in_one_list() -> None:
    market = Market(QUOTE, "1 print 1@100", "10 sell 1@90 9x89 91x9")
    market.run_to(1)
    for order in ("sell 1 stop 92", "buy 1 touched 94", "sell 1 stop 96", "buy 1 touched 96"):
        market.place(order)
    lines = [line for line in market.run_to(10) if "triggered" in line]
    assert lines == [f"#{number} triggered at 90" for number in (3, 4, 2, 1)]


def test_a_quote_that_strikes_both_sides_serves_first_what_it_passed_farther() -> None:
    market = Market(QUOTE, "10 9x89 90x9", trigger=BID_ASK)
    for order in ("buy 1 touched 93", "sell 1 stop 93", "buy 1 touched 95"):
        market.place(order)
    lines = [line for line in market.run_to(10) if "triggered" in line]
    assert lines == ["#3 triggered at 90", "#2 triggered at 89", "#1 triggered at 90"]


@pytest.mark.parametrize(
    ("order", "lines"),
    [
        ("buy 9 touched 97 ioc", ["#1 buy 4@98 taker left 5", "#1 cancelled ioc_rest, filled 4"]),
        ("buy 9 touched 97 fok", ["#1 cancelled fok_not_available, filled 0"]),
        ("buy 4 touched 97 fok", ["#1 buy 4@98 taker left 0"]),
        ("buy 4 touched 97 limit 98 post-only", ["#1 cancelled post_only_at_trigger, filled 0"]),
        ("buy 4 touched 97 limit 97 post-only", []),
    ],
)
def test_a_touched_order_is_judged_like_an_arrival(order: str, lines: list[str]) -> None:
    market = Market(QUOTE, "10 sell 3@97 4x97 98x4", beyond_top="wait")
    market.place(order)
    assert market.run_to(10) == ["#1 triggered at 97", *lines]


def test_protection_limits_how_far_a_touched_order_walks() -> None:
    market = Market(QUOTE, "10 sell 1@97 5x96 98x1")
    market.place("buy 4 touched 97 protect=1")
    assert market.run_to(10)[1:] == [
        "#1 buy 1@98 taker left 3",
        "#1 buy 1@99 taker left 2",
        "#1 replaced 4 stop 97 limit 99 (protection_limit)",
    ]


def test_a_touched_order_against_an_empty_side_takes_the_first_liquidity_that_comes() -> None:
    market = Market(QUOTE, "10 sell 1@97 5x96 -", "20 5x96 99x5")
    market.place("buy 2 touched 97")
    assert market.run_to(10) == ["#1 triggered at 97"]
    assert market.replace(1, size=1) == ["#1 change refused not_modifiable 0 0"]
    assert market.run_to(20) == ["#1 buy 2@99 taker left 0"]


def test_the_trigger_can_be_moved_while_it_waits() -> None:
    rows = ("1 print 1@100", "10 sell 1@97", "20 sell 1@95 5x94 96x5")
    market = Market(QUOTE, *rows)
    market.run_to(1)
    market.place("buy 1 touched 97 limit 98")
    assert market.replace(1, stop=100) == ["#1 change refused stop_wrong_side 100 100"]
    assert market.replace(1, trail=2) == ["#1 change refused not_modifiable 2 0"]
    assert market.replace(1, stop=95, limit=97) == ["#1 replaced 1 stop 95 limit 97"]
    assert market.run_to(10) == []
    assert market.run_to(20) == ["#1 triggered at 95", "#1 buy 1@96 taker left 0"]


def test_nothing_is_touched_while_the_market_is_halted() -> None:
    rows = ("1 print 1@100", "10 halt", "20 sell 1@95", "30 resume", "40 sell 1@97", "50 sell 1@95")
    market = Market(QUOTE, *rows)
    market.run_to(1)
    market.place("buy 1 touched 96 gtd=45")
    assert market.run_to(40) == ["halted market_halted at 10", "resumed at 30"]
    assert market.run_to(60) == ["#1 expired, filled 0"]


def test_a_touched_entry_brings_its_exits_to_life() -> None:
    market = Market(QUOTE, "1 print 1@100", "10 sell 1@95 5x94 96x5")
    market.run_to(1)
    market.bracket("buy 2 touched 95", stop="+3", target="+5")
    assert market.run_to(10) == [
        "#1 triggered at 95",
        "#1 buy 2@96 taker left 0",
        "#2 activated 2 stop 93",
        "#3 activated 2 limit 101",
    ]


def test_the_levels_of_a_bracket_are_judged_against_the_trigger_of_its_entry() -> None:
    market = Market(QUOTE, "1 print 1@100")
    market.run_to(1)
    refused = market.bracket("buy 2 touched 95", stop="96", target="99")
    assert refused[0] == "#1 rejected bracket_levels 96 95"


def test_the_touched_leg_of_an_oco_wins_over_the_resting_one_and_is_ambiguous() -> None:
    market = Market(QUOTE, "1 print 1@100", "10 buy 9@105 5x103 105x5")
    market.place("buy 1 market")
    market.run_to(1)
    market.oco("sell 1 touched 103", "sell 1 limit 104")
    assert market.run_to(10) == [
        "#2 triggered at 105",
        "#2 sell 1@103 taker left 0 ambiguous",
        "#3 cancelled sibling, filled 0",
    ]


def test_a_touched_order_reserves_margin_at_its_limit_else_at_its_trigger() -> None:
    spec = changed(PLAIN, initial_margin_ppm=100_000, maintenance_margin_ppm=50_000)
    market = Market(QUOTE, instruments=[spec], margin=True, cash=100.0)
    market.place("buy 5 touched 90")
    assert market.exchange.used_margin_nanos() == 45 * 10**9
    market.place("buy 5 touched 80 limit 84")
    assert market.exchange.used_margin_nanos() == 87 * 10**9
    assert market.place("buy 2 touched 70")[0].startswith("#3 rejected insufficient_margin")
    assert market.place("buy 1 touched 70") == ["#4 accepted buy 1 stop 70"]


def test_a_reduce_only_touched_order_ends_when_the_position_is_flat() -> None:
    market = Market(QUOTE, "1 print 1@100")
    market.run_to(1)
    assert market.place("sell 1 touched 103 reduce-only")[0].startswith("#1 rejected no_position")
    market.place("buy 1 market")
    market.place("sell 5 touched 103 reduce-only")
    assert market.place("sell 1 market")[2:] == ["#3 cancelled reduce_only_done, filled 0"]
