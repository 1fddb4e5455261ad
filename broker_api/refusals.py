"""Every refusal's error class and wording, written once.

A refusal is the same to a program and to a reader whether the session denied the order before it
was sent or the venue rejected it: both are a :class:`~broker_api.event.Reason` with a value and a
limit, and both are rendered by the table here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from broker_api.errors import (
    InsufficientMarginError,
    InvalidOrderError,
    InvalidPriceError,
    InvalidSizeError,
    MarketClosedError,
    OrderError,
    OrderNotActiveError,
    OrderNotFoundError,
    OrderRejectedError,
    PostOnlyWouldCrossError,
    ReduceOnlyError,
    RiskLimitError,
)
from broker_api.event import Reason
from broker_api.instrument import PPM, Instrument, from_nanos
from broker_api.order import Side
from broker_api.view import Order, to_datetime

_NS_SECOND = 1_000_000_000
_TIME_NS_MAX = 1 << 62


class Wording(NamedTuple):
    """How a refusal is raised and said. `unit` tells what its value and limit count.

    `bare` is said instead of `text` when neither is known: venues tell them or not.
    """

    error: type[OrderError]
    unit: str
    text: str
    bare: str = ""


WORDINGS: dict[Reason, Wording] = {
    Reason.UNKNOWN_INSTRUMENT: Wording(
        InvalidOrderError, "", "instrument {symbol!r} is not in this session"
    ),
    Reason.MARKET_CLOSED: Wording(
        MarketClosedError, "time", "the market of {symbol} is closed; it next opens at {limit}"
    ),
    Reason.MARKET_HALTED: Wording(
        MarketClosedError, "time", "the market of {symbol} is halted; it next opens at {limit}"
    ),
    Reason.EXPIRY_IN_THE_PAST: Wording(
        InvalidOrderError, "time", "expires_at {value} is not after the market's time {limit}"
    ),
    Reason.SIZE_NOT_POSITIVE: Wording(
        InvalidSizeError, "lots", "size {value} is not positive; the least of {symbol} is {limit}"
    ),
    Reason.SIZE_OFF_LOT: Wording(
        InvalidSizeError, "lots", "size {value} is not a multiple of the lot size of {symbol}"
    ),
    Reason.SIZE_BELOW_MINIMUM: Wording(
        InvalidSizeError, "lots", "size {value} is below the least size {limit} of {symbol}"
    ),
    Reason.SIZE_ABOVE_MAXIMUM: Wording(
        InvalidSizeError, "lots", "size {value} is above the largest size {limit} of {symbol}"
    ),
    Reason.PRICE_MISSING: Wording(
        InvalidPriceError, "", "a price that the order type needs is missing"
    ),
    Reason.PRICE_NOT_POSITIVE: Wording(
        InvalidPriceError, "ticks", "price {value} of {symbol} is not positive"
    ),
    Reason.PRICE_OFF_TICK: Wording(
        InvalidPriceError, "ticks", "price {value} is not a multiple of the tick size of {symbol}"
    ),
    Reason.PRICE_OUTSIDE_BAND: Wording(
        InvalidPriceError,
        "ticks",
        "price {value} of {symbol} is outside the price band at {limit}",
        "the price is outside the price band of {symbol}",
    ),
    Reason.STOP_WRONG_SIDE: Wording(
        InvalidPriceError,
        "ticks",
        "stop_price {value} of a {side} is not {beyond} the market of {symbol} at {limit}",
    ),
    Reason.NO_TRIGGER_SOURCE: Wording(
        OrderRejectedError, "", "{symbol} has no price yet that could trigger the order"
    ),
    Reason.NO_POSITION_TO_REDUCE: Wording(
        ReduceOnlyError, "", "no open position in {symbol} to reduce"
    ),
    Reason.REDUCE_ONLY_WRONG_SIDE: Wording(
        ReduceOnlyError,
        "lots",
        "a reduce-only {side} would add to the position {value} in {symbol}",
    ),
    Reason.RISK_LIMIT: Wording(RiskLimitError, "lots", "size {value} is above the limit {limit}"),
    Reason.INSUFFICIENT_MARGIN: Wording(
        InsufficientMarginError,
        "money",
        "the order needs {value} {currency} of margin, {limit} {currency} are available",
        "the account has not enough margin for the order",
    ),
    Reason.POST_ONLY_WOULD_TAKE: Wording(
        PostOnlyWouldCrossError,
        "ticks",
        "a post-only {side} at {value} would take liquidity of {symbol} at {limit}",
        "a post-only {side} would take liquidity of {symbol}",
    ),
    Reason.NO_LIQUIDITY: Wording(
        OrderRejectedError, "", "a {side} of {symbol} finds that side of the book empty"
    ),
    Reason.BRACKET_LEVELS: Wording(
        InvalidPriceError,
        "ticks",
        "bracket price {value} is on the wrong side of {limit}: a long needs "
        "stop < entry < target, a short the reverse",
    ),
    Reason.TOO_MANY_ORDERS: Wording(
        RiskLimitError, "count", "{value} working orders would be more than the limit {limit}"
    ),
    Reason.DUPLICATE_CLIENT_ORDER_ID: Wording(
        InvalidOrderError, "", "the client_order_id is already used in this session"
    ),
    Reason.UNSUPPORTED: Wording(
        OrderRejectedError, "", "the broker does not support this kind of order"
    ),
    Reason.BELOW_MINIMUM_VALUE: Wording(
        InvalidSizeError,
        "money",
        "the order is worth {value} {currency}, less than the venue's least of {limit} {currency}",
        "the order is worth less than the venue takes",
    ),
    Reason.REFUSED_BY_VENUE: Wording(
        OrderRejectedError, "", "the venue refused the order of {symbol} for a reason of its own"
    ),
    Reason.NOT_ARRIVED: Wording(
        OrderRejectedError, "", "the command surely never reached the venue"
    ),
    Reason.POSITION_LIMIT: Wording(
        RiskLimitError, "lots", "size {value} is above the limit {limit}"
    ),
    Reason.DAILY_LOSS: Wording(
        RiskLimitError, "money", "lost {value} {currency} today, the daily limit is {limit}"
    ),
    Reason.TRAILING_DRAWDOWN: Wording(
        RiskLimitError,
        "money",
        "equity {value} {currency} has come down to the trailing drawdown's floor {limit}",
    ),
    Reason.CONTRACTS: Wording(
        RiskLimitError,
        "contracts",
        "positions and orders could come to {value} contracts, the limit is {limit}",
    ),
    Reason.FLAT_BY: Wording(
        RiskLimitError, "time", "positions have to be flat from {limit} on until the day ends"
    ),
    Reason.ORDER_RATE: Wording(
        RiskLimitError, "count", "{value} orders within a minute, the limit is {limit}"
    ),
    Reason.FAR_FROM_MARKET: Wording(
        RiskLimitError,
        "ticks",
        "limit price {value} of {symbol} is too far from the market: the band ends at {limit}",
    ),
    Reason.KILL_SWITCH: Wording(RiskLimitError, "", "the kill switch is on"),
    Reason.UNKNOWN_ORDER: Wording(OrderNotFoundError, "", "the venue does not know the order"),
    Reason.ORDER_NOT_ACTIVE: Wording(OrderNotActiveError, "", "the order is not active any more"),
    Reason.SIZE_BELOW_FILLED: Wording(
        InvalidSizeError, "lots", "new size {value} is below {limit}, which has filled already"
    ),
    Reason.NOT_MODIFIABLE: Wording(
        OrderNotActiveError, "", "the order cannot be modified in its state"
    ),
}
"""Reason of a refusal -> the class that is raised and the text that it carries."""

ENDINGS: dict[Reason, str] = {
    Reason.NONE: "",
    Reason.BY_USER: "cancelled by the user",
    Reason.POST_ONLY_AT_TRIGGER: "cancelled because its post-only limit would have taken",
    Reason.SIBLING: "cancelled because its sibling ended",
    Reason.ENTRY_ENDED: "cancelled because its entry ended",
    Reason.IOC_REST: "immediate-or-cancel: the rest found no liquidity",
    Reason.FOK_NOT_AVAILABLE: "fill-or-kill: the whole size was not available",
    Reason.POSITION_FLAT: "cancelled because the position is flat",
    Reason.REDUCE_ONLY_DONE: "reduce-only: nothing is left to reduce",
    Reason.SELF_TRADE: "cancelled because it would have traded with an own order",
    Reason.LIQUIDATED: "cancelled by a liquidation",
    Reason.ENDED_AWAY: "it ended while nobody was connected",
    Reason.MARKET_REST: "the rest of the market order found no liquidity",
    Reason.UNCOVERED: "cancelled by the venue because margin no longer covered it",
    Reason.SCHEDULED: "cancelled at the time that was set with the venue for all orders",
    Reason.BY_VENUE: "cancelled by the venue for a reason of its own",
}
"""Reason of a cancel -> how the order's `reason` says it."""

EXPIRED = "its time in force ran out"


def describe(
    reason: Reason, spec: Instrument, value: int = 0, limit: int = 0, side: Side | None = None
) -> str:
    """The text of a refusal or a cancel, with value and limit in the instrument's units."""
    ending = ENDINGS.get(reason)
    if ending is not None:
        return ending
    wording = WORDINGS[reason]
    text = wording.text if value or limit or not wording.bare else wording.bare
    if wording.unit == "time" and not 0 < limit < _TIME_NS_MAX:
        text = text.partition("; it next opens")[0]
    return text.format(
        value=amount_text(wording.unit, spec, value),
        limit=amount_text(wording.unit, spec, limit),
        symbol=spec.symbol,
        currency=spec.currency,
        side="order" if side is None else side.name.lower(),
        beyond="below" if side is Side.SELL else "above",
    )


def amount_text(unit: str, spec: Instrument, amount: int) -> str:
    """An amount in a wording's unit as text."""
    match unit:
        case "lots":
            return spec.format_size(amount)
        case "ticks":
            return spec.format_price(amount)
        case "money":
            return f"{from_nanos(amount):.2f}"
        case "contracts":
            return f"{Decimal(amount) / PPM:f}"
        case "time":
            return _time_text(amount)
    return str(amount)


def _time_text(ts_ns: int) -> str:
    if not 0 < ts_ns < _TIME_NS_MAX:
        return "an unknown time"
    precision = "seconds" if ts_ns % _NS_SECOND == 0 else "microseconds"
    return to_datetime(ts_ns).isoformat(timespec=precision)


def refusal(
    reason: Reason,
    spec: Instrument,
    value: int = 0,
    limit: int = 0,
    *,
    side: Side | None = None,
    order: Order | None = None,
    prefix: str = "",
) -> OrderError:
    """The error of a refusal, ready to be raised. `prefix` names the order where that helps."""
    text = describe(reason, spec, value, limit, side)
    return WORDINGS[reason].error(prefix + text, order=order, reason=reason)


def unknown_instrument(name: object, known: Iterable[str]) -> OrderError:
    """The error for a symbol or id that the session does not have, with the nearest that it has."""
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f'; did you mean "{near[0]}"?' if near else f"; it has {', '.join(names)}"
    text = WORDINGS[Reason.UNKNOWN_INSTRUMENT].text.format(symbol=name)
    return InvalidOrderError(text + hint, reason=Reason.UNKNOWN_INSTRUMENT)


def not_active(order: Order) -> OrderNotActiveError:
    """The error for a command on an order that has ended: it says how."""
    how = f": {order.reason}" if order.reason else ""
    text = f"order {order.order_id} is not active: it is {order.status}{how}"
    return OrderNotActiveError(text, order=order, reason=Reason.ORDER_NOT_ACTIVE)
