"""Writing events and keeping slots: the two things that every rule does to the book.

An order's slot is taken by `open_slot` and given back by `close_slot`; in between the order is on
the active list, which is in order of placement.
"""

from __future__ import annotations

from sim.book import (
    EV_ACCEPTED,
    EV_ACCOUNT,
    EV_CANCELLED,
    EV_POSITION,
    EV_REJECTED,
    EV_REPLACED,
    MAX_EVENTS,
    NO_SLOT,
    NONE,
    OPEN,
    PARTIALLY_FILLED,
    PENDING,
    REJECTED,
    Book,
    CommandRow,
    EventRows,
    Finding,
    account_of,
    instrument_of,
    njit,
)


@njit
def publish(book: Book, events: EventRows, kind: int, account: int, instrument: int) -> int:
    """Append an event of `kind` for an account at the book's time; return its index in `events`."""
    # Past the buffer's end the last place is written again; the shell sees the count and stops.
    index = min(book["event_count"], MAX_EVENTS - 1)
    book["event_count"] = book["event_count"] + 1
    book["a_seq"][account] += 1
    events["seq"][index] = book["a_seq"][account]
    events["ts_ns"][index] = book["ts"]
    events["kind"][index] = kind
    events["instrument"][index] = instrument
    events["account"][index] = account
    events["order_id"][index] = 0
    events["status"][index] = 0
    events["side"][index] = 0
    events["price_ticks"][index] = NONE
    events["stop_ticks"][index] = NONE
    events["lots"][index] = 0
    events["filled_lots"][index] = 0
    events["leaves_lots"][index] = 0
    events["fee_nanos"][index] = 0
    events["liquidity"][index] = 0
    events["ambiguous"][index] = 0
    events["reason"][index] = 0
    events["value"][index] = 0
    events["limit"][index] = 0
    events["position_lots"][index] = 0
    events["position_cost"][index] = 0
    events["realised_nanos"][index] = 0
    events["cash_nanos"][index] = 0
    return index


@njit
def publish_order(book: Book, events: EventRows, kind: int, slot: int) -> int:
    """Append an event of the order in `slot`, with its id, status and quantities."""
    index = publish(book, events, kind, book["o_account"][slot], book["o_instrument"][slot])
    events["order_id"][index] = book["o_order_id"][slot]
    events["status"][index] = book["o_status"][slot]
    events["filled_lots"][index] = book["o_filled"][slot]
    events["leaves_lots"][index] = book["o_size"][slot] - book["o_filled"][slot]
    return index


@njit
def publish_terms(book: Book, events: EventRows, kind: int, slot: int, reason: int) -> int:
    """Append an event that tells the order's prices and total size."""
    index = publish_order(book, events, kind, slot)
    if kind == EV_ACCEPTED:
        events["side"][index] = (1 - book["o_sign"][slot]) // 2
    events["price_ticks"][index] = book["o_limit"][slot]
    events["stop_ticks"][index] = book["o_stop"][slot]
    events["lots"][index] = book["o_size"][slot]
    events["reason"][index] = reason
    return index


@njit
def publish_replaced(book: Book, events: EventRows, slot: int, reason: int) -> int:
    """The order's terms changed, by the user (reason 0) or by a rule."""
    return publish_terms(book, events, EV_REPLACED, slot, reason)


@njit
def publish_position(book: Book, events: EventRows, holding: int) -> None:
    """The position and then the account, after a fill or a payment."""
    account = account_of(holding)
    index = publish(book, events, EV_POSITION, account, instrument_of(holding))
    events["position_lots"][index] = book["p_position"][holding]
    events["position_cost"][index] = book["p_position_cost"][holding]
    events["realised_nanos"][index] = book["p_realised"][holding]
    publish_account(book, events, account)


@njit
def publish_account(book: Book, events: EventRows, account: int) -> None:
    """Cash and the fees so far."""
    index = publish(book, events, EV_ACCOUNT, account, NO_SLOT)
    events["cash_nanos"][index] = book["a_cash"][account]
    events["fee_nanos"][index] = book["a_fees"][account]


@njit
def publish_refusal(
    book: Book,
    events: EventRows,
    kind: int,
    account: int,
    order_id: int,
    instrument: int,
    status: int,
    reason: int,
    value: int,
    limit: int,
) -> int:
    """A command was refused: the order has `status` (REJECTED for one that never was)."""
    index = publish(book, events, kind, account, instrument)
    events["order_id"][index] = order_id
    events["status"][index] = status
    events["reason"][index] = reason
    events["value"][index] = value
    events["limit"][index] = limit
    return index


@njit
def publish_rejected(
    book: Book, events: EventRows, account: int, order_id: int, instrument: int, found: Finding
) -> None:
    """A new order was refused; it does not exist."""
    publish_refusal(
        book, events, EV_REJECTED, account, order_id, instrument, REJECTED,
        found[0], found[1], found[2],
    )  # fmt: skip


@njit
def publish_ended(
    book: Book, events: EventRows, kind: int, slot: int, status: int, reason: int
) -> None:
    """An order ended unfilled or partly filled: cancelled or expired."""
    book["o_status"][slot] = status
    index = publish_order(book, events, kind, slot)
    events["leaves_lots"][index] = 0
    if kind == EV_CANCELLED:
        events["reason"][index] = reason


@njit
def live_status(book: Book, slot: int) -> int:
    """OPEN or PARTIALLY_FILLED, by what has filled."""
    return PARTIALLY_FILLED if book["o_filled"][slot] > 0 else OPEN


@njit
def open_slot(book: Book, command: CommandRow, role: int) -> int:
    """Take a free slot for a new order with `command`'s terms; return it, pending."""
    free = book["free_count"] - 1
    book["free_count"] = free
    slot = book["free"][free]
    book["active"][book["active_count"]] = slot
    book["active_count"] = book["active_count"] + 1
    book["o_order_id"][slot] = command["order_id"]
    book["o_account"][slot] = command["account"]
    book["o_instrument"][slot] = command["instrument"]
    book["o_sign"][slot] = command["sign"]
    book["o_type"][slot] = command["type"]
    book["o_time_in_force"][slot] = command["time_in_force"]
    book["o_role"][slot] = role
    book["o_status"][slot] = PENDING
    book["o_size"][slot] = command["size"]
    book["o_filled"][slot] = 0
    book["o_live"][slot] = command["size"]
    book["o_cost"][slot] = 0
    book["o_limit"][slot] = command["limit"]
    book["o_stop"][slot] = command["stop"]
    book["o_protection"][slot] = command["protection"]
    book["o_trail"][slot] = command["trail"]
    book["o_trail_ppm"][slot] = command["trail_ppm"]
    book["o_activation"][slot] = command["activation"]
    book["o_best"][slot] = command["best"]
    book["o_post_only"][slot] = command["post_only"]
    book["o_reduce_only"][slot] = command["reduce_only"]
    book["o_expires"][slot] = command["expires"]
    book["priority"] = book["priority"] + 1
    book["o_priority"][slot] = book["priority"]
    book["o_placed"][slot] = book["priority"]
    book["o_group"][slot] = NO_SLOT
    leave_book(book, slot)
    book["o_triggered"][slot] = 0
    book["o_waiting"][slot] = 0
    book["o_entitled"][slot] = 0
    book["o_activate"][slot] = 0
    book["interest_stale"] = 1
    return slot


@njit
def leave_book(book: Book, slot: int) -> None:
    """The order is no maker any more and has no place in a queue."""
    book["o_resting"][slot] = 0
    book["o_queue"][slot] = 0
    book["o_queue_known"][slot] = 0
    book["o_front"][slot] = 0
    book["o_queue_behind"][slot] = 0
    book["o_traded_pending"][slot] = 0
    book["o_explained"][slot] = 0
    book["o_explained_behind"][slot] = 0
    book["o_joined"][slot] = 0
    book["o_joined_behind"][slot] = 0
    book["o_met"][slot] = 0
    book["o_met_behind"][slot] = 0


@njit
def close_slot(book: Book, slot: int) -> None:
    """Give the slot of an ended order back; the active list keeps its order."""
    count = book["active_count"]
    active = book["active"]
    at = 0
    while active[at] != slot:
        at += 1
    for index in range(at, count - 1):
        active[index] = active[index + 1]
    book["active_count"] = count - 1
    book["o_order_id"][slot] = 0
    book["o_live"][slot] = 0
    book["o_resting"][slot] = 0
    book["o_waiting"][slot] = 0
    book["o_activate"][slot] = 0
    book["o_group"][slot] = NO_SLOT
    book["free"][book["free_count"]] = slot
    book["free_count"] = book["free_count"] + 1
    book["interest_stale"] = 1


@njit
def find_slot(book: Book, account: int, order_id: int) -> int:
    """The slot of an account's working order, NO_SLOT when there is none."""
    for index in range(book["active_count"]):
        slot = book["active"][index]
        if book["o_order_id"][slot] == order_id and book["o_account"][slot] == account:
            return slot
    return NO_SLOT
