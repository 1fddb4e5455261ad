"""Commands at the exchange: place, bracket, OCO, cancel, expire; `replacing.py` has changes.

Each is called at its arrival, after every row up to that time, and answers with exactly one event
of its own (accepted or rejected, cancelled or not) before anything that it causes.
"""

from __future__ import annotations

from broker_api.event import Reason
from data.index import TapeRows
from sim.arrival import arrive, run_activations
from sim.book import (
    ENTRY,
    EV_ACCEPTED,
    EV_CANCEL_REJECTED,
    EV_EXPIRED,
    EXPIRED,
    GTC,
    LIMIT,
    MARKET,
    MAX_GROUPS,
    MAX_HOLDINGS,
    MAX_ORDERS,
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
    TRAILING_STOP,
    ZERO,
    Book,
    CommandRow,
    EventRows,
    Finding,
    i8,
    njit,
)
from sim.exits import open_group
from sim.foreign import NO_LIMIT, best_foreign
from sim.groups import cancel_order, end_order
from sim.publish import (
    find_slot,
    open_slot,
    publish_refusal,
    publish_rejected,
    publish_terms,
)
from sim.rules import (
    OK,
    UNSUPPORTED,
    check_bracket_levels,
    check_order,
    command_price,
    side_lots,
    side_ticks,
)
from sim.trailing import start_trailing

ONE, TWO, THREE = i8(1), i8(2), i8(3)
NO_LIQUIDITY, TOO_MANY_ORDERS = i8(Reason.NO_LIQUIDITY), i8(Reason.TOO_MANY_ORDERS)
UNKNOWN_ORDER, ORDER_NOT_ACTIVE = i8(Reason.UNKNOWN_ORDER), i8(Reason.ORDER_NOT_ACTIVE)
SIZE_BELOW_FILLED, NOT_MODIFIABLE = i8(Reason.SIZE_BELOW_FILLED), i8(Reason.NOT_MODIFIABLE)
INSUFFICIENT_MARGIN = i8(Reason.INSUFFICIENT_MARGIN)
BY_USER, NO_REASON = i8(Reason.BY_USER), i8(Reason.NONE)


@njit
def is_anyone_there(book: Book, tape: TapeRows, row: int, command: CommandRow) -> bool:
    """True when a market order would trade now: with the tape, or with another account."""
    instrument, sign = command["instrument"], command["sign"]
    if side_lots(book, tape, row, instrument, sign) > 0:
        return True
    return best_foreign(book, command["account"], instrument, sign, sign * NO_LIMIT) != NO_SLOT


@njit
def check_arrival(book: Book, tape: TapeRows, row: int, command: CommandRow, slots: int) -> Finding:
    """All checks of an arriving order, room for it, and for a market order someone to trade."""
    start_trailing(book, tape, row, command)
    found = check_order(book, tape, row, command)
    if found[0] == OK and command["type"] == MARKET:
        if not is_anyone_there(book, tape, row, command):
            found = NO_LIQUIDITY, 0, 0
    if found[0] == OK and book["free_count"] < slots + MAX_HOLDINGS:
        found = TOO_MANY_ORDERS, book["active_count"] + slots, MAX_ORDERS
    return found


@njit
def reject(
    book: Book, events: EventRows, command: CommandRow, order_id: int, found: Finding
) -> None:
    """An order of the command is refused."""
    publish_rejected(book, events, command["account"], order_id, command["instrument"], found)


@njit
def accept(book: Book, events: EventRows, slot: int, status: int) -> None:
    """Publish that the order exists: OPEN, or PENDING when it is held."""
    book["o_status"][slot] = status
    publish_terms(book, events, EV_ACCEPTED, slot, NO_REASON)


@njit
def place(book: Book, tape: TapeRows, events: EventRows, row: int, command: CommandRow) -> None:
    """A single order arrives."""
    found = check_arrival(book, tape, row, command, ONE)
    if found[0] != OK:
        reject(book, events, command, command["order_id"], found)
        return
    slot = open_slot(book, command, SINGLE)
    accept(book, events, slot, OPEN)
    arrive(book, tape, events, row, slot)
    run_activations(book, tape, events, row, command["instrument"])


@njit
def reject_all(book: Book, events: EventRows, command: CommandRow, found: Finding) -> None:
    """A bracket is refused whole: the entry and its exits."""
    for order_id in (command["order_id"], command["stop_id"], command["target_id"]):
        if order_id != 0:
            reject(book, events, command, order_id, found)


@njit
def entry_estimate(book: Book, tape: TapeRows, row: int, command: CommandRow) -> int:
    """The price against which a bracket's absolute exits are judged: its own, or the touch.

    Against an empty side it is that of the other account which the entry will meet.
    """
    price, instrument, sign = command_price(command), command["instrument"], command["sign"]
    if price != NONE:
        return price
    if side_lots(book, tape, row, instrument, sign) > 0:
        return side_ticks(book, tape, row, instrument, sign)
    maker = best_foreign(book, command["account"], instrument, sign, sign * NO_LIMIT)
    return book["o_limit"][maker]


@njit
def open_leg(book: Book, command: CommandRow, group: int, role: int) -> int:
    """A held exit of a bracket: the other side, good till cancelled, nothing live yet."""
    slot = open_slot(book, command, role)
    book["o_sign"][slot] = -command["sign"]
    book["o_time_in_force"][slot] = GTC
    book["o_expires"][slot] = NEVER
    book["o_protection"][slot] = NONE
    book["o_trail"][slot] = NONE
    book["o_trail_ppm"][slot] = NONE
    book["o_activation"][slot] = NONE
    book["o_best"][slot] = NONE
    book["o_post_only"][slot] = 0
    book["o_reduce_only"][slot] = 0
    book["o_live"][slot] = 0
    book["o_group"][slot] = group
    if role == STOP_EXIT:
        book["o_order_id"][slot] = command["stop_id"]
        book["o_type"][slot] = STOP if command["limit_offset"] == NONE else STOP_LIMIT
        if command["exit_trail"] != NONE:
            book["o_type"][slot] = TRAILING_STOP
            book["o_trail"][slot] = command["exit_trail"]
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
    book: Book, tape: TapeRows, events: EventRows, row: int, command: CommandRow
) -> None:
    """An entry with its held exits arrives."""
    found = check_arrival(book, tape, row, command, THREE)
    if found[0] == OK:
        estimate = entry_estimate(book, tape, row, command)
        found = check_bracket_levels(book, tape, row, command, estimate)
    group = NO_SLOT
    if found[0] == OK:
        group = open_group(book, command, ZERO)
        if group == NO_SLOT:
            found = TOO_MANY_ORDERS, MAX_GROUPS + 1, MAX_GROUPS
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
    tape: TapeRows,
    events: EventRows,
    row: int,
    command: CommandRow,
    other: CommandRow,
) -> None:
    """Two orders arrive of which at most one completes; a refusal of one refuses both."""
    found = UNSUPPORTED, other["instrument"], command["instrument"]
    if other["instrument"] == command["instrument"]:
        found = check_arrival(book, tape, row, command, TWO)
    if found[0] == OK:
        found = check_arrival(book, tape, row, other, TWO)
    group = NO_SLOT
    if found[0] == OK:
        group = open_group(book, command, ONE)
        if group == NO_SLOT:
            found = TOO_MANY_ORDERS, MAX_GROUPS + 1, MAX_GROUPS
    instrument = command["instrument"]
    if found[0] != OK:
        for order_id in (command["order_id"], other["order_id"]):
            reject(book, events, command, order_id, found)
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
    book: Book,
    tape: TapeRows,
    events: EventRows,
    row: int,
    account: int,
    order_id: int,
    ended_status: int,
) -> None:
    """A cancel arrives; `ended_status` is how the order ended if it did, 0 if it never was."""
    slot = find_slot(book, account, order_id)
    if slot == NO_SLOT:
        reason = ORDER_NOT_ACTIVE if ended_status else UNKNOWN_ORDER
        status = ended_status if ended_status else REJECTED
        publish_refusal(
            book, events, EV_CANCEL_REJECTED, account, order_id, NO_SLOT, status, reason, 0, 0
        )
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
