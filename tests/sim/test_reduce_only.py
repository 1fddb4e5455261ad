"""Orders that may only bring the position nearer to flat."""

from __future__ import annotations

from tests.sim.market import Market

QUOTE = "0 9x99 101x9"


def test_a_fill_is_clipped_to_the_position() -> None:
    market = Market(QUOTE)
    market.place("buy 3 market")
    assert market.place("sell 5 market reduce-only") == [
        "#2 accepted sell 5",
        "#2 sell 3@99 taker left 2",
        "#2 cancelled reduce_only_done, filled 3",
    ]
    assert market.position == 0


def test_a_resting_one_is_clipped_at_its_fill() -> None:
    market = Market(QUOTE, "10 9x105 106x9")
    market.place("buy 3 market")
    market.place("sell 5 limit 105 reduce-only")
    market.place("sell 1 market")
    assert market.run_to(10) == [
        "#2 sell 2@105 maker left 3",
        "#2 cancelled reduce_only_done, filled 2",
    ]


def test_it_ends_at_once_when_the_position_is_flat() -> None:
    market = Market(QUOTE)
    market.place("buy 3 market")
    market.place("sell 3 limit 105 reduce-only")
    market.place("sell 3 stop 95 reduce-only")
    assert market.place("sell 3 market") == [
        "#4 accepted sell 3",
        "#4 sell 3@99 taker left 0",
        "#2 cancelled reduce_only_done, filled 0",
        "#3 cancelled reduce_only_done, filled 0",
    ]


def test_it_ends_when_the_position_turns() -> None:
    market = Market(QUOTE)
    market.place("buy 3 market")
    market.place("sell 3 limit 105 reduce-only")
    assert market.place("sell 5 market")[-1] == "#2 cancelled reduce_only_done, filled 0"
    assert market.position == -2


def test_a_larger_position_does_not_enlarge_it() -> None:
    market = Market(QUOTE, "10 9x105 106x9")
    market.place("buy 3 market")
    market.place("sell 3 limit 105 reduce-only")
    market.place("buy 3 market")
    assert market.run_to(10) == ["#2 sell 3@105 maker left 0"]
    assert market.position == 3


def test_several_on_one_print_never_turn_the_position() -> None:
    market = Market(QUOTE, "10 buy 9@106 9x104 107x9")
    market.place("buy 3 market")
    market.place("sell 2 limit 105 reduce-only")
    market.place("sell 2 limit 105 reduce-only")
    assert market.run_to(10) == [
        "#2 sell 2@105 maker left 0",
        "#3 sell 1@105 maker left 1",
        "#3 cancelled reduce_only_done, filled 1",
    ]


def test_it_needs_no_margin() -> None:
    market = Market(QUOTE, margin=True, cash=0)
    market.place("buy 3 market")
    assert market.place("sell 3 market reduce-only")[-1] == "#2 sell 3@99 taker left 0"
