"""Take-profits and stop-losses: children of an order, siblings, and those that follow a position.

Rules of the venue's documentation, "Take profit and stop loss orders": children of an order come to
life when it has filled completely, and go when it ends otherwise; siblings cancel each other by a
fill; the size of a position's triggers is the position's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker_api.event import EventRow
from broker_api.hyperliquid.wire.actions import Tif, TpSl
from broker_api.order import (
    CancelRequest,
    OrderRequest,
    OrderType,
    ReplaceRequest,
    TimeInForce,
)
from sim.venues.hyperliquid import fold
from sim.venues.hyperliquid.records import OrderRecord, User

if TYPE_CHECKING:
    from sim.venues.hyperliquid.engine import HyperliquidEngine


def place(engine: HyperliquidEngine, record: OrderRecord) -> EventRow:
    """Send an order to the exchange; its answer. What it caused has been noted by then."""
    record.is_placed = True
    return engine.venue.execute(_request_of(record), record.user.account)[0]


def _request_of(record: OrderRecord) -> OrderRequest:
    """A trigger order is a stop-limit or a limit-if-touched: the limit price bounds what it pays,
    and one that executes "at market" does so at once or not at all."""
    asset, trigger = record.asset, record.trigger
    kind, stop, force = OrderType.LIMIT, None, TimeInForce.GTC
    if trigger is not None:
        is_stop = trigger.tpsl is TpSl.STOP_LOSS
        kind = OrderType.STOP_LIMIT if is_stop else OrderType.LIMIT_IF_TOUCHED
        stop = asset.ticks(trigger.price)
    if record.tif in (Tif.IOC, Tif.FRONTEND_MARKET) or (trigger is not None and trigger.is_market):
        force = TimeInForce.IOC
    return OrderRequest(
        order_id=record.oid,
        client_order_id=str(record.oid),
        instrument=asset.coin,
        side=record.side,
        order_type=kind,
        size_lots=record.lots,
        limit_ticks=asset.ticks(record.price),
        stop_ticks=stop,
        time_in_force=force,
        post_only=record.tif is Tif.ALO,
        reduce_only=record.reduce_only,
    )


def cancel(engine: HyperliquidEngine, record: OrderRecord, word: str = "canceled") -> None:
    """End a working order in this word, and what hangs on it."""
    if record.is_placed:
        record.end_word = word
        engine.venue.execute(CancelRequest(record.oid), record.user.account)
    else:
        fold.end(engine, record, word)
        after_end(engine, record)


def after_fill(engine: HyperliquidEngine, record: OrderRecord) -> None:
    """A fill of one sibling ends the others."""
    for sibling in record.siblings:
        if not sibling.has_ended:
            cancel(engine, sibling, "siblingFilledCanceled")


def after_end(engine: HyperliquidEngine, record: OrderRecord) -> None:
    """Children come to life with their parent's last fill, else they go with it."""
    for child in record.children:
        if child.has_ended or child.is_placed:
            continue
        if record.word == "filled":
            place(engine, child)
        else:
            fold.end(engine, child, "canceled")


def follow_position(engine: HyperliquidEngine, user: User, index: int) -> None:
    """Triggers of a position that changed become as large as it is."""
    lots = abs(user.positions[index].lots)
    for record in list(user.open.values()):
        if record.follows and record.asset.index == index and lots and not record.has_ended:
            total = record.filled_lots + lots
            if total != record.lots:
                engine.venue.execute(ReplaceRequest(record.oid, size_lots=total), user.account)
