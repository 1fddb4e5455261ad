"""One instrument's market as a session sees it: the newest quote and print, bars, who is told."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from broker_api.broker import RowSink
from broker_api.live.candles import Candles
from broker_api.quote import Bar, Quote, Trade

_NAN = math.nan


@dataclass(eq=False)
class _Subscription:
    kind: str
    sink: RowSink


@dataclass
class Feed:
    """What is known of one instrument. `now_ns` is the session's clock."""

    candles: Candles
    now_ns: Callable[[], int]
    quote: Quote | None = None
    trade: Trade | None = None
    _sinks: list[_Subscription] = field(default_factory=list)

    def take_quote(self, quote: Quote) -> None:
        """A quote; one that tells nothing new is passed over."""
        if self.quote is None or self.quote[2:] != quote[2:]:
            self.quote = quote
            self._tell(quote, None)

    def take_trade(self, trade: Trade, *, is_news: bool) -> bool:
        """A print; whether it was news. One from before the newest is passed over."""
        if self.trade is not None and trade.ts_ns < self.trade.ts_ns:
            return False
        self.trade = trade
        if is_news:
            self._tell(None, trade)
        return is_news

    def subscribe(self, kind: str, sink: RowSink) -> Callable[[], None]:
        """Deliver quotes, trades or ticks; call the result to stop."""
        subscription = _Subscription(kind, sink)
        self._sinks.append(subscription)

        def stop() -> None:
            if subscription in self._sinks:
                self._sinks.remove(subscription)

        return stop

    def _tell(self, quote: Quote | None, trade: Trade | None) -> None:
        for each in tuple(self._sinks):
            if each.kind == "tick":
                row = _row(self.quote, trade, self.now_ns() if quote is None else quote.ts_ns)
                each.sink(*(row[name] for name in each.sink.fields))
            elif each.kind == "quote" and quote is not None:
                each.sink(quote)
            elif each.kind == "trade" and trade is not None:
                each.sink(trade)


class Feeds(ABC):
    """The feeds of a session's instruments, by index, as a broker hands them out."""

    def __init__(self, feeds: Sequence[Feed], now_ns: Callable[[], int]) -> None:
        self._feeds = tuple(feeds)
        self._now_ns = now_ns

    @abstractmethod
    def mark_ticks(self, index: int) -> int | None:
        """The price at which a position is valued, None while none is known."""

    def last_quote(self, index: int) -> Quote | None:
        """The quote in force, None before the first."""
        return self._feeds[index].quote

    def last_trade(self, index: int) -> Trade | None:
        """The newest print, None before the first."""
        return self._feeds[index].trade

    def bars(self, index: int, interval_ns: int, count: int) -> list[Bar]:
        """The newest complete bars, the oldest first."""
        return self._feeds[index].candles.bars(interval_ns, count, self._now_ns())

    def subscribe_rows(self, index: int, kind: str, sink: RowSink) -> Callable[[], None]:
        """Deliver quotes, trades or ticks; call the result to stop."""
        return self._feeds[index].subscribe(kind, sink)

    def subscribe_bars(self, index: int, interval_ns: int, sink: RowSink) -> Callable[[], None]:
        """Deliver bars as they complete; call the result to stop."""
        return self._feeds[index].candles.subscribe(interval_ns, sink, self._now_ns())

    def deliver_bars(self) -> None:
        """Time has gone by: tell of the bars that it completed."""
        for feed in self._feeds:
            feed.candles.deliver(self._now_ns())


def _row(quote: Quote | None, trade: Trade | None, ts_ns: int) -> dict[str, float]:
    """A tick as its handler may ask for it; see market_data.TICK_FIELDS."""
    bid = None if quote is None else quote.bid
    ask = None if quote is None else quote.ask
    side = 0 if trade is None or trade.side is None else trade.side.sign
    return {
        "ts_ns": ts_ns if trade is None else trade.ts_ns,
        "bid": _NAN if bid is None else bid,
        "ask": _NAN if ask is None else ask,
        "bid_size": 0.0 if quote is None else quote.bid_size,
        "ask_size": 0.0 if quote is None else quote.ask_size,
        "price": _NAN if trade is None else trade.price,
        "size": 0.0 if trade is None else trade.size,
        "side": side,
    }
