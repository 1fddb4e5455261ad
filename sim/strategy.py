"""What a compiled strategy sees and says: its context, one record, and the verbs on it.

A verb only writes into the context; the loop in `strategy_loop.py` sends what was written when the
strategy has returned. The context also holds what the strategy may know: its orders and position as
the events that have been delivered tell them. Everything is int64, in ticks, lots and nanoseconds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from broker_api.instrument import MAX_TICKS
from sim.book import (
    BUY,
    FILLED,
    LIMIT,
    MARKET,
    NONE,
    PENDING,
    SELL,
    STOP,
    STOP_LIMIT,
    ZERO,
    i8,
    njit,
)

Context = Any
"""One record of dtype CONTEXT."""

AT_ONCE_MAX = 10_000
"""Commands of one instant."""
KNOWN_MAX = 1 << 14
"""Orders that a strategy can ask for: all that work, and of the others the newest."""

OUT_FIELDS = (
    "kind",
    "order_id",
    "sign",
    "type",
    "lots",
    "limit",
    "stop",
    "stop_id",  # of a bracket's exits; 0 when there is none
    "stop_offset",
    "target_id",
    "target_offset",
)
(OUT_KIND, OUT_ID, OUT_SIGN, OUT_TYPE, OUT_LOTS, OUT_LIMIT, OUT_STOP) = map(i8, range(7))
(OUT_STOP_ID, OUT_STOP_OFFSET, OUT_TARGET_ID, OUT_TARGET_OFFSET) = map(i8, range(7, 11))
OUT_WIDTH = len(OUT_FIELDS)
SEND_ORDER, SEND_BRACKET, SEND_REPLACE, SEND_CANCEL = i8(1), i8(2), i8(3), i8(4)

KNOWN_FIELDS = ("order_id", "status", "type", "is_entry", "filled", "ended", "lots", "spare")
(KNOWN_ID, KNOWN_STATUS, KNOWN_TYPE, KNOWN_ENTRY, KNOWN_FILLED, KNOWN_ENDED) = map(i8, range(6))
"""`ended` is the truth (how the order ended, 0 while it lives), the others what has been told."""

SCALAR_FIELDS = (
    "ts_ns",  # of the row
    "bid",
    "ask",
    "bid_lots",
    "ask_lots",
    "trade_ticks",  # NO_PRICE, 0 and 0 where the row is no print
    "trade_lots",
    "trade_side",
    "bar_start_ns",  # of the bar that is complete, where the strategy is told bars
    "open",
    "high",
    "low",
    "close",
    "volume_lots",
    "bar",  # the first bar that has not been told
    "turns",  # 1: the tape is made of bars, whose extremes are put in order as events come
    "position",
    "entries",  # working orders that max_concurrent_orders counts
    "entries_max",
    "next_id",
    "probes",  # how far from its place an order may be kept in `known`
    "acted",  # 1: the call sent something, or was refused something
    "out_count",  # commands of this instant
    "refused",  # why the session refuses a verb, 0 while it does not
    "refused_id",
    "refused_value",
    "told",  # the first row that has not been told
    "seen",  # the last row at or before the moment that the loop has come to
    "hit",  # the next row that concerns an order; valid while no interest is stale
    "sent",  # commands in the log
    "arrived",  # of those, the ones that the exchange has executed
    "news_from",
    "news_to",
    "published",  # events so far
)
CONTEXT = np.dtype(
    [(name, "<i8") for name in SCALAR_FIELDS]
    + [("known", "<i8", (KNOWN_MAX, len(KNOWN_FIELDS)))]
    + [("out", "<i8", (AT_ONCE_MAX, OUT_WIDTH))]
)

(REFUSED_SIDE, REFUSED_SIZE, REFUSED_PRICE, REFUSED_COUNT) = map(i8, range(1, 5))
(REFUSED_UNKNOWN, REFUSED_ENDED, REFUSED_NO_LIMIT, REFUSED_NO_STOP) = map(i8, range(5, 9))
(REFUSED_RUNAWAY, REFUSED_NO_EXIT, REFUSED_OFFSET, REFUSED_CROWDED) = map(i8, range(9, 13))
NEW_ORDER_REFUSALS = (
    REFUSED_SIDE,
    REFUSED_SIZE,
    REFUSED_PRICE,
    REFUSED_COUNT,
    REFUSED_NO_EXIT,
    REFUSED_OFFSET,
)
"""Those that count as denied orders."""

_ONE, _TWO = i8(1), i8(2)
_LAST = i8(AT_ONCE_MAX)
_MASK, _PLACES = i8(KNOWN_MAX - 1), i8(KNOWN_MAX)
_TICKS_MAX = i8(MAX_TICKS)
NOT_KNOWN = i8(-1)


@njit
def refuse(ctx: Context, why: int, order_id: int, value: int) -> int:
    """The session refuses a verb: the run ends behind this call. Returns 0, no order's id."""
    if ctx["refused"] == 0:
        ctx["refused"] = why
        ctx["refused_id"] = order_id
        ctx["refused_value"] = value
    ctx["acted"] = _ONE
    return ZERO


@njit
def find_known(ctx: Context, order_id: int) -> int:
    """Where an order is kept in `known`, NOT_KNOWN when it is not."""
    if order_id <= 0:
        return NOT_KNOWN
    known, at = ctx["known"], order_id & _MASK
    for _ in range(ctx["probes"] + 1):
        if known[at, KNOWN_ID] == order_id:
            return at
        at = (at + 1) & _MASK
    return NOT_KNOWN


@njit
def add_known(ctx: Context, order_id: int, order_type: int, is_entry: int) -> bool:
    """Keep a new order in the place of one that has ended; False when there is none."""
    known, at, moved = ctx["known"], order_id & _MASK, ZERO
    while known[at, KNOWN_ID] != 0 and (
        known[at, KNOWN_STATUS] < FILLED or known[at, KNOWN_ENDED] == 0
    ):
        at = (at + 1) & _MASK
        moved += 1
        if moved == _PLACES:
            return False
    if moved > ctx["probes"]:
        ctx["probes"] = moved
    known[at, KNOWN_ID] = order_id
    known[at, KNOWN_STATUS] = PENDING
    known[at, KNOWN_TYPE] = order_type
    known[at, KNOWN_ENTRY] = is_entry
    known[at, KNOWN_FILLED] = 0
    known[at, KNOWN_ENDED] = 0
    ctx["entries"] += is_entry
    return True


@njit
def new_out(ctx: Context, kind: int, order_id: int) -> int:
    """The place of a new command among those of this call, with nothing in it but these."""
    at: int = ctx["out_count"]
    out = ctx["out"]
    ctx["out_count"] = at + 1
    ctx["acted"] = _ONE
    for column in range(OUT_WIDTH):
        out[at, column] = 0
    out[at, OUT_KIND] = kind
    out[at, OUT_ID] = order_id
    out[at, OUT_LIMIT] = NONE
    out[at, OUT_STOP] = NONE
    out[at, OUT_LOTS] = NONE
    return at


@njit
def is_full(ctx: Context) -> bool:
    """True when the instant has as many commands as are allowed; then that is refused."""
    if ctx["out_count"] >= _LAST:
        refuse(ctx, REFUSED_RUNAWAY, ZERO, _LAST)
        return True
    return False


@njit
def check_new(ctx: Context, side: int, lots: int, limit: int, stop: int) -> bool:
    """The session's own checks of a new order, in the order of the other tiers."""
    if ctx["refused"] or is_full(ctx):
        return False
    if side != 0 and side != 1:
        refuse(ctx, REFUSED_SIDE, ZERO, side)
        return False
    if abs(lots) > _TICKS_MAX:
        refuse(ctx, REFUSED_SIZE, ZERO, lots)
        return False
    for price in (limit, stop):
        if price != NONE and abs(price) > _TICKS_MAX:
            refuse(ctx, REFUSED_PRICE, ZERO, price)
            return False
    return True


@njit
def check_count(ctx: Context, sign: int, lots: int) -> bool:
    """`max_concurrent_orders`; what reduces the position always passes."""
    if ctx["position"] * sign < 0 and lots <= abs(ctx["position"]):
        return True
    if ctx["entries"] + 1 > ctx["entries_max"]:
        refuse(ctx, REFUSED_COUNT, ZERO, ctx["entries"] + 1)
        return False
    return True


@njit
def send_order(ctx: Context, kind: int, side: int, lots: int, limit: int, stop: int) -> int:
    """A new order, or a bracket's entry; returns its id, 0 when the session refuses it."""
    sign = BUY if side == 0 else SELL
    if not check_count(ctx, sign, lots):
        return ZERO
    order_type = MARKET
    if limit != NONE:
        order_type = LIMIT if stop == NONE else STOP_LIMIT
    elif stop != NONE:
        order_type = STOP
    order_id: int = ctx["next_id"]
    if not add_known(ctx, order_id, order_type, _ONE):
        return refuse(ctx, REFUSED_CROWDED, order_id, ZERO)
    ctx["next_id"] = order_id + 1
    at, out = new_out(ctx, kind, order_id), ctx["out"]
    out[at, OUT_SIGN] = sign
    out[at, OUT_TYPE] = order_type
    out[at, OUT_LOTS] = lots
    out[at, OUT_LIMIT] = limit
    out[at, OUT_STOP] = stop
    return order_id


@njit
def send_exits(ctx: Context, stop_offset: int, target_offset: int) -> None:
    """Number the exits of the bracket whose entry was sent last."""
    at, out = ctx["out_count"] - 1, ctx["out"]
    for offset, order_type, id_at, offset_at in (
        (stop_offset, STOP, OUT_STOP_ID, OUT_STOP_OFFSET),
        (target_offset, LIMIT, OUT_TARGET_ID, OUT_TARGET_OFFSET),
    ):
        if offset != 0:
            if not add_known(ctx, ctx["next_id"], order_type, ZERO):
                refuse(ctx, REFUSED_CROWDED, ctx["next_id"], ZERO)
                return
            out[at, id_at] = ctx["next_id"]
            out[at, offset_at] = offset
            ctx["next_id"] += 1


@njit
def send_bracket(
    ctx: Context, side: int, lots: int, limit: int, stop_offset: int, target_offset: int
) -> int:
    """An entry with exits at offsets from its average fill; returns the entry's id, else 0."""
    if not check_new(ctx, side, lots, limit, NONE):
        return ZERO
    if stop_offset == 0 and target_offset == 0:
        return refuse(ctx, REFUSED_NO_EXIT, ZERO, ZERO)
    for offset in (stop_offset, target_offset):
        if offset < 0 or offset > _TICKS_MAX:
            return refuse(ctx, REFUSED_OFFSET, ZERO, offset)
    order_id = send_order(ctx, SEND_BRACKET, side, lots, limit, NONE)
    if order_id != 0:
        send_exits(ctx, stop_offset, target_offset)
    return order_id


@njit
def working_place(ctx: Context, order_id: int) -> int:
    """Where an order that may be changed is kept; NOT_KNOWN when the session refuses that."""
    if ctx["refused"] or is_full(ctx):
        return NOT_KNOWN
    at = find_known(ctx, order_id)
    if at == NOT_KNOWN:
        refuse(ctx, REFUSED_UNKNOWN, order_id, ZERO)
        return NOT_KNOWN
    if ctx["known"][at, KNOWN_STATUS] >= FILLED:
        refuse(ctx, REFUSED_ENDED, order_id, ZERO)
        return NOT_KNOWN
    return at


@njit
def send_replace(ctx: Context, order_id: int, lots: int, limit: int, stop: int) -> None:
    """A change; NONE leaves a value."""
    at = working_place(ctx, order_id)
    if at == NOT_KNOWN:
        return
    order_type = ctx["known"][at, KNOWN_TYPE]
    if limit != NONE and order_type != LIMIT and order_type != STOP_LIMIT:
        refuse(ctx, REFUSED_NO_LIMIT, order_id, ZERO)
    elif stop != NONE and order_type != STOP and order_type != STOP_LIMIT:
        refuse(ctx, REFUSED_NO_STOP, order_id, ZERO)
    elif lots != NONE and abs(lots) > _TICKS_MAX:
        refuse(ctx, REFUSED_SIZE, order_id, lots)
    elif (limit != NONE and abs(limit) > _TICKS_MAX) or (stop != NONE and abs(stop) > _TICKS_MAX):
        refuse(ctx, REFUSED_PRICE, order_id, stop if limit == NONE else limit)
    else:
        out_at, out = new_out(ctx, SEND_REPLACE, order_id), ctx["out"]
        out[out_at, OUT_LOTS] = lots
        out[out_at, OUT_LIMIT] = limit
        out[out_at, OUT_STOP] = stop


# --- the verbs -----------------------------------------------------------------------------------
# `| ZERO` refuses floats, compiled and not: a price is never rounded in silence.


@njit
def place_market(ctx: Context, side: int, lots: int) -> int:
    """Buy (side 0) or sell (1) at once at what the market offers; returns the order id."""
    side, lots = side | ZERO, lots | ZERO
    if not check_new(ctx, side, lots, NONE, NONE):
        return ZERO
    return send_order(ctx, SEND_ORDER, side, lots, NONE, NONE)


@njit
def place_limit(ctx: Context, side: int, lots: int, limit_ticks: int) -> int:
    """Buy or sell at `limit_ticks` or better; returns the order id."""
    side, lots, limit = side | ZERO, lots | ZERO, limit_ticks | ZERO
    if not check_new(ctx, side, lots, limit, NONE):
        return ZERO
    return send_order(ctx, SEND_ORDER, side, lots, limit, NONE)


@njit
def place_stop(ctx: Context, side: int, lots: int, stop_ticks: int) -> int:
    """Buy or sell at the market once `stop_ticks` is reached; returns the order id."""
    side, lots, stop = side | ZERO, lots | ZERO, stop_ticks | ZERO
    if not check_new(ctx, side, lots, NONE, stop):
        return ZERO
    return send_order(ctx, SEND_ORDER, side, lots, NONE, stop)


@njit
def place_bracket(ctx: Context, side: int, lots: int, stop_ticks: int, target_ticks: int) -> int:
    """Enter at the market with a stop and a target so many ticks from the average fill.

    0 ticks: no such exit. Returns the entry's id; the stop has the next, the target the one after.
    """
    side, lots, stop, target = side | ZERO, lots | ZERO, stop_ticks | ZERO, target_ticks | ZERO
    return send_bracket(ctx, side, lots, NONE, stop, target)


@njit
def place_limit_bracket(
    ctx: Context, side: int, lots: int, limit_ticks: int, stop_ticks: int, target_ticks: int
) -> int:
    """As `place_bracket`, entering at `limit_ticks` or better."""
    side, lots, stop, target = side | ZERO, lots | ZERO, stop_ticks | ZERO, target_ticks | ZERO
    return send_bracket(ctx, side, lots, limit_ticks | ZERO, stop, target)


@njit
def modify(ctx: Context, order_id: int, lots: int, limit_ticks: int, stop_ticks: int) -> None:
    """Change a working order; KEEP leaves a value. `lots` is the new total size."""
    send_replace(ctx, order_id | ZERO, lots | ZERO, limit_ticks | ZERO, stop_ticks | ZERO)


@njit
def cancel(ctx: Context, order_id: int) -> None:
    """End a working order. One that is known to have ended ends the run, as in every tier."""
    if working_place(ctx, order_id | ZERO) != NOT_KNOWN:
        new_out(ctx, SEND_CANCEL, order_id | ZERO)


@njit
def position_lots(ctx: Context) -> int:
    """The position as far as its fills have been told; short is negative."""
    position: int = ctx["position"]
    return position


@njit
def is_working(ctx: Context, order_id: int) -> bool:
    """True for an order that is sent, held, open or partly filled, as far as has been told."""
    at = find_known(ctx, order_id | ZERO)
    return at != NOT_KNOWN and ctx["known"][at, KNOWN_STATUS] < FILLED


@njit
def filled_lots(ctx: Context, order_id: int) -> int:
    """Lots of an order that have filled, as far as has been told; 0 of one that is forgotten."""
    at = find_known(ctx, order_id | ZERO)
    lots: int = ctx["known"][at, KNOWN_FILLED] if at != NOT_KNOWN else ZERO
    return lots
