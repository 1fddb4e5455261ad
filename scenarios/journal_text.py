"""Events and commands of a journal in one line each, for people who compare two of them."""

from __future__ import annotations

from collections.abc import Sequence

from broker_api.event import SESSION_KINDS, EventKind, EventRow, Reason
from broker_api.instrument import Instrument, from_nanos
from broker_api.order import (
    NO_PRICE,
    BracketRequest,
    CancelRequest,
    Command,
    Liquidity,
    OcoRequest,
    OrderRequest,
    OrderStatus,
    ReplaceRequest,
    Role,
    Side,
)
from broker_api.refusals import describe
from broker_api.risk_rules import RULE_NAMES
from sim.explain_words import exit_text, request_text

_ORDER_KINDS = frozenset(
    {
        *range(EventKind.ACCEPTED, EventKind.UNPROTECTED + 1),
        EventKind.UNCERTAIN,
        EventKind.DOUBLE_EXIT,
    }
)
"""Kinds of events that are of one order."""


def is_of_order(row: EventRow) -> bool:
    """Whether the event is of one order."""
    return row.kind in _ORDER_KINDS


def kind_name(row: EventRow) -> str:
    """The kind of an event as people read it: "filled", "replace rejected"."""
    return EventKind(row.kind).name.lower().replace("_", " ")


def event_text(row: EventRow, instruments: Sequence[Instrument]) -> str:
    """One event, its time apart."""
    spec = instruments[row.instrument] if 0 <= row.instrument < len(instruments) else None
    name = kind_name(row)
    if is_of_order(row):
        what = f"order {row.order_id} {name}"
        return what if spec is None else f"{what}{_order_details(row, spec)}"
    match row.kind:
        case EventKind.POSITION if spec is not None:
            size = spec.format_size(row.position_lots)
            return f"position of {spec.symbol}: {size}, realised {_money(row.realised_nanos)}"
        case EventKind.ACCOUNT:
            return f"cash {_money(row.cash_nanos)}, fees so far {_money(row.fee_nanos)}"
        case EventKind.FUNDING if spec is not None:
            return f"funding of {spec.symbol}: {_money(row.value)} paid"
        case EventKind.LIQUIDATION:
            whose = "the account" if spec is None else spec.symbol
            return f"liquidation of {whose}: equity {_money(row.value)}, margin {_money(row.limit)}"
        case _ if row.kind in SESSION_KINDS:
            rule = RULE_NAMES.get(Reason(row.reason), "")
            return f"account rule {rule}: {name.removeprefix('risk ')}"
        case _:
            reason = Reason(row.reason).name.lower() if row.reason else ""
            words = [spec.symbol if spec is not None else "account", name, reason]
            return " ".join(word for word in words if word)


def _order_details(row: EventRow, spec: Instrument) -> str:
    match row.kind:
        case EventKind.ACCEPTED:
            terms = _prices(row, spec)
            status = OrderStatus.from_code(row.status).name.lower()
            return f": {_side(row)} {spec.format_size(row.lots)} {spec.symbol}{terms} ({status})"
        case EventKind.FILLED:
            size, price = spec.format_size(row.lots), spec.format_price(row.price_ticks)
            return (
                f": {_side(row)} {size} {spec.symbol} at {price}, "
                f"{spec.format_size(row.leaves_lots)} left, fee {_money(row.fee_nanos)}, "
                f"{Liquidity(row.liquidity).name.lower()}"
            )
        case EventKind.TRIGGERED:
            return f" at {spec.format_price(row.price_ticks)}"
        case EventKind.REPLACED | EventKind.ACTIVATED:
            return f": {spec.format_size(row.lots)} {spec.symbol}{_prices(row, spec)}"
        case EventKind.CANCELLED | EventKind.REJECTED:
            text = describe(Reason(row.reason), spec, row.value, row.limit) if row.reason else ""
            left = f", {spec.format_size(row.leaves_lots)} left" if row.leaves_lots else ""
            return f": {text}{left}" if text else left
    return ""


def command_text(command: Command, specs: Sequence[Instrument]) -> str:
    """One command, its time apart."""
    match command:
        case OrderRequest():
            return f"order {command.order_id}: {_order_text(command, specs)}"
        case BracketRequest():
            spec = _spec(command.entry, specs)
            parts = [f"bracket {command.entry.order_id}: {_order_text(command.entry, specs)}"]
            if command.stop is not None:
                parts.append(exit_text(spec, command.stop, Role.STOP_EXIT))
            if command.target is not None:
                parts.append(exit_text(spec, command.target, Role.TARGET_EXIT))
            return "; ".join(parts)
        case OcoRequest():
            legs = [_order_text(leg, specs) for leg in (command.first, command.second)]
            return f"OCO {command.first.order_id} and {command.second.order_id}: {'; '.join(legs)}"
        case ReplaceRequest():
            return f"change of order {command.order_id}: {_changes(command)}"
        case CancelRequest():
            return f"cancel of order {command.order_id}"
    raise ValueError(f"{command!r} is no command")


def _order_text(request: OrderRequest, specs: Sequence[Instrument]) -> str:
    return f"{request.side.name.lower()} {request_text(_spec(request, specs), request)}"


def _spec(request: OrderRequest, specs: Sequence[Instrument]) -> Instrument:
    return next(spec for spec in specs if spec.symbol == request.instrument)


def _changes(request: ReplaceRequest) -> str:
    names = ("size_lots", "limit_ticks", "stop_ticks", "trail_ticks")
    given = {name: getattr(request, name) for name in names}
    return ", ".join(f"{name} {value}" for name, value in given.items() if value is not None)


def _prices(row: EventRow, spec: Instrument) -> str:
    stop = "" if row.stop_ticks == NO_PRICE else f", stop {spec.format_price(row.stop_ticks)}"
    limit = "" if row.price_ticks == NO_PRICE else f", limit {spec.format_price(row.price_ticks)}"
    return stop + limit


def _side(row: EventRow) -> str:
    return Side(row.side).name.lower()


def _money(nanos: int) -> str:
    return f"{from_nanos(nanos):,.2f}"
