"""What the gateway keeps of markets, accounts and orders, and how its wire shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from broker_api.instrument import NANOS, Instrument
from broker_api.ledger import Ledger
from broker_api.order import Side
from broker_api.projectx.wire import records
from broker_api.projectx.wire.contracts import Contract
from broker_api.projectx.wire.enums import OrderStatus, OrderType, PositionType

_MONEY_STEP = Decimal("0.0001")
_AVERAGE_STEP = Decimal("0.000001")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True)
class Market:
    """One contract that is traded here."""

    index: int
    instrument: Instrument
    contract: Contract

    @property
    def id(self) -> str:
        """The contract's id."""
        return self.contract.id

    def price(self, ticks: int) -> Decimal:
        """A price on the grid."""
        return ticks * self.instrument.tick_size

    def average(self, cost: int, lots: int) -> Decimal:
        """The average price of lots that cost so many ticks x lots."""
        exact = Decimal(cost) * self.instrument.tick_size / lots
        return exact.quantize(_AVERAGE_STEP).normalize()

    def to_wire(self) -> records.ContractRecord:
        """As the searches tell of it."""
        month = f"{_MONTHS[self.contract.month - 1]} {self.contract.year}"
        return records.ContractRecord(
            id=self.id,
            name=self.contract.name(self.instrument.symbol),
            description=f"{self.instrument.name}: {month}",
            tick_size=self.instrument.tick_size,
            tick_value=self.instrument.tick_value,
            active=True,
            symbol_id=self.contract.symbol_id,
        )


@dataclass
class Holding:
    """An account's position in one market; `id` is of the position that is or was open."""

    id: int = 0
    lots: int = 0
    cost: int = 0
    realised_nanos: int = 0
    created_ns: int = 0
    last_price: Decimal = Decimal(0)


@dataclass(eq=False)
class Account:
    """A trading account: `number` is its place in the exchange's pool."""

    id: int
    name: str
    user: str
    number: int
    ledger: Ledger
    holdings: list[Holding]
    tags: set[str] = field(default_factory=set)
    trades: list[records.Trade] = field(default_factory=list)

    def to_wire(self) -> records.Account:
        """As the search and the hub tell of it."""
        return records.Account(
            id=self.id,
            name=self.name,
            balance=money(self.ledger.cash_nanos),
            can_trade=True,
            is_visible=True,
            simulated=True,
        )


@dataclass(eq=False)
class OrderRecord:
    """An order from its arrival on; its id is the exchange's, too. Times are the market's."""

    id: int
    account: Account
    market: Market
    type: OrderType
    side: Side
    lots: int
    created_ns: int
    limit_ticks: int | None = None
    stop_ticks: int | None = None
    trail_ticks: int | None = None
    tag: str | None = None
    parent_id: int | None = None
    status: OrderStatus = OrderStatus.PENDING
    updated_ns: int = 0
    filled_lots: int = 0
    filled_cost: int = 0

    def to_wire(self, shift_ns: int) -> records.Order:
        """As the searches and the hub tell of it."""
        price = self.market.price
        average = None
        # Of a trailing stop its distance is told, as on the live service, and not where it is.
        stop = None if self.type is OrderType.TRAILING_STOP else self.stop_ticks
        if self.filled_lots:
            average = self.market.average(self.filled_cost, self.filled_lots)
        return records.Order(
            id=self.id,
            account_id=self.account.id,
            contract_id=self.market.id,
            created=self.created_ns + shift_ns,
            status=self.status,
            type=self.type,
            side=self.side,
            size=self.lots,
            symbol_id=self.market.contract.symbol_id,
            updated=(self.updated_ns or self.created_ns) + shift_ns,
            limit_price=None if self.limit_ticks is None else price(self.limit_ticks),
            stop_price=None if stop is None else price(stop),
            fill_volume=self.filled_lots,
            filled_price=average,
            custom_tag=self.tag,
            trail_distance=self.trail_ticks,
            parent_order_id=self.parent_id,
        )


class News(NamedTuple):
    """What subscribers to an account hear: a record of the wire."""

    account: Account
    record: Any


def position_record(account: Account, market: Market, shift_ns: int) -> records.Position:
    """An account's position; of one that was closed the size is 0 and the price that of its end."""
    held = account.holdings[market.index]
    kind = PositionType.LONG if held.lots > 0 else PositionType.SHORT
    average = market.average(held.cost, held.lots) if held.lots else held.last_price
    return records.Position(
        id=held.id,
        account_id=account.id,
        contract_id=market.id,
        created=held.created_ns + shift_ns,
        type=kind if held.lots else PositionType.UNDEFINED,
        size=abs(held.lots),
        average_price=average,
    )


def money(nanos: int) -> Decimal:
    """An amount in 1e-9 as the wire shows it, to a hundredth of a cent."""
    return (Decimal(nanos) / NANOS).quantize(_MONEY_STEP).normalize()
