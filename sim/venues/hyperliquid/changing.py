"""Cancels, changes, and the dead man's switch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from broker_api.hyperliquid.wire.actions import (
    ACTION_WEIGHT_MAX,
    BatchModifyAction,
    Cancel,
    CancelAction,
    CancelByCloid,
    CancelByCloidAction,
    Limit,
    Modify,
    ModifyAction,
    ScheduleCancelAction,
    Terms,
    Tif,
)
from broker_api.hyperliquid.wire.answers import (
    ActionRefused,
    Answer,
    Done,
    Entry,
    Refused,
    Success,
    cancel_answer,
    order_answer,
)
from broker_api.hyperliquid.wire.texts import Refusal, write
from sim.venues.hyperliquid import placing, tpsl
from sim.venues.hyperliquid.records import CancelNews, OrderRecord, User, usd

if TYPE_CHECKING:
    from sim.venues.hyperliquid.engine import HyperliquidEngine

SCHEDULE_AHEAD_MS = 5_000
SCHEDULES_A_DAY = 10
_DAY_MS = 86_400_000


def cancel_by_oid(engine: HyperliquidEngine, user: User, action: CancelAction) -> Answer:
    """Do a `cancel`."""
    if len(action.cancels) > ACTION_WEIGHT_MAX:
        return ActionRefused(write(Refusal.OVER_WEIGHT, limit=ACTION_WEIGHT_MAX))
    return cancel_answer(
        [_cancel(engine, user.open.get(each.oid), each) for each in action.cancels]
    )


def cancel_by_cloid(engine: HyperliquidEngine, user: User, action: CancelByCloidAction) -> Answer:
    """Do a `cancelByCloid`; a cloid means the newest order that was given it."""
    if len(action.cancels) > ACTION_WEIGHT_MAX:
        return ActionRefused(write(Refusal.OVER_WEIGHT, limit=ACTION_WEIGHT_MAX))
    return cancel_answer(
        [_cancel(engine, user.by_cloid.get(each.cloid), each) for each in action.cancels]
    )


def _cancel(
    engine: HyperliquidEngine, record: OrderRecord | None, wanted: Cancel | CancelByCloid
) -> Entry:
    if record is None or record.has_ended or record.asset.index != wanted.asset:
        return Refused(write(Refusal.NOT_THERE, wanted.asset))
    if isinstance(wanted, Cancel) and wanted.fast and record.trigger is not None:
        return Refused("Fast cancel is not supported for trigger orders.")
    tpsl.cancel(engine, record)
    return Success()


# --- changes: cancel and place anew ---------------------------------------------------------------


def modify(engine: HyperliquidEngine, user: User, action: ModifyAction) -> Answer:
    """Do a single `modify`: what is wrong with it is wrong with the action."""
    change = Modify(action.oid, action.order, action.always_place)
    entry = _modify(engine, user, change)
    return ActionRefused(entry.text) if isinstance(entry, Refused) else Done()


def batch_modify(engine: HyperliquidEngine, user: User, action: BatchModifyAction) -> Answer:
    """Do a `batchModify`."""
    if not action.modifies:
        return ActionRefused(write(Refusal.EMPTY))
    if len(action.modifies) > ACTION_WEIGHT_MAX:
        return ActionRefused(write(Refusal.OVER_WEIGHT, limit=ACTION_WEIGHT_MAX))
    for each in action.modifies:
        fault = placing.form_fault(engine, each.order)
        if fault is not None:
            return order_answer([Refused(fault)])
    return order_answer([_modify(engine, user, each) for each in action.modifies])


def _modify(engine: HyperliquidEngine, user: User, change: Modify) -> Entry:
    """The old order ends `canceled`, the new one gets an id of its own.

    A new order that is refused at the book has lost its old one. Without `always_place` it has to
    be one that rests, and is placed as post-only; source: the venue's documentation, "Modify an
    order", 2026. The vendor's SDK does not send that flag.
    """
    old = user.open.get(change.oid) if isinstance(change.oid, int) else None
    if isinstance(change.oid, str):
        old = user.by_cloid.get(change.oid)
    if old is None or old.has_ended or old.asset.index != change.order.asset:
        return Refused(write(Refusal.MODIFY_ENDED))
    order = change.order
    fault = placing.form_fault(engine, order)
    if fault is None and not change.always_place:
        if order.terms.limit is None or order.terms.limit.tif not in (Tif.GTC, Tif.ALO):
            fault = "Modified order has to be one that rests."
        order = replace(order, terms=Terms(Limit(Tif.ALO)))
    if fault is not None:
        return Refused(fault)
    tpsl.cancel(engine, old)
    entry = placing.place_one(engine, user, order)
    if isinstance(entry, Refused):
        return Refused(write(Refusal.MODIFY_LOST, text=entry.text))
    return entry


# --- the dead man's switch ------------------------------------------------------------------------


def schedule_cancel(engine: HyperliquidEngine, user: User, action: ScheduleCancelAction) -> Answer:
    """Do a `scheduleCancel`; its time is the wall clock's."""
    if action.time is None:
        user.scheduled_ms = None
        return Done()
    required = engine.options.schedule_volume_nanos
    if user.traded_nanos < required:
        traded = usd(user.traded_nanos)
        text = write(Refusal.SCHEDULE_VOLUME, required=usd(required), traded=traded)
        return ActionRefused(text)
    if action.time < engine.wall_ms + SCHEDULE_AHEAD_MS:
        seconds = SCHEDULE_AHEAD_MS // 1000
        return ActionRefused(write(Refusal.SCHEDULE_SOON, seconds=seconds))
    if _fired_today(user, engine.wall_ms) >= SCHEDULES_A_DAY:
        return ActionRefused(write(Refusal.SCHEDULE_COUNT, limit=SCHEDULES_A_DAY))
    user.scheduled_ms = action.time
    return Done()


def _fired_today(user: User, wall_ms: int) -> int:
    """How often it has fired on this day, UTC."""
    if user.schedule_day != wall_ms // _DAY_MS:
        user.schedule_day, user.schedule_fired = wall_ms // _DAY_MS, 0
    return user.schedule_fired


def fire_scheduled(engine: HyperliquidEngine, user: User, wall_ms: int) -> None:
    """The switch's time has come: every working order of the user ends."""
    user.scheduled_ms = None
    user.schedule_fired = _fired_today(user, wall_ms) + 1
    for record in list(user.open.values()):
        if not record.has_ended:
            tpsl.cancel(engine, record, "scheduledCancel")
            engine.news.append(CancelNews(user, record.asset.coin, record.oid))
