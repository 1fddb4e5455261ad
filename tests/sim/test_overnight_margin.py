"""Margins of the day and of the night, and the minute at which they take turns."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from broker_api.calendar import load_calendar
from tests.sim.market import Hours, Market, an_instrument, tape_of

MINUTE = 60 * 10**9
UNIT = 10**9
MARGINS = {
    "initial_margin": Decimal(100),
    "maintenance_margin": Decimal(80),
    "overnight_initial_margin": Decimal(400),
    "overnight_maintenance_margin": Decimal(300),
}
FUTURE = an_instrument(**MARGINS)
SESSIONS = Hours((0, 60 * MINUTE), (90 * MINUTE, 150 * MINUTE))
"""With the default of 15 minutes the night is from 45 to 90, and from 135 on."""
QUOTE = "0 9x99 101x9"
END = f"{149 * MINUTE} 9x99 101x9"


def future(*rows: str, **more: object) -> Market:
    """A market with two sessions."""
    given = {"instruments": [FUTURE], "margin": True, "calendar": SESSIONS} | more
    return Market(QUOTE, *rows, END, **given)


def used(market: Market, ts_ns: int) -> int:
    """Margin in use at a time, in whole units."""
    market.run_to(ts_ns)
    return market.exchange.used_margin_nanos() // UNIT


def test_the_night_is_from_some_minutes_before_the_close_to_the_next_opening() -> None:
    market = future()
    market.place("buy 1 limit 90")
    times = (0, 45 * MINUTE - 1, 45 * MINUTE, 60 * MINUTE, 90 * MINUTE - 1, 90 * MINUTE)
    assert [used(market, ts_ns) for ts_ns in times] == [100, 100, 400, 400, 400, 100]
    assert used(market, 135 * MINUTE - 1) == 100
    assert used(market, 135 * MINUTE) == 400


@pytest.mark.parametrize(("minutes", "night"), [(0, 60), (1, 59), (59, 1)])
def test_the_minutes_are_the_instruments(minutes: int, night: int) -> None:
    market = future(instruments=[an_instrument(**MARGINS, overnight_from_minutes=minutes)])
    market.place("buy 1 limit 90")
    assert used(market, night * MINUTE - 1) == 100
    assert used(market, night * MINUTE) == 400


def test_a_session_shorter_than_the_minutes_is_all_night() -> None:
    market = future(instruments=[an_instrument(**MARGINS, overnight_from_minutes=90)])
    market.place("buy 1 limit 90")
    assert {used(market, at * MINUTE) for at in (0, 30, 60, 90, 149)} == {400}


@pytest.mark.parametrize(("start", "margin"), [(44, 100), (45, 400), (75, 400), (90, 100)])
def test_a_session_that_begins_in_the_night_has_its_margins(start: int, margin: int) -> None:
    rows = [f"{start * MINUTE} 9x99 101x9", END]
    market = Market(tapes=[tape_of(rows)], instruments=[FUTURE], calendar=SESSIONS, margin=True)
    assert market.book["i_initial_lot"][0] == margin * UNIT


def test_a_command_at_the_very_minute_finds_the_nights_margin() -> None:
    early, late = future(cash=300), future(cash=300)
    early.run_to(45 * MINUTE - 1)
    assert "accepted" in early.place("buy 1 limit 90")[0]
    late.run_to(45 * MINUTE)
    need = "insufficient_margin 400000000000 300000000000"
    assert late.place("buy 1 limit 90") == [f"#1 rejected {need}"]


def test_a_position_that_the_night_asks_too_much_for_is_liquidated() -> None:
    market = future(cash=500)
    market.place("buy 2 market")
    market.place("sell 1 limit 150")
    assert market.run_to(45 * MINUTE - 1) == []
    assert market.run_to(45 * MINUTE) == [
        "liquidation 496 < 600",
        "#2 cancelled liquidated, filled 0",
        "#-1 accepted sell 2",
        "#-1 sell 2@99 taker left 0",
    ]
    assert {event.ts_ns for event in market.events[-6:]} == {45 * MINUTE}


def test_the_rows_of_that_instant_count_and_what_expires_then_is_gone() -> None:
    saved = future(f"{45 * MINUTE} 9x199 201x9", cash=500)
    saved.place("buy 2 market")
    assert saved.run_to(60 * MINUTE) == [f"halted market_closed at {60 * MINUTE}"]
    other = future(cash=500)
    other.place("buy 2 market")
    other.place(f"sell 1 limit 150 gtd={45 * MINUTE}")
    assert other.run_to(45 * MINUTE)[:2] == ["#2 expired, filled 0", "liquidation 496 < 600"]


def test_a_liquidation_at_the_close_waits_for_the_opening() -> None:
    spec = an_instrument(**MARGINS, overnight_from_minutes=0)
    market = future(f"{91 * MINUTE} 9x89 91x9", instruments=[spec], cash=500)
    market.place("buy 2 market")
    assert market.run_to(60 * MINUTE) == [
        f"halted market_closed at {60 * MINUTE}",
        "liquidation 496 < 600",
        "#-1 accepted sell 2",
    ]
    assert market.run_to(91 * MINUTE) == [
        f"resumed at {90 * MINUTE}",
        "#-1 sell 2@89 taker left 0",
    ]


def test_an_isolated_position_falls_at_the_switch_too() -> None:
    market = future(cash=5000, account={"isolated": ["X"]})
    market.place("buy 2 market")
    assert market.run_to(45 * MINUTE)[0] == "liquidation of 0 196 < 600"


def test_only_the_margins_that_are_given_change() -> None:
    spec = an_instrument(
        initial_margin=Decimal(100),
        maintenance_margin=Decimal(80),
        overnight_initial_margin=Decimal(400),
    )
    market = future(instruments=[spec], cash=210)
    market.place("buy 2 market")
    assert market.run_to(45 * MINUTE) == []
    assert market.exchange.used_margin_nanos() == 800 * UNIT


def test_a_market_that_never_closes_has_no_night() -> None:
    market = future(calendar=load_calendar("24/7"), cash=500)
    market.place("buy 2 market")
    assert market.run_to(149 * MINUTE) == []


def test_without_margin_nothing_is_liquidated_at_the_switch() -> None:
    market = future(margin=False, cash=0)
    market.place("buy 2 market")
    assert market.run_to(59 * MINUTE) == []


@pytest.mark.parametrize(
    ("start", "night", "opening"),
    [
        ("2024-02-06T10:00", "2024-02-06T15:45", "2024-02-06T17:00"),
        ("2024-08-06T10:00", "2024-08-06T15:45", "2024-08-06T17:00"),
        ("2024-07-03T10:00", "2024-07-03T12:00", "2024-07-03T17:00"),  # the half day's close: 12:15
        ("2024-03-08T10:00", "2024-03-08T15:45", "2024-03-10T17:00"),  # the clock changes between
    ],
)
def test_shipped_calendars_switch_by_chicagos_clock(start: str, night: str, opening: str) -> None:
    zone = ZoneInfo("America/Chicago")
    start_ns, night_ns, opening_ns = (
        int(dt.datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()) * 10**9
        for text in (start, night, opening)
    )
    rows = [f"{start_ns} 9x99 101x9", f"{opening_ns + MINUTE} 9x99 101x9"]
    market = Market(
        tapes=[tape_of(rows)],
        instruments=[FUTURE],
        calendar=load_calendar("CME_GLOBEX_EQUITY"),
        margin=True,
    )
    market.place("buy 1 limit 90")
    times = (night_ns - 1, night_ns, opening_ns - 1, opening_ns)
    assert [used(market, ts_ns) for ts_ns in times] == [100, 400, 400, 100]
