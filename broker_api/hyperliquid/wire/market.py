"""Records of the market: what is traded, books, prints, candles.

Sizes and prices are exact decimals, times milliseconds.
"""

from __future__ import annotations

from typing import Annotated, Literal

from broker_api.hyperliquid.wire.account import SideWord
from broker_api.hyperliquid.wire.schema import (
    ABSENT,
    Address,
    Flag,
    Hash,
    Key,
    Many,
    ResponseNumber,
    Text,
    Unsigned,
    response,
)


@response
class AssetMeta:
    """One perpetual; its place in the universe is its asset id."""

    name: Text
    sz_decimals: Annotated[Unsigned, Key("szDecimals")]
    max_leverage: Annotated[Unsigned, Key("maxLeverage")]
    margin_table_id: Annotated[Unsigned | None, Key("marginTableId"), ABSENT] = None
    only_isolated: Annotated[Flag | None, Key("onlyIsolated"), ABSENT] = None
    is_delisted: Annotated[Flag | None, Key("isDelisted"), ABSENT] = None
    margin_mode: Annotated[Text | None, Key("marginMode"), ABSENT] = None


@response
class MarginTierMeta:
    """From which notional which leverage is the highest."""

    lower_bound: Annotated[ResponseNumber, Key("lowerBound")]
    max_leverage: Annotated[Unsigned, Key("maxLeverage")]


@response
class MarginTable:
    """The tiers of one margin table."""

    description: Text
    tiers: Annotated[Many[MarginTierMeta], Key("marginTiers")]


@response
class Meta:
    """What is traded. Table ids below 50 are a single tier of that leverage."""

    universe: Many[AssetMeta]
    margin_tables: Annotated[Many[tuple[Unsigned, MarginTable]], Key("marginTables")] = ()
    collateral_token: Annotated[Unsigned | None, Key("collateralToken"), ABSENT] = None


@response
class AssetContext:
    """A perpetual's prices of the moment; those that need both sides of a book may be null."""

    funding: ResponseNumber
    open_interest: Annotated[ResponseNumber, Key("openInterest")]
    previous_day_price: Annotated[ResponseNumber, Key("prevDayPx")]
    day_notional: Annotated[ResponseNumber, Key("dayNtlVlm")]
    premium: ResponseNumber | None
    oracle_price: Annotated[ResponseNumber, Key("oraclePx")]
    mark_price: Annotated[ResponseNumber, Key("markPx")]
    mid_price: Annotated[ResponseNumber | None, Key("midPx")] = None
    impact_prices: Annotated[Many[ResponseNumber] | None, Key("impactPxs")] = None
    day_base: Annotated[ResponseNumber | None, Key("dayBaseVlm"), ABSENT] = None


@response
class AssetContextFrame:
    """Data of an `activeAssetCtx` frame."""

    coin: Text
    context: Annotated[AssetContext, Key("ctx")]


@response
class Level:
    """A price of a book, what rests there, and how many orders that are."""

    price: Annotated[ResponseNumber, Key("px")]
    size: Annotated[ResponseNumber, Key("sz")]
    orders: Annotated[Unsigned, Key("n")]


@response
class Book:
    """`l2Book`: bids from the highest, asks from the lowest, at most 20 each."""

    coin: Text
    time: Unsigned
    levels: tuple[Many[Level], Many[Level]]


@response
class BestPrices:
    """`bbo`: the first level of each side, null where there is none."""

    coin: Text
    time: Unsigned
    bbo: tuple[Level | None, Level | None]


@response
class Print:
    """A public trade; `side` is the aggressor's, `users` buyer and seller."""

    coin: Text
    side: SideWord
    price: Annotated[ResponseNumber, Key("px")]
    size: Annotated[ResponseNumber, Key("sz")]
    time: Unsigned
    hash: Hash
    tid: Unsigned
    users: Annotated[tuple[Address, Address] | None, ABSENT] = None


Interval = Literal[
    "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d", "3d", "1w", "1M"
]
"""How long a candle may be."""


@response
class Candle:
    """A bar from `start` to `end` (its last millisecond), with its volume and count of trades."""

    start: Annotated[Unsigned, Key("t")]
    end: Annotated[Unsigned, Key("T")]
    coin: Annotated[Text, Key("s")]
    interval: Annotated[Text, Key("i")]
    open: Annotated[ResponseNumber, Key("o")]
    close: Annotated[ResponseNumber, Key("c")]
    high: Annotated[ResponseNumber, Key("h")]
    low: Annotated[ResponseNumber, Key("l")]
    volume: Annotated[ResponseNumber, Key("v")]
    trades: Annotated[Unsigned, Key("n")]
