"""A change arrives: what is refused, and how orders and exits take it.

A refusal leaves the order, its place and its protection as they were. Part of `commands.py`, which
cancels and places.
"""

from __future__ import annotations

from broker_api.event import Reason
from data.index import TapeRows
from sim.account import farthest, free_margin, required_margin, size_limit
from sim.arrival import arrive, run_activations
from sim.book import (
    ENTRY,
    EV_REPLACE_REJECTED,
    LIMIT,
    NO_SLOT,
    NONE,
    PENDING,
    REJECTED,
    STOP_EXIT,
    STOP_LIMIT,
    TARGET_EXIT,
    TRAILING_STOP,
    ZERO,
    Book,
    EventRows,
    Finding,
    holding_at,
    i8,
    njit,
)
from sim.exits import ACTIVATE, EXIT_RESIZED, exit_headroom
from sim.groups import complete_by_size, leave_group, settle_bracket
from sim.publish import (
    find_slot,
    leave_book,
    publish_refusal,
    publish_replaced,
)
from sim.queue import keep_front
from sim.rules import (
    OK,
    POST_ONLY_WOULD_TAKE,
    PRICE_NOT_POSITIVE,
    SIZE_ABOVE_MAXIMUM,
    SIZE_BELOW_MINIMUM,
    SIZE_NOT_POSITIVE,
    STOP_WRONG_SIDE,
    check_band,
    check_market_open,
    has_limit,
    has_trigger,
    is_market_now,
    is_through,
    met_limit_ticks,
    slot_source_ticks,
    trigger_way,
)
from sim.trailing import set_distance, stop_at_distance

UNKNOWN_ORDER, ORDER_NOT_ACTIVE = i8(Reason.UNKNOWN_ORDER), i8(Reason.ORDER_NOT_ACTIVE)
SIZE_BELOW_FILLED, NOT_MODIFIABLE = i8(Reason.SIZE_BELOW_FILLED), i8(Reason.NOT_MODIFIABLE)
INSUFFICIENT_MARGIN = i8(Reason.INSUFFICIENT_MARGIN)
NO_REASON = i8(Reason.NONE)


@njit
def check_replace_size(
    book: Book, slot: int, size: int, limit: int, stop: int, trail: int
) -> Finding:
    """(reason, value, limit) of a new total size: not below what is filled, within the limits."""
    instrument = book["o_instrument"][slot]
    if size <= 0:
        return SIZE_NOT_POSITIVE, size, book["i_min_lots"][instrument]
    if size < book["o_filled"][slot]:
        return SIZE_BELOW_FILLED, size, book["o_filled"][slot]
    if size < book["i_min_lots"][instrument] and size != book["o_filled"][slot]:
        return SIZE_BELOW_MINIMUM, size, book["i_min_lots"][instrument]
    price = farthest(farthest(ZERO, limit, stop), trail, NONE)
    further = size_limit(book, book["o_account"][slot], instrument, price)
    most = min(book["i_max_lots"][instrument], book["o_size"][slot] + further)
    if size > most:
        return SIZE_ABOVE_MAXIMUM, size, most
    return OK, 0, 0


@njit
def check_replace_prices(
    book: Book, tape: TapeRows, row: int, slot: int, size: int, limit: int, stop: int, trail: int
) -> Finding:
    """(reason, value, limit) of new prices; a stop is judged only while it waits."""
    instrument, sign = book["o_instrument"][slot], book["o_sign"][slot]
    if trail != NONE and trail <= 0:
        return PRICE_NOT_POSITIVE, trail, 1
    if not book["i_negative_price"][instrument]:
        if limit <= 0 and limit not in (NONE, book["o_limit"][slot]):
            return PRICE_NOT_POSITIVE, limit, 1
        if stop <= 0 and stop not in (NONE, book["o_stop"][slot]):
            return PRICE_NOT_POSITIVE, stop, 1
    if limit != book["o_limit"][slot]:
        found = check_band(book, tape, row, instrument, sign, limit)
        if found[0] != OK:
            return found
    live = book["o_status"][slot] != PENDING
    if live and stop != book["o_stop"][slot] and not book["stop_wrong_side_triggers"]:
        source = slot_source_ticks(book, tape, row, slot)
        if is_through(trigger_way(book["o_type"][slot], sign), stop, source):
            return STOP_WRONG_SIDE, stop, source
    moves = limit != book["o_limit"][slot] or size > book["o_size"][slot]
    if live and moves and book["o_post_only"][slot] and book["o_type"][slot] == LIMIT:
        met = met_limit_ticks(book, tape, row, holding_at(book, slot), sign, limit)
        if met != NONE:
            return POST_ONLY_WOULD_TAKE, limit, met
    return OK, 0, 0


@njit
def check_replace_kind(
    book: Book, slot: int, size: int, limit: int, stop: int, trail: int
) -> Finding:
    """(reason, value, limit): market orders, and what became one, cannot be changed.

    Neither can a price or distance that the order's type does not have. While nothing trades
    only a reduction of size is taken.
    """
    kind = book["o_type"][slot]
    if is_market_now(book, slot):
        return NOT_MODIFIABLE, 0, 0
    if limit != NONE and not has_limit(kind):
        return NOT_MODIFIABLE, limit, 0
    has_stop = has_trigger(kind) and kind != TRAILING_STOP and not book["o_triggered"][slot]
    if stop != NONE and not has_stop:
        return NOT_MODIFIABLE, stop, 0
    if trail != NONE and kind != TRAILING_STOP:
        return NOT_MODIFIABLE, trail, 0
    same_prices = limit == NONE and stop == NONE and trail == NONE
    reduction = same_prices and size != NONE and size < book["o_size"][slot]
    if book["i_halted"][book["o_instrument"][slot]] and not reduction:
        return check_market_open(book, book["o_instrument"][slot])
    return OK, 0, 0


@njit
def check_replace_margin(book: Book, slot: int, size: int, limit: int, stop: int) -> Finding:
    """(reason, value, limit): a larger or dearer order needs the margin for the difference."""
    if not book["margin_on"]:
        return OK, 0, 0
    holding = holding_at(book, slot)
    before = required_margin(book, holding, ZERO, ZERO, ZERO)
    available = free_margin(book, book["o_account"][slot])
    live, old_limit, old_stop = book["o_live"][slot], book["o_limit"][slot], book["o_stop"][slot]
    book["o_live"][slot] = live + size - book["o_size"][slot]
    book["o_limit"][slot] = limit
    book["o_stop"][slot] = stop
    more = required_margin(book, holding, ZERO, ZERO, ZERO) - before
    book["o_live"][slot] = live
    book["o_limit"][slot] = old_limit
    book["o_stop"][slot] = old_stop
    if more > 0 and more > available:
        return INSUFFICIENT_MARGIN, more, available
    return OK, 0, 0


@njit
def is_exit(book: Book, slot: int) -> bool:
    """True for a bracket's stop or target."""
    return book["o_role"][slot] == STOP_EXIT or book["o_role"][slot] == TARGET_EXIT


@njit
def replace(
    book: Book,
    tape: TapeRows,
    events: EventRows,
    row: int,
    account: int,
    order_id: int,
    size: int,
    limit: int,
    stop: int,
    trail: int,
    ended_status: int,
) -> None:
    """A change arrives. NONE leaves a value; a refusal leaves the order as it was."""
    slot = find_slot(book, account, order_id)
    if slot == NO_SLOT:
        reason = ORDER_NOT_ACTIVE if ended_status else UNKNOWN_ORDER
        status = ended_status if ended_status else REJECTED
        publish_refusal(
            book, events, EV_REPLACE_REJECTED, account, order_id, NO_SLOT, status, reason, 0, 0
        )
        return
    instrument = book["o_instrument"][slot]
    found = check_replace_kind(book, slot, size, limit, stop, trail)
    named_stop = stop
    if found[0] == OK and trail != NONE:
        stop = stop_at_distance(book, slot, trail)
    new_size = book["o_size"][slot] if size == NONE else size
    new_limit = book["o_limit"][slot] if limit == NONE else limit
    new_stop = book["o_stop"][slot] if stop == NONE else stop
    if found[0] == OK and size != NONE:
        found = check_replace_size(book, slot, size, limit, named_stop, trail)
    if found[0] == OK and is_exit(book, slot):
        found = check_exit_size(book, slot, new_size)
    if found[0] == OK:
        found = check_replace_prices(book, tape, row, slot, new_size, new_limit, new_stop, trail)
    if found[0] == OK and not is_exit(book, slot):
        found = check_replace_margin(book, slot, new_size, new_limit, new_stop)
    if found[0] != OK:
        status = book["o_status"][slot]
        index = publish_refusal(
            book,
            events,
            EV_REPLACE_REJECTED,
            account,
            order_id,
            instrument,
            status,
            found[0],
            found[1],
            found[2],
        )
        events["filled_lots"][index] = book["o_filled"][slot]
        events["leaves_lots"][index] = book["o_size"][slot] - book["o_filled"][slot]
        return
    if trail != NONE:
        set_distance(book, slot, trail)
    if is_exit(book, slot):
        held_since_start = trail != NONE and book["o_best"][slot] == NONE
        replace_exit(book, events, slot, new_size, limit, NONE if held_since_start else stop)
    else:
        replace_order(book, tape, events, row, slot, new_size, new_limit, new_stop)
    run_activations(book, tape, events, row, instrument)


@njit
def replace_order(
    book: Book,
    tape: TapeRows,
    events: EventRows,
    row: int,
    slot: int,
    size: int,
    limit: int,
    stop: int,
) -> None:
    """Apply a change: a new price or a larger size loses the place, a smaller size keeps it."""
    if size == book["o_filled"][slot]:
        group, role = book["o_group"][slot], book["o_role"][slot]
        complete_by_size(book, events, slot)
        if group != NO_SLOT:
            leave_group(book, events, group, role, slot, NO_REASON)
        return
    moved = limit != book["o_limit"][slot] or size > book["o_size"][slot]
    book["o_live"][slot] += size - book["o_size"][slot]
    book["o_size"][slot] = size
    book["o_limit"][slot] = limit
    book["o_stop"][slot] = stop
    book["interest_stale"] = 1
    publish_replaced(book, events, slot, NO_REASON)
    if book["o_role"][slot] == ENTRY:
        resize_held_exits(book, events, book["o_group"][slot], size)
    if moved:
        book["priority"] = book["priority"] + 1
        book["o_priority"][slot] = book["priority"]
    if has_trigger(book["o_type"][slot]) and not book["o_triggered"][slot]:
        if not book["i_halted"][book["o_instrument"][slot]]:  # nothing triggers in a halt
            arrive(book, tape, events, row, slot)
    elif moved:
        leave_book(book, slot)
        arrive(book, tape, events, row, slot)
    else:
        keep_front(book, slot)


@njit
def is_unfilled_entry(book: Book, group: int) -> bool:
    """True while nothing of the entry has filled: its exits show the size they will have."""
    return book["g_entry"][group] != NO_SLOT and book["g_entry_filled"][group] == 0


@njit
def check_exit_size(book: Book, slot: int, size: int) -> Finding:
    """(reason, value, limit): an exit never exceeds what is left to close.

    Before the entry fills that is the entry's size; later what was given back by hand or by other
    orders, as far as the position still has it.
    """
    group = book["o_group"][slot]
    if is_unfilled_entry(book, group):
        most = book["o_size"][book["g_entry"][group]]
    else:
        room = max(0, min(book["g_released"][group], exit_headroom(book, group)))
        most = book["o_size"][slot] + room
    if size > most:
        return SIZE_ABOVE_MAXIMUM, size, most
    return OK, 0, 0


@njit
def set_exit_prices(book: Book, slot: int, limit: int, stop: int) -> bool:
    """Set prices by hand, which ends following the entry; True when the exit must arrive again."""
    group = book["o_group"][slot]
    old_limit, old_stop = book["o_limit"][slot], book["o_stop"][slot]
    if stop != NONE:
        book["g_stop_offset"][group] = NONE
        book["o_stop"][slot] = stop
        if book["o_type"][slot] == STOP_LIMIT and limit == NONE:
            if old_limit != NONE and old_stop != NONE:
                book["o_limit"][slot] = old_limit + stop - old_stop
            elif book["g_limit_offset"][group] != NONE:
                beyond = book["g_sign"][group] * book["g_limit_offset"][group]
                book["o_limit"][slot] = stop - beyond
    if limit != NONE:
        book["o_limit"][slot] = limit
        if book["o_role"][slot] == TARGET_EXIT:
            book["g_target_offset"][group] = NONE
        else:
            book["g_limit_offset"][group] = NONE
    if has_trigger(book["o_type"][slot]) and not book["o_triggered"][slot]:
        return book["o_stop"][slot] != old_stop
    return book["o_limit"][slot] != old_limit


@njit
def resize_held_sibling(book: Book, events: EventRows, group: int, slot: int, was: int) -> None:
    """A new size on one held leg is followed by the other, which still showed the old one."""
    other = book["g_target_leg"][group]
    if other == slot:
        other = book["g_stop_leg"][group]
    if other == NO_SLOT or book["o_status"][other] != PENDING:
        return
    if book["o_filled"][other] == 0 and book["o_size"][other] == was:
        book["o_size"][other] = book["o_size"][slot]
        publish_replaced(book, events, other, EXIT_RESIZED)


@njit
def replace_exit(
    book: Book, events: EventRows, slot: int, size: int, limit: int, stop: int
) -> None:
    """Change a bracket's exit: a price by hand stays, a size is for both legs."""
    group = book["o_group"][slot]
    was = book["o_size"][slot]
    book["o_size"][slot] = size
    book["interest_stale"] = 1
    moved = set_exit_prices(book, slot, limit, stop) or size > was
    live = book["o_status"][slot] != PENDING
    if live:
        book["o_live"][slot] += size - was
    publish_replaced(book, events, slot, NO_REASON)
    if live and moved:
        leave_book(book, slot)
        book["o_activate"][slot] = ACTIVATE
    elif live:
        keep_front(book, slot)
    if size == was:
        return
    if not live:
        resize_held_sibling(book, events, group, slot, was)
    if is_unfilled_entry(book, group):
        book["g_cap"][group] = size
    else:
        book["g_released"][group] += was - size
    settle_bracket(book, events, group)


@njit
def resize_held_exits(book: Book, events: EventRows, group: int, size: int) -> None:
    """The entry's size changed before it filled: the held exits show the size they will have."""
    if not is_unfilled_entry(book, group):
        return
    size = min(size, book["g_cap"][group])
    for leg in (book["g_stop_leg"][group], book["g_target_leg"][group]):
        if leg != NO_SLOT and book["o_size"][leg] != size:
            book["o_size"][leg] = size
            publish_replaced(book, events, leg, EXIT_RESIZED)
