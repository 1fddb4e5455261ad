"""The WebSocket's subscriptions: what each needs, what it begins with, and what it goes on with.

Channels of the market and of a user's state are compared with what was sent last and sent again
when they differ; channels of news are fed by the engine's news, each once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from broker_api.hyperliquid.wire.schema import Address, ProtocolError, decode, encode
from sim.venues.hyperliquid import balances, candles, history, info, ladder, quotes
from sim.venues.hyperliquid.records import User
from sim.venues.hyperliquid.universe import Asset

if TYPE_CHECKING:
    from sim.venues.hyperliquid.engine import HyperliquidEngine

Data = Any
FAST_LEVELS = 5


@dataclass(frozen=True)
class Subscription:
    """What a client wants to hear of. `sent` is the table as the client wrote it."""

    type: str
    coin: str | None
    user: str | None
    interval: str | None
    digits: int | None
    mantissa: int | None
    is_fast: bool
    together: bool
    sent: Mapping[str, Any]

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes two subscriptions the same."""
        terms = (self.digits, self.mantissa, self.is_fast, self.together)
        return (self.type, self.coin, self.user, self.interval, *terms)


@dataclass(frozen=True)
class Kind:
    """One type of subscription: the fields that it needs, and the channel of its frames.

    `state` gives the data of the moment, sent at first and at every change; `first` the frame of
    the past that news go on from.
    """

    channel: str
    needs: tuple[str, ...] = ()
    state: Callable[[HyperliquidEngine, Subscription], Data] | None = None
    first: Callable[[HyperliquidEngine, Subscription], Data] | None = None


def parse(engine: HyperliquidEngine, table: Mapping[str, Any]) -> Subscription:
    """The subscription in a table. Raises ProtocolError."""
    name = table["type"]
    kind = KINDS.get(name)
    if kind is None:
        raise ProtocolError("subscription.type", "is not known")
    coin = user = interval = None
    if "coin" in kind.needs:
        asset = info.asset_of(engine, table)
        if asset is None and not str(table["coin"]).startswith(("@", "PURR/")):
            raise ProtocolError("subscription.coin", "is not listed")
        coin = table["coin"]
    if "user" in kind.needs:
        user = decode(Address, table.get("user"), "subscription.user")
    if "interval" in kind.needs:
        interval = table.get("interval")
        if interval not in candles.INTERVALS:
            raise ProtocolError("subscription.interval", "is not known")
    if name == "l2Book":
        info.book_of(engine, table)
    return Subscription(
        name,
        coin,
        user,
        interval,
        table.get("nSigFigs"),
        table.get("mantissa"),
        table.get("fast") is True,
        table.get("aggregateByTime") is True,
        table,
    )


def _asset(engine: HyperliquidEngine, wanted: Subscription) -> Asset | None:
    return engine.universe.by_coin(wanted.coin)


def _user(engine: HyperliquidEngine, wanted: Subscription) -> User | None:
    return engine.users.get(wanted.user or "")


def _book(engine: HyperliquidEngine, wanted: Subscription) -> Data:
    asset = _asset(engine, wanted)
    if asset is None:
        return {"coin": wanted.coin, "time": engine.now_ms, "levels": [[], []]}
    table = encode(ladder.book(engine, asset, wanted.digits, wanted.mantissa))
    if wanted.is_fast:
        table["levels"] = [side[:FAST_LEVELS] for side in table["levels"]]
    return table


def _bbo(engine: HyperliquidEngine, wanted: Subscription) -> Data:
    asset = _asset(engine, wanted)
    if asset is None:
        return {"coin": wanted.coin, "time": engine.now_ms, "bbo": [None, None]}
    return encode(ladder.bbo(engine, asset))


def _trades(engine: HyperliquidEngine, wanted: Subscription) -> Data:
    asset = _asset(engine, wanted)
    trades = [] if asset is None else quotes.recent_trades(engine, asset)
    return history.encoded(reversed(trades)) or None


def _context(engine: HyperliquidEngine, wanted: Subscription) -> Data:
    asset = _asset(engine, wanted)
    if asset is None:
        spot = quotes.spot_contexts()[1]
        return {"coin": wanted.coin, "ctx": next(iter(spot))}
    return {"coin": asset.coin, "ctx": quotes.context(engine, asset)}


def _candle(engine: HyperliquidEngine, wanted: Subscription) -> Data:
    asset, interval = _asset(engine, wanted), wanted.interval or ""
    if asset is None:
        return None
    start_ms = candles.span_of(interval, engine.now_ms)[0]
    found = candles.candles(engine, asset, interval, start_ms, engine.now_ms)
    return encode(found[-1]) if found else None


def _fills(engine: HyperliquidEngine, wanted: Subscription) -> Data:
    fills = history.newest_fills(_user(engine, wanted), together=wanted.together)
    return {"user": wanted.user, "fills": history.encoded(fills), "isSnapshot": True}


def _fundings(engine: HyperliquidEngine, wanted: Subscription) -> Data:
    user = _user(engine, wanted)
    fundings = [] if user is None else user.fundings
    return {"user": wanted.user, "fundings": history.encoded(fundings), "isSnapshot": True}


def _money(engine: HyperliquidEngine, wanted: Subscription) -> Data:
    user = _user(engine, wanted)
    entries = [] if user is None else list(user.money)
    return {"user": wanted.user, "nonFundingLedgerUpdates": entries, "isSnapshot": True}


def _state(engine: HyperliquidEngine, wanted: Subscription) -> Data:
    state = balances.clearinghouse_state(engine, _user(engine, wanted))
    return {"dex": "", "user": wanted.user, "clearinghouseState": state}


def _orders(engine: HyperliquidEngine, wanted: Subscription) -> Data:
    return {"dex": "", "user": wanted.user, "orders": history.full_orders(_user(engine, wanted))}


_COIN, _USER = ("coin",), ("user",)
KINDS: dict[str, Kind] = {
    "allMids": Kind("allMids", (), lambda engine, wanted: {"mids": quotes.mids(engine)}),
    "l2Book": Kind("l2Book", _COIN, _book),
    "bbo": Kind("bbo", _COIN, _bbo),
    "trades": Kind("trades", _COIN, first=_trades),
    "candle": Kind("candle", ("coin", "interval"), _candle),
    "activeAssetCtx": Kind("activeAssetCtx", _COIN, _context),
    "orderUpdates": Kind("orderUpdates", _USER),
    "userEvents": Kind("user", _USER),
    "userFills": Kind("userFills", _USER, first=_fills),
    "userFundings": Kind("userFundings", _USER, first=_fundings),
    "userNonFundingLedgerUpdates": Kind("userNonFundingLedgerUpdates", _USER, first=_money),
    "activeAssetData": Kind(
        "activeAssetData",
        ("user", "coin"),
        lambda engine, wanted: info.active_asset_data(engine, wanted.sent),
    ),
    "webData2": Kind("webData2", _USER, lambda engine, wanted: info.web_data(engine, wanted.sent)),
    "clearinghouseState": Kind("clearinghouseState", _USER, _state),
    "openOrders": Kind("openOrders", _USER, _orders),
    "notification": Kind("notification", _USER),
}
"""By the type of a subscription. `userTwapHistory` and the other dexes' are not there."""


def channel_of(wanted: Subscription) -> str:
    """The channel of a subscription's frames."""
    if wanted.type == "activeAssetCtx" and str(wanted.coin).startswith(("@", "PURR/")):
        return "activeSpotAssetCtx"
    return KINDS[wanted.type].channel
