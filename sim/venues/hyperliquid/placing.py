"""The action `order`: what is checked before anything happens, and the orders one by one.

First all orders of the batch are looked at for their form; one that is wrong refuses them all. Then
each goes to the book, where a refusal concerns it alone and leaves a record behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from broker_api.event import EventKind, EventRow, Reason
from broker_api.hyperliquid.wire.actions import (
    ACTION_WEIGHT_MAX,
    Grouping,
    Order,
    OrderAction,
)
from broker_api.hyperliquid.wire.answers import (
    ActionRefused,
    Answer,
    Entry,
    Filled,
    Refused,
    Resting,
    Waiting,
    order_answer,
)
from broker_api.hyperliquid.wire.numbers import (
    decimals_of,
    is_price_allowed,
    request_text,
    truncated,
)
from broker_api.hyperliquid.wire.texts import BY_REASON, Refusal, write
from broker_api.order import Side
from sim.venues.hyperliquid import fold, ladder, tpsl
from sim.venues.hyperliquid.records import OrderRecord, TriggerTerms, User

if TYPE_CHECKING:
    from sim.venues.hyperliquid.engine import HyperliquidEngine

MINIMUM_USD = 10
BAND_PERCENT = 95
OPEN_ORDERS_MAX = 1000
"""Working orders of an account; the live venue allows more to those who trade much."""
CHILDREN_MAX = 2


def place_orders(engine: HyperliquidEngine, user: User, action: OrderAction) -> Answer:
    """Do the action."""
    orders = action.orders
    if not orders:
        return ActionRefused(write(Refusal.EMPTY))
    if len(orders) > ACTION_WEIGHT_MAX:
        return ActionRefused(write(Refusal.OVER_WEIGHT, limit=ACTION_WEIGHT_MAX))
    fault = _builder_fault(user, action) or _group_fault(action)
    may_follow = action.grouping is Grouping.POSITION
    for order in orders:
        fault = fault or form_fault(engine, order, may_follow=may_follow)
    if fault is not None:
        return order_answer([Refused(fault)])
    if action.grouping is Grouping.NORMAL:
        return order_answer(_place_with_children(engine, user, orders))
    if action.grouping is Grouping.POSITION:
        return order_answer(_place_for_position(engine, user, orders))
    return order_answer([place_one(engine, user, order) for order in orders])


# --- before anything happens ----------------------------------------------------------------------


def _builder_fault(user: User, action: OrderAction) -> str | None:
    builder = action.builder
    if builder is not None and user.builder_fees.get(builder.address, 0) < builder.fee:
        return write(Refusal.BUILDER_FEE)
    return None


def _group_fault(action: OrderAction) -> str | None:
    """What is wrong with a group of orders as such."""
    if action.grouping is Grouping.NONE:
        return None
    triggers: Sequence[Order] = action.orders
    if action.grouping is Grouping.NORMAL:
        main, triggers = action.orders[0], action.orders[1:]
        if main.terms.trigger is not None:
            return write(Refusal.MAIN_IS_TRIGGER)
        if any(order.is_buy == main.is_buy for order in triggers):
            return write(Refusal.TRIGGER_SIDE)
    if not 1 <= len(triggers) <= CHILDREN_MAX or any(not order.terms.trigger for order in triggers):
        return write(Refusal.TRIGGER_COUNT)
    if not all(order.reduce_only for order in triggers):
        return write(Refusal.TRIGGER_NOT_REDUCING)
    if any(order.asset != action.orders[0].asset for order in action.orders):
        return write(Refusal.TRIGGER_COUNT)
    return None


def form_fault(engine: HyperliquidEngine, order: Order, *, may_follow: bool = False) -> str | None:
    """What is wrong with an order by itself: its asset, its numbers, a price beyond all reason.

    A trigger that may follow a position may have no size of its own.
    """
    asset = engine.universe.by_id(order.asset)
    if asset is None:
        return write(Refusal.UNKNOWN_ASSET, id=order.asset)
    prices = [order.price]
    if order.terms.trigger is not None:
        prices.append(order.terms.trigger.trigger_price)
    if not all(is_price_allowed(price, asset.sz_decimals) for price in prices):
        return write(Refusal.PRICE_FORM)
    lots = asset.lots(order.size)
    if lots is None or lots < 0 or decimals_of(order.size) > asset.sz_decimals:
        return write(Refusal.SIZE_FORM)
    if lots == 0 and not may_follow:
        return write(Refusal.ZERO_SIZE)
    reference = engine.mark(asset.index)
    if reference and abs(order.price - reference) * 100 > reference * BAND_PERCENT:
        return write(Refusal.BAND, percent=BAND_PERCENT)
    return None


# --- one order ------------------------------------------------------------------------------------


def new_record(engine: HyperliquidEngine, user: User, order: Order) -> OrderRecord:
    """An order that was asked for, known from now on whatever becomes of it."""
    asset = engine.universe.assets[order.asset]
    terms = order.terms.trigger
    trigger = None
    if terms is not None:
        trigger = TriggerTerms(terms.trigger_price, terms.tpsl, terms.is_market)
    lots = asset.lots(order.size) or 0
    record = OrderRecord(
        oid=engine.next_oid(),
        user=user,
        asset=asset,
        side=Side.BUY if order.is_buy else Side.SELL,
        price=order.price,
        size=order.size,
        lots=lots,
        left_lots=lots,
        timestamp_ms=engine.now_ms,
        reduce_only=order.reduce_only,
        tif=None if order.terms.limit is None else order.terms.limit.tif,
        trigger=trigger,
        cloid=order.cloid,
    )
    fold.enter(engine, record)
    return record


def place_one(engine: HyperliquidEngine, user: User, order: Order) -> Entry:
    """Send one order to the book; its entry of the answer."""
    record = new_record(engine, user, order)
    return _refused_before_book(engine, record) or _send(engine, record)


def _send(engine: HyperliquidEngine, record: OrderRecord) -> Entry:
    row = tpsl.place(engine, record)
    if row.kind == EventKind.REJECTED:
        return _refused_by_book(engine, record, row)
    return _entry_of(record)


def _entry_of(record: OrderRecord) -> Entry:
    """What has become of an order that the book took."""
    if not record.has_ended:
        return Resting(record.oid, record.cloid)
    if record.filled_lots:
        asset = record.asset
        average = truncated(record.average_price, asset.price_decimals)
        return Filled(asset.size(record.filled_lots), average, record.oid, record.cloid)
    return Refused(write(Refusal.IMMEDIATE, record.asset.index))


_Check = Callable[["HyperliquidEngine", OrderRecord], Refusal | None]


def _tick_fault(engine: HyperliquidEngine, record: OrderRecord) -> Refusal | None:
    prices = [record.price]
    if record.trigger is not None:
        prices.append(record.trigger.price)
    return Refusal.TICK if None in [record.asset.ticks(price) for price in prices] else None


def _value_fault(engine: HyperliquidEngine, record: OrderRecord) -> Refusal | None:
    """Ten dollars at least, but for what makes a position smaller."""
    held = record.user.positions[record.asset.index].lots
    reduces = held * record.side.sign < 0 and record.lots <= abs(held)
    if reduces or record.reduce_only or record.price * record.size >= MINIMUM_USD:
        return None
    return Refusal.MINIMUM_VALUE


def _trigger_fault(engine: HyperliquidEngine, record: OrderRecord) -> Refusal | None:
    """A trigger that the mark has reached already; equality counts."""
    mark = engine.mark(record.asset.index)
    if record.trigger is None or not mark:
        return None
    beyond = mark - record.trigger.price
    is_through = beyond >= 0 if record.trigger.fires_upward(record.side) else beyond <= 0
    return Refusal.TRIGGER_PRICE if is_through else None


def _count_fault(engine: HyperliquidEngine, record: OrderRecord) -> Refusal | None:
    # The order itself is among them.
    return Refusal.TOO_MANY_OPEN if len(record.user.open) > OPEN_ORDERS_MAX else None


_CHECKS: tuple[_Check, ...] = (_tick_fault, _value_fault, _count_fault, _trigger_fault)


def _refused_before_book(engine: HyperliquidEngine, record: OrderRecord) -> Refused | None:
    for check in _CHECKS:
        refusal = check(engine, record)
        if refusal is not None:
            fold.end(engine, record, refusal.value.status or "rejected")
            return Refused(write(refusal, record.asset.index, minimum=MINIMUM_USD))
    return None


def _refused_by_book(engine: HyperliquidEngine, record: OrderRecord, row: EventRow) -> Refused:
    reason = Reason(row.reason)
    refusal = BY_REASON.get(reason)
    if refusal is None or reason is Reason.REFUSED_BY_VENUE:
        halted = reason in (Reason.MARKET_HALTED, Reason.MARKET_CLOSED)
        text = "Trading is halted." if halted else "Order was refused."
        return Refused(f"{text} asset={record.asset.index}")
    bid, ask = ladder.best_prices(engine, record.asset)
    values = {"bid": _shown(bid), "ask": _shown(ask), "percent": BAND_PERCENT}
    return Refused(write(refusal, record.asset.index, **values))


def _shown(price: Decimal | None) -> str:
    return "" if price is None else request_text(price)


# --- groups ---------------------------------------------------------------------------------------


def _place_with_children(
    engine: HyperliquidEngine, user: User, orders: Sequence[Order]
) -> list[Entry]:
    """An order whose take-profit and stop-loss wait for its fill."""
    parent = new_record(engine, user, orders[0])
    children = [new_record(engine, user, order) for order in orders[1:]]
    _make_siblings(children)
    for child in children:
        child.parent = parent
    parent.children = children
    refused = _refused_before_book(engine, parent)
    if refused is not None:
        for child in children:
            fold.end(engine, child, "canceled")
    entry = refused or _send(engine, parent)
    for child in children:
        if not child.has_ended and not child.is_placed:
            fold.note_status(engine, child, "open")
    if isinstance(entry, Refused):
        return [entry] * len(orders)
    waiting = Waiting(for_fill=not parent.has_ended)
    return [entry, *[waiting for _ in children]]


def _place_for_position(
    engine: HyperliquidEngine, user: User, orders: Sequence[Order]
) -> list[Entry]:
    """Triggers of a position; size 0 is all of it, whatever it is when they fire."""
    records = [new_record(engine, user, order) for order in orders]
    _make_siblings(records)
    entries: list[Entry] = []
    for record in records:
        record.is_position_tpsl = True
        held = user.positions[record.asset.index].lots
        if record.lots == 0:
            record.follows = True
            record.lots = record.left_lots = abs(held)
            record.size = record.asset.size(record.lots)
        refused = _refused_before_book(engine, record) if held else _no_position(engine, record)
        entry = refused or _send(engine, record)
        entries.append(entry if isinstance(entry, Refused) else Waiting(for_fill=False))
    return entries


def _no_position(engine: HyperliquidEngine, record: OrderRecord) -> Refused:
    fold.end(engine, record, Refusal.REDUCE_ONLY.value.status or "rejected")
    return Refused(write(Refusal.REDUCE_ONLY, record.asset.index))


def _make_siblings(records: Sequence[OrderRecord]) -> None:
    for record in records:
        record.siblings = [other for other in records if other is not record]
