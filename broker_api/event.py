"""What came back: frozen events, and their one row form.

Every event is a frozen dataclass of integers. Its row form (`EVENT_ROW`, one int64 column a field)
is what the journal stores, what the simulated exchange's kernel writes, and what the run's digest
is taken over; `encode` and `decode` are the only conversions between the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import itemgetter
from typing import Any, ClassVar, NamedTuple

import numpy as np

from broker_api.codes import EventKind as EventKind
from broker_api.codes import Reason as Reason
from broker_api.order import NO_PRICE, STATUS_BY_CODE, Liquidity, OrderStatus, Side


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


@dataclass(frozen=True, slots=True)
class RiskEvent(Event):
    """What the session's own account rules did (risk.py); never the broker's.

    `reason` names the rule, `value` and `limit` are in its unit: money in 1e-9 currency, lots,
    millionths of contracts, ticks, orders, or nanoseconds since the epoch.
    """

    reason: Reason
    value: int
    limit: int


@dataclass(frozen=True, slots=True)
class RiskRefused(RiskEvent):
    """An order was refused before it was sent, or whatever adds exposure is from now on."""

    KIND = EventKind.RISK_REFUSED


@dataclass(frozen=True, slots=True)
class RiskFlattened(RiskEvent):
    """Orders are cancelled and positions closed; what adds exposure is refused meanwhile."""

    KIND = EventKind.RISK_FLATTENED


@dataclass(frozen=True, slots=True)
class RiskHalted(RiskEvent):
    """As RiskFlattened, and nothing that adds exposure is sent until the halt ends, if it does."""

    KIND = EventKind.RISK_HALTED


@dataclass(frozen=True, slots=True)
class RiskLifted(RiskEvent):
    """The rule stands in the way no longer: its day has ended, or its limit is kept again."""

    KIND = EventKind.RISK_LIFTED


@dataclass(frozen=True, slots=True)
class SessionResumed(Event):
    """The session was away, after a crash say, and goes on; the market has not waited.

    `value` is for how long, in nanoseconds, `limit` how many rows of the market came meanwhile: 0
    says that nobody knows what traded.
    """

    KIND = EventKind.SESSION_RESUMED
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
    RiskRefused,
    RiskFlattened,
    RiskHalted,
    RiskLifted,
    SessionResumed,
)
RISK_KINDS = frozenset(
    {EventKind.RISK_REFUSED, EventKind.RISK_FLATTENED, EventKind.RISK_HALTED, EventKind.RISK_LIFTED}
)
SESSION_KINDS = RISK_KINDS | {EventKind.SESSION_RESUMED}
"""What a session tells by itself: no exchange does, so a replay of commands does not either."""
_TYPE_BY_KIND = {int(event_type.KIND): event_type for event_type in EVENT_TYPES}
_COLUMN_INDEX = {name: index for index, name in enumerate(EVENT_COLUMNS)}
_ACCOUNT = _COLUMN_INDEX["account"]


class _Members(dict[int, Any]):
    """An enumeration's members by value: looking is a sixth of calling it. ValueError if none."""

    def __init__(self, enumeration: Any) -> None:
        super().__init__((member.value, member) for member in enumeration)
        self._enumeration = enumeration

    def __missing__(self, value: int) -> Any:
        return self._enumeration(value)


kind_of: Callable[[int], EventKind] = _Members(EventKind).__getitem__
"""The kind with this number. Raises ValueError when there is none."""
liquidity_of: Callable[[int], Liquidity] = _Members(Liquidity).__getitem__
"""The liquidity with this number. Raises ValueError when there is none."""
reason_of: Callable[[int], Reason] = _Members(Reason).__getitem__
"""The reason with this number. Raises ValueError when there is none."""
_FROM_ROW: dict[str, Any] = {
    "status": STATUS_BY_CODE.__getitem__,
    "side": _Members(Side).__getitem__,
    "liquidity": liquidity_of,
    "ambiguous": bool,
    "reason": reason_of,
}


def _layout(event_type: type[Event]) -> tuple[tuple[str, int, Any], ...]:
    names = [each.name for each in fields(event_type) if not each.kw_only]
    return tuple((name, _COLUMN_INDEX[name], _FROM_ROW.get(name)) for name in names)


_LAYOUTS = {int(event_type.KIND): _layout(event_type) for event_type in EVENT_TYPES}
_DECODERS = {
    kind: (
        _TYPE_BY_KIND[kind],
        itemgetter(*(index for _, index, _ in layout)),
        tuple((at, each[2]) for at, each in enumerate(layout) if each[2] is not None),
    )
    for kind, layout in _LAYOUTS.items()
}
"""By kind: the type, the columns of its fields in their order, and which of them are converted."""
_EMPTY_ROW = EventRow._make(
    NO_PRICE if name in ("price_ticks", "stop_ticks") else 0 for name in EVENT_COLUMNS
)


def decode(row: tuple[int, ...]) -> Event:
    """The event of a row given as a tuple of Python ints in the order of EVENT_COLUMNS."""
    make, values_of, conversions = _DECODERS[row[2]]
    values = list(values_of(row))
    for at, convert in conversions:
        values[at] = convert(values[at])
    return make(*values, account=row[_ACCOUNT])


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


def columns_of(row: EventRow) -> dict[str, int]:
    """The columns that the row's kind uses and all others that are not empty, by their names.

    `row_of` makes the same row of them again. Raises ValueError for a kind that does not exist.
    """
    if row.kind not in _LAYOUTS:
        raise ValueError(f"event kind {row.kind} is unknown")
    used = {name for name, _, _ in _LAYOUTS[row.kind]}
    return {
        name: int(value)
        for name, value, empty in zip(EVENT_COLUMNS, row, _EMPTY_ROW, strict=True)
        if name != "kind" and (name in used or value != empty)
    }
