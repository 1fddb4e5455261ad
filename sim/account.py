"""Money: fees, positions, equity and margin. All amounts are integers of 1e-9 currency.

Prices enter as ticks, so a product of ticks, lots and tick value is exact. The cost of a position
is the integer sum of ticks x lots, so closing it whole leaves no residue.
"""

from __future__ import annotations

from broker_api.instrument import MAX_TIERS
from data.schema import IntColumn
from sim.book import (
    MAKER,
    MAX_WALK_LEVELS,
    NEVER,
    NO_SLOT,
    NONE,
    OCO_LEG,
    STOP_EXIT,
    TARGET_EXIT,
    ZERO,
    Book,
    account_of,
    holding_at,
    holding_of,
    i8,
    instrument_of,
    njit,
)

PPM = i8(1_000_000)
NANOS = i8(1_000_000_000)
_OVERFLOW, _WALK = i8(1 << 61), i8(2 * MAX_WALK_LEVELS)
"""Products of price, size and tick value stay below the first, so that sums of two fit an int64."""


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
def apply_to_position(book: Book, holding: int, signed_lots: int, price_ticks: int) -> int:
    """Net a fill into the position; return the P&L that it realised.

    A fill against the position closes first: that part realises price minus average cost. What is
    over opens at the fill's price, so a flip is a close plus an open.
    """
    instrument = instrument_of(holding)
    position = book["p_position"][holding]
    cost = book["p_position_cost"][holding]
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
    if book["p_isolated"][holding]:
        move_bucket(book, holding, closing, abs(position), abs(signed_lots), price_ticks)
    position += signed_lots
    cost += signed_lots * price_ticks
    book["p_position"][holding] = position
    book["p_position_cost"][holding] = cost
    book["p_realised"][holding] += realised
    return realised


@njit
def move_bucket(
    book: Book, holding: int, closed: int, kept: int, opened: int, price_ticks: int
) -> None:
    """Between free cash and an isolated position's own margin: a fill closes, keeps and opens lots.

    What closes takes its share out; what opens brings its initial margin, whatever is free.
    """
    bucket = book["p_bucket"][holding]
    if closed > 0:
        bucket -= share_of(bucket, closed, closed + kept)
    if opened > 0:
        value = abs(price_ticks) * book["i_tick_value"][instrument_of(holding)]
        bucket += initial_nanos(book, holding, kept + opened, (kept + opened) * value)
        bucket -= initial_nanos(book, holding, kept, kept * value)
    book["p_bucket"][holding] = bucket


@njit
def settle_fill(
    book: Book, holding: int, signed_lots: int, price_ticks: int, liquidity: int
) -> int:
    """Book a fill's P&L and fee to position and cash; return the fee."""
    instrument, account = instrument_of(holding), account_of(holding)
    realised = apply_to_position(book, holding, signed_lots, price_ticks)
    fee = fee_nanos(book, instrument, price_ticks, abs(signed_lots), liquidity)
    book["a_cash"][account] += realised - fee
    book["a_fees"][account] += fee
    return fee


@njit
def open_profit(book: Book, holding: int) -> int:
    """Unrealised P&L: at the mark if there is one, else at the side that one would get."""
    position = book["p_position"][holding]
    if position == 0:
        return 0
    instrument = instrument_of(holding)
    tick_value = book["i_tick_value"][instrument]
    cost = book["p_position_cost"][holding]
    mark = book["i_mark"][instrument]
    if mark > 0:
        # The mark is finer than a tick: whole ticks first, then the rest, each without overflow.
        tick = book["i_tick_nanos"][instrument]
        whole = (position * (mark // tick) - cost) * tick_value
        return whole + share_of(position * tick_value, mark % tick, tick)
    side = book["i_value_bid"][instrument] if position > 0 else book["i_value_ask"][instrument]
    return (position * side - cost) * tick_value


@njit
def equity_nanos(book: Book, account: int) -> int:
    """An account's cash, free or in buckets, plus the open profit of its positions."""
    total = book["a_cash"][account]
    for instrument in range(book["instrument_count"]):
        total += open_profit(book, holding_of(account, instrument))
    return total


@njit
def isolated_equity(book: Book, holding: int) -> int:
    """What an isolated position stands on: its bucket and its open profit."""
    return book["p_bucket"][holding] + open_profit(book, holding)


@njit
def cross_equity(book: Book, account: int) -> int:
    """What all other positions stand on: equity without that of the isolated ones."""
    total = book["a_cash"][account]
    for instrument in range(book["instrument_count"]):
        holding = holding_of(account, instrument)
        if book["p_isolated"][holding]:
            total -= book["p_bucket"][holding]
        else:
            total += open_profit(book, holding)
    return total


@njit
def is_held(book: Book, instrument: int) -> bool:
    """True while any account has a position in the instrument."""
    for account in range(book["account_count"]):
        if book["p_position"][holding_of(account, instrument)] != 0:
            return True
    return False


@njit
def met_ticks(book: Book, instrument: int, sign: int) -> int:
    """The newest price of the side that an order of `sign` would meet, empty or not."""
    return book["i_value_ask"][instrument] if sign > 0 else book["i_value_bid"][instrument]


@njit
def position_notional(book: Book, holding: int) -> int:
    """The value of the position's lots without sign: at the mark if there is one.

    Else at the side that one would get, the bid of a long position.
    """
    instrument = instrument_of(holding)
    position = book["p_position"][holding]
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
def required_margin(book: Book, holding: int, sign: int, lots: int, price_ticks: int) -> int:
    """Initial margin of the position, the working orders, and `lots` more at `price_ticks`.

    The dearer of two cases counts: all working buys fill, or all working sells fill. `sign` 0 asks
    for what is there already. Of an isolated instrument: what the fills would take from free cash.
    """
    position = book["p_position"][holding]
    tick_value = book["i_tick_value"][instrument_of(holding)]
    notional = position_notional(book, holding)
    if position < 0:
        notional = -notional
    long_lots, short_lots = position, -position
    long_value, short_value = notional, -notional
    for index in range(book["active_count"]):
        slot = book["active"][index]
        if holding_at(book, slot) != holding or not reserves_margin(book, slot):
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
    long_margin = initial_nanos(book, holding, long_lots, long_value)
    short_margin = initial_nanos(book, holding, short_lots, short_value)
    if position == 0 or not book["p_isolated"][holding]:
        return max(long_margin, short_margin)
    if position > 0:
        return reserve(book, holding, long_margin, short_lots, short_margin)
    return reserve(book, holding, short_margin, long_lots, long_margin)


@njit
def reserve(book: Book, holding: int, adding: int, turned: int, turning: int) -> int:
    """What the orders of an isolated position would take from free cash, in the dearer case.

    `adding` is the initial margin with all orders on its side; `turning` that of the `turned` lots
    which the others would open beyond it, after the position has given back what it stands on.
    """
    held = initial_nanos(
        book,
        holding,
        abs(book["p_position"][holding]),
        position_notional(book, holding),
    )
    most = adding - held
    if turned > 0:
        most = max(most, turning - isolated_equity(book, holding))
    return max(most, 0)


@njit
def in_tiers(book: Book, holding: int, notional: int, rates: IntColumn) -> int:
    """Parts per million of a notional, each part of it at the rate of its own tier."""
    total = ZERO
    first = holding * MAX_TIERS
    end = first + book["p_tiers"][holding]
    for at in range(first, end):
        part = notional - book["t_from"][at]
        if part <= 0:
            break
        if at + 1 < end:
            part = min(part, book["t_from"][at + 1] - book["t_from"][at])
        total += parts_per_million(part, rates[at])
    return total


@njit
def initial_nanos(book: Book, holding: int, lots: int, notional: int) -> int:
    """Initial margin of an exposure of `lots` worth `notional`; nothing below zero counts."""
    fixed = max(lots, 0) * book["i_initial_lot"][instrument_of(holding)]
    return fixed + in_tiers(book, holding, notional, book["t_initial"])


@njit
def used_margin(book: Book, account: int) -> int:
    """Initial margin that an account holds for positions and orders outside the buckets."""
    total = 0
    for instrument in range(book["instrument_count"]):
        total += required_margin(book, holding_of(account, instrument), ZERO, ZERO, ZERO)
    return total


@njit
def free_margin(book: Book, account: int) -> int:
    """What an account's equity leaves for new orders."""
    return cross_equity(book, account) - used_margin(book, account)


@njit
def maintenance_nanos(book: Book, holding: int) -> int:
    """Maintenance margin of the position at its present value."""
    lots = abs(book["p_position"][holding])
    if lots == 0:
        return 0
    fixed = lots * book["i_maintenance_lot"][instrument_of(holding)]
    notional = position_notional(book, holding)
    return fixed + in_tiers(book, holding, notional, book["t_maintenance"])


@njit
def cross_maintenance(book: Book, account: int) -> int:
    """Maintenance margin of all positions of an account that are not isolated."""
    total = 0
    for instrument in range(book["instrument_count"]):
        holding = holding_of(account, instrument)
        if not book["p_isolated"][holding]:
            total += maintenance_nanos(book, holding)
    return total


@njit
def margin_room(book: Book, holding: int, share: int) -> int:
    """What the position may lose before a look: its own room if isolated, else its `share`."""
    if book["p_isolated"][holding]:
        return isolated_equity(book, holding) - maintenance_nanos(book, holding)
    return share


@njit
def set_margin_wakes(book: Book, account: int) -> None:
    """Set, for each open position, the price at which an account's equity must be looked at again.

    The room between equity and maintenance margin is shared equally by the open positions: while no
    one loses more than its share, the account as a whole cannot be below maintenance, so no row up
    to there needs a look. With one position the threshold is exact up to the margin's own change.
    An isolated position has a room of its own. While any is short, every row is looked at.
    """
    count, crossed = 0, 0
    first = holding_of(account, ZERO)
    end = first + book["instrument_count"]
    for holding in range(first, end):
        book["p_margin_bid_le"][holding] = -NEVER
        book["p_margin_ask_ge"][holding] = NEVER
        if book["p_position"][holding] != 0:
            count += 1
            if not book["p_isolated"][holding]:
                crossed += 1
    if count == 0 or not book["margin_on"]:
        return
    share = ZERO
    if crossed > 0:
        share = (cross_equity(book, account) - cross_maintenance(book, account)) // crossed
    least = share
    for holding in range(first, end):
        if book["p_position"][holding] != 0 and book["p_isolated"][holding]:
            least = min(least, margin_room(book, holding, share))
    for holding in range(first, end):
        if book["p_position"][holding] == 0:
            continue
        if least < 0:
            book["p_margin_bid_le"][holding] = NEVER  # short already: the very next row
        elif book["i_mark"][instrument_of(holding)] <= 0:
            # At a mark it is worth the same until the next one, and mark rows are looked at anyway.
            set_margin_wake(book, holding, margin_room(book, holding, share))


@njit
def set_margin_wake(book: Book, holding: int, room: int) -> None:
    """One position's threshold, where it alone would use up its `room`."""
    instrument = instrument_of(holding)
    position = book["p_position"][holding]
    per_tick = abs(position) * book["i_tick_value"][instrument]
    # A notional grows with the price: what it adds to the margin, rounded up.
    first, tiers, steepest = holding * MAX_TIERS, book["p_tiers"][holding], ZERO
    for at in range(first, first + tiers):
        steepest = max(steepest, book["t_maintenance"][at])
    grows = parts_per_million(per_tick, steepest) + 1
    room = max(room - tiers + 1, 0)  # each tier rounds for itself
    if position > 0:
        if book["i_negative_price"][instrument]:
            per_tick += grows
        book["p_margin_bid_le"][holding] = book["i_value_bid"][instrument] - room // per_tick - 1
    else:
        at_ask = book["i_value_ask"][instrument]
        book["p_margin_ask_ge"][holding] = at_ask + room // (per_tick + grows) + 1


@njit
def farthest(price: int, one: int, other: int) -> int:
    """The largest absolute value of a price and two others that may be missing."""
    if one != NONE:
        price = max(price, abs(one))
    if other != NONE:
        price = max(price, abs(other))
    return price


@njit
def size_limit(book: Book, account: int, instrument: int, price: int) -> int:
    """The largest further size whose money still fits 64 bits, at prices up to `price`."""
    there = abs(book["p_position"][holding_of(account, instrument)])
    for index in range(book["active_count"]):
        slot = book["active"][index]
        if book["o_account"][slot] == account:
            there += book["o_live"][slot]
    worst = farthest(price, book["i_value_bid"][instrument], book["i_value_ask"][instrument])
    # Prices may still move: room for twice the highest, and for a walk beyond it.
    worst = 2 * worst + _WALK
    value = book["i_tick_value"][instrument]
    if worst > _OVERFLOW // value:
        return ZERO
    most: int = _OVERFLOW // (worst * value) - there
    return max(ZERO, most)
