"""Records of an account, as `/info` and the WebSocket give them: orders, fills, positions.

Sizes and prices are exact decimals, times milliseconds. `side` is "B" for a bid, "A" for an ask.
"""

from __future__ import annotations

from typing import Annotated, Literal

from broker_api.hyperliquid.wire.schema import (
    ABSENT,
    Address,
    Cloid,
    Flag,
    Hash,
    Key,
    Many,
    ResponseNumber,
    Text,
    Unsigned,
    Whole,
    response,
)

SideWord = Literal["B", "A"]
"""Bid and ask; of a public trade the aggressor's side."""


# --- orders ------------------------------------------------------------------------------------


@response
class BasicOrder:
    """An order as `openOrders` and `orderUpdates` show it.

    A trigger order looks like a limit order at its limit price here. `size` is what is left.
    """

    coin: Text
    side: SideWord
    limit_price: Annotated[ResponseNumber, Key("limitPx")]
    size: Annotated[ResponseNumber, Key("sz")]
    oid: Unsigned
    timestamp: Unsigned
    original_size: Annotated[ResponseNumber, Key("origSz")]
    cloid: Annotated[Cloid | None, ABSENT] = None
    reduce_only: Annotated[Flag | None, Key("reduceOnly"), ABSENT] = None


@response
class FullOrder:
    """An order with all its sixteen keys; plain orders have "N/A" and 0.0 for their trigger."""

    coin: Text
    side: SideWord
    limit_price: Annotated[ResponseNumber, Key("limitPx")]
    size: Annotated[ResponseNumber, Key("sz")]
    oid: Unsigned
    timestamp: Unsigned
    trigger_condition: Annotated[Text, Key("triggerCondition")]
    is_trigger: Annotated[Flag, Key("isTrigger")]
    trigger_price: Annotated[ResponseNumber, Key("triggerPx")]
    children: Many[FullOrder]
    is_position_tpsl: Annotated[Flag, Key("isPositionTpsl")]
    reduce_only: Annotated[Flag, Key("reduceOnly")]
    order_type: Annotated[Text, Key("orderType")]
    original_size: Annotated[ResponseNumber, Key("origSz")]
    tif: Text | None = None
    cloid: Cloid | None = None


@response
class OrderState:
    """An order and what became of it: an entry of `historicalOrders`, or inside `orderStatus`."""

    order: FullOrder
    status: Text
    status_timestamp: Annotated[Unsigned, Key("statusTimestamp")]


@response
class OrderStatusAnswer:
    """The answer to `orderStatus`: "order" with its state, or "unknownOid" without."""

    status: Literal["order", "unknownOid"]
    order: Annotated[OrderState | None, ABSENT] = None


@response
class OrderUpdate:
    """An entry of an `orderUpdates` frame."""

    order: BasicOrder
    status: Text
    status_timestamp: Annotated[Unsigned, Key("statusTimestamp")]


# --- fills and funding -------------------------------------------------------------------------


@response
class FillLiquidation:
    """What a fill by a liquidation says of it; the method is "market" or "backstop"."""

    user: Annotated[Address | None, Key("liquidatedUser"), ABSENT] = None
    mark_price: Annotated[ResponseNumber | None, Key("markPx"), ABSENT] = None
    method: Annotated[Text | None, ABSENT] = None


@response
class Fill:
    """One execution. `start_position` is the signed position before it, `crossed` the taker's.

    `closed_pnl` is what it realised, fees apart; a negative fee is a rebate.
    """

    coin: Text
    price: Annotated[ResponseNumber, Key("px")]
    size: Annotated[ResponseNumber, Key("sz")]
    side: SideWord
    time: Unsigned
    start_position: Annotated[ResponseNumber, Key("startPosition")]
    direction: Annotated[Text, Key("dir")]
    closed_pnl: Annotated[ResponseNumber, Key("closedPnl")]
    hash: Hash
    oid: Unsigned
    crossed: Flag
    fee: ResponseNumber
    tid: Unsigned
    fee_token: Annotated[Text, Key("feeToken")] = "USDC"
    twap_id: Annotated[Unsigned | None, Key("twapId")] = None
    cloid: Annotated[Cloid | None, ABSENT] = None
    builder_fee: Annotated[ResponseNumber | None, Key("builderFee"), ABSENT] = None
    liquidation: Annotated[FillLiquidation | None, ABSENT] = None

    @property
    def key(self) -> tuple[int, str, int, int]:
        """What tells this execution from any other, however often it is told of."""
        return (self.time, self.coin, self.tid, self.oid)


@response
class Funding:
    """A payment of funding: `usdc` is what came in, negative what was paid."""

    time: Unsigned
    coin: Text
    usdc: ResponseNumber
    size: Annotated[ResponseNumber, Key("szi")]
    rate: Annotated[ResponseNumber, Key("fundingRate")]
    samples: Annotated[Unsigned | None, Key("nSamples"), ABSENT] = None


@response
class FundingDelta:
    """The inner part of an entry of `userFunding`."""

    type: Literal["funding"]
    coin: Text
    usdc: ResponseNumber
    size: Annotated[ResponseNumber, Key("szi")]
    rate: Annotated[ResponseNumber, Key("fundingRate")]
    samples: Annotated[Unsigned | None, Key("nSamples")] = None


@response
class FundingEntry:
    """An entry of `userFunding`."""

    time: Unsigned
    hash: Hash
    delta: FundingDelta


# --- positions and money -----------------------------------------------------------------------


@response
class Leverage:
    """An asset's margin mode and leverage; `raw_usd` is an isolated position's own money."""

    type: Literal["cross", "isolated"]
    value: Unsigned
    raw_usd: Annotated[ResponseNumber | None, Key("rawUsd"), ABSENT] = None


@response
class CumulativeFunding:
    """Funding of a position: over all time, since it was opened, since its size changed."""

    all_time: Annotated[ResponseNumber, Key("allTime")]
    since_open: Annotated[ResponseNumber, Key("sinceOpen")]
    since_change: Annotated[ResponseNumber, Key("sinceChange")]


@response
class AssetPosition:
    """An open position; a flat coin has none. `entry_price` is shown cut off."""

    coin: Text
    size: Annotated[ResponseNumber, Key("szi")]
    leverage: Leverage
    entry_price: Annotated[ResponseNumber | None, Key("entryPx")]
    position_value: Annotated[ResponseNumber, Key("positionValue")]
    unrealised_pnl: Annotated[ResponseNumber, Key("unrealizedPnl")]
    return_on_equity: Annotated[ResponseNumber, Key("returnOnEquity")]
    liquidation_price: Annotated[ResponseNumber | None, Key("liquidationPx")]
    margin_used: Annotated[ResponseNumber, Key("marginUsed")]
    max_leverage: Annotated[Unsigned, Key("maxLeverage")]
    cumulative_funding: Annotated[CumulativeFunding, Key("cumFunding")]


@response
class PositionEntry:
    """An entry of `assetPositions`."""

    position: AssetPosition
    type: Text = "oneWay"


@response
class MarginSummary:
    """Money of an account: its value, the notional of its positions, cash less cost, margin."""

    account_value: Annotated[ResponseNumber, Key("accountValue")]
    total_notional: Annotated[ResponseNumber, Key("totalNtlPos")]
    total_raw_usd: Annotated[ResponseNumber, Key("totalRawUsd")]
    total_margin_used: Annotated[ResponseNumber, Key("totalMarginUsed")]


@response
class ClearinghouseState:
    """The account of perpetuals."""

    margin: Annotated[MarginSummary, Key("marginSummary")]
    cross_margin: Annotated[MarginSummary, Key("crossMarginSummary")]
    cross_maintenance: Annotated[ResponseNumber, Key("crossMaintenanceMarginUsed")]
    withdrawable: ResponseNumber
    positions: Annotated[Many[PositionEntry], Key("assetPositions")]
    time: Unsigned


@response
class UserRateLimit:
    """How many requests the address has used, and how many it may."""

    cumulative_volume: Annotated[ResponseNumber, Key("cumVlm")]
    used: Annotated[Unsigned, Key("nRequestsUsed")]
    cap: Annotated[Unsigned, Key("nRequestsCap")]
    surplus: Annotated[Whole, Key("nRequestsSurplus")] = 0


@response
class UserRole:
    """Who an address is; an agent's `data` names its master."""

    role: Text
    data: Annotated[dict[str, Text] | None, ABSENT] = None


@response
class UserFees:
    """The rates of an account, of which this project reads two: shares of the notional."""

    taker_rate: Annotated[ResponseNumber, Key("userCrossRate")]
    maker_rate: Annotated[ResponseNumber, Key("userAddRate")]
