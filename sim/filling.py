"""What a fill causes: position, fees, siblings, brackets, reduce-only orders.

Everything here is one transaction with its cause and is published right behind it: the order's own
event, its fill, position, account, siblings.
"""

from __future__ import annotations

from broker_api.event import Reason
from sim.account import settle_fill
from sim.book import (
    BUY,
    CANCEL_ON_PARTIAL,
    CANCELLED,
    ENTRY,
    EV_CANCELLED,
    EV_FILLED,
    FILLED,
    NO_SLOT,
    OCO_LEG,
    PARTIALLY_FILLED,
    SELL,
    STOP_EXIT,
    TARGET_EXIT,
    Book,
    EventRows,
    holding_at,
    i8,
    njit,
)
from sim.exits import cap_brackets, oldest_dirty
from sim.foreign import fillable_lots
from sim.groups import cancel_order, end_slot, settle_bracket
from sim.path import sibling_in_bar
from sim.publish import close_slot, publish_order, publish_position, publish_replaced
from sim.queue import keep_front

OCO_RESIZED = i8(Reason.OCO_RESIZED)
REDUCE_ONLY_DONE = i8(Reason.REDUCE_ONLY_DONE)
SIBLING = i8(Reason.SIBLING)


@njit
def settle_holding(book: Book, events: EventRows, holding: int) -> None:
    """After a fill: brackets, then reduce-only orders that have nothing left to reduce."""
    if book["group_high"] > 0:
        cap_brackets(book, holding, BUY)
        cap_brackets(book, holding, SELL)
        group = oldest_dirty(book)
        while group != NO_SLOT:
            settle_bracket(book, events, group)
            group = oldest_dirty(book)
    end_idle_reduce_only(book, events, holding)


@njit
def end_idle_reduce_only(book: Book, events: EventRows, holding: int) -> None:
    """A reduce-only order ends at once when there is no position left that it could reduce."""
    position = book["p_position"][holding]
    index = 0
    while index < book["active_count"]:
        slot = book["active"][index]
        index += 1
        role = book["o_role"][slot]
        if role in (STOP_EXIT, TARGET_EXIT) or not book["o_reduce_only"][slot]:
            continue
        if holding_at(book, slot) == holding and book["o_sign"][slot] * position >= 0:
            cancel_order(book, events, slot, REDUCE_ONLY_DONE)
            index = 0


@njit
def note_group_fill(book: Book, slot: int, lots: int, price: int) -> None:
    """Count a fill in its bracket."""
    group = book["o_group"][slot]
    if book["o_role"][slot] == ENTRY:
        book["g_entry_filled"][group] += lots
        book["g_entry_cost"][group] += lots * price
        if book["o_filled"][slot] == book["o_size"][slot]:
            book["g_entry_done"][group] = 1
            book["g_entry"][group] = NO_SLOT
    else:
        book["g_exit_filled"][group] += lots
    book["g_dirty"][group] = 1


@njit
def shrink_oco(
    book: Book, events: EventRows, group: int, slot: int, lots: int, finished: int
) -> None:
    """A fill of one OCO leg shrinks the other, or ends it: when done, or with on_partial cancel."""
    first, second = book["g_stop_leg"][group], book["g_target_leg"][group]
    other = second if slot == first else first
    if finished:
        book["g_used"][group] = 0
    if other == NO_SLOT:
        return
    left = book["o_live"][other] - lots
    if finished or left <= 0 or book["g_on_partial"][group] == CANCEL_ON_PARTIAL:
        if slot == first:
            book["g_target_leg"][group] = NO_SLOT
        else:
            book["g_stop_leg"][group] = NO_SLOT
        end_slot(book, events, other, EV_CANCELLED, CANCELLED, SIBLING)
        return
    book["o_live"][other] = left
    book["o_size"][other] = book["o_filled"][other] + left
    keep_front(book, other)
    publish_replaced(book, events, other, OCO_RESIZED)


@njit
def end_other_exit(book: Book, events: EventRows, group: int, role: int) -> None:
    """With on_partial cancel the first fill of a bracket's exit ends the other one, for good."""
    other = book["g_stop_leg"][group] if role == TARGET_EXIT else book["g_target_leg"][group]
    if other != NO_SLOT and book["g_on_partial"][group] == CANCEL_ON_PARTIAL:
        cancel_order(book, events, other, SIBLING)


@njit
def is_filled(book: Book, slot: int) -> bool:
    """True when nothing of the order is left and nothing can be added to it.

    A bracket's exit is not finished before its entry is: it may grow again.
    """
    if book["o_filled"][slot] < book["o_size"][slot]:
        return False
    role = book["o_role"][slot]
    if role in (STOP_EXIT, TARGET_EXIT):
        group = book["o_group"][slot]
        return book["g_entry_done"][group] == 1
    return True


@njit
def fill(book: Book, events: EventRows, slot: int, lots: int, price: int, liquidity: int) -> int:
    """Execute `lots` of an order at `price`, with everything that follows; return the lots done.

    Less than asked when a reduce-only order is clipped; one that could close nothing has ended.
    """
    lots = fillable_lots(book, slot, min(lots, book["o_live"][slot]))
    holding, sign = holding_at(book, slot), book["o_sign"][slot]
    group, role = book["o_group"][slot], book["o_role"][slot]
    book["o_filled"][slot] += lots
    book["o_live"][slot] -= lots
    book["o_cost"][slot] += lots * price
    if book["o_resting"][slot]:
        book["o_met"][slot] = 1
        if lots > book["o_front"][slot]:
            book["o_met_behind"][slot] = 1
        keep_front_after_fill(book, slot, lots)
    fee = settle_fill(book, holding, sign * lots, price, liquidity)
    if group != NO_SLOT and role != OCO_LEG:
        note_group_fill(book, slot, lots, price)
    finished = is_filled(book, slot)
    book["o_status"][slot] = FILLED if finished else PARTIALLY_FILLED
    index = publish_order(book, events, EV_FILLED, slot)
    events["side"][index] = (1 - sign) // 2
    events["price_ticks"][index] = price
    events["lots"][index] = lots
    events["fee_nanos"][index] = fee
    events["liquidity"][index] = liquidity
    events["ambiguous"][index] = book["ambiguous"]
    if sibling_in_bar(book, slot):
        events["ambiguous"][index] = 1
    book["bar_filled"] = price
    publish_position(book, events, holding)
    if finished:
        if role == STOP_EXIT:
            book["g_stop_leg"][group] = NO_SLOT
        elif role == TARGET_EXIT:
            book["g_target_leg"][group] = NO_SLOT
    if role == OCO_LEG:
        shrink_oco(book, events, group, slot, lots, finished)
    elif role in (STOP_EXIT, TARGET_EXIT):
        end_other_exit(book, events, group, role)
    if finished:
        close_slot(book, slot)
    settle_holding(book, events, holding)
    book["interest_stale"] = 1
    return lots


@njit
def keep_front_after_fill(book: Book, slot: int, lots: int) -> None:
    """A fill comes out of the old place first; what is left of it keeps the place."""
    book["o_front"][slot] -= lots
    if book["o_front"][slot] < 0:
        book["o_front"][slot] = 0
    keep_front(book, slot)
