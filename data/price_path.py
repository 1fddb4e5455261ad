"""When things happen on a synthetic tape, and where the price is drawn to.

Activity comes in bursts (one cause, several rows within milliseconds). Between bursts an efficient
price walks with a variance that follows the session's shape and clusters: a product of two-valued
factors that switch at rates from seconds to most of an hour (a Markov-switching multifractal). The
path can be pinned through given prices, by a bridge that bends it in proportion to its variance.

Only raw Philox words, integers, and the four operations and square root of floats are used, and
logarithms from the decimal module: these are the same on every machine, libm's functions are not.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, localcontext
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from data.schema import NANO

FINE = 256
"""Parts of a tick in which the efficient price moves."""

_HALF_HOUR_NS = 1_800 * NANO
_DAY_NS = 86_400 * NANO

# Activity in percent of 08:30 Chicago, by half hours from the open at 17:00: quiet nights, the
# European open at 02:00, figures at 07:30, the U of the cash session.
_CME_SHAPE = (
    14, 10, 12, 10, 10, 9, 9, 8, 7, 6, 6, 6, 6, 6,
    7, 8, 10, 12, 20, 22, 20, 18, 15, 14, 13, 14, 16, 18, 22, 36, 32,
    100, 82, 64, 52, 46, 40, 36, 34, 34, 40, 42, 54, 78, 26, 12,
)  # fmt: skip
# The first minutes of the cash session are the busiest of the day.
_CASH_OPEN_NS = 31 * _HALF_HOUR_NS
_RUSH_NS = 300 * NANO
# The same for a market that never closes, by hours UTC.
_ALWAYS_SHAPE = (
    60, 55, 55, 50, 48, 46, 48, 52, 58, 60, 58, 60, 68, 85, 100, 95, 85, 78, 72, 70, 64, 60, 62, 60,
)  # fmt: skip

_CLUSTER_SECONDS = (8, 60, 400, 2_400)
_CLUSTER_HIGH, _CLUSTER_LOW = 1.6, 0.4


class Session(NamedTuple):
    """One stretch of trading."""

    open_ns: int
    close_ns: int


class Burst(NamedTuple):
    """One cause: its time, the rows it makes, and the efficient price in 1/FINE ticks."""

    ts: int
    rows: int
    price: int


@dataclass(frozen=True)
class Activity:
    """How busy a market is. `hours`: "cme" (Globex with its daily break), "always" or "flat"
    (always, without a shape). `rows_per_second` and `sigma_ticks` (per square root of a second)
    hold at the busiest time of day."""

    hours: str
    rows_per_second: float
    rows_per_burst: float
    sigma_ticks: float


class Draws:
    """Random numbers from one Philox stream, keyed by seed and stream number."""

    _BLOCK = 4096

    def __init__(self, seed: int, stream: int) -> None:
        if not 0 <= seed < 1 << 63:
            raise ValueError(f"seed {seed} must be from 0 to 2^63 - 1")
        self._philox = np.random.Philox(key=np.array([seed, stream], dtype=np.uint64))
        self._words: Iterator[int] = iter(())

    def word(self) -> int:
        """64 random bits."""
        for word in self._words:
            return word
        self._words = iter(self._philox.random_raw(self._BLOCK).tolist())
        return next(self._words)

    def normal(self) -> float:
        """A standard normal draw: the sum of twelve uniform ones, which never leaves plus/minus
        6."""
        total = 0
        for _ in range(3):
            word = self.word()
            total += (word & 0xFFFF) + (word >> 16 & 0xFFFF) + (word >> 32 & 0xFFFF) + (word >> 48)
        return (total - 6 * 0xFFFF) / 65_536

    def exponential(self) -> float:
        """An exponential draw of mean 1, by the table of logarithms."""
        word = self.word() | 1
        zeros = 64 - word.bit_length()
        mantissa = (word << zeros) & ((1 << 63) - 1)
        index, part = mantissa >> 55, mantissa & ((1 << 55) - 1)
        table = _minus_logs()
        low, high = table[index], table[index + 1]
        return zeros * table[0] + low + (high - low) * (part / (1 << 55))


@cache
def _minus_logs() -> tuple[float, ...]:
    """-ln(x) at 257 points from 1/2 to 1."""
    with localcontext() as context:
        context.prec = 30
        return tuple(float(-(Decimal(256 + step) / 512).ln()) for step in range(257))


def cme_sessions(start_ns: int, end_ns: int) -> list[Session]:
    """Globex sessions that touch the span: 17:00 to 16:00 Chicago, Sunday evening to Friday
    afternoon. Holidays are not known here; a synthetic market has none."""
    chicago = ZoneInfo("America/Chicago")

    def at(day: date, hour: int) -> int:
        return int(datetime.combine(day, time(hour), chicago).timestamp()) * NANO

    day = datetime.fromtimestamp(start_ns // NANO, UTC).date() - timedelta(days=2)
    sessions = []
    while at(day, 17) < end_ns:
        following = day + timedelta(days=1)
        if day.weekday() in (6, 0, 1, 2, 3) and at(following, 16) > start_ns:
            sessions.append(Session(at(day, 17), at(following, 16)))
        day = following
    return sessions


def _sessions(hours: str, start_ns: int, end_ns: int) -> list[Session]:
    if hours == "cme":
        return cme_sessions(start_ns, end_ns)
    if hours in ("always", "flat"):
        return [Session(start_ns // _DAY_NS * _DAY_NS, end_ns)]
    raise ValueError(f"hours {hours!r} must be cme, always or flat")


def _shape(hours: str, session: Session, ts: int) -> float:
    if hours == "flat":
        return 1.0
    since = ts - session.open_ns
    if hours == "cme":
        percent = _CME_SHAPE[min(since // _HALF_HOUR_NS, len(_CME_SHAPE) - 1)]
        rush = 2 if 0 <= since - _CASH_OPEN_NS < _RUSH_NS else 1
        return rush * percent / 100
    return _ALWAYS_SHAPE[since // (2 * _HALF_HOUR_NS) % 24] / 100


class _Clusters:
    """Factors of the variance that switch between high and low, each at its own rate; mean 1."""

    def __init__(self, draws: Draws) -> None:
        self._draws = draws
        word = draws.word()
        self._high = [bool(word >> index & 1) for index in range(len(_CLUSTER_SECONDS))]

    def after(self, seconds: float) -> float:
        """The product of the factors `seconds` later."""
        product = 1.0
        for index, period in enumerate(_CLUSTER_SECONDS):
            word = self._draws.word()
            if (word & 0xFFFFFF) / 0x1000000 < min(1.0, seconds / period):
                self._high[index] = bool(word >> 32 & 1)
            product *= _CLUSTER_HIGH if self._high[index] else _CLUSTER_LOW
        return product


def bursts(
    activity: Activity,
    seed: int,
    span: Session,
    waypoints: Sequence[tuple[int, int]],
) -> list[Burst]:
    """The bursts of a span, none when no session touches it. `waypoints` are (ns, price in ticks),
    the first at the span's start."""
    times, rows, walk, variances = _walk(activity, seed, span)
    if not times:
        return []
    prices = _pinned(times, walk, variances, waypoints)
    return [Burst(*burst) for burst in zip(times, rows, prices, strict=True)]


def _walk(
    activity: Activity, seed: int, span: Session
) -> tuple[list[int], list[int], list[int], list[float]]:
    """Times of bursts, rows of each, the free walk in fine ticks, and its variance so far."""
    draws = Draws(seed, 1)
    clusters = _Clusters(draws)
    sessions = _sessions(activity.hours, span.open_ns, span.close_ns)
    opens = [session.open_ns for session in sessions]
    times, rows, walk, variances = [], [], [], []
    now, heat, at, variance = span.open_ns, 1.0, 0, 0.0
    while True:
        session = _session_at(sessions, opens, now)
        if session is None or max(now, session.open_ns) >= span.close_ns:
            break
        now = max(now, session.open_ns)
        times.append(now)
        rows.append(_burst_rows(draws, activity.rows_per_burst))
        walk.append(at)
        variances.append(variance)
        shape = _shape(activity.hours, session, now)
        rate = activity.rows_per_second / activity.rows_per_burst * shape * (0.5 + 0.5 * heat)
        seconds = draws.exponential() / rate
        heat = min(clusters.after(seconds), 8.0)
        step = activity.sigma_ticks * activity.sigma_ticks * shape * heat * min(seconds, 600.0)
        at += round(draws.normal() * math.sqrt(step) * FINE)
        variance += step
        now += max(1, int(seconds * NANO))
    return times, rows, walk, variances


def _session_at(sessions: list[Session], opens: list[int], now: int) -> Session | None:
    """The session that is open, else the next one, else None."""
    number = bisect_right(opens, now)
    if number and now < sessions[number - 1].close_ns:
        return sessions[number - 1]
    return sessions[number] if number < len(sessions) else None


def _burst_rows(draws: Draws, mean: float) -> int:
    """How many rows one cause makes: geometric, and every eighth burst five times as long."""
    shorter = mean / 1.5
    expected = 5.0 * shorter if draws.word() >> 61 == 0 else shorter
    going_on = 1.0 - 1.0 / max(1.0, expected)
    count = 1
    while count < 500 and (draws.word() & 0xFFFFFF) / 0x1000000 < going_on:
        count += 1
    return count


def _pinned(
    times: list[int], walk: list[int], variances: list[float], waypoints: Sequence[tuple[int, int]]
) -> list[int]:
    """The walk moved and bent so that it goes through the waypoints, and is free after the last."""
    marks = [min(bisect_right(times, ts), len(times) - 1) for ts, _ in waypoints[1:]]
    marks = [0, *marks]
    targets = [price * FINE for _, price in waypoints]
    prices: list[int] = []
    for number, first in enumerate(marks):
        offset = targets[number] - walk[first]
        if number + 1 == len(marks):
            prices += [value + offset for value in walk[first:]]
            break
        last = marks[number + 1]
        bend = targets[number + 1] - walk[last] - offset
        total = (variances[last] - variances[first]) or 1.0
        for index in range(first, last):
            share = (variances[index] - variances[first]) / total
            prices.append(walk[index] + offset + round(bend * share))
    return prices
