"""Fees, positions, margin, funding and liquidation, to the last 1e-9 of the currency."""

from __future__ import annotations

from decimal import Decimal

import pytest

from broker_api.event import AccountChanged, FundingPaid, OrderFilled, PositionChanged
from tests.sim.market import Market, an_instrument

QUOTE = "0 9x99 101x9"
FUTURE = an_instrument(
    tick_value=Decimal("0.5"),
    fee_per_unit=Decimal("0.37"),
    initial_margin=Decimal(100),
    maintenance_margin=Decimal(80),
)
PERPETUAL = an_instrument(
    lot_size=Decimal("0.001"),
    max_size=Decimal(1),
    min_size=Decimal("0.001"),
    maker_fee_ppm=-20,
    taker_fee_ppm=450,
    initial_margin_ppm=50_000,
    maintenance_margin_ppm=25_000,
)


def money(market: Market, instrument: int = 0) -> tuple[int, int, int, int]:
    """(position, cost in ticks x lots, realised, cash) of the newest events."""
    position = next(e for e in reversed(market.events) if isinstance(e, PositionChanged))
    account = next(e for e in reversed(market.events) if isinstance(e, AccountChanged))
    return (
        position.position_lots,
        position.position_cost,
        position.realised_nanos,
        account.cash_nanos,
    )


def last_fill(market: Market) -> OrderFilled:
    return next(e for e in reversed(market.events) if isinstance(e, OrderFilled))


def test_a_round_trip_costs_spread_and_fees() -> None:
    market = Market(QUOTE, instruments=[FUTURE], cash=1000)
    market.place("buy 3 market")
    assert money(market) == (3, 303, 0, 1000 * 10**9 - 3 * 370_000_000)
    market.place("sell 3 market")
    assert money(market) == (0, 0, -3 * 10**9, 1000 * 10**9 - 3 * 10**9 - 6 * 370_000_000)


def test_a_partial_close_releases_its_share_of_the_cost_and_leaves_no_residue() -> None:
    market = Market("0 9x99 101x2", instruments=[FUTURE], cash=1000, fees=False)
    market.place("buy 5 market")  # 2@101, 2@102, 1@103: 509 for 5
    assert money(market)[:2] == (5, 509)
    market.place("sell 2 market")  # releases 509 * 2 // 5 = 203
    assert money(market) == (3, 306, (198 - 203) * 500_000_000, 997_500_000_000)
    market.place("sell 1 market")  # 306 // 3 = 102
    market.place("sell 2 market")
    assert money(market) == (0, 0, (495 - 509) * 500_000_000, 993 * 10**9)


def test_a_short_position_mirrors_a_long_one() -> None:
    market = Market("0 2x99 101x9", instruments=[FUTURE], cash=1000, fees=False)
    market.place("sell 5 market")  # 2@99, 2@98, 1@97: 491 for 5
    assert money(market)[:2] == (-5, -491)
    market.place("buy 2 market")  # -491 * 2 / 5 = -196.4, rounded down to -197
    assert money(market)[:3] == (-3, -294, (197 - 202) * 500_000_000)
    market.place("buy 3 market")
    assert money(market)[:3] == (0, 0, (491 - 505) * 500_000_000)


def test_a_flip_realises_the_closed_part_and_opens_the_rest_at_the_fill() -> None:
    market = Market(QUOTE, instruments=[FUTURE], cash=1000, fees=False)
    market.place("buy 2 market")
    market.place("sell 5 market")
    assert money(market) == (-3, -297, -2 * 10**9, 998 * 10**9)


@pytest.mark.parametrize(
    ("order", "fee"),
    [
        ("buy 7 market", 7 * 101 * 1_000_000 * 450 // 10**6),
        ("buy 7 limit 99", -(7 * 99 * 1_000_000 * 20 // 10**6)),
    ],
)
def test_takers_pay_and_makers_receive_parts_per_million(order: str, fee: int) -> None:
    market = Market(QUOTE, "10 9x97 98x9", instruments=[PERPETUAL], cash=10)
    market.place(order)
    market.run_to(10)
    assert last_fill(market).fee_nanos == fee
    assert money(market)[3] == 10 * 10**9 - fee


def test_fees_can_be_switched_off() -> None:
    market = Market(QUOTE, instruments=[FUTURE], fees=False)
    market.place("buy 7 market")
    assert last_fill(market).fee_nanos == 0


def test_equity_is_cash_and_open_profit_at_the_side_one_would_get() -> None:
    market = Market(QUOTE, "10 9x89 91x9", "20 - 91x9", instruments=[FUTURE], cash=1000, fees=False)
    market.place("buy 2 market")
    assert market.exchange.equity_nanos() == 1000 * 10**9 - 2 * 2 * 500_000_000
    market.run_to(10)
    assert market.exchange.equity_nanos() == 1000 * 10**9 - 2 * 12 * 500_000_000
    market.run_to(20)
    assert market.exchange.equity_nanos() == 1000 * 10**9 - 2 * 12 * 500_000_000


def test_equity_is_at_the_mark_if_there_is_one() -> None:
    market = Market(QUOTE, "10 mark 100.25", "20 9x89 91x9", instruments=[FUTURE], fees=False)
    market.place("sell 2 market")
    market.run_to(20)
    assert market.exchange.equity_nanos() == 10**15 - 2 * 1_250_000_000 // 2


@pytest.mark.parametrize(
    ("orders", "used"),
    [
        ([], 0),
        (["buy 2 limit 99"], 200),
        (["buy 2 limit 99", "buy 1 stop 105"], 300),
        (["buy 2 limit 99", "sell 3 limit 101"], 300),
        (["buy 2 market"], 200),
        (["buy 2 market", "sell 2 limit 110"], 200),
        (["buy 2 market", "sell 4 limit 110"], 200),
        (["buy 2 market", "sell 5 limit 110"], 300),
        (["buy 2 market", "buy 1 limit 90"], 300),
        (["buy 2 market", "sell 9 limit 110 reduce-only"], 200),
    ],
)
def test_working_orders_reserve_what_would_increase_exposure(orders: list[str], used: int) -> None:
    market = Market(QUOTE, instruments=[FUTURE], margin=True)
    for order in orders:
        assert "accepted" in market.place(order)[0]
    assert market.exchange.used_margin_nanos() == used * 10**9


def test_exits_reserve_nothing_and_oco_legs_of_one_side_once() -> None:
    market = Market(QUOTE, instruments=[FUTURE], margin=True)
    market.bracket("buy 2 market", stop="90", target="110")
    assert market.exchange.used_margin_nanos() == 200 * 10**9
    market.oco("buy 3 limit 95", "buy 3 stop 105")
    assert market.exchange.used_margin_nanos() == 500 * 10**9
    market.oco("sell 6 limit 120", "buy 1 limit 94")
    assert market.exchange.used_margin_nanos() == 600 * 10**9


def test_the_margin_of_a_notional_counts_the_orders_own_price() -> None:
    market = Market(QUOTE, instruments=[PERPETUAL], margin=True)
    market.place("buy 100 limit 80")
    assert market.exchange.used_margin_nanos() == 100 * 80 * 1_000_000 * 50_000 // 10**6


def test_margin_is_refused_to_the_nano() -> None:
    market = Market(QUOTE, instruments=[FUTURE], margin=True, cash=300)
    assert "accepted" in market.place("buy 2 limit 99")[0]
    need = "insufficient_margin 200000000000 100000000000"
    assert market.place("buy 2 limit 99") == [f"#2 rejected {need}"]
    assert "accepted" in market.place("buy 1 limit 99")[0]
    market.cancel(1)
    assert "accepted" in market.place("buy 2 limit 99")[0]


def test_a_flip_needs_margin_for_the_opened_part_only() -> None:
    market = Market(QUOTE, instruments=[FUTURE], margin=True, cash=303, fees=False)
    market.place("buy 2 market")  # 301 of equity, 200 used
    assert market.place("sell 6 limit 200")[0].startswith("#2 rejected insufficient_margin")
    assert market.place("sell 5 market")[-1] == "#3 sell 5@99 taker left 0"
    assert market.position == -3


def test_a_closing_order_needs_no_margin_even_when_there_is_none() -> None:
    market = Market(QUOTE, "10 9x69 71x9", instruments=[FUTURE], margin=True, cash=300)
    market.place("buy 2 market")
    market.run_to(10)
    assert market.place("buy 1 limit 60")[0].startswith("#2 rejected insufficient_margin")
    assert market.place("sell 2 market")[-1] == "#3 sell 2@69 taker left 0"


def test_below_maintenance_all_orders_end_and_positions_are_closed() -> None:
    # 2 lots at 101 with 210: maintenance of 160 is broken below 51 lost, at a bid of 50
    rows = ("10 9x52 53x9", "20 9x51 53x9", "30 9x50 53x9")
    market = Market(QUOTE, *rows, instruments=[FUTURE], margin=True, cash=210, fees=False)
    market.bracket("buy 2 market", stop="20", target="150")
    market.place("sell 1 limit 120 reduce-only")
    assert market.run_to(20) == []
    assert market.run_to(30) == [
        "liquidation 159 < 160",
        "#2 cancelled liquidated, filled 0",
        "#3 cancelled liquidated, filled 0",
        "#4 cancelled liquidated, filled 0",
        "#-1 accepted sell 2",
        "#-1 sell 2@50 taker left 0",
    ]
    assert money(market) == (0, 0, -51 * 10**9, 159 * 10**9)


def test_a_short_position_is_liquidated_on_its_own_side() -> None:
    market = Market(
        QUOTE, "10 9x150 151x9", instruments=[FUTURE], margin=True, cash=210, fees=False
    )
    market.place("sell 2 market")
    assert market.run_to(10)[0] == "liquidation 158 < 160"
    assert market.position == 0


def test_a_liquidation_without_liquidity_waits_and_is_not_repeated() -> None:
    rows = ("10 1x30 53x9", "20 - 53x9", "25 - 54x9", "30 1x29 53x9")
    dear = an_instrument(initial_margin=Decimal(100), maintenance_margin=Decimal(80))
    market = Market(QUOTE, *rows, instruments=[dear], margin=True, cash=210, beyond_top="wait")
    market.place("buy 2 market")
    assert market.run_to(10) == [
        "liquidation 68 < 160",
        "#-1 accepted sell 2",
        "#-1 sell 1@30 taker left 1",
    ]
    assert market.run_to(25) == []
    assert market.run_to(30) == ["#-1 sell 1@29 taker left 0"]


def test_a_gap_over_a_halt_is_liquidated_on_the_first_row_after_it() -> None:
    rows = ("10 halt", "20 9x40 53x9", "30 resume", "40 9x40 53x9")
    market = Market(QUOTE, *rows, instruments=[FUTURE], margin=True, cash=210, fees=False)
    market.place("buy 2 market")
    assert market.run_to(30) == ["halted market_halted at 10", "resumed at 30"]
    assert market.run_to(40)[0] == "liquidation 149 < 160"


def test_fees_alone_can_bring_an_account_below_maintenance() -> None:
    dear = an_instrument(fee_per_unit=Decimal(30), maintenance_margin=Decimal(100))
    market = Market(QUOTE, "10 9x99 101x8", instruments=[dear], margin=True, cash=120)
    market.place("buy 1 market")
    assert market.run_to(10)[0] == "liquidation 88 < 100"


def test_a_mark_below_maintenance_liquidates() -> None:
    market = Market(QUOTE, "10 mark 49.5", instruments=[FUTURE], margin=True, cash=210, fees=False)
    market.place("buy 2 market")
    assert market.run_to(10)[0] == "liquidation 158.5 < 160"


def test_with_margin_off_nothing_is_refused_or_liquidated() -> None:
    market = Market(QUOTE, "10 9x1 2x9", instruments=[FUTURE], margin=False, cash=0)
    market.place("buy 9 market")
    assert market.run_to(10) == []


@pytest.mark.parametrize(
    ("order", "row", "paid"),
    [
        ("buy 4 market", "10 funding 100ppm 99.5", 4 * 995 * 10**5 * 100 // 10**6),
        ("sell 4 market", "10 funding 100ppm 99.5", -4 * 995 * 10**5 * 100 // 10**6),
        ("buy 4 market", "10 funding -100ppm 99.5", -4 * 995 * 10**5 * 100 // 10**6),
        ("buy 4 market", "10 funding 100ppm", 4 * 99 * 10**6 * 100 // 10**6),
    ],
)
def test_longs_pay_funding_and_shorts_receive_it(order: str, row: str, paid: int) -> None:
    market = Market(QUOTE, row, instruments=[PERPETUAL], cash=10, fees=False)
    market.place(order)
    market.run_to(10)
    (event,) = (event for event in market.events if isinstance(event, FundingPaid))
    assert event.value == paid
    assert money(market)[3] == 10 * 10**9 - paid


def test_without_a_position_no_funding_is_paid() -> None:
    market = Market(QUOTE, "10 funding 100ppm 99.5", instruments=[PERPETUAL])
    assert market.run_to(10) == []


def test_a_perpetual_is_liquidated_by_its_notional() -> None:
    # 1,000 lots of 0.001 at 101 with 6: maintenance is 2.5 % of the value
    market = Market(
        "0 2000x99 101x2000",
        "10 2000x98 99x2000",
        "20 2000x97 98x2000",
        instruments=[PERPETUAL],
        margin=True,
        cash=6,
        fees=False,
    )
    assert market.place("buy 1000 market")[-1] == "#1 buy 1000@101 taker left 0"
    assert market.run_to(10) == []
    assert market.run_to(20)[0] == "liquidation 2 < 2.425"


def test_a_waiting_market_order_reserves_margin_at_the_market() -> None:
    market = Market(QUOTE, instruments=[PERPETUAL], margin=True, beyond_top="wait")
    market.place("buy 29 market")
    value = 9 * 99 + 20 * 101  # what waits will meet the ask
    assert market.exchange.used_margin_nanos() == value * 1_000_000 * 50_000 // 10**6
