"""On a tape of bars an order tells which bar filled it, and between which of its four prices."""

from __future__ import annotations

import pytest

from tests.sim.explained import Recorded, lines

FLAT = "0 bar 100 100 100 100 v40"
DOWN = "30 bar 100 102 90 95 v40"
GAP = "30 bar 95 102 90 95 v40"
DAY = "00:00:00.000"


def run(order: str, *rows: str, **settings: object) -> Recorded:
    """One order after the open of a flat bar, then the whole tape."""
    market = Recorded(FLAT, *rows, **settings)
    market.run_to(0)
    market.place(order)
    market.run_to(300)
    return market


def told(market: Recorded, order_id: int = 1) -> list[str]:
    """What happened after the order was accepted."""
    return [line.split(" | ")[1] for line in lines(market.explained(order_id))[2:]]


def test_a_stop_on_the_way_tells_its_own_price_and_the_way() -> None:
    way = f"the bar of {DAY} went from its high 102 to its low 90"
    assert told(run("sell 12 stop 97", DOWN)) == [
        f"triggered: the price was 97; {way}",
        f"10 lots filled at 97 as taker: its stop had just triggered; 97 showed 10 while {way}",
        "2 lots filled at 96 as taker: its stop had just triggered; 1 tick beyond 97, taken to "
        f"show 10 as that does while {way}",
    ]


def test_a_stop_that_the_open_jumped_over_tells_the_open() -> None:
    opened = f"the bar of {DAY} opened at 95"
    assert told(run("sell 2 stop 97", GAP)) == [
        f"triggered: the price was 95, where {opened}",
        f"2 lots filled at 95 as taker: its stop had just triggered; 95 showed 10 while {opened}",
    ]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (
            DOWN,
            "2 lots filled at 97 as maker: a print of 10 lots at 90 went through its price, which "
            f"was met first; the bar of {DAY} went from its high 102 to its low 90",
        ),
        (
            GAP,
            f"2 lots filled at 95 as maker: the bar of {DAY} opened at 95, beyond its price: the "
            "open is what it gets",
        ),
    ],
)
def test_a_resting_order_tells_the_bar_that_filled_it(row: str, text: str) -> None:
    market = run("buy 2 limit 97", row)
    assert told(market)[-1] == text
    assert text in market.explained().verdict


def test_a_touched_limit_tells_both_its_trigger_and_its_fill() -> None:
    way = f"the bar of {DAY} went from its high 102 to its low 90"
    touched, filled = told(run("buy 2 touched 97 limit 96", DOWN))
    assert touched == f"touched: the price was 97, its trigger 97; {way}"
    assert filled.startswith("2 lots filled at 96 as maker: ")
    assert filled.endswith(way)


def test_a_trailing_stop_follows_the_path_of_the_bar() -> None:
    rows = ("30 bar 100 102 100 101 v40", "60 bar 101 110 100 103 v40")
    way = f"the bar of {DAY} went from its high 110 to its close 103"
    assert told(run("sell 2 trail 5", *rows))[:2] == [
        "its stop followed the price twice: best price 110, stop 105",
        "triggered: the price was 105, its trailing stop 105, 5 ticks behind the best price of "
        f"110; {way}",
    ]


@pytest.mark.parametrize(
    ("path", "way"), [("olhc", "open 100 to its low 94"), ("ohlc", "high 106 to its low 94")]
)
def test_the_path_of_the_run_is_told_and_a_guess_is_called_one(path: str, way: str) -> None:
    market = Recorded(FLAT, "30 bar 100 106 94 100 v40", bar_path=path)
    market.run_to(0)
    market.bracket("buy 1 market", stop="+4", target="+9")
    market.run_to(100)
    assert told(market, 2)[1].endswith(f"the bar of {DAY} went from its {way}")
    market = Recorded(FLAT, "30 bar 100 106 94 100 v40", bar_path="olhc")
    market.run_to(0)
    market.bracket("buy 1 market", stop="+4", target="+5")
    market.run_to(100)
    assert told(market, 2)[-1].endswith(
        "; the bar reached its sibling, too: which came first is a guess (bar_path=olhc)"
    )


def test_what_was_missing_on_bars_is_the_price() -> None:
    explained = run("sell 2 stop 90", "30 bar 100 102 95 95 v40").explained()
    assert explained.verdict.startswith(
        "It did not fill: its stop at 90 was never reached: closest price 5 ticks away (95 at"
    )
    assert explained.facts[-1] == "What triggers its stop is the price (bars)."
