"""Liquidation: equity below the maintenance margin ends orders and closes positions.

Each isolated position is a scope of its own, named by its instrument; all others are one, ACCOUNT.
"""

from __future__ import annotations

from broker_api.event import Reason
from data.index import TapeRows
from sim.account import (
    cross_equity,
    cross_maintenance,
    isolated_equity,
    maintenance_nanos,
    reserves_margin,
)
from sim.arrival import arrive
from sim.book import (
    EV_LIQUIDATION,
    LIQUIDATION_ORDER,
    NO_SLOT,
    OPEN,
    ZERO,
    Book,
    CommandRow,
    EventRows,
    i8,
    njit,
)
from sim.commands import accept
from sim.groups import cancel_order
from sim.publish import open_slot, publish

LIQUIDATED = i8(Reason.LIQUIDATED)


ACCOUNT = NO_SLOT
NOBODY = i8(-2)


@njit
def is_in_scope(book: Book, instrument: int, scope: int) -> bool:
    """True when the instrument's position is of this scope."""
    if scope == ACCOUNT:
        return not book["i_isolated"][instrument]
    return instrument == scope


@njit
def scope_equity(book: Book, scope: int) -> int:
    """What the positions of a scope stand on."""
    return cross_equity(book) if scope == ACCOUNT else isolated_equity(book, scope)


@njit
def scope_maintenance(book: Book, scope: int) -> int:
    """What they need."""
    return cross_maintenance(book) if scope == ACCOUNT else maintenance_nanos(book, scope)


@njit
def is_short(book: Book, scope: int) -> bool:
    """True when a scope's equity is below its maintenance margin and nobody closes it yet."""
    for index in range(book["active_count"]):
        slot = book["active"][index]
        if book["o_role"][slot] == LIQUIDATION_ORDER:
            if is_in_scope(book, book["o_instrument"][slot], scope):
                return False
    needed = scope_maintenance(book, scope)
    return needed > 0 and scope_equity(book, scope) < needed


@njit
def next_short(book: Book) -> int:
    """The scope that is to be liquidated first: isolated ones by instrument; NOBODY when none."""
    if not book["margin_on"]:
        return NOBODY
    for instrument in range(book["instrument_count"]):
        if book["i_isolated"][instrument] and is_short(book, instrument):
            return instrument
    return ACCOUNT if is_short(book, ACCOUNT) else NOBODY


@njit
def goes_with(book: Book, slot: int, scope: int) -> bool:
    """True for an order that a liquidation cancels: those of the scope's instruments.

    When it is the account's, also what would take free cash into an isolated position; what
    protects or closes that position stays.
    """
    instrument = book["o_instrument"][slot]
    if book["o_role"][slot] == LIQUIDATION_ORDER:
        return False
    if is_in_scope(book, instrument, scope):
        return True
    return scope == ACCOUNT and reserves_margin(book, slot)


@njit
def begin_liquidation(book: Book, events: EventRows, scope: int) -> None:
    """Publish the liquidation with its figures, then cancel what goes with it."""
    index = publish(book, events, EV_LIQUIDATION, scope)
    events["value"][index] = scope_equity(book, scope)
    events["limit"][index] = scope_maintenance(book, scope)
    at = ZERO
    while at < book["active_count"]:
        if goes_with(book, book["active"][at], scope):
            cancel_order(book, events, book["active"][at], LIQUIDATED)
            at = ZERO
        else:
            at += 1


@njit
def liquidate(book: Book, tape: TapeRows, events: EventRows, row: int, command: CommandRow) -> None:
    """Close one position with the venue's own market order.

    Without liquidity, or while nothing trades, it waits for the first row that has some.
    """
    slot = open_slot(book, command, LIQUIDATION_ORDER)
    accept(book, events, slot, OPEN)
    if book["i_halted"][command["instrument"]]:
        book["o_waiting"][slot] = 1
        return
    arrive(book, tape, events, row, slot)
