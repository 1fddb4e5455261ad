"""Several accounts on one book: each has its own money, margin and exits."""

from __future__ import annotations

from dataclasses import replace as changed
from decimal import Decimal
from typing import TypeVar

from broker_api.event import AccountChanged, Event, FundingPaid, PositionChanged
from tests.sim.market import Market, an_instrument, tape_of

T = TypeVar("T", bound=Event)
WIDE = "0 9x95 105x9"
UNIT = 10**9
MARGINED = an_instrument(initial_margin=Decimal(10), maintenance_margin=Decimal(8))
WITH_FEES = an_instrument(maker_fee_ppm=0, taker_fee_ppm=10_000, fee_per_unit=Decimal(1))


def newest(market: Market, kind: type[T]) -> list[T]:
    """The newest event of a kind of each of two accounts."""
    found = [event for event in market.events if isinstance(event, kind)]
    return [[event for event in found if event.account == at][-1] for at in (0, 1)]


def test_what_one_account_pays_the_other_gets_and_each_pays_its_own_fee() -> None:
    market = Market(WIDE, accounts=2, instruments=[WITH_FEES], cash=1000.0)
    market.place("sell 2 limit 100", account=1)
    market.place("buy 2 limit 100")
    market.place("buy 2 limit 98", account=1)
    market.place("sell 2 limit 98")
    last = newest(market, AccountChanged)
    taker_fees, maker_fees = 2 * 2 + 2 + 1.96, 2 * 2
    assert [each.fee_nanos for each in last] == [taker_fees * UNIT, maker_fees * UNIT]
    cash = [each.cash_nanos for each in last]
    assert cash == [(1000 - 4 - taker_fees) * UNIT, (1000 + 4 - maker_fees) * UNIT]


def test_each_account_has_its_own_position_and_cost() -> None:
    market = Market(WIDE, accounts=2)
    market.place("sell 3 limit 100", account=1)
    market.place("buy 3 limit 100")
    market.place("buy 1 market", account=1)
    told = newest(market, PositionChanged)
    assert [each.position_lots for each in told] == [3, -2]
    assert [each.position_cost for each in told] == [300, -200]


def test_working_orders_reserve_margin_of_their_account_only() -> None:
    market = Market(WIDE, accounts=2, instruments=[MARGINED], cash=30.0, margin=True)
    market.place("buy 3 limit 90")
    assert market.place("buy 1 limit 90")[0].startswith("#2 rejected insufficient_margin")
    assert market.place("buy 3 limit 90", account=1) == ["b#1 accepted buy 3 limit 90"]


def test_an_account_has_its_own_leverage_and_cash() -> None:
    by_rate = an_instrument(initial_margin_ppm=500_000, maintenance_margin_ppm=100_000)
    accounts = [{"cash": 100.0}, {"cash": 100.0, "leverage": {"X": 1}}]
    market = Market(WIDE, accounts=accounts, instruments=[by_rate], margin=True)
    assert market.place("buy 2 limit 90") == ["#1 accepted buy 2 limit 90"]
    refused = market.place("buy 2 limit 90", account=1)
    assert refused == [f"b#1 rejected insufficient_margin {180 * UNIT} {100 * UNIT}"]


def test_only_the_account_that_is_short_is_liquidated() -> None:
    rows = (WIDE, "10 9x85 90x9")
    accounts = [{"cash": 1000.0}, {"cash": 52.0}]
    market = Market(*rows, accounts=accounts, instruments=[MARGINED], margin=True)
    for account in (0, 1):
        market.place("buy 2 market", account=account)
        market.place("buy 1 limit 80", account=account)
    assert market.run_to(10) == [
        "bliquidation 12 < 16",
        "b#2 cancelled liquidated, filled 0",
        "b#-1 accepted sell 2",
        "b#-1 sell 2@85 taker left 0",
    ]
    assert (market.position_of(0), market.position_of(1)) == (2, 0)


def test_accounts_are_liquidated_in_turn_and_count_their_liquidations_for_themselves() -> None:
    rows = (WIDE, "10 9x85 90x9")
    market = Market(*rows, accounts=2, instruments=[MARGINED], cash=30.0, margin=True)
    for account in (1, 0):
        market.place("buy 2 market", account=account)
    lines = market.run_to(10)
    assert [line for line in lines if "liquidation" in line] == [
        "liquidation -10 < 16",
        "bliquidation -10 < 16",
    ]
    assert [line for line in lines if "accepted" in line] == [
        "#-1 accepted sell 2",
        "b#-1 accepted sell 2",
    ]


def test_a_liquidation_that_waits_keeps_nobody_else_from_being_liquidated() -> None:
    rows = (WIDE, "1 mark 100", "5 - 105x9", "10 mark 85", "20 9x85 105x9")
    accounts = [{"cash": 30.0}, {"cash": 37.0}]
    market = Market(*rows, accounts=accounts, instruments=[MARGINED], margin=True)
    market.run_to(1)
    for account in (0, 1):
        market.place("buy 2 market", account=account)
    market.run_to(5)
    assert market.run_to(10) == [
        "liquidation -10 < 16",
        "#-1 accepted sell 2",
        "bliquidation -3 < 16",
        "b#-1 accepted sell 2",
    ]
    assert market.run_to(20) == ["#-1 sell 2@85 taker left 0", "b#-1 sell 2@85 taker left 0"]


def test_a_liquidation_meets_other_accounts_and_their_exits_arrive_behind_it() -> None:
    rows = (WIDE, "1 print 1@95", "10 9x85 90x9")
    accounts = [{"cash": 30.0}, {"cash": 1000.0}]
    market = Market(*rows, accounts=accounts, instruments=[MARGINED], margin=True)
    market.run_to(1)
    market.place("buy 2 market")
    market.bracket("buy 1 limit 87", stop="+4", target="+1", account=1)
    assert market.run_to(10) == [
        "liquidation -10 < 16",
        "#-1 accepted sell 2",
        "#-1 sell 1@87 taker left 1",
        "b#1 buy 1@87 maker left 0",
        "#-1 sell 1@85 taker left 0",
        "b#2 activated 1 stop 83",
        "b#3 activated 1 limit 88",
    ]


def test_an_account_that_a_liquidation_gave_a_position_is_looked_at_in_its_turn() -> None:
    rows = (WIDE, "10 9x85 90x9")
    accounts = [{"cash": 30.0}, {"cash": 21.0}]
    market = Market(*rows, accounts=accounts, instruments=[MARGINED], margin=True)
    market.place("buy 2 market")
    market.place("buy 2 limit 89", account=1)
    lines = market.run_to(10)
    assert lines[:4] == [
        "liquidation -10 < 16",
        "#-1 accepted sell 2",
        "#-1 sell 2@89 taker left 0",
        "b#1 buy 2@89 maker left 0",
    ]
    assert lines[4] == "bliquidation 13 < 16"


def test_another_accounts_position_brings_about_no_look_at_mine() -> None:
    tapes = [tape_of(["0 9x95 105x9", "20 9x95 105x9"], symbol="X")]
    tapes.append(tape_of(["0 9x95 105x9", "10 9x75 85x9"], symbol="Y"))
    instruments = [changed(MARGINED, symbol=name, id=name) for name in ("X", "Y")]
    accounts = [{"cash": 35.0}, {"cash": 1000.0}]
    market = Market(tapes=tapes, instruments=instruments, accounts=accounts, margin=True)
    market.place("buy 3 market", symbol="X")  # which makes it short, at the bid
    market.place("buy 3 market", symbol="Y", account=1)
    market.place("buy 1 limit 90", symbol="Y", account=1)
    assert market.run_to(10) == ["b#2 buy 1@90 maker left 0"]
    assert market.run_to(20)[0] == "liquidation 5 < 24"


def test_funding_pays_every_account_in_order() -> None:
    market = Market(WIDE, "10 funding 10000ppm 100", accounts=3)
    market.place("sell 3 limit 100", account=2)
    market.place("buy 3 limit 100")
    assert market.run_to(10) == ["funding 3 on 3", "cfunding -3 on -3"]
    assert [event.account for event in market.events if isinstance(event, FundingPaid)] == [0, 2]


def test_exits_cover_the_position_of_their_account() -> None:
    market = Market(WIDE, "1 print 1@100", accounts=2)
    market.run_to(1)
    for account in (0, 1):
        market.bracket("buy 2 market", stop="90", account=account)
    assert market.place("sell 1 market", account=1)[1:] == [
        "b#3 sell 1@95 taker left 0",
        "b#2 replaced 1 stop 90 (exit_resized)",
    ]


def test_orders_that_only_reduce_look_at_the_position_of_their_account() -> None:
    market = Market(WIDE, accounts=2)
    market.place("buy 2 market")
    answer = market.place("sell 1 limit 110 reduce-only", account=1)
    assert answer == ["b#1 rejected no_position_to_reduce 0 0"]
    market.place("sell 1 limit 110 reduce-only")
    market.place("buy 1 market", account=1)
    assert market.place("sell 1 market", account=1)[1:] == ["b#3 sell 1@95 taker left 0"]
