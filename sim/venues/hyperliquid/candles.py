"""Candles of a coin from its tape, up to the present: the last one is not complete."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from broker_api.hyperliquid.wire.market import Candle, Interval
from sim.venues.bars import DAY_MS, WEEK_MS, Span, TapeBar, tape_bars
from sim.venues.hyperliquid.universe import Asset

if TYPE_CHECKING:
    from sim.venues.hyperliquid.engine import HyperliquidEngine

INTERVALS: tuple[str, ...] = get_args(Interval)
CANDLES_MAX = 5000
_UNIT_MS = {"m": 60_000, "h": 3_600_000, "d": DAY_MS, "w": WEEK_MS}


def candles(
    engine: HyperliquidEngine, asset: Asset, interval: str, start_ms: int, end_ms: int
) -> list[Candle]:
    """The candles that begin between the two times, oldest first, at most the newest 5,000."""
    tape = engine.venue.presents[asset.index].tape
    found = tape_bars(tape, _span(interval), start_ms, end_ms, engine.venue.now_ns)
    return [_candle(asset, interval, bar) for bar in found[-CANDLES_MAX:]]


def _span(interval: str) -> Span:
    if interval == "1M":
        return Span(0, months=1)
    return Span(int(interval[:-1]) * _UNIT_MS[interval[-1]])


def span_of(interval: str, ms: int) -> tuple[int, int]:
    """First millisecond of the candle that a moment is in, and of the next one."""
    return _span(interval).around(ms)


def _candle(asset: Asset, interval: str, bar: TapeBar) -> Candle:
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
