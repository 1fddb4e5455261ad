"""Edges of the rules that random sessions seldom meet. Each is here for a wrong rule that survived
them (`tests/differential/mutants.py`)."""

from __future__ import annotations

from decimal import Decimal

from broker_api.order import TriggerSource
from tests.sim.market import Hours, Market, an_instrument, tape_of

MARGINED = an_instrument(initial_margin=Decimal(10), maintenance_margin=Decimal(8))


def grown_target(*rows: str, **settings: str) -> Market:
    """A target at 101 in two parts: one lot behind 5, and one behind the 9 that were shown later.

    The last of `rows` are for the test; the time is 8.
    """
    first = ["0 5x99 101x5", "5 sell 6@99 4x99 101x5", "7 4x99 101x9", "8 sell 5@99 4x98 101x9"]
    market = Market(*first, *rows, **settings)
    market.bracket("buy 2 limit 99", target="101")
    market.run_to(7)
    assert market.queue_ahead(2) == 5
    market.run_to(8)
    return market


def test_what_was_ahead_of_the_grown_part_stays_ahead_when_the_old_part_is_used_up() -> None:
    market = grown_target("10 buy 6@101 4x98 101x9", "20 buy 3@101 4x98 101x9")
    assert market.run_to(10) == ["#2 sell 1@101 maker left 1"]
    assert market.queue_ahead(2) == 4
    assert market.run_to(20) == []


def test_a_print_eats_the_queue_of_both_parts() -> None:
    market = grown_target("10 buy 6@101 4x98 101x9", "20 buy 5@101 4x98 101x9")
    assert market.run_to(20) == ["#2 sell 1@101 maker left 1", "#2 sell 1@101 maker left 0"]


def test_no_more_than_is_shown_is_ahead_of_the_grown_part() -> None:
    market = grown_target("10 4x98 101x6", "20 buy 8@101 4x98 101x6", queue="displayed")
    assert market.run_to(20) == ["#2 sell 2@101 maker left 0"]


def test_only_the_first_fill_at_a_place_is_rounded_up() -> None:
    rows = ["5 30x99 101x5", "10 14x99 101x5", "20 14x99 99x1", "30 14x99 101x5", "40 sell 9@99"]
    market = Market("0 20x99 101x5", *rows)
    market.place("buy 4 limit 99")
    assert market.run_to(30) == ["#1 buy 1@99 maker left 3"]
    assert 8.1 < (market.queue_ahead(1) or 0) < 8.5
    assert market.run_to(40) == []


def test_a_reopening_takes_no_cancels_from_before_it() -> None:
    rows = ["5 12x99 101x5", "10 halt", "20 resume", "20 10x99 101x5"]
    market = Market("0 9x99 101x5", *rows)
    market.place("buy 2 limit 99")
    market.run_to(20)
    assert market.queue_ahead(1) == 9


def test_a_fill_or_kill_does_not_count_what_was_printed_since_the_quote() -> None:
    market = Market("0 5x99 101x5", "10 buy 3@101", bbo_after_trade=False, beyond_top="wait")
    market.run_to(10)
    answer = market.place("buy 3 limit 101 fok")
    assert answer[-1] == "#1 cancelled fok_not_available, filled 0"


def test_a_brackets_stop_at_its_entry_is_refused() -> None:
    market = Market("0 5x99 101x5")
    assert "rejected" in market.bracket("buy 2 limit 98", stop="98")[0]
    assert "rejected" in market.bracket("buy 2 limit 98", target="98")[0]


def test_growth_after_a_reopening_is_behind_what_was_ahead_of_the_old_part() -> None:
    rows = ["5 sell 6@99 4x99 101x5", "10 halt", "20 resume", "20 sell 6@99 4x98 100x3"]
    market = Market("0 5x99 101x5", *rows, "30 buy 6@101 4x98 102x9")
    market.bracket("buy 2 limit 99", target="101")
    market.run_to(20)
    assert market.run_to(30) == ["#2 sell 1@101 maker left 1"]


def test_an_exit_that_filled_in_part_does_not_follow_the_entry_any_more() -> None:
    rows = ["5 buy 1@104 5x99 105x5", "10 sell 2@101 4x99 105x5"]
    market = Market("0 5x99 100x2", *rows, beyond_top="wait")
    market.bracket("buy 4 limit 102", target="+3")
    assert market.run_to(10) == [
        "#2 sell 1@103 maker left 1",
        "#1 buy 2@102 maker left 0",
        "#2 replaced 4 limit 103 (exit_resized)",
    ]


def test_the_exits_of_a_post_only_entry_may_take() -> None:
    market = Market("0 5x99 101x5", "5 sell 7@99 5x101 103x5")
    market.bracket("buy 2 limit 99 post-only", target="100")
    assert market.run_to(5)[-1] == "#2 sell 2@101 taker left 0"


def test_an_exit_that_goes_live_is_behind_an_own_order_that_was_there() -> None:
    market = Market("0 5x99 101x5", "5 sell 9@98 4x98 101x5", "10 buy 1@102 4x98 101x5")
    market.bracket("buy 2 limit 99", target="101")
    market.place("sell 2 limit 101")
    market.run_to(5)
    assert market.run_to(10)[0] == "#3 sell 1@101 maker left 1"


def test_orders_expire_each_at_its_own_time() -> None:
    market = Market("0 5x99 101x5", "90 5x99 101x5")
    market.place("buy 1 limit 98 gtd=10")
    market.place("buy 1 limit 98 gtd=11")
    assert market.run_to(10) == ["#1 expired, filled 0"]
    assert market.run_to(11) == ["#2 expired, filled 0"]


def test_a_halt_of_the_tape_does_not_forget_when_the_calendar_opens() -> None:
    rows = ["0 5x99 101x5", "20 halt", "90 5x99 101x5"]
    market = Market(*rows, calendar=Hours((0, 10), (50, 100)))
    market.run_to(20)
    before = Market("0 5x99 101x5", "90 5x99 101x5", calendar=Hours((0, 10), (50, 100)))
    before.run_to(20)
    assert market.place("buy 1 limit 98") == before.place("buy 1 limit 98")


def test_equity_that_equals_the_maintenance_margin_is_enough() -> None:
    rows = ["10 mark 95", "20 mark 94"]
    market = Market("0 5x100 101x5", *rows, instruments=[MARGINED], cash=14.0, margin=True)
    market.place("buy 1 market")
    assert market.run_to(10) == []
    assert market.run_to(20)[0] == "liquidation 7 < 8"


def test_two_positions_that_lose_together_are_looked_at_in_time() -> None:
    names = ("A", "B")
    tapes = [
        tape_of(["0 9x100 100x9", f"1{at} 9x96 100x9"], symbol=n) for at, n in enumerate(names)
    ]
    instruments = [
        an_instrument(n, initial_margin=Decimal(10), maintenance_margin=Decimal(8)) for n in names
    ]
    market = Market(tapes=tapes, instruments=instruments, cash=23.0, margin=True)
    market.place("buy 1 market", symbol="A")
    market.place("buy 1 market", symbol="B")
    assert market.run_to(11)[0] == "liquidation 15 < 16"


def test_an_order_without_a_price_counts_at_the_side_that_it_would_meet() -> None:
    instrument = an_instrument(initial_margin_ppm=100_000)
    rows = ["0 5x90 110x5", "10 - 110x5", "20 5x90 -"]
    market = Market(*rows, instruments=[instrument], cash=1.0, margin=True)
    market.run_to(10)
    nanos = 10**9
    answer = market.place("sell 1 market")
    assert answer == [f"#1 rejected insufficient_margin {9 * nanos} {nanos}"]
    market.run_to(20)
    answer = market.place("buy 1 market")
    assert answer == [f"#2 rejected insufficient_margin {11 * nanos} {nanos}"]


def test_a_print_of_the_first_row_is_gone_from_its_book() -> None:
    market = Market("0 buy 3@101 5x99 101x5", "9 5x99 101x5", bbo_after_trade=False)
    answer = market.place("buy 5 market")
    assert answer[1:] == ["#1 buy 2@101 taker left 3", "#1 buy 3@102 taker left 0"]


def test_a_stop_on_marks_waits_for_the_first_mark() -> None:
    rows = ["10 mark 102", "20 5x99 101x5"]
    market = Market("0 5x99 101x5", *rows, trigger=TriggerSource.MARK)
    assert market.place("buy 1 stop 100") == ["#1 accepted buy 1 stop 100"]
    assert market.run_to(10)[-1] == "#1 buy 1@101 taker left 0"


def test_a_resumption_of_what_was_not_halted_changes_nothing() -> None:
    market = Market("0 5x99 101x5", "10 resume", "20 5x99 101x5")
    assert market.run_to(10) == []
    assert market.place("buy 5 market")[-1] == "#1 buy 5@101 taker left 0"


def test_a_triggered_leg_ends_when_its_row_had_filled_the_other_leg_that_it_meets() -> None:
    market = Market("0 5x99 101x5", "10 sell 5@99", queue="front")
    market.oco("buy 2 limit 99", "sell 2 stop 99")
    events = market.run_to(10)
    assert events[-2:] == ["#1 buy 2@99 maker left 0", "#2 cancelled sibling, filled 0"]


def test_an_exit_that_closed_all_there_was_takes_no_further_level() -> None:
    market = Market("0 5x90 101x1", "10 sell 1@80 300x80 -")
    market.bracket("buy 300 market", stop="85")
    assert market.run_to(10)[-2:] == ["#2 sell 256@80 taker left 0", "#2 waits for its entry"]
