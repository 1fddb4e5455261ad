"""Orders, their places in queues, and the groups that tie them together."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from broker_api.order import (
    NO_PRICE,
    Arm,
    OnPartial,
    OrderStatus,
    OrderType,
    Role,
    Side,
    TimeInForce,
)

if TYPE_CHECKING:
    from sim.reference.account import Account


class Touch(NamedTuple):
    """The best price of a side and its size, None where unknown; price None: an empty side."""

    price: int | None
    lots: int | None


QUEUE_UNIT = 1024
"""Parts of a lot in which a queue is counted."""


class Doing(Enum):
    """What an order that has not ended does."""

    ARRIVING = auto()
    HELD = auto()
    STOP = auto()
    RESTING = auto()
    WAITING = auto()
    ENDED = auto()


@dataclass
class Place:
    """Some lots of a resting order that joined the queue together.

    `ahead` is in 1/1024 lots, None while the depth at the price is unknown; `traded` then counts
    the lots printed there meanwhile. `base` is what the side showed on joining, at `joined_ts`;
    `explained` counts the lots printed at the price in this packet; `met` tells whether something
    of the place has filled.
    """

    lots: int
    ahead: int | None
    joined_ts: int
    base: Touch
    traded: int = 0
    explained: int = 0
    met: bool = False


@dataclass(eq=False)
class Order:
    """One order of an account. Prices are ticks, None where the order has none."""

    account: Account
    order_id: int
    market: int
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    role: Role
    size: int
    limit: int | None
    stop: int | None
    protection: int | None
    post_only: bool
    reduce_only: bool
    expires_ns: int | None
    placed: int
    priority: int
    status: OrderStatus = OrderStatus.PENDING
    doing: Doing = Doing.ARRIVING
    filled: int = 0
    cost: int = 0
    triggered: bool = False
    ambiguous: bool = False
    arrives_by_fill: bool = False
    """True while an exit arrives that a fill brought to life."""
    places: list[Place] = field(default_factory=list)
    trail: int | None = None
    """Of a trailing stop its distance in ticks, else in `trail_ppm`; where it begins to trail; and
    the best price since then, None before it."""
    trail_ppm: int | None = None
    activation: int | None = None
    best: int | None = None
    noted: int = 0
    """Lots of the present print that this order gets."""
    bracket: Bracket | None = None
    oco: Oco | None = None

    @property
    def position(self) -> int:
        """What its account has open in its market, negative when short."""
        return self.account.lots(self.market)

    @property
    def leaves(self) -> int:
        """Lots that have not filled."""
        return self.size - self.filled

    @property
    def live(self) -> int:
        """Lots that may trade now."""
        return 0 if self.doing in (Doing.HELD, Doing.ENDED) else self.leaves

    @property
    def is_working(self) -> bool:
        """False when the order has ended."""
        return self.doing is not Doing.ENDED

    @property
    def is_exit(self) -> bool:
        """True for the legs of a bracket."""
        return self.role in (Role.STOP_EXIT, Role.TARGET_EXIT)

    @property
    def working_status(self) -> OrderStatus:
        """Open, or partially filled, by what has filled."""
        return OrderStatus.PARTIALLY_FILLED if self.filled else OrderStatus.OPEN

    @property
    def is_trailing(self) -> bool:
        """True for a trailing stop, triggered or not."""
        return self.order_type is OrderType.TRAILING_STOP

    @property
    def waits_for_trigger(self) -> bool:
        """True for an order of a type that waits and has not seen what it waits for."""
        return (self.stop is not None or self.is_trailing) and not self.triggered

    @property
    def trigger_price(self) -> int | None:
        """The price it waits for: the stop, else where a trailing stop begins to trail."""
        return self.activation if self.stop is None else self.stop

    @property
    def limit_ticks(self) -> int:
        """The limit as events write it."""
        return NO_PRICE if self.limit is None else self.limit

    @property
    def stop_ticks(self) -> int:
        """The stop as events write it."""
        return NO_PRICE if self.stop is None else self.stop


@dataclass(eq=False)
class Bracket:
    """An entry and its exits. Offsets are None where a price is fixed."""

    entry: Order
    stop: Order | None
    target: Order | None
    arm: Arm
    on_partial: OnPartial
    stop_offset: int | None
    limit_offset: int | None
    target_offset: int | None
    exits_filled: int = 0
    released: int = 0
    """Lots that other orders closed, or that the user took from live exits."""
    cap: int | None = None
    """The size that the user gave the exits before anything of the entry had filled."""

    @property
    def legs(self) -> list[Order]:
        """The exits that have not ended, the stop first."""
        return [leg for leg in (self.stop, self.target) if leg is not None and leg.is_working]

    @property
    def covered(self) -> int:
        """Lots of the entry that the exits are for."""
        return self.entry.filled if self.cap is None else min(self.entry.filled, self.cap)

    @property
    def due(self) -> int:
        """Lots that the exits have to close."""
        return max(0, self.covered - self.exits_filled - self.released)

    @property
    def waits_for_entry(self) -> bool:
        """True while nothing of the entry has filled."""
        return self.entry.is_working and self.entry.filled == 0

    @property
    def is_armed(self) -> bool:
        """True when what has filled is to be protected."""
        return self.arm is Arm.PARTIAL or not self.entry.is_working


@dataclass(eq=False)
class Oco:
    """Two orders of which at most one completes."""

    first: Order
    second: Order
    on_partial: OnPartial

    def sibling_of(self, order: Order) -> Order | None:
        """The other leg, None when it has ended."""
        other = self.second if order is self.first else self.first
        return other if other.is_working else None
