"""Bars of the venue's candles: history, what is complete now, and those who wait for the next.

Bars are put together from candles of the longest kept interval that divides them; candles come from
the venue, or are made of prints here, which have no history. A bar is complete when a later candle
has come or its end has passed by more than the venue takes to say so. Bars without a trade are
left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from broker_api.broker import RowSink
from broker_api.quote import Bar

SECOND_NS = 10**9
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
CANDLES_MAX = 6_000
GRACE_NS = SECOND_NS // 2
"""How long after its end a bar may still change."""


@dataclass(slots=True)
class Sum:
    """What traded in an interval."""

    open: float
    high: float
    low: float
    close: float
    volume: float

    def add(self, other: Sum) -> None:
        """What traded later in it."""
        self.high, self.low = max(self.high, other.high), min(self.low, other.low)
        self.close = other.close
        self.volume += other.volume


@dataclass(eq=False)
class _Waiting:
    """Somebody who wants bars; `end_ns` is the end of the next one."""

    interval_ns: int
    sink: RowSink
    end_ns: int


@dataclass
class Candles:
    """Bars of one instrument."""

    symbol: str
    _kept: dict[int, dict[int, Sum]] = field(default_factory=dict)
    _waiting: list[_Waiting] = field(default_factory=list)
    _newest_ns: int = 0

    def take(self, interval_ns: int, start_ns: int, traded: Sum | None) -> None:
        """A candle of the venue, new or changed; None: nothing has traded in it."""
        if traded is not None:
            self._put(interval_ns, start_ns, traded)
        if interval_ns == MINUTE_NS:
            self._newest_ns = max(self._newest_ns, start_ns)

    def take_print(self, ts_ns: int, price: float, size: float, *intervals_ns: int) -> None:
        """A print, for the candles of these lengths that are made here."""
        for interval_ns in intervals_ns:
            start_ns = ts_ns // interval_ns * interval_ns
            there = self._kept.get(interval_ns, {}).get(start_ns)
            new = Sum(price, price, price, price, size)
            if there is not None:
                there.add(new)
            else:
                self._put(interval_ns, start_ns, new)

    def _put(self, interval_ns: int, start_ns: int, traded: Sum) -> None:
        kept = self._kept.setdefault(interval_ns, {})
        kept[start_ns] = traded
        if len(kept) > CANDLES_MAX:
            del kept[min(kept)]

    def bars(self, interval_ns: int, count: int, now_ns: int) -> list[Bar]:
        """The newest complete bars, the oldest first."""
        end_ns = self._complete_ns(now_ns) // interval_ns * interval_ns
        sums: dict[int, Sum] = {}
        for start_ns, each in sorted(self._base(interval_ns).items(), reverse=True):
            bar_ns = start_ns // interval_ns * interval_ns
            if bar_ns >= end_ns:
                continue
            later = sums.get(bar_ns)
            if later is None and len(sums) == count:
                break
            whole = Sum(each.open, each.high, each.low, each.close, each.volume)
            if later is not None:
                whole.add(later)
            sums[bar_ns] = whole
        return [self._bar(interval_ns, start, sums[start]) for start in sorted(sums)]

    def _base(self, interval_ns: int) -> dict[int, Sum]:
        """The candles of the longest kept interval that divides this one."""
        fitting = [base for base in self._kept if interval_ns % base == 0]
        return self._kept[max(fitting)] if fitting else {}

    def _complete_ns(self, now_ns: int) -> int:
        """Up to when nothing changes any more."""
        return max(self._newest_ns, now_ns - GRACE_NS)

    def _bar(self, interval_ns: int, start_ns: int, traded: Sum) -> Bar:
        return Bar(
            self.symbol,
            start_ns,
            interval_ns,
            traded.open,
            traded.high,
            traded.low,
            traded.close,
            traded.volume,
        )

    # --- those who wait ------------------------------------------------------------------------

    def subscribe(self, interval_ns: int, sink: RowSink, now_ns: int) -> Callable[[], None]:
        """Deliver every bar that completes from now on; call the result to stop."""
        end_ns = (self._complete_ns(now_ns) // interval_ns + 1) * interval_ns
        waiting = _Waiting(interval_ns, sink, end_ns)
        self._waiting.append(waiting)

        def stop() -> None:
            if waiting in self._waiting:
                self._waiting.remove(waiting)

        return stop

    def deliver(self, now_ns: int) -> None:
        """Tell those who wait of the bars that are complete now."""
        complete_ns = self._complete_ns(now_ns)
        for waiting in tuple(self._waiting):
            if waiting.end_ns > complete_ns:
                continue
            first_ns = waiting.end_ns - waiting.interval_ns
            waiting.end_ns = (complete_ns // waiting.interval_ns + 1) * waiting.interval_ns
            count = (waiting.end_ns - first_ns) // waiting.interval_ns
            for bar in self.bars(waiting.interval_ns, count, now_ns):
                if bar.ts_ns >= first_ns:
                    waiting.sink(bar)
