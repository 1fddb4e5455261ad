"""What a fill or an end causes: position, fees, siblings, brackets, reduce-only orders.

Everything here is one transaction with its cause and is published right behind it: the order's own
event, its fill, position, account, siblings. Exits that go live or join again are only marked here
(`o_activate`); the kernel lets them arrive at the end of the transaction.
"""

from __future__ import annotations

from broker_api.event import Reason
from sim.account import settle_fill
from sim.book import (
    ARM_FULL,
    BUY,
    CANCEL_ON_PARTIAL,
    CANCELLED,
    ENTRY,
    EV_CANCELLED,
    EV_FILLED,
    EV_HELD,
    EV_UNPROTECTED,
    FILLED,
    MAX_GROUPS,
    NEVER,
    NO_SLOT,
    NONE,
    OCO_LEG,
    PARTIALLY_FILLED,
    PENDING,
    SELL,
    STOP_EXIT,
    TARGET_EXIT,
    Book,
    CommandRow,
    EventRows,
    i8,
    njit,
)
from sim.publish import (
    close_slot,
    leave_book,
    publish_ended,
    publish_order,
    publish_position,
    publish_replaced,
)
from sim.queue import JOIN_REST, keep_front

BY_USER, SIBLING, ENTRY_ENDED = i8(Reason.BY_USER), i8(Reason.SIBLING), i8(Reason.ENTRY_ENDED)
POSITION_FLAT, REDUCE_ONLY_DONE = i8(Reason.POSITION_FLAT), i8(Reason.REDUCE_ONLY_DONE)
EXIT_RESIZED, EXIT_REPRICED = i8(Reason.EXIT_RESIZED), i8(Reason.EXIT_REPRICED)
SELF_TRADE = i8(Reason.SELF_TRADE)
OCO_RESIZED, COMPLETED_BY_SIZE = i8(Reason.OCO_RESIZED), i8(Reason.COMPLETED_BY_SIZE)

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
    if role == STOP_EXIT and reason == BY_USER:
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


@njit
def oldest_open_bracket(book: Book, instrument: int, sign: int) -> int:
    """The bracket of one direction that was created first and still has lots to close."""
    found = NO_SLOT
    for group in range(book["group_high"]):
        if not book["g_used"][group] or book["g_is_oco"][group]:
            continue
        if book["g_instrument"][group] != instrument or book["g_sign"][group] != sign:
            continue
        if open_lots(book, group) <= 0:
            continue
        if found == NO_SLOT or book["g_created"][group] < book["g_created"][found]:
            found = group
    return found


@njit
def position_headroom(book: Book, instrument: int, sign: int) -> int:
    """Lots of the position that no bracket's exits cover yet; negative when they cover too many."""
    covered = 0
    for group in range(book["group_high"]):
        if book["g_used"][group] and not book["g_is_oco"][group]:
            if book["g_instrument"][group] == instrument and book["g_sign"][group] == sign:
                covered += max(0, open_lots(book, group))
    return max(0, book["i_position"][instrument] * sign) - covered


@njit
def exit_headroom(book: Book, group: int) -> int:
    """Lots by which a bracket's exits may grow until all exits together cover the position."""
    headroom = position_headroom(book, book["g_instrument"][group], book["g_sign"][group])
    return headroom - min(0, open_lots(book, group))


@njit
def cap_brackets(book: Book, instrument: int, sign: int) -> None:
    """All exits of one direction together never exceed the position: first in, first out.

    Lots that other orders closed are taken from the oldest bracket, for good.
    """
    excess = -position_headroom(book, instrument, sign)
    while excess > 0:
        group = oldest_open_bracket(book, instrument, sign)
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


@njit
def settle_instrument(book: Book, events: EventRows, instrument: int) -> None:
    """After a fill: brackets, then reduce-only orders that have nothing left to reduce."""
    if book["group_high"] > 0:
        cap_brackets(book, instrument, BUY)
        cap_brackets(book, instrument, SELL)
        group = oldest_dirty(book)
        while group != NO_SLOT:
            settle_bracket(book, events, group)
            group = oldest_dirty(book)
    end_idle_reduce_only(book, events, instrument)


@njit
def end_idle_reduce_only(book: Book, events: EventRows, instrument: int) -> None:
    """A reduce-only order ends at once when there is no position left that it could reduce."""
    position = book["i_position"][instrument]
    index = 0
    while index < book["active_count"]:
        slot = book["active"][index]
        index += 1
        role = book["o_role"][slot]
        if role in (STOP_EXIT, TARGET_EXIT) or not book["o_reduce_only"][slot]:
            continue
        if book["o_instrument"][slot] == instrument and book["o_sign"][slot] * position >= 0:
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
def fillable_lots(book: Book, slot: int, lots: int) -> int:
    """`lots` clipped to what a reduce-only order may still close."""
    if not book["o_reduce_only"][slot]:
        return lots
    reducible = -book["i_position"][book["o_instrument"][slot]] * book["o_sign"][slot]
    return max(0, min(lots, reducible))


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

    Returns less than asked when a reduce-only order is clipped, 0 when it may not fill at all.
    """
    lots = fillable_lots(book, slot, min(lots, book["o_live"][slot]))
    if lots <= 0:
        return 0
    instrument, sign = book["o_instrument"][slot], book["o_sign"][slot]
    group, role = book["o_group"][slot], book["o_role"][slot]
    book["o_filled"][slot] += lots
    book["o_live"][slot] -= lots
    book["o_cost"][slot] += lots * price
    if book["o_resting"][slot]:
        book["o_met"][slot] = 1
        if lots > book["o_front"][slot]:
            book["o_met_behind"][slot] = 1
        keep_front_after_fill(book, slot, lots)
    fee = settle_fill(book, instrument, sign * lots, price, liquidity)
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
    publish_position(book, events, instrument)
    if finished:
        if role == STOP_EXIT:
            book["g_stop_leg"][group] = NO_SLOT
        elif role == TARGET_EXIT:
            book["g_target_leg"][group] = NO_SLOT
    if role == OCO_LEG:
        shrink_oco(book, events, group, slot, lots, finished)
    if finished:
        close_slot(book, slot)
    settle_instrument(book, events, instrument)
    book["interest_stale"] = 1
    return lots


@njit
def keep_front_after_fill(book: Book, slot: int, lots: int) -> None:
    """A fill comes out of the old place first; what is left of it keeps the place."""
    book["o_front"][slot] -= lots
    if book["o_front"][slot] < 0:
        book["o_front"][slot] = 0
    keep_front(book, slot)
