"""What the session knows of the market: touch, prints, bars, and who is told of them.

Quotes and prints come from the hub, bars from the gateway's history and from prints after it.
Looking costs nothing and asks nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from broker_api.calendar import load_calendar
from broker_api.instrument import NANOS
from broker_api.live.candles import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, Candles, Sum
from broker_api.live.feed import Feed, Feeds
from broker_api.order import Side
from broker_api.projectx.client import Client
from broker_api.projectx.contracts import Contract
from broker_api.projectx.drafts import Touch
from broker_api.projectx.wire import records
from broker_api.projectx.wire.enums import BarUnit, TradeLogType
from broker_api.projectx.wire.records import MarketTrade, Pushed
from broker_api.projectx.wire.requests import RetrieveBars
from broker_api.projectx.wire.signalr import Invocation
from broker_api.quote import Quote, Trade

UNITS = ((BarUnit.MINUTE, MINUTE_NS), (BarUnit.HOUR, HOUR_NS), (BarUnit.DAY, DAY_NS))
"""Bars that are asked for and kept; others are put together from these."""
CLOSED_SHARE = 4
"""Markets are closed at night and at weekends: so much longer is the span that is asked for."""
EVER_NS = 1_000_000_000 * NANOS
"""Earlier than any bar: 2001."""


class _View:
    """One instrument."""

    def __init__(self, contract: Contract, now_ns: Callable[[], int]) -> None:
        self.contract = contract
        self.feed = Feed(Candles(contract.spec.symbol), now_ns)
        self.touch = Touch(None, None, None)


class Market(Feeds):
    """The instruments of a session, by index. `now_ns` is the session's clock."""

    def __init__(self, contracts: Sequence[Contract], now_ns: Callable[[], int]) -> None:
        self._views = [_View(each, now_ns) for each in contracts]
        self._by_id = {view.contract.id: view for view in self._views}
        super().__init__([view.feed for view in self._views], now_ns)

    def calls(self) -> list[Invocation]:
        """What has to be subscribed to."""
        return [
            Invocation(name, (view.contract.id,))
            for view in self._views
            for name in ("SubscribeContractQuotes", "SubscribeContractTrades")
        ]

    # --- events --------------------------------------------------------------------------------

    def take(self, pushed: Pushed) -> int:
        """An event of the hub; the newest time that it tells, in nanoseconds, 0 for none."""
        view = self._by_id.get(pushed.contract_id or "")
        newest = 0
        for record in pushed.records if view is not None else ():
            assert view is not None
            if isinstance(record, records.Quote):
                newest = max(newest, self._take_quote(view, record))
            elif isinstance(record, MarketTrade):
                newest = max(newest, self._take_print(view, record))
        return newest

    def _take_quote(self, view: _View, record: records.Quote) -> int:
        """A quote; what it leaves out has not changed."""
        before = view.touch
        view.touch = Touch(
            before.bid if record.bid is None else record.bid,
            before.ask if record.ask is None else record.ask,
            before.last if record.last is None else record.last,
        )
        ts_ns = record.timestamp or record.updated or 0
        view.feed.take_quote(
            Quote(
                view.contract.spec.symbol,
                ts_ns or self._now_ns(),
                _float(view.touch.bid),
                _float(view.touch.ask),
                0.0,  # the gateway's quotes have no sizes
                0.0,
            )
        )
        return ts_ns

    def _take_print(self, view: _View, record: MarketTrade) -> int:
        price, size = float(record.price), float(record.volume)
        side = Side.SELL if record.type is TradeLogType.SELL else Side.BUY
        trade = Trade(view.contract.spec.symbol, record.timestamp, price, size, side)
        if view.feed.take_trade(trade, is_news=True):
            view.touch = view.touch._replace(last=record.price)
            view.feed.candles.take_print(
                record.timestamp, price, size, SECOND_NS, MINUTE_NS, HOUR_NS, DAY_NS
            )
            view.feed.candles.deliver(self._now_ns())
        return record.timestamp

    def is_open(self) -> bool:
        """Whether any product trades now, by its calendar: silence means something then."""
        now_ns = self._now_ns()
        return any(
            load_calendar(view.contract.spec.calendar).is_open(now_ns) for view in self._views
        )

    # --- history -------------------------------------------------------------------------------

    async def fetch_bars(self, client: Client, count: int, *, live: bool) -> None:
        """Take the newest bars of the gateway's history, also those that are not complete yet."""
        for view in self._views if count else ():
            for unit, length_ns in UNITS:
                end_ns = self._now_ns()
                found: tuple[records.Bar, ...] = ()
                for start_ns in (end_ns - count * length_ns * CLOSED_SHARE, EVER_NS):
                    message = RetrieveBars(
                        contract_id=view.contract.id,
                        start=max(EVER_NS, start_ns),
                        end=end_ns,
                        unit=unit,
                        unit_number=1,
                        limit=count,
                        live=live,
                        include_partial=True,
                    )
                    found = await client.bars(message)
                    if found:
                        break
                for bar in sorted(found, key=lambda bar: bar.t):
                    traded = Sum(*(float(each) for each in (bar.o, bar.h, bar.l, bar.c, bar.v)))
                    view.feed.candles.take(length_ns, bar.t, traded)

    # --- looking -------------------------------------------------------------------------------

    def touch(self, index: int) -> Touch:
        """The newest prices."""
        return self._views[index].touch

    def mark_ticks(self, index: int) -> int | None:
        """The last price, else the middle, as the nearest tick; None while neither is known."""
        view = self._views[index]
        mark = view.touch.mark
        return None if mark is None else view.contract.nearest_ticks(mark)


def _float(price: Decimal | None) -> float | None:
    return None if price is None else float(price)
