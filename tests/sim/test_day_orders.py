"""DAY orders end with the session of the shipped calendars: half days, changes of the clock."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from broker_api.calendar import load_calendar
from broker_api.event import OrderExpired
from tests.sim.market import Market, tape_of

CHICAGO = ZoneInfo("America/Chicago")
DAY = 24 * 3600 * 10**9


def at(text: str) -> int:
    """`2024-07-03 12:15` in Chicago, in nanoseconds."""
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=CHICAGO).timestamp()) * 10**9


def expiries(calendar: str, sent: str) -> list[int]:
    """When a DAY order ends that is sent at that time, on a tape of a week around it."""
    sent_ns = at(sent)
    rows = [f"{ts_ns} 9x99 101x9" for ts_ns in (sent_ns - 1, sent_ns + 7 * DAY)]
    market = Market(tapes=[tape_of(rows)], calendar=load_calendar(calendar))
    market.run_to(sent_ns)
    assert "accepted" in market.place("buy 1 limit 90 day")[0]
    market.run_to(sent_ns + 7 * DAY)
    return [event.ts_ns for event in market.events if isinstance(event, OrderExpired)]


@pytest.mark.parametrize(
    ("calendar", "sent", "ends"),
    [
        # half days
        ("CME_GLOBEX_EQUITY", "2024-07-03 10:00", "2024-07-03 12:15"),
        ("CME_GLOBEX_EQUITY", "2024-07-02 17:00", "2024-07-03 12:15"),  # from the evening before
        ("CME_GLOBEX_EQUITY", "2024-07-03 17:00", "2024-07-04 12:00"),  # and the holiday's own
        ("CME_GLOBEX_EQUITY", "2024-11-29 12:14", "2024-11-29 12:15"),
        ("CME_GLOBEX_EQUITY", "2024-12-24 09:00", "2024-12-24 12:15"),
        ("CME_GLOBEX_COMMODITY", "2024-11-28 09:00", "2024-11-28 13:30"),
        # the week before each change of the clock, the day after it, and the night between
        ("CME_GLOBEX_EQUITY", "2024-03-08 10:00", "2024-03-08 16:00"),
        ("CME_GLOBEX_EQUITY", "2024-03-10 17:00", "2024-03-11 16:00"),
        ("CME_GLOBEX_EQUITY", "2024-03-11 10:00", "2024-03-11 16:00"),
        ("CME_GLOBEX_EQUITY", "2024-03-15 15:59", "2024-03-15 16:00"),
        ("CME_GLOBEX_EQUITY", "2024-11-01 10:00", "2024-11-01 16:00"),
        ("CME_GLOBEX_EQUITY", "2024-11-03 17:00", "2024-11-04 16:00"),
        ("CME_GLOBEX_EQUITY", "2024-11-04 10:00", "2024-11-04 16:00"),
        ("CME_GLOBEX_COMMODITY", "2025-03-10 10:00", "2025-03-10 16:00"),
        ("CME_GLOBEX_COMMODITY", "2025-11-03 10:00", "2025-11-03 16:00"),
        # an ordinary day, and the trade date that begins on the evening before
        ("CME_GLOBEX_EQUITY", "2024-02-06 15:59", "2024-02-06 16:00"),
        ("CME_GLOBEX_EQUITY", "2024-02-06 17:00", "2024-02-07 16:00"),
        # a halt in the middle does not end the session
        ("CME_GLOBEX_EQUITY", "2021-06-25 10:00", "2021-06-25 16:00"),
    ],
)
def test_a_day_order_ends_at_the_close_of_its_session(calendar: str, sent: str, ends: str) -> None:
    assert expiries(calendar, sent) == [at(ends)]


def test_the_close_of_a_summer_day_is_an_hour_earlier_in_utc() -> None:
    hours = [
        (at(f"{date} 16:00") // (3600 * 10**9)) % 24
        for date in ("2024-03-08", "2024-03-11", "2024-11-01", "2024-11-04")
    ]
    assert hours == [22, 21, 21, 22]


def test_a_perpetuals_day_ends_at_midnight_utc() -> None:
    (ended,) = expiries("24/7", "2024-03-10 17:00")
    assert ended == at("2024-03-10 17:00") // DAY * DAY + DAY
