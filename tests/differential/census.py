"""What random sessions are made of, counted: how often each rule had a chance to be wrong."""

from __future__ import annotations

from collections import Counter

import numpy as np

from broker_api.event import (
    Event,
    OrderAccepted,
    OrderEventBase,
    OrderFilled,
    OrderReplaced,
    Reason,
)
from broker_api.order import (
    BracketRequest,
    CancelRequest,
    OcoRequest,
    OrderRequest,
    ReplaceRequest,
    TimeInForce,
    requests_of,
)
from data.schema import RowKind
from data.tape import Tape
from tests.differential.census_accounts import count_accounts
from tests.differential.drive import Action, Ran

Counts = Counter[str]


def census(ran: Ran) -> Counts:
    """Everything that is counted of one session."""
    counts: Counts = Counter()
    for tape in ran.case.tapes:
        count_rows(counts, tape)
    for action in ran.actions:
        count_command(counts, action)
    count_events(counts, ran.events)
    counts[f"session with {len(ran.case.accounts)} account(s)"] += 1
    if len(ran.case.accounts) > 1:
        count_accounts(counts, ran)
    return counts


def count_rows(counts: Counts, tape: Tape) -> None:
    """The kinds of rows, and the edges of books and times."""
    rows = tape.columns
    kinds, numbers = np.unique(rows.kind, return_counts=True)
    for kind, number in zip(kinds.tolist(), numbers.tolist(), strict=True):
        counts[f"row {RowKind(kind).name.lower()}"] += number
    both = (rows.bid_qty > 0) & (rows.ask_qty > 0)
    trades = rows.kind == RowKind.TRADE
    same = np.diff(rows.ts) == 0
    status = (rows.kind >= RowKind.OPEN) & (rows.kind <= RowKind.RESUME)
    edges = {
        "time of the row before": same,
        "a gap of 1000 ns or more": np.diff(rows.ts) >= 1000,
        "side empty": ~both,
        "both sides empty": (rows.bid_qty == 0) & (rows.ask_qty == 0),
        "locked": both & (rows.bid == rows.ask),
        "crossed": both & (rows.bid > rows.ask),
        "size of one": (rows.bid_qty == 1) | (rows.ask_qty == 1),
        "print of unknown side": trades & (rows.side == 0),
        "print through the touch": trades & both & ((rows.px > rows.ask) | (rows.px < rows.bid)),
        "print at the time of a status": same
        & (trades[1:] & status[:-1] | trades[:-1] & status[1:]),
        "print of a million lots": trades & (rows.qty >= 1_000_000),
        "price at or below zero": trades & (rows.px <= 0),
    }
    for name, found in edges.items():
        counts[f"row: {name}"] += int(np.count_nonzero(found))


def count_command(counts: Counts, action: Action) -> None:
    """The kinds of commands and what they ask for."""
    if isinstance(action, int):
        counts["wait"] += 1
        return
    command = action.command
    counts[f"send {type(command).__name__}"] += 1
    if isinstance(command, ReplaceRequest):
        for name in ("size_lots", "limit_ticks", "stop_ticks", "trail_ticks"):
            counts[f"send ReplaceRequest {name}"] += getattr(command, name) is not None
    elif isinstance(command, OrderRequest | BracketRequest | OcoRequest):
        for request in requests_of(command):
            _count_order(counts, request)
    elif not isinstance(command, CancelRequest):
        raise TypeError(command)


def _count_order(counts: Counts, order: OrderRequest) -> None:
    force = "" if order.time_in_force is TimeInForce.NONE else f" {order.time_in_force.name}"
    counts[f"order {order.order_type.name}{force}"] += 1
    for name in ("post_only", "reduce_only"):
        counts[f"order {name}"] += getattr(order, name)
    counts["order with protection"] += order.protection_ticks is not None
    counts["order of a million lots"] += order.size_lots >= 1_000_000


def count_events(counts: Counts, events: list[Event]) -> None:
    """Kinds of events by their reasons, and what happens around one another."""
    accepted: dict[tuple[int, int], int] = {}
    for event in events:
        name = type(event).__name__
        reason = getattr(event, "reason", None)
        if isinstance(reason, Reason) and reason is not Reason.NONE:
            name += f" {reason.name}"
        if isinstance(event, OrderFilled):
            name += f" {event.liquidity.name}" + (" ambiguous" if event.ambiguous else "")
            name += " in part" if event.leaves_lots else ""
        if isinstance(event, OrderReplaced) and (event.account, event.order_id) in accepted:
            change = event.lots - accepted[event.account, event.order_id]
            name += " larger" if change > 0 else " smaller" if change < 0 else " same size"
        if isinstance(event, OrderAccepted | OrderReplaced):
            accepted[event.account, event.order_id] = event.lots
        counts[name] += 1
        counts["order events"] += isinstance(event, OrderEventBase)


def table(counts: Counts, sessions: int) -> str:
    """The counts by name, with how many there are in a thousand sessions."""
    lines = [f"{'in 1,000 sessions':>18} {'all':>12}  what"]
    for name in sorted(counts):
        number = counts[name]
        lines.append(f"{1000 * number / max(1, sessions):18,.1f} {number:12,}  {name}")
    return "\n".join(lines)
