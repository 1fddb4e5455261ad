"""Trailing stops: where they start, how they follow the market, how an exit of a bracket trails.

`o_best` is the best source price since the stop became active, NONE before; the stop lies a
distance behind it and moves only when `o_best` does. Triggering is the same as for every stop.
"""

from __future__ import annotations

from broker_api.event import Reason
from data.index import TapeRows
from sim.account import PPM
from sim.book import (
    EV_ACTIVATED,
    NONE,
    STOP_EXIT,
    TRAILING_STOP,
    Book,
    CommandRow,
    EventRows,
    i8,
    njit,
)
from sim.publish import publish_terms
from sim.rules import OK, check_trail, slot_source_ticks, source_ticks

NO_REASON = i8(Reason.NONE)


@njit
def trail_distance(best: int, trail: int, trail_ppm: int) -> int:
    """Ticks between the best price and the stop; parts of the price are rounded, half up."""
    if trail != NONE:
        return trail
    best = abs(best)
    return max(1, best // PPM * trail_ppm + (best % PPM * trail_ppm + PPM // 2) // PPM)


@njit
def better(sign: int, first: int, second: int) -> int:
    """The better of two prices for a trailing stop of `sign`: a sell's the higher; NONE is none."""
    if first == NONE:
        return second
    if second == NONE or (second - first) * sign >= 0:
        return first
    return second


@njit
def start_trailing(book: Book, tape: TapeRows, row: int, command: CommandRow) -> None:
    """Give a new trailing stop its best price and stop if it is active on arrival."""
    command["best"] = NONE
    if command["type"] != TRAILING_STOP:
        return
    trail, trail_ppm, sign = command["trail"], command["trail_ppm"], command["sign"]
    if check_trail(trail, trail_ppm)[0] != OK:
        return
    source = source_ticks(book, tape, row, command["instrument"], sign, sign)
    if source == NONE or not is_active_at(sign, command["activation"], source):
        return
    command["best"] = source
    command["stop"] = source + sign * trail_distance(source, trail, trail_ppm)


@njit
def is_active_at(sign: int, activation: int, source: int) -> bool:
    """A sell trails from its activation price upward, a buy downward; equality counts."""
    return activation == NONE or (source - activation) * sign <= 0


@njit
def stop_behind(book: Book, slot: int) -> int:
    """Where the stop of an active order lies by its best price."""
    best = book["o_best"][slot]
    distance = trail_distance(best, book["o_trail"][slot], book["o_trail_ppm"][slot])
    return best + book["o_sign"][slot] * distance


@njit
def follow_source(book: Book, events: EventRows, slot: int, source: int) -> None:
    """A row brought `source`: a trailing stop becomes active, or moves if that is better."""
    sign, best = book["o_sign"][slot], book["o_best"][slot]
    if source in (NONE, best):
        return
    if best == NONE:
        if not is_active_at(sign, book["o_activation"][slot], source):
            return
        book["o_best"][slot] = source
        book["o_stop"][slot] = stop_behind(book, slot)
        publish_terms(book, events, EV_ACTIVATED, slot, NO_REASON)
    elif better(sign, best, source) == source:
        book["o_best"][slot] = source
        # Never back, in percent too: the distance grows by no more than the price does.
        book["o_stop"][slot] = stop_behind(book, slot)
        if book["o_role"][slot] == STOP_EXIT:
            book["g_stop_offset"][book["o_group"][slot]] = NONE
    else:
        return
    book["interest_stale"] = 1


@njit
def start_exit(book: Book, tape: TapeRows, row: int, slot: int) -> None:
    """A bracket's trailing stop arrives: it starts at the better of entry and market.

    While it follows the entry's average its stop stays at the average; the market moves it later.
    """
    sign, best = book["o_sign"][slot], book["o_best"][slot]
    offset = book["g_stop_offset"][book["o_group"][slot]]
    follows = offset != NONE and book["o_filled"][slot] == 0
    if follows:
        best = better(sign, best, book["o_stop"][slot] - sign * offset)
    book["o_best"][slot] = better(sign, best, slot_source_ticks(book, tape, row, slot))
    if not follows:
        book["o_stop"][slot] = stop_behind(book, slot)


@njit
def trail_along(book: Book, slot: int) -> None:
    """On the path of a bar the price moves on from the fill that brought the exit to life."""
    stop = stop_behind(book, slot)
    if not book["o_triggered"][slot] and (stop - book["o_stop"][slot]) * book["o_sign"][slot] < 0:
        book["o_stop"][slot] = stop
        book["g_stop_offset"][book["o_group"][slot]] = NONE


@njit
def stop_at_distance(book: Book, slot: int, trail: int) -> int:
    """The stop of a trailing stop whose distance becomes `trail`; NONE while it has none."""
    stop, sign = book["o_stop"][slot], book["o_sign"][slot]
    if book["o_best"][slot] != NONE:
        return book["o_best"][slot] + sign * trail
    if stop != NONE:  # a held exit that knows the average of its entry
        return stop + sign * (trail - book["o_trail"][slot])
    return stop


@njit
def set_distance(book: Book, slot: int, trail: int) -> None:
    """The user's new distance; an exit that has not been live goes on following its entry."""
    if book["o_role"][slot] == STOP_EXIT and book["o_best"][slot] == NONE:
        book["o_stop"][slot] = stop_at_distance(book, slot, trail)
        book["g_stop_offset"][book["o_group"][slot]] = trail
    book["o_trail"][slot] = trail
    book["o_trail_ppm"][slot] = NONE
