"""Money: fees, positions, equity and margin. All amounts are integers of 1e-9 currency.

Prices enter as ticks, so a product of ticks, lots and tick value is exact. The cost of a position
is the integer sum of ticks x lots, so closing it whole leaves no residue.
"""

from __future__ import annotations

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
    position += signed_lots
    cost += signed_lots * price_ticks
    book["i_position"][instrument] = position
    book["i_position_cost"][instrument] = cost
    book["i_realised"][instrument] += realised
    return realised


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
    """Cash plus the open profit of every position."""
    total = book["cash"]
    for instrument in range(book["instrument_count"]):
        total += open_profit(book, instrument)
    return total


@njit
def value_ticks(book: Book, instrument: int) -> int:
    """The price at which exposure is valued for margin: bid of a long position, ask otherwise."""
    if book["i_position"][instrument] > 0:
        return book["i_value_bid"][instrument]
    return book["i_value_ask"][instrument]


@njit
def met_ticks(book: Book, instrument: int, sign: int) -> int:
    """The newest price of the side that an order of `sign` would meet, empty or not."""
    return book["i_value_ask"][instrument] if sign > 0 else book["i_value_bid"][instrument]


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
    for what is there already.
    """
    position = book["i_position"][instrument]
    value = abs(value_ticks(book, instrument)) if position != 0 else 0
    long_lots, short_lots = position, -position
    long_ticks, short_ticks = position * value, -position * value
    for index in range(book["active_count"]):
        slot = book["active"][index]
        if book["o_instrument"][slot] != instrument or not reserves_margin(book, slot):
            continue
        live = book["o_live"][slot]
        ticks = live * abs(order_price_ticks(book, slot))
        if book["o_sign"][slot] > 0:
            long_lots += live
            long_ticks += ticks
        else:
            short_lots += live
            short_ticks += ticks
    if sign > 0:
        long_lots += lots
        long_ticks += lots * abs(price_ticks)
    elif sign < 0:
        short_lots += lots
        short_ticks += lots * abs(price_ticks)
    return max(
        initial_nanos(book, instrument, long_lots, long_ticks),
        initial_nanos(book, instrument, short_lots, short_ticks),
    )


@njit
def initial_nanos(book: Book, instrument: int, lots: int, ticks_lots: int) -> int:
    """Initial margin of an exposure of `lots` whose ticks x lots sum to `ticks_lots`."""
    fixed = max(lots, 0) * book["i_initial_lot"][instrument]
    notional = max(ticks_lots, 0) * book["i_tick_value"][instrument]
    return fixed + parts_per_million(notional, book["i_initial_ppm"][instrument])


@njit
def used_margin(book: Book) -> int:
    """Initial margin held for all positions and working orders."""
    total = 0
    for instrument in range(book["instrument_count"]):
        total += required_margin(book, instrument, ZERO, ZERO, ZERO)
    return total


@njit
def maintenance_nanos(book: Book, instrument: int) -> int:
    """Maintenance margin of the instrument's position at its present value."""
    lots = abs(book["i_position"][instrument])
    if lots == 0:
        return 0
    notional = lots * abs(value_ticks(book, instrument)) * book["i_tick_value"][instrument]
    return lots * book["i_maintenance_lot"][instrument] + parts_per_million(
        notional, book["i_maintenance_ppm"][instrument]
    )


@njit
def maintenance_total(book: Book) -> int:
    """Maintenance margin of all positions."""
    total = 0
    for instrument in range(book["instrument_count"]):
        total += maintenance_nanos(book, instrument)
    return total


@njit
def set_margin_wakes(book: Book) -> None:
    """Set, for each open position, the price at which equity must be looked at again.

    The room between equity and maintenance margin is shared equally by the open positions: while no
    one loses more than its share, the account as a whole cannot be below maintenance, so no row up
    to there needs a look. With one position the threshold is exact up to the margin's own change.
    """
    count = 0
    for instrument in range(book["instrument_count"]):
        book["i_margin_bid_le"][instrument] = -NEVER
        book["i_margin_bid_ge"][instrument] = NEVER
        book["i_margin_ask_ge"][instrument] = NEVER
        if book["i_position"][instrument] != 0:
            count += 1
    if count == 0 or not book["margin_on"]:
        return
    share = (equity_nanos(book) - maintenance_total(book)) // count
    for instrument in range(book["instrument_count"]):
        if book["i_position"][instrument] != 0:
            set_margin_wake(book, instrument, share)


@njit
def set_margin_wake(book: Book, instrument: int, share: int) -> None:
    """One position's thresholds, where it alone would use up its `share` of the room."""
    position = book["i_position"][instrument]
    if share < 0:
        book["i_margin_bid_le"][instrument] = NEVER  # short already: the very next row
        return
    per_tick = abs(position) * book["i_tick_value"][instrument]
    # A notional grows with the price: what it adds to the margin, rounded up.
    grows = parts_per_million(per_tick, book["i_maintenance_ppm"][instrument]) + 1
    if position > 0:
        room = share // per_tick
        book["i_margin_bid_le"][instrument] = book["i_value_bid"][instrument] - room - 1
        if book["i_mark"][instrument] > 0 and book["i_maintenance_ppm"][instrument] > 0:
            rise = book["i_value_bid"][instrument] + share // grows + 1
            book["i_margin_bid_ge"][instrument] = rise
    else:
        room = share // (per_tick + grows)
        book["i_margin_ask_ge"][instrument] = book["i_value_ask"][instrument] + room + 1
