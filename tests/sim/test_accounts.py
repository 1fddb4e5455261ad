"""Several accounts on one book: whom an order meets, in which turn, and what stays apart."""

from __future__ import annotations

from typing import Any

import pytest

from broker_api.config import AccountConfig, SimulationConfig
from broker_api.errors import ConfigurationError
from sim.exchange import Exchange
from sim.reference import ReferenceExchange
from tests.sim.market import PLAIN, Hours, Market, tape_of

QUOTE = "0 5x99 101x5"
WIDE = "0 5x95 105x5"


def two(*rows: str, **settings: Any) -> Market:
    """A market with two accounts."""
    return Market(*rows, accounts=2, **settings)


# who has what


def test_every_account_counts_its_orders_and_events_for_itself() -> None:
    market = two(QUOTE)
    assert market.place("buy 1 limit 98") == ["#1 accepted buy 1 limit 98"]
    assert market.place("buy 2 limit 98", account=1) == ["b#1 accepted buy 2 limit 98"]
    assert [(event.account, event.seq) for event in market.events] == [(0, 1), (1, 1)]


def test_a_command_finds_the_orders_of_its_account_only() -> None:
    market = two(QUOTE)
    market.place("buy 1 limit 98")
    assert market.cancel(1, account=1) == ["b#1 cancel refused unknown_order rejected"]
    assert market.replace(1, size=2, account=1) == ["b#1 change refused unknown_order 0 0"]
    market.place("buy 1 limit 97", account=1)
    assert market.cancel(1, account=1) == ["b#1 cancelled by_user, filled 0"]
    assert market.cancel(1, account=1) == ["b#1 cancel refused order_not_active cancelled"]
    assert market.replace(1, size=2) == ["#1 replaced 2 limit 98"]


def test_halts_and_openings_are_told_to_every_account() -> None:
    market = two(QUOTE, "10 halt", "20 resume", calendar=Hours((0, 30)))
    assert market.run_to(10) == ["halted market_halted at 10", "bhalted market_halted at 10"]
    assert market.run_to(20) == ["resumed at 20", "bresumed at 20"]
    assert [event.account for event in market.events] == [0, 1, 0, 1]


@pytest.mark.parametrize("exchange", [Exchange, ReferenceExchange])
def test_bars_take_one_account_only(exchange: type[Exchange | ReferenceExchange]) -> None:
    tape = tape_of(["0 bar 100 110 95 105 v40"])
    configs = [AccountConfig(), AccountConfig()]
    calendar = Hours((0, 1 << 60))
    with pytest.raises(ConfigurationError, match=r"X: its tape .* bars; .* need quotes or trades"):
        exchange([PLAIN], [tape], [calendar], SimulationConfig(), configs)


# prices


def test_an_order_meets_what_another_account_has_inside_the_spread() -> None:
    market = two(WIDE)
    market.place("sell 3 limit 102", account=1)
    assert market.place("buy 2 limit 104") == [
        "#1 accepted buy 2 limit 104",
        "#1 buy 2@102 taker left 0",
        "b#1 sell 2@102 maker left 1",
    ]
    assert (market.position_of(0), market.position_of(1)) == (2, -2)


def test_a_trade_between_accounts_is_no_print() -> None:
    market = Market(WIDE, "1 print 1@100", accounts=3)
    market.run_to(1)
    market.place("buy 1 stop 101", account=2)
    market.place("sell 4 limit 103", account=1)
    market.place("sell 1 limit 103", account=2)
    market.place("buy 2 limit 103")
    assert market.cancel(1, account=2) == ["c#1 cancelled by_user, filled 0"]
    assert market.queue_ahead(2, account=2) == 0
    assert market.place("buy 1 stop 101", account=1) == ["b#2 accepted buy 1 stop 101"]


def test_the_better_price_comes_first_whoever_has_it() -> None:
    market = two(QUOTE)
    for order in ("sell 1 limit 100", "sell 1 limit 103"):
        market.place(order, account=1)
    assert market.place("buy 17 limit 103") == [
        "#1 accepted buy 17 limit 103",
        "#1 buy 1@100 taker left 16",
        "b#1 sell 1@100 maker left 0",
        "#1 buy 5@101 taker left 11",
        "#1 buy 5@102 taker left 6",
        "#1 buy 5@103 taker left 1",
        "#1 buy 1@103 taker left 0",
        "b#2 sell 1@103 maker left 0",
    ]


@pytest.mark.parametrize(
    ("beyond_top", "fills"),
    [
        ("wait", ["5@101", "1@102", "1@104"]),
        ("infinite", ["10@101"]),
    ],
)
def test_beyond_the_touch_makers_are_met_where_the_tape_has_nothing(
    beyond_top: str, fills: list[str]
) -> None:
    market = two(QUOTE, beyond_top=beyond_top)
    for order in ("sell 1 limit 102", "sell 1 limit 104"):
        market.place(order, account=1)
    lines = [line for line in market.place("buy 10 market") if line.startswith("#1 buy")]
    assert [line.split()[2] for line in lines] == fills


def test_a_limit_ends_the_walk() -> None:
    market = two(WIDE)
    market.place("sell 1 limit 102", account=1)
    market.place("sell 1 limit 103", account=1)
    assert market.place("buy 5 limit 102")[1:] == [
        "#1 buy 1@102 taker left 4",
        "b#1 sell 1@102 maker left 0",
    ]
    assert market.place("sell 4 limit 102 ioc", account=1)[1:] == [
        "b#3 sell 4@102 taker left 0",
        "#1 buy 4@102 maker left 0",
    ]


def test_protection_is_counted_from_the_touch_of_the_tape() -> None:
    market = two(QUOTE, beyond_top="wait")
    for order in ("sell 1 limit 100", "sell 1 limit 102", "sell 1 limit 103"):
        market.place(order, account=1)
    assert market.place("buy 9 market protect=1")[1:] == [
        "#1 buy 1@100 taker left 8",
        "b#1 sell 1@100 maker left 0",
        "#1 buy 5@101 taker left 3",
        "#1 buy 1@102 taker left 2",
        "b#2 sell 1@102 maker left 0",
        "#1 replaced 9 limit 102 (protection_limit)",
    ]


def test_after_256_levels_the_tape_gives_no_more_and_makers_still_do() -> None:
    market = two("0 5x99 101x1")
    market.place("sell 2 limit 400", account=1)
    lines = market.place("buy 260 market")
    assert lines[256] == "#1 buy 1@356 taker left 4"
    assert lines[257:] == ["#1 buy 2@400 taker left 2", "b#1 sell 2@400 maker left 0"]


def test_the_example_of_the_rules_page() -> None:
    market = two("0 5x99 101x5", "10 5x99 101x8", beyond_top="wait")
    for order in ("sell 1 limit 100", "sell 2 limit 101", "sell 1 limit 104"):
        market.place(order, account=1)
    market.run_to(10)
    lines = [line for line in market.place("buy 12 market") if line.startswith("#1 buy")]
    fills = [line.split()[2] for line in lines]
    assert fills == ["1@100", "5@101", "2@101", "3@101", "1@104"]


# one price


def test_at_one_price_the_tape_ahead_of_the_maker_then_the_maker_then_the_tape() -> None:
    market = two(QUOTE, "10 5x99 101x8")
    market.place("sell 2 limit 101", account=1)
    market.run_to(10)
    assert market.place("buy 9 limit 101") == [
        "#1 accepted buy 9 limit 101",
        "#1 buy 5@101 taker left 4",
        "#1 buy 2@101 taker left 2",
        "b#1 sell 2@101 maker left 0",
        "#1 buy 2@101 taker left 0",
    ]
    assert market.place("buy 2 limit 101 ioc")[1:] == [
        "#2 buy 1@101 taker left 1",
        "#2 cancelled ioc_rest, filled 1",
    ]


def test_what_another_account_takes_from_the_tape_leaves_the_queue() -> None:
    market = Market(QUOTE, "10 buy 3@101 5x99 101x5", accounts=3)
    market.place("sell 2 limit 101", account=1)
    market.place("sell 2 limit 101", account=2)
    market.place("buy 3 limit 101")
    assert market.queue_ahead(1, account=1) == 2
    assert market.queue_ahead(1, account=2) == 2
    assert market.run_to(10) == ["b#1 sell 1@101 maker left 1"]


def test_makers_of_one_price_are_met_in_the_order_of_time() -> None:
    market = Market(WIDE, accounts=3)
    market.place("sell 2 limit 102", account=2)
    market.place("sell 2 limit 102", account=1)
    assert market.place("buy 3 limit 102")[1:] == [
        "#1 buy 2@102 taker left 1",
        "c#1 sell 2@102 maker left 0",
        "#1 buy 1@102 taker left 0",
        "b#1 sell 1@102 maker left 1",
    ]


def test_between_two_makers_come_the_tapes_lots_that_joined_between_them() -> None:
    market = Market(QUOTE, "10 5x99 101x8", accounts=3)
    market.place("sell 1 limit 101", account=1)
    market.run_to(10)
    market.place("sell 1 limit 101", account=2)
    lines = market.place("buy 20 limit 101")
    assert lines[1:] == [
        "#1 buy 5@101 taker left 15",
        "#1 buy 1@101 taker left 14",
        "b#1 sell 1@101 maker left 0",
        "#1 buy 3@101 taker left 11",
        "#1 buy 1@101 taker left 10",
        "c#1 sell 1@101 maker left 0",
    ]


def test_a_queue_in_parts_of_a_lot_is_whole_lots_to_the_one_who_takes() -> None:
    market = two("0 5x99 101x20", "10 5x99 101x30", "20 5x99 101x15")
    market.place("sell 1 limit 101", account=1)
    market.run_to(20)
    ahead = market.queue_ahead(1, account=1)
    assert ahead is not None
    assert 8 < ahead < 9  # docs/fills.md, "Queue models"
    assert market.place("buy 10 limit 101")[1:3] == [
        "#1 buy 9@101 taker left 1",
        "#1 buy 1@101 taker left 0",
    ]


@pytest.mark.parametrize(
    ("queue", "fills"),
    [
        ("back", ["5@101", "2@101"]),
        ("front", ["2@101", "5@101"]),
        ("displayed", ["5@101", "2@101"]),
    ],
)
def test_the_queue_model_says_what_of_the_tape_is_ahead(queue: str, fills: list[str]) -> None:
    market = two(QUOTE, queue=queue)
    market.place("sell 2 limit 101", account=1)
    lines = [line for line in market.place("buy 7 limit 101") if line.startswith("#1 buy")]
    assert [line.split()[2] for line in lines] == fills


def test_behind_an_unknown_queue_everything_of_the_tape_comes_first() -> None:
    market = two(QUOTE)
    market.place("sell 2 limit 102", account=1)
    assert market.queue_ahead(1, account=1) is None
    assert market.place("buy 12 limit 102")[1:] == [
        "#1 buy 5@101 taker left 7",
        "#1 buy 5@102 taker left 2",
        "#1 buy 2@102 taker left 0",
        "b#1 sell 2@102 maker left 0",
    ]


def test_an_infinite_touch_gives_what_is_ahead_and_after_the_maker_all_the_rest() -> None:
    market = two(QUOTE, beyond_top="infinite")
    market.place("sell 2 limit 101", account=1)
    assert market.place("buy 99 market")[1:] == [
        "#1 buy 5@101 taker left 94",
        "#1 buy 2@101 taker left 92",
        "b#1 sell 2@101 maker left 0",
        "#1 buy 92@101 taker left 0",
    ]


def test_what_a_maker_grew_has_a_place_of_its_own() -> None:
    market = Market("0 5x99 101x4", "10 5x99 101x6", "20 5x99 101x10", accounts=3)
    market.bracket("buy 2 limit 100", target="101", account=1)
    market.place("sell 1 limit 100")
    market.run_to(10)
    assert market.place("sell 1 limit 100")[-1] == "b#2 replaced 2 limit 101 (exit_resized)"
    market.run_to(20)
    assert market.place("buy 20 limit 101", account=2)[1:] == [
        "c#1 buy 4@101 taker left 16",
        "c#1 buy 1@101 taker left 15",
        "b#2 sell 1@101 maker left 1",
        "c#1 buy 2@101 taker left 13",
        "c#1 buy 1@101 taker left 12",
        "b#2 sell 1@101 maker left 0",
        "c#1 buy 4@101 taker left 8",
    ]


# own orders


def test_only_orders_of_one_account_prevent_each_other() -> None:
    market = two(WIDE)
    market.place("sell 1 limit 101", account=1)
    market.place("sell 1 limit 102")
    market.place("sell 1 limit 102", account=1)
    assert market.place("buy 3 limit 102")[1:] == [
        "#2 buy 1@101 taker left 2",
        "b#1 sell 1@101 maker left 0",
        "#2 cancelled self_trade, filled 1",
    ]


def test_an_own_order_at_the_price_is_dealt_with_before_the_makers_there() -> None:
    market = two(WIDE, self_trade="cancel_oldest")
    market.place("sell 1 limit 102", account=1)
    market.place("sell 1 limit 102")
    assert market.place("buy 2 limit 103")[1:] == [
        "#1 cancelled self_trade, filled 0",
        "#2 buy 1@102 taker left 1",
        "b#1 sell 1@102 maker left 0",
    ]
