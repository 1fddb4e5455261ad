import datetime as dt
import itertools
import subprocess
import sys

import pytest

from broker_api.calendar import ALWAYS_OPEN, calendar_names, load_calendar
from broker_api.errors import ConfigurationError

SECOND = 1_000_000_000
EQUITY = "CME_GLOBEX_EQUITY"
COMMODITY = "CME_GLOBEX_COMMODITY"


def ns(text: str) -> int:
    """`2023-12-25 23:00` UTC in nanoseconds."""
    return int(dt.datetime.fromisoformat(text + "+00:00").timestamp()) * SECOND


@pytest.mark.parametrize(
    ("name", "closes", "reopens"),
    [
        # The daily break, in winter and in summer time.
        (EQUITY, "2024-02-06 22:00", "2024-02-06 23:00"),
        (EQUITY, "2024-08-06 21:00", "2024-08-06 22:00"),
        (COMMODITY, "2024-08-06 21:00", "2024-08-06 22:00"),
        # Weekends around both changes of the clock (2024-03-10 and 2024-11-03).
        (EQUITY, "2024-03-08 22:00", "2024-03-10 22:00"),
        (EQUITY, "2024-11-01 21:00", "2024-11-03 23:00"),
        # Christmas on a Monday: from Friday to the evening of the 25th.
        (EQUITY, "2023-12-22 22:00", "2023-12-25 23:00"),
        # Independence Day and the half day before it.
        (EQUITY, "2024-07-03 17:15", "2024-07-03 22:00"),
        (EQUITY, "2024-07-04 17:00", "2024-07-04 22:00"),
        (EQUITY, "2024-07-05 21:00", "2024-07-07 22:00"),
        (COMMODITY, "2024-07-04 18:30", "2024-07-04 22:00"),
        # The day of mourning for President Carter; energy and metals traded on.
        (EQUITY, "2025-01-09 14:30", "2025-01-09 23:00"),
        (COMMODITY, "2025-01-09 22:00", "2025-01-09 23:00"),
        # Thanksgiving and the day after it.
        (EQUITY, "2024-11-28 18:00", "2024-11-28 23:00"),
        (EQUITY, "2024-11-29 18:15", "2024-12-01 23:00"),
        (COMMODITY, "2024-11-28 19:30", "2024-11-28 23:00"),
        # Good Friday with and without an employment report.
        (EQUITY, "2023-04-07 13:15", "2023-04-09 22:00"),
        (EQUITY, "2024-03-28 21:00", "2024-03-31 22:00"),
        # The halt that equity index products had until 2021-06-25.
        (EQUITY, "2021-06-25 20:15", "2021-06-25 20:30"),
        (EQUITY, "2021-06-28 21:00", "2021-06-28 22:00"),
    ],
)
def test_market_closes_and_reopens_at_known_instants(name: str, closes: str, reopens: str) -> None:
    calendar = load_calendar(name)
    close_ns, open_ns = ns(closes), ns(reopens)
    assert calendar.is_open(close_ns - 1)
    assert not calendar.is_open(close_ns)
    assert not calendar.is_open(open_ns - 1)
    assert calendar.is_open(open_ns)
    assert calendar.next_open_ns(close_ns) == open_ns
    assert calendar.next_open_ns(open_ns) == open_ns
    assert calendar.next_open_ns(close_ns - 1) == close_ns - 1
    between = calendar.boundaries(close_ns, open_ns + 1)
    assert between == [(close_ns, False), (open_ns, True)]
    assert calendar.boundaries(close_ns, open_ns) == [(close_ns, False)]


def test_session_ends_at_the_close_that_follows() -> None:
    calendar = load_calendar(EQUITY)
    assert calendar.session_end_ns(ns("2024-07-02 22:00")) == ns("2024-07-03 17:15")
    assert calendar.session_end_ns(ns("2024-07-03 17:15")) == ns("2024-07-04 17:00")
    assert calendar.session_end_ns(ns("2023-12-24 12:00")) == ns("2023-12-26 22:00")


def test_a_halt_does_not_end_the_session() -> None:
    calendar = load_calendar(EQUITY)
    assert calendar.session_end_ns(ns("2021-06-25 20:14")) == ns("2021-06-25 21:00")
    assert calendar.session_end_ns(ns("2021-06-25 20:20")) == ns("2021-06-25 21:00")


def test_a_perpetual_never_closes_and_its_day_ends_at_midnight() -> None:
    calendar = load_calendar(ALWAYS_OPEN)
    midnight = ns("2024-08-09 00:00")
    assert calendar.is_open(midnight - 1)
    assert calendar.session_end_ns(midnight - 1) == midnight
    assert calendar.session_end_ns(midnight) == ns("2024-08-10 00:00")
    assert calendar.next_open_ns(midnight + 5) == midnight + 5
    assert calendar.boundaries(0, midnight) == []


def test_instants_outside_the_table_are_refused_by_name() -> None:
    calendar = load_calendar(EQUITY)
    for ts_ns in (ns("2015-12-31 12:00"), ns("2031-01-02 12:00"), 1 << 62, -(1 << 62)):
        with pytest.raises(ConfigurationError, match="knows the sessions from 2016-01-01"):
            calendar.is_open(ts_ns)
    assert calendar.next_open_ns(ns("2030-12-31 22:00")) is None


def test_unknown_calendar_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match='did you mean "CME_GLOBEX_EQUITY"'):
        load_calendar("CME_GLOBEX_EQUITIES")


def test_boundaries_alternate_over_fifteen_years() -> None:
    for name in calendar_names()[1:]:
        found = load_calendar(name).boundaries(ns("2016-01-04 00:00"), ns("2030-12-30 00:00"))
        assert len(found) > 7000
        assert all(a < b for (a, _), (b, _) in itertools.pairwise(found))
        assert all(a != b for (_, a), (_, b) in itertools.pairwise(found))


# What the library has wrong; see the head of calendars.toml.
GOOD_FRIDAYS = ("2024-03-29", "2025-04-18", "2027-03-26", "2028-04-14", "2029-03-30", "2030-04-19")
MOURNING = ("2018-12-05", "2025-01-09")
CHRISTMAS_EVES = tuple(f"{year}-12-24" for year in (2018, 2019, 2020, 2024, 2025, 2029, 2030))
LABOR_DAYS = (
    "2022-09-05",
    "2023-09-04",
    "2024-09-02",
    "2025-09-01",
    "2027-09-06",
    "2028-09-04",
    "2029-09-03",
    "2030-09-02",
)


@pytest.mark.parametrize(
    ("name", "theirs", "corrected"),
    [
        (EQUITY, "CME Globex Equity", GOOD_FRIDAYS + MOURNING),
        (COMMODITY, "CMEGlobex_EnergyAndMetals", CHRISTMAS_EVES + LABOR_DAYS),
    ],
)
def test_sessions_agree_with_an_independent_calendar(
    name: str, theirs: str, corrected: tuple[str, ...]
) -> None:
    program = f"""
import warnings; warnings.simplefilter("ignore")
import pandas_market_calendars
days = pandas_market_calendars.get_calendar({theirs!r}).schedule("2016-01-05", "2030-12-30")
for day, row in days.iterrows():
    print(day.date(), int(row.market_open.timestamp()), int(row.market_close.timestamp()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = {day: tuple(times) for day, *times in map(str.split, done.stdout.splitlines())}
    calendar, found = load_calendar(name), {}
    end_ns = ns("2016-01-04 23:00")
    while end_ns < ns("2030-12-30 12:00"):
        open_ns = calendar.next_open_ns(end_ns) or 0
        end_ns = calendar.session_end_ns(open_ns)
        trade_date = dt.datetime.fromtimestamp(end_ns // SECOND, dt.UTC).date()
        found[str(trade_date)] = (str(open_ns // SECOND), str(end_ns // SECOND))
    assert {day for day in {*found, *expected} if found.get(day) != expected.get(day)} == set(
        corrected
    )


def test_calendars_load_without_pandas_or_numba() -> None:
    program = (
        "import sys, broker_api, broker_api.catalog\n"
        "broker_api.catalog.load_catalog()\n"
        "print([name for name in ('pandas', 'numba') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_sessions_go_through_halts_and_end_at_early_closes() -> None:
    calendar = load_calendar(EQUITY)
    halted = (ns("2021-06-24 22:00"), ns("2021-06-25 21:00"))
    assert calendar.sessions_between(ns("2021-06-25 20:20"), ns("2021-06-25 20:25")) == [halted]
    half = (ns("2024-07-02 22:00"), ns("2024-07-03 17:15"))
    after = (ns("2024-07-03 22:00"), ns("2024-07-04 17:00"))
    assert calendar.sessions_between(half[0], after[0]) == [half]
    assert calendar.sessions_between(half[1] - 1, after[0] + 1) == [half, after]
    assert calendar.sessions_between(half[1], after[0] + 1) == [after]
    assert load_calendar(ALWAYS_OPEN).sessions_between(0, 1 << 60) == []
