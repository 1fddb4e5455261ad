"""What the session sees of the market: touch, prints, ticks, and bars in every length."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import samples
from parts import BTC, ETH

from broker_api.hyperliquid.market import Market, put
from broker_api.hyperliquid.wire.frames import CHANNELS, Frame
from broker_api.hyperliquid.wire.market import Candle
from broker_api.hyperliquid.wire.schema import decode
from broker_api.live.candles import GRACE_NS, MINUTE_NS, Candles
from broker_api.order import Side
from broker_api.quote import Bar

START_MS = 1_708_621_200_000


class Clock:
    def __init__(self) -> None:
        self.ns = START_MS * 10**6

    def __call__(self) -> int:
        return self.ns


class Sink(list[Any]):
    """Takes rows, and what a session asks of a sink."""

    def __init__(self, *fields: str) -> None:
        super().__init__()
        self.fields = fields

    def __call__(self, *values: Any) -> None:
        self.append(values[0] if len(values) == 1 else values)

    def direct(self) -> None:
        return None

    def failed(self, failure: Exception) -> bool:
        raise failure

    def adopt(self, result: object) -> None:
        raise AssertionError(result)


def frame(channel: str, data: Any) -> Frame:
    return Frame(channel, decode(CHANNELS[channel], data))


def best(bid: str | None, ask: str | None, at: int = START_MS) -> Frame:
    levels = [None if each is None else {"px": each, "sz": "1.5", "n": 1} for each in (bid, ask)]
    return frame("bbo", {"coin": "ETH", "time": at, "bbo": levels})


def prints(*rows: tuple[int, str, int], side: str = "B") -> Frame:
    table = [
        {**samples.PRINT, "time": at, "px": price, "tid": tid, "side": side}
        for at, price, tid in rows
    ]
    return frame("trades", table)


def candle(minute: int, close: str, interval: str = "1m", trades: int = 3) -> Candle:
    length = {"1m": 60_000, "1h": 3_600_000}[interval]
    start = START_MS + minute * 60_000
    found: Candle = decode(
        Candle,
        {
            **samples.CANDLE,
            "t": start,
            "T": start + length - 1,
            "i": interval,
            "o": "3000.0",
            "h": "3010.0",
            "l": "2990.0",
            "c": close,
            "v": "2.0",
            "n": trades,
        },
    )
    return found


def test_quotes_are_told_when_they_change() -> None:
    market = Market([ETH, BTC], Clock())
    quotes, ticks = Sink(), Sink("bid", "ask", "price", "ts_ns")
    stop = market.subscribe_rows(0, "quote", quotes)
    market.subscribe_rows(0, "tick", ticks)
    market.take(best("2999.9", "3000.1"))
    market.take(best("2999.9", "3000.1", START_MS + 1))
    market.take(best("2999.9", None, START_MS + 2))
    assert [(quote.bid, quote.ask) for quote in quotes] == [(2999.9, 3000.1), (2999.9, None)]
    assert market.touch(0).mid == Decimal("2999.9")
    assert market.touch(1).mid is None
    assert ticks[0][:2] == (2999.9, 3000.1)
    assert math.isnan(ticks[0][2])
    assert math.isnan(ticks[1][1])
    stop()
    stop()
    market.take(best("2990", "3000.1", START_MS + 3))
    assert len(quotes) == 2
    assert len(ticks) == 3


def test_prints_are_told_once_and_not_those_of_before() -> None:
    market = Market([ETH], Clock())
    market.since_ms = START_MS
    trades, ticks = Sink(), Sink("price", "side")
    market.subscribe_rows(0, "trade", trades)
    market.subscribe_rows(0, "tick", ticks)
    market.take(prints((START_MS - 5, "2990", 1), (START_MS - 9, "2980", 2)))
    assert (trades, market.last_trade(0) and market.last_trade(0).price) == ([], 2990.0)
    market.take(prints((START_MS + 5, "3001", 4), (START_MS + 1, "3000", 3), side="A"))
    market.take(prints((START_MS + 5, "3001", 4)))
    assert [(trade.price, trade.side) for trade in trades] == [
        (3000.0, Side.SELL),
        (3001.0, Side.SELL),
    ]
    assert ticks == [(3000.0, -1), (3001.0, -1)]


def test_the_mark_is_the_venues_else_the_mid() -> None:
    market = Market([ETH], Clock())
    assert market.mark_ticks(0) is None
    market.take_mid("ETH", Decimal("3000.05"))
    market.take_mid("NONE", Decimal(1))
    assert market.mark_ticks(0) == 300_005
    market.take(frame("activeAssetCtx", {"coin": "ETH", "ctx": samples.CONTEXT}))
    assert market.mark_ticks(0) == 299_960


def test_frames_of_other_coins_are_passed_over() -> None:
    market = Market([BTC], Clock())
    market.take(best("1", "2"))
    market.take(prints((START_MS, "1", 1)))
    market.take(frame("activeAssetCtx", {"coin": "ETH", "ctx": samples.CONTEXT}))
    market.take(Frame("candle", candle(0, "1")))
    market.take(Frame("notification", None))
    assert (market.last_quote(0), market.last_trade(0), market.mark_ticks(0)) == (None, None, None)


def test_everything_that_is_looked_at_is_subscribed_to() -> None:
    wanted = Market([ETH], Clock()).subscriptions()
    assert {"type": "bbo", "coin": "ETH"} in wanted
    assert {"type": "candle", "coin": "ETH", "interval": "1m"} in wanted
    assert {each["type"] for each in wanted} == {"bbo", "trades", "activeAssetCtx", "candle"}


def closes(bars: list[Bar]) -> list[tuple[int, float, float]]:
    return [((bar.ts_ns // 10**6 - START_MS) // 60_000, bar.close, bar.volume) for bar in bars]


def test_bars_are_put_together_from_candles() -> None:
    candles = Candles("ETH")
    for minute in range(10):
        put(candle(minute, f"{3000 + minute}.0", trades=0 if minute == 4 else 3), candles)
    now = START_MS * 10**6 + 9 * MINUTE_NS + 5
    assert closes(candles.bars(MINUTE_NS, 3, now)) == [
        (6, 3006.0, 2.0),
        (7, 3007.0, 2.0),
        (8, 3008.0, 2.0),
    ]
    fives = candles.bars(5 * MINUTE_NS, 10, now)
    assert closes(fives) == [(0, 3003.0, 8.0)]
    assert (fives[0].open, fives[0].high, fives[0].low) == (3000.0, 3010.0, 2990.0)
    late = now + MINUTE_NS + GRACE_NS
    assert closes(candles.bars(5 * MINUTE_NS, 10, late)) == [(0, 3003.0, 8.0), (5, 3009.0, 10.0)]


def test_long_bars_come_from_long_candles() -> None:
    candles = Candles("ETH")
    put(candle(-120, "2900.0", "1h"), candles)
    put(candle(-60, "2950.0", "1h"), candles)
    put(candle(-1, "2960.0"), candles)
    now = START_MS * 10**6 + GRACE_NS
    assert closes(candles.bars(60 * MINUTE_NS, 5, now)) == [(-120, 2900.0, 2.0), (-60, 2950.0, 2.0)]
    assert closes(candles.bars(MINUTE_NS, 5, now)) == [(-1, 2960.0, 2.0)]
    assert candles.bars(7 * 10**9, 5, now) == []


def test_bars_are_delivered_when_they_are_complete_once() -> None:
    clock = Clock()
    market = Market([ETH], clock)
    minutes, pairs = Sink(), Sink()
    market.subscribe_bars(0, MINUTE_NS, minutes)
    stop = market.subscribe_bars(0, 2 * MINUTE_NS, pairs)
    market.take(Frame("candle", candle(0, "3001.0")))
    market.deliver_bars()
    assert minutes == []
    market.take(Frame("candle", candle(1, "3002.0")))
    assert closes(minutes) == [(0, 3001.0, 2.0)]
    clock.ns += 2 * MINUTE_NS + GRACE_NS
    market.deliver_bars()
    market.deliver_bars()
    assert closes(minutes) == [(0, 3001.0, 2.0), (1, 3002.0, 2.0)]
    assert closes(pairs) == [(0, 3002.0, 4.0)]
    stop()
    clock.ns += 5 * MINUTE_NS
    market.deliver_bars()
    assert len(pairs) == 1


def test_short_bars_come_from_prints() -> None:
    clock = Clock()
    market = Market([ETH], clock)
    market.since_ms = START_MS
    bars = Sink()
    market.subscribe_bars(0, 5 * 10**9, bars)
    market.take(prints((START_MS + 100, "3000", 1), (START_MS + 1_200, "3004", 2)))
    market.take(prints((START_MS + 1_300, "2999", 3), (START_MS + 5_100, "3010", 4)))
    clock.ns += 5 * 10**9 + GRACE_NS
    market.deliver_bars()
    (bar,) = bars
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (3000, 3004, 2999, 2999, 1.5)
