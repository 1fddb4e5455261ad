"""What the session knows of the market: touch, mark, prints, bars, and who is told of them.

All comes from the WebSocket; looking costs nothing and asks nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

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
from broker_api.live.candles import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, Candles, Sum
from broker_api.live.feed import Feed, Feeds
from broker_api.order import Side
from broker_api.quote import Quote, Trade

NS_MILLISECOND = 1_000_000
KEPT: dict[str, int] = {"1m": MINUTE_NS, "1h": HOUR_NS, "1d": DAY_NS}
"""The intervals of candles that are subscribed to and kept, by the venue's name."""
PRINTS_REMEMBERED = 1_000


@dataclass
class _View:
    """One instrument."""

    contract: Contract
    feed: Feed
    touch: Touch = field(default_factory=lambda: Touch(None, None))
    mark: Decimal | None = None
    seen: dict[int, None] = field(default_factory=dict)


class Market(Feeds):
    """The instruments of a session, by index. `now_ns` is the session's clock."""

    def __init__(self, contracts: Sequence[Contract], now_ns: Callable[[], int]) -> None:
        self._views = [_View(each, Feed(Candles(each.spec.symbol), now_ns)) for each in contracts]
        self._by_coin = {each.coin: view for each, view in zip(contracts, self._views, strict=True)}
        super().__init__([view.feed for view in self._views], now_ns)
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
        view.feed.take_quote(quote)

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
        if view.feed.take_trade(trade, is_news=each.time >= self.since_ms):
            view.feed.candles.take_print(trade.ts_ns, trade.price, trade.size, SECOND_NS)

    def _take_context(self, frame: object) -> None:
        assert isinstance(frame, AssetContextFrame)
        view = self._by_coin.get(frame.coin)
        if view is not None:
            view.mark = frame.context.mark_price

    def _take_candle(self, candle: object) -> None:
        assert isinstance(candle, Candle)
        view = self._by_coin.get(candle.coin)
        if view is not None:
            put(candle, view.feed.candles)
            view.feed.candles.deliver(self._now_ns())

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


def put(candle: Candle, candles: Candles) -> None:
    """Take a candle of the venue into those that are kept."""
    interval_ns = KEPT.get(candle.interval)
    if interval_ns is not None:
        traded = None
        if candle.trades:
            prices = (candle.open, candle.high, candle.low, candle.close, candle.volume)
            traded = Sum(*(float(each) for each in prices))
        candles.take(interval_ns, candle.start * NS_MILLISECOND, traded)


def _price(level: Level | None) -> Decimal | None:
    return None if level is None else level.price
