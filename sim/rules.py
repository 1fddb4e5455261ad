"""The rules of the exchange that decide and change nothing: one small function per rule.

Whether an order is refused, whether a stop is through, what may trade at a row. What then happens
is in `taking.py` (aggressors), `filling.py` (fills and what they cause) and `kernel.py` (rows).
"""

from __future__ import annotations

from broker_api.event import Reason
from data.index import TapeRows
from sim.account import (
    farthest,
    free_margin,
    met_ticks,
    parts_per_million,
    required_margin,
    size_limit,
)
from sim.book import (
    BY_TAPE,
    LIMIT,
    LIMIT_IF_TOUCHED,
    MARKET,
    MARKET_IF_TOUCHED,
    NO_SLOT,
    NONE,
    ROW_QUOTE,
    ROW_TRADE,
    SOURCE_BID_ASK,
    SOURCE_MARK,
    STOP_LIMIT,
    TRAILING_STOP,
    ZERO,
    Book,
    CommandRow,
    Finding,
    account_of,
    holding_of,
    i8,
    instrument_of,
    njit,
)
from sim.foreign import best_foreign
from sim.search import last_trade_row

OK = i8(Reason.NONE)
MARKET_CLOSED, MARKET_HALTED = i8(Reason.MARKET_CLOSED), i8(Reason.MARKET_HALTED)
EXPIRY_IN_THE_PAST = i8(Reason.EXPIRY_IN_THE_PAST)
SIZE_NOT_POSITIVE = i8(Reason.SIZE_NOT_POSITIVE)
SIZE_BELOW_MINIMUM = i8(Reason.SIZE_BELOW_MINIMUM)
SIZE_ABOVE_MAXIMUM = i8(Reason.SIZE_ABOVE_MAXIMUM)
PRICE_MISSING, PRICE_NOT_POSITIVE = i8(Reason.PRICE_MISSING), i8(Reason.PRICE_NOT_POSITIVE)
PRICE_OUTSIDE_BAND = i8(Reason.PRICE_OUTSIDE_BAND)
STOP_WRONG_SIDE, NO_TRIGGER_SOURCE = i8(Reason.STOP_WRONG_SIDE), i8(Reason.NO_TRIGGER_SOURCE)
NO_POSITION_TO_REDUCE = i8(Reason.NO_POSITION_TO_REDUCE)
REDUCE_ONLY_WRONG_SIDE = i8(Reason.REDUCE_ONLY_WRONG_SIDE)
INSUFFICIENT_MARGIN = i8(Reason.INSUFFICIENT_MARGIN)
POST_ONLY_WOULD_TAKE = i8(Reason.POST_ONLY_WOULD_TAKE)
TRAIL_PPM_MAX = i8(999_999)
BRACKET_LEVELS, UNSUPPORTED = i8(Reason.BRACKET_LEVELS), i8(Reason.UNSUPPORTED)


@njit
def shown_ticks(tape: TapeRows, row: int, sign: int) -> int:
    """The touch that the row shows to an aggressor of `sign`: the ask of a buyer."""
    return tape.ask[row] if sign > 0 else tape.bid[row]


@njit
def shown_size(tape: TapeRows, row: int, sign: int) -> int:
    """The size at that touch as the row shows it."""
    return tape.ask_qty[row] if sign > 0 else tape.bid_qty[row]


@njit
def side_ticks(book: Book, tape: TapeRows, row: int, instrument: int, sign: int) -> int:
    """Best price that an aggressor of `sign` would meet: a buyer the ask, a seller the bid.

    On a tape whose trade rows carry the book from before the trade, a print beyond the shown touch
    proves that every level up to it is gone, until the next quote says otherwise. An order that the
    price reaches on the path of a bar meets that very price.
    """
    if book["bar_at"] != NONE:
        return book["bar_at"]
    best = shown_ticks(tape, row, sign)
    if book["i_bbo_after_trade"][instrument]:
        return best
    while row >= 0 and tape.kind[row] != ROW_QUOTE:
        if is_taken_by_print(tape, row, sign) and (tape.px[row] - best) * sign > 0:
            best = tape.px[row]
        if not shows_same_touch(tape, row, sign):
            break
        row -= 1
    return best


@njit
def is_taken_by_print(tape: TapeRows, row: int, sign: int) -> bool:
    """True for a print that took, or may have taken, from the side that `sign` takes from."""
    return tape.kind[row] == ROW_TRADE and tape.side[row] * sign >= 0


@njit
def shows_same_touch(tape: TapeRows, row: int, sign: int) -> bool:
    """True when the row before shows the same touch: its print, if it was one, is not in it yet."""
    if row == 0:
        return False
    if sign > 0:
        return tape.ask[row] == tape.ask[row - 1] and tape.ask_qty[row] == tape.ask_qty[row - 1]
    return tape.bid[row] == tape.bid[row - 1] and tape.bid_qty[row] == tape.bid_qty[row - 1]


@njit
def printed_since_quote(book: Book, tape: TapeRows, row: int, instrument: int, sign: int) -> int:
    """Lots that prints took from the touch since the quote, on a tape with the BBO from before.

    Those at the best price that is left (`side_ticks`): what they printed there is gone until the
    next quote says otherwise.
    """
    if book["i_bbo_after_trade"][instrument]:
        return 0
    best = side_ticks(book, tape, row, instrument, sign)
    total = 0
    while row >= 0 and tape.kind[row] != ROW_QUOTE:
        if is_taken_by_print(tape, row, sign) and tape.px[row] == best:
            total += tape.qty[row]
        if not shows_same_touch(tape, row, sign):
            break
        row -= 1
    return total


@njit
def side_lots(book: Book, tape: TapeRows, row: int, instrument: int, sign: int) -> int:
    """Size that an aggressor of `sign` would meet; 0 when empty or unknown after a reopening."""
    if row < book["i_known_from"][instrument] or row < 0:
        return 0
    return tape.ask_qty[row] if sign > 0 else tape.bid_qty[row]


@njit
def last_trade_ticks(book: Book, tape: TapeRows, row: int, instrument: int) -> int:
    """Price of the newest print of this run at or before `row`; NONE before the first."""
    first = max(ZERO, book["i_known_from"][instrument])
    found = last_trade_row(tape, row, first)
    return tape.px[found] if found >= first else NONE


@njit
def source_ticks(book: Book, tape: TapeRows, row: int, instrument: int, sign: int, way: int) -> int:
    """The price that triggers an order of `sign`: last trade, its touch, or mark; NONE if none.

    A mark between two ticks counts as the tick that it has reached on the order's `way`.
    """
    source = book["i_trigger_source"][instrument]
    if source == SOURCE_MARK:
        mark = book["i_mark"][instrument]
        if mark <= 0:
            return NONE
        tick = book["i_tick_nanos"][instrument]
        return mark // tick if way > 0 else -(-mark // tick)
    if source == SOURCE_BID_ASK:
        if side_lots(book, tape, row, instrument, sign) <= 0:
            return NONE
        return shown_ticks(tape, row, sign)
    return last_trade_ticks(book, tape, row, instrument)


@njit
def row_source_ticks(book: Book, tape: TapeRows, row: int, slot: int) -> int:
    """The trigger price that this very row brings to an order, NONE when it brings none.

    Prints move LAST, rows with a book move BID_ASK, mark rows move MARK.
    """
    instrument = book["o_instrument"][slot]
    source = book["i_trigger_source"][instrument]
    kind = tape.kind[row]
    if source == SOURCE_BID_ASK:
        return slot_source_ticks(book, tape, row, slot) if kind <= ROW_TRADE else NONE
    if source == SOURCE_MARK:
        return slot_source_ticks(book, tape, row, slot) if kind > ROW_TRADE else NONE
    return tape.px[row] if kind == ROW_TRADE else NONE


@njit
def slot_source_ticks(book: Book, tape: TapeRows, row: int, slot: int) -> int:
    """The trigger price in force for an order; see `source_ticks`."""
    sign = book["o_sign"][slot]
    way = trigger_way(book["o_type"][slot], sign)
    return source_ticks(book, tape, row, book["o_instrument"][slot], sign, way)


@njit
def trigger_way(order_type: int, sign: int) -> int:
    """The way in which a price triggers: +1 up, -1 down. A buy stop waits for a higher price."""
    return -sign if order_type in (MARKET_IF_TOUCHED, LIMIT_IF_TOUCHED) else sign


@njit
def is_through(way: int, trigger: int, source: int) -> bool:
    """True when the source has reached the trigger on that way; equality counts."""
    return source != NONE and (source - trigger) * way >= 0


@njit
def is_struck(book: Book, slot: int, source: int) -> bool:
    """True when an order's trigger is reached. A trailing stop that is not active has none."""
    if book["o_stop"][slot] == NONE:
        return False
    way = trigger_way(book["o_type"][slot], book["o_sign"][slot])
    return is_through(way, book["o_stop"][slot], source)


@njit
def has_trigger(order_type: int) -> bool:
    """True for the types that wait for a trigger: stops, trailing stops, touched orders."""
    return order_type not in (MARKET, LIMIT)


@njit
def has_limit(order_type: int) -> bool:
    """True for the types that have a limit price."""
    return order_type in (LIMIT, STOP_LIMIT, LIMIT_IF_TOUCHED)


@njit
def check_trail(trail: int, trail_ppm: int) -> Finding:
    """(reason, value, limit) of a trailing distance: ticks or parts per million, not both."""
    if (trail == NONE) == (trail_ppm == NONE):
        return PRICE_MISSING, 0, 0
    distance = trail if trail_ppm == NONE else trail_ppm
    if distance <= 0:
        return PRICE_NOT_POSITIVE, distance, 1
    if trail_ppm > TRAIL_PPM_MAX:
        return PRICE_NOT_POSITIVE, trail_ppm, TRAIL_PPM_MAX
    return OK, 0, 0


@njit
def met_limit_ticks(
    book: Book, tape: TapeRows, row: int, holding: int, sign: int, limit: int
) -> int:
    """The price that a limit order at `limit` would meet: the touch, or another account's maker.

    The better of the two; NONE when it would meet nothing.
    """
    instrument, found = instrument_of(holding), NONE
    if side_lots(book, tape, row, instrument, sign) > 0:
        found = side_ticks(book, tape, row, instrument, sign)
        if (limit - found) * sign < 0:
            found = NONE
    maker = best_foreign(book, account_of(holding), instrument, sign, limit)
    if maker != NO_SLOT and (found == NONE or (found - book["o_limit"][maker]) * sign > 0):
        found = book["o_limit"][maker]
    return found


@njit
def check_market_open(book: Book, instrument: int) -> Finding:
    """(reason, value, limit) of an order sent while nothing trades."""
    halted = book["i_halted"][instrument]
    if halted == 0:
        return OK, 0, 0
    return (
        (MARKET_HALTED if halted == BY_TAPE else MARKET_CLOSED),
        0,
        book["i_next_open"][instrument],
    )


@njit
def check_size(book: Book, command: CommandRow) -> Finding:
    """(reason, value, limit) of a size outside the instrument's limits, or beyond `size_limit`."""
    instrument, size = command["instrument"], command["size"]
    if size <= 0:
        return SIZE_NOT_POSITIVE, size, book["i_min_lots"][instrument]
    if size < book["i_min_lots"][instrument]:
        return SIZE_BELOW_MINIMUM, size, book["i_min_lots"][instrument]
    # A trailing stop is at its distance already; the order itself names other prices.
    stop = NONE if command["type"] == TRAILING_STOP else command["stop"]
    price = farthest(
        farthest(ZERO, command["limit"], stop), command["trail"], command["activation"]
    )
    there = size_limit(book, command["account"], instrument, price)
    most = min(book["i_max_lots"][instrument], there)
    if size > most:
        return SIZE_ABOVE_MAXIMUM, size, most
    return OK, 0, 0


@njit
def check_prices(book: Book, command: CommandRow) -> Finding:
    """(reason, value, limit) of prices that the type needs and lacks, or that are not positive."""
    kind, limit, stop = command["type"], command["limit"], command["stop"]
    if kind == TRAILING_STOP:
        found = check_trail(command["trail"], command["trail_ppm"])
        if found[0] != OK:
            return found
    elif (has_limit(kind) and limit == NONE) or (has_trigger(kind) and stop == NONE):
        return PRICE_MISSING, 0, 0
    if book["i_negative_price"][command["instrument"]]:
        return OK, 0, 0
    for price in (limit, command["activation"], stop):
        if price != NONE and price <= 0:
            return PRICE_NOT_POSITIVE, price, 1
    return OK, 0, 0


@njit
def check_band(
    book: Book, tape: TapeRows, row: int, instrument: int, sign: int, limit: int
) -> Finding:
    """(reason, value, limit) of a limit too far beyond the last print, else the mark.

    Only a price worse for the order than that is outside: above it for a buy.
    """
    ticks, ppm = book["i_band_ticks"][instrument], book["i_band_ppm"][instrument]
    if limit == NONE or (ticks == 0 and ppm == 0):
        return OK, 0, 0
    reference = last_trade_ticks(book, tape, row, instrument)
    if reference == NONE:
        if book["i_mark"][instrument] <= 0:
            return OK, 0, 0
        reference = book["i_mark"][instrument] // book["i_tick_nanos"][instrument]
    if ticks == 0:
        ticks = parts_per_million(abs(reference), ppm)
    furthest = reference + sign * ticks
    if (limit - furthest) * sign > 0:
        return PRICE_OUTSIDE_BAND, limit, furthest
    return OK, 0, 0


@njit
def check_stop_side(
    book: Book, tape: TapeRows, row: int, instrument: int, sign: int, order_type: int, stop: int
) -> Finding:
    """(reason, value, limit) of a trigger that the market has already reached; equality counts.

    A trailing stop starts behind the market; without an activation price it needs one to start at.
    """
    if order_type == TRAILING_STOP:
        return (NO_TRIGGER_SOURCE, 0, 0) if stop == NONE else (OK, 0, 0)
    if not has_trigger(order_type) or book["stop_wrong_side_triggers"]:
        return OK, 0, 0
    way = trigger_way(order_type, sign)
    source = source_ticks(book, tape, row, instrument, sign, way)
    if is_through(way, stop, source):
        return STOP_WRONG_SIDE, stop, source
    return OK, 0, 0


@njit
def check_reduce_only(book: Book, holding: int, sign: int, reduce_only: int) -> Finding:
    """(reason, value, limit) of a reduce-only order with nothing to reduce."""
    position = book["p_position"][holding]
    if not reduce_only:
        return OK, 0, 0
    if position == 0:
        return NO_POSITION_TO_REDUCE, 0, 0
    if position * sign > 0:
        return REDUCE_ONLY_WRONG_SIDE, position, 0
    return OK, 0, 0


@njit
def check_margin(
    book: Book,
    tape: TapeRows,
    row: int,
    holding: int,
    sign: int,
    size: int,
    price: int,
    reduce_only: int,
) -> Finding:
    """(reason, value, limit): what the order needs more, and what equity leaves for it."""
    if not book["margin_on"] or reduce_only:
        return OK, 0, 0
    instrument = instrument_of(holding)
    if price == NONE:
        price = met_ticks(book, instrument, sign)
        if side_lots(book, tape, row, instrument, sign) > 0:
            price = shown_ticks(tape, row, sign)
    before = required_margin(book, holding, ZERO, ZERO, ZERO)
    more = required_margin(book, holding, sign, size, price) - before
    available = free_margin(book, account_of(holding))
    if more > 0 and more > available:
        return INSUFFICIENT_MARGIN, more, available
    return OK, 0, 0


@njit
def command_price(command: CommandRow) -> int:
    """The price at which a new order is valued: limit, stop, activation price; NONE for none."""
    if command["limit"] != NONE:
        return command["limit"]
    return command["stop"] if command["stop"] != NONE else command["activation"]


@njit
def check_order(book: Book, tape: TapeRows, row: int, command: CommandRow) -> Finding:
    """The checks of an arriving order in the exchange's order; the first failure wins.

    Returns (reason, value, limit); reason 0 lets it in. Post-only and FOK come after these because
    they are judged on what the order would do, not on what it says.
    """
    instrument, sign = command["instrument"], command["sign"]
    holding = holding_of(command["account"], instrument)
    kind, limit, stop = command["type"], command["limit"], command["stop"]
    price = command_price(command)
    found = check_market_open(book, instrument)
    if found[0] == OK and command["expires"] <= book["ts"]:
        found = EXPIRY_IN_THE_PAST, command["expires"], book["ts"]
    if found[0] == OK:
        found = check_size(book, command)
    if found[0] == OK:
        found = check_prices(book, command)
    if found[0] == OK:
        found = check_band(book, tape, row, instrument, sign, limit)
    if found[0] == OK:
        trigger = price if kind == TRAILING_STOP else stop
        found = check_stop_side(book, tape, row, instrument, sign, kind, trigger)
    if found[0] == OK:
        found = check_reduce_only(book, holding, sign, command["reduce_only"])
    if found[0] == OK:
        found = check_margin(
            book, tape, row, holding, sign, command["size"], price, command["reduce_only"]
        )
    if found[0] == OK and command["post_only"] and kind == LIMIT:
        met = met_limit_ticks(book, tape, row, holding, sign, limit)
        if met != NONE:
            found = POST_ONLY_WOULD_TAKE, limit, met
    return found


@njit
def check_exit(
    book: Book, command: CommandRow, entry_price: int, offset: int, price: int, side: int
) -> Finding:
    """(reason, value, limit) of one exit: it has one price, and where it will lie is a price."""
    if offset == NONE and price == NONE:
        return PRICE_MISSING, 0, 0
    if offset != NONE and (offset <= 0 or price != NONE):
        return BRACKET_LEVELS, offset, 0
    if price == NONE:
        price = entry_price + side * command["sign"] * offset
    if side < 0 and command["limit_offset"] != NONE:
        price = min(price, price - command["sign"] * command["limit_offset"])
    if not book["i_negative_price"][command["instrument"]] and price <= 0:
        return PRICE_NOT_POSITIVE, price, 1
    return OK, 0, 0


@njit
def check_exit_trail(command: CommandRow) -> Finding:
    """(reason, value, limit) of a trailing exit: only the stop trails, from its own distance."""
    trail = command["exit_trail"]
    if command["target_trail"] != NONE:
        return BRACKET_LEVELS, command["target_trail"], 0
    if trail == NONE:
        return OK, 0, 0
    other = command["stop_offset"] != trail or command["stop_price"] != NONE
    if trail <= 0 or other or command["limit_offset"] != NONE:
        return BRACKET_LEVELS, trail, 0
    return OK, 0, 0


@njit
def check_bracket_levels(
    book: Book, tape: TapeRows, row: int, command: CommandRow, entry_price: int
) -> Finding:
    """A bracket's levels must make sense: a long has stop < entry < target."""
    sign = command["sign"]
    stop, target = command["stop_price"], command["target_price"]
    found = check_exit_trail(command)
    if found[0] == OK and command["stop_id"] != 0:
        found = check_exit(book, command, entry_price, command["stop_offset"], stop, -1)
    if found[0] == OK and command["target_id"] != 0:
        found = check_exit(book, command, entry_price, command["target_offset"], target, 1)
        if found[0] == OK:
            found = check_band(book, tape, row, command["instrument"], -sign, target)
    if found[0] != OK:
        return found
    if stop != NONE and (entry_price - stop) * sign <= 0:
        return BRACKET_LEVELS, stop, entry_price
    if target != NONE and (target - entry_price) * sign <= 0:
        return BRACKET_LEVELS, target, entry_price
    return OK, 0, 0


@njit
def is_market_now(book: Book, slot: int) -> bool:
    """True for an order that takes at any price: a market order or what became one."""
    kind = book["o_type"][slot]
    return kind == MARKET or (book["o_triggered"][slot] == 1 and not has_limit(kind))
