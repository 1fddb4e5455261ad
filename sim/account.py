"""Money: fees, positions, equity and margin. All amounts are integers of 1e-9 currency.

Prices enter as ticks, so a product of ticks, lots and tick value is exact. The cost of a position
is the integer sum of ticks x lots, so closing it whole leaves no residue.
"""

from __future__ import annotations

from broker_api.instrument import MAX_TIERS
from data.schema import IntColumn
from sim.book import (
    MAKER,
    NEVER,
    NO_SLOT,
    NONE,
    OCO_LEG,
    STOP_EXIT,
    TARGET_EXIT,
    ZERO,
    Book,
    i8,
    njit,
)

PPM = i8(1_000_000)
NANOS = i8(1_000_000_000)


@njit
def parts_per_million(amount: int, ppm: int) -> int:
    """`amount` x `ppm` / 1e6, rounded down, without an intermediate overflow."""
    return amount // PPM * ppm + amount % PPM * ppm // PPM


@njit
def share_of(amount: int, part: int, whole: int) -> int:
    """`amount` x `part` / `whole`, rounded down, without an intermediate overflow."""
    return amount // whole * part + amount % whole * part // whole


@njit
def fee_nanos(book: Book, instrument: int, price_ticks: int, lots: int, liquidity: int) -> int:
    """The fee of a fill: fixed per lot, plus maker or taker parts per million of the notional."""
    if not book["fees_on"]:
        return 0
    ppm = book["i_maker_ppm"][instrument] if liquidity == MAKER else book["i_taker_ppm"][instrument]
    notional = abs(price_ticks) * lots * book["i_tick_value"][instrument]
    return book["i_fee_lot"][instrument] * lots + parts_per_million(notional, ppm)


@njit
def apply_to_position(book: Book, instrument: int, signed_lots: int, price_ticks: int) -> int:
    """Net a fill into the position; return the P&L that it realised.

    A fill against the position closes first: that part realises price minus average cost. What is
    over opens at the fill's price, so a flip is a close plus an open.
    """
    position = book["i_position"][instrument]
    cost = book["i_position_cost"][instrument]
    closing = 0
    if position * signed_lots < 0:
        closing = min(abs(position), abs(signed_lots))
    realised = 0
    if closing > 0:
        direction = 1 if position > 0 else -1
        released = cost if closing == abs(position) else share_of(cost, closing, abs(position))
        ticks_lots = direction * closing * price_ticks - released
        realised = ticks_lots * book["i_tick_value"][instrument]
        position -= direction * closing
        cost -= released
        signed_lots += direction * closing
    if book["i_isolated"][instrument]:
        move_bucket(book, instrument, closing, abs(position), abs(signed_lots), price_ticks)
    position += signed_lots
    cost += signed_lots * price_ticks
    book["i_position"][instrument] = position
    book["i_position_cost"][instrument] = cost
    book["i_realised"][instrument] += realised
    return realised


@njit
def move_bucket(
    book: Book, instrument: int, closed: int, kept: int, opened: int, price_ticks: int
) -> None:
    """Between free cash and an isolated position's own margin: a fill closes, keeps and opens lots.

    What closes takes its share out; what opens brings its initial margin, whatever is free.
    """
    bucket = book["i_bucket"][instrument]
    if closed > 0:
        bucket -= share_of(bucket, closed, closed + kept)
    if opened > 0:
        value = abs(price_ticks) * book["i_tick_value"][instrument]
        bucket += initial_nanos(book, instrument, kept + opened, (kept + opened) * value)
        bucket -= initial_nanos(book, instrument, kept, kept * value)
    book["i_bucket"][instrument] = bucket


@njit
def settle_fill(
    book: Book, instrument: int, signed_lots: int, price_ticks: int, liquidity: int
) -> int:
    """Book a fill's P&L and fee to position and cash; return the fee."""
    realised = apply_to_position(book, instrument, signed_lots, price_ticks)
    fee = fee_nanos(book, instrument, price_ticks, abs(signed_lots), liquidity)
    book["cash"] = book["cash"] + realised - fee
    book["fees"] = book["fees"] + fee
    return fee


@njit
def open_profit(book: Book, instrument: int) -> int:
    """Unrealised P&L: at the mark if there is one, else at the side that one would get."""
    position = book["i_position"][instrument]
    if position == 0:
        return 0
    tick_value = book["i_tick_value"][instrument]
    cost = book["i_position_cost"][instrument]
    mark = book["i_mark"][instrument]
    if mark > 0:
        # The mark is finer than a tick: whole ticks first, then the rest, each without overflow.
        tick = book["i_tick_nanos"][instrument]
        whole = (position * (mark // tick) - cost) * tick_value
        return whole + share_of(position * tick_value, mark % tick, tick)
    side = book["i_value_bid"][instrument] if position > 0 else book["i_value_ask"][instrument]
    return (position * side - cost) * tick_value


@njit
def equity_nanos(book: Book) -> int:
    """Cash, free or in an isolated position's bucket, plus the open profit of every position."""
    total = book["cash"]
    for instrument in range(book["instrument_count"]):
        total += open_profit(book, instrument)
    return total


@njit
def isolated_equity(book: Book, instrument: int) -> int:
    """What an isolated position stands on: its bucket and its open profit."""
    return book["i_bucket"][instrument] + open_profit(book, instrument)


@njit
def cross_equity(book: Book) -> int:
    """What all other positions stand on: equity without that of the isolated ones."""
    total = book["cash"]
    for instrument in range(book["instrument_count"]):
        if book["i_isolated"][instrument]:
            total -= book["i_bucket"][instrument]
        else:
            total += open_profit(book, instrument)
    return total


@njit
def met_ticks(book: Book, instrument: int, sign: int) -> int:
    """The newest price of the side that an order of `sign` would meet, empty or not."""
    return book["i_value_ask"][instrument] if sign > 0 else book["i_value_bid"][instrument]


@njit
def position_notional(book: Book, instrument: int) -> int:
    """The value of the position's lots without sign: at the mark if there is one.

    Else at the side that one would get, the bid of a long position.
    """
    position = book["i_position"][instrument]
    lots = abs(position)
    tick_value = book["i_tick_value"][instrument]
    mark = book["i_mark"][instrument]
    if mark > 0:
        tick = book["i_tick_nanos"][instrument]
        whole = lots * (mark // tick) * tick_value
        return whole + share_of(lots * tick_value, mark % tick, tick)
    return lots * abs(met_ticks(book, instrument, -position)) * tick_value


@njit
def order_price_ticks(book: Book, slot: int) -> int:
    """The price at which a working order is valued for margin: its limit, stop, or the market.

    A trailing stop that is not active yet counts at its activation price.
    """
    if book["o_limit"][slot] != NONE:
        return book["o_limit"][slot]
    if book["o_stop"][slot] != NONE:
        return book["o_stop"][slot]
    if book["o_activation"][slot] != NONE:
        return book["o_activation"][slot]
    return met_ticks(book, book["o_instrument"][slot], book["o_sign"][slot])


@njit
def reserves_margin(book: Book, slot: int) -> bool:
    """Working orders reserve margin for what would increase exposure; exits and reduce-only cannot.

    Of two OCO legs on one side at most one fills, so only the first reserves.
    """
    role = book["o_role"][slot]
    if role in (STOP_EXIT, TARGET_EXIT) or book["o_reduce_only"][slot]:
        return False
    if role == OCO_LEG:
        group = book["o_group"][slot]
        first = book["g_stop_leg"][group]
        if slot == book["g_target_leg"][group] and first != NO_SLOT:
            return book["o_sign"][first] != book["o_sign"][slot]
    return True


@njit
def required_margin(book: Book, instrument: int, sign: int, lots: int, price_ticks: int) -> int:
    """Initial margin of the position, the working orders, and `lots` more at `price_ticks`.

    The dearer of two cases counts: all working buys fill, or all working sells fill. `sign` 0 asks
    for what is there already. Of an isolated instrument: what the fills would take from free cash.
    """
    position = book["i_position"][instrument]
    tick_value = book["i_tick_value"][instrument]
    notional = position_notional(book, instrument)
    if position < 0:
        notional = -notional
    long_lots, short_lots = position, -position
    long_value, short_value = notional, -notional
    for index in range(book["active_count"]):
        slot = book["active"][index]
        if book["o_instrument"][slot] != instrument or not reserves_margin(book, slot):
            continue
        live = book["o_live"][slot]
        value = live * abs(order_price_ticks(book, slot)) * tick_value
        if book["o_sign"][slot] > 0:
            long_lots += live
            long_value += value
        else:
            short_lots += live
            short_value += value
    if sign > 0:
        long_lots += lots
        long_value += lots * abs(price_ticks) * tick_value
    elif sign < 0:
        short_lots += lots
        short_value += lots * abs(price_ticks) * tick_value
    long_margin = initial_nanos(book, instrument, long_lots, long_value)
    short_margin = initial_nanos(book, instrument, short_lots, short_value)
    if position == 0 or not book["i_isolated"][instrument]:
        return max(long_margin, short_margin)
    if position > 0:
        return reserve(book, instrument, long_margin, short_lots, short_margin)
    return reserve(book, instrument, short_margin, long_lots, long_margin)


@njit
def reserve(book: Book, instrument: int, adding: int, turned: int, turning: int) -> int:
    """What the orders of an isolated position would take from free cash, in the dearer case.

    `adding` is the initial margin with all orders on its side; `turning` that of the `turned` lots
    which the others would open beyond it, after the position has given back what it stands on.
    """
    held = initial_nanos(
        book,
        instrument,
        abs(book["i_position"][instrument]),
        position_notional(book, instrument),
    )
    most = adding - held
    if turned > 0:
        most = max(most, turning - isolated_equity(book, instrument))
    return max(most, 0)


@njit
def in_tiers(book: Book, instrument: int, notional: int, rates: IntColumn) -> int:
    """Parts per million of a notional, each part of it at the rate of its own tier."""
    total = ZERO
    first = instrument * MAX_TIERS
    end = first + book["i_tiers"][instrument]
    for at in range(first, end):
        part = notional - book["t_from"][at]
        if part <= 0:
            break
        if at + 1 < end:
            part = min(part, book["t_from"][at + 1] - book["t_from"][at])
        total += parts_per_million(part, rates[at])
    return total


@njit
def initial_nanos(book: Book, instrument: int, lots: int, notional: int) -> int:
    """Initial margin of an exposure of `lots` worth `notional`; nothing below zero counts."""
    fixed = max(lots, 0) * book["i_initial_lot"][instrument]
    return fixed + in_tiers(book, instrument, notional, book["t_initial"])


@njit
def used_margin(book: Book) -> int:
    """Initial margin that positions and working orders hold or reserve outside the buckets."""
    total = 0
    for instrument in range(book["instrument_count"]):
        total += required_margin(book, instrument, ZERO, ZERO, ZERO)
    return total


@njit
def free_margin(book: Book) -> int:
    """What equity leaves for new orders."""
    return cross_equity(book) - used_margin(book)


@njit
def maintenance_nanos(book: Book, instrument: int) -> int:
    """Maintenance margin of the instrument's position at its present value."""
    lots = abs(book["i_position"][instrument])
    if lots == 0:
        return 0
    fixed = lots * book["i_maintenance_lot"][instrument]
    notional = position_notional(book, instrument)
    return fixed + in_tiers(book, instrument, notional, book["t_maintenance"])


@njit
def cross_maintenance(book: Book) -> int:
    """Maintenance margin of all positions that are not isolated."""
    total = 0
    for instrument in range(book["instrument_count"]):
        if not book["i_isolated"][instrument]:
            total += maintenance_nanos(book, instrument)
    return total


@njit
def margin_room(book: Book, instrument: int, share: int) -> int:
    """What the position may lose before a look: its own room if isolated, else its `share`."""
    if book["i_isolated"][instrument]:
        return isolated_equity(book, instrument) - maintenance_nanos(book, instrument)
    return share


@njit
def set_margin_wakes(book: Book) -> None:
    """Set, for each open position, the price at which equity must be looked at again.

    The room between equity and maintenance margin is shared equally by the open positions: while no
    one loses more than its share, the account as a whole cannot be below maintenance, so no row up
    to there needs a look. With one position the threshold is exact up to the margin's own change.
    An isolated position has a room of its own. While any is short, every row is looked at.
    """
    count, crossed = 0, 0
    for instrument in range(book["instrument_count"]):
        book["i_margin_bid_le"][instrument] = -NEVER
        book["i_margin_ask_ge"][instrument] = NEVER
        if book["i_position"][instrument] != 0:
            count += 1
            if not book["i_isolated"][instrument]:
                crossed += 1
    if count == 0 or not book["margin_on"]:
        return
    share = ZERO
    if crossed > 0:
        share = (cross_equity(book) - cross_maintenance(book)) // crossed
    least = share
    for instrument in range(book["instrument_count"]):
        if book["i_position"][instrument] != 0 and book["i_isolated"][instrument]:
            least = min(least, margin_room(book, instrument, share))
    for instrument in range(book["instrument_count"]):
        if book["i_position"][instrument] == 0:
            continue
        if least < 0:
            book["i_margin_bid_le"][instrument] = NEVER  # short already: the very next row
        elif book["i_mark"][instrument] <= 0:
            # At a mark it is worth the same until the next one, and mark rows are looked at anyway.
            set_margin_wake(book, instrument, margin_room(book, instrument, share))


@njit
def set_margin_wake(book: Book, instrument: int, room: int) -> None:
    """One position's threshold, where it alone would use up its `room`."""
    position = book["i_position"][instrument]
    per_tick = abs(position) * book["i_tick_value"][instrument]
    # A notional grows with the price: what it adds to the margin, rounded up.
    first, tiers, steepest = instrument * MAX_TIERS, book["i_tiers"][instrument], ZERO
    for at in range(first, first + tiers):
        steepest = max(steepest, book["t_maintenance"][at])
    grows = parts_per_million(per_tick, steepest) + 1
    room = max(room - tiers + 1, 0)  # each tier rounds for itself
    if position > 0:
        if book["i_negative_price"][instrument]:
            per_tick += grows
        book["i_margin_bid_le"][instrument] = book["i_value_bid"][instrument] - room // per_tick - 1
    else:
        at_ask = book["i_value_ask"][instrument]
        book["i_margin_ask_ge"][instrument] = at_ask + room // (per_tick + grows) + 1
