"""Bars as a tape: the path between their four prices, and what orders meet on it.

A bar of the tests lasts 30 ns; its prices come at +0, +10, +20 and +29.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.sim.market import BAR_NS, Market, an_instrument, tape_of

UP = "0 bar 100 110 98 105 v40"
"""The low is nearer to the open: 100, 98, 110, 105, ten lots each."""
DOWN = "0 bar 100 102 90 95 v40"
"""The high is nearer: 100, 102, 90, 95."""


def market_of(*rows: str, **settings: object) -> Market:
    return Market(*rows, **{**settings})  # type: ignore[arg-type]


def path_of(market: Market, until_ns: int) -> list[int]:
    """The prices of the first bars in the order in which the run met them."""
    market.run_to(until_ns)
    columns = market.exchange.tapes[0].columns
    return columns.px[columns.ts <= until_ns].tolist()


# --- the path ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bar_path", "bar", "path"),
    [
        ("ohlc", UP, [100, 110, 98, 105]),
        ("olhc", UP, [100, 98, 110, 105]),
        ("adaptive", UP, [100, 98, 110, 105]),
        ("adaptive", DOWN, [100, 102, 90, 95]),
        ("pessimistic", UP, [100, 98, 110, 105]),
        ("pessimistic", DOWN, [100, 102, 90, 95]),
        # both extremes are as near, and there is no position: by the close
        ("adaptive", "0 bar 100 105 95 101 v4", [100, 95, 105, 101]),
        ("adaptive", "0 bar 100 105 95 100 v4", [100, 95, 105, 100]),
        ("adaptive", "0 bar 100 105 95 99 v4", [100, 105, 95, 99]),
        ("pessimistic", "0 bar 100 105 95 99 v4", [100, 105, 95, 99]),
    ],
)
def test_which_extreme_comes_first(bar_path: str, bar: str, path: list[int]) -> None:
    assert path_of(market_of(bar, bar_path=bar_path), BAR_NS) == path


@pytest.mark.parametrize(
    ("bar_path", "side", "bar", "path"),
    [
        # a tie: the extreme that hurts the position
        ("adaptive", "buy", "30 bar 100 105 95 99 v4", [100, 95, 105, 99]),
        ("adaptive", "sell", "30 bar 100 105 95 101 v4", [100, 105, 95, 101]),
        # no tie: the position does not matter
        ("adaptive", "buy", "30 bar 100 104 95 99 v4", [100, 104, 95, 99]),
        ("pessimistic", "buy", "30 bar 100 101 90 100 v4", [100, 90, 101, 100]),
        ("pessimistic", "sell", "30 bar 100 110 99 100 v4", [100, 110, 99, 100]),
        ("ohlc", "buy", "30 bar 100 101 90 100 v4", [100, 101, 90, 100]),
    ],
)
def test_the_position_decides_where_it_matters(
    bar_path: str, side: str, bar: str, path: list[int]
) -> None:
    market = market_of("0 bar 100 100 100 100 v40", bar, bar_path=bar_path)
    market.run_to(5)
    market.place(f"{side} 1 market")
    assert path_of(market, 60)[4:] == path


def test_a_position_of_the_open_turns_the_bar_and_one_of_the_extreme_does_not() -> None:
    bars = ("0 bar 100 110 99 100 v40", "30 bar 100 101 90 100 v40", "60 bar 100 101 90 100 v40")
    market = market_of(*bars, bar_path="pessimistic")
    market.run_to(0)
    market.place("sell 1 market")  # before the high that hurts it: 100, 110, 99, 100
    assert path_of(market, 10) == [100, 110]
    market.place("buy 2 market")  # at the high: too late for this bar, the next is a long's
    assert path_of(market, 60)[2:8] == [99, 100, 100, 90, 101, 100]


def test_bars_far_ahead_are_turned_too() -> None:
    bars = [f"{30 * at} bar 100 101 90 100 v40" for at in range(3_000)]
    market = market_of(*bars, bar_path="pessimistic")
    market.run_to(30 * 2_000 + 5)
    market.place("buy 1 market")
    path = path_of(market, 90_000)
    assert path[: 4 * 2_000] == [100, 101, 90, 100] * 2_000
    assert path[4 * 2_000 :] == [100, 90, 101, 100] * 1_000


@pytest.mark.parametrize(
    ("spread", "bid", "ask"), [(0, 100, 100), (1, 100, 101), (2, 99, 101), (3, 99, 102)]
)
def test_the_spread_lies_around_the_price(spread: int, bid: int, ask: int) -> None:
    market = market_of("0 bar 100 110 95 105 v40", spread_ticks=spread)
    market.run_to(0)
    assert market.place("buy 1 market")[1] == f"#1 buy 1@{ask} taker left 0"
    assert market.place("sell 1 market")[1] == f"#2 sell 1@{bid} taker left 0"


def test_each_run_has_its_own_copy_of_the_bars() -> None:
    tape = tape_of([UP, "30 bar 100 101 90 100 v40"])
    before = tape.columns.px.tolist()
    market = market_of(tapes=[tape], bar_path="olhc", spread_ticks=6)
    market.run_to(60)
    assert tape.columns.px.tolist() == before
    assert market.exchange.tapes[0].columns.px.tolist() != before


# --- stops on the path ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bar", "order", "fill", "at_ns"),
    [
        (UP, "buy 3 stop 107", "buy 3@107 taker left 0", 20),
        (UP, "buy 3 stop 110", "buy 3@110 taker left 0", 20),
        (UP, "sell 3 stop 99", "sell 3@99 taker left 0", 10),
        (DOWN, "sell 3 stop 92", "sell 3@92 taker left 0", 20),
        (DOWN, "sell 3 stop 90 limit 90", "sell 3@90 taker left 0", 20),
    ],
)
def test_a_stop_on_the_path_trades_at_its_own_price(
    bar: str, order: str, fill: str, at_ns: int
) -> None:
    market = market_of(bar)
    market.place(order)
    price = fill.split("@")[1].split()[0]
    assert market.run_to(60) == [f"#1 triggered at {price}", f"#1 {fill}"]
    assert market.events[-1].ts_ns == at_ns


def test_behind_its_price_a_stop_walks_the_ladder_of_the_row() -> None:
    market = market_of(UP)
    market.place("buy 25 stop 107")
    assert market.run_to(60)[1:] == [
        "#1 buy 10@107 taker left 15",
        "#1 buy 10@108 taker left 5",
        "#1 buy 5@109 taker left 0",
    ]


def test_what_one_stop_took_the_next_does_not_find() -> None:
    market = market_of(UP)
    market.place("buy 4 stop 105")
    market.place("buy 8 stop 103")
    assert market.run_to(60) == [
        "#2 triggered at 103",
        "#2 buy 8@103 taker left 0",
        "#1 triggered at 105",
        "#1 buy 2@105 taker left 2",
        "#1 buy 2@106 taker left 0",
    ]


def test_a_stop_that_finds_too_little_waits_for_the_next_row() -> None:
    market = market_of(UP, beyond_top="wait")
    market.place("buy 14 stop 103")
    assert market.run_to(60) == [
        "#1 triggered at 103",
        "#1 buy 10@103 taker left 4",
        "#1 buy 4@106 taker left 0",  # the close's market: 105 bid, 106 offered
    ]


def test_a_gap_to_the_open_fills_a_stop_at_the_open() -> None:
    market = market_of("0 bar 100 100 100 100 v40", "30 bar 90 95 85 92 v40")
    market.run_to(29)
    market.place("sell 12 stop 97")
    assert market.run_to(30) == [
        "#1 triggered at 90",
        "#1 sell 10@90 taker left 2",
        "#1 sell 2@89 taker left 0",
    ]


def test_a_triggered_stop_limit_takes_from_its_stop_to_its_limit_and_rests() -> None:
    market = market_of(DOWN)
    market.place("sell 25 stop 95 limit 94")
    assert market.run_to(20) == [
        "#1 triggered at 95",
        "#1 sell 10@95 taker left 15",
        "#1 sell 10@94 taker left 5",
    ]
    assert market.run_to(60) == ["#1 sell 5@94 maker left 0"]  # the close comes through it


def test_the_rest_joins_where_the_price_stands() -> None:
    market = market_of(DOWN)
    market.place("sell 15 stop 95 limit 95")
    market.place("sell 25 stop 94 limit 93")
    market.run_to(20)
    assert market.queue_ahead(1) == 10  # at that price: the size that the row shows
    assert market.queue_ahead(2) == 0  # better than that price


@pytest.mark.parametrize(("words", "filled"), [("fok", False), ("ioc", True)])
def test_fok_and_ioc_are_judged_where_the_stop_acts(words: str, filled: bool) -> None:
    market = market_of(UP, beyond_top="wait")
    market.place(f"buy 14 stop 103 {words}")
    wanted = ["#1 triggered at 103"]
    wanted += ["#1 buy 10@103 taker left 4"] if filled else []
    wanted += [
        f"#1 cancelled {'ioc_rest' if filled else 'fok_not_available'}, filled {10 * filled}"
    ]
    assert market.run_to(60) == wanted


def test_stops_trigger_on_the_price_whatever_the_instruments_source() -> None:
    market = market_of(UP, instruments=[an_instrument(trigger_source=2)])
    market.place("buy 1 stop 105")
    assert market.run_to(60) == ["#1 triggered at 105", "#1 buy 1@105 taker left 0"]
    assert market.exchange.notes[0] == "X: the tape is made of bars; stops trigger on its price"


# --- resting orders ------------------------------------------------------------------------------


def test_a_limit_on_the_path_fills_at_its_own_price() -> None:
    market = market_of(DOWN)
    market.place("buy 3 limit 95")
    assert market.run_to(60) == ["#1 buy 3@95 maker left 0"]
    assert market.events[-1].ts_ns == 20


def test_a_limit_gets_the_rows_print_and_its_touch_and_no_more() -> None:
    market = market_of(DOWN)
    market.place("buy 50 limit 95")
    assert market.run_to(20) == ["#1 buy 10@95 maker left 40", "#1 buy 10@95 maker left 30"]


def test_a_limit_that_the_open_jumped_over_fills_at_the_open() -> None:
    market = market_of("0 bar 100 100 100 100 v40", "30 bar 90 95 85 92 v40")
    market.run_to(29)
    market.place("buy 14 limit 97")
    market.place("buy 1 limit 90")
    assert market.run_to(30) == ["#1 buy 10@90 maker left 4", "#1 buy 4@90 maker left 0"]
    assert market.run_to(60)[0] == "#2 buy 1@90 maker left 0"


def test_a_limit_where_the_market_stood_was_not_jumped_over() -> None:
    market = market_of("0 bar 97 97 97 97 v40", "30 bar 90 95 85 92 v40", queue="front")
    market.run_to(29)
    market.place("buy 3 limit 97")
    market.place("buy 3 limit 91")
    assert market.run_to(30) == ["#1 buy 3@97 maker left 0", "#2 buy 3@90 maker left 0"]


def test_a_sell_limit_that_the_open_jumped_over_fills_higher() -> None:
    market = market_of("0 bar 100 100 100 100 v40", "30 bar 110 115 105 108 v40")
    market.run_to(29)
    market.place("sell 3 limit 103")
    assert market.run_to(30) == ["#1 sell 3@110 maker left 0"]


# --- brackets ------------------------------------------------------------------------------------


def test_an_exit_stop_on_the_way_of_its_entry_acts_at_its_price() -> None:
    market = market_of(DOWN)
    market.bracket("buy 3 limit 96", stop="93", target="99")
    assert market.run_to(20) == [
        "#1 buy 3@96 maker left 0",
        "#2 activated 3 stop 93",
        "#2 triggered at 93",
        "#2 sell 3@93 taker left 0",
        "#3 cancelled sibling, filled 0",
    ]


def test_an_exit_stop_never_does_better_than_the_fill_that_brought_it_to_life() -> None:
    market = market_of(DOWN)
    market.bracket("buy 3 limit 96", stop="93")
    market.replace(2, stop=98)  # held: stored as it is
    assert market.run_to(20)[2:] == ["#2 triggered at 96", "#2 sell 3@96 taker left 0"]


def test_a_target_on_the_way_of_its_entry_fills_as_a_maker() -> None:
    market = market_of(UP)
    market.bracket("buy 3 stop 102", stop="97", target="106")
    assert market.run_to(20) == [
        "#1 triggered at 102",
        "#1 buy 3@102 taker left 0",
        "#2 activated 3 stop 97",
        "#3 activated 3 limit 106",
        "#3 sell 3@106 maker left 0",
        "#2 cancelled sibling, filled 0",
    ]


def test_an_exit_fill_is_ambiguous_when_the_bar_reaches_the_other_too() -> None:
    wide = "30 bar 100 108 92 100 v40"
    market = market_of("0 bar 100 100 100 100 v40", wide)
    market.run_to(5)
    market.bracket("buy 3 market", stop="94", target="106")
    assert "#2 sell 3@94 taker left 0 ambiguous" in market.run_to(60)
    narrow = market_of("0 bar 100 100 100 100 v40", "30 bar 100 105 92 100 v40")
    narrow.run_to(5)
    narrow.bracket("buy 3 market", stop="94", target="106")
    assert "#2 sell 3@94 taker left 0" in narrow.run_to(60)


def test_the_path_decides_which_exit_it_is() -> None:
    wide = "30 bar 100 108 92 100 v40"
    market = market_of("0 bar 100 100 100 100 v40", wide, bar_path="ohlc")
    market.run_to(5)
    market.bracket("buy 3 market", stop="94", target="106")
    assert "#3 sell 3@106 maker left 0 ambiguous" in market.run_to(60)


@pytest.mark.parametrize(("high", "mark"), [(106, " ambiguous"), (105, "")])
def test_an_oco_fill_is_ambiguous_when_the_bar_reaches_the_other_leg(high: int, mark: str) -> None:
    market = market_of("0 bar 100 100 100 100 v40", f"30 bar 100 {high} 94 100 v40")
    market.run_to(5)
    market.oco("buy 2 limit 95", "buy 2 stop 106")
    filled = f"#1 buy 2@95 maker left 0{mark}"
    assert market.run_to(60) == [filled, "#2 cancelled sibling, filled 0"]


def test_an_exit_of_the_open_itself_is_not_ambiguous() -> None:
    market = market_of("0 bar 100 100 100 100 v40", "30 bar 90 108 85 100 v40")
    market.run_to(5)
    market.bracket("buy 3 market", stop="94", target="106")
    assert "#2 sell 3@90 taker left 0" in market.run_to(60)


# --- commands ------------------------------------------------------------------------------------


def test_a_command_between_the_rows_meets_the_touch_and_no_path() -> None:
    market = market_of(UP, stop_wrong_side="trigger", visit_every_row=True)
    market.run_to(10)
    assert market.place("buy 1 stop 95")[1:] == [
        "#1 triggered at 98",
        "#1 buy 1@99 taker left 0",
    ]


# --- time, money, other tapes --------------------------------------------------------------------


def test_an_order_of_the_close_cannot_fill_in_its_bar() -> None:
    market = market_of("0 bar 100 110 90 100 v40", "30 bar 100 101 100 101 v40")
    market.run_to(29)
    market.place("buy 1 limit 95")
    assert market.run_to(60) == []


def test_a_flat_market_offers_fresh_size_with_every_row() -> None:
    market = market_of("0 bar 100 100 100 100 v40", beyond_top="wait")
    market.run_to(0)
    assert market.place("buy 25 market")[1:] == ["#1 buy 10@101 taker left 15"]
    assert market.run_to(20) == ["#1 buy 10@101 taker left 5", "#1 buy 5@101 taker left 0"]


def test_without_volume_the_market_shows_one_lot() -> None:
    market = market_of("0 bar 100 105 95 100 v0", beyond_top="wait")
    market.run_to(0)
    assert market.place("buy 2 market")[1:] == ["#1 buy 1@101 taker left 1"]


def test_bars_run_beside_ticks() -> None:
    ticks = tape_of(["0 5x49 51x5", "21 5x48 50x5"], symbol="Y")
    instruments = [an_instrument("X"), an_instrument("Y")]
    market = market_of(tapes=[tape_of([UP]), ticks], instruments=instruments)
    market.place("buy 3 stop 107")
    market.place("buy 1 limit 48", symbol="Y")
    assert market.run_to(60) == ["#1 triggered at 107", "#1 buy 3@107 taker left 0"]
    assert market.queue_ahead(2) == 2.5


def test_a_position_is_liquidated_at_the_extreme_that_ruins_it() -> None:
    instrument = an_instrument(initial_margin=Decimal(10), maintenance_margin=Decimal(5))
    rows = ("0 bar 100 100 100 100 v40", "30 bar 100 101 80 100 v40")
    market = market_of(*rows, instruments=[instrument], margin=True, cash=20.0)
    market.run_to(5)
    market.place("buy 1 market")
    lines = market.run_to(60)
    assert lines[0] == "liquidation -1 < 5"
    assert lines[2] == "#-1 sell 1@80 taker left 0"


# --- touched orders and trailing stops -----------------------------------------------------------


def test_touched_orders_act_at_their_own_price_and_in_the_order_of_the_path() -> None:
    market = market_of(UP)
    market.place("sell 2 touched 107")
    market.place("buy 3 stop 104")
    market.place("sell 1 touched 101 limit 101")
    assert market.run_to(60) == [
        "#3 triggered at 101",
        "#3 sell 1@101 taker left 0",
        "#2 triggered at 104",
        "#2 buy 3@104 taker left 0",
        "#1 triggered at 107",
        "#1 sell 2@107 taker left 0",
    ]


def test_the_rest_of_a_touched_limit_is_crossed_by_the_rest_of_the_way() -> None:
    market = market_of(UP)
    market.place("sell 14 touched 103 limit 103")
    assert market.run_to(20) == ["#1 triggered at 103", "#1 sell 10@103 taker left 4"]
    assert market.run_to(29) == ["#1 sell 4@103 maker left 0"]


def test_a_trailing_stop_follows_the_path_and_trades_at_its_stop() -> None:
    market = market_of(UP, "30 bar 104 105 95 96 v40")
    market.place("sell 3 trail 4")
    # 98 does not move it, 110 moves it to 106, and on the way to 105 it is there
    assert market.run_to(29) == ["#1 triggered at 106", "#1 sell 3@106 taker left 0"]


def test_a_trailing_exit_starts_at_its_entry_and_trails_the_rest_of_the_way() -> None:
    market = market_of(UP)
    market.bracket("buy 3 stop 102", stop="trail 3")
    assert market.run_to(20)[-1] == "#2 activated 3 stop 99"
    assert market.run_to(29) == ["#2 triggered at 107", "#2 sell 3@107 taker left 0"]


@pytest.mark.parametrize(("path", "price"), [("ohlc", 96), ("olhc", 111), ("adaptive", 111)])
def test_a_run_that_begins_within_a_bar_meets_the_rest_of_its_path(path: str, price: int) -> None:
    market = Market("0 bar 100 110 95 97 v40", start=15, bar_path=path)
    market.run_to(20)
    assert market.place("buy 1 market")[-1] == f"#1 buy 1@{price} taker left 0"
