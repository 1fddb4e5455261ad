"""Several instruments in one account: rows merged by time, money shared, everything else apart."""

from __future__ import annotations

from decimal import Decimal

import pytest

from broker_api.errors import ConfigurationError
from tests.sim.market import Market, an_instrument, order_of, tape_of

FIELDS = {"initial_margin": Decimal(100), "maintenance_margin": Decimal(80)}
PAIR = (an_instrument("X", **FIELDS), an_instrument("Y", **FIELDS))


def pair(first: list[str], second: list[str], **more: object) -> Market:
    """A market of two instruments, X and Y."""
    tapes = [tape_of(first), tape_of(second, symbol="Y")]
    return Market(tapes=tapes, instruments=PAIR, **more)


def test_rows_merge_by_time_then_by_instrument() -> None:
    market = pair(
        ["0 9x99 101x9", "10 9x98 99x1", "30 9x98 99x2"],
        ["0 9x99 101x9", "10 9x98 99x1", "20 9x98 99x2"],
    )
    market.place("buy 9 limit 99", symbol="Y")
    market.place("buy 9 limit 99")
    assert market.run_to(40) == [
        "#2 buy 1@99 maker left 8",
        "#1 buy 1@99 maker left 8",
        "#1 buy 2@99 maker left 6",
        "#2 buy 2@99 maker left 6",
    ]
    assert [event.ts_ns for event in market.events if event.KIND == 4] == [10, 10, 20, 30]


def test_positions_are_apart_and_cash_is_shared() -> None:
    market = pair(["0 9x99 101x9"], ["0 9x99 101x9"], cash=1000)
    market.place("buy 2 market")
    market.place("sell 3 market", symbol="Y")
    assert market.book["p_position"][:2].tolist() == [2, -3]
    market.place("sell 2 market")
    market.place("buy 3 market", symbol="Y")
    assert market.exchange.cash_nanos() == (1000 - 2 * 2 - 3 * 2) * 10**9
    assert market.exchange.equity_nanos() == market.exchange.cash_nanos()


def test_brackets_and_self_trades_know_their_instrument() -> None:
    market = pair(["0 9x99 101x9"], ["0 9x99 101x9", "10 9x94 95x9"])
    market.bracket("buy 2 market", stop="95", target="105")
    market.bracket("buy 2 market", stop="95", target="105", symbol="Y")
    assert market.place("sell 2 market", symbol="Y")[1:] == [
        "#7 sell 2@99 taker left 0",
        "#5 cancelled position_flat, filled 0",
        "#6 cancelled position_flat, filled 0",
    ]
    assert market.run_to(10) == []
    assert market.place("buy 1 limit 106", symbol="Y")[-1] == "#8 buy 1@95 taker left 0"


def test_margin_is_one_for_all() -> None:
    market = pair(["0 9x99 101x9"], ["0 9x99 101x9"], cash=300, margin=True)
    assert "accepted" in market.place("buy 2 limit 99")[0]
    assert "accepted" in market.place("buy 1 limit 99", symbol="Y")[0]
    assert "insufficient_margin" in market.place("buy 1 limit 99", symbol="Y")[0]


def test_a_loss_in_one_liquidates_all() -> None:
    market = pair(
        ["0 9x99 101x9"],
        ["0 9x99 101x9", "10 9x40 53x9", "20 9x10 12x9"],
        cash=250,
        margin=True,
    )
    market.place("buy 1 market")
    market.place("buy 1 market", symbol="Y")
    assert market.run_to(10) == []
    assert market.run_to(20) == [
        "liquidation 157 < 160",
        "#-1 accepted sell 1",
        "#-1 sell 1@99 taker left 0",
        "#-2 accepted sell 1",
        "#-2 sell 1@10 taker left 0",
    ]


def test_the_other_instrument_is_valued_as_of_the_same_time() -> None:
    """Y's row at 10 is in force when X's row at 20 is judged, though nobody asked for it."""
    market = pair(
        ["0 9x99 101x9", "20 9x50 52x9"],
        ["0 9x99 101x9", "10 9x160 162x9", "30 9x160 163x9"],
        cash=203,
        margin=True,
        fees=False,
    )
    market.place("buy 1 market")
    market.place("buy 1 market", symbol="Y")
    assert market.run_to(30) == []
    assert market.exchange.equity_nanos() == (203 - 51 + 59) * 10**9


def test_a_halt_of_one_is_not_the_others() -> None:
    market = pair(["0 9x99 101x9", "10 halt", "40 resume"], ["0 9x99 101x9", "30 9x98 99x9"])
    market.run_to(20)
    assert "market_halted" in market.place("buy 1 limit 99")[0]
    market.place("buy 1 limit 99", symbol="Y")
    assert market.run_to(30) == ["#2 buy 1@99 maker left 0"]


def test_tapes_may_begin_and_end_apart() -> None:
    market = pair(["0 9x99 101x9", "10 9x98 99x9"], ["50 9x99 101x9", "60 9x98 99x9"])
    assert market.place("buy 1 market", symbol="Y") == ["#1 rejected no_liquidity 0 0"]
    market.place("buy 1 limit 99", symbol="Y")
    assert market.run_to(49) == []
    assert market.run_to(60) == ["#2 buy 1@99 maker left 0"]


def test_the_number_of_instruments_has_a_limit() -> None:
    many = [an_instrument(f"X{number}") for number in range(17)]
    tapes = [tape_of(["0 9x99 101x9"], symbol=item.symbol) for item in many]
    with pytest.raises(ConfigurationError, match="17 instruments in one session; the limit is 16"):
        Market(tapes=tapes, instruments=many)


def test_a_halted_instrument_is_liquidated_when_it_trades_again() -> None:
    market = pair(
        ["0 9x99 101x9", "5 halt", "30 resume", "40 9x70 72x9"],
        ["0 9x99 101x9", "10 9x10 12x9"],
        cash=250,
        margin=True,
    )
    market.place("buy 1 market")
    market.place("buy 1 market", symbol="Y")
    assert market.run_to(30)[1:] == [
        "liquidation 157 < 160",
        "#-1 accepted sell 1",
        "#-2 accepted sell 1",
        "#-2 sell 1@10 taker left 0",
        "resumed at 30",
    ]
    assert market.run_to(40) == ["#-1 sell 1@70 taker left 0"]


def test_a_flat_instrument_is_left_alone_by_a_liquidation() -> None:
    market = pair(["0 9x99 101x9"], ["0 9x99 101x9", "10 9x20 22x9"], cash=150, margin=True)
    market.place("buy 1 market", symbol="Y")
    assert market.run_to(10)[1:] == ["#-1 accepted sell 1", "#-1 sell 1@20 taker left 0"]


def test_an_unknown_instrument_is_named() -> None:
    market = pair(["0 9x99 101x9"], ["0 9x99 101x9"])
    with pytest.raises(ConfigurationError, match="Q is not an instrument of this session"):
        market.exchange.execute(order_of("buy 1 market", 1, "Q"))
