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
    ZERO,
    Book,
    EventRows,
    holding_at,
    i8,
    njit,
)
from sim.filling import fill
from sim.foreign import NO_LIMIT, best_foreign, fillable_lots, sure_foreign_lots
from sim.groups import SELF_TRADE, cancel_order
from sim.path import maker_ticks
from sim.publish import publish_replaced
from sim.queue import join, shorten_queues, tape_lots_ahead
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
ONE = i8(1)


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
def is_own_maker(book: Book, slot: int, maker: int) -> bool:
    """True for a resting order of the same account on the other side."""
    return bool(
        book["o_resting"][maker]
        and holding_at(book, maker) == holding_at(book, slot)
        and book["o_sign"][maker] == -book["o_sign"][slot]
    )


@njit
def own_resting_at(book: Book, slot: int, price: int) -> int:
    """The first own maker that the order in `slot` would meet at `price` or better."""
    sign = book["o_sign"][slot]
    for index in range(book["active_count"]):
        maker = book["active"][index]
        if is_own_maker(book, slot, maker) and (price - book["o_limit"][maker]) * sign >= 0:
            return maker
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
def tape_lots(book: Book, levels: int, first: int, shown: int, beyond: int) -> int:
    """Lots of the tape's first `levels`: `first` at the touch, and what `beyond_top` says behind.

    A ladder shows `shown` at each further level, of all of which `beyond` are gone.
    """
    if levels <= 0:
        return ZERO
    if book["beyond_top"] == INFINITE:
        return NO_LIMIT
    if book["beyond_top"] == WAIT:
        return first
    return first + max(0, (levels - 1) * shown - beyond)


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
        maker = own_resting_at(book, slot, price)
        if maker == NO_SLOT:
            return True
        if book["o_entitled"][maker] > 0:
            fill_entitled(book, events, maker)
            if book["o_order_id"][slot] != order_id:
                return False
            continue
        position = book["p_position"][holding_at(book, slot)]
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
    elif protection != NONE and side_lots(book, tape, row, instrument, sign) > 0:
        worst = side_ticks(book, tape, row, instrument, sign) + sign * protection
    if sign < 0 and not book["i_negative_price"][instrument]:
        return max(worst, 1)
    return worst


@njit
def available_to(book: Book, tape: TapeRows, row: int, slot: int, worst: int) -> int:
    """Lots that the order could take now, up to its own size: what fill-or-kill is judged on.

    Nothing when it may not take all of it: reduce-only. Where it would meet an own maker that ends
    it, only what is strictly better counts; what it has filled by then decides which of the two
    reduces exposure.
    """
    instrument, sign, want = book["o_instrument"][slot], book["o_sign"][slot], book["o_live"][slot]
    if fillable_lots(book, slot, want) < want:
        return ZERO
    shown = side_lots(book, tape, row, instrument, sign)
    best = side_ticks(book, tape, row, instrument, sign)
    first, beyond, levels = ZERO, ZERO, ZERO
    if shown > 0:
        gone = printed_since_quote(book, tape, row, instrument, sign)
        at_best, beyond = taken_lots(book, tape, row, instrument, sign)
        first = max(0, shown - gone - at_best)
        levels = MAX_WALK_LEVELS
    end = worst + sign
    for index in range(book["active_count"]):
        maker = book["active"][index]
        if not is_own_maker(book, slot, maker) or (book["o_limit"][maker] - end) * sign >= 0:
            continue
        met = book["o_limit"][maker]
        before = min(levels, max(0, (met - best) * sign))
        lots = tape_lots(book, before, first, shown, beyond)
        lots = min(lots, want) + sure_foreign_lots(book, slot, met)
        position = book["p_position"][holding_at(book, slot)] + sign * lots
        if lots < want and not survivors(book, slot, maker, position)[0]:
            end = met
    levels = min(levels, max(0, (end - best) * sign))
    lots = tape_lots(book, levels, first, shown, beyond)
    return min(want, min(lots, want) + sure_foreign_lots(book, slot, end))


@njit
def take(book: Book, tape: TapeRows, events: EventRows, row: int, slot: int) -> None:
    """Walk from the best price out as far as the order's limit allows.

    The next price is the tape's next level or that of another account's maker.
    """
    instrument, sign = book["o_instrument"][slot], book["o_sign"][slot]
    order_id, account = book["o_order_id"][slot], book["o_account"][slot]
    shown = side_lots(book, tape, row, instrument, sign)
    best = side_ticks(book, tape, row, instrument, sign)
    worst = limit_of_walk(book, tape, row, slot)
    gone = printed_since_quote(book, tape, row, instrument, sign)
    at_best, beyond, levels = ZERO, ZERO, ZERO
    if shown > 0:
        at_best, beyond = taken_lots(book, tape, row, instrument, sign)
        levels = MAX_WALK_LEVELS if book["beyond_top"] == LADDER else ONE
    level = ZERO
    while book["o_order_id"][slot] == order_id and book["o_live"][slot] > 0:
        price, there = best + sign * level, ZERO
        is_level = level < levels and (worst - price) * sign >= 0
        maker = best_foreign(book, account, instrument, sign, worst)
        if maker != NO_SLOT and (not is_level or (price - book["o_limit"][maker]) * sign > 0):
            price, is_level = book["o_limit"][maker], False
        elif not is_level:
            return
        if not prevent_self_trade(book, events, slot, price):
            return
        if is_level:
            used = gone + at_best
            if level > 0:
                used = min(beyond, shown)
                beyond -= used
            there = NO_LIMIT if book["beyond_top"] == INFINITE else shown - used
        if not take_at(book, events, slot, price, level, there):
            return
        if is_level:
            level += 1


@njit
def take_at(book: Book, events: EventRows, slot: int, price: int, level: int, there: int) -> bool:
    """Take at one price: the tape's lots ahead of each foreign maker, it, then the tape's rest.

    `there` are the tape's lots at its `level`. False when the order is not to go on.
    """
    order_id, account = book["o_order_id"][slot], book["o_account"][slot]
    instrument, sign = book["o_instrument"][slot], book["o_sign"][slot]
    while True:
        maker = best_foreign(book, account, instrument, sign, price)
        if maker != NO_SLOT and book["o_entitled"][maker] > 0:
            fill_entitled(book, events, maker)
            continue
        ahead = there if maker == NO_SLOT else tape_lots_ahead(book, maker, max(0, there))
        offered = min(book["o_live"][slot], ahead)
        if offered > 0:
            done = take_from_tape(book, events, slot, price, level, offered)
            there -= done
            if done < offered or book["o_order_id"][slot] != order_id or book["o_live"][slot] <= 0:
                return False
        if maker == NO_SLOT:
            return True
        if match(book, events, slot, maker) <= 0:
            return False
        if book["o_order_id"][slot] != order_id or book["o_live"][slot] <= 0:
            return False


@njit
def take_from_tape(
    book: Book, events: EventRows, slot: int, price: int, level: int, lots: int
) -> int:
    """One fill against what the tape shows, or is said to have; returns the lots done."""
    instrument, sign = book["o_instrument"][slot], book["o_sign"][slot]
    done = fill(book, events, slot, lots, price, TAKER)
    if book["beyond_top"] != INFINITE:
        add_taken(book, instrument, sign, level, done)
    if book["account_count"] > 1:
        shorten_queues(book, instrument, -sign, price, done)
    return done


@njit
def match(book: Book, events: EventRows, slot: int, maker: int) -> int:
    """Two accounts trade at the maker's price: as much as both may of the maker's old place."""
    price = book["o_limit"][maker]
    lots = min(book["o_live"][slot], min(book["o_live"][maker], book["o_front"][maker]))
    lots = min(fillable_lots(book, slot, lots), fillable_lots(book, maker, lots))
    if lots <= 0:
        return ZERO
    fill(book, events, slot, lots, price, TAKER)
    ambiguous = book["ambiguous"]
    book["ambiguous"] = 0
    fill(book, events, maker, lots, price, MAKER)
    book["ambiguous"] = ambiguous
    return lots


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
