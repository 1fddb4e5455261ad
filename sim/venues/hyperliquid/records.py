"""What the venue remembers: orders as the wire shows them, users, and news for subscribers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from broker_api.hyperliquid.wire.account import (
    BasicOrder,
    Fill,
    FullOrder,
    Funding,
    OrderState,
    SideWord,
)
from broker_api.hyperliquid.wire.actions import Tif, TpSl
from broker_api.hyperliquid.wire.frames import LiquidationEvent
from broker_api.hyperliquid.wire.market import Print
from broker_api.hyperliquid.wire.numbers import request_text
from broker_api.instrument import NANOS
from broker_api.order import Side
from broker_api.record import PositionRecord
from sim.venues.hyperliquid.universe import Asset

HISTORY_MAX = 2000
"""Entries of historicalOrders and userFills: the newest."""
_KINDS = {
    (TpSl.STOP_LOSS, True): "Stop Market",
    (TpSl.STOP_LOSS, False): "Stop Limit",
    (TpSl.TAKE_PROFIT, True): "Take Profit Market",
    (TpSl.TAKE_PROFIT, False): "Take Profit Limit",
}


def usd(nanos: int) -> Decimal:
    """Money of the exchange as an exact decimal."""
    return Decimal(nanos).scaleb(-9)


class TriggerTerms(NamedTuple):
    """What a trigger order waits for, and as what it executes then."""

    price: Decimal
    tpsl: TpSl
    is_market: bool

    def fires_upward(self, side: Side) -> bool:
        """True when it fires at and above its price: stops of buyers, profits of sellers."""
        return (side is Side.BUY) == (self.tpsl is TpSl.STOP_LOSS)


@dataclass(eq=False)
class OrderRecord:
    """One order. `left_lots` is what it could still fill; `word` the venue's status word.

    `is_placed` is False for a child that waits for its parent: the exchange does not know it yet.
    `follows` marks a trigger whose size is the position's. `siblings` cancel each other.
    """

    oid: int
    user: User
    asset: Asset
    side: Side
    price: Decimal
    size: Decimal
    lots: int
    timestamp_ms: int
    reduce_only: bool = False
    tif: Tif | None = None
    trigger: TriggerTerms | None = None
    cloid: str | None = None
    is_position_tpsl: bool = False
    follows: bool = False
    is_placed: bool = False
    is_triggered: bool = False
    is_liquidation: bool = False
    left_lots: int = 0
    filled_lots: int = 0
    filled_cost: int = 0
    word: str = "open"
    has_ended: bool = False
    end_word: str | None = None
    """What a cancel that the venue itself sends is to be called."""
    parent: OrderRecord | None = None
    children: list[OrderRecord] = field(default_factory=list)
    siblings: list[OrderRecord] = field(default_factory=list)
    state: OrderState | None = None
    """The order at its last change of status, which is what `orderStatus` shows."""

    @property
    def side_word(self) -> SideWord:
        """B or A."""
        return "B" if self.side is Side.BUY else "A"

    @property
    def is_resting(self) -> bool:
        """True for what can be in the book: placed, working, and no trigger that still waits."""
        waits = self.trigger is not None and not self.is_triggered
        return self.is_placed and not self.has_ended and not waits

    @property
    def shown_lots(self) -> int:
        """What is left; of a reduce-only order no more than its position."""
        if self.has_ended or not self.reduce_only or not self.is_placed:
            return self.left_lots
        return min(self.left_lots, abs(self.user.held[self.asset.index]))

    @property
    def order_type(self) -> str:
        """The type in the words of the front end."""
        if self.trigger is not None:
            return _KINDS[self.trigger.tpsl, self.trigger.is_market]
        return "Market" if self.tif is Tif.FRONTEND_MARKET or self.is_liquidation else "Limit"

    @property
    def average_price(self) -> Decimal:
        """Exact average of what has filled."""
        return self.asset.instrument.tick_size * self.filled_cost / max(1, self.filled_lots)

    def basic(self) -> BasicOrder:
        """As `openOrders` shows it."""
        return BasicOrder(
            coin=self.asset.coin,
            side=self.side_word,
            limit_price=self.price,
            size=self.asset.size(self.shown_lots),
            oid=self.oid,
            timestamp=self.timestamp_ms,
            original_size=self.size,
            cloid=self.cloid,
            reduce_only=True if self.reduce_only else None,
        )

    def full(self) -> FullOrder:
        """With all its keys."""
        trigger, condition = self.trigger, "N/A"
        if trigger is not None:
            way = "above" if trigger.fires_upward(self.side) else "below"
            condition = f"Price {way} {request_text(trigger.price)}"
        return FullOrder(
            coin=self.asset.coin,
            side=self.side_word,
            limit_price=self.price,
            size=self.asset.size(self.shown_lots),
            oid=self.oid,
            timestamp=self.timestamp_ms,
            trigger_condition=condition,
            is_trigger=trigger is not None,
            trigger_price=Decimal(0) if trigger is None else trigger.price,
            children=tuple(child.full() for child in self.children if not child.has_ended),
            is_position_tpsl=self.is_position_tpsl,
            reduce_only=self.reduce_only,
            order_type=self.order_type,
            original_size=self.size,
            tif=None if self.tif is None or trigger is not None else self.tif.value,
            cloid=self.cloid,
        )


@dataclass
class AssetSetting:
    """A user's margin mode and leverage of one coin."""

    leverage: int
    is_cross: bool = True


@dataclass
class FundingTally:
    """Funding of one coin in 1e-9 currency, positive paid: in all, since opened, since changed."""

    all_time: int = 0
    since_open: int = 0
    since_change: int = 0


@dataclass
class Agent:
    """A key that may act for a user, until a wall-clock time in ms."""

    address: str
    name: str
    valid_until_ms: int


@dataclass(eq=False)
class User:
    """An address with an account, and everything that `/info` tells of it.

    `positions` are the ledger's. `open` holds working orders by oid, in the order of their making.
    """

    address: str
    account: int
    positions: list[PositionRecord]
    settings: list[AssetSetting]
    funding: list[FundingTally]
    realised: list[int]
    """By coin what its fills have realised, in 1e-9."""
    held: list[int]
    """By coin the position in lots at the event that is being told."""
    agents: dict[str, Agent] = field(default_factory=dict)
    left_agents: set[str] = field(default_factory=set)
    builder_fees: dict[str, int] = field(default_factory=dict)
    orders: dict[int, OrderRecord] = field(default_factory=dict)
    open: dict[int, OrderRecord] = field(default_factory=dict)
    by_cloid: dict[str, OrderRecord] = field(default_factory=dict)
    history: deque[OrderState] = field(default_factory=lambda: deque(maxlen=HISTORY_MAX))
    fills: list[Fill] = field(default_factory=list)
    fundings: list[Funding] = field(default_factory=list)
    money: list[dict[str, Any]] = field(default_factory=list)
    """Entries of userNonFundingLedgerUpdates."""
    spot_nanos: int = 0
    traded_nanos: int = 0
    requests_used: int = 0
    cancels_used: int = 0
    last_over_ms: int = 0
    scheduled_ms: int | None = None
    schedule_day: int = 0
    schedule_fired: int = 0
    value_history: list[tuple[int, int, int]] = field(default_factory=list)
    """(market ms, account value, profit) in 1e-9, at every fill and transfer."""


# --- news -----------------------------------------------------------------------------------------


class OrderNews(NamedTuple):
    """An order changed its status."""

    user: User
    state: OrderState
    basic: BasicOrder


class FillNews(NamedTuple):
    """An execution of a user."""

    user: User
    fill: Fill


class FundingNews(NamedTuple):
    """Funding of a user."""

    user: User
    funding: Funding


class CancelNews(NamedTuple):
    """The venue ended an order of a user."""

    user: User
    coin: str
    oid: int


class LiquidationNews(NamedTuple):
    """A user's account fell below what its positions need."""

    user: User
    event: LiquidationEvent


class MoneyNews(NamedTuple):
    """Money came, went, or changed its account."""

    user: User
    entry: dict[str, Any]


class TradeNews(NamedTuple):
    """A public trade that is not on the tape: a user took, from the tape or from another user."""

    asset: Asset
    trade: Print


News = OrderNews | FillNews | FundingNews | CancelNews | LiquidationNews | MoneyNews | TradeNews


def nanos_of(amount: Decimal) -> int:
    """An exact amount as money of the exchange, cut off at 1e-9."""
    return int(amount * NANOS)
