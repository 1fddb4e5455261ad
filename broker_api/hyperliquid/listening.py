"""Hyperliquid's market for whoever only listens: no key, no account.

Touch, prints and marks come over the WebSocket. Prints from before a connection are history: the
venue sends the newest ones at every subscription, and by then nobody could have filled on them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

import numpy as np

from broker_api.config import Settings
from broker_api.errors import BrokerError, ConfigurationError, NotConnectedError
from broker_api.hyperliquid.config import MAINNET_URL, TESTNET_URL, URL_VARIABLE
from broker_api.hyperliquid.contracts import Contract, contracts_of
from broker_api.hyperliquid.stream import Stream, Subscription
from broker_api.hyperliquid.wire.frames import Frame
from broker_api.hyperliquid.wire.market import (
    AssetContextFrame,
    BestPrices,
    Book,
    Level,
    Meta,
    Print,
)
from broker_api.hyperliquid.wire.schema import ProtocolError, decode
from broker_api.instrument import NANOS, Instrument
from broker_api.live.listening import ListeningThread, Ready
from broker_api.live.transport import Http, OutcomeUnknown, Throttled
from broker_api.public_market import MarketSink

CHANNELS = ("bbo", "trades", "activeAssetCtx")
ATTEMPTS = 4
PAUSE_SECONDS = 0.25
HOUR_MS = 3_600_000
PRINTS_REMEMBERED = 10_000


class ListeningConfig(Settings):
    """Which market to listen to. The main network's costs nothing and needs no consent.

    `base_url`, or `url`, is a local venue's; without it the environment's PAPERTAPE_VENUE_URL.
    """

    network: Literal["mainnet", "testnet", "local"] = "mainnet"
    base_url: str | None = None
    url: str | None = None
    answer_seconds: float = 10.0

    def place(self, environment: Mapping[str, str]) -> str:
        """The venue's address. Raises ConfigurationError for a local one that is nowhere."""
        named = self.base_url or self.url or environment.get(URL_VARIABLE)
        if named is not None:
            return named.rstrip("/")
        if self.network == "local":
            raise ConfigurationError(
                f'network "local" needs url=http://..., or the environment variable {URL_VARIABLE}'
            )
        return MAINNET_URL if self.network == "mainnet" else TESTNET_URL


class HyperliquidMarket:
    """A PublicMarket of Hyperliquid, or of a local venue that speaks like it."""

    kinds = ("quote", "trade", "mark", "funding")

    def __init__(
        self,
        config: ListeningConfig,
        instruments: Sequence[Instrument],
        environment: Mapping[str, str],
        now_ms: Callable[[], int],
        draws: np.random.Generator,
    ) -> None:
        self._url = config.place(environment)
        self._config = config
        self._instruments = tuple(instruments)
        self._now_ms = now_ms
        self._draws = draws
        self.source = f"hyperliquid {self._url}"
        self._thread = ListeningThread(self._listen, "hyperliquid")

    def start(self, sink: MarketSink) -> tuple[Instrument, ...]:
        """See PublicMarket."""
        return self._thread.start(sink)

    def close(self) -> None:
        """See PublicMarket."""
        self._thread.close()

    async def _listen(self, sink: MarketSink, ready: Ready) -> None:
        http = Http(self._url, answer_seconds=self._config.answer_seconds)
        await http.open()
        try:
            meta: Meta = decode(Meta, await _asked(http, {"type": "meta"}), "info meta")
            contracts = contracts_of(meta, [each.id for each in self._instruments])
            told = _Told(http, contracts, sink, self._now_ms)
            stream = Stream(
                http,
                told.subscriptions(),
                on_frame=told.take,
                on_bad_frame=lambda fault: sink.note(f"a frame that cannot be read: {fault}"),
                on_up=told.begin,
                on_down=sink.down,
                draws=self._draws,
            )
            ready(tuple(map(as_there, self._instruments, contracts)))
            stream.start()
            try:
                await asyncio.Event().wait()
            finally:
                await stream.close()
        finally:
            await http.close()


def as_there(ours: Instrument, contract: Contract) -> Instrument:
    """The instrument under its name and with its fees here, else as the venue has it.

    What the venue tells without a login has no fees: they depend on the account.
    """
    return replace(
        contract.spec,
        symbol=ours.symbol,
        id=ours.id,
        name=ours.name,
        maker_fee_ppm=ours.maker_fee_ppm,
        taker_fee_ppm=ours.taker_fee_ppm,
        max_size=min(contract.spec.max_size, ours.max_size),
    )


async def _asked(http: Http, request: dict[str, Any]) -> Any:
    """The answer to a public request of `/info`. Raises BrokerError after a few attempts."""
    failure: BrokerError | None = None
    for attempt in range(ATTEMPTS):
        try:
            return await http.post("/info", request)
        except (Throttled, OutcomeUnknown, NotConnectedError) as fault:
            failure = fault
            await asyncio.sleep(PAUSE_SECONDS * 2**attempt)
    raise BrokerError(f"{request['type']}: {ATTEMPTS} attempts failed; the last: {failure}")


class _Coin:
    """What was told of one coin."""

    def __init__(self, index: int, contract: Contract) -> None:
        self.index = index
        self.contract = contract
        self.since_ms = 0
        self.seen: dict[int, None] = {}
        self.rate = Decimal(0)
        self.hour = 0

    def is_new(self, each: Print) -> bool:
        """Whether a print is told for the first time, and is not history."""
        if each.tid in self.seen:
            return False
        self.seen[each.tid] = None
        if len(self.seen) > PRINTS_REMEMBERED:
            del self.seen[next(iter(self.seen))]
        return each.time > self.since_ms


class _Told:
    """Frames as calls of the sink."""

    def __init__(
        self,
        http: Http,
        contracts: Sequence[Contract],
        sink: MarketSink,
        now_ms: Callable[[], int],
    ) -> None:
        self._http = http
        self._sink = sink
        self._now_ms = now_ms
        self._coins = {each.coin: _Coin(index, each) for index, each in enumerate(contracts)}
        self._takers: dict[str, Callable[[Any], None]] = {
            "bbo": self._take_best,
            "trades": self._take_prints,
            "activeAssetCtx": self._take_context,
        }

    def subscriptions(self) -> list[Subscription]:
        """What has to be subscribed to."""
        return [{"type": name, "coin": coin} for coin in self._coins for name in CHANNELS]

    async def begin(self) -> None:
        """A connection has subscribed: what the venue has printed up to its time is history."""
        for name, coin in self._coins.items():
            found = await _asked(self._http, {"type": "l2Book", "coin": name})
            book: Book = decode(Book, found, "info l2Book")
            coin.since_ms = max(coin.since_ms, book.time)

    def take(self, frame: Frame) -> None:
        """A frame of the venue; others than of the market are passed over."""
        taker = self._takers.get(frame.channel)
        if taker is None:
            if frame.channel == "error":
                self._sink.note(f"the WebSocket says: {frame.data}")
            return
        try:
            taker(frame.data)
        except ProtocolError as fault:
            self._sink.note(f"a frame that cannot be read: {fault}")

    def _take_best(self, best: BestPrices) -> None:
        coin = self._coins.get(best.coin)
        if coin is None:
            return
        (bid, bid_lots), (ask, ask_lots) = (_side(coin.contract, level) for level in best.bbo)
        self._sink.quote(coin.index, bid, ask, (bid_lots, ask_lots))

    def _take_prints(self, prints: tuple[Print, ...]) -> None:
        for each in sorted(prints, key=lambda each: each.time):
            coin = self._coins.get(each.coin)
            if coin is not None and coin.is_new(each):
                ticks, lots = coin.contract.ticks(each.price), coin.contract.lots(each.size)
                self._sink.trade(coin.index, ticks, lots, 1 if each.side == "B" else -1)

    def _take_context(self, frame: AssetContextFrame) -> None:
        """The mark, and with the first context of an hour the funding of the one before."""
        coin = self._coins.get(frame.coin)
        if coin is None:
            return
        hour = self._now_ms() // HOUR_MS
        for _ in range(hour - coin.hour if coin.hour else 0):
            self._sink.funding(coin.index, int(coin.rate * NANOS))
        coin.hour, coin.rate = hour, frame.context.funding
        self._sink.mark(coin.index, int(frame.context.mark_price * NANOS))


def _side(contract: Contract, level: Level | None) -> tuple[int | None, int]:
    if level is None or not level.size:
        return None, 0
    return contract.ticks(level.price), contract.lots(level.size)
