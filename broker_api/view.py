"""What users see of the ledger: immutable orders, fills, positions and account, in their own units.

A view is taken at one moment and never changes. It keeps the exact integers (`size_lots`,
`limit_ticks`, `created_ns`) beside the numbers and datetimes that programs and people read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from broker_api.instrument import Instrument, from_nanos
from broker_api.order import Liquidity, OrderStatus, OrderType, Role, Side, TimeInForce

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_datetime(ts_ns: int) -> datetime:
    """Nanoseconds since the epoch as an aware UTC datetime, rounded down to the microsecond."""
    return _EPOCH + timedelta(microseconds=ts_ns // 1000)


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution of an order. The fee is what this execution cost; negative is a rebate."""

    spec: Instrument = field(repr=False)
    seq: int
    order_id: int
    ts_ns: int
    side: Side
    price_ticks: int
    lots: int
    fee_nanos: int
    liquidity: Liquidity
    ambiguous: bool

    @property
    def instrument(self) -> str:
        """The instrument's symbol."""
        return self.spec.symbol

    @property
    def price(self) -> float:
        """The price of this execution."""
        return self.spec.ticks_to_price(self.price_ticks)

    @property
    def quantity(self) -> float:
        """How much was executed, always positive."""
        return self.spec.lots_to_size(self.lots)

    @property
    def fee(self) -> float:
        """The fee in account currency."""
        return from_nanos(self.fee_nanos)

    @property
    def time(self) -> datetime:
        """The venue's time of the execution."""
        return to_datetime(self.ts_ns)


@dataclass(frozen=True, slots=True)
class Order:
    """One order of the session as it was when it was asked for.

    `held` is true for an exit that waits for its entry. `parent_id` is a bracket exit's entry,
    `sibling_id` the other exit or the other OCO leg. `reason` says in words why it ended or was
    refused, and is empty otherwise. `remaining_quantity` is what still works: 0 once it has ended.
    """

    spec: Instrument = field(repr=False)
    order_id: int
    client_order_id: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    status: OrderStatus
    held: bool
    role: Role
    size_lots: int
    filled_lots: int
    leaves_lots: int
    filled_cost: int
    fee_nanos: int
    limit_ticks: int | None
    stop_ticks: int | None
    reduce_only: bool
    post_only: bool
    parent_id: int | None
    sibling_id: int | None
    group_id: int | None
    reason: str
    created_ns: int
    updated_ns: int
    tag: str
    fills: tuple[Fill, ...]

    @property
    def orderId(self) -> int:  # noqa: N802  the vendor's spelling
        """The order id under the vendor's name."""
        return self.order_id

    @property
    def instrument(self) -> str:
        """The instrument's symbol."""
        return self.spec.symbol

    @property
    def contract_id(self) -> str:
        """The instrument's id at the broker."""
        return self.spec.id

    @property
    def size(self) -> float:
        """The total size, filled or not."""
        return self.spec.lots_to_size(self.size_lots)

    @property
    def filled_quantity(self) -> float:
        """How much has filled."""
        return self.spec.lots_to_size(self.filled_lots)

    @property
    def remaining_quantity(self) -> float:
        """How much still works or waits."""
        return self.spec.lots_to_size(self.leaves_lots)

    @property
    def average_price(self) -> float | None:
        """The average price of the fills, exact before it became a float; None without a fill."""
        if self.filled_lots == 0:
            return None
        return self.spec.average_price(self.filled_cost, self.filled_lots)

    @property
    def fill_price(self) -> float | None:
        """The same as `average_price`."""
        return self.average_price

    @property
    def limit_price(self) -> float | None:
        """The limit, None where the type has none or it is not known yet."""
        return None if self.limit_ticks is None else self.spec.ticks_to_price(self.limit_ticks)

    @property
    def stop_price(self) -> float | None:
        """The trigger price, None where the type has none or it is not known yet."""
        return None if self.stop_ticks is None else self.spec.ticks_to_price(self.stop_ticks)

    @property
    def fee(self) -> float:
        """The fees of all fills in account currency."""
        return from_nanos(self.fee_nanos)

    @property
    def created_at(self) -> datetime:
        """When the session gave the order."""
        return to_datetime(self.created_ns)

    @property
    def updated_at(self) -> datetime:
        """The venue's time of the newest event of the order."""
        return to_datetime(self.updated_ns)

    @property
    def is_working(self) -> bool:
        """True while it is sent, held, open or partly filled."""
        return self.status.is_working

    @property
    def is_terminal(self) -> bool:
        """True when nothing can happen to it any more."""
        return self.status.is_terminal

    def __str__(self) -> str:
        kind = self.type.name.lower().replace("_", "-")
        held = " (held)" if self.held else ""
        prices = [
            f"{name} {self.spec.format_price(ticks)}"
            for name, ticks in (("limit", self.limit_ticks), ("stop", self.stop_ticks))
            if ticks is not None
        ]
        words = [f"order {self.order_id}:", self.side.name.lower(), kind]
        words += [self.spec.format_size(self.size_lots), self.spec.symbol, *prices]
        filled = self.spec.format_size(self.filled_lots)
        return f"{' '.join(words)}, {self.status}{held}, filled {filled}"


@dataclass(frozen=True, slots=True)
class Position:
    """The net position in one instrument; `size` is signed. P&L is in account currency.

    `realised_pnl` counts the run's closed parts, fees apart. `unrealised_pnl` values what is open
    at the side one would get, 0.0 while that side of the book is empty.
    """

    spec: Instrument = field(repr=False)
    lots: int
    cost: int
    realised_nanos: int
    unrealised_nanos: int

    @property
    def symbol(self) -> str:
        """The instrument's symbol."""
        return self.spec.symbol

    @property
    def instrument(self) -> str:
        """The same as `symbol`."""
        return self.spec.symbol

    @property
    def contract_id(self) -> str:
        """The instrument's id at the broker."""
        return self.spec.id

    @property
    def size(self) -> float:
        """The signed size: positive is long."""
        return self.spec.lots_to_size(self.lots)

    @property
    def is_long(self) -> bool:
        """True when something bought is open."""
        return self.lots > 0

    @property
    def is_short(self) -> bool:
        """True when something sold is open."""
        return self.lots < 0

    @property
    def is_flat(self) -> bool:
        """True when nothing is open."""
        return self.lots == 0

    @property
    def average_price(self) -> float | None:
        """The average price of what is open, None when flat."""
        return None if self.lots == 0 else self.spec.average_price(self.cost, self.lots)

    @property
    def realised_pnl(self) -> float:
        """P&L of the closed parts, fees apart."""
        return from_nanos(self.realised_nanos)

    @property
    def unrealised_pnl(self) -> float:
        """P&L of the open part."""
        return from_nanos(self.unrealised_nanos)
