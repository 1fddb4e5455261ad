"""Bars of any length from a market's tape, up to a moment: the last may not be complete.

Weeks begin on Mondays, months on their first, all of UTC; others are aligned to the epoch.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from typing import NamedTuple

from data.bars import bars_from_tape
from data.tape import Tape

MS_NS = 1_000_000
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
_MONDAY_MS = 4 * DAY_MS
"""The first Monday of the epoch."""


class Span(NamedTuple):
    """A bar's length: so many milliseconds, or so many months."""

    ms: int
    months: int = 0

    @property
    def most_ms(self) -> int:
        """The length, of months the longest."""
        return self.months * 31 * DAY_MS or self.ms

    @property
    def part_ms(self) -> int:
        """The length of the bars that this one is put together from; it divides a day."""
        if self.months:
            return DAY_MS
        return self.ms if self.ms <= DAY_MS else math.gcd(self.ms, DAY_MS)

    def around(self, ms: int) -> tuple[int, int]:
        """First millisecond of the bar that a moment is in, and of the next one."""
        if self.months:
            moment = dt.datetime.fromtimestamp(ms // 1000, dt.UTC)
            month = (moment.year * 12 + moment.month - 1) // self.months * self.months
            return _month_ms(month), _month_ms(month + self.months)
        offset = _MONDAY_MS if self.ms % WEEK_MS == 0 else 0
        start = (ms - offset) // self.ms * self.ms + offset
        return start, start + self.ms


class TapeBar(NamedTuple):
    """A bar in ticks and lots."""

    start_ms: int
    open: int
    high: int
    low: int
    close: int
    lots: int
    trades: int


def tape_bars(tape: Tape, span: Span, start_ms: int, end_ms: int, now_ns: int) -> list[TapeBar]:
    """The bars that begin between the two times, oldest first, of what has happened by now."""
    first_ms = span.around(max(0, start_ms))[0]
    until_ns = min((end_ms + span.most_ms) * MS_NS, now_ns) + 1
    if until_ns <= first_ms * MS_NS:
        return []
    found = bars_from_tape(tape, span.part_ms * MS_NS, first_ms * MS_NS, until_ns)
    columns = [column.tolist() for column in found]
    bars = (TapeBar(row[0] // MS_NS, *row[1:]) for row in zip(*columns, strict=True))
    return [each for each in _merged(bars, span) if start_ms <= each.start_ms <= end_ms]


def _month_ms(month: int) -> int:
    first = dt.datetime(month // 12, month % 12 + 1, 1, tzinfo=dt.UTC)
    return int(first.timestamp()) * 1000


def _merged(bars: Iterator[TapeBar], span: Span) -> Iterator[TapeBar]:
    """Bars put together that belong to one longer bar."""
    current: TapeBar | None = None
    for bar in bars:
        start_ms = span.around(bar.start_ms)[0]
        if current is not None and current.start_ms == start_ms:
            current = TapeBar(
                start_ms,
                current.open,
                max(current.high, bar.high),
                min(current.low, bar.low),
                bar.close,
                current.lots + bar.lots,
                current.trades + bar.trades,
            )
            continue
        if current is not None:
            yield current
        current = bar._replace(start_ms=start_ms)
    if current is not None:
        yield current
