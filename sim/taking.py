"""Taking liquidity: how an aggressor walks the book, and what happens to the rest of it.

The tape shows the touch. What lies behind it is the setting `beyond_top`: a ladder of further ticks
that each show the touch's size, nothing until the next row, or everything at the touch.
"""

from __future__ import annotations

from broker_api.event import Reason
from data.index import TapeRows
from sim.book import (
    CANCEL_BOTH,
    CANCEL_OLDEST,
    GTC,
    INFINITE,
    IOC,
    LADDER,
    LIMIT,
    MAKER,
    MAX_WALK_LEVELS,
    NO_SLOT,
    NONE,
    ROW_QUOTE,
    TAKER,
    TIF_NONE,
    WAIT,
    Book,
    EventRows,
    i8,
    njit,
)
from sim.filling import fill, fillable_lots
from sim.groups import SELF_TRADE, cancel_order
from sim.path import maker_ticks
from sim.publish import publish_replaced
from sim.queue import join
from sim.rules import (
    is_market_now,
    is_taken_by_print,
    printed_since_quote,
    shown_size,
    shown_ticks,
    side_lots,
    side_ticks,
)

IOC_REST = i8(Reason.IOC_REST)
PROTECTION_LIMIT = i8(Reason.PROTECTION_LIMIT)
NO_LIMIT = i8(1 << 62)
"""A price beyond every other. Distances from it fit an int64, those from NEVER do not."""


@njit
def touch_changed(
    book: Book, tape: TapeRows, instrument: int, row: int, sign: int, best_then: int
) -> bool:
    """True when the side that `sign` takes from is fresh since it was last looked at.

    Price or size of its touch changed, or a quote shows again what a print had proved gone. Every
    row of a bar is fresh.
    """
    before = (
        book["i_taken_ask_row"][instrument] if sign > 0 else book["i_taken_bid_row"][instrument]
    )
    if book["i_bar"][instrument]:
        return before != row
    price, lots = shown_ticks(tape, before, sign), shown_size(tape, before, sign)
    is_before = not book["i_bbo_after_trade"][instrument]
    gone = best_then != price
    for at in range(before + 1, row + 1):
        if shown_ticks(tape, at, sign) != price or shown_size(tape, at, sign) != lots:
            return True
        if gone and tape.kind[at] == ROW_QUOTE:
            return True
        if is_before and is_taken_by_print(tape, at, sign) and (tape.px[at] - price) * sign > 0:
            gone = True
    return False


@njit
def taken_lots(book: Book, tape: TapeRows, row: int, instrument: int, sign: int) -> tuple[int, int]:
    """Lots that this run took from the side since its touch last changed: (at the best, beyond).

    The same quote with a newer time is not new liquidity. Takers walk from the best price out, so
    one number tells which of the levels beyond are used up. A print that proves levels gone, on a
    tape with the BBO from before it, moves the best outward, and what was taken there with it. On
    the path of a bar a level is counted from where each taker starts.
    """
    best_then = book["i_taken_bid_best"][instrument]
    at_best, beyond = book["i_taken_bid"][instrument], book["i_taken_bid_beyond"][instrument]
    if sign > 0:
        best_then = book["i_taken_ask_best"][instrument]
        at_best, beyond = book["i_taken_ask"][instrument], book["i_taken_ask_beyond"][instrument]
    best = side_ticks(book, tape, row, instrument, sign)
    if at_best + beyond > 0:
        levels = (best - best_then) * sign
        if touch_changed(book, tape, instrument, row, sign, best_then):
            at_best = beyond = 0
        elif levels > 0 and not book["i_bar"][instrument]:
            shown = shown_size(tape, row, sign)
            left = max(0, beyond - (levels - 1) * shown)
            at_best = min(left, shown)
            beyond = left - at_best
    set_taken(book, instrument, sign, at_best, beyond)
    if sign > 0:
        book["i_taken_ask_row"][instrument] = row
        book["i_taken_ask_best"][instrument] = best
    else:
        book["i_taken_bid_row"][instrument] = row
        book["i_taken_bid_best"][instrument] = best
    return at_best, beyond


@njit
def set_taken(book: Book, instrument: int, sign: int, at_best: int, beyond: int) -> None:
    """Remember what we took from the side that `sign` takes from."""
    if sign > 0:
        book["i_taken_ask"][instrument] = at_best
        book["i_taken_ask_beyond"][instrument] = beyond
    else:
        book["i_taken_bid"][instrument] = at_best
        book["i_taken_bid_beyond"][instrument] = beyond


@njit
def add_taken(book: Book, instrument: int, sign: int, level: int, lots: int) -> None:
    """Count liquidity that we took at the best price (level 0) or beyond it."""
    if sign > 0 and level == 0:
        book["i_taken_ask"][instrument] += lots
    elif sign > 0:
        book["i_taken_ask_beyond"][instrument] += lots
    elif level == 0:
        book["i_taken_bid"][instrument] += lots
    else:
        book["i_taken_bid_beyond"][instrument] += lots


@njit
def touch_available(book: Book, tape: TapeRows, row: int, instrument: int, sign: int) -> int:
    """Lots at the displayed touch that are really there for us: shown - printed - taken."""
    shown = side_lots(book, tape, row, instrument, sign)
    gone = printed_since_quote(book, tape, row, instrument, sign)
    return max(0, shown - gone - taken_lots(book, tape, row, instrument, sign)[0])


@njit
def own_resting_at(book: Book, instrument: int, sign: int, price: int) -> int:
    """The first own maker that an aggressor of `sign` would meet at `price` or better."""
    for index in range(book["active_count"]):
        slot = book["active"][index]
        if book["o_instrument"][slot] != instrument or not book["o_resting"][slot]:
            continue
        if book["o_sign"][slot] == -sign and (price - book["o_limit"][slot]) * sign >= 0:
            return slot
    return NO_SLOT


@njit
def survivors(book: Book, slot: int, maker: int, position: int) -> tuple[bool, bool]:
    """Whether the aggressor and the own maker live on that meet at that position.

    The order that reduces exposure always lives; otherwise the setting decides by placement.
    """
    if position != 0:
        keep_taker = position * book["o_sign"][slot] < 0
        return keep_taker, not keep_taker
    if book["self_trade"] == CANCEL_BOTH:
        return False, False
    taker_newer = book["o_placed"][slot] > book["o_placed"][maker]
    keep_taker = taker_newer == (book["self_trade"] == CANCEL_OLDEST)
    return keep_taker, not keep_taker


@njit
def lots_within(levels: int, first: int, shown: int, beyond: int) -> int:
    """Lots of the first `levels`: `first` at the touch, `shown` at each other, less `beyond`."""
    if levels <= 0:
        return 0
    return first + max(0, (levels - 1) * shown - beyond)


@njit
def levels_before_own(
    book: Book, slot: int, best: int, levels: int, first: int, shown: int, beyond: int
) -> int:
    """How many of `levels` the order can take before it meets an own maker that ends it.

    What it has filled by then decides which of the two reduces exposure.
    """
    instrument, sign = book["o_instrument"][slot], book["o_sign"][slot]
    for index in range(book["active_count"]):
        maker = book["active"][index]
        if book["o_instrument"][maker] != instrument or not book["o_resting"][maker]:
            continue
        level = max(0, (book["o_limit"][maker] - best) * sign)
        if book["o_sign"][maker] == sign or level >= levels:
            continue
        before = lots_within(level, first, shown, beyond)
        position = book["i_position"][instrument] + sign * before
        if before < book["o_live"][slot] and not survivors(book, slot, maker, position)[0]:
            levels = level
    return levels


@njit
def fill_entitled(book: Book, events: EventRows, maker: int) -> None:
    """The row's print had met this maker before the aggressor came: it fills, then they meet."""
    lots, ambiguous = book["o_entitled"][maker], book["ambiguous"]
    book["o_entitled"][maker] = 0
    book["ambiguous"] = 0
    fill(book, events, maker, lots, maker_ticks(book, maker), MAKER)
    book["ambiguous"] = ambiguous


@njit
def prevent_self_trade(book: Book, events: EventRows, slot: int, price: int) -> bool:
    """Cancel own makers that would be met at `price`, or the aggressor; True if it lives."""
    order_id = book["o_order_id"][slot]
    while True:
        maker = own_resting_at(book, book["o_instrument"][slot], book["o_sign"][slot], price)
        if maker == NO_SLOT:
            return True
        if book["o_entitled"][maker] > 0:
            fill_entitled(book, events, maker)
            if book["o_order_id"][slot] != order_id:
                return False
            continue
        position = book["i_position"][book["o_instrument"][slot]]
        keep_taker, keep_maker = survivors(book, slot, maker, position)
        if not keep_maker:
            cancel_order(book, events, maker, SELF_TRADE)
        if not keep_taker and book["o_order_id"][slot] == order_id:
            cancel_order(book, events, slot, SELF_TRADE)
        if book["o_order_id"][slot] != order_id:
            return False


@njit
def limit_of_walk(book: Book, tape: TapeRows, row: int, slot: int) -> int:
    """The worst price that the order may take at: its limit, its protection, or none.

    A ladder downwards ends at the lowest price that the instrument has.
    """
    instrument, sign = book["o_instrument"][slot], book["o_sign"][slot]
    protection = book["o_protection"][slot]
    worst = NO_LIMIT * sign
    if not is_market_now(book, slot):
        worst = book["o_limit"][slot]
    elif protection != NONE:
        worst = side_ticks(book, tape, row, instrument, sign) + sign * protection
    if sign < 0 and not book["i_negative_price"][instrument]:
        return max(worst, 1)
    return worst


@njit
def available_to(book: Book, tape: TapeRows, row: int, slot: int, worst: int) -> int:
    """Lots that the order could take now, up to its own size: what fill-or-kill is judged on.

    Nothing when it may not take all of it: reduce-only, or because it would meet an own order.
    """
    instrument, sign = book["o_instrument"][slot], book["o_sign"][slot]
    shown = side_lots(book, tape, row, instrument, sign)
    best = side_ticks(book, tape, row, instrument, sign)
    want = book["o_live"][slot]
    if shown <= 0 or fillable_lots(book, slot, want) < want:
        return 0
    gone = printed_since_quote(book, tape, row, instrument, sign)
    at_best, beyond = taken_lots(book, tape, row, instrument, sign)
    first = max(0, shown - gone - at_best)
    levels = MAX_WALK_LEVELS
    if abs(worst) != NO_LIMIT:
        levels = min(levels, (worst - best) * sign + 1)
    levels = levels_before_own(book, slot, best, levels, first, shown, beyond)
    if levels <= 0:
        return 0
    if book["beyond_top"] == INFINITE:
        return want
    if book["beyond_top"] == WAIT:
        return min(want, first)
    return min(want, lots_within(levels, first, shown, beyond))


@njit
def take(book: Book, tape: TapeRows, events: EventRows, row: int, slot: int) -> None:
    """Walk the book from the touch out, one fill a level, as far as the order's limit allows."""
    instrument, sign = book["o_instrument"][slot], book["o_sign"][slot]
    order_id = book["o_order_id"][slot]
    shown = side_lots(book, tape, row, instrument, sign)
    if shown <= 0:
        return
    best = side_ticks(book, tape, row, instrument, sign)
    worst = limit_of_walk(book, tape, row, slot)
    gone = printed_since_quote(book, tape, row, instrument, sign)
    at_best, beyond = taken_lots(book, tape, row, instrument, sign)
    mode = book["beyond_top"]
    for level in range(MAX_WALK_LEVELS):
        price = best + sign * level
        if (worst - price) * sign < 0 or (mode != LADDER and level > 0):
            return
        if book["o_live"][slot] <= 0:
            return
        if not prevent_self_trade(book, events, slot, price):
            return
        used = gone + at_best
        if level > 0:
            used = min(beyond, shown)
            beyond -= used
        want = book["o_live"][slot]
        offered = want if mode == INFINITE else min(want, shown - used)
        if offered <= 0:
            continue
        done = fill(book, events, slot, offered, price, TAKER)
        if mode != INFINITE:
            add_taken(book, instrument, sign, level, done)
        if done < offered or book["o_order_id"][slot] != order_id:
            return


@njit
def rest_of_order(book: Book, tape: TapeRows, events: EventRows, row: int, slot: int) -> None:
    """What becomes of the part that found no liquidity now.

    IOC: cancelled. A market order under protection: a limit at the protection price. Another market
    order waits for the next row. A limit joins the book.
    """
    if book["o_live"][slot] <= 0:
        return
    if book["o_time_in_force"][slot] == IOC:
        cancel_order(book, events, slot, IOC_REST)
        return
    if not is_market_now(book, slot):
        join_book(book, tape, events, row, slot)
        return
    shown = side_lots(book, tape, row, book["o_instrument"][slot], book["o_sign"][slot])
    if book["o_protection"][slot] != NONE and shown > 0:
        become_protection_limit(book, tape, events, row, slot)
        return
    book["o_waiting"][slot] = 1
    book["interest_stale"] = 1


@njit
def become_protection_limit(
    book: Book, tape: TapeRows, events: EventRows, row: int, slot: int
) -> None:
    """The rest of a protected market order works on as a limit at the protection price."""
    book["o_limit"][slot] = limit_of_walk(book, tape, row, slot)
    book["o_type"][slot] = LIMIT
    book["o_protection"][slot] = NONE
    book["o_waiting"][slot] = 0
    if book["o_time_in_force"][slot] == TIF_NONE:
        book["o_time_in_force"][slot] = GTC
    publish_replaced(book, events, slot, PROTECTION_LIMIT)
    join_book(book, tape, events, row, slot)


@njit
def join_book(book: Book, tape: TapeRows, events: EventRows, row: int, slot: int) -> None:
    """The rest becomes a maker, unless it would cross an own maker inside the tape's spread."""
    if prevent_self_trade(book, events, slot, book["o_limit"][slot]):
        if book["o_live"][slot] > 0 and not book["o_activate"][slot]:
            join(book, tape, row, slot)


@njit
def take_and_rest(book: Book, tape: TapeRows, events: EventRows, row: int, slot: int) -> None:
    """An aggressor arrives or goes on: it takes what it can, and the rest finds its place."""
    order_id = book["o_order_id"][slot]
    take(book, tape, events, row, slot)
    if book["o_order_id"][slot] == order_id and not book["o_activate"][slot]:
        rest_of_order(book, tape, events, row, slot)
