"""What came back: frozen events, and their one row form.

Every event is a frozen dataclass of integers. Its row form (`EVENT_ROW`, one int64 column a field)
is what the journal stores, what the simulated exchange's kernel writes, and what the run's digest
is taken over; `encode` and `decode` are the only conversions between the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple

import numpy as np

from broker_api.order import NO_PRICE, Liquidity, OrderStatus, Side


class EventRow(NamedTuple):
    """An event as it travels from a broker to the journal and the ledger; see EVENT_COLUMNS.

    Objects of the classes below are made of it for those who read them (`decode`).
    """

    seq: int
    ts_ns: int
    kind: int
    instrument: int
    order_id: int
    status: int
    side: int
    price_ticks: int
    stop_ticks: int
    lots: int
    filled_lots: int
    leaves_lots: int
    fee_nanos: int
    liquidity: int
    ambiguous: int
    reason: int
    value: int
    limit: int
    position_lots: int
    position_cost: int
    realised_nanos: int
    cash_nanos: int
    account: int = 0


EVENT_COLUMNS = EventRow._fields
EVENT_ROW = np.dtype([(name, "<i8") for name in EVENT_COLUMNS])
"""One event as it is stored. Columns that an event does not use are 0, prices NO_PRICE."""


class EventKind(IntEnum):
    """The journal's code of every event."""

    ACCEPTED = 1
    REJECTED = 2
    TRIGGERED = 3
    FILLED = 4
    CANCELLED = 5
    EXPIRED = 6
    REPLACED = 7
    REPLACE_REJECTED = 8
    CANCEL_REJECTED = 9
    ACTIVATED = 10
    HELD = 11
    UNPROTECTED = 12
    LIQUIDATION = 13
    POSITION = 14
    ACCOUNT = 15
    UNCERTAIN = 16
    HALTED = 17
    RESUMED = 18
    FUNDING = 19
    DEPOSITED = 20
    DOUBLE_EXIT = 21
    DISCREPANCY = 22


class Reason(IntEnum):
    """Why: of a refusal, a cancel, or a change. Codes are grouped by the event they come with."""

    NONE = 0
    # refusals, in the order in which the exchange checks them (docs/fills.md)
    UNKNOWN_INSTRUMENT = 1
    MARKET_CLOSED = 2
    MARKET_HALTED = 3
    EXPIRY_IN_THE_PAST = 4
    SIZE_NOT_POSITIVE = 5
    SIZE_OFF_LOT = 6
    SIZE_BELOW_MINIMUM = 7
    SIZE_ABOVE_MAXIMUM = 8
    PRICE_MISSING = 9
    PRICE_NOT_POSITIVE = 10
    PRICE_OFF_TICK = 11
    PRICE_OUTSIDE_BAND = 12
    STOP_WRONG_SIDE = 13
    NO_TRIGGER_SOURCE = 14
    NO_POSITION_TO_REDUCE = 15
    REDUCE_ONLY_WRONG_SIDE = 16
    RISK_LIMIT = 17
    INSUFFICIENT_MARGIN = 18
    POST_ONLY_WOULD_TAKE = 19
    NO_LIQUIDITY = 20
    BRACKET_LEVELS = 21
    TOO_MANY_ORDERS = 22
    DUPLICATE_CLIENT_ORDER_ID = 23
    UNSUPPORTED = 24
    # refusals that only real venues and their likenesses know
    BELOW_MINIMUM_VALUE = 25
    REFUSED_BY_VENUE = 26
    NOT_ARRIVED = 27
    # refusals of replace and cancel
    UNKNOWN_ORDER = 40
    ORDER_NOT_ACTIVE = 41
    SIZE_BELOW_FILLED = 42
    NOT_MODIFIABLE = 43
    # cancels
    BY_USER = 60
    SIBLING = 61
    ENTRY_ENDED = 62
    IOC_REST = 63
    FOK_NOT_AVAILABLE = 64
    POSITION_FLAT = 65
    REDUCE_ONLY_DONE = 66
    SELF_TRADE = 67
    LIQUIDATED = 68
    MARKET_REST = 69
    POST_ONLY_AT_TRIGGER = 70
    # cancels that only real venues and their likenesses know
    UNCOVERED = 71
    SCHEDULED = 72
    BY_VENUE = 73
    ENDED_AWAY = 74
    # changes that the exchange made by itself
    EXIT_RESIZED = 80
    EXIT_REPRICED = 81
    OCO_RESIZED = 82
    COMPLETED_BY_SIZE = 83
    PROTECTION_LIMIT = 84
    TRAILED = 85
    # orders that the session did not ask for
    NOT_OURS = 90
    REPAIR = 91
    # what a broker's books and ours disagree about, and nothing explains
    POSITION_DIFFERS = 100
    CASH_DIFFERS = 101
    FILLS_MISSING = 102
    FILLS_TOO_MANY = 103
    TERMS_UNKNOWN = 104


@dataclass(frozen=True, slots=True)
class Event:
    """What every event has: its place in the run and its time at the venue.

    `seq` counts the run's events from 1. `ts_ns` is the venue's time; `local_ns` the session's when
    it arrived (0 until then) and is no part of the row form.
    """

    KIND: ClassVar[EventKind]
    seq: int
    ts_ns: int
    instrument: int
    """Index of the instrument in the session, -1 for events of the whole account."""
    account: int = field(default=0, kw_only=True, repr=False)
    """Whose event it is, where several accounts trade on one book; 0 where there is one."""


@dataclass(frozen=True, slots=True)
class OrderEventBase(Event):
    """An event of one order."""

    order_id: int
    status: OrderStatus
    filled_lots: int
    leaves_lots: int


@dataclass(frozen=True, slots=True)
class OrderAccepted(OrderEventBase):
    """The order exists at the venue: open, or pending when held behind its entry.

    Of an uncertain order it says that it is there after all, with these terms.
    """

    KIND = EventKind.ACCEPTED
    side: Side
    price_ticks: int
    stop_ticks: int
    lots: int
    reason: Reason = Reason.NONE
    """Of an order that the session did not ask for, why it is there; else NONE."""
    value: int = 0
    """The venue's own number of the order, 0 where it has none."""


@dataclass(frozen=True, slots=True)
class OrderRejected(OrderEventBase):
    """The venue refused; the order does not exist. `value` and `limit` are in the reason's unit."""

    KIND = EventKind.REJECTED
    reason: Reason
    value: int
    limit: int


@dataclass(frozen=True, slots=True)
class OrderTriggered(OrderEventBase):
    """An order saw its trigger `stop_ticks`; `price_ticks` is the source price that did it."""

    KIND = EventKind.TRIGGERED
    price_ticks: int
    stop_ticks: int


@dataclass(frozen=True, slots=True)
class OrderFilled(OrderEventBase):
    """One execution. `filled_lots` and `leaves_lots` are after it; the fee is in 1e-9 currency."""

    KIND = EventKind.FILLED
    side: Side
    price_ticks: int
    lots: int
    fee_nanos: int
    liquidity: Liquidity
    ambiguous: bool
    value: int = 0
    """The venue's own number of the execution, 0 where it has none: none is booked twice."""


@dataclass(frozen=True, slots=True)
class OrderCancelled(OrderEventBase):
    """The order ended with something unfilled, and why."""

    KIND = EventKind.CANCELLED
    reason: Reason


@dataclass(frozen=True, slots=True)
class OrderExpired(OrderEventBase):
    """The order's time ran out (GTD, DAY)."""

    KIND = EventKind.EXPIRED


@dataclass(frozen=True, slots=True)
class OrderReplaced(OrderEventBase):
    """Size or prices changed, by the user (reason NONE) or by the group's rules.

    `lots` is the total size, prices are NO_PRICE where the type has none.
    """

    KIND = EventKind.REPLACED
    reason: Reason
    price_ticks: int
    stop_ticks: int
    lots: int
    value: int = 0
    """The venue's own number of the order from now on, 0 where it has none."""


@dataclass(frozen=True, slots=True)
class ReplaceRejected(OrderEventBase):
    """The order, its place and its protection are as they were."""

    KIND = EventKind.REPLACE_REJECTED
    reason: Reason
    value: int
    limit: int


@dataclass(frozen=True, slots=True)
class CancelRejected(OrderEventBase):
    """There was nothing to cancel; `status` says how the order ended."""

    KIND = EventKind.CANCEL_REJECTED
    reason: Reason


@dataclass(frozen=True, slots=True)
class OrderActivated(OrderEventBase):
    """A held exit went live with `leaves_lots`, or a trailing stop began to trail: its prices."""

    KIND = EventKind.ACTIVATED
    price_ticks: int
    stop_ticks: int
    lots: int
    value: int = 0
    """The venue's own number of the order, 0 where it has none."""


@dataclass(frozen=True, slots=True)
class OrderHeld(OrderEventBase):
    """An exit filled all there was while its entry still works: it waits for more."""

    KIND = EventKind.HELD


@dataclass(frozen=True, slots=True)
class Unprotected(OrderEventBase):
    """The stop of a bracket is not there while its position is open: cancelled by hand, or, where
    the exits are kept by the client (contingency.py), refused, ended by the venue or unknown.
    """

    KIND = EventKind.UNPROTECTED


@dataclass(frozen=True, slots=True)
class DoubleExit(OrderEventBase):
    """An exit is about to fill `lots` more than was open: its sibling was faster than its cancel.

    Happens only where the exits are kept by the client. An order at market follows that trades as
    many lots on `side`, which brings back the position that was wanted.
    """

    KIND = EventKind.DOUBLE_EXIT
    side: Side
    lots: int


@dataclass(frozen=True, slots=True)
class OrderUncertain(OrderEventBase):
    """It is not known whether the order exists, or with which terms.

    Said before OrderUncertainError is raised. Reconciliation decides, nothing is sent again.
    """

    KIND = EventKind.UNCERTAIN


@dataclass(frozen=True, slots=True)
class Liquidation(Event):
    """Equity fell below the maintenance margin: working orders go, positions are closed.

    `instrument` is -1 for the account; else it is the isolated position that stood on too little.
    """

    KIND = EventKind.LIQUIDATION
    value: int
    """Equity, in 1e-9 currency."""
    limit: int
    """Maintenance margin, in 1e-9 currency."""


@dataclass(frozen=True, slots=True)
class PositionChanged(Event):
    """The net position after a fill.

    `position_cost` is the signed sum of ticks x lots of what is open, so the average price is
    cost / lots exactly; `realised_nanos` is the instrument's realised P&L of the run, fees apart.
    """

    KIND = EventKind.POSITION
    position_lots: int
    position_cost: int
    realised_nanos: int


@dataclass(frozen=True, slots=True)
class AccountChanged(Event):
    """Cash after a fill or a payment, and the run's fees so far, in 1e-9 currency."""

    KIND = EventKind.ACCOUNT
    cash_nanos: int
    fee_nanos: int


@dataclass(frozen=True, slots=True)
class FundingPaid(Event):
    """A perpetual's funding: `value` was paid (negative: received), in 1e-9 currency."""

    KIND = EventKind.FUNDING
    value: int
    position_lots: int


@dataclass(frozen=True, slots=True)
class FundsDeposited(Event):
    """Cash came to the account; a negative `value` was withdrawn, in 1e-9 currency."""

    KIND = EventKind.DEPOSITED
    value: int


@dataclass(frozen=True, slots=True)
class MarketHalted(Event):
    """The instrument stopped trading (halt, close); `reason` is MARKET_HALTED or MARKET_CLOSED."""

    KIND = EventKind.HALTED
    reason: Reason


@dataclass(frozen=True, slots=True)
class MarketResumed(Event):
    """The instrument trades again; its book is unknown until the next row."""

    KIND = EventKind.RESUMED


@dataclass(frozen=True, slots=True)
class Discrepancy(Event):
    """The broker's books and ours disagree, and nothing that is known explains it.

    `reason` says about what: the position (lots), the cash (1e-9 currency), or the filled lots of
    `order_id`. `value` is the broker's figure, `limit` ours. Nothing is adopted. Equal figures say
    that an earlier discrepancy is gone.
    """

    KIND = EventKind.DISCREPANCY
    order_id: int
    reason: Reason
    value: int
    limit: int


EVENT_TYPES: tuple[type[Event], ...] = (
    OrderAccepted,
    OrderRejected,
    OrderTriggered,
    OrderFilled,
    OrderCancelled,
    OrderExpired,
    OrderReplaced,
    ReplaceRejected,
    CancelRejected,
    OrderActivated,
    OrderHeld,
    Unprotected,
    OrderUncertain,
    Liquidation,
    PositionChanged,
    AccountChanged,
    FundingPaid,
    FundsDeposited,
    MarketHalted,
    MarketResumed,
    DoubleExit,
    Discrepancy,
)
_TYPE_BY_KIND = {int(event_type.KIND): event_type for event_type in EVENT_TYPES}
_COLUMN_INDEX = {name: index for index, name in enumerate(EVENT_COLUMNS)}
_ACCOUNT = _COLUMN_INDEX["account"]
_FROM_ROW: dict[str, Any] = {
    "status": OrderStatus.from_code,
    "side": Side,
    "liquidity": Liquidity,
    "ambiguous": bool,
    "reason": Reason,
}


def _layout(event_type: type[Event]) -> tuple[tuple[str, int, Any], ...]:
    names = [each.name for each in fields(event_type) if not each.kw_only]
    return tuple((name, _COLUMN_INDEX[name], _FROM_ROW.get(name)) for name in names)


_LAYOUTS = {int(event_type.KIND): _layout(event_type) for event_type in EVENT_TYPES}
_DECODERS = {
    kind: (_TYPE_BY_KIND[kind], tuple((index, convert) for _, index, convert in layout))
    for kind, layout in _LAYOUTS.items()
}
"""By kind: the type, and column and conversion of each field in its order."""
_EMPTY_ROW = EventRow._make(
    NO_PRICE if name in ("price_ticks", "stop_ticks") else 0 for name in EVENT_COLUMNS
)


def decode(row: tuple[int, ...]) -> Event:
    """The event of a row given as a tuple of Python ints in the order of EVENT_COLUMNS."""
    make, layout = _DECODERS[row[2]]
    return make(
        *[row[index] if convert is None else convert(row[index]) for index, convert in layout],
        account=row[_ACCOUNT],
    )


def encode(event: Event) -> EventRow:
    """The row of an event: ints in the order of EVENT_COLUMNS. `decode` is its inverse."""
    row = list(_EMPTY_ROW)
    row[2] = int(event.KIND)
    for name, index, _ in _LAYOUTS[int(event.KIND)]:
        value = getattr(event, name)
        row[index] = value.code if name == "status" else int(value)
    row[_ACCOUNT] = event.account
    return EventRow._make(row)


def row_of(kind: EventKind, **columns: int) -> EventRow:
    """A row of this kind; columns that are not named are empty."""
    return _EMPTY_ROW._replace(kind=int(kind), **columns)
