"""The ends of orders and what follows for their groups: siblings, exits, entries.

Everything here is one transaction with its cause and is published right behind it.
"""

from __future__ import annotations

from broker_api.event import Reason
from sim.book import (
    ARM_FULL,
    CANCELLED,
    ENTRY,
    EV_CANCELLED,
    EV_UNPROTECTED,
    FILLED,
    NO_SLOT,
    OCO_LEG,
    STOP_EXIT,
    Book,
    EventRows,
    i8,
    njit,
)
from sim.exits import open_lots, set_exit
from sim.publish import close_slot, publish_ended, publish_order, publish_replaced

BY_USER = i8(Reason.BY_USER)
COMPLETED_BY_SIZE = i8(Reason.COMPLETED_BY_SIZE)
ENTRY_ENDED = i8(Reason.ENTRY_ENDED)
POSITION_FLAT = i8(Reason.POSITION_FLAT)
SELF_TRADE = i8(Reason.SELF_TRADE)
SIBLING = i8(Reason.SIBLING)


@njit
def settle_bracket(book: Book, events: EventRows, group: int) -> None:
    """Make the exits what is left to close; end the bracket when all is done."""
    book["g_dirty"][group] = 0
    live = open_lots(book, group)
    done = book["g_entry_done"][group] == 1
    stop_leg, target_leg = book["g_stop_leg"][group], book["g_target_leg"][group]
    if done and live <= 0:
        reason = ENTRY_ENDED
        if book["g_exit_filled"][group] > 0:
            reason = SIBLING
        elif book["g_released"][group] > 0:
            reason = POSITION_FLAT
        book["g_used"][group] = 0
        for leg in (stop_leg, target_leg):
            if leg != NO_SLOT:
                end_exit(book, events, leg, reason)
        return
    live = max(0, live)
    if book["g_arm"][group] == ARM_FULL and not done:
        live = 0
    for leg in (stop_leg, target_leg):
        if leg != NO_SLOT:
            set_exit(book, events, group, leg, live)
    if done and stop_leg == NO_SLOT and target_leg == NO_SLOT:
        book["g_used"][group] = 0


@njit
def end_slot(book: Book, events: EventRows, slot: int, kind: int, status: int, reason: int) -> None:
    """Publish that an order ended and free its slot; its group is not told."""
    publish_ended(book, events, kind, slot, status, reason)
    close_slot(book, slot)


@njit
def end_exit(book: Book, events: EventRows, slot: int, reason: int) -> None:
    """An exit has nothing left to do: cancelled, or filled if all it ever covered was filled."""
    filled = book["o_filled"][slot]
    if filled > 0 and filled == book["o_size"][slot]:
        complete_by_size(book, events, slot)
    else:
        end_slot(book, events, slot, EV_CANCELLED, CANCELLED, reason)


@njit
def complete_by_size(book: Book, events: EventRows, slot: int) -> None:
    """An order whose total size became what it had filled is filled, without a further fill."""
    book["o_status"][slot] = FILLED
    book["o_size"][slot] = book["o_filled"][slot]
    publish_replaced(book, events, slot, COMPLETED_BY_SIZE)
    close_slot(book, slot)


@njit
def leave_group(
    book: Book, events: EventRows, group: int, role: int, slot: int, reason: int
) -> None:
    """An order of a group ended unfilled: what follows for the others.

    An entry takes its held exits with it. Cancelling one exit leaves the other and says when the
    position lost its stop. One OCO leg ends the other, once; to prevent a self-trade only itself.
    """
    if role == ENTRY:
        book["g_entry"][group] = NO_SLOT
        book["g_entry_done"][group] = 1
        settle_bracket(book, events, group)
        return
    other = book["g_target_leg"][group]
    if book["g_stop_leg"][group] == slot:
        book["g_stop_leg"][group] = NO_SLOT
    else:
        other = book["g_stop_leg"][group]
        book["g_target_leg"][group] = NO_SLOT
    if role == OCO_LEG:
        if reason == SELF_TRADE and other != NO_SLOT:
            return  # a triggered stop does not die of its own sibling
        book["g_used"][group] = 0
        if other != NO_SLOT:
            end_slot(book, events, other, EV_CANCELLED, CANCELLED, SIBLING)
    elif book["g_entry_done"][group] and other == NO_SLOT:
        book["g_used"][group] = 0


@njit
def end_order(
    book: Book, events: EventRows, slot: int, kind: int, status: int, reason: int
) -> None:
    """An order ends unfilled (cancelled, expired): publish it and tell its group."""
    group, role = book["o_group"][slot], book["o_role"][slot]
    unprotected = False
    if role == STOP_EXIT and reason in (BY_USER, SIBLING):
        unprotected = open_lots(book, group) > 0
    publish_ended(book, events, kind, slot, status, reason)
    if unprotected:
        index = publish_order(book, events, EV_UNPROTECTED, slot)
        events["leaves_lots"][index] = 0
    close_slot(book, slot)
    if group != NO_SLOT:
        leave_group(book, events, group, role, slot, reason)


@njit
def cancel_order(book: Book, events: EventRows, slot: int, reason: int) -> None:
    """Cancel a working order, with what follows for its group."""
    end_order(book, events, slot, EV_CANCELLED, CANCELLED, reason)
