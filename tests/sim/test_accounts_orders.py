"""Several accounts on one book: what a match causes, what a maker of another account counts for."""

from __future__ import annotations

from broker_api.order import TriggerSource
from tests.sim.market import Market
from tests.sim.test_accounts import QUOTE, WIDE, two

# what the two fill


def test_the_takers_consequences_come_before_the_makers_fill() -> None:
    market = two(WIDE)
    market.place("sell 2 limit 102", account=1)
    market.oco("buy 2 limit 97", "buy 2 limit 96")
    assert market.replace(2, limit=102) == [
        "#2 replaced 2 limit 102",
        "#2 buy 2@102 taker left 0",
        "#1 cancelled sibling, filled 0",
        "b#1 sell 2@102 maker left 0",
    ]


def test_a_reduce_only_maker_gives_no_more_than_its_account_has_to_close() -> None:
    market = two(WIDE)
    market.place("buy 2 market", account=1)
    market.place("sell 5 limit 103 reduce-only", account=1)
    assert market.place("buy 4 limit 103")[1:] == [
        "#1 buy 2@103 taker left 2",
        "b#2 sell 2@103 maker left 3",
        "b#2 cancelled reduce_only_done, filled 2",
    ]


def test_a_reduce_only_taker_takes_no_more_than_it_has_to_close() -> None:
    market = two(WIDE)
    market.place("buy 2 market")
    market.place("buy 9 limit 100", account=1)
    assert market.place("sell 5 market reduce-only")[1:] == [
        "#2 sell 2@100 taker left 3",
        "#2 cancelled reduce_only_done, filled 2",
        "b#1 buy 2@100 maker left 7",
    ]


def test_a_pair_that_is_met_twice_on_one_way_has_shrunk_by_then() -> None:
    market = two(WIDE)
    market.oco("sell 3 limit 102", "sell 3 limit 103", account=1)
    assert market.place("buy 2 limit 102")[1:] == [
        "#1 buy 2@102 taker left 0",
        "b#1 sell 2@102 maker left 1",
        "b#2 replaced 1 limit 103 (oco_resized)",
    ]
    assert market.place("buy 2 limit 103")[1:] == [
        "#2 buy 1@102 taker left 1",
        "b#1 sell 1@102 maker left 0",
        "b#2 cancelled sibling, filled 0",
    ]


def test_exits_of_a_maker_arrive_when_the_command_is_done() -> None:
    market = two(WIDE, "1 print 1@101")
    market.run_to(1)
    market.bracket("buy 2 limit 102", stop="+4", target="+1")
    assert market.place("sell 3 limit 101", account=1) == [
        "b#1 accepted sell 3 limit 101",
        "b#1 sell 2@102 taker left 1",
        "#1 buy 2@102 maker left 0",
        "#2 activated 2 stop 98",
        "#3 activated 2 limit 103",
    ]
    assert market.place("buy 1 limit 103", account=1)[1:] == [
        "b#1 cancelled self_trade, filled 2",
        "b#2 buy 1@103 taker left 0",
        "#3 sell 1@103 maker left 1",
        "#2 replaced 1 stop 98 (exit_resized)",
    ]


def test_a_stop_that_goes_live_and_acts_at_once_takes_what_another_account_has() -> None:
    market = two(WIDE)
    market.place("buy 1 limit 100", account=1)
    assert market.bracket("buy 2 market", stop="104")[2:] == [
        "#1 buy 2@105 taker left 0",
        "#2 activated 2 stop 104",
        "#2 triggered at 95",
        "#2 sell 1@100 taker left 1",
        "b#1 buy 1@100 maker left 0",
        "#2 sell 1@95 taker left 0",
    ]


def test_a_change_of_price_reaches_what_another_account_has() -> None:
    market = two(WIDE)
    market.place("sell 2 limit 103", account=1)
    market.place("buy 3 limit 100")
    assert market.replace(1, limit=103) == [
        "#1 replaced 3 limit 103",
        "#1 buy 2@103 taker left 1",
        "b#1 sell 2@103 maker left 0",
    ]


def test_a_stop_that_triggers_takes_what_another_account_has() -> None:
    market = two(WIDE, "10 5x95 106x5")
    market.place("buy 2 stop 106")
    market.place("sell 1 limit 103", account=1)
    assert market.run_to(10) == [
        "#1 triggered at 106",
        "#1 buy 1@103 taker left 1",
        "b#1 sell 1@103 maker left 0",
        "#1 buy 1@106 taker left 0",
    ]


def test_what_a_print_has_given_a_maker_fills_before_it_is_met() -> None:
    market = two(QUOTE, "10 buy 7@101 5x99 102x5")
    market.place("sell 3 limit 101", account=1)
    market.place("buy 2 stop 101")
    assert market.run_to(10) == [
        "#1 triggered at 101",
        "b#1 sell 2@101 maker left 1",
        "#1 buy 1@101 taker left 1",
        "b#1 sell 1@101 maker left 0",
        "#1 buy 1@102 taker left 0",
    ]


def test_the_stop_that_meets_a_maker_may_be_ambiguous_and_the_maker_is_not() -> None:
    market = two("0 5x99 100x5", "10 buy 9@104 5x96 98x5", trigger=TriggerSource.BID_ASK)
    market.bracket("buy 2 market", stop="98", target="103")
    market.place("buy 1 limit 97", account=1)
    assert market.run_to(10) == [
        "#2 triggered at 96",
        "#2 sell 1@97 taker left 1 ambiguous",
        "#3 replaced 1 limit 103 (exit_resized)",
        "b#1 buy 1@97 maker left 0",
        "#2 sell 1@96 taker left 0 ambiguous",
        "#3 cancelled sibling, filled 0",
    ]


# what a maker of another account is worth


def test_post_only_is_refused_where_it_would_meet_another_account() -> None:
    market = two(WIDE)
    market.place("sell 1 limit 102", account=1)
    refused = "#1 rejected post_only_would_take 102 102"
    assert market.place("buy 1 limit 102 post-only") == [refused]
    assert market.place("buy 1 limit 101 post-only") == ["#2 accepted buy 1 limit 101"]
    assert market.replace(2, limit=103) == ["#2 change refused post_only_would_take 103 102"]
    assert market.place("buy 1 limit 106 post-only") == ["#3 rejected post_only_would_take 106 102"]
    assert market.place("sell 1 limit 102 post-only", account=1)[0].startswith("b#2 accepted")


def test_post_only_is_cancelled_where_its_trigger_finds_another_account() -> None:
    market = two(WIDE, "10 buy 1@104 5x95 106x5")
    market.place("buy 1 stop 104 limit 105 post-only")
    market.place("sell 1 limit 105", account=1)
    assert market.run_to(10)[-1] == "#1 cancelled post_only_at_trigger, filled 0"


def test_a_market_order_against_an_empty_side_takes_what_another_account_has() -> None:
    market = two("0 5x99 -", "10 5x99 101x5")
    assert market.place("buy 3 market") == ["#1 rejected no_liquidity 0 0"]
    market.place("sell 2 limit 103", account=1)
    assert market.place("buy 3 market protect=1") == [
        "#2 accepted buy 3",
        "#2 buy 2@103 taker left 1",
        "b#1 sell 2@103 maker left 0",
    ]
    market.place("sell 1 limit 100", account=1)
    assert market.run_to(10) == ["#2 buy 1@100 taker left 0", "b#2 sell 1@100 maker left 0"]


def test_against_an_empty_side_a_brackets_levels_are_judged_by_what_it_meets() -> None:
    market = two("0 5x99 -")
    market.place("sell 2 limit 103", account=1)
    refused = market.bracket("buy 1 market", target="102")
    assert refused[0] == "#1 rejected bracket_levels 102 103"
    assert market.bracket("buy 1 market", target="104")[2:] == [
        "#3 buy 1@103 taker left 0",
        "b#1 sell 1@103 maker left 1",
        "#4 activated 1 limit 104",
    ]


def test_fill_or_kill_counts_plain_makers_of_other_accounts() -> None:
    market = Market(QUOTE, accounts=3)
    market.place("sell 2 limit 100", account=1)
    market.place("sell 1 limit 101", account=2)
    assert market.place("buy 9 limit 101 fok")[1:] == ["#1 cancelled fok_not_available, filled 0"]
    assert market.place("buy 8 limit 101 fok")[1:] == [
        "#2 buy 2@100 taker left 6",
        "b#1 sell 2@100 maker left 0",
        "#2 buy 5@101 taker left 1",
        "#2 buy 1@101 taker left 0",
        "c#1 sell 1@101 maker left 0",
    ]


def test_fill_or_kill_does_not_count_what_a_print_has_given_a_maker() -> None:
    market = two(QUOTE, "10 buy 7@101 5x99 102x5")
    market.place("sell 3 limit 101", account=1)
    market.place("buy 3 stop 101 limit 101 fok")
    assert market.run_to(10) == [
        "#1 triggered at 101",
        "#1 cancelled fok_not_available, filled 0",
        "b#1 sell 2@101 maker left 1",
    ]


def test_fill_or_kill_does_not_count_makers_that_others_can_shrink() -> None:
    market = two(WIDE, beyond_top="wait")
    market.place("buy 3 market", account=1)
    market.place("sell 1 limit 101 reduce-only", account=1)
    market.oco("sell 1 limit 101", "sell 1 limit 102", account=1)
    market.bracket("sell 1 limit 101", target="+5", account=1)
    assert market.place("buy 2 limit 101 fok")[1:] == ["#1 cancelled fok_not_available, filled 0"]
    assert market.place("buy 1 limit 101 fok")[1:] == [
        "#2 buy 1@101 taker left 0",
        "b#2 sell 1@101 maker left 0",
    ]


def test_fill_or_kill_counts_what_is_better_than_an_own_order_that_would_end_it() -> None:
    market = two(WIDE)
    market.place("sell 2 limit 101", account=1)
    market.place("sell 2 limit 102", account=1)
    market.place("sell 1 limit 102")
    assert market.place("buy 3 limit 102 fok")[1:] == ["#2 cancelled fok_not_available, filled 0"]
    assert market.place("buy 2 limit 102 fok")[1:] == [
        "#3 buy 2@101 taker left 0",
        "b#1 sell 2@101 maker left 0",
    ]


def test_a_waiting_market_order_meets_makers_on_the_next_row() -> None:
    market = two("0 5x99 101x1", "10 5x99 101x1", beyond_top="wait")
    market.place("buy 3 market")
    assert market.place("sell 1 limit 102", account=1) == ["b#1 accepted sell 1 limit 102"]
    assert market.run_to(10) == ["#1 buy 1@102 taker left 1", "b#1 sell 1@102 maker left 0"]


# rows


def test_a_print_is_shared_among_the_makers_of_all_accounts() -> None:
    market = Market(WIDE, "10 buy 6@103", accounts=3)
    market.place("sell 2 limit 103", account=2)
    market.place("sell 2 limit 103")
    market.place("sell 3 limit 102", account=1)
    assert market.run_to(10) == [
        "b#1 sell 3@102 maker left 0",
        "c#1 sell 2@103 maker left 0",
        "#1 sell 1@103 maker left 1",
    ]


def test_a_crossing_is_shared_among_the_makers_of_all_accounts() -> None:
    market = Market(WIDE, "10 4x103 105x5", accounts=3)
    market.place("sell 2 limit 103", account=2)
    market.place("sell 3 limit 102", account=1)
    market.place("sell 2 limit 103")
    assert market.run_to(10) == ["b#1 sell 3@102 maker left 0", "c#1 sell 1@103 maker left 1"]


def test_stops_of_all_accounts_trigger_in_one_list() -> None:
    market = Market(WIDE, "10 5x95 110x9", "10 buy 1@110 5x95 110x9", accounts=3)
    market.place("buy 1 stop 107", account=2)
    market.place("buy 1 stop 108")
    market.place("buy 1 stop 106", account=1)
    triggered = [line for line in market.run_to(10) if "triggered" in line]
    assert triggered == ["b#1 triggered at 110", "c#1 triggered at 110", "#1 triggered at 110"]


def test_orders_of_all_accounts_expire_in_the_order_of_placement() -> None:
    market = two(QUOTE, "30 5x99 101x5")
    market.place("buy 1 limit 90 gtd=20", account=1)
    market.place("buy 1 limit 90 gtd=20")
    market.place("buy 1 limit 91 gtd=20", account=1)
    assert market.run_to(30) == [
        "b#1 expired, filled 0",
        "#1 expired, filled 0",
        "b#2 expired, filled 0",
    ]
