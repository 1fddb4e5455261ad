"""A bracket's state: how much its exits cover, where they lie, and which gives way first.

Exits that go live or join again are only marked here (`o_activate`); the kernel lets them arrive at
the end of the transaction.
"""

from __future__ import annotations

from broker_api.event import Reason
from sim.book import (
    EV_HELD,
    MAX_GROUPS,
    NEVER,
    NO_SLOT,
    NONE,
    PENDING,
    STOP_EXIT,
    Book,
    CommandRow,
    EventRows,
    holding_of,
    i8,
    njit,
)
from sim.publish import leave_book, publish_order, publish_replaced
from sim.queue import JOIN_REST, keep_front

EXIT_REPRICED = i8(Reason.EXIT_REPRICED)
EXIT_RESIZED = i8(Reason.EXIT_RESIZED)

ACTIVATE = 1


@njit
def open_group(book: Book, command: CommandRow, is_oco: int) -> int:
    """Take an unused group for a bracket or an OCO; NO_SLOT when all are used."""
    group = 0
    while group < MAX_GROUPS and book["g_used"][group]:
        group += 1
    if group == MAX_GROUPS:
        return NO_SLOT
    book["group_high"] = max(book["group_high"], group + 1)
    book["g_used"][group] = 1
    book["g_is_oco"][group] = is_oco
    book["g_account"][group] = command["account"]
    book["g_instrument"][group] = command["instrument"]
    book["g_sign"][group] = command["sign"]
    book["g_created"][group] = book["priority"]
    book["g_entry"][group] = NO_SLOT
    book["g_stop_leg"][group] = NO_SLOT
    book["g_target_leg"][group] = NO_SLOT
    book["g_entry_filled"][group] = 0
    book["g_entry_cost"][group] = 0
    book["g_entry_done"][group] = 0
    book["g_exit_filled"][group] = 0
    book["g_released"][group] = 0
    book["g_cap"][group] = NEVER
    book["g_stop_offset"][group] = command["stop_offset"]
    book["g_target_offset"][group] = command["target_offset"]
    book["g_limit_offset"][group] = command["limit_offset"]
    book["g_arm"][group] = command["arm"]
    book["g_on_partial"][group] = command["on_partial"]
    book["g_dirty"][group] = 0
    return group


@njit
def open_lots(book: Book, group: int) -> int:
    """Lots of the bracket's entry that its exits still have to close."""
    closed = book["g_exit_filled"][group] + book["g_released"][group]
    return min(book["g_entry_filled"][group], book["g_cap"][group]) - closed


@njit
def exit_stop_ticks(book: Book, group: int) -> int:
    """The stop leg's price from its offset: rounded to the tick nearer the average entry."""
    filled, cost = book["g_entry_filled"][group], book["g_entry_cost"][group]
    offset = book["g_stop_offset"][group]
    if book["g_sign"][group] > 0:
        return -(-cost // filled) - offset
    return cost // filled + offset


@njit
def exit_target_ticks(book: Book, group: int) -> int:
    """The target leg's price from its offset: rounded to the tick nearer the average entry."""
    filled, cost = book["g_entry_filled"][group], book["g_entry_cost"][group]
    offset = book["g_target_offset"][group]
    if book["g_sign"][group] > 0:
        return cost // filled + offset
    return -(-cost // filled) - offset


@njit
def follow_entry(book: Book, group: int, slot: int) -> bool:
    """Move an exit given by offset with the entry's average; return True when its price changed.

    Only until something of the exit has filled or triggered; a price set by hand cleared it.
    """
    if (
        book["o_filled"][slot] > 0
        or book["o_triggered"][slot]
        or book["g_entry_filled"][group] == 0
    ):
        return False
    if book["o_role"][slot] == STOP_EXIT:
        if book["g_stop_offset"][group] == NONE:
            return False
        price = exit_stop_ticks(book, group)
        changed = price != book["o_stop"][slot]
        book["o_stop"][slot] = price
        if book["g_limit_offset"][group] != NONE:
            book["o_limit"][slot] = price - book["g_sign"][group] * book["g_limit_offset"][group]
        return changed
    if book["g_target_offset"][group] == NONE:
        return False
    price = exit_target_ticks(book, group)
    changed = price != book["o_limit"][slot]
    book["o_limit"][slot] = price
    return changed


@njit
def set_exit(book: Book, events: EventRows, group: int, slot: int, live: int) -> None:
    """Give an exit its live size and price; what must arrive or join is marked for the kernel."""
    was = book["o_live"][slot]
    changed_price = follow_entry(book, group, slot)
    if book["o_status"][slot] == PENDING:
        if live > 0:
            book["o_live"][slot] = live
            book["o_activate"][slot] = ACTIVATE
        else:
            book["o_live"][slot] = 0
            book["o_activate"][slot] = 0
        return
    if live == was and live > 0 and not changed_price:
        return
    book["interest_stale"] = 1
    book["o_live"][slot] = live
    if live == 0:
        book["o_status"][slot] = PENDING
        book["o_triggered"][slot] = 0
        follow_entry(book, group, slot)  # one that had triggered stood still
        book["o_waiting"][slot] = 0
        book["o_activate"][slot] = 0
        leave_book(book, slot)
        publish_order(book, events, EV_HELD, slot)
        return
    book["o_size"][slot] = book["o_filled"][slot] + live
    if changed_price:
        leave_book(book, slot)
        book["o_activate"][slot] = ACTIVATE
        publish_replaced(book, events, slot, EXIT_REPRICED)
        return
    if live > was and book["o_resting"][slot]:
        book["o_activate"][slot] = JOIN_REST
        book["o_met_behind"][slot] = 0
    keep_front(book, slot)
    publish_replaced(book, events, slot, EXIT_RESIZED)


@njit
def has_exits_of(book: Book, group: int, holding: int, sign: int) -> bool:
    """True for a bracket that closes the holding after an entry of `sign`."""
    if not book["g_used"][group] or book["g_is_oco"][group] or book["g_sign"][group] != sign:
        return False
    return holding_of(book["g_account"][group], book["g_instrument"][group]) == holding


@njit
def oldest_open_bracket(book: Book, holding: int, sign: int) -> int:
    """The bracket of one direction that was created first and still has lots to close."""
    found = NO_SLOT
    for group in range(book["group_high"]):
        if not has_exits_of(book, group, holding, sign) or open_lots(book, group) <= 0:
            continue
        if found == NO_SLOT or book["g_created"][group] < book["g_created"][found]:
            found = group
    return found


@njit
def position_headroom(book: Book, holding: int, sign: int) -> int:
    """Lots of the position that no bracket's exits cover yet; negative when they cover too many."""
    covered = 0
    for group in range(book["group_high"]):
        if has_exits_of(book, group, holding, sign):
            covered += max(0, open_lots(book, group))
    return max(0, book["p_position"][holding] * sign) - covered


@njit
def exit_headroom(book: Book, group: int) -> int:
    """Lots by which a bracket's exits may grow until all exits together cover the position."""
    holding = holding_of(book["g_account"][group], book["g_instrument"][group])
    headroom = position_headroom(book, holding, book["g_sign"][group])
    return headroom - min(0, open_lots(book, group))


@njit
def cap_brackets(book: Book, holding: int, sign: int) -> None:
    """All exits of one direction together never exceed the position: first in, first out.

    Lots that other orders closed are taken from the oldest bracket, for good.
    """
    excess = -position_headroom(book, holding, sign)
    while excess > 0:
        group = oldest_open_bracket(book, holding, sign)
        part = min(excess, open_lots(book, group))
        book["g_released"][group] += part
        book["g_dirty"][group] = 1
        excess -= part


@njit
def oldest_dirty(book: Book) -> int:
    """The bracket created first of those that have to be settled; NO_SLOT when none has."""
    found = NO_SLOT
    for group in range(book["group_high"]):
        if book["g_used"][group] and book["g_dirty"][group] and not book["g_is_oco"][group]:
            if found == NO_SLOT or book["g_created"][group] < book["g_created"][found]:
                found = group
    return found
