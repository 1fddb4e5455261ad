"""Isolated margin: a position that stands on its own bucket, and falls alone."""

from __future__ import annotations

from decimal import Decimal

from broker_api.instrument import MarginTier
from tests.sim.market import Market, an_instrument, tape_of

RATES = {"initial_margin_ppm": 100_000, "maintenance_margin_ppm": 50_000}
QUOTE = "0 100x99 101x100"
UNIT = 10**9


def isolated(*rows: str, **more: object) -> Market:
    """A market of one instrument whose positions are isolated."""
    given = {"instruments": [an_instrument(**RATES)], "margin": True, "fees": False} | more
    return Market(QUOTE, *rows, account={"isolated": ["X"]}, **given)


def pair(first: list[str], second: list[str], **more: object) -> Market:
    """X is isolated, Y is not."""
    return Market(
        tapes=[tape_of([QUOTE, *first]), tape_of([QUOTE, *second], symbol="Y")],
        instruments=[an_instrument("X", **RATES), an_instrument("Y", **RATES)],
        margin=True,
        account={"isolated": ["X"]},
        **more,
    )


def bucket(market: Market) -> float:
    """The first instrument's own margin."""
    return int(market.book["p_bucket"][0]) / UNIT


def test_opening_moves_the_initial_margin_at_the_fills_price_into_the_bucket() -> None:
    market = isolated()
    market.place("buy 4 market")
    assert bucket(market) == 40.4
    market.place("buy 1 limit 100")
    assert bucket(market) == 40.4
    market.place("buy 2 market")
    assert bucket(market) == 60.6


def test_closing_gives_back_its_share_rounded_down_and_the_last_lot_all() -> None:
    market = isolated()
    market.place("buy 3 market")
    market.book["p_bucket"][0] = 10  # nanos
    market.reference.floor.accounts[0].positions[0].bucket = 10
    market.place("sell 1 market")
    assert int(market.book["p_bucket"][0]) == 10 - 3
    market.place("sell 2 market")
    assert bucket(market) == 0
    assert market.exchange.cash_nanos() == (10**6 - 3 * 2) * UNIT


def test_a_flip_leaves_the_margin_of_what_it_opened() -> None:
    market = isolated()
    market.place("buy 4 market")
    market.place("sell 6 market")
    assert bucket(market) == 19.8


def test_fills_in_parts_bring_what_one_fill_would() -> None:
    tiers = (MarginTier(Decimal(0), 100_000, 50_000), MarginTier(Decimal(300), 200_000, 50_000))
    spec = an_instrument(margin_tiers=tiers)
    whole, parts = isolated(instruments=[spec]), isolated(instruments=[spec])
    whole.place("sell 5 market")
    for _ in range(5):
        parts.place("sell 1 market")
    assert bucket(whole) == bucket(parts) == 30 + 195 * 0.2


def test_margin_per_unit_is_isolated_likewise() -> None:
    market = isolated(instruments=[an_instrument(initial_margin=Decimal(25))])
    market.place("sell 3 market")
    assert bucket(market) == 75


def test_cash_and_equity_and_used_margin_count_the_bucket_as_the_accounts() -> None:
    market = isolated(cash=1000)
    market.place("buy 4 market")
    assert market.exchange.cash_nanos() == 1000 * UNIT
    assert market.exchange.equity_nanos() == (1000 - 8) * UNIT
    assert market.exchange.used_margin_nanos() == 404 * UNIT // 10
    market.place("buy 2 limit 50")
    assert market.exchange.used_margin_nanos() == (404 + 100) * UNIT // 10


def test_an_isolated_position_falls_alone() -> None:
    # 4 at 101 on 40.4: at a bid of 95 it stands on 16.4 and needs 19
    market = pair(["10 100x96 97x100", "20 100x95 97x100"], [])
    market.place("buy 4 market")
    market.place("buy 9 market", symbol="Y")
    market.place("sell 1 limit 200")
    market.place("sell 1 limit 200", symbol="Y")
    assert market.run_to(10) == []
    assert market.run_to(20) == [
        "liquidation of 0 16.4 < 19",
        "#3 cancelled liquidated, filled 0",
        "#-1 accepted sell 4",
        "#-1 sell 4@95 taker left 0",
    ]
    assert market.book["p_position"][:2].tolist() == [0, 9]
    assert bucket(market) == 0


def test_an_isolated_short_falls_at_the_ask() -> None:
    # 4 at 99 on 39.6: at an ask of 104 it stands on 19.6 and needs 20.8
    market = isolated("10 100x99 103x100", "20 100x99 104x100")
    market.place("sell 4 market")
    assert market.run_to(10) == []
    assert market.run_to(20)[0] == "liquidation of 0 19.6 < 20.8"


def test_profit_of_others_does_not_save_an_isolated_position() -> None:
    market = pair(["20 100x95 97x100"], ["10 100x900 901x100"])
    market.place("buy 4 market")
    market.place("buy 9 market", symbol="Y")
    assert market.run_to(20)[0] == "liquidation of 0 16.4 < 19"


def test_the_cross_account_falls_without_the_isolated_position() -> None:
    # Y: 9 at 101. 160 - 40.4 = 119.6 stand for it; at a bid of 92: 38.6 < 41.4.
    market = pair([], ["10 100x93 97x100", "20 100x92 97x100"], cash=160, fees=False)
    market.bracket("buy 4 market", stop="90", target="120")
    market.place("buy 9 market", symbol="Y")
    market.place("buy 1 limit 50")
    market.place("sell 1 limit 200 reduce-only")
    assert market.run_to(10) == []
    assert market.run_to(20) == [
        "liquidation 38.6 < 41.4",
        "#5 cancelled liquidated, filled 0",
        "#-1 accepted sell 9",
        "#-1 sell 9@92 taker left 0",
    ]
    assert market.book["p_position"][:2].tolist() == [4, 0]
    assert bucket(market) == 40.4


def test_isolated_positions_go_first_and_by_instrument() -> None:
    instruments = [an_instrument(name, **RATES) for name in "XYZ"]
    tapes = [tape_of([QUOTE, "9 halt", "10 mark 40"], symbol=name) for name in "XY"]
    tapes += [tape_of([QUOTE, "10 100x40 41x100"], symbol="Z")]
    market = Market(
        tapes=tapes,
        instruments=instruments,
        margin=True,
        fees=False,
        cash=100,
        account={"isolated": ["Y", "X"]},
    )
    for name in "ZYX":
        market.place("buy 2 market", symbol=name)
    said = [line for line in market.run_to(10) if line.startswith("liquidation")]
    assert said == [
        "liquidation of 0 -101.8 < 4",
        "liquidation of 1 -101.8 < 4",
        "liquidation -62.4 < 4",
    ]


def test_funding_is_paid_from_the_bucket() -> None:
    market = isolated("10 funding 10000ppm 100", "20 funding 10000ppm 100", cash=100)
    market.place("buy 4 market")
    assert market.run_to(10) == ["funding 4 on 4"]
    assert bucket(market) == 36.4
    assert market.exchange.cash_nanos() == 96 * UNIT


def test_funding_can_bring_an_isolated_position_down() -> None:
    # 40.4 - 4 - 4 - ...: after five payments 20.4 - 4 of open loss is below 20
    market = isolated(*(f"{at}0 funding 10000ppm 100" for at in range(1, 6)))
    market.place("buy 4 market")
    assert market.run_to(40) == ["funding 4 on 4"] * 4
    assert market.run_to(50)[:2] == ["funding 4 on 4", "liquidation of 0 16.4 < 20"]


def test_orders_are_paid_from_free_cash_only() -> None:
    market = isolated("10 100x150 151x100", cash=100)
    market.place("buy 4 market")
    market.run_to(10)  # 196 of open profit are no margin for others
    assert "accepted" in market.place("buy 5 limit 99")[0]
    assert "accepted" in market.place("buy 1 limit 101")[0]
    need = "insufficient_margin 9900000000 0"
    assert market.place("buy 1 limit 99") == [f"#4 rejected {need}"]


def test_a_flip_needs_what_its_new_side_costs_beyond_the_bucket() -> None:
    # 4 lots open at 99 need 39.6; the bucket of 40.4 less 8 of loss stand for it
    poor, able = isolated(cash=47), isolated(cash=48)
    for market in (poor, able):
        market.place("buy 4 market")
    need = "insufficient_margin 7200000000 6600000000"
    assert poor.place("sell 8 limit 99") == [f"#2 rejected {need}"]
    assert able.place("sell 8 limit 99")[-1] == "#2 sell 8@99 taker left 0"
    assert bucket(able) == 39.6


def test_a_liquidation_that_waits_does_not_keep_others_from_theirs() -> None:
    rows = ["10 halt", "15 mark 60", "40 resume", "50 100x60 61x100"]
    market = pair(rows, ["20 99x99 101x100", "30 100x50 51x100"], cash=100, fees=False)
    market.place("buy 4 market")
    market.place("buy 2 market", symbol="Y")
    assert market.run_to(15) == ["halted market_halted at 10"]
    assert market.run_to(20) == ["liquidation of 0 -123.6 < 12", "#-1 accepted sell 4"]
    assert market.run_to(30) == [
        "liquidation -42.4 < 5",
        "#-2 accepted sell 2",
        "#-2 sell 2@50 taker left 0",
    ]
    assert market.run_to(50) == ["resumed at 40", "#-1 sell 4@60 taker left 0"]


def test_names_of_the_account_go_by_symbol_or_id_in_any_case() -> None:
    spec = an_instrument(**RATES)
    market = Market(QUOTE, instruments=[spec], account={"isolated": ["x"]})
    market.place("buy 4 market")
    assert bucket(market) == 40.4
