"""Trading days: when the one that contains an instant began and ends, and from when it is flat."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from broker_api.calendar import ALWAYS_OPEN, SessionCalendar, load_calendar
from broker_api.instrument import Instrument
from broker_api.risk_rules import FlatBy, TradingDay

_SECOND_NS = 1_000_000_000
_MINUTE_NS = 60 * _SECOND_NS
_DAY_NS = 86_400 * _SECOND_NS
_DAY = dt.timedelta(days=1)


class Day(NamedTuple):
    """A trading day: its market opens at `open_ns`, and it ends, and the next begins, at `end_ns`.

    What lies between one day's end and the next opening belongs to the next day.
    """

    open_ns: int
    end_ns: int


class Days(Protocol):
    """Which trading day an instant belongs to."""

    def day_of(self, ts_ns: int) -> Day:
        """The day. Raises ConfigurationError where a calendar does not know."""
        ...


class CalendarDays:
    """A day is a session of a calendar; it ends with it. Where nothing closes, at midnight UTC."""

    def __init__(self, calendar: SessionCalendar) -> None:
        self._calendar = calendar

    def day_of(self, ts_ns: int) -> Day:
        """The session that contains the instant, or the next one."""
        end_ns = self._calendar.session_end_ns(ts_ns)
        sessions = self._calendar.sessions_between(end_ns - 1, end_ns)
        return Day(sessions[0][0] if sessions else end_ns - _DAY_NS, end_ns)


class ClockDays:
    """A day ends at a time of day in a time zone, every day of the year."""

    def __init__(self, ends: dt.time, timezone: str) -> None:
        self._ends = ends
        self._zone = ZoneInfo(timezone)

    def day_of(self, ts_ns: int) -> Day:
        """From the last such time at or before the instant to the next behind it."""
        date = dt.datetime.fromtimestamp(ts_ns // _SECOND_NS, self._zone).date() - _DAY
        instants = [local_ns(date + _DAY * days, self._ends, self._zone) for days in range(4)]
        end = next(index for index, instant in enumerate(instants) if instant > ts_ns)
        return Day(instants[end - 1], instants[end])


def local_ns(date: dt.date, time: dt.time, zone: ZoneInfo) -> int:
    """The instant of a local date and time, in nanoseconds since the epoch."""
    moment = dt.datetime.combine(date, time.replace(tzinfo=None), zone)
    return int(moment.timestamp()) * _SECOND_NS


def days_of(settings: TradingDay, instruments: Sequence[Instrument]) -> Days:
    """The trading days that the settings mean. Raises ConfigurationError for a calendar's name."""
    if settings.ends is not None:
        return ClockDays(settings.ends, settings.timezone)
    own = instruments[0].calendar if instruments else ALWAYS_OPEN
    return CalendarDays(load_calendar(settings.calendar or own))


def flat_from_ns(rule: FlatBy, day: Day) -> int:
    """From when the day is flat; its end where the rule's time of day does not lie in it."""
    found = [day.end_ns]
    if rule.minutes_before_close is not None:
        found.append(day.end_ns - rule.minutes_before_close * _MINUTE_NS)
    if rule.at is not None:
        zone = ZoneInfo(rule.timezone)
        date = dt.datetime.fromtimestamp(day.end_ns // _SECOND_NS, zone).date()
        instants = [local_ns(date - _DAY * back, rule.at, zone) for back in (0, 1)]
        found += [instant for instant in instants if day.open_ns < instant < day.end_ns]
    return min(found)
