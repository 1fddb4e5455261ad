"""The queue ahead of a resting order: how it begins, what it loses, and what a print gives us.

The tape shows sizes, not places, so the place is estimated by a model (docs/fills.md, "Queue").
Counts are in 1/1024 lots. An order that grew has two parts: `front` lots at the old place with
`queue` ahead, and the rest with `queue_behind` ahead.
"""

from __future__ import annotations

from math import sqrt

from data.index import TapeRows
from sim.book import (
    BACK,
    DISPLAYED,
    FIRST_FILL_OVERFLOW,
    FRONT,
    NEVER,
    NONE,
    PROPORTIONAL,
    QUEUE_UNIT,
    Book,
    njit,
)
from sim.rules import printed_since_quote, side_ticks
from sim.search import last_row_showing

INFINITE_QUEUE = NEVER // 4
UNKNOWN_QUEUE = -1
JOIN_REST, JOIN_ALL = 2, 3
"""Marks (`o_activate`) of an order that grew: the new part joins at the transaction's end."""


@njit
def touch_ticks(tape: TapeRows, row: int, sign: int) -> int:
    """Best price of the side that an order of `sign` rests on."""
    return tape.bid[row] if sign > 0 else tape.ask[row]


@njit
def touch_lots(tape: TapeRows, row: int, sign: int) -> int:
    """Size at the best price of the side that an order of `sign` rests on; 0 when it is empty."""
    return tape.bid_qty[row] if sign > 0 else tape.ask_qty[row]


@njit
def last_shown_lots(tape: TapeRows, row: int, first_row: int, sign: int, price: int) -> int:
    """The size last shown at `price` on our side in rows `first_row`..`row`; -1 if it never was."""
    found = last_row_showing(tape, row, first_row, sign, price)
    return touch_lots(tape, found, sign) if found >= first_row else -1


@njit
def shown_lots(book: Book, tape: TapeRows, row: int, instrument: int, sign: int, price: int) -> int:
    """Size shown at `price` if it is the touch that an order of `sign` rests on, else -1.

    Less prints that are not in it yet; a touch that a print has proved gone is none.
    """
    if touch_ticks(tape, row, sign) != price:
        return -1
    if side_ticks(book, tape, row, instrument, -sign) != price:
        return -1
    printed = printed_since_quote(book, tape, row, instrument, -sign)
    return max(0, touch_lots(tape, row, sign) - printed)


@njit
def queue_on_joining(
    book: Book, tape: TapeRows, row: int, instrument: int, sign: int, price: int
) -> int:
    """What is ahead of an order that joins at `price` now; UNKNOWN_QUEUE where nothing tells.

    At the touch: the size shown. Better than the touch: nothing. Behind it: the size last shown at
    that price in this run, if any was.
    """
    model = book["queue_model"]
    if model == FRONT:
        return 0
    if model == BACK:
        return INFINITE_QUEUE
    first = book["i_known_from"][instrument]
    if row < first:
        return UNKNOWN_QUEUE
    at = book["bar_at"]
    if at != NONE and (price - at) * sign >= 0:
        # On the path of a bar the touch is where the price stands while the order joins.
        return touch_lots(tape, row, sign) * QUEUE_UNIT if price == at else 0
    if touch_lots(tape, row, sign) > 0:
        lots = shown_lots(book, tape, row, instrument, sign, price)
        if book["bar_at"] != NONE:  # the price of a bar stands there, with the row's size
            lots = touch_lots(tape, row, sign) if price == book["bar_at"] else UNKNOWN_QUEUE
        if lots != UNKNOWN_QUEUE:
            return lots * QUEUE_UNIT
        if (price - side_ticks(book, tape, row, instrument, -sign)) * sign > 0:
            return 0
    shown = last_shown_lots(tape, row, first, sign, price)
    return UNKNOWN_QUEUE if shown < 0 else shown * QUEUE_UNIT


@njit
def join(book: Book, tape: TapeRows, row: int, slot: int) -> None:
    """The order becomes a maker at its limit, all of it behind what is there."""
    instrument, sign = book["o_instrument"][slot], book["o_sign"][slot]
    queue = queue_on_joining(book, tape, row, instrument, sign, book["o_limit"][slot])
    book["o_resting"][slot] = 1
    book["o_queue_known"][slot] = 0 if queue == UNKNOWN_QUEUE else 1
    book["o_queue"][slot] = 0 if queue == UNKNOWN_QUEUE else queue
    book["o_front"][slot] = book["o_live"][slot]
    book["o_queue_behind"][slot] = 0
    book["o_traded_pending"][slot] = 0
    book["o_explained"][slot] = 0
    book["o_explained_behind"][slot] = 0
    book["o_joined"][slot] = row
    book["o_joined_behind"][slot] = row
    book["o_met"][slot] = 0
    book["o_met_behind"][slot] = 0
    book["interest_stale"] = 1


@njit
def join_rest(book: Book, tape: TapeRows, row: int, slot: int) -> None:
    """The order grew: the new part queues behind everything, the old part keeps its place.

    When the old part was used up meanwhile, the new part is all there is (JOIN_ALL).
    """
    instrument, sign = book["o_instrument"][slot], book["o_sign"][slot]
    queue = queue_on_joining(book, tape, row, instrument, sign, book["o_limit"][slot])
    book["interest_stale"] = 1
    if book["o_activate"][slot] == JOIN_ALL:
        book["o_queue"][slot] = max(book["o_queue"][slot], queue)
        book["o_joined"][slot] = row
        book["o_explained"][slot] = 0
    elif book["o_live"][slot] > book["o_front"][slot]:
        behind = max(book["o_queue"][slot], book["o_queue_behind"][slot], queue)
        book["o_queue_behind"][slot] = behind
        book["o_joined_behind"][slot] = row
        book["o_explained_behind"][slot] = 0


@njit
def keep_front(book: Book, slot: int) -> None:
    """After a fill or a shrink: the old place never holds more lots than the order has left.

    When the old place is used up, the rest moves up into its role.
    """
    if not book["o_resting"][slot]:
        return
    live = book["o_live"][slot]
    if book["o_front"][slot] >= live:
        book["o_front"][slot] = live
        book["o_queue_behind"][slot] = 0
    if book["o_front"][slot] <= 0 and live > 0:
        book["o_front"][slot] = live
        behind = book["o_queue_behind"][slot]
        if book["o_activate"][slot] == JOIN_REST:
            # It is to join at the end of the transaction, behind what was ahead of the old part.
            book["o_activate"][slot] = JOIN_ALL
            behind = max(behind, book["o_queue"][slot])
        # What was not known of the old place is not known of the next either.
        book["o_queue"][slot] = behind if book["o_queue_known"][slot] else 0
        book["o_joined"][slot] = book["o_joined_behind"][slot]
        book["o_explained"][slot] = book["o_explained_behind"][slot]
        book["o_met"][slot] = book["o_met_behind"][slot]
        book["o_queue_behind"][slot] = 0


@njit
def overflow_lots(queue: int, print_lots: int, met: int, want: int) -> int:
    """Lots that a print of `print_lots` gives to `want` lots behind `queue`.

    What is over the queue is ours. The queue is an estimate, so the first fill at a place needs an
    overflow of a quarter lot and is rounded to whole lots, at least one.
    """
    over = print_lots * QUEUE_UNIT - queue
    if over <= 0:
        return 0
    if met:
        return min(want, print_lots, over // QUEUE_UNIT)
    if over < FIRST_FILL_OVERFLOW:
        return 0
    return min(want, print_lots, max(1, (over + QUEUE_UNIT // 2) // QUEUE_UNIT))


@njit
def meet_print(book: Book, slot: int, print_lots: int, unclaimed: int) -> int:
    """A print at our price: `unclaimed` of its `print_lots` are left by earlier own orders.

    It first eats the queue ahead; what is over fills us. Returns our lots. While the depth at our
    price is unknown the print eats an unknown queue: no fill, nothing resolved.
    """
    book["o_explained"][slot] += print_lots
    book["o_explained_behind"][slot] += print_lots
    if not book["o_queue_known"][slot]:
        book["o_traded_pending"][slot] += print_lots
        return 0
    queue = book["o_queue"][slot]
    front = book["o_front"][slot]
    ours = overflow_lots(queue, unclaimed, book["o_met"][slot], front)
    book["o_queue"][slot] = max(0, queue - unclaimed * QUEUE_UNIT)
    rest = book["o_live"][slot] - front
    if rest > 0:
        left = unclaimed - ours
        behind = book["o_queue_behind"][slot]
        book["o_queue_behind"][slot] = max(0, behind - left * QUEUE_UNIT)
        if ours == front:
            ours += overflow_lots(behind, left, book["o_met_behind"][slot], rest)
    return ours


@njit
def clear_queue(book: Book, slot: int) -> None:
    """Everything that was ahead of us is known to be gone."""
    if book["queue_model"] == BACK:
        return
    book["o_queue"][slot] = 0
    book["o_queue_behind"][slot] = 0
    book["o_queue_known"][slot] = 1


@njit
def tape_lots_ahead(book: Book, slot: int, there: int) -> int:
    """Of `there` lots that the tape has at a maker's price: those that are served before it.

    All of them while its place is not known.
    """
    if not book["o_queue_known"][slot]:
        return there
    return min(there, (book["o_queue"][slot] + QUEUE_UNIT - 1) // QUEUE_UNIT)


@njit
def shorten_queues(book: Book, instrument: int, sign: int, price: int, lots: int) -> None:
    """An order of some account took `lots` of the tape at `price`, from the side `sign` rests on.

    They stood ahead of every maker there.
    """
    gone = lots * QUEUE_UNIT
    for index in range(book["active_count"]):
        slot = book["active"][index]
        if not book["o_resting"][slot] or book["o_instrument"][slot] != instrument:
            continue
        if book["o_sign"][slot] != sign or book["o_limit"][slot] != price:
            continue
        if book["o_queue_known"][slot] and book["queue_model"] != BACK:
            book["o_queue"][slot] = max(0, book["o_queue"][slot] - gone)
            book["o_queue_behind"][slot] = max(0, book["o_queue_behind"][slot] - gone)


@njit
def power(book: Book, value: float) -> float:
    """`value` to the model's power n of 1, 1.5 or 2, by products and the square root only."""
    halves = book["queue_power_halves"]
    if halves == 2:
        return value
    if halves == 4:
        return value * value
    return value * sqrt(value)


@njit
def cancelled_ahead(book: Book, queue: int, level: int, shrink: int) -> int:
    """The share of cancels of size `shrink` in a level of `level` that stood ahead of us."""
    front = float(queue)
    back = float(max(0, level - queue))
    ahead = power(book, front)
    return min(queue, int(float(shrink) * (ahead / (ahead + power(book, back)))))


@njit
def tracks_queue(book: Book, slot: int) -> bool:
    """True while the sizes at the order's price can still change its estimated place."""
    model = book["queue_model"]
    if not book["o_resting"][slot] or model not in (PROPORTIONAL, DISPLAYED):
        return False
    if not book["o_queue_known"][slot]:
        return True
    return book["o_queue"][slot] > 0 or book["o_queue_behind"][slot] > 0


@njit
def ends_packet(tape: TapeRows, row: int) -> bool:
    """True for the last row of its timestamp: only its book is what the packet left behind.

    A sweep is several prints of one time, each with the book from after the last; judged by that
    book the first print would empty levels that a later print is still to trade at.
    """
    return row + 1 >= len(tape.ts) or tape.ts[row + 1] != tape.ts[row]


@njit
def row_before_packet(tape: TapeRows, row: int) -> int:
    """The last row of the time before this row's, -1 at the tape's beginning."""
    earlier = row - 1
    while earlier >= 0 and tape.ts[earlier] == tape.ts[row]:
        earlier -= 1
    return earlier


@njit
def joined_unknown(book: Book, slot: int) -> bool:
    """True for a maker that has not seen a packet since a reopening, and so has nothing to compare.

    The first packet then is what it compares the next with.
    """
    return book["o_joined"][slot] < book["i_known_from"][book["o_instrument"][slot]]


@njit
def observe_touch(book: Book, tape: TapeRows, row: int, slot: int) -> None:
    """The packet's BBO puts its caps on the order's queue: prints come first, then the quote.

    A touch beyond our price: all ahead of us is gone. Our price is the touch: an unknown depth
    becomes known; size that left without a print was cancelled, partly ahead of us; and no more can
    be ahead than is shown. An empty side tells nothing.
    """
    if not ends_packet(tape, row):
        return
    if joined_unknown(book, slot):
        book["o_joined"][slot] = row
        book["o_joined_behind"][slot] = max(row, book["o_joined_behind"][slot])
        book["interest_stale"] = 1
    if tracks_queue(book, slot) and touch_lots(tape, row, book["o_sign"][slot]) > 0:
        price, sign = book["o_limit"][slot], book["o_sign"][slot]
        instrument = book["o_instrument"][slot]
        shown = shown_lots(book, tape, row, instrument, sign, price)
        if shown >= 0:
            observe_level(book, tape, row, slot, shown)
        elif (price - side_ticks(book, tape, row, instrument, -sign)) * sign > 0:
            clear_queue(book, slot)
    book["o_explained"][slot] = 0
    book["o_explained_behind"][slot] = 0


@njit
def observe_level(book: Book, tape: TapeRows, row: int, slot: int, shown: int) -> None:
    """Our price is the touch: what it shows now against what it showed before this packet."""
    if not book["o_queue_known"][slot]:
        traded = book["o_traded_pending"][slot]
        half = (shown + traded) * QUEUE_UNIT // 2
        book["o_queue"][slot] = max(0, half - traded * QUEUE_UNIT)
        if book["o_live"][slot] > book["o_front"][slot]:
            behind = max(book["o_queue_behind"][slot], book["o_queue"][slot])
            book["o_queue_behind"][slot] = behind
        book["o_queue_known"][slot] = 1
    elif book["queue_model"] == PROPORTIONAL:
        lost = lost_to_cancels(
            book, tape, row, slot, shown, book["o_queue"][slot],
            book["o_joined"][slot], book["o_explained"][slot],
        )  # fmt: skip
        book["o_queue"][slot] -= lost
        lost = lost_to_cancels(
            book, tape, row, slot, shown, book["o_queue_behind"][slot],
            book["o_joined_behind"][slot], book["o_explained_behind"][slot],
        )  # fmt: skip
        book["o_queue_behind"][slot] -= lost
    shown_units = shown * QUEUE_UNIT
    book["o_queue"][slot] = min(book["o_queue"][slot], shown_units)
    book["o_queue_behind"][slot] = min(book["o_queue_behind"][slot], shown_units)


@njit
def lost_to_cancels(
    book: Book,
    tape: TapeRows,
    row: int,
    slot: int,
    shown: int,
    queue: int,
    joined: int,
    explained: int,
) -> int:
    """What cancels of this packet took from the `queue` of a part that joined at row `joined`.

    They are what the level showed before (the packet, or the joining if that was in it), less the
    prints since, less what it shows now.
    """
    if queue <= 0:
        return 0
    sign, instrument = book["o_sign"][slot], book["o_instrument"][slot]
    earlier = max(row_before_packet(tape, row), joined)
    level = shown_lots(book, tape, earlier, instrument, sign, book["o_limit"][slot]) - explained
    if level <= shown:
        return 0
    return cancelled_ahead(book, queue, level * QUEUE_UNIT, (level - shown) * QUEUE_UNIT)
