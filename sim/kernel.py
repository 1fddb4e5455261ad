"""The loop over rows: control flow only. Rules: `rules.py`; effects: `filling.py`, `taking.py`.

A row of the tape carries the whole top of book, so the kernel may enter anywhere. `next_row` finds
the next row that concerns someone; `apply_row` processes it; `run_until` repeats both and returns
at the first row that published something. A run that visits every row gives the same events.
"""

from __future__ import annotations

from broker_api.event import Reason
from data.index import TapeRows
from data.schema import IntColumn
from sim.account import is_held, set_margin_wakes
from sim.arrival import run_activations, trigger
from sim.book import (
    BELOW_ALL,
    BUY,
    MAKER,
    NEVER,
    NO_SLOT,
    NONE,
    PENDING,
    ROW_MARK,
    ROW_OPEN,
    ROW_TRADE,
    SELL,
    SOURCE_BID_ASK,
    SOURCE_LAST,
    TRAILING_STOP,
    ZERO,
    Book,
    EventRows,
    holding_of,
    i8,
    njit,
)
from sim.filling import fill
from sim.path import MOVE, enter_bar_row, leave_bar_row, maker_ticks, reached_ticks
from sim.queue import clear_queue, joined_unknown, meet_print, observe_touch, tracks_queue
from sim.rules import (
    has_trigger,
    is_struck,
    row_source_ticks,
    side_lots,
    side_ticks,
    trigger_way,
)
from sim.search import next_hit
from sim.status import apply_status
from sim.taking import add_taken, take_and_rest, touch_available
from sim.trailing import follow_source

MARKET_CLOSED, MARKET_HALTED = i8(Reason.MARKET_CLOSED), i8(Reason.MARKET_HALTED)


@njit
def refresh_interest(book: Book) -> None:
    """Recompute, for every instrument, the prices at which a row concerns someone."""
    for instrument in range(book["instrument_count"]):
        book["i_bid_le"][instrument] = BELOW_ALL
        book["i_ask_le"][instrument] = BELOW_ALL
        book["i_last_le"][instrument] = BELOW_ALL
        book["i_bid_ge"][instrument] = NEVER
        book["i_ask_ge"][instrument] = NEVER
        book["i_last_ge"][instrument] = NEVER
        book["i_every_row"][instrument] = 0
        book["i_triggers"][instrument] = 0
    book["next_expiry"] = NEVER
    for account in range(book["account_count"]):
        set_margin_wakes(book, account)
        for instrument in range(book["instrument_count"]):
            holding = holding_of(account, instrument)
            bid_le, ask_ge = book["p_margin_bid_le"][holding], book["p_margin_ask_ge"][holding]
            book["i_bid_le"][instrument] = max(book["i_bid_le"][instrument], bid_le)
            book["i_ask_ge"][instrument] = min(book["i_ask_ge"][instrument], ask_ge)
    for index in range(book["active_count"]):
        slot = book["active"][index]
        book["next_expiry"] = min(book["next_expiry"], book["o_expires"][slot])
        if book["o_activate"][slot]:
            # Marked while nothing traded: it acts at the first row after the reopening.
            book["i_every_row"][book["o_instrument"][slot]] = 1
        if book["o_status"][slot] == PENDING or book["o_live"][slot] <= 0:
            continue
        if book["o_resting"][slot]:
            want_resting(book, slot)
        elif book["o_waiting"][slot]:
            book["i_every_row"][book["o_instrument"][slot]] = 1
        elif has_trigger(book["o_type"][slot]) and not book["o_triggered"][slot]:
            want_trigger(book, slot)
    book["interest_stale"] = 0


@njit
def want_resting(book: Book, slot: int) -> None:
    """A maker is concerned by crossings, by prints at its price or through, and by its touch."""
    instrument, price = book["o_instrument"][slot], book["o_limit"][slot]
    if tracks_queue(book, slot) and joined_unknown(book, slot):
        book["i_every_row"][instrument] = 1
    if book["o_sign"][slot] > 0:
        book["i_ask_le"][instrument] = max(book["i_ask_le"][instrument], price)
        book["i_last_le"][instrument] = max(book["i_last_le"][instrument], price)
        if tracks_queue(book, slot):
            book["i_bid_le"][instrument] = max(book["i_bid_le"][instrument], price)
    else:
        book["i_bid_ge"][instrument] = min(book["i_bid_ge"][instrument], price)
        book["i_last_ge"][instrument] = min(book["i_last_ge"][instrument], price)
        if tracks_queue(book, slot):
            book["i_ask_ge"][instrument] = min(book["i_ask_ge"][instrument], price)


@njit
def want_trigger(book: Book, slot: int) -> None:
    """An order with a trigger is concerned by its trigger source only.

    A trailing stop also by a better price than its best, and before it has one by its activation.
    """
    sign, kind = book["o_sign"][slot], book["o_type"][slot]
    book["i_triggers"][book["o_instrument"][slot]] += 1
    if kind == TRAILING_STOP:
        if book["o_best"][slot] == NONE:
            want_source(book, slot, -sign, book["o_activation"][slot])
            return
        want_source(book, slot, -sign, book["o_best"][slot] - sign)
    want_source(book, slot, trigger_way(kind, sign), book["o_stop"][slot])


@njit
def want_source(book: Book, slot: int, way: int, price: int) -> None:
    """Rows whose source is at `price` or beyond it on that way; mark rows are always visited."""
    instrument = book["o_instrument"][slot]
    source = book["i_trigger_source"][instrument]
    if source == SOURCE_LAST:
        if way > 0:
            book["i_last_ge"][instrument] = min(book["i_last_ge"][instrument], price)
        else:
            book["i_last_le"][instrument] = max(book["i_last_le"][instrument], price)
    elif source == SOURCE_BID_ASK and book["o_sign"][slot] > 0:
        if way > 0:
            book["i_ask_ge"][instrument] = min(book["i_ask_ge"][instrument], price)
        else:
            book["i_ask_le"][instrument] = max(book["i_ask_le"][instrument], price)
    elif source == SOURCE_BID_ASK:
        if way > 0:
            book["i_bid_ge"][instrument] = min(book["i_bid_ge"][instrument], price)
        else:
            book["i_bid_le"][instrument] = max(book["i_bid_le"][instrument], price)


@njit
def next_row(book: Book, tape: TapeRows, instrument: int, start: int, end: int) -> int:
    """The first row in start..end that concerns someone; end + 1 when none does."""
    if book["visit_every_row"] or book["i_every_row"][instrument]:
        return start
    bid_le, ask_le = book["i_bid_le"][instrument], book["i_ask_le"][instrument]
    bid_ge, ask_ge = book["i_bid_ge"][instrument], book["i_ask_ge"][instrument]
    last_le, last_ge = book["i_last_le"][instrument], book["i_last_ge"][instrument]
    if book["i_halted"][instrument] and not is_held(book, instrument):
        # In a halt only what a position is worth can matter: to the margin, at another's next row.
        bid_le, ask_le, last_le = BELOW_ALL, BELOW_ALL, BELOW_ALL
        bid_ge, ask_ge, last_ge = NEVER, NEVER, NEVER
    return next_hit(tape, start, end, bid_le, bid_ge, ask_le, ask_ge, last_le, last_ge)


@njit
def move_cursor(book: Book, tape: TapeRows, instrument: int, row: int) -> None:
    """The row's state is in force; positions are valued at the newest sizes that were not empty."""
    before = book["i_cursor"][instrument]
    book["i_cursor"][instrument] = row
    if book["i_halted"][instrument] and is_held(book, instrument):
        book["interest_stale"] = 1  # its value moves unseen: the others' next row has to look
    at = row
    while at > before and tape.bid_qty[at] <= 0:
        at -= 1
    if at > before:
        book["i_value_bid"][instrument] = tape.bid[at]
    at = row
    while at > before and tape.ask_qty[at] <= 0:
        at -= 1
    if at > before:
        book["i_value_ask"][instrument] = tape.ask[at]


@njit
def run_until(book: Book, tape: TapeRows, events: EventRows, instrument: int, end: int) -> int:
    """Process the rows of interest up to row `end`; stop behind the first that published something.

    Also stops where margin must be looked at (`margin_wake`). Returns the row in force.
    """
    while True:
        if book["interest_stale"]:
            refresh_interest(book)
        row = next_row(book, tape, instrument, book["i_cursor"][instrument] + 1, end)
        if row > end:
            if end > book["i_cursor"][instrument]:
                move_cursor(book, tape, instrument, end)
            return end
        apply_row(book, tape, events, instrument, row)
        if book["event_count"] > 0 or book["margin_wake"]:
            return row


@njit
def apply_row(book: Book, tape: TapeRows, events: EventRows, instrument: int, row: int) -> None:
    """One row, in the order of docs/fills.md: prints meet queues, stops, fills, crossings, caps."""
    book["ts"] = tape.ts[row]
    move_cursor(book, tape, instrument, row)
    kind = tape.kind[row]
    if kind >= ROW_OPEN:
        apply_status(book, tape, events, instrument, row)
    if book["i_halted"][instrument] or row < book["i_known_from"][instrument]:
        return
    is_bar = book["i_bar"][instrument] != 0
    if is_bar:
        enter_bar_row(book, tape, instrument, row)
    printed = ZERO
    if kind == ROW_TRADE:
        printed = share_print(book, tape, instrument, row)
    trigger_stops(book, tape, events, instrument, row)
    fill_printed(book, events, printed)
    if kind <= ROW_TRADE:
        serve_waiting(book, tape, events, instrument, row)
        fill_crossed(book, tape, events, instrument, row, BUY)
        fill_crossed(book, tape, events, instrument, row, SELL)
    run_activations(book, tape, events, row, instrument)
    if is_bar:
        end_bar_row(book, tape, events, instrument, row)
    for index in range(book["active_count"]):
        slot = book["active"][index]
        if book["o_resting"][slot] and book["o_instrument"][slot] == instrument:
            known = book["o_queue_known"][slot]
            observe_touch(book, tape, row, slot)
            if known != book["o_queue_known"][slot] or not tracks_queue(book, slot):
                book["interest_stale"] = 1
    wake_margin(book, tape, instrument, row)


@njit
def end_bar_row(book: Book, tape: TapeRows, events: EventRows, instrument: int, row: int) -> None:
    """On the path of a bar an exit that the row brought to life may be crossed by its rest."""
    if book["bar_step"] == MOVE:
        fill_crossed(book, tape, events, instrument, row, BUY)
        fill_crossed(book, tape, events, instrument, row, SELL)
        run_activations(book, tape, events, row, instrument)
    leave_bar_row(book)


@njit
def wake_margin(book: Book, tape: TapeRows, instrument: int, row: int) -> None:
    """Ask for a look at the margin when the row passed a price where it could have become short.

    `margin_wake` is then the instrument's number plus one: who has no position there is not looked
    at, so that nobody's liquidation depends on what others hold.
    """
    if not book["margin_on"] or book["margin_wake"]:
        return
    for account in range(book["account_count"]):
        holding = holding_of(account, instrument)
        if book["p_position"][holding] != 0 and (
            book["interest_stale"]  # a fill moved equity, the thresholds are from before it
            or tape.kind[row] >= ROW_MARK
            or tape.bid[row] <= book["p_margin_bid_le"][holding]
            or tape.ask[row] >= book["p_margin_ask_ge"][holding]
        ):
            book["margin_wake"] = instrument + 1


@njit
def insert_best_first(book: Book, into: IntColumn, count: int, slot: int) -> int:
    """Insert a maker into a list kept best price first, then by time priority."""
    at = count
    while at > 0:
        other = into[at - 1]
        better = (book["o_limit"][slot] - book["o_limit"][other]) * book["o_sign"][slot]
        if better < 0 or (better == 0 and book["o_priority"][slot] > book["o_priority"][other]):
            break
        into[at] = other
        at -= 1
    into[at] = slot
    return count + 1


@njit
def share_print(book: Book, tape: TapeRows, instrument: int, row: int) -> int:
    """The print meets the own makers at its price or better, best price first; returns how many.

    What it gives each is kept in `o_entitled` until the row's stops have been served: the stop leg
    wins over the target that the same row reaches. The sum never exceeds the print.
    """
    price, lots, aggressor = tape.px[row], tape.qty[row], tape.side[row]
    if not book["interest_stale"] and (
        book["i_last_le"][instrument] < price < book["i_last_ge"][instrument]
    ):
        return ZERO
    listed = ZERO
    for sign in (1, -1):
        start = listed
        into = book["printed"][start:]
        count = ZERO
        for index in range(book["active_count"]):
            slot = book["active"][index]
            if not book["o_resting"][slot] or book["o_instrument"][slot] != instrument:
                continue
            if book["o_sign"][slot] != sign or (book["o_limit"][slot] - price) * sign < 0:
                continue
            if book["o_limit"][slot] == price and aggressor * sign > 0:
                continue
            count = insert_best_first(book, into, count, slot)
        left = lots
        for at in range(count):
            left -= give_print(book, into[at], price, lots, left)
        listed += count
    return listed


@njit
def give_print(book: Book, slot: int, price: int, lots: int, left: int) -> int:
    """What a print of `lots`, of which `left` are unclaimed, gives to one maker; remembers it."""
    if book["o_limit"][slot] == price:
        given = meet_print(book, slot, lots, left)
    else:
        # Traded through: our level was met first.
        clear_queue(book, slot)
        given = min(book["o_live"][slot], left)
        if book["trade_through_all"]:
            given = book["o_live"][slot]
    book["o_entitled"][slot] = given
    return min(left, given)


@njit
def fill_printed(book: Book, events: EventRows, count: int) -> None:
    """Execute what the print gave, clipped to what the stops of this row left alive."""
    for at in range(count):
        slot = book["printed"][at]
        given = book["o_entitled"][slot]
        book["o_entitled"][slot] = 0
        if given > 0 and book["o_order_id"][slot] != 0 and book["o_resting"][slot]:
            fill(book, events, slot, given, maker_ticks(book, slot), MAKER)


@njit
def trigger_stops(book: Book, tape: TapeRows, events: EventRows, instrument: int, row: int) -> None:
    """Trailing stops follow the row, then every order whose trigger it reaches acts.

    Stops and touched orders are one list: nearest to the old price first, ties by arrival.
    """
    if not book["interest_stale"] and book["i_triggers"][instrument] == 0:
        return
    count = ZERO
    for index in range(book["active_count"]):
        slot = book["active"][index]
        if book["o_instrument"][slot] != instrument or not is_waiting_stop(book, slot):
            continue
        source = row_source_ticks(book, tape, row, slot)
        if book["o_type"][slot] == TRAILING_STOP:
            follow_source(book, events, slot, source)
        if is_struck(book, slot, source):
            count = insert_nearest_first(book, tape, row, count, slot)
    for at in range(count):
        slot = book["struck"][at]
        if book["o_order_id"][slot] == 0 or not is_waiting_stop(book, slot):
            continue
        if book["o_activate"][slot]:
            continue  # a fill of this row gave it another price: it arrives at that one
        source = row_source_ticks(book, tape, row, slot)
        book["ambiguous"] = target_was_reached(book, tape, row, slot)
        trigger(book, tape, events, row, slot, reached_ticks(book, slot, source))
        book["ambiguous"] = 0


@njit
def is_waiting_stop(book: Book, slot: int) -> bool:
    """True for a live order that waits for its trigger."""
    if book["o_status"][slot] == PENDING or book["o_triggered"][slot]:
        return False
    return has_trigger(book["o_type"][slot]) and book["o_live"][slot] > 0


@njit
def ticks_past(book: Book, tape: TapeRows, row: int, slot: int) -> int:
    """How far the row went past a struck trigger: farther is nearer to the old price."""
    return abs(book["o_stop"][slot] - row_source_ticks(book, tape, row, slot))


@njit
def insert_nearest_first(book: Book, tape: TapeRows, row: int, count: int, slot: int) -> int:
    """Insert a struck stop into the list kept nearest to the old price first, ties by arrival."""
    struck = book["struck"]
    at = count
    while at > 0:
        other = struck[at - 1]
        further = ticks_past(book, tape, row, other) - ticks_past(book, tape, row, slot)
        if further > 0 or (further == 0 and book["o_priority"][slot] > book["o_priority"][other]):
            break
        struck[at] = other
        at -= 1
    struck[at] = slot
    return count + 1


@njit
def target_was_reached(book: Book, tape: TapeRows, row: int, slot: int) -> int:
    """1 when the same row also gives the stop's sibling a fill: which came first?"""
    group = book["o_group"][slot]
    if group == NO_SLOT:
        return 0
    other = book["g_target_leg"][group]
    if other == slot:
        other = book["g_stop_leg"][group]
    if other == NO_SLOT or not book["o_resting"][other]:
        return 0
    if book["o_entitled"][other] > 0:
        return 1
    sign = book["o_sign"][other]
    instrument = book["o_instrument"][other]
    if side_lots(book, tape, row, instrument, sign) <= 0:
        return 0
    touch = side_ticks(book, tape, row, instrument, sign)
    reach = (book["o_limit"][other] - touch) * sign
    return 1 if reach >= 0 else 0


@njit
def serve_waiting(book: Book, tape: TapeRows, events: EventRows, instrument: int, row: int) -> None:
    """Market orders and triggered stops that found no liquidity take the first that comes."""
    if not book["i_every_row"][instrument] and not book["interest_stale"]:
        return
    count = ZERO
    for index in range(book["active_count"]):
        slot = book["active"][index]
        if book["o_waiting"][slot] and book["o_instrument"][slot] == instrument:
            book["struck"][count] = slot
            count += 1
    for at in range(count):
        slot = book["struck"][at]
        if book["o_order_id"][slot] != 0 and book["o_waiting"][slot]:
            book["o_waiting"][slot] = 0
            book["interest_stale"] = 1
            take_and_rest(book, tape, events, row, slot)


@njit
def fill_crossed(
    book: Book, tape: TapeRows, events: EventRows, instrument: int, row: int, sign: int
) -> None:
    """The row's touch crosses own makers of `sign`: they fill at their price, best first.

    Only up to what the touch shows and this run has not taken: ladder levels serve takers only.
    """
    if not book["interest_stale"] and (
        tape.ask[row] > book["i_ask_le"][instrument]
        if sign > 0
        else tape.bid[row] < book["i_bid_ge"][instrument]
    ):
        return
    if side_lots(book, tape, row, instrument, sign) <= 0:
        return
    touch = side_ticks(book, tape, row, instrument, sign)
    crossed = book["crossed"][ZERO:]
    count = ZERO
    for index in range(book["active_count"]):
        slot = book["active"][index]
        if not book["o_resting"][slot] or book["o_instrument"][slot] != instrument:
            continue
        if book["o_sign"][slot] == sign and (book["o_limit"][slot] - touch) * sign >= 0:
            count = insert_best_first(book, crossed, count, slot)
    for at in range(count):
        slot = crossed[at]
        if book["o_order_id"][slot] == 0 or not book["o_resting"][slot]:
            continue
        lots = min(book["o_live"][slot], touch_available(book, tape, row, instrument, sign))
        if lots > 0:
            done = fill(book, events, slot, lots, maker_ticks(book, slot), MAKER)
            add_taken(book, instrument, sign, ZERO, done)
