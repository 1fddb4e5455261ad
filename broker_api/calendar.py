"""When a market is open: session calendars by name.

Two kinds. `24/7` never closes. The CME Globex calendars have a session a trade date, from the
evening before, with the daily break, holidays and early closes that `calendars.toml` lists. The
table is part of the repository so that a run needs no calendar library and gives the same result
with every version of one.

Times are nanoseconds since the epoch, UTC. An opening instant is open, a closing instant is closed.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from broker_api.config import near_miss
from broker_api.errors import ConfigurationError

ALWAYS_OPEN = "24/7"
"""The name of the calendar that never closes."""

_TABLES = Path(__file__).with_name("calendars.toml")
_SECOND_NS = 1_000_000_000
_DAY_NS = 86_400 * _SECOND_NS
_DAY = dt.timedelta(days=1)
_EPOCH = dt.date(1970, 1, 1)
_MONDAY_TO_FRIDAY = range(5)


class SessionCalendar(Protocol):
    """The sessions of a market."""

    @property
    def name(self) -> str:
        """The name under which `load_calendar` finds it."""
        ...

    def is_open(self, ts_ns: int) -> bool:
        """True when the market trades at this instant."""
        ...

    def session_end_ns(self, ts_ns: int) -> int:
        """End of the session that contains `ts_ns`, or of the next one: when DAY orders expire."""
        ...

    def next_open_ns(self, ts_ns: int) -> int | None:
        """`ts_ns` itself when the market trades then, else when it next opens; None: not known."""
        ...

    def boundaries(self, start_ns: int, end_ns: int) -> list[tuple[int, bool]]:
        """Every (instant, opens) at which the market opens or closes in [start_ns, end_ns)."""
        ...

    def sessions_between(self, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
        """(opening, close) of every session that ends after `start_ns` and begins before `end_ns`.

        A session goes on through halts of its middle. Empty for a market that never closes.
        """
        ...


@dataclass(frozen=True, slots=True)
class AlwaysOpen:
    """A market without sessions. A DAY order on it ends at the next midnight UTC."""

    name: str = ALWAYS_OPEN

    def is_open(self, ts_ns: int) -> bool:
        """True at every instant."""
        return True

    def session_end_ns(self, ts_ns: int) -> int:
        """The next midnight UTC after `ts_ns`."""
        return (ts_ns // _DAY_NS + 1) * _DAY_NS

    def next_open_ns(self, ts_ns: int) -> int | None:
        """`ts_ns`: the market is open then."""
        return ts_ns

    def boundaries(self, start_ns: int, end_ns: int) -> list[tuple[int, bool]]:
        """None: nothing ever opens or closes."""
        return []

    def sessions_between(self, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
        """None: nothing ever closes."""
        return []


@dataclass(frozen=True, slots=True)
class _Halt:
    starts: dt.time
    ends: dt.time
    until: dt.date


@dataclass(frozen=True, slots=True)
class _Session:
    """One trade date's session and the stretches of it in which the market trades."""

    open_ns: int
    close_ns: int
    stretches: tuple[tuple[int, int], ...]


class GlobexCalendar:
    """Sessions that open on the evening before their trade date; see calendars.toml.

    Asking about an instant outside the table raises ConfigurationError: hours that nobody looked up
    would be a guess.
    """

    def __init__(self, name: str, table: dict[str, Any]) -> None:
        self.name = name
        self._zone = ZoneInfo(table["timezone"])
        self._opens = dt.time.fromisoformat(table["opens"])
        self._closes = dt.time.fromisoformat(table["closes"])
        self._first: dt.date = table["first"]
        self._last: dt.date = table["last"]
        self._closed = frozenset(table["closed"])
        self._early = {
            date: dt.time.fromisoformat(text)
            for text, dates in table["early_close"].items()
            for date in dates
        }
        self._halts = tuple(
            _Halt(
                dt.time.fromisoformat(halt["from"]),
                dt.time.fromisoformat(halt["to"]),
                halt["until"],
            )
            for halt in table.get("halts", ())
        )
        self._sessions: dict[dt.date, _Session | None] = {}

    def is_open(self, ts_ns: int) -> bool:
        """True when the market trades at this instant."""
        session = self._session(self._trade_date(ts_ns))
        return session is not None and any(a <= ts_ns < b for a, b in session.stretches)

    def session_end_ns(self, ts_ns: int) -> int:
        """End of the session that contains `ts_ns`, or of the next one: when DAY orders expire."""
        for session in self._sessions_from(self._trade_date(ts_ns)):
            if ts_ns < session.close_ns:
                return session.close_ns
        raise self._outside(ts_ns)

    def next_open_ns(self, ts_ns: int) -> int | None:
        """`ts_ns` itself when the market trades then, else when it next opens; None: not known."""
        for session in self._sessions_from(self._trade_date(ts_ns)):
            for start_ns, end_ns in session.stretches:
                if ts_ns < end_ns:
                    return max(ts_ns, start_ns)
        return None

    def boundaries(self, start_ns: int, end_ns: int) -> list[tuple[int, bool]]:
        """Every (instant, opens) at which the market opens or closes in [start_ns, end_ns)."""
        found: list[tuple[int, bool]] = []
        for session in self._sessions_from(self._trade_date(start_ns)):
            if session.open_ns >= end_ns:
                break
            for opens_ns, closes_ns in session.stretches:
                found += [(opens_ns, True), (closes_ns, False)]
        return [(ts_ns, opens) for ts_ns, opens in found if start_ns <= ts_ns < end_ns]

    def sessions_between(self, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
        """(opening, close) of every session that ends after `start_ns` and begins before `end_ns`.

        A session goes on through halts of its middle.
        """
        found = []
        for session in self._sessions_from(self._trade_date(start_ns)):
            if session.open_ns >= end_ns:
                break
            if session.close_ns > start_ns:
                found.append((session.open_ns, session.close_ns))
        return found

    def _trade_date(self, ts_ns: int) -> dt.date:
        """The date whose session contains the instant, or is the nearest that has not begun."""
        seconds = ts_ns // _SECOND_NS
        try:
            local = dt.datetime.fromtimestamp(seconds, self._zone)
        except (OverflowError, OSError, ValueError):
            raise self._outside(ts_ns) from None
        date = local.date() + _DAY if local.time() >= self._opens else local.date()
        if not self._first <= date <= self._last:
            raise self._outside(ts_ns)
        return date

    def _sessions_from(self, date: dt.date) -> Iterator[_Session]:
        while date <= self._last:
            session = self._session(date)
            if session is not None:
                yield session
            date += _DAY

    def _session(self, date: dt.date) -> _Session | None:
        if date not in self._sessions:
            self._sessions[date] = self._make_session(date)
        return self._sessions[date]

    def _make_session(self, date: dt.date) -> _Session | None:
        if date.weekday() not in _MONDAY_TO_FRIDAY or date in self._closed:
            return None
        open_ns = self._instant(date - _DAY, self._opens)
        close_ns = self._instant(date, self._early.get(date, self._closes))
        stretches, begin_ns = [], open_ns
        for halt in self._halts:
            starts_ns, ends_ns = self._instant(date, halt.starts), self._instant(date, halt.ends)
            if date <= halt.until and ends_ns < close_ns:
                stretches.append((begin_ns, starts_ns))
                begin_ns = ends_ns
        stretches.append((begin_ns, close_ns))
        return _Session(open_ns, close_ns, tuple(stretches))

    def _instant(self, date: dt.date, time: dt.time) -> int:
        local = dt.datetime.combine(date, time, self._zone)
        return int(local.timestamp()) * _SECOND_NS

    def _outside(self, ts_ns: int) -> ConfigurationError:
        try:
            date = str(_EPOCH + dt.timedelta(days=ts_ns // _DAY_NS))
        except OverflowError:
            date = f"{ts_ns} ns"
        return ConfigurationError(
            f"calendar {self.name} knows the sessions from {self._first} to {self._last}; {date} "
            f'is outside: give the instrument calendar = "{ALWAYS_OPEN}" in a file of your own'
        )


def calendar_names() -> tuple[str, ...]:
    """The names of all calendars."""
    return (ALWAYS_OPEN, *_tables())


@cache
def load_calendar(name: str) -> SessionCalendar:
    """The calendar of this name. Raises ConfigurationError with the nearest name."""
    if name == ALWAYS_OPEN:
        return AlwaysOpen()
    tables = _tables()
    if name not in tables:
        known = calendar_names()
        hint = near_miss(name, known)
        raise ConfigurationError(f"calendar {name!r} is not one of {', '.join(known)}{hint}")
    return GlobexCalendar(name, tables[name])


@cache
def _tables() -> dict[str, Any]:
    return tomllib.loads(_TABLES.read_text(encoding="utf-8"))
