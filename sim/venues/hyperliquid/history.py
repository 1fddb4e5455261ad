"""Answers of `/info` about what a user did: orders, fills, funding, money."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Any

from broker_api.hyperliquid.wire.account import (
    Fill,
    FundingDelta,
    FundingEntry,
    OrderStatusAnswer,
)
from broker_api.hyperliquid.wire.schema import encode
from sim.venues.hyperliquid.records import HISTORY_MAX, OrderRecord, User

if TYPE_CHECKING:
    from sim.venues.hyperliquid.engine import HyperliquidEngine


def open_orders(user: User | None) -> list[Any]:
    """The answer to `openOrders`, newest first."""
    orders = [] if user is None else list(user.open.values())
    return [encode(record.basic()) for record in reversed(orders)]


def full_orders(user: User | None) -> list[Any]:
    """The answer to `frontendOpenOrders`: children also as entries of their own."""
    orders = [] if user is None else list(user.open.values())
    return [encode(record.full()) for record in reversed(orders)]


def order_status(user: User | None, oid: int | str) -> dict[str, Any]:
    """The answer to `orderStatus`: the order at its last change of status."""
    record: OrderRecord | None = None
    if user is not None:
        record = user.orders.get(oid) if isinstance(oid, int) else user.by_cloid.get(oid)
    state = None if record is None else record.state
    answer = OrderStatusAnswer("unknownOid" if state is None else "order", state)
    table: dict[str, Any] = encode(answer)
    return table


def historical_orders(user: User | None) -> list[Any]:
    """The answer to `historicalOrders`, newest first; an order has an entry for each status."""
    states = [] if user is None else list(user.history)
    return [encode(state) for state in reversed(states)]


def newest_fills(user: User | None, *, together: bool = False) -> list[Fill]:
    """The newest fills first; those of one order at one time stay in the order of execution."""
    fills = [] if user is None else user.fills[-HISTORY_MAX:]
    if together:
        fills = aggregated(fills)
    groups = [list(group) for _, group in groupby(fills, key=lambda fill: (fill.time, fill.oid))]
    return [fill for group in reversed(groups) for fill in group]


def fills_by_time(user: User | None, start_ms: int, end_ms: int, *, together: bool) -> list[Fill]:
    """The fills between two times, both included, oldest first, at most 2,000."""
    fills = [] if user is None else user.fills
    found = [fill for fill in fills if start_ms <= fill.time <= end_ms]
    return (aggregated(found) if together else found)[:HISTORY_MAX]


def aggregated(fills: Iterable[Fill]) -> list[Fill]:
    """Fills of one order at one time as one, at their average price."""
    found = []
    for _, group in groupby(fills, key=lambda fill: (fill.time, fill.oid, fill.crossed)):
        parts = list(group)
        size = sum((part.size for part in parts), Decimal(0))
        value = sum((part.size * part.price for part in parts), Decimal(0))
        found.append(
            replace(
                parts[0],
                price=value / size,
                size=size,
                closed_pnl=sum((part.closed_pnl for part in parts), Decimal(0)),
                fee=sum((part.fee for part in parts), Decimal(0)),
            )
        )
    return found


def encoded(messages: Iterable[Any]) -> list[Any]:
    """Records as JSON values."""
    return [encode(message) for message in messages]


def user_funding(
    engine: HyperliquidEngine, user: User | None, start_ms: int, end_ms: int
) -> list[Any]:
    """The answer to `userFunding`, oldest first."""
    fundings = [] if user is None else user.fundings
    found = []
    for number, paid in enumerate(fundings):
        if start_ms <= paid.time <= end_ms:
            delta = FundingDelta("funding", paid.coin, paid.usdc, paid.size, paid.rate)
            hash_ = engine.hash_of(f"funding {number}")
            found.append(encode(FundingEntry(paid.time, hash_, delta)))
    return found


def money_updates(user: User | None, start_ms: int, end_ms: int) -> list[Any]:
    """The answer to `userNonFundingLedgerUpdates`, oldest first."""
    entries = [] if user is None else user.money
    return [entry for entry in entries if start_ms <= entry["time"] <= end_ms]
