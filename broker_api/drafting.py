"""From what users write to requests of integers. Pure: nothing here sends or remembers.

Everything that cannot be represented (a price off the tick, half a lot, an unknown word) is refused
here with the venue's own error classes; everything that can is left to the venue's checks.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, NamedTuple, TypedDict, TypeVar

from broker_api.errors import InvalidOrderError, InvalidPriceError
from broker_api.event import Reason
from broker_api.instrument import Instrument, Number
from broker_api.order import Arm, OnPartial, OrderType, Side, TimeInForce, parse_name
from broker_api.refusals import refusal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PPM_OF_PERCENT = 10_000
_E = TypeVar("_E", bound=Enum)


class OrderOptions(TypedDict, total=False):
    """What every placement takes beside its own arguments."""

    time_in_force: TimeInForce | str | None
    expires_at: datetime | int | None
    post_only: bool
    reduce_only: bool
    client_order_id: str | None
    tag: str
    protection_ticks: int | None


class BracketOptions(OrderOptions, total=False):
    """What a bracket takes: each exit by offset (price points), by ticks, or by absolute price."""

    stop_offset: Number | None
    stop_ticks: int | None
    stop_price: Number | None
    stop_limit_offset: Number | None
    trail_offset: Number | None
    target_offset: Number | None
    target_ticks: int | None
    target_price: Number | None
    entry_stop_price: Number | None
    arm: Arm | str
    on_partial: OnPartial | str


class OcoOptions(TypedDict, total=False):
    """What an OCO takes beside its legs; options are for both legs unless a leg has its own."""

    on_partial: OnPartial | str
    time_in_force: TimeInForce | str | None
    expires_at: datetime | int | None
    post_only: bool
    reduce_only: bool
    tag: str


class Terms(NamedTuple):
    """The parsed OrderOptions."""

    time_in_force: TimeInForce
    expires_at_ns: int | None = None
    post_only: bool = False
    reduce_only: bool = False
    client_order_id: str | None = None
    tag: str = ""
    protection_ticks: int | None = None


class ExitTerms(NamedTuple):
    """One exit of a bracket, see order.ExitRequest."""

    offset_ticks: int | None
    price_ticks: int | None
    limit_offset_ticks: int | None = None
    trail_ticks: int | None = None


@dataclass(slots=True)
class Draft:
    """One order before it has a number."""

    index: int
    spec: Instrument
    side: Side
    order_type: OrderType
    size_lots: int
    terms: Terms
    limit_ticks: int | None = None
    stop_ticks: int | None = None
    trail_ticks: int | None = None
    trail_ppm: int | None = None
    activation_ticks: int | None = None


_OPTION_NAMES = tuple(OrderOptions.__annotations__)
_OPTIONS = frozenset(_OPTION_NAMES)
_BRACKET_NAMES = dict.fromkeys((*_OPTION_NAMES, *BracketOptions.__annotations__))
OCO_NAMES = tuple(OcoOptions.__annotations__)
_MARKET = OrderType.MARKET
_MARKET_TERMS = Terms(TimeInForce.NONE)
_PLAIN_TERMS = Terms(TimeInForce.GTC)
_PROTECTABLE = (OrderType.MARKET, OrderType.STOP, OrderType.MARKET_IF_TOUCHED)
_ALWAYS_TAKES = (*_PROTECTABLE, OrderType.TRAILING_STOP)


def parse_side(side: object) -> Side:
    """The side that 0, 1, "buy", "sell" or a Side names. Raises InvalidOrderError."""
    try:
        return Side.parse(side)
    except ValueError as fault:
        raise InvalidOrderError(f"{fault} (0 is buy, 1 is sell)") from None


def parse_member(enumeration: type[_E], value: object, field: str) -> _E:
    """The member that a word names. Raises InvalidOrderError with what is allowed."""
    try:
        return parse_name(enumeration, value, field)
    except ValueError as fault:
        raise InvalidOrderError(str(fault)) from None


def check_names(given: Mapping[str, Any], allowed: Collection[str], what: str) -> None:
    """Raise TypeError for an argument that does not exist, with the nearest that does."""
    for name in given:
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"{what} got an unexpected keyword argument {name!r}{hint}")


def parse_terms(order_type: OrderType, options: Mapping[str, Any]) -> Terms:
    """Time in force and the other options of an order of this type. Raises InvalidOrderError."""
    is_market = order_type is _MARKET
    if not options:
        return _MARKET_TERMS if is_market else _PLAIN_TERMS
    check_names(options, _OPTION_NAMES, "the placement")
    expires_ns = parse_expiry(options.get("expires_at"))
    force = _time_in_force(options.get("time_in_force"), is_market, expires_ns)
    client_order_id = options.get("client_order_id")
    if client_order_id is not None and (
        not isinstance(client_order_id, str) or not client_order_id
    ):
        raise InvalidOrderError(f"client_order_id {client_order_id!r} is not a text")
    return Terms(
        time_in_force=force,
        expires_at_ns=expires_ns,
        post_only=_post_only(order_type, options),
        reduce_only=_flag(options, "reduce_only"),
        client_order_id=client_order_id,
        tag=str(options.get("tag", "")),
        protection_ticks=_protection(order_type, options.get("protection_ticks")),
    )


def _time_in_force(value: object, is_market: bool, expires_ns: int | None) -> TimeInForce:
    if value is None:
        if expires_ns is not None:
            return TimeInForce.GTD
        return TimeInForce.NONE if is_market else TimeInForce.GTC
    force = parse_member(TimeInForce, value, "time_in_force")
    if force is TimeInForce.NONE and not is_market:
        raise InvalidOrderError("time_in_force none is for market orders only")
    if force is TimeInForce.GTD and expires_ns is None:
        raise InvalidOrderError("time_in_force gtd needs expires_at")
    if force is not TimeInForce.GTD and expires_ns is not None:
        raise InvalidOrderError(f"expires_at goes with time_in_force gtd, not {force.name.lower()}")
    return force


def parse_expiry(value: object) -> int | None:
    """`expires_at` as nanoseconds: an aware datetime, or nanoseconds since the epoch."""
    if value is None:
        return None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidOrderError(
                f"expires_at {value.isoformat()} has no time zone; use an aware datetime"
            )
        return (value - _EPOCH) // timedelta(microseconds=1) * 1000
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise InvalidOrderError(f"expires_at {value!r} is no aware datetime and no nanoseconds")


def _flag(options: Mapping[str, Any], name: str) -> bool:
    value = options.get(name, False)
    if not isinstance(value, bool):
        raise InvalidOrderError(f"{name} {value!r} is not True or False")
    return value


def _post_only(order_type: OrderType, options: Mapping[str, Any]) -> bool:
    wanted = _flag(options, "post_only")
    if wanted and order_type in _ALWAYS_TAKES:
        kind = order_type.name.lower().replace("_", " ")
        raise InvalidOrderError(f"post_only is for orders with a limit; a {kind} order takes")
    return wanted


def _protection(order_type: OrderType, value: object) -> int | None:
    if value is None:
        return None
    if order_type not in _PROTECTABLE:
        raise InvalidOrderError("protection_ticks is for market and stop orders")
    return whole_ticks(value, "protection_ticks", least=0)


def whole_ticks(value: object, field: str, *, least: int = 1) -> int:
    """A count of ticks. Raises InvalidPriceError when it is no whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidPriceError(f"{field} {value!r} is not a whole number of at least {least}")
    return value


def required_ticks(spec: Instrument, price: Number | None, field: str) -> int:
    """A price that the order type needs, as ticks. Raises InvalidPriceError."""
    if price is None:
        raise refusal(Reason.PRICE_MISSING, spec, prefix=f"{field}: ")
    return spec.order_price_to_ticks(price, field)


def positive_offset(spec: Instrument, offset: Number | None, field: str) -> int | None:
    """A distance in price points as ticks, None for None. Raises InvalidPriceError."""
    if offset is None:
        return None
    ticks = spec.offset_to_ticks(offset, field)
    if ticks <= 0:
        raise InvalidPriceError(f"{field} {offset} is not positive", reason=Reason.BRACKET_LEVELS)
    return ticks


def trail_ppm_of(percent: Number) -> int:
    """A trailing distance in percent as millionths of the price. Raises InvalidPriceError."""
    try:
        ppm = Decimal(str(percent)) * _PPM_OF_PERCENT
    except InvalidOperation:
        raise InvalidPriceError(f"trail_percent {percent!r} is not a number") from None
    if not ppm.is_finite() or not 0 < ppm < 100 * _PPM_OF_PERCENT or ppm % 1:
        raise InvalidPriceError(
            f"trail_percent {percent} is not between 0 and 100 in steps of 0.0001"
        )
    return int(ppm)


# --- brackets ----------------------------------------------------------------------------------


def split_bracket(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of the entry, and those of the bracket."""
    check_names(options, _BRACKET_NAMES, "place_bracket_order")
    entry = {name: value for name, value in options.items() if name in _OPTIONS}
    bracket = {name: value for name, value in options.items() if name not in _OPTIONS}
    return entry, bracket


def entry_type(limit_price: Number | None, stop_price: Number | None) -> OrderType:
    """The entry's type by the prices that it was given."""
    if stop_price is None:
        return OrderType.MARKET if limit_price is None else OrderType.LIMIT
    return OrderType.STOP if limit_price is None else OrderType.STOP_LIMIT


def parse_stop(spec: Instrument, options: Mapping[str, Any]) -> ExitTerms | None:
    """The stop exit that a bracket's options describe, None without one."""
    trail = positive_offset(spec, options.get("trail_offset"), "trail_offset")
    limit_offset = options.get("stop_limit_offset")
    base = _parse_exit(spec, options, "stop")
    if trail is not None:
        # A trailing stop starts at its own distance from the entry.
        others = ("stop_offset", "stop_ticks", "stop_price", "stop_limit_offset")
        for name in others:
            if options.get(name) is not None:
                raise InvalidOrderError(f"trail_offset and {name} exclude each other")
        return ExitTerms(trail, None, None, trail)
    if base is None:
        if limit_offset is not None:
            raise InvalidOrderError(
                "stop_limit_offset needs a stop: give stop_offset or stop_price"
            )
        return None
    if limit_offset is None:
        return base
    limit_ticks = positive_offset(spec, limit_offset, "stop_limit_offset")
    return base._replace(limit_offset_ticks=limit_ticks)


def parse_target(spec: Instrument, options: Mapping[str, Any]) -> ExitTerms | None:
    """The target exit that a bracket's options describe, None without one."""
    return _parse_exit(spec, options, "target")


_EXIT_NAMES = {
    what: (f"{what}_offset", f"{what}_ticks", f"{what}_price") for what in ("stop", "target")
}


def _parse_exit(spec: Instrument, options: Mapping[str, Any], what: str) -> ExitTerms | None:
    given = [name for name in _EXIT_NAMES[what] if options.get(name) is not None]
    if not given:
        return None
    if len(given) > 1:
        raise InvalidOrderError(f"{' and '.join(given)} exclude each other")
    name, value = given[0], options[given[0]]
    if name.endswith("_price"):
        return ExitTerms(None, spec.order_price_to_ticks(value, name))
    if name.endswith("_ticks"):
        return ExitTerms(whole_ticks(value, name), None)
    return ExitTerms(positive_offset(spec, value, name), None)


# --- OCO ---------------------------------------------------------------------------------------

_LEG_TYPES = {
    "limit": OrderType.LIMIT,
    "stop": OrderType.STOP,
    "stop_limit": OrderType.STOP_LIMIT,
    "market_if_touched": OrderType.MARKET_IF_TOUCHED,
    "limit_if_touched": OrderType.LIMIT_IF_TOUCHED,
}
_LEG_NAMES = ("type", "side", "price", "limit_price", "stop_price", "trigger_price", *_OPTION_NAMES)


def parse_leg(
    index: int, spec: Instrument, size_lots: int, leg: Mapping[str, Any], field: str
) -> Draft:
    """One leg of an OCO from its table: type, side, price(s) and options."""
    if not isinstance(leg, Mapping):
        raise InvalidOrderError(f"{field} is not a table of type, side and prices")
    check_names(leg, _LEG_NAMES, field)
    for name in ("type", "side"):
        if name not in leg:
            raise InvalidOrderError(f"{field} has no {name!r}")
    order_type = parse_member(OrderType, leg["type"], f"{field} type")
    if order_type not in _LEG_TYPES.values():
        allowed = ", ".join(_LEG_TYPES)
        raise InvalidOrderError(f"{field} type {leg['type']!r} is not one of {allowed}")
    options = {name: leg[name] for name in _OPTION_NAMES if name in leg}
    draft = Draft(
        index,
        spec,
        parse_side(leg["side"]),
        order_type,
        size_lots,
        parse_terms(order_type, options),
    )
    limit = leg.get("limit_price", leg.get("price"))
    stop = leg.get("stop_price", leg.get("trigger_price"))
    if order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.LIMIT_IF_TOUCHED):
        draft.limit_ticks = required_ticks(spec, limit, f"{field} price")
    elif limit is not None:
        raise InvalidOrderError(f"{field}: a {order_type.name.lower()} order has no limit price")
    if order_type is not OrderType.LIMIT:
        draft.stop_ticks = required_ticks(spec, stop, f"{field} stop_price")
    elif stop is not None:
        raise InvalidOrderError(f"{field}: a limit order has no stop price")
    return draft
