"""Trailing stops: when they start, how they follow, when they act, and as a bracket's exit."""

from __future__ import annotations

from dataclasses import replace as changed
from typing import Any

import pytest

from broker_api.event import OrderTriggered
from broker_api.order import (
    BracketRequest,
    ExitRequest,
    OrderRequest,
    OrderType,
    Side,
    TriggerSource,
)
from tests.sim.market import PLAIN, Market, order_of

QUOTE = "0 9x99 101x9"
START = "1 print 1@100"
LAST, BID_ASK, MARK = TriggerSource


def started(*rows: str, **settings: Any) -> Market:
    """A market whose newest print is at 100."""
    market = Market(QUOTE, START, *rows, **settings)
    market.run_to(1)
    return market


def triggers(market: Market) -> list[tuple[int, int, int]]:
    """(order, source, stop) of each trigger so far."""
    found = [event for event in market.events if isinstance(event, OrderTriggered)]
    return [(event.order_id, event.price_ticks, event.stop_ticks) for event in found]


# --- following ----------------------------------------------------------------------------------


def test_a_sell_follows_the_highest_price_and_acts_when_the_market_comes_back() -> None:
    rows = ("10 buy 1@103", "20 sell 1@101", "30 buy 1@105", "40 sell 1@101 7x100 102x7")
    market = started(*rows)
    assert market.place("sell 2 trail 4") == ["#1 accepted sell 2 stop 96"]
    assert market.run_to(30) == []
    assert market.run_to(40) == ["#1 triggered at 101", "#1 sell 2@100 taker left 0"]
    assert triggers(market) == [(1, 101, 101)]


def test_a_buy_follows_the_lowest_price() -> None:
    market = started("10 sell 1@94", "20 buy 1@96", "30 buy 1@97 5x96 98x5")
    assert market.place("buy 1 trail 3") == ["#1 accepted buy 1 stop 103"]
    assert market.run_to(20) == []
    assert market.run_to(30) == ["#1 triggered at 97", "#1 buy 1@98 taker left 0"]
    assert triggers(market) == [(1, 97, 97)]


def test_a_gap_fills_where_the_market_is() -> None:
    market = started("10 buy 1@110", "20 sell 1@90 3x89 91x3")
    market.place("sell 1 trail 4")
    assert market.run_to(20) == ["#1 triggered at 90", "#1 sell 1@89 taker left 0"]
    assert triggers(market) == [(1, 90, 106)]


@pytest.mark.parametrize(
    ("order", "first"),
    [
        ("sell 1 trail 1.5%", 98),  # 1.5 of 100 is rounded half up
        ("sell 1 trail 1.4%", 99),
        ("buy 1 trail 2.5%", 103),
    ],
)
def test_a_distance_in_percent_is_of_the_best_price(order: str, first: int) -> None:
    market = started()
    assert market.place(order)[0].endswith(f" stop {first}")


def test_a_distance_in_percent_is_never_less_than_a_tick() -> None:
    assert started().place("sell 1 trail 0.01%") == ["#1 accepted sell 1 stop 99"]


def test_a_distance_is_in_ticks_or_in_percent() -> None:
    request = order_of("sell 1 trail 1%", 1, trail_ticks=4)
    assert started().execute(request) == ["#1 rejected price_missing 0 0"]


def test_one_tick_better_moves_the_stop() -> None:
    market = started("10 buy 1@101", "20 sell 1@97")
    market.place("sell 1 trail 4")
    market.run_to(20)
    assert triggers(market) == [(1, 97, 97)]


def test_in_percent_the_stop_never_moves_back() -> None:
    # 1.5 % of 149 is 2.235, of 150 is 2.25, of 166 is 2.49, of 167 is 2.505: one tick more
    rows = ("10 buy 1@166", "20 buy 1@167", "30 sell 1@164")
    market = started(*rows)
    market.place("sell 1 trail 1.5%")
    market.run_to(30)
    assert triggers(market) == [(1, 164, 164)]


@pytest.mark.parametrize(
    ("source", "rows", "expected"),
    [
        (LAST, ("10 buy 1@104", "20 7x90 91x7", "30 sell 1@100"), [(1, 100, 100)]),
        (BID_ASK, ("10 7x104 106x7", "20 sell 1@90", "30 7x100 101x7"), [(1, 100, 100)]),
        (BID_ASK, ("10 7x104 106x7", "20 - 101x7", "30 7x101 102x7"), []),
        (MARK, ("10 mark 104", "20 sell 1@90", "30 mark 100"), [(1, 100, 100)]),
        (MARK, ("10 mark 103.5", "20 sell 1@90", "30 mark 100"), [(1, 100, 100)]),
        (MARK, ("10 mark 104", "30 mark 100.5"), []),
    ],
)
def test_each_source_is_followed(
    source: TriggerSource, rows: tuple[str, ...], expected: list[tuple[int, int, int]]
) -> None:
    market = Market(QUOTE, START, "2 mark 100", *rows, trigger=source)
    market.run_to(2)
    market.place("sell 1 trail 4")
    market.run_to(30)
    assert triggers(market) == expected


def test_a_row_moves_the_stop_first_and_is_judged_then() -> None:
    market = started("10 buy 1@104", "10 sell 1@103", "10 sell 1@102")
    market.place("sell 1 trail 1")
    market.run_to(10)
    assert triggers(market) == [(1, 103, 103)]


def test_the_best_price_stays_while_the_market_is_halted() -> None:
    rows = ("10 halt", "20 buy 1@110", "30 resume", "40 buy 1@102", "50 sell 1@99", "60 sell 1@98")
    market = started(*rows)
    market.place("sell 1 trail 4")
    market.run_to(50)
    assert triggers(market) == []
    market.run_to(60)
    assert triggers(market) == [(1, 98, 98)]


def test_the_first_row_after_a_halt_is_judged() -> None:
    market = started("10 halt", "30 resume", "40 sell 1@90 5x89 91x5")
    market.place("sell 1 trail 4")
    assert market.run_to(40)[2:] == ["#1 triggered at 90", "#1 sell 1@89 taker left 0"]


# --- start --------------------------------------------------------------------------------------


def test_without_a_price_to_start_from_it_is_refused() -> None:
    market = Market(QUOTE, START)
    assert market.place("sell 1 trail 4") == ["#1 rejected no_trigger_source 0 0"]
    assert market.place("sell 1 trail 4 from 110") == ["#2 accepted sell 1"]


def test_with_an_activation_price_it_starts_there() -> None:
    rows = ("10 buy 1@109", "20 sell 1@100", "30 buy 1@111", "40 buy 1@115", "50 sell 1@111")
    market = started(*rows)
    assert market.place("sell 2 trail 4 from 110") == ["#1 accepted sell 2"]
    assert market.run_to(20) == []
    assert market.run_to(30) == ["#1 activated 2 stop 107"]
    assert market.run_to(40) == []
    assert market.run_to(50)[0] == "#1 triggered at 111"
    assert triggers(market) == [(1, 111, 111)]


def test_activation_comes_before_the_triggers_of_its_row() -> None:
    market = started("10 buy 1@105 5x104 106x5")
    market.place("buy 1 stop 105")
    market.place("sell 1 trail 4 from 105")
    assert market.run_to(10)[:2] == ["#2 activated 1 stop 101", "#1 triggered at 105"]


@pytest.mark.parametrize(
    ("order", "line"),
    [
        ("sell 1 trail 4 from 100", "#1 accepted sell 1 stop 96"),
        ("sell 1 trail 4 from 90", "#1 accepted sell 1 stop 96"),
        ("sell 1 trail 4 from 101", "#1 accepted sell 1"),
        ("buy 1 trail 4 from 100", "#1 accepted buy 1 stop 104"),
        ("buy 1 trail 4 from 99", "#1 accepted buy 1"),
    ],
)
def test_an_activation_price_that_is_reached_already_counts(order: str, line: str) -> None:
    assert started().place(order) == [line]


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({}, "price_missing 0 0"),
        ({"trail_ticks": 0}, "price_not_positive 0 1"),
        ({"trail_ppm": -1}, "price_not_positive -1 1"),
        ({"trail_ppm": 1_000_000}, "price_not_positive 1000000 999999"),
        ({"trail_ticks": 4, "activation_ticks": 0}, "price_not_positive 0 1"),
        ({"trail_ticks": 100}, "price_not_positive 0 1"),
    ],
)
def test_a_distance_or_price_that_cannot_be_is_refused(
    fields: dict[str, int], refusal: str
) -> None:
    market = started()
    request = OrderRequest(1, "1", "X", Side.SELL, OrderType.TRAILING_STOP, 1, **fields)
    assert market.execute(request) == [f"#1 rejected {refusal}"]


def test_a_stop_that_comes_to_lie_below_zero_waits_there() -> None:
    market = started("10 sell 1@1 2x1 3x2", "20 buy 1@150", "30 sell 1@50")
    assert market.place("sell 1 trail 100 from 120") == ["#1 accepted sell 1"]
    assert market.run_to(20) == ["#1 activated 1 stop 50"]
    market.run_to(30)
    assert triggers(market) == [(1, 50, 50)]


# --- changes ------------------------------------------------------------------------------------


def test_a_new_distance_is_measured_from_the_best_price() -> None:
    market = started("10 buy 1@110", "20 sell 1@108", "30 sell 1@102")
    market.place("sell 1 trail 4")
    market.run_to(20)
    assert market.replace(1, trail=8) == ["#1 replaced 1 stop 102"]
    assert market.run_to(20) == []
    market.run_to(30)
    assert triggers(market) == [(1, 102, 102)]


def test_a_new_distance_ends_percent() -> None:
    market = started("10 buy 1@200", "20 sell 1@197")
    market.place("sell 1 trail 10%")
    assert market.replace(1, trail=3) == ["#1 replaced 1 stop 97"]
    market.run_to(20)
    assert triggers(market) == [(1, 197, 197)]


def test_a_new_distance_that_is_through_is_refused_or_runs() -> None:
    rows = ("10 buy 1@110", "20 sell 1@107 5x106 108x5")
    market = started(*rows)
    market.place("sell 1 trail 4")
    market.run_to(20)
    assert market.replace(1, trail=3) == ["#1 change refused stop_wrong_side 107 107"]
    market = started(*rows, stop_wrong_side="trigger")
    market.place("sell 1 trail 4")
    market.run_to(20)
    assert market.replace(1, trail=3) == [
        "#1 replaced 1 stop 107",
        "#1 triggered at 107",
        "#1 sell 1@106 taker left 0",
    ]


def test_before_it_is_active_a_new_distance_is_kept_for_later() -> None:
    market = started("10 buy 1@110")
    market.place("sell 2 trail 4 from 110")
    assert market.replace(1, trail=6, size=1) == ["#1 replaced 1"]
    assert market.run_to(10) == ["#1 activated 1 stop 104"]


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"stop": 90}, "not_modifiable 90 0"),
        ({"limit": 90}, "not_modifiable 90 0"),
        ({"trail": 0}, "price_not_positive 0 1"),
        ({"trail": 100}, "price_not_positive 0 1"),
    ],
)
def test_a_change_that_a_trailing_stop_cannot_take_is_refused(
    change: dict[str, int], refusal: str
) -> None:
    market = started("10 sell 1@95 7x94 96x7")
    market.place("sell 1 trail 4")
    assert market.replace(1, **change) == [f"#1 change refused {refusal}"]
    market.run_to(10)
    assert triggers(market) == [(1, 95, 96)]


def test_other_types_have_no_distance_and_a_triggered_one_cannot_be_changed() -> None:
    market = started("10 sell 1@95 - 96x7", "20 halt")
    market.place("sell 1 trail 4")
    market.place("sell 1 stop 90")
    market.place("sell 1 trail 30")
    assert market.replace(2, trail=3) == ["#2 change refused not_modifiable 3 0"]
    market.run_to(10)
    assert market.replace(1, trail=3) == ["#1 change refused not_modifiable 0 0"]
    market.run_to(20)
    assert market.replace(3, trail=20)[0].startswith("#3 change refused market_halted")


# --- a bracket's exit ---------------------------------------------------------------------------


def test_a_trailing_exit_starts_at_the_entry_and_follows_from_there() -> None:
    rows = ("10 buy 1@104", "20 buy 1@108", "30 sell 1@104 9x103 105x9")
    market = started(*rows)
    assert market.bracket("buy 2 market", stop="trail 4", target="+20") == [
        "#1 accepted buy 2",
        "#2 accepted held sell 2",
        "#3 accepted held sell 2",
        "#1 buy 2@101 taker left 0",
        "#2 activated 2 stop 97",
        "#3 activated 2 limit 121",
    ]
    assert market.run_to(20) == []
    assert market.run_to(30) == [
        "#2 triggered at 104",
        "#2 sell 2@103 taker left 0",
        "#3 cancelled sibling, filled 0",
    ]
    assert triggers(market) == [(2, 104, 104)]


def test_a_trailing_exit_of_a_short_follows_downward() -> None:
    market = started("10 sell 1@95", "20 buy 1@99 9x98 100x9")
    market.bracket("sell 2 market", stop="trail 4")
    market.run_to(20)
    assert triggers(market) == [(2, 99, 99)]


def test_an_exit_that_is_armed_again_starts_at_its_best_price() -> None:
    rows = ("10 buy 1@106", "20 sell 1@102 9x102 103x9", "30 sell 4@98 9x97 98x9")
    market = started(*rows, beyond_top="wait")
    market.bracket("buy 12 limit 101", stop="trail 4")
    assert market.run_to(20) == [
        "#2 triggered at 102",
        "#2 sell 9@102 taker left 0",
        "#2 waits for its entry",
    ]
    assert market.run_to(30)[:3] == [
        "#1 buy 3@101 maker left 0",
        "#2 activated 3 stop 102",
        "#2 triggered at 98",
    ]


def test_growth_of_the_entry_moves_an_exit_that_still_follows_it() -> None:
    market = started("10 9x99 102x9", beyond_top="wait")
    placed = market.bracket("buy 18 market", stop="trail 4")
    assert placed[-1] == "#2 activated 9 stop 97"
    assert market.run_to(10)[-1] == "#2 replaced 18 stop 98 (exit_repriced)"


def test_once_the_market_has_moved_it_the_average_counts_no_more() -> None:
    rows = ("10 buy 1@106 9x99 101x9", "20 9x99 102x9", "30 sell 1@102 7x100 102x9")
    market = started(*rows, beyond_top="wait")
    market.bracket("buy 18 market", stop="trail 4")
    market.run_to(10)
    assert market.run_to(20)[-1] == "#2 replaced 18 stop 102 (exit_resized)"
    market.run_to(30)
    assert triggers(market) == [(2, 102, 102)]


def test_while_it_is_held_it_does_not_move() -> None:
    rows = ("10 buy 1@120", "20 sell 1@98 9x97 98x9", "30 sell 1@95 9x94 96x9")
    market = started(*rows)
    market.bracket("buy 2 limit 98", stop="trail 4")
    assert market.run_to(20) == ["#1 buy 2@98 maker left 0", "#2 activated 2 stop 94"]
    assert market.run_to(30) == []


def test_a_held_exit_takes_a_new_distance() -> None:
    market = started("10 sell 9@97 9x96 97x9", "20 sell 1@92 5x91 93x5")
    market.bracket("buy 2 limit 98", stop="trail 4")
    assert market.replace(2, trail=6) == ["#2 replaced 2"]
    assert market.run_to(10)[-1] == "#2 activated 2 stop 92"
    market.run_to(20)
    assert triggers(market) == [(2, 92, 92)]


def test_a_new_distance_of_a_live_exit_ends_following_the_entry() -> None:
    market = started("10 9x99 107x9", beyond_top="wait")
    market.bracket("buy 18 market", stop="trail 4")
    assert market.replace(2, trail=6) == ["#2 replaced 9 stop 95"]
    assert market.run_to(10)[-1] == "#2 replaced 18 stop 95 (exit_resized)"


@pytest.mark.parametrize(
    ("stop", "target", "value"),
    [
        (ExitRequest(2, "2", trail_ticks=4, offset_ticks=5), None, 4),
        (ExitRequest(2, "2", trail_ticks=4, price_ticks=90), None, 4),
        (ExitRequest(2, "2", trail_ticks=4, limit_offset_ticks=1), None, 4),
        (ExitRequest(2, "2", trail_ticks=0), None, 0),
        (None, ExitRequest(2, "2", trail_ticks=4, offset_ticks=4), 4),
    ],
)
def test_a_trailing_exit_has_one_distance_and_nothing_else(
    stop: ExitRequest | None, target: ExitRequest | None, value: int
) -> None:
    market = started()
    bracket = BracketRequest(order_of("buy 1 market", 1), stop, target)
    assert market.execute(bracket) == [
        f"#1 rejected bracket_levels {value} 0",
        f"#2 rejected bracket_levels {value} 0",
    ]


def test_an_offset_that_repeats_the_distance_is_accepted() -> None:
    market = started()
    stop = ExitRequest(2, "2", trail_ticks=4, offset_ticks=4)
    bracket = BracketRequest(order_of("buy 1 market", 1), stop, None)
    assert market.execute(bracket)[-1] == "#2 activated 1 stop 97"


def test_a_row_that_reaches_the_trailing_stop_and_the_target_is_ambiguous() -> None:
    market = started("10 print 1@96 7x110 112x7")
    market.bracket("buy 1 market", stop="trail 4", target="+5")
    assert market.run_to(10)[:2] == ["#2 triggered at 96", "#2 sell 1@110 taker left 0 ambiguous"]


# --- money --------------------------------------------------------------------------------------


def test_it_reserves_margin_at_its_stop_or_at_its_activation_price() -> None:
    spec = changed(PLAIN, initial_margin_ppm=100_000, maintenance_margin_ppm=50_000)
    rows = ("10 sell 1@90 9x89 91x9", "20 sell 1@85 9x84 86x9")
    market = started(*rows, instruments=[spec], margin=True, cash=100.0)
    market.place("buy 5 trail 4 from 90")
    assert market.exchange.used_margin_nanos() == 45 * 10**9
    market.run_to(10)
    assert market.exchange.used_margin_nanos() == 47 * 10**9
    market.run_to(20)
    assert market.exchange.used_margin_nanos() == 44_500_000_000
