"""A ProjectX Gateway's market for whoever only listens; the gateway wants a login all the same.

Its quotes have no sizes: those come from the depth of the book, where it was told at the price. A
touch of which no size is known counts as one lot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import numpy as np

from broker_api.instrument import Instrument
from broker_api.live.listening import ListeningThread, Ready
from broker_api.live.transport import Http
from broker_api.messages import ProtocolError
from broker_api.projectx.client import Client
from broker_api.projectx.config import ProjectXConfig
from broker_api.projectx.contracts import Contract
from broker_api.projectx.hub import Hub
from broker_api.projectx.opening import contracts_of
from broker_api.projectx.pace import pacing_of
from broker_api.projectx.tokens import Tokens
from broker_api.projectx.wire.enums import DomType, TradeLogType
from broker_api.projectx.wire.fields import parse_body
from broker_api.projectx.wire.records import Depth, MarketTrade, Pushed, Quote
from broker_api.projectx.wire.signalr import Invocation
from broker_api.public_market import MarketSink

CALLS = ("SubscribeContractQuotes", "SubscribeContractTrades", "SubscribeContractMarketDepth")
LEVELS_MAX = 512
"""Levels of one side that are remembered; more are those of long ago."""
BEAT_SECONDS = 1.0
_BIDS = (DomType.BID, DomType.BEST_BID, DomType.NEW_BEST_BID)
_ASKS = (DomType.ASK, DomType.BEST_ASK, DomType.NEW_BEST_ASK)


class ProjectXMarket:
    """A PublicMarket of a gateway, or of a local one that speaks like it."""

    kinds = ("quote", "trade")

    def __init__(
        self,
        config: ProjectXConfig,
        instruments: Sequence[Instrument],
        environment: Mapping[str, str],
        now_ms: Callable[[], int],
        draws: np.random.Generator,
    ) -> None:
        self._config = config
        self._place = config.place(environment)
        self._user = config.user_name(environment)
        self._key = config.secret(environment)
        self._instruments = tuple(instruments)
        self._now_ms = now_ms
        self._draws = draws
        self.source = f"projectx {self._place.api_url}"
        self._thread = ListeningThread(self._listen, "projectx")

    def start(self, sink: MarketSink) -> tuple[Instrument, ...]:
        """See PublicMarket."""
        return self._thread.start(sink)

    def close(self) -> None:
        """See PublicMarket."""
        self._thread.close()

    async def _listen(self, sink: MarketSink, ready: Ready) -> None:
        config = self._config
        http = Http(self._place.api_url, answer_seconds=config.answer_seconds, parse=parse_body)
        await http.open()
        try:
            tokens = Tokens(http.post, self._user, self._key, self._now_ms)
            client = Client(http, tokens, pacing_of(config, self._draws))
            await client.log_in()
            names = [each.symbol for each in self._instruments]
            contracts = await contracts_of(client, names, self._instruments, live=config.live_data)
            ready(tuple(each.spec for each in contracts))
            await self._hear(http, tokens, _Told(contracts, sink), sink)
        finally:
            await http.close()

    async def _hear(self, http: Http, tokens: Tokens, told: _Told, sink: MarketSink) -> None:
        hub = Hub(
            http,
            self._place.market_hub_url,
            tokens,
            told.calls(),
            on_event=told.take,
            on_bad_event=lambda fault: sink.note(f"an event that cannot be read: {fault}"),
            on_up=told.begin,
            on_down=sink.down,
            draws=self._draws,
        )
        hub.start()
        renewals = 0
        try:
            while True:
                await asyncio.sleep(BEAT_SECONDS)
                if tokens.renewals != renewals:  # the connection keeps the token it was made with
                    renewals = tokens.renewals
                    await hub.drop()
        finally:
            await hub.close()


class _View:
    """What was told of one contract."""

    def __init__(self, index: int, contract: Contract) -> None:
        self.index = index
        self.contract = contract
        self.bid: Decimal | None = None
        self.ask: Decimal | None = None
        self.bids: dict[Decimal, int] = {}
        self.asks: dict[Decimal, int] = {}

    def forget(self) -> None:
        """What was known is not known any more."""
        self.bid = self.ask = None
        self.bids.clear()
        self.asks.clear()

    def tell(self, sink: MarketSink) -> None:
        """The touch as it is now."""
        contract = self.contract
        bid = None if self.bid is None else contract.ticks(self.bid)
        ask = None if self.ask is None else contract.ticks(self.ask)
        sizes = (_size(self.bids, self.bid), _size(self.asks, self.ask))
        sink.quote(self.index, bid, ask, sizes)


class _Told:
    """Events of the hub as calls of the sink."""

    def __init__(self, contracts: Sequence[Contract], sink: MarketSink) -> None:
        self._sink = sink
        self._views = {each.id: _View(index, each) for index, each in enumerate(contracts)}

    def calls(self) -> list[Invocation]:
        """What has to be subscribed to."""
        return [Invocation(name, (each,)) for each in self._views for name in CALLS]

    async def begin(self) -> None:
        """A connection has subscribed: what was known before it may have changed."""
        for view in self._views.values():
            view.forget()

    def take(self, pushed: Pushed) -> None:
        """An event of the hub."""
        view = self._views.get(pushed.contract_id or "")
        if view is None:
            return
        try:
            for record in pushed.records:
                self._take(view, record)
        except ProtocolError as fault:
            self._sink.note(f"an event that cannot be read: {fault}")

    def _take(self, view: _View, record: object) -> None:
        if isinstance(record, Quote):
            view.bid = view.bid if record.bid is None else record.bid
            view.ask = view.ask if record.ask is None else record.ask
            if view.bid is not None and view.ask is not None:
                view.tell(self._sink)
        elif isinstance(record, Depth):
            self._take_depth(view, record)
        elif isinstance(record, MarketTrade):
            ticks = view.contract.ticks(record.price)
            side = -1 if record.type is TradeLogType.SELL else 1
            self._sink.trade(view.index, ticks, record.volume, side)

    def _take_depth(self, view: _View, record: Depth) -> None:
        if record.type is DomType.RESET:
            view.bids.clear()
            view.asks.clear()
        elif record.type in _BIDS or record.type in _ASKS:
            levels, touch = (view.bids, view.bid) if record.type in _BIDS else (view.asks, view.ask)
            levels.pop(record.price, None)
            levels[record.price] = record.current_volume or record.volume
            if len(levels) > LEVELS_MAX:
                del levels[next(iter(levels))]
            if record.price == touch and view.bid is not None and view.ask is not None:
                view.tell(self._sink)


def _size(levels: Mapping[Decimal, int], price: Decimal | None) -> int:
    """The lots at the touch; one where nobody has told how many."""
    return 0 if price is None else max(1, levels.get(price, 1))
