"""An order reaches the market: at first, when its stop triggers, or when its entry filled.

Activation is arrival: an exit that is already through or marketable acts at once.
"""

from __future__ import annotations

from broker_api.event import Reason
from data.index import TapeRows
from sim.book import (
    EV_ACTIVATED,
    EV_TRIGGERED,
    FOK,
    NO_SLOT,
    NONE,
    PENDING,
    TARGET_EXIT,
    TRAILING_STOP,
    ZERO,
    Book,
    EventRows,
    holding_at,
    i8,
    njit,
)
from sim.exits import ACTIVATE
from sim.groups import cancel_order
from sim.path import MOVE, reached_behind_fill
from sim.publish import live_status, publish_order, publish_terms
from sim.queue import JOIN_ALL, JOIN_REST, join_rest
from sim.rules import (
    has_trigger,
    is_market_now,
    is_struck,
    met_limit_ticks,
    slot_source_ticks,
)
from sim.taking import available_to, join_book, limit_of_walk, take_and_rest
from sim.trailing import start_exit, trail_along

FOK_NOT_AVAILABLE = i8(Reason.FOK_NOT_AVAILABLE)
POST_ONLY_AT_TRIGGER = i8(Reason.POST_ONLY_AT_TRIGGER)


@njit
def arrive(book: Book, tape: TapeRows, events: EventRows, row: int, slot: int) -> None:
    """An order becomes active: one with a trigger waits unless that is through, others trade."""
    if has_trigger(book["o_type"][slot]) and not book["o_triggered"][slot]:
        source = slot_source_ticks(book, tape, row, slot)
        if is_struck(book, slot, source):
            trigger(book, tape, events, row, slot, reached_behind_fill(book, slot, source))
        return
    if book["bar_step"] == MOVE and book["o_role"][slot] == TARGET_EXIT:
        # The price comes through its level on the way: it is crossed there, it takes nothing.
        join_book(book, tape, events, row, slot)
        return
    meet_market(book, tape, events, row, slot)


@njit
def meet_market(book: Book, tape: TapeRows, events: EventRows, row: int, slot: int) -> None:
    """An order that waits for nothing trades or rests; FOK and post-only are judged here."""
    if book["o_time_in_force"][slot] == FOK:
        worst = limit_of_walk(book, tape, row, slot)
        if available_to(book, tape, row, slot, worst) < book["o_live"][slot]:
            cancel_order(book, events, slot, FOK_NOT_AVAILABLE)
            return
    if book["o_post_only"][slot] and not is_market_now(book, slot):
        sign, limit = book["o_sign"][slot], book["o_limit"][slot]
        if met_limit_ticks(book, tape, row, holding_at(book, slot), sign, limit) != NONE:
            cancel_order(book, events, slot, POST_ONLY_AT_TRIGGER)
            return
    take_and_rest(book, tape, events, row, slot)


@njit
def trigger(
    book: Book, tape: TapeRows, events: EventRows, row: int, slot: int, source: int
) -> None:
    """An order saw its trigger: it takes liquidity at this very row, or arrives as a limit."""
    book["o_triggered"][slot] = 1
    book["interest_stale"] = 1
    index = publish_order(book, events, EV_TRIGGERED, slot)
    events["price_ticks"][index] = source
    events["stop_ticks"][index] = book["o_stop"][slot]
    if book["bar_step"]:
        book["bar_at"] = source
    meet_market(book, tape, events, row, slot)
    book["bar_at"] = NONE


@njit
def next_marked(book: Book, instrument: int) -> int:
    """The first order in placement that is to arrive or to join again; NO_SLOT when none is."""
    for index in range(book["active_count"]):
        slot = book["active"][index]
        if book["o_activate"][slot] and book["o_instrument"][slot] == instrument:
            return slot
    return NO_SLOT


@njit
def run_activations(
    book: Book, tape: TapeRows, events: EventRows, row: int, instrument: int
) -> None:
    """Let every marked exit arrive; what it causes may mark others, so go on until none is left."""
    if book["i_halted"][instrument]:
        return
    while True:
        slot = next_marked(book, instrument)
        if slot == NO_SLOT:
            return
        mark = book["o_activate"][slot]
        if mark in (JOIN_REST, JOIN_ALL):
            join_rest(book, tape, row, slot)
        book["o_activate"][slot] = 0
        if mark == ACTIVATE:
            activate(book, tape, events, row, slot)


@njit
def activate(book: Book, tape: TapeRows, events: EventRows, row: int, slot: int) -> None:
    """A held exit goes live, or a repriced one arrives at its new price."""
    book["interest_stale"] = 1
    book["priority"] = book["priority"] + 1
    book["o_priority"][slot] = book["priority"]
    if book["o_type"][slot] == TRAILING_STOP and not book["o_triggered"][slot]:
        start_exit(book, tape, row, slot)
    if book["o_status"][slot] == PENDING:
        book["o_status"][slot] = live_status(book, slot)
        book["o_size"][slot] = book["o_filled"][slot] + book["o_live"][slot]
        publish_terms(book, events, EV_ACTIVATED, slot, ZERO)
    if book["bar_step"] == MOVE and book["o_type"][slot] == TRAILING_STOP:
        trail_along(book, slot)
    arrive(book, tape, events, row, slot)
