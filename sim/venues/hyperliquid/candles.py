"""Candles of a coin from its tape, up to the present: the last one is not complete."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, get_args

from broker_api.hyperliquid.wire.market import Candle, Interval
from data.bars import bars_from_tape
from sim.venues.hyperliquid.universe import Asset

if TYPE_CHECKING:
    from sim.venues.hyperliquid.engine import HyperliquidEngine

INTERVALS: tuple[str, ...] = get_args(Interval)
CANDLES_MAX = 5000
_MS_NS = 1_000_000
_DAY_MS = 86_400_000
_UNIT_MS = {"m": 60_000, "h": 3_600_000, "d": _DAY_MS}
_MONDAY_MS = 4 * _DAY_MS
"""The first Monday of the epoch: weeks begin on one."""


class _Bar(NamedTuple):
    start_ms: int
    open: int
    high: int
    low: int
    close: int
    lots: int
    trades: int


def candles(
    engine: HyperliquidEngine, asset: Asset, interval: str, start_ms: int, end_ms: int
) -> list[Candle]:
    """The candles that begin between the two times, oldest first, at most the newest 5,000."""
    first_ms = span_of(interval, max(0, start_ms))[0]
    length_ms = min(_length_ms(interval), _DAY_MS)
    until_ns = min((end_ms + _length_ms(interval)) * _MS_NS, engine.venue.now_ns) + 1
    tape = engine.venue.presents[asset.index].tape
    if until_ns <= first_ms * _MS_NS:
        return []
    found = bars_from_tape(tape, length_ms * _MS_NS, first_ms * _MS_NS, until_ns)
    columns = [column.tolist() for column in found]
    bars = (_Bar(row[0] // _MS_NS, *row[1:]) for row in zip(*columns, strict=True))
    merged = [each for each in _merged(bars, interval) if start_ms <= each.start_ms <= end_ms]
    return [_candle(asset, interval, bar) for bar in merged[-CANDLES_MAX:]]


def _length_ms(interval: str) -> int:
    """The interval's length, of a month the longest."""
    if interval == "1w":
        return 7 * _DAY_MS
    if interval == "1M":
        return 31 * _DAY_MS
    return int(interval[:-1]) * _UNIT_MS[interval[-1]]


def span_of(interval: str, ms: int) -> tuple[int, int]:
    """First millisecond of the candle that a moment is in, and of the next one."""
    if interval == "1M":
        moment = dt.datetime.fromtimestamp(ms // 1000, dt.UTC)
        month = moment.year * 12 + moment.month - 1
        return _month_ms(month), _month_ms(month + 1)
    length, offset = _length_ms(interval), _MONDAY_MS if interval == "1w" else 0
    start = (ms - offset) // length * length + offset
    return start, start + length


def _month_ms(month: int) -> int:
    first = dt.datetime(month // 12, month % 12 + 1, 1, tzinfo=dt.UTC)
    return int(first.timestamp()) * 1000


def _merged(bars: Iterator[_Bar], interval: str) -> Iterator[_Bar]:
    """Bars put together that belong to one candle: those of more than a day."""
    current: _Bar | None = None
    for bar in bars:
        start_ms = span_of(interval, bar.start_ms)[0]
        if current is not None and current.start_ms == start_ms:
            current = _Bar(
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


def _candle(asset: Asset, interval: str, bar: _Bar) -> Candle:
    start_ms, next_ms = span_of(interval, bar.start_ms)
    return Candle(
        start=start_ms,
        end=next_ms - 1,
        coin=asset.coin,
        interval=interval,
        open=asset.price(bar.open),
        close=asset.price(bar.close),
        high=asset.price(bar.high),
        low=asset.price(bar.low),
        volume=asset.size(bar.lots),
        trades=bar.trades,
    )
