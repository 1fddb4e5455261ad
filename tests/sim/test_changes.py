"""Changes of working orders: what keeps the place, what is refused, what completes."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.sim.market import Market, an_instrument

QUOTE = "0 10x99 101x10"


def resting(*rows: str, order: str = "buy 4 limit 99", **more: object) -> Market:
    """A market in which an order rests behind 10 lots, 4 of which printed by the time 10."""
    market = Market(QUOTE, "10 sell 4@99 20x99 101x10", *rows, **more)
    market.place(order)
    market.run_to(10)
    return market


@pytest.mark.parametrize(
    ("change", "ahead"),
    [
        ({"size": 3}, 6),
        ({"size": 4}, 6),
        ({"limit": 99}, 6),
        ({}, 6),
        ({"size": 5}, 20),
        ({"limit": 100}, 0),
        ({"limit": 98}, None),
        ({"size": 3, "limit": 98}, None),
    ],
)
def test_a_smaller_size_keeps_the_place_a_larger_one_or_a_new_price_loses_it(
    change: dict[str, int], ahead: float | None
) -> None:
    market = resting()
    assert market.replace(1, **change)[0].startswith("#1 replaced")
    assert market.queue_ahead(1) == ahead


def test_a_larger_size_goes_behind_own_orders_at_the_price() -> None:
    market = Market(QUOTE, "10 sell 3@99", queue="front")
    market.place("buy 2 limit 99")
    market.place("buy 2 limit 99")
    market.replace(1, size=3)
    assert market.run_to(10) == ["#2 buy 2@99 maker left 0", "#1 buy 1@99 maker left 2"]


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"size": 0}, "size_not_positive 0 1"),
        ({"size": -2}, "size_not_positive -2 1"),
        ({"size": 1}, "size_below_filled 1 2"),
        ({"size": 101}, "size_above_maximum 101 100"),
        ({"limit": 0}, "price_not_positive 0 1"),
        ({"stop": 95}, "not_modifiable 95 0"),
    ],
)
def test_a_refused_change_leaves_everything_as_it_was(change: dict[str, int], answer: str) -> None:
    market = resting(
        "20 sell 8@99 15x99 101x10",
        "30 sell 3@99 15x99 101x10",
        instruments=[an_instrument(max_size=Decimal(100))],
    )
    assert market.run_to(20) == ["#1 buy 2@99 maker left 2"]
    assert market.replace(1, **change) == [f"#1 change refused {answer}"]
    refusal = market.events[-1]
    assert (refusal.filled_lots, refusal.leaves_lots, refusal.status) == (
        2,
        2,
        "partially_filled",
    )
    assert market.run_to(30) == ["#1 buy 2@99 maker left 0"]


def test_a_size_equal_to_what_is_filled_completes_the_order() -> None:
    market = resting("20 sell 8@99 15x99 101x10")
    market.run_to(20)
    assert market.replace(1, size=2) == ["#1 replaced 2 limit 99 (completed_by_size)"]
    assert market.events[-1].status == "filled"
    assert market.cancel(1) == ["#1 cancel refused order_not_active filled"]


def test_a_change_to_a_marketable_price_takes() -> None:
    market = resting()
    assert market.replace(1, limit=101) == [
        "#1 replaced 4 limit 101",
        "#1 buy 4@101 taker left 0",
    ]


def test_a_post_only_order_is_not_changed_into_a_taker() -> None:
    market = resting(order="buy 4 limit 99 post-only")
    answer = ["#1 change refused post_only_would_take 101 101"]
    assert market.replace(1, limit=101) == answer
    assert market.replace(1, limit=100) == ["#1 replaced 4 limit 100"]


def test_a_post_only_order_that_the_market_has_reached_cannot_grow_into_it() -> None:
    market = Market(QUOTE, "10 9x98 99x2")
    market.place("buy 4 limit 99 post-only")
    assert market.run_to(10) == ["#1 buy 2@99 maker left 2"]
    assert market.replace(1, size=5) == ["#1 change refused post_only_would_take 99 99"]
    assert market.replace(1, size=3) == ["#1 replaced 3 limit 99"]


def test_a_change_below_the_minimum_size_is_refused() -> None:
    market = Market(QUOTE, instruments=[an_instrument(min_size=Decimal(3))])
    market.place("buy 5 limit 99")
    assert market.replace(1, size=2) == ["#1 change refused size_below_minimum 2 3"]
    assert market.replace(1, size=3) == ["#1 replaced 3 limit 99"]


def test_a_waiting_market_order_cannot_be_changed_but_cancelled() -> None:
    market = Market(QUOTE, beyond_top="wait")
    market.place("buy 15 market")
    assert market.replace(1, size=20) == ["#1 change refused not_modifiable 0 0"]
    assert market.cancel(1) == ["#1 cancelled by_user, filled 10"]


def test_a_stop_changes_its_price_size_and_limit() -> None:
    market = Market(QUOTE)
    market.place("sell 4 stop 95 limit 94")
    assert market.replace(1, stop=96) == ["#1 replaced 4 stop 96 limit 94"]
    assert market.replace(1, limit=93, size=6) == ["#1 replaced 6 stop 96 limit 93"]
    market.place("sell 4 stop 95")
    assert market.replace(2, limit=93) == ["#2 change refused not_modifiable 93 0"]


def test_a_dearer_order_needs_the_margin_for_the_difference() -> None:
    dear = an_instrument(initial_margin=Decimal(100))
    market = Market(QUOTE, instruments=[dear], margin=True, cash=450)
    market.place("buy 4 limit 99")
    need = "insufficient_margin 100000000000 50000000000"
    assert market.replace(1, size=5) == [f"#1 change refused {need}"]
    assert market.replace(1, size=2) == ["#1 replaced 2 limit 99"]
    assert market.replace(1, size=4) == ["#1 replaced 4 limit 99"]


def test_a_change_of_an_own_order_across_another_prevents_the_trade() -> None:
    market = Market("0 10x90 110x10")
    market.place("buy 4 limit 95")
    market.place("sell 4 limit 100")
    assert market.replace(1, limit=100) == [
        "#1 replaced 4 limit 100",
        "#2 cancelled self_trade, filled 0",
    ]
