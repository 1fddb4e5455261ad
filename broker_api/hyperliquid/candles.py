"""Bars of the venue's candles: history, what is complete now, and those who wait for the next.

Bars of a minute and more are put together from candles of the longest kept interval that divides
them, shorter ones from prints, which have no history. A bar is complete when a later candle has
come or its end has passed by more than the venue takes to say so. Bars without a trade are
left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from broker_api.broker import RowSink
from broker_api.hyperliquid.wire.market import Candle, Print
from broker_api.quote import Bar

NS_MILLISECOND = 1_000_000
MINUTE_NS = 60 * 10**9
KEPT: dict[str, int] = {"1m": MINUTE_NS, "1h": 60 * MINUTE_NS, "1d": 1_440 * MINUTE_NS}
"""The intervals that are subscribed to and kept, by the venue's name."""
CANDLES_MAX = 6_000
GRACE_NS = 500 * NS_MILLISECOND
"""How long after its end a bar may still change."""


@dataclass(slots=True)
class _Sum:
    """What traded in an interval."""

    open: float
    high: float
    low: float
    close: float
    volume: float

    def add(self, other: _Sum) -> None:
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
    _kept: dict[int, dict[int, _Sum]] = field(default_factory=dict)
    _waiting: list[_Waiting] = field(default_factory=list)
    _newest_ns: int = 0

    def take(self, candle: Candle) -> None:
        """A candle, new or changed."""
        interval_ns = KEPT.get(candle.interval)
        if interval_ns is None:
            return
        start_ns = candle.start * NS_MILLISECOND
        kept = self._kept.setdefault(interval_ns, {})
        if candle.trades:
            kept[start_ns] = _Sum(
                float(candle.open),
                float(candle.high),
                float(candle.low),
                float(candle.close),
                float(candle.volume),
            )
            if len(kept) > CANDLES_MAX:
                del kept[min(kept)]
        if interval_ns == MINUTE_NS:
            self._newest_ns = max(self._newest_ns, start_ns)

    def take_print(self, trade: Print) -> None:
        """A print, for bars of less than a minute."""
        second_ns = trade.time // 1000 * 10**9
        price = float(trade.price)
        new = _Sum(price, price, price, price, float(trade.size))
        kept = self._kept.setdefault(10**9, {})
        if second_ns in kept:
            kept[second_ns].add(new)
        else:
            kept[second_ns] = new
            if len(kept) > CANDLES_MAX:
                del kept[min(kept)]

    def bars(self, interval_ns: int, count: int, now_ns: int) -> list[Bar]:
        """The newest complete bars, the oldest first."""
        end_ns = self._complete_ns(now_ns) // interval_ns * interval_ns
        sums: dict[int, _Sum] = {}
        for start_ns, each in sorted(self._base(interval_ns).items(), reverse=True):
            bar_ns = start_ns // interval_ns * interval_ns
            if bar_ns >= end_ns:
                continue
            later = sums.get(bar_ns)
            if later is None and len(sums) == count:
                break
            whole = _Sum(each.open, each.high, each.low, each.close, each.volume)
            if later is not None:
                whole.add(later)
            sums[bar_ns] = whole
        return [self._bar(interval_ns, start, sums[start]) for start in sorted(sums)]

    def _base(self, interval_ns: int) -> dict[int, _Sum]:
        """The candles of the longest kept interval that divides this one."""
        fitting = [base for base in self._kept if interval_ns % base == 0]
        return self._kept[max(fitting)] if fitting else {}

    def _complete_ns(self, now_ns: int) -> int:
        """Up to when nothing changes any more."""
        return max(self._newest_ns, now_ns - GRACE_NS)

    def _bar(self, interval_ns: int, start_ns: int, traded: _Sum) -> Bar:
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
