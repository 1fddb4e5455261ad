"""`on_partial="cancel"` of a bracket: the exit that fills first is the only one from then on."""

from __future__ import annotations

import pytest

from tests.sim.market import Market

FALLS = ("30 2x94 96x9", "40 9x94 96x9")


def bought(*rows: str, **settings: object) -> Market:
    """A market in which a bracket has bought 4 at 101; its exits cancel each other."""
    market = Market("0 5x99 101x5", *rows, **settings)
    market.bracket("buy 4 market", stop="95", target="105", on_partial="cancel")
    return market


def test_a_part_of_the_target_cancels_the_stop_and_says_so() -> None:
    market = bought("10 5x104 106x5", "20 buy 1@106", *FALLS)
    assert market.run_to(20) == [
        "#3 sell 1@105 maker left 3",
        "#2 cancelled sibling, filled 0",
        "#2 unprotected",
    ]
    assert market.run_to(40) == [], "what is left waits at its target"


def test_a_part_of_the_stop_cancels_the_target() -> None:
    market = bought(*FALLS, beyond_top="wait")
    assert market.run_to(30) == [
        "#2 triggered at 94",
        "#2 sell 2@94 taker left 2",
        "#3 cancelled sibling, filled 0",
    ]
    assert market.run_to(40) == ["#2 sell 2@94 taker left 0"]


@pytest.mark.parametrize("on_partial", ["shrink", "cancel"])
def test_a_whole_fill_cancels_the_other_either_way(on_partial: str) -> None:
    market = Market("0 5x99 101x5", "10 9x105 106x5")
    market.bracket("buy 4 market", stop="95", target="105", on_partial=on_partial)
    assert market.run_to(10) == ["#3 sell 4@105 maker left 0", "#2 cancelled sibling, filled 0"]


def test_what_the_entry_fills_later_is_covered_by_the_exit_that_is_left() -> None:
    market = Market("0 5x99 101x5", "10 5x98 99x1", "20 5x98 100x9", "30 buy 1@106", "40 5x98 99x9")
    market.bracket("buy 3 limit 99", stop="95", target="105", on_partial="cancel")
    market.run_to(20)
    assert market.run_to(30) == [
        "#3 sell 1@105 maker left 0",
        "#2 cancelled sibling, filled 0",
        "#3 waits for its entry",
    ]
    assert market.run_to(40) == ["#1 buy 2@99 maker left 0", "#3 activated 2 limit 105"]
