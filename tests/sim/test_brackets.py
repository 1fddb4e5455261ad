"""Brackets: exits that live by what the entry filled, and die by what they fill themselves."""

from __future__ import annotations

import pytest

from broker_api.order import TriggerSource
from tests.sim.market import Market

QUOTE = "0 5x99 101x5"


def long_bracket(
    *rows: str, size: int = 4, stop: str | None = "95", target: str | None = "105", **more: object
) -> Market:
    """A market in which a bracket has bought at 101 and both exits work."""
    market = Market(QUOTE, *rows, **more)
    market.bracket(f"buy {size} market", stop=stop, target=target)
    assert market.position == size
    return market


def test_exits_wait_and_go_live_with_the_entry() -> None:
    market = Market(QUOTE, "10 5x98 99x9")
    assert market.bracket("buy 4 limit 99", stop="95", target="105") == [
        "#1 accepted buy 4 limit 99",
        "#2 accepted held sell 4 stop 95",
        "#3 accepted held sell 4 limit 105",
    ]
    assert market.run_to(10) == [
        "#1 buy 4@99 maker left 0",
        "#2 activated 4 stop 95",
        "#3 activated 4 limit 105",
    ]


@pytest.mark.parametrize(
    ("entry", "stop", "target"),
    [
        # 3@101 and 3@102 and 1@103 average 101.71: a buy's stop and target round to 102 and 101
        ("buy 7 market", "stop 97", "limit 106"),
        # 3@99 and 3@98 and 1@97 average 98.29: a sell's to 98 and 99
        ("sell 7 market", "stop 103", "limit 94"),
    ],
)
def test_offsets_count_from_the_average_fill_rounded_nearer_the_entry(
    entry: str, stop: str, target: str
) -> None:
    market = Market("0 3x99 101x3")
    lines = market.bracket(entry, stop="+5", target="+5")
    assert lines[-2:] == [f"#2 activated 7 {stop}", f"#3 activated 7 {target}"]


def test_a_stop_limit_exit_lies_its_offset_beyond_the_stop() -> None:
    market = Market(QUOTE)
    lines = market.bracket("buy 4 market", stop="+5 limit 2")
    assert lines[-1] == "#2 activated 4 stop 96 limit 94"
    assert market.bracket("sell 2 market", stop="110 limit 3")[1] == (
        "#4 accepted held buy 2 stop 110 limit 113"
    )


def test_every_fill_of_the_entry_grows_the_exits() -> None:
    market = Market(QUOTE, "10 5x98 99x1", "20 5x98 99x2", "30 5x98 99x6")
    market.bracket("buy 4 limit 99", stop="95", target="105")
    assert market.run_to(10)[1:] == ["#2 activated 1 stop 95", "#3 activated 1 limit 105"]
    assert market.run_to(20)[1:] == [
        "#2 replaced 3 stop 95 (exit_resized)",
        "#3 replaced 3 limit 105 (exit_resized)",
    ]
    assert market.run_to(30)[1:] == [
        "#2 replaced 4 stop 95 (exit_resized)",
        "#3 replaced 4 limit 105 (exit_resized)",
    ]


def test_exits_by_offset_move_with_the_average_until_they_fill() -> None:
    market = Market("0 5x99 101x2", "10 5x99 103x2", "20 5x99 103x3", beyond_top="wait")
    lines = market.bracket("buy 6 market", stop="+10", target="+10")
    assert lines[-2:] == ["#2 activated 2 stop 91", "#3 activated 2 limit 111"]
    assert market.run_to(10) == [
        "#1 buy 2@103 taker left 2",
        "#2 replaced 4 stop 92 (exit_repriced)",
        "#3 replaced 4 limit 112 (exit_repriced)",
    ]
    assert market.run_to(20) == [
        "#1 buy 2@103 taker left 0",
        # 614 / 6 = 102.33: 103 - 10 and 102 + 10
        "#2 replaced 6 stop 93 (exit_repriced)",
        "#3 replaced 6 limit 112 (exit_resized)",
    ]


def test_a_price_by_hand_ends_following_the_entry() -> None:
    market = Market("0 5x99 101x2", "10 5x99 103x2", beyond_top="wait")
    market.bracket("buy 4 market", stop="+10", target="+10")
    assert market.replace(2, stop=90) == ["#2 replaced 2 stop 90"]
    assert market.run_to(10)[1:] == [
        "#2 replaced 4 stop 90 (exit_resized)",
        "#3 replaced 4 limit 112 (exit_repriced)",
    ]


def test_the_target_fills_and_the_stop_is_cancelled() -> None:
    market = long_bracket("10 5x105 106x5")
    assert market.run_to(10) == ["#3 sell 4@105 maker left 0", "#2 cancelled sibling, filled 0"]
    assert market.position == 0


def test_the_stop_fills_and_the_target_is_cancelled() -> None:
    market = long_bracket("10 5x94 95x5")
    assert market.run_to(10) == [
        "#2 triggered at 94",
        "#2 sell 4@94 taker left 0",
        "#3 cancelled sibling, filled 0",
    ]


def test_every_fill_of_an_exit_shrinks_its_sibling() -> None:
    market = long_bracket("10 buy 1@106 5x104 107x5", "20 sell 1@94 5x94 95x5")
    assert market.run_to(10) == [
        "#3 sell 1@105 maker left 3",
        "#2 replaced 3 stop 95 (exit_resized)",
    ]
    assert market.run_to(20) == [
        "#2 triggered at 94",
        "#2 sell 3@94 taker left 0",
        "#3 cancelled sibling, filled 1",
    ]


def test_a_target_that_filled_all_there_was_arms_again() -> None:
    rows = ("10 5x98 99x1", "20 5x105 106x5", "30 5x98 99x2", "40 5x105 106x5")
    market = Market(QUOTE, *rows)
    market.bracket("buy 3 limit 99", stop="95", target="105")
    market.run_to(10)
    assert market.run_to(20) == [
        "#3 sell 1@105 maker left 0",
        "#2 waits for its entry",
        "#3 waits for its entry",
    ]
    assert market.run_to(30) == [
        "#1 buy 2@99 maker left 0",
        "#2 activated 2 stop 95",
        "#3 activated 2 limit 105",
    ]
    assert market.run_to(40) == ["#3 sell 2@105 maker left 0", "#2 cancelled sibling, filled 0"]


def test_a_stop_that_filled_all_there_was_arms_again() -> None:
    rows = ("0 5x99 101x1", "10 5x94 -", "20 5x98 99x2", "30 5x94 -")
    market = Market(*rows, beyond_top="wait")
    market.bracket("buy 3 market", stop="95")
    assert market.run_to(10) == [
        "#2 triggered at 94",
        "#2 sell 1@94 taker left 0",
        "#2 waits for its entry",
    ]
    assert market.run_to(20) == ["#1 buy 2@99 taker left 0", "#2 activated 2 stop 95"]
    assert market.run_to(30) == ["#2 triggered at 94", "#2 sell 2@94 taker left 0"]


@pytest.mark.parametrize("end", ["cancel", "gtd"])
def test_an_entry_that_ends_unfilled_takes_its_exits_with_it(end: str) -> None:
    market = Market(QUOTE)
    market.bracket("buy 3 limit 90" + (" gtd=10" if end == "gtd" else ""), stop="85", target="95")
    lines = market.cancel(1) if end == "cancel" else market.run_to(10)
    assert lines[1:] == ["#2 cancelled entry_ended, filled 0", "#3 cancelled entry_ended, filled 0"]


def test_exits_that_protect_a_partial_fill_outlive_the_entry() -> None:
    market = Market(QUOTE, "10 5x98 99x1", "20 5x105 106x5")
    market.bracket("buy 3 limit 99", stop="95", target="105")
    market.run_to(10)
    assert market.cancel(1) == ["#1 cancelled by_user, filled 1"]
    assert market.run_to(20) == ["#3 sell 1@105 maker left 0", "#2 cancelled sibling, filled 0"]


def test_an_entry_cancelled_after_its_exits_closed_everything_ends_the_bracket() -> None:
    market = Market(QUOTE, "10 5x98 99x1", "20 5x105 106x5")
    market.bracket("buy 3 limit 99", stop="95", target="105")
    market.run_to(20)
    assert market.cancel(1) == [
        "#1 cancelled by_user, filled 1",
        "#2 cancelled sibling, filled 0",
        "#3 replaced 1 limit 105 (completed_by_size)",
    ]


def test_armed_in_full_exits_wait_for_the_last_fill() -> None:
    market = Market(QUOTE, "10 5x98 99x1", "20 5x94 98x1", "30 5x97 98x4")
    market.bracket("buy 3 limit 99", stop="95", target="105", arm="full")
    assert market.run_to(10) == ["#1 buy 1@99 maker left 2"]
    assert market.run_to(20) == ["#1 buy 1@99 maker left 1"]
    assert market.run_to(30)[1:] == ["#2 activated 3 stop 95", "#3 activated 3 limit 105"]


@pytest.mark.parametrize("end", ["cancel", "gtd"])
def test_armed_in_full_exits_go_live_when_the_entry_ends_partly_filled(end: str) -> None:
    market = Market(QUOTE, "10 5x98 99x1", "40 5x98 99x2")
    gtd = " gtd=20" if end == "gtd" else ""
    market.bracket(f"buy 3 limit 99{gtd}", stop="95", target="105", arm="full")
    market.run_to(10)
    lines = market.cancel(1) if end == "cancel" else market.run_to(20)
    assert lines[1:] == ["#2 activated 1 stop 95", "#3 activated 1 limit 105"]


def test_activation_is_arrival_and_acts_at_once() -> None:
    market = Market("0 5x99 101x5", "10 sell 9@90 5x89 91x5")
    market.bracket("buy 2 limit 99", stop="95", target="105")
    assert market.run_to(10) == [
        "#1 buy 2@99 maker left 0",
        "#2 activated 2 stop 95",
        "#2 triggered at 90",
        "#2 sell 2@89 taker left 0",
        "#3 cancelled sibling, filled 0",
    ]


def test_when_one_row_reaches_both_legs_the_stop_wins_and_is_flagged() -> None:
    """A print at 106 fills the target while the bid of the same row is below the stop."""
    market = long_bracket("10 buy 9@106 5x94 107x5", trigger=TriggerSource.BID_ASK)
    assert market.run_to(10) == [
        "#2 triggered at 94",
        "#2 sell 4@94 taker left 0 ambiguous",
        "#3 cancelled sibling, filled 0",
    ]


def test_a_stop_that_fills_partly_leaves_the_target_the_rest_of_the_row() -> None:
    market = long_bracket(
        "10 buy 9@106 1x94 107x5", trigger=TriggerSource.BID_ASK, beyond_top="wait"
    )
    assert market.run_to(10) == [
        "#2 triggered at 94",
        "#2 sell 1@94 taker left 3 ambiguous",
        "#3 replaced 3 limit 105 (exit_resized)",
        "#3 sell 3@105 maker left 0",
        "#2 cancelled sibling, filled 1",
    ]


def test_a_stop_alone_is_not_ambiguous() -> None:
    market = long_bracket("10 buy 9@104 5x94 107x5", trigger=TriggerSource.BID_ASK)
    assert market.run_to(10)[1] == "#2 sell 4@94 taker left 0"


def test_cancelling_the_stop_leaves_the_target_and_says_unprotected() -> None:
    market = long_bracket("10 5x105 106x5")
    assert market.cancel(2) == ["#2 cancelled by_user, filled 0", "#2 unprotected"]
    assert market.run_to(10) == ["#3 sell 4@105 maker left 0"]


def test_cancelling_the_target_leaves_the_stop() -> None:
    market = long_bracket("10 5x94 95x5")
    assert market.cancel(3) == ["#3 cancelled by_user, filled 0"]
    assert market.run_to(10) == ["#2 triggered at 94", "#2 sell 4@94 taker left 0"]


def test_cancelling_a_held_stop_leaves_nothing_unprotected_yet() -> None:
    market = Market(QUOTE, "10 5x98 99x9")
    market.bracket("buy 3 limit 99", stop="95", target="105")
    assert market.cancel(2) == ["#2 cancelled by_user, filled 0"]
    assert market.cancel(3) == ["#3 cancelled by_user, filled 0"]
    assert market.run_to(10) == ["#1 buy 3@99 maker left 0"]


def test_changes_to_held_exits_are_stored() -> None:
    market = Market(QUOTE, "10 5x98 99x9")
    market.bracket("buy 3 limit 99", stop="+5", target="+5")
    assert market.replace(2, stop=90) == ["#2 replaced 3 stop 90"]
    assert market.replace(3, limit=120) == ["#3 replaced 3 limit 120"]
    assert market.run_to(10)[1:] == ["#2 activated 3 stop 90", "#3 activated 3 limit 120"]


def test_a_stop_by_hand_gives_a_held_stop_limit_its_limit() -> None:
    market = Market(QUOTE, "10 5x98 99x9")
    market.bracket("buy 3 limit 99", stop="+5 limit 2")
    assert market.replace(2, stop=90) == ["#2 replaced 3 stop 90 limit 88"]
    assert market.replace(2, stop=91) == ["#2 replaced 3 stop 91 limit 89"]
    assert market.replace(2, limit=85) == ["#2 replaced 3 stop 91 limit 85"]
    assert market.run_to(10)[1:] == ["#2 activated 3 stop 91 limit 85"]


def test_a_size_of_a_held_exit_is_followed_by_the_other() -> None:
    market = Market(QUOTE, "10 5x98 99x1", "20 5x98 99x9")
    market.bracket("buy 5 limit 99", stop="95", target="105")
    assert market.replace(2, size=3) == [
        "#2 replaced 3 stop 95",
        "#3 replaced 3 limit 105 (exit_resized)",
    ]
    assert market.replace(3, size=6) == ["#3 change refused size_above_maximum 6 5"]
    assert market.run_to(10)[1:] == ["#2 activated 1 stop 95", "#3 activated 1 limit 105"]
    assert market.run_to(20)[1:] == [
        "#2 replaced 3 stop 95 (exit_resized)",
        "#3 replaced 3 limit 105 (exit_resized)",
    ]


def test_a_size_of_the_entry_is_shown_by_its_held_exits() -> None:
    market = Market(QUOTE, "10 5x98 99x9")
    market.bracket("buy 5 limit 99", stop="95", target="105")
    assert market.replace(1, size=7) == [
        "#1 replaced 7 limit 99",
        "#2 replaced 7 stop 95 (exit_resized)",
        "#3 replaced 7 limit 105 (exit_resized)",
    ]
    assert market.run_to(10)[1:] == ["#2 activated 7 stop 95", "#3 activated 7 limit 105"]


def test_a_size_of_a_live_exit_is_followed_by_the_other_and_may_be_taken_back() -> None:
    market = long_bracket("10 5x94 95x5")
    assert market.replace(3, size=1) == [
        "#3 replaced 1 limit 105",
        "#2 replaced 1 stop 95 (exit_resized)",
    ]
    assert market.replace(2, size=5) == ["#2 change refused size_above_maximum 5 4"]
    assert market.replace(2, size=3) == [
        "#2 replaced 3 stop 95",
        "#3 replaced 3 limit 105 (exit_resized)",
    ]
    market.run_to(10)
    assert market.position == 1


def test_a_larger_exit_loses_its_place_its_sibling_only_for_the_new_part() -> None:
    market = Market(QUOTE, "5 9x104 105x8", "10 buy 8@105 9x104 105x10", "20 buy 9@105 9x104 105x3")
    market.run_to(5)
    market.bracket("buy 4 limit 105", stop="95", target="106")
    market.replace(3, limit=105)
    market.replace(2, size=2)
    assert market.queue_ahead(3) == 8
    market.run_to(10)
    assert market.queue_ahead(3) == 0
    market.replace(2, size=4)
    assert market.run_to(20) == [
        "#3 sell 2@105 maker left 2",
        "#2 replaced 2 stop 95 (exit_resized)",
    ]


def test_closing_by_other_orders_shrinks_the_oldest_bracket_first() -> None:
    market = Market("0 9x99 101x9")
    market.bracket("buy 3 market", stop="95", target="105")
    market.bracket("buy 2 market", stop="94")
    assert market.place("sell 2 market")[1:] == [
        "#6 sell 2@99 taker left 0",
        "#2 replaced 1 stop 95 (exit_resized)",
        "#3 replaced 1 limit 105 (exit_resized)",
    ]
    assert market.place("sell 2 market")[1:] == [
        "#7 sell 2@99 taker left 0",
        "#2 cancelled position_flat, filled 0",
        "#3 cancelled position_flat, filled 0",
        "#5 replaced 1 stop 94 (exit_resized)",
    ]
    assert market.place("sell 1 market")[1:] == [
        "#8 sell 1@99 taker left 0",
        "#5 cancelled position_flat, filled 0",
    ]


def test_a_size_that_another_order_closed_cannot_be_given_back_to_an_exit() -> None:
    market = long_bracket()
    market.place("sell 3 market")
    assert market.replace(2, size=4) == ["#2 change refused size_above_maximum 4 1"]
    market.place("buy 2 market")
    assert market.replace(2, size=3)[0] == "#2 replaced 3 stop 95"


def test_exits_against_the_position_are_capped_to_nothing() -> None:
    market = Market("0 9x99 101x9")
    market.place("sell 5 market")
    assert market.bracket("buy 3 market", stop="95")[2:] == [
        "#2 buy 3@101 taker left 0",
        "#3 cancelled position_flat, filled 0",
    ]


def test_a_flip_cancels_the_exits_of_the_old_side() -> None:
    market = long_bracket()
    assert market.place("sell 9 market")[1:] == [
        "#4 sell 5@99 taker left 4",
        "#2 cancelled position_flat, filled 0",
        "#3 cancelled position_flat, filled 0",
        "#4 sell 4@98 taker left 0",
    ]
    assert market.position == -5


def test_an_exit_size_equal_to_what_it_filled_completes_both() -> None:
    market = long_bracket("10 buy 1@106 5x104 107x5")
    market.run_to(10)
    assert market.replace(3, size=1) == [
        "#3 replaced 1 limit 105",
        "#2 cancelled sibling, filled 0",
        "#3 replaced 1 limit 105 (completed_by_size)",
    ]
    assert market.position == 3


def test_an_entry_size_equal_to_what_it_filled_completes_it_and_keeps_the_exits() -> None:
    market = Market(QUOTE, "10 5x98 99x1", "20 5x105 106x5")
    market.bracket("buy 3 limit 99", stop="95", target="105")
    market.run_to(10)
    assert market.replace(1, size=1) == ["#1 replaced 1 limit 99 (completed_by_size)"]
    assert market.run_to(20) == ["#3 sell 1@105 maker left 0", "#2 cancelled sibling, filled 0"]


def test_a_triggered_stop_exit_cannot_be_changed() -> None:
    market = long_bracket("10 sell 1@95 - 106x5")
    assert market.run_to(10) == ["#2 triggered at 95"]
    assert market.replace(2, stop=90) == ["#2 change refused not_modifiable 0 0"]
    assert market.cancel(2) == ["#2 cancelled by_user, filled 0", "#2 unprotected"]


def test_groups_are_given_back() -> None:
    market = Market("0 9x99 101x9")
    for _ in range(600):
        market.check_after_calls = False
        market.bracket("buy 1 market ioc", stop="95", target="105")
        market.place("sell 1 market")
        market.bracket("buy 1 limit 90", stop="85")
        market.cancel(market.next_ids[0] - 2)
        market.oco("buy 1 limit 90", "sell 1 limit 110")
        market.cancel(market.next_ids[0] - 1)
    market.promises.check_state()
    assert int(market.book["g_used"].sum()) == 0
    assert int(market.book["active_count"]) == 0


def test_more_groups_than_there_is_room_for_are_refused() -> None:
    market = Market("0 9x99 101x9")
    market.check_after_calls = False
    for _ in range(512):
        market.bracket("buy 1 limit 50")
    assert market.bracket("buy 1 limit 50") == ["#513 rejected too_many_orders 513 512"]
    assert market.oco("buy 1 limit 50", "buy 1 limit 51")[0] == (
        "#514 rejected too_many_orders 513 512"
    )


def test_exits_on_the_wrong_sides_of_each_other_are_refused() -> None:
    market = Market("0 9x99 101x9")
    market.run_to(0)
    assert market.bracket("buy 1 limit 99", stop="+3", target="90")[0] == (
        "#1 rejected bracket_levels 90 99"
    )


def test_a_size_of_a_partly_filled_entry_is_no_size_of_its_exits() -> None:
    market = Market(QUOTE, "10 5x98 99x1", "20 5x98 99x9")
    market.bracket("buy 5 limit 99", stop="95", target="105")
    market.run_to(10)
    assert market.replace(1, size=3) == ["#1 replaced 3 limit 99"]
    assert market.run_to(20)[1:] == [
        "#2 replaced 3 stop 95 (exit_resized)",
        "#3 replaced 3 limit 105 (exit_resized)",
    ]


def test_a_size_of_a_held_target_is_followed_by_the_stop() -> None:
    market = Market(QUOTE)
    market.bracket("buy 5 limit 99", stop="95", target="105")
    assert market.replace(3, size=2) == [
        "#3 replaced 2 limit 105",
        "#2 replaced 2 stop 95 (exit_resized)",
    ]
    assert market.replace(2, stop=-1) == ["#2 change refused price_not_positive -1 1"]


def test_a_held_exit_alone_has_no_sibling_to_follow_it() -> None:
    market = Market(QUOTE)
    market.bracket("buy 5 limit 99", stop="95")
    assert market.replace(2, size=2) == ["#2 replaced 2 stop 95"]


def test_one_gap_that_triggers_stop_and_entry_serves_each_once() -> None:
    """The first stop's fill flattens the position: the second, reduce-only, is gone by its turn."""
    market = Market(QUOTE, "10 5x94 95x5")
    market.place("buy 2 market")
    market.place("sell 2 stop 96")
    market.place("sell 2 stop 95 reduce-only")
    assert market.run_to(10) == [
        "#2 triggered at 94",
        "#2 sell 2@94 taker left 0",
        "#3 cancelled reduce_only_done, filled 0",
    ]
