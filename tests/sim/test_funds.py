"""Deposits, leverage and the margin of isolated positions: what is changed without a trade."""

from __future__ import annotations

from typing import Any

import pytest

from broker_api.errors import FundsError
from broker_api.event import AccountChanged, FundsDeposited
from sim.funds import Deposit, MoveMargin, SetLeverage
from tests.sim.market import Market, an_instrument

RATES = {"initial_margin_ppm": 100_000, "maintenance_margin_ppm": 50_000}
UNIT = 10**9


def a_market(**account: Any) -> Market:
    """One instrument at 100, a tenth of the notional as margin at most, 100 of cash."""
    return Market(
        "0 90x99 100x90",
        instruments=[an_instrument(**RATES)],
        margin=True,
        fees=False,
        cash=100,
        account=account,
    )


def bucket(market: Market) -> float:
    return int(market.book["p_bucket"][0]) / UNIT


def refusal(market: Market, change: Deposit | MoveMargin | SetLeverage) -> str:
    """The word of the refusal, after which nothing is changed."""
    before = market.exchange.state_hash
    with pytest.raises(FundsError) as raised:
        market.change_funds(change)
    assert market.exchange.state_hash == before
    return raised.value.reason


def test_a_deposit_is_cash_and_an_event() -> None:
    moved, account = a_market().change_funds(Deposit(7 * UNIT))
    assert isinstance(moved, FundsDeposited)
    assert isinstance(account, AccountChanged)
    assert (moved.value, account.cash_nanos, moved.seq, account.seq) == (7 * UNIT, 107 * UNIT, 1, 2)


def test_a_withdrawal_leaves_what_positions_need() -> None:
    market = a_market()
    market.place("buy 4 market")  # worth 400 at the ask, 396 at the bid: 39.6 of margin
    free = (100 - 4) * UNIT - 396 * UNIT // 10
    assert refusal(market, Deposit(-free - 1)) == "insufficient_margin"
    market.change_funds(Deposit(-free))
    assert market.exchange.equity_nanos() == market.exchange.used_margin_nanos()


def test_leverage_decides_what_an_order_needs() -> None:
    market = a_market()
    market.change_funds(SetLeverage("X", 2, isolated=False))
    assert market.place("buy 3 limit 90")[-1].startswith("#1 rejected")
    market.change_funds(SetLeverage("X", 5, isolated=False))
    assert market.place("buy 3 limit 90") == ["#2 accepted buy 3 limit 90"]


@pytest.mark.parametrize("leverage", [0, 11])
def test_leverage_is_within_the_instruments(leverage: int) -> None:
    assert refusal(a_market(), SetLeverage("X", leverage, isolated=False)) == "leverage"


def test_lower_leverage_needs_the_margin_for_what_is_open() -> None:
    market = a_market()
    market.place("buy 4 market")
    assert refusal(market, SetLeverage("X", 4, isolated=False)) == "insufficient_margin"
    market.change_funds(SetLeverage("X", 5, isolated=False))
    assert market.exchange.used_margin_nanos() == 396 * UNIT // 5


def test_the_mode_changes_while_flat_only() -> None:
    market = a_market()
    market.change_funds(SetLeverage("X", 10, isolated=True))
    market.place("buy 4 market")
    assert bucket(market) == 40
    assert refusal(market, SetLeverage("X", 10, isolated=False)) == "open_position"
    market.change_funds(SetLeverage("X", 5, isolated=True))
    assert bucket(market) == 79.2


def test_margin_moves_between_free_cash_and_an_isolated_position() -> None:
    market = a_market(isolated=["X"])
    market.place("buy 4 market")  # a bucket of 40, 4 of loss at the bid
    market.change_funds(MoveMargin("X", 60 * UNIT))
    assert bucket(market) == 100
    assert refusal(market, MoveMargin("X", 1)) == "insufficient_margin"
    spare = (100 - 4) * UNIT - 396 * UNIT // 10
    assert refusal(market, MoveMargin("X", -spare - 1)) == "insufficient_margin"
    market.change_funds(MoveMargin("X", -spare))


def test_a_position_without_a_margin_of_its_own_gets_none() -> None:
    market = a_market()
    assert refusal(market, MoveMargin("X", UNIT)) == "not_isolated"
    market.place("buy 1 market")
    assert refusal(market, MoveMargin("X", UNIT)) == "not_isolated"
    assert refusal(market, MoveMargin("Y", UNIT)) == "unknown_instrument"
