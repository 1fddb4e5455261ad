"""What the random sessions have found, each shrunk to a few rows and kept: name, market, events.

The market runs kernel and reference side by side (`tests.sim.market`).
"""

from __future__ import annotations

from dataclasses import replace as changed
from decimal import Decimal

import pytest

from broker_api.order import OcoRequest, TriggerSource
from tests.differential.drive import run_seed
from tests.sim.market import Market, an_instrument, order_of, tape_of

MARGINED = an_instrument(initial_margin=Decimal(10), maintenance_margin=Decimal(8))
BY_BOTH = an_instrument(initial_margin=Decimal(10), initial_margin_ppm=100_000)
GROWING = an_instrument(
    initial_margin=Decimal(1), initial_margin_ppm=10_000, maintenance_margin_ppm=500_000
)


FOUND = (4888, 7507, 10014, 17568, 30344, 279_276, 617_752, 659_073, 758_354, 795_268, 805_168)


@pytest.mark.parametrize("seed", FOUND)
def test_sessions_that_found_something_are_equal(seed: int) -> None:
    assert run_seed(seed).events


def test_a_fill_or_kill_does_not_fill_in_part_before_it_meets_an_own_order() -> None:
    market = Market("0 5x99 101x5")
    market.place("sell 2 limit 102")
    answer = market.place("buy 7 limit 102 fok")
    assert answer[-1] == "#2 cancelled fok_not_available, filled 0"


def test_a_reduce_only_fill_or_kill_is_all_or_nothing() -> None:
    market = Market("0 20x99 101x5")
    market.place("buy 3 market")
    answer = market.place("sell 9 limit 98 fok reduce-only")
    assert answer[-1] == "#2 cancelled fok_not_available, filled 0"


def test_a_fill_that_makes_the_account_short_is_looked_at_on_its_row() -> None:
    rows = ["0 5x99 101x5", "10 6x101 130x9"]
    market = Market(*rows, instruments=[MARGINED], cash=100.0, margin=True)
    market.place("sell 5 limit 101")
    assert market.run_to(10) == [
        "#1 sell 5@101 maker left 0",
        "liquidation -45 < 40",
        "#-1 accepted buy 5",
        "#-1 buy 5@130 taker left 0",
    ]


def test_an_account_made_short_by_a_command_is_looked_at_on_the_next_row() -> None:
    rows = ["0 5x99 149x5", "10 5x99 149x5"]
    market = Market(*rows, instruments=[MARGINED], cash=55.0, margin=True)
    market.place("buy 1 market")
    assert market.run_to(10)[0] == "liquidation 5 < 8"


def test_the_dearer_of_all_buys_and_all_sells_counts_as_a_whole() -> None:
    market = Market("0 5x99 101x5", instruments=[BY_BOTH], cash=120.0, margin=True)
    market.place("buy 3 limit 50")
    assert market.exchange.used_margin_nanos() == 45 * 10**9
    assert market.place("sell 1 limit 1000") == ["#2 accepted sell 1 limit 1000"]
    assert market.exchange.used_margin_nanos() == 110 * 10**9


def test_margin_that_grows_with_the_price_stands_still_with_the_mark() -> None:
    rows = ["0 5x99 101x5", "5 mark 100", "10 5x119 121x5", "20 5x190 195x5", "30 mark 60"]
    market = Market(*rows, instruments=[GROWING], cash=60.0, margin=True)
    market.run_to(5)
    market.place("buy 1 market")
    assert market.run_to(20) == []
    assert market.run_to(30)[0] == "liquidation 19 < 30"


def test_liquidity_that_we_took_beyond_the_touch_stays_taken_when_a_print_proves_it_the_best() -> (
    None
):
    rows = ["0 5x99 101x3", "10 buy 1@102", "20 5x99 101x3"]
    market = Market(*rows, bbo_after_trade=False)
    market.place("buy 5 market")
    market.run_to(10)
    assert market.place("buy 3 market")[-1] == "#2 buy 3@103 taker left 0"
    market.run_to(20)
    answer = market.place("buy 4 market")
    assert answer[1:] == ["#3 buy 3@101 taker left 1", "#3 buy 1@102 taker left 0"]


def test_queues_see_a_packet_that_ends_in_a_print_of_a_book_from_before() -> None:
    rows = ["0 9x99 101x5", "10 4x99 101x5", "10 sell 1@99"]
    market = Market(*rows, bbo_after_trade=False)
    market.place("buy 2 limit 99")
    market.run_to(10)
    assert market.queue_ahead(1) == 3


def test_queues_see_a_packet_that_ends_in_a_mark() -> None:
    market = Market("0 9x99 101x5", "10 4x99 101x5", "10 mark 100")
    market.place("buy 2 limit 99")
    market.run_to(10)
    assert market.queue_ahead(1) == 4


def test_nobody_is_ahead_at_a_touch_that_a_print_has_proved_gone() -> None:
    rows = ["0 9x99 101x5", "10 sell 1@97", "20 9x99 101x5"]
    market = Market(*rows, bbo_after_trade=False)
    market.run_to(10)
    market.place("buy 2 limit 99")
    assert market.queue_ahead(1) == 0


def test_all_rows_of_the_first_instant_come_before_the_first_command() -> None:
    market = Market("0 5x99 101x7", "0 halt", "0 resume", "0 6x99 101x8")
    assert market.place("buy 9 limit 101 ioc")[1] == "#1 buy 8@101 taker left 1"


def test_of_stops_of_both_sides_the_one_passed_farther_triggers_first() -> None:
    market = Market("0 5x99 101x7", "10 5x95 104x7", trigger=TriggerSource.BID_ASK)
    market.place("sell 2 stop 96")
    market.place("buy 2 stop 102")
    triggered = [line for line in market.run_to(10) if "triggered" in line]
    assert triggered == ["#2 triggered at 104", "#1 triggered at 95"]


def test_brackets_shrink_in_the_order_of_their_age() -> None:
    market = Market("0 9x99 101x9")
    for stop in ("90", "91"):
        market.bracket("buy 2 market", stop=stop)
    assert market.place("sell 3 market")[2:] == [
        "#2 cancelled position_flat, filled 0",
        "#4 replaced 1 stop 91 (exit_resized)",
    ]


def test_a_reopening_compares_queues_with_nothing_from_before() -> None:
    rows = ["0 9x99 101x5", "10 halt", "20 resume", "20 6x99 101x5", "30 3x99 101x5"]
    market = Market(*rows)
    market.place("buy 2 limit 99")
    market.run_to(20)
    assert market.queue_ahead(1) == 6


def test_what_an_exit_grew_queues_also_when_its_old_part_is_used_up_in_the_same_row() -> None:
    rows = ["0 5x99 101x7", "5 sell 6@99 4x99 100x9", "10 sell 2@98 1x100 100x4"]
    market = Market(*rows)
    market.bracket("buy 3 limit 99", target="+1")
    market.run_to(5)
    assert market.run_to(10)[-1] == "#2 sell 1@100 maker left 2"
    assert market.queue_ahead(2) == 4


def test_a_fall_in_a_halt_is_looked_at_on_the_next_row_of_another_instrument() -> None:
    for row in ("10 mark 80", "10 5x80 82x5"):
        check_fall_in_a_halt(row)


def check_fall_in_a_halt(row: str) -> None:
    """The one row comes while its instrument is halted; the other instrument's row looks."""
    halted = ["0 5x99 101x5", "5 halt", row]
    halted[1:1] = ["0 mark 100"] if "mark" in row else []
    other = ["0 5x99 101x5", "20 5x100 101x5"]
    names = ("X", "Y")
    market = Market(
        tapes=[
            tape_of(rows, symbol=name) for rows, name in zip((halted, other), names, strict=True)
        ],
        instruments=[changed(MARGINED, symbol=name, id=name) for name in names],
        margin=True,
        cash=50.0,
    )
    for name in names:
        market.execute(order_of("buy 2 market", len(market.events) + 1, name))
    assert "liquidation" in " ".join(market.run_to(20))


def test_a_pair_across_instruments_is_refused_as_such_before_anything_else() -> None:
    tapes = [tape_of(["0 - -"], symbol=name) for name in ("X", "Y")]
    instruments = [an_instrument(symbol=name) for name in ("X", "Y")]
    market = Market(tapes=tapes, instruments=instruments)
    first, second = order_of("buy 1 market", 1, "X"), order_of("sell 1 limit 99", 2, "Y")
    answer = market.execute(OcoRequest(first, second))
    assert answer == ["#1 rejected unsupported 1 0", "#2 rejected unsupported 1 0"]


def test_an_order_of_the_exchange_has_nothing_of_the_trailing_stop_that_was_sent_before_it() -> (
    None
):
    rows = ("0 5x99 101x5", "10 1x80 82x5")
    settings = {"margin": True, "cash": 50.0, "beyond_top": "wait"}
    market = Market(*rows, instruments=[MARGINED], trigger=TriggerSource.BID_ASK, **settings)
    market.place("buy 2 market")
    market.place("sell 1 trail 40 reduce-only")
    assert "#-1 sell 1@80 taker left 1" in market.run_to(10)


def test_what_is_not_known_of_an_exits_old_place_is_not_known_of_what_it_grew() -> None:
    rows = ("10 5x98 99x1", "20 5x98 99x2", "30 1x104 100x5", "40 5x98 100x5", "50 5x98 104x6")
    market = Market("0 5x99 101x5", *rows)
    market.bracket("buy 2 limit 99", target="104")
    assert market.run_to(20)[-1] == "#2 replaced 2 limit 104 (exit_resized)"
    assert market.queue_ahead(2) is None
    assert market.run_to(30) == ["#2 sell 1@104 maker left 1"]
    assert market.queue_ahead(2) is None
    market.run_to(50)
    assert market.queue_ahead(2) == 3


def test_a_stop_that_a_fill_of_its_row_gave_another_price_arrives_at_that_one() -> None:
    rows = ("87 sell 1@98 1x98 99x1", "120 buy 1@100 4x98 100x2", "130 buy 2@100 4x98 101x3")
    settings = {"self_trade": "cancel_both", "beyond_top": "wait"}
    market = Market("1 1x99 102x2", *rows, trigger=TriggerSource.BID_ASK, **settings)
    market.run_to(89)
    market.bracket("buy 3 stop 101", stop="99")
    market.run_to(120)
    market.bracket("sell 46 limit 96", stop="trail 3")
    told = market.run_to(130)
    mine = [line for line in told if line.startswith("#4")]
    assert mine[0] == "#4 replaced 6 stop 100 (exit_repriced)"
    assert mine[-1] == "#4 triggered at 101"


def test_a_new_distance_that_puts_a_held_stop_at_no_price_is_refused() -> None:
    market = Market("0 1x4 5x4", beyond_top="wait")
    market.bracket("buy 33 limit 6", stop="trail 1", arm="full")
    assert market.replace(2, trail=6) == ["#2 change refused price_not_positive -1 1"]
    assert market.replace(2, trail=4) == ["#2 replaced 33 stop 1"]


def test_sellers_go_no_further_down_than_there_are_prices() -> None:
    market = Market("0 3x1 -", accounts=2, beyond_top="wait")
    market.bracket("sell 3 limit 3", target="+1")
    assert market.replace(1, limit=1)[-1] == "#2 activated 3 limit 0"
    assert market.place("sell 9 market", account=1) == ["b#1 accepted sell 9"]


def test_a_held_stop_limit_whose_limit_was_set_by_hand_keeps_it_when_its_stop_is() -> None:
    market = Market("0 5x99 101x5")
    market.bracket("buy 3 limit 93", stop="+2 limit 1")
    assert market.replace(2, limit=88) == ["#2 replaced 3 limit 88"]
    assert market.replace(2, stop=89) == ["#2 replaced 3 stop 89 limit 88"]
