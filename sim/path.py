"""The path of a bar: what its four rows mean to orders.

Between the rows of one bar the price moves without a jump, so what it reaches on the way acts at
its own price; from bar to bar, and after a reopening, it jumps. `open_row` notes which of the two a
row is; everything here is silent on tapes that are not made of bars.
"""

from __future__ import annotations

from data.index import TapeRows
from data.schema import ROWS_OF_BAR
from sim.book import (
    BELOW_ALL,
    ENTRY,
    NEVER,
    NO_SLOT,
    NONE,
    PENDING,
    Book,
    i8,
    njit,
)
from sim.rules import has_trigger, trigger_way

NO_BAR, JUMP, MOVE = i8(0), i8(1), i8(2)
"""What a row is: none of a bar, one to which the price jumped, one to which it moved."""
BAR = i8(ROWS_OF_BAR)


@njit
def enter_bar_row(book: Book, tape: TapeRows, instrument: int, row: int) -> None:
    """Note how the price came to this row of a bar, and the bar's extremes if it is past its
    open."""
    place = row % BAR
    book["bar_step"] = JUMP
    if place != 0 and row > book["i_known_from"][instrument]:
        book["bar_step"] = MOVE
    book["bar_from"] = tape.px[row - 1] if row > 0 else tape.px[row]
    book["bar_to"] = tape.px[row]
    book["bar_filled"] = NONE
    if place != 0:
        first = row - place
        book["bar_low"] = min(tape.px[first + 1], tape.px[first + 2])
        book["bar_high"] = max(tape.px[first + 1], tape.px[first + 2])


@njit
def leave_bar_row(book: Book) -> None:
    """Whatever comes next meets the book of a row as on any tape."""
    book["bar_step"] = NO_BAR
    book["bar_low"] = NEVER
    book["bar_high"] = BELOW_ALL


@njit
def reached_ticks(book: Book, slot: int, source: int) -> int:
    """Where the price was when the trigger of an order was reached on this row.

    On the way that is the trigger: at the row before it was not reached, or it would have acted.
    """
    if book["bar_step"] == NO_BAR:
        return source
    if book["bar_step"] == JUMP:
        return book["bar_to"]
    return book["o_stop"][slot]


@njit
def reached_behind_fill(book: Book, slot: int, source: int) -> int:
    """The same for an exit that a fill of this row brought to life: never better than that fill."""
    if book["bar_step"] != MOVE:
        return source
    ticks, way = book["o_stop"][slot], trigger_way(book["o_type"][slot], book["o_sign"][slot])
    if (ticks - book["bar_from"]) * (ticks - book["bar_to"]) > 0:
        ticks = book["bar_to"]
    if book["bar_filled"] != NONE and (book["bar_filled"] - ticks) * way > 0:
        return book["bar_filled"]
    return ticks


@njit
def maker_ticks(book: Book, slot: int) -> int:
    """The price at which a resting order fills: its own, or the open that jumped over it."""
    limit, sign = book["o_limit"][slot], book["o_sign"][slot]
    if book["bar_step"] == JUMP:
        if (book["bar_from"] - limit) * sign > 0 and (limit - book["bar_to"]) * sign > 0:
            return book["bar_to"]
    return limit


@njit
def sibling_in_bar(book: Book, slot: int) -> int:
    """1 when the bar also reaches the other live exit of a bracket, or the other leg of an OCO."""
    group = book["o_group"][slot]
    if group == NO_SLOT or book["o_role"][slot] == ENTRY or book["bar_low"] > book["bar_high"]:
        return 0
    other = book["g_target_leg"][group]
    if other == slot:
        other = book["g_stop_leg"][group]
    if other == NO_SLOT or book["o_status"][other] == PENDING or book["o_live"][other] <= 0:
        return 0
    level = book["o_limit"][other]
    if has_trigger(book["o_type"][other]) and not book["o_triggered"][other]:
        level = book["o_stop"][other]
    return 1 if level != NONE and book["bar_low"] <= level <= book["bar_high"] else 0
