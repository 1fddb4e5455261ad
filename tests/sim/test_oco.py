"""Two orders of which one completes."""

from __future__ import annotations

from broker_api.order import TriggerSource
from tests.sim.market import Market

QUOTE = "0 5x99 101x5"


def test_a_full_fill_cancels_the_other() -> None:
    market = Market(QUOTE, "10 5x98 99x9")
    assert market.oco("buy 2 limit 99", "sell 2 limit 105") == [
        "#1 accepted buy 2 limit 99",
        "#2 accepted sell 2 limit 105",
    ]
    assert market.run_to(10) == ["#1 buy 2@99 maker left 0", "#2 cancelled sibling, filled 0"]


def test_a_partial_fill_shrinks_the_other() -> None:
    market = Market(QUOTE, "10 5x98 99x1", "20 5x105 106x5")
    market.oco("buy 3 limit 99", "sell 2 limit 105")
    assert market.run_to(10) == [
        "#1 buy 1@99 maker left 2",
        "#2 replaced 1 limit 105 (oco_resized)",
    ]
    assert market.run_to(20) == ["#2 sell 1@105 maker left 0", "#1 cancelled sibling, filled 1"]


def test_a_partial_fill_of_all_that_the_other_had_cancels_it() -> None:
    market = Market(QUOTE, "10 5x98 99x2", "20 5x98 99x9")
    market.oco("buy 3 limit 99", "sell 2 limit 105")
    assert market.run_to(10) == ["#1 buy 2@99 maker left 1", "#2 cancelled sibling, filled 0"]
    assert market.run_to(20) == ["#1 buy 1@99 maker left 0"]


def test_a_partial_fill_may_cancel_the_other() -> None:
    market = Market(QUOTE, "10 5x98 99x1")
    market.oco("buy 3 limit 99", "sell 3 limit 105", on_partial="cancel")
    assert market.run_to(10) == ["#1 buy 1@99 maker left 2", "#2 cancelled sibling, filled 0"]
    assert market.cancel(1) == ["#1 cancelled by_user, filled 1"]


def test_a_cancel_of_one_cancels_the_other_once() -> None:
    market = Market(QUOTE)
    market.oco("buy 3 limit 99", "sell 3 limit 105")
    assert market.cancel(2) == ["#2 cancelled by_user, filled 0", "#1 cancelled sibling, filled 0"]


def test_an_expiry_of_one_cancels_the_other() -> None:
    market = Market(QUOTE)
    market.oco("buy 3 limit 99 gtd=10", "sell 3 limit 105")
    assert market.run_to(20) == ["#1 expired, filled 0", "#2 cancelled sibling, filled 0"]


def test_a_refusal_of_one_refuses_both() -> None:
    market = Market(QUOTE)
    assert market.oco("buy 3 limit 99", "sell 3 stop 120") == [
        "#1 rejected stop_wrong_side 120 99",
        "#2 rejected stop_wrong_side 120 99",
    ]
    assert market.oco("buy 3 limit -1", "sell 3 limit 105") == [
        "#3 rejected price_not_positive -1 1",
        "#4 rejected price_not_positive -1 1",
    ]


def test_a_leg_that_is_marketable_acts_before_the_other() -> None:
    market = Market(QUOTE)
    assert market.oco("buy 2 limit 101", "sell 2 limit 99") == [
        "#1 accepted buy 2 limit 101",
        "#2 accepted sell 2 limit 99",
        "#1 buy 2@101 taker left 0",
        "#2 cancelled sibling, filled 0",
    ]


def test_a_leg_that_is_killed_takes_the_other_with_it() -> None:
    market = Market(QUOTE)
    assert market.oco("buy 9 limit 101 fok", "sell 2 limit 105")[2:] == [
        "#1 cancelled fok_not_available, filled 0",
        "#2 cancelled sibling, filled 0",
    ]


def test_a_stop_and_a_limit_around_a_position() -> None:
    market = Market(QUOTE, "5 print 1@100", "10 sell 1@95 3x94 96x5", "20 2x93 96x5")
    market.run_to(5)
    market.place("buy 4 market")
    market.oco("sell 4 stop 95 reduce-only", "sell 4 limit 105 reduce-only")
    assert market.run_to(10) == [
        "#2 triggered at 95",
        "#2 sell 3@94 taker left 1",
        "#3 replaced 1 limit 105 (oco_resized)",
        "#2 sell 1@93 taker left 0",
        "#3 cancelled sibling, filled 0",
    ]


def test_one_row_for_both_legs_is_the_stops_and_flagged() -> None:
    market = Market(QUOTE, "10 buy 9@106 5x95 107x5", trigger=TriggerSource.BID_ASK)
    market.place("buy 4 market")
    market.oco("sell 4 stop 95", "sell 4 limit 105")
    assert market.run_to(10) == [
        "#2 triggered at 95",
        "#2 sell 4@95 taker left 0 ambiguous",
        "#3 cancelled sibling, filled 0",
    ]


def test_a_triggered_stop_does_not_die_of_its_own_sibling() -> None:
    market = Market(QUOTE, "10 5x103 104x5")
    market.place("sell 4 market")
    market.oco("buy 4 stop 104", "sell 4 limit 103")
    assert market.run_to(10)[:3] == [
        "#2 triggered at 104",
        "#3 cancelled self_trade, filled 0",
        "#2 buy 4@104 taker left 0 ambiguous",
    ]


def test_completing_one_leg_by_its_size_cancels_the_other() -> None:
    market = Market(QUOTE, "10 5x98 99x1")
    market.oco("buy 3 limit 99", "sell 3 limit 105")
    market.run_to(10)
    assert market.replace(1, size=1) == [
        "#1 replaced 1 limit 99 (completed_by_size)",
        "#2 cancelled sibling, filled 0",
    ]
