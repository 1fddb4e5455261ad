"""What an order is: the enumerations, the requests, and the legal transitions.

Every enumeration of the project is written here and nowhere else; the compiled kernel derives its
constants from these. Prices are integer ticks, sizes integer lots, times integer nanoseconds;
:mod:`broker_api.instrument` converts from and to what users write.
"""

from __future__ import annotations

import difflib
import functools
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Self, TypeVar

NO_PRICE = -(1 << 62)
"""The integer that stands for "no price" in rows and requests; outside every legal price."""

_E = TypeVar("_E", bound=Enum)


def parse_name(enumeration: type[_E], value: object, field: str) -> _E:
    """Return the member that `value` names, in any case, with `-` or a blank for `_`.

    Raises ValueError that names the field, the value, what is allowed, and the nearest name.
    """
    if isinstance(value, enumeration):
        return value
    if isinstance(value, str):
        found: _E | None = _member(enumeration, value)
        if found is not None:
            return found
    allowed = [name.lower() for name in enumeration.__members__]
    near = difflib.get_close_matches(str(value).lower(), allowed, n=1)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    raise ValueError(f"{field} {value!r} is not one of {', '.join(allowed)}{hint}")


@functools.lru_cache(maxsize=1024)
def _member(enumeration: type[_E], text: str) -> _E | None:
    name = text.strip().upper().replace("-", "_").replace(" ", "_")
    return enumeration.__members__.get(name)


class Side(IntEnum):
    """The side of an order: 0 buys, 1 sells, as ProjectX counts them."""

    BUY = 0
    SELL = 1

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 - 2 * self

    @property
    def opposite(self) -> Side:
        """The other side."""
        return _OPPOSITE[self]

    @classmethod
    def parse(cls, value: object) -> Side:
        """Accept a Side, 0 or 1, or "buy"/"sell" in any case. Raises ValueError otherwise."""
        if isinstance(value, int) and not isinstance(value, bool) and value in (0, 1):
            return _SIDES[value]
        if isinstance(value, bool):
            raise ValueError(f"side {value!r} is not one of 0, 1, buy, sell")
        return parse_name(cls, value, "side")


_SIDES, _OPPOSITE = (Side.BUY, Side.SELL), (Side.SELL, Side.BUY)


class OrderType(IntEnum):
    """How an order meets the market."""

    MARKET = 1
    LIMIT = 2
    STOP = 3
    STOP_LIMIT = 4
    TRAILING_STOP = 5
    MARKET_IF_TOUCHED = 6
    LIMIT_IF_TOUCHED = 7


class TimeInForce(IntEnum):
    """How long an order works. NONE is for market orders only: the rest follows `beyond_top`."""

    NONE = 0
    GTC = 1
    DAY = 2
    GTD = 3
    IOC = 4
    FOK = 5


class OrderStatus(str, Enum):
    """Where an order is in its life. Members are strings: ``status == "filled"`` works.

    `code` is the number used in journal rows; `projectx_code` the vendor's number. `is_terminal` is
    true when nothing can happen to the order any more, `is_working` while it is sent, held, open or
    partly filled.
    """

    code: int
    projectx_code: int
    is_terminal: bool
    is_working: bool

    def __new__(cls, value: str, code: int, projectx_code: int) -> Self:
        """A member from its text and its two codes."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.code = code
        member.projectx_code = projectx_code
        member.is_terminal = value in ("filled", "cancelled", "expired", "rejected")
        member.is_working = value in ("pending", "open", "partially_filled")
        return member

    PENDING = "pending", 1, 6
    OPEN = "open", 2, 1
    PARTIALLY_FILLED = "partially_filled", 3, 1
    FILLED = "filled", 4, 2
    CANCELLED = "cancelled", 5, 3
    EXPIRED = "expired", 6, 4
    REJECTED = "rejected", 7, 5
    UNCERTAIN = "uncertain", 8, 0

    def __str__(self) -> str:
        return str.__str__(self)

    def __format__(self, spec: str) -> str:
        return str.__format__(self, spec)

    @classmethod
    def from_code(cls, code: int) -> OrderStatus:
        """The member with this journal code."""
        return STATUS_BY_CODE[code]


TERMINAL_STATUSES = frozenset(status for status in OrderStatus if status.is_terminal)
WORKING_STATUSES = frozenset(status for status in OrderStatus if status.is_working)
STATUS_BY_CODE = {status.code: status for status in OrderStatus}

_ENDS = (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED)
_LIVE = (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)
LEGAL_TRANSITIONS: dict[OrderStatus, tuple[OrderStatus, ...]] = {
    OrderStatus.PENDING: (*_LIVE, *_ENDS, OrderStatus.REJECTED, OrderStatus.UNCERTAIN),
    # A bracket's exit that filled all there was goes back to pending until its entry fills more.
    OrderStatus.OPEN: (*_LIVE, *_ENDS, OrderStatus.PENDING, OrderStatus.UNCERTAIN),
    OrderStatus.PARTIALLY_FILLED: (
        OrderStatus.PARTIALLY_FILLED,
        *_ENDS,
        OrderStatus.PENDING,
        OrderStatus.UNCERTAIN,
    ),
    # An exit that surely is not at the venue waits again.
    OrderStatus.UNCERTAIN: (*_LIVE, *_ENDS, OrderStatus.REJECTED, OrderStatus.PENDING),
    OrderStatus.FILLED: (),
    OrderStatus.CANCELLED: (),
    OrderStatus.EXPIRED: (),
    OrderStatus.REJECTED: (),
}
"""From a status to those that may follow. A terminal status is followed by nothing."""


class Role(IntEnum):
    """What an order is to its group.

    LIQUIDATION, FOREIGN and REPAIR are of orders that the session did not ask for: the venue's,
    those that somebody else placed on the account, and those by which exits that the client keeps
    bring back the position that was wanted.
    """

    SINGLE = 0
    ENTRY = 1
    STOP_EXIT = 2
    TARGET_EXIT = 3
    OCO_LEG = 4
    LIQUIDATION = 5
    FOREIGN = 6
    REPAIR = 7


class Arm(IntEnum):
    """When a bracket's exits go live: with the first fill of the entry, or with its last."""

    PARTIAL = 0
    FULL = 1


class OnPartial(IntEnum):
    """What a partial fill of one leg does to its sibling."""

    SHRINK = 0
    CANCEL = 1


class Liquidity(IntEnum):
    """Who was there first."""

    MAKER = 0
    TAKER = 1


class QueueModel(IntEnum):
    """How the queue ahead of a resting order is estimated; docs/fills.md explains each."""

    PROPORTIONAL = 0
    DISPLAYED = 1
    FRONT = 2
    BACK = 3


class BeyondTop(IntEnum):
    """What lies behind the displayed touch of a tape that shows only the touch."""

    LADDER = 0
    WAIT = 1
    INFINITE = 2


class SelfTrade(IntEnum):
    """Which of two own orders that would trade with each other is cancelled."""

    CANCEL_NEWEST = 0
    CANCEL_OLDEST = 1
    CANCEL_BOTH = 2


class TriggerSource(IntEnum):
    """Which price triggers stops and touched orders."""

    LAST = 0
    BID_ASK = 1
    MARK = 2


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One order as it is sent. Fields that an order type does not use stay None.

    `order_id` is the session's number of the order, given before it is sent, from 1 upward;
    adapters map it to the venue's own. `client_order_id` is the same in text, unique, chosen by the
    user or made from the number. `trail_ppm` is a trailing distance in millionths of the price.
    """

    order_id: int
    client_order_id: str
    instrument: str
    side: Side
    order_type: OrderType
    size_lots: int
    limit_ticks: int | None = None
    stop_ticks: int | None = None
    trail_ticks: int | None = None
    trail_ppm: int | None = None
    activation_ticks: int | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expires_at_ns: int | None = None
    post_only: bool = False
    reduce_only: bool = False
    protection_ticks: int | None = None
    tag: str = ""


@dataclass(frozen=True, slots=True)
class ExitRequest:
    """One exit of a bracket: at an offset from the entry's average fill, or at a fixed price.

    Exactly one of `offset_ticks` and `price_ticks` is given. Offsets are positive on the protective
    (stop) or profit (target) side, whatever the entry's side. `limit_offset_ticks` makes the stop a
    stop-limit whose limit lies that far beyond it; `trail_ticks` makes it a trailing stop.
    """

    order_id: int
    client_order_id: str
    offset_ticks: int | None = None
    price_ticks: int | None = None
    limit_offset_ticks: int | None = None
    trail_ticks: int | None = None
    tag: str = ""


@dataclass(frozen=True, slots=True)
class BracketRequest:
    """An entry and one or two exits that live and die by what the entry filled."""

    entry: OrderRequest
    stop: ExitRequest | None
    target: ExitRequest | None
    arm: Arm = Arm.PARTIAL
    on_partial: OnPartial = OnPartial.SHRINK


@dataclass(frozen=True, slots=True)
class OcoRequest:
    """Two orders of which at most one completes."""

    first: OrderRequest
    second: OrderRequest
    on_partial: OnPartial = OnPartial.SHRINK


@dataclass(frozen=True, slots=True)
class ReplaceRequest:
    """A change of a working order; None leaves a value. `size_lots` is the new total size."""

    order_id: int
    size_lots: int | None = None
    limit_ticks: int | None = None
    stop_ticks: int | None = None
    trail_ticks: int | None = None


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """The wish to end a working order."""

    order_id: int


Submission = OrderRequest | BracketRequest | OcoRequest
Command = OrderRequest | BracketRequest | OcoRequest | ReplaceRequest | CancelRequest


def requests_of(submission: Submission) -> tuple[OrderRequest, ...]:
    """The orders of a submission with a size of their own: one, the entry, or both OCO legs."""
    if isinstance(submission, OrderRequest):
        return (submission,)
    if isinstance(submission, BracketRequest):
        return (submission.entry,)
    return (submission.first, submission.second)


def order_ids_of(submission: Submission) -> tuple[int, ...]:
    """The ids of a submission's orders: one, both OCO legs, or entry, stop, target."""
    if isinstance(submission, OrderRequest):
        return (submission.order_id,)
    if isinstance(submission, OcoRequest):
        return (submission.first.order_id, submission.second.order_id)
    legs = (submission.entry, submission.stop, submission.target)
    return tuple([leg.order_id for leg in legs if leg is not None])


def exit_order(entry: OrderRequest, leg: ExitRequest, role: Role) -> OrderRequest:
    """A bracket's exit as an order: opposite to the entry, prices known only if they are fixed."""
    if role is Role.TARGET_EXIT:
        order_type, limit, stop = OrderType.LIMIT, leg.price_ticks, None
    else:
        order_type, limit, stop = OrderType.STOP, None, leg.price_ticks
        if leg.limit_offset_ticks is not None:
            order_type = OrderType.STOP_LIMIT
        elif leg.trail_ticks is not None:
            order_type = OrderType.TRAILING_STOP
    return OrderRequest(
        leg.order_id,
        leg.client_order_id,
        entry.instrument,
        _OPPOSITE[entry.side],
        order_type,
        entry.size_lots,
        limit,
        stop,
        leg.trail_ticks,
        tag=leg.tag,
    )
