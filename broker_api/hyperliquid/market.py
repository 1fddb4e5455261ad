"""What the session knows of the market: touch, mark, prints, bars, and who is told of them.

All comes from the WebSocket; looking costs nothing and asks nobody.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from broker_api.broker import RowSink
from broker_api.hyperliquid.candles import KEPT, Candles
from broker_api.hyperliquid.contracts import Contract
from broker_api.hyperliquid.drafts import Touch
from broker_api.hyperliquid.stream import Subscription
from broker_api.hyperliquid.wire.frames import Frame
from broker_api.hyperliquid.wire.market import (
    AssetContextFrame,
    BestPrices,
    Candle,
    Level,
    Print,
)
from broker_api.order import Side
from broker_api.quote import Bar, Quote, Trade

NS_MILLISECOND = 1_000_000
PRINTS_REMEMBERED = 1_000
_NAN = math.nan


@dataclass(eq=False)
class _Subscription:
    kind: str
    sink: RowSink


@dataclass
class _View:
    """One instrument."""

    contract: Contract
    candles: Candles
    touch: Touch = field(default_factory=lambda: Touch(None, None))
    mark: Decimal | None = None
    quote: Quote | None = None
    trade: Trade | None = None
    seen: dict[int, None] = field(default_factory=dict)
    sinks: list[_Subscription] = field(default_factory=list)


class Market:
    """The instruments of a session, by index. `now_ns` is the session's clock."""

    def __init__(self, contracts: Sequence[Contract], now_ns: Callable[[], int]) -> None:
        self._views = [_View(each, Candles(each.spec.symbol)) for each in contracts]
        self._by_coin = {each.coin: view for each, view in zip(contracts, self._views, strict=True)}
        self._now_ns = now_ns
        self.since_ms = 0
        """Prints from before the session are history: they are not told as new."""
        self._takers: dict[str, Callable[[object], None]] = {
            "bbo": self._take_best,
            "trades": self._take_prints,
            "activeAssetCtx": self._take_context,
            "candle": self._take_candle,
        }

    def subscriptions(self) -> list[Subscription]:
        """What has to be subscribed to."""
        wanted: list[Subscription] = []
        for view in self._views:
            coin = view.contract.coin
            wanted += [{"type": name, "coin": coin} for name in ("bbo", "trades", "activeAssetCtx")]
            wanted += [{"type": "candle", "coin": coin, "interval": each} for each in KEPT]
        return wanted

    # --- frames --------------------------------------------------------------------------------

    def take(self, frame: Frame) -> None:
        """A frame of a channel of the market; others are passed over."""
        taker = self._takers.get(frame.channel)
        if taker is not None:
            taker(frame.data)

    def _take_best(self, best: object) -> None:
        assert isinstance(best, BestPrices)
        view = self._by_coin.get(best.coin)
        if view is None:
            return
        bid, ask = best.bbo
        view.touch = Touch(_price(bid), _price(ask))
        quote = Quote(
            view.contract.spec.symbol,
            best.time * NS_MILLISECOND,
            None if bid is None else float(bid.price),
            None if ask is None else float(ask.price),
            0.0 if bid is None else float(bid.size),
            0.0 if ask is None else float(ask.size),
        )
        if view.quote is not None and view.quote[2:] == quote[2:]:
            return
        view.quote = quote
        self._tell(view, quote, None)

    def _take_prints(self, prints: object) -> None:
        assert isinstance(prints, tuple)
        for each in sorted(prints, key=lambda each: each.time):
            view = self._by_coin.get(each.coin)
            if view is None or each.tid in view.seen:
                continue
            view.seen[each.tid] = None
            if len(view.seen) > PRINTS_REMEMBERED:
                del view.seen[next(iter(view.seen))]
            self._take_print(view, each)

    def _take_print(self, view: _View, each: Print) -> None:
        trade = Trade(
            view.contract.spec.symbol,
            each.time * NS_MILLISECOND,
            float(each.price),
            float(each.size),
            Side.BUY if each.side == "B" else Side.SELL,
        )
        if view.trade is not None and trade.ts_ns < view.trade.ts_ns:
            return
        view.trade = trade
        if each.time >= self.since_ms:
            view.candles.take_print(each)
            self._tell(view, None, trade)

    def _take_context(self, frame: object) -> None:
        assert isinstance(frame, AssetContextFrame)
        view = self._by_coin.get(frame.coin)
        if view is not None:
            view.mark = frame.context.mark_price

    def _take_candle(self, candle: object) -> None:
        assert isinstance(candle, Candle)
        view = self._by_coin.get(candle.coin)
        if view is not None:
            view.candles.take(candle)
            view.candles.deliver(self._now_ns())

    def take_mid(self, coin: str, mid: Decimal) -> None:
        """A mid from before the first quote."""
        view = self._by_coin.get(coin)
        if view is not None and view.touch.mid is None:
            view.touch = Touch(mid, mid)

    # --- looking -------------------------------------------------------------------------------

    def touch(self, index: int) -> Touch:
        """The best prices in force."""
        return self._views[index].touch

    def mark_ticks(self, index: int) -> int | None:
        """The mark, else the mid, as the nearest tick; None while neither is known."""
        view = self._views[index]
        price = view.touch.mid if view.mark is None else view.mark
        return None if price is None else view.contract.nearest_ticks(price)

    def last_quote(self, index: int) -> Quote | None:
        """The quote in force, None before the first."""
        return self._views[index].quote

    def last_trade(self, index: int) -> Trade | None:
        """The newest print, None before the first."""
        return self._views[index].trade

    def bars(self, index: int, interval_ns: int, count: int) -> list[Bar]:
        """The newest complete bars, the oldest first."""
        return self._views[index].candles.bars(interval_ns, count, self._now_ns())

    # --- those who are told --------------------------------------------------------------------

    def subscribe_rows(self, index: int, kind: str, sink: RowSink) -> Callable[[], None]:
        """Deliver quotes, trades or ticks; call the result to stop."""
        sinks = self._views[index].sinks
        subscription = _Subscription(kind, sink)
        sinks.append(subscription)

        def stop() -> None:
            if subscription in sinks:
                sinks.remove(subscription)

        return stop

    def subscribe_bars(self, index: int, interval_ns: int, sink: RowSink) -> Callable[[], None]:
        """Deliver bars as they complete; call the result to stop."""
        return self._views[index].candles.subscribe(interval_ns, sink, self._now_ns())

    def deliver_bars(self) -> None:
        """Time has gone by: tell of the bars that it completed."""
        for view in self._views:
            view.candles.deliver(self._now_ns())

    def _tell(self, view: _View, quote: Quote | None, trade: Trade | None) -> None:
        for each in tuple(view.sinks):
            if each.kind == "tick":
                row = _row(view.quote, trade, self._now_ns() if quote is None else quote.ts_ns)
                each.sink(*(row[name] for name in each.sink.fields))
            elif each.kind == "quote" and quote is not None:
                each.sink(quote)
            elif each.kind == "trade" and trade is not None:
                each.sink(trade)


def _price(level: Level | None) -> Decimal | None:
    return None if level is None else level.price


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
