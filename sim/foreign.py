"""Makers of other accounts: what an order of one account meets besides the tape.

Accounts share the book and nothing else. An account's own makers are the business of self-trade
prevention (`taking.py`); everything here is silent where one account trades.
"""

from __future__ import annotations

from sim.book import (
    ENTRY,
    NO_SLOT,
    SINGLE,
    ZERO,
    Book,
    holding_at,
    i8,
    njit,
)

NO_LIMIT = i8(1 << 62)
"""A price beyond every other. Distances from it fit an int64, those from NEVER do not."""


@njit
def fillable_lots(book: Book, slot: int, lots: int) -> int:
    """`lots` clipped to what a reduce-only order may still close."""
    if not book["o_reduce_only"][slot]:
        return lots
    reducible = -book["p_position"][holding_at(book, slot)] * book["o_sign"][slot]
    return max(0, min(lots, reducible))


@njit
def is_foreign_maker(book: Book, maker: int, account: int, instrument: int, sign: int) -> bool:
    """True for a resting order of another account that an order of `sign` could meet."""
    return bool(
        book["o_resting"][maker]
        and book["o_account"][maker] != account
        and book["o_instrument"][maker] == instrument
        and book["o_sign"][maker] == -sign
    )


@njit
def best_foreign(book: Book, account: int, instrument: int, sign: int, worst: int) -> int:
    """The foreign maker that an order of `sign` meets first up to `worst`; NO_SLOT for none.

    The best price first, then time priority. One that may fill nothing is passed over.
    """
    best = NO_SLOT
    if book["account_count"] == 1:
        return best
    for index in range(book["active_count"]):
        maker = book["active"][index]
        if not is_foreign_maker(book, maker, account, instrument, sign):
            continue
        if (worst - book["o_limit"][maker]) * sign < 0:
            continue
        if fillable_lots(book, maker, book["o_live"][maker]) <= 0:
            continue
        if best != NO_SLOT:
            worse = (book["o_limit"][maker] - book["o_limit"][best]) * sign
            if worse > 0 or (worse == 0 and is_later(book, maker, best)):
                continue
        best = maker
    return best


@njit
def is_later(book: Book, one: int, other: int) -> bool:
    """True when the first of two makers has the later time priority."""
    return bool(book["o_priority"][one] > book["o_priority"][other])


@njit
def sure_foreign_lots(book: Book, slot: int, price: int) -> int:
    """Lots of foreign makers at prices strictly better for the order than `price`.

    Only of those that nothing can shrink while the order takes: single orders and entries that are
    not reduce-only, less what a print of this row has given them.
    """
    account, instrument = book["o_account"][slot], book["o_instrument"][slot]
    sign, lots = book["o_sign"][slot], ZERO
    if book["account_count"] == 1:
        return lots
    for index in range(book["active_count"]):
        maker = book["active"][index]
        if not is_foreign_maker(book, maker, account, instrument, sign):
            continue
        if (price - book["o_limit"][maker]) * sign <= 0 or book["o_reduce_only"][maker]:
            continue
        if book["o_role"][maker] in (SINGLE, ENTRY):
            lots += max(0, book["o_live"][maker] - book["o_entitled"][maker])
    return lots
