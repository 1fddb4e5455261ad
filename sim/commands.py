"""Commands at the exchange: place, bracket, OCO, replace, cancel, expire.

Each is called at its arrival, after every row up to that time, and answers with exactly one event
of its own (accepted or rejected, replaced or not, cancelled or not) before anything that it causes.
"""

from __future__ import annotations

from broker_api.event import Reason
from data.schema import TapeColumns
from sim.account import equity_nanos, required_margin, used_margin
from sim.arrival import arrive, run_activations
from sim.book import (
    ENTRY,
    EV_ACCEPTED,
    EV_CANCEL_REJECTED,
    EV_EXPIRED,
    EV_REPLACE_REJECTED,
    EXPIRED,
    GTC,
    LIMIT,
    MARKET,
    NEVER,
    NO_SLOT,
    NONE,
    OCO_LEG,
    OPEN,
    PENDING,
    REJECTED,
    SINGLE,
    STOP,
    STOP_EXIT,
    STOP_LIMIT,
    TARGET_EXIT,
    ZERO,
    Book,
    CommandRow,
    EventRows,
    Finding,
    i8,
    njit,
)
from sim.groups import (
    ACTIVATE,
    cancel_order,
    complete_by_size,
    end_order,
    leave_group,
    open_group,
    settle_bracket,
)
from sim.publish import (
    find_slot,
    leave_book,
    open_slot,
    publish_refusal,
    publish_rejected,
    publish_replaced,
    publish_terms,
)
from sim.queue import keep_front
from sim.rules import (
    OK,
    POST_ONLY_WOULD_TAKE,
    PRICE_NOT_POSITIVE,
    SIZE_ABOVE_MAXIMUM,
    SIZE_NOT_POSITIVE,
    STOP_WRONG_SIDE,
    check_bracket_levels,
    check_market_open,
    check_order,
    is_marketable,
    is_stop,
    is_through,
    side_lots,
    side_ticks,
    source_ticks,
)

ONE, TWO, THREE = i8(1), i8(2), i8(3)
NO_LIQUIDITY, TOO_MANY_ORDERS = i8(Reason.NO_LIQUIDITY), i8(Reason.TOO_MANY_ORDERS)
UNKNOWN_ORDER, ORDER_NOT_ACTIVE = i8(Reason.UNKNOWN_ORDER), i8(Reason.ORDER_NOT_ACTIVE)
SIZE_BELOW_FILLED, NOT_MODIFIABLE = i8(Reason.SIZE_BELOW_FILLED), i8(Reason.NOT_MODIFIABLE)
INSUFFICIENT_MARGIN = i8(Reason.INSUFFICIENT_MARGIN)
BY_USER, NO_REASON = i8(Reason.BY_USER), i8(Reason.NONE)


@njit
def check_arrival(
    book: Book, tape: TapeColumns, row: int, command: CommandRow, slots: int
) -> Finding:
    """All checks of an arriving order, room for it, and for a market order someone to trade."""
    found = check_order(book, tape, row, command)
    if found[0] == OK and command["type"] == MARKET:
        if side_lots(book, tape, row, command["instrument"], command["sign"]) <= 0:
            found = NO_LIQUIDITY, 0, 0
    if found[0] == OK and book["free_count"] < slots:
        found = TOO_MANY_ORDERS, book["active_count"] + slots, book["active_count"]
    return found


@njit
def accept(book: Book, events: EventRows, slot: int, status: int) -> None:
    """Publish that the order exists: OPEN, or PENDING when it is held."""
    book["o_status"][slot] = status
    publish_terms(book, events, EV_ACCEPTED, slot, NO_REASON)


@njit
def place(book: Book, tape: TapeColumns, events: EventRows, row: int, command: CommandRow) -> None:
    """A single order arrives."""
    found = check_arrival(book, tape, row, command, ONE)
    if found[0] != OK:
        instrument = command["instrument"]
        publish_rejected(
            book, events, command["order_id"], instrument, found[0], found[1], found[2]
        )
        return
    slot = open_slot(book, command, SINGLE)
    accept(book, events, slot, OPEN)
    arrive(book, tape, events, row, slot)
    run_activations(book, tape, events, row, command["instrument"])


@njit
def reject_all(book: Book, events: EventRows, command: CommandRow, found: Finding) -> None:
    """A bracket is refused whole: the entry and its exits."""
    instrument = command["instrument"]
    for order_id in (command["order_id"], command["stop_id"], command["target_id"]):
        if order_id != 0:
            publish_rejected(book, events, order_id, instrument, found[0], found[1], found[2])


@njit
def entry_estimate(book: Book, tape: TapeColumns, row: int, command: CommandRow) -> int:
    """The price against which a bracket's absolute exits are judged: limit, stop, or the touch."""
    if command["limit"] != NONE:
        return command["limit"]
    if command["stop"] != NONE:
        return command["stop"]
    return side_ticks(book, tape, row, command["instrument"], command["sign"])


@njit
def open_leg(book: Book, command: CommandRow, group: int, role: int) -> int:
    """A held exit of a bracket: the other side, good till cancelled, nothing live yet."""
    slot = open_slot(book, command, role)
    book["o_sign"][slot] = -command["sign"]
    book["o_time_in_force"][slot] = GTC
    book["o_expires"][slot] = NEVER
    book["o_protection"][slot] = NONE
    book["o_post_only"][slot] = 0
    book["o_reduce_only"][slot] = 0
    book["o_live"][slot] = 0
    book["o_group"][slot] = group
    if role == STOP_EXIT:
        book["o_order_id"][slot] = command["stop_id"]
        book["o_type"][slot] = STOP if command["limit_offset"] == NONE else STOP_LIMIT
        book["o_stop"][slot] = command["stop_price"]
        book["o_limit"][slot] = NONE
        if command["limit_offset"] != NONE and command["stop_price"] != NONE:
            beyond = command["sign"] * command["limit_offset"]
            book["o_limit"][slot] = command["stop_price"] - beyond
        book["g_stop_leg"][group] = slot
    else:
        book["o_order_id"][slot] = command["target_id"]
        book["o_type"][slot] = LIMIT
        book["o_stop"][slot] = NONE
        book["o_limit"][slot] = command["target_price"]
        book["g_target_leg"][group] = slot
    return slot


@njit
def place_bracket(
    book: Book, tape: TapeColumns, events: EventRows, row: int, command: CommandRow
) -> None:
    """An entry with its held exits arrives."""
    found = check_arrival(book, tape, row, command, THREE)
    if found[0] == OK:
        found = check_bracket_levels(command, entry_estimate(book, tape, row, command))
    group = NO_SLOT
    if found[0] == OK:
        group = open_group(book, command, ZERO)
        if group == NO_SLOT:
            found = TOO_MANY_ORDERS, book["group_high"] + 1, book["group_high"]
    if found[0] != OK:
        reject_all(book, events, command, found)
        return
    entry = open_slot(book, command, ENTRY)
    book["o_group"][entry] = group
    book["g_entry"][group] = entry
    accept(book, events, entry, OPEN)
    if command["stop_id"] != 0:
        accept(book, events, open_leg(book, command, group, STOP_EXIT), PENDING)
    if command["target_id"] != 0:
        accept(book, events, open_leg(book, command, group, TARGET_EXIT), PENDING)
    arrive(book, tape, events, row, entry)
    run_activations(book, tape, events, row, command["instrument"])


@njit
def place_oco(
    book: Book,
    tape: TapeColumns,
    events: EventRows,
    row: int,
    command: CommandRow,
    other: CommandRow,
) -> None:
    """Two orders arrive of which at most one completes; a refusal of one refuses both."""
    found = check_arrival(book, tape, row, command, TWO)
    if found[0] == OK:
        found = check_arrival(book, tape, row, other, TWO)
    group = NO_SLOT
    if found[0] == OK:
        group = open_group(book, command, ONE)
        if group == NO_SLOT:
            found = TOO_MANY_ORDERS, book["group_high"] + 1, book["group_high"]
    instrument = command["instrument"]
    if found[0] != OK:
        for order_id in (command["order_id"], other["order_id"]):
            publish_rejected(book, events, order_id, instrument, found[0], found[1], found[2])
        return
    first = open_slot(book, command, OCO_LEG)
    second = open_slot(book, other, OCO_LEG)
    book["o_group"][first] = group
    book["o_group"][second] = group
    book["g_stop_leg"][group] = first
    book["g_target_leg"][group] = second
    accept(book, events, first, OPEN)
    accept(book, events, second, OPEN)
    arrive(book, tape, events, row, first)
    if book["o_order_id"][second] == other["order_id"]:
        arrive(book, tape, events, row, second)
    run_activations(book, tape, events, row, instrument)


@njit
def cancel(
    book: Book, tape: TapeColumns, events: EventRows, row: int, order_id: int, ended_status: int
) -> None:
    """A cancel arrives; `ended_status` is how the order ended if it did, 0 if it never was."""
    slot = find_slot(book, order_id)
    if slot == NO_SLOT:
        reason = ORDER_NOT_ACTIVE if ended_status else UNKNOWN_ORDER
        status = ended_status if ended_status else REJECTED
        publish_refusal(book, events, EV_CANCEL_REJECTED, order_id, NO_SLOT, status, reason, 0, 0)
        return
    instrument = book["o_instrument"][slot]
    cancel_order(book, events, slot, BY_USER)
    run_activations(book, tape, events, row, instrument)


@njit
def expire_due(book: Book, events: EventRows) -> None:
    """End the orders whose time is up at the book's time, in order of placement."""
    index = 0
    while index < book["active_count"]:
        slot = book["active"][index]
        index += 1
        if book["o_expires"][slot] <= book["ts"]:
            end_order(book, events, slot, EV_EXPIRED, EXPIRED, NO_REASON)
            index = 0


@njit
def check_replace_size(book: Book, slot: int, size: int, size_limit: int) -> Finding:
    """(reason, value, limit) of a new total size: not below what is filled, within the limits."""
    instrument = book["o_instrument"][slot]
    if size <= 0:
        return SIZE_NOT_POSITIVE, size, 1
    if size < book["o_filled"][slot]:
        return SIZE_BELOW_FILLED, size, book["o_filled"][slot]
    most = min(book["i_max_lots"][instrument], book["o_size"][slot] + size_limit)
    if size > most:
        return SIZE_ABOVE_MAXIMUM, size, most
    return OK, 0, 0


@njit
def check_replace_prices(
    book: Book, tape: TapeColumns, row: int, slot: int, limit: int, stop: int
) -> Finding:
    """(reason, value, limit) of new prices; a stop is judged only while it waits."""
    instrument, sign = book["o_instrument"][slot], book["o_sign"][slot]
    if not book["i_negative_price"][instrument]:
        if limit != NONE and limit <= 0:
            return PRICE_NOT_POSITIVE, limit, 1
        if stop != NONE and stop <= 0:
            return PRICE_NOT_POSITIVE, stop, 1
    live = book["o_status"][slot] != PENDING
    if live and stop != book["o_stop"][slot] and not book["stop_wrong_side_triggers"]:
        source = source_ticks(book, tape, row, instrument, sign)
        if is_through(sign, stop, source):
            return STOP_WRONG_SIDE, stop, source
    if live and book["o_post_only"][slot] and limit != book["o_limit"][slot]:
        if is_marketable(book, tape, row, instrument, sign, limit):
            return POST_ONLY_WOULD_TAKE, limit, side_ticks(book, tape, row, instrument, sign)
    return OK, 0, 0


@njit
def check_replace_kind(book: Book, slot: int, size: int, limit: int, stop: int) -> Finding:
    """(reason, value, limit): market orders and triggered stops cannot be changed.

    Neither can a price that the order's type does not have. While nothing trades only a reduction
    of size is taken.
    """
    kind = book["o_type"][slot]
    if kind == MARKET or (kind == STOP and book["o_triggered"][slot]):
        return NOT_MODIFIABLE, 0, 0
    has_limit = kind in (LIMIT, STOP_LIMIT)
    if limit != NONE and not has_limit:
        return NOT_MODIFIABLE, limit, 0
    if stop != NONE and (not is_stop(kind) or book["o_triggered"][slot]):
        return NOT_MODIFIABLE, stop, 0
    reduction = limit == NONE and stop == NONE and size != NONE and size < book["o_size"][slot]
    if book["i_halted"][book["o_instrument"][slot]] and not reduction:
        return check_market_open(book, book["o_instrument"][slot])
    return OK, 0, 0


@njit
def check_replace_margin(book: Book, slot: int, size: int, limit: int, stop: int) -> Finding:
    """(reason, value, limit): a larger or dearer order needs the margin for the difference."""
    if not book["margin_on"]:
        return OK, 0, 0
    instrument = book["o_instrument"][slot]
    before = required_margin(book, instrument, ZERO, ZERO, ZERO)
    available = equity_nanos(book) - used_margin(book)
    live, old_limit, old_stop = book["o_live"][slot], book["o_limit"][slot], book["o_stop"][slot]
    book["o_live"][slot] = live + size - book["o_size"][slot]
    book["o_limit"][slot] = limit
    book["o_stop"][slot] = stop
    more = required_margin(book, instrument, ZERO, ZERO, ZERO) - before
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
    tape: TapeColumns,
    events: EventRows,
    row: int,
    order_id: int,
    size: int,
    limit: int,
    stop: int,
    size_limit: int,
    ended_status: int,
) -> None:
    """A change arrives. NONE leaves a value; a refusal leaves the order as it was."""
    slot = find_slot(book, order_id)
    if slot == NO_SLOT:
        reason = ORDER_NOT_ACTIVE if ended_status else UNKNOWN_ORDER
        status = ended_status if ended_status else REJECTED
        publish_refusal(book, events, EV_REPLACE_REJECTED, order_id, NO_SLOT, status, reason, 0, 0)
        return
    instrument = book["o_instrument"][slot]
    found = check_replace_kind(book, slot, size, limit, stop)
    new_size = book["o_size"][slot] if size == NONE else size
    new_limit = book["o_limit"][slot] if limit == NONE else limit
    new_stop = book["o_stop"][slot] if stop == NONE else stop
    if found[0] == OK and size != NONE:
        found = check_replace_size(book, slot, size, size_limit)
    if found[0] == OK and is_exit(book, slot):
        found = check_exit_size(book, slot, new_size)
    if found[0] == OK:
        found = check_replace_prices(book, tape, row, slot, new_limit, new_stop)
    if found[0] == OK and not is_exit(book, slot):
        found = check_replace_margin(book, slot, new_size, new_limit, new_stop)
    if found[0] != OK:
        status = book["o_status"][slot]
        index = publish_refusal(
            book,
            events,
            EV_REPLACE_REJECTED,
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
    if is_exit(book, slot):
        replace_exit(book, tape, events, row, slot, new_size, limit, stop)
    else:
        replace_order(book, tape, events, row, slot, new_size, new_limit, new_stop)
    run_activations(book, tape, events, row, instrument)


@njit
def replace_order(
    book: Book,
    tape: TapeColumns,
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
    if moved:
        book["priority"] = book["priority"] + 1
        book["o_priority"][slot] = book["priority"]
    if is_stop(book["o_type"][slot]) and not book["o_triggered"][slot]:
        arrive(book, tape, events, row, slot)
    elif moved:
        leave_book(book, slot)
        arrive(book, tape, events, row, slot)
    else:
        keep_front(book, slot)


@njit
def check_exit_size(book: Book, slot: int, size: int) -> Finding:
    """(reason, value, limit): an exit never exceeds what is left to close."""
    group = book["o_group"][slot]
    grow = size - book["o_size"][slot]
    if grow > book["g_released"][group]:
        return SIZE_ABOVE_MAXIMUM, size, book["o_size"][slot] + book["g_released"][group]
    return OK, 0, 0


@njit
def replace_exit(
    book: Book,
    tape: TapeColumns,
    events: EventRows,
    row: int,
    slot: int,
    size: int,
    limit: int,
    stop: int,
) -> None:
    """Change a bracket's exit: a price by hand stays, a size is for both legs."""
    group = book["o_group"][slot]
    change = size - book["o_size"][slot]
    book["o_size"][slot] = size
    book["interest_stale"] = 1
    moved = False
    if stop != NONE:
        moved = stop != book["o_stop"][slot]
        book["g_stop_offset"][group] = NONE
        if book["o_limit"][slot] != NONE and limit == NONE and book["o_stop"][slot] != NONE:
            book["o_limit"][slot] += stop - book["o_stop"][slot]
        book["o_stop"][slot] = stop
    if limit != NONE:
        if book["o_role"][slot] == TARGET_EXIT:
            moved = moved or limit != book["o_limit"][slot]
            book["g_target_offset"][group] = NONE
        else:
            book["g_limit_offset"][group] = NONE
        book["o_limit"][slot] = limit
    live = book["o_status"][slot] != PENDING
    if live:
        book["o_live"][slot] += change
    publish_replaced(book, events, slot, NO_REASON)
    if live and moved:
        leave_book(book, slot)
        book["o_activate"][slot] = ACTIVATE
    elif live:
        keep_front(book, slot)
    if change != 0:
        book["g_released"][group] -= change
        settle_bracket(book, events, group)
