"""Liquidation: equity below the maintenance margin ends orders and closes positions.

Of an account each isolated position is a scope of its own, named by its instrument; all others are
one, ACCOUNT. Accounts are looked at in their order, and each alone.
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
from sim.arrival import arrive, run_activations
from sim.book import (
    EV_LIQUIDATION,
    LIQUIDATION_ORDER,
    NO_SLOT,
    OPEN,
    ZERO,
    Book,
    CommandRow,
    EventRows,
    holding_of,
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
def is_in_scope(book: Book, account: int, instrument: int, scope: int) -> bool:
    """True when the account's position in the instrument is of this scope."""
    if scope == ACCOUNT:
        return not book["p_isolated"][holding_of(account, instrument)]
    return instrument == scope


@njit
def scope_equity(book: Book, account: int, scope: int) -> int:
    """What the positions of a scope stand on."""
    if scope == ACCOUNT:
        return cross_equity(book, account)
    return isolated_equity(book, holding_of(account, scope))


@njit
def scope_maintenance(book: Book, account: int, scope: int) -> int:
    """What they need."""
    if scope == ACCOUNT:
        return cross_maintenance(book, account)
    return maintenance_nanos(book, holding_of(account, scope))


@njit
def is_short(book: Book, account: int, scope: int) -> bool:
    """True when a scope's equity is below its maintenance margin and nobody closes it yet."""
    for index in range(book["active_count"]):
        slot = book["active"][index]
        if book["o_role"][slot] == LIQUIDATION_ORDER and book["o_account"][slot] == account:
            if is_in_scope(book, account, book["o_instrument"][slot], scope):
                return False
    needed = scope_maintenance(book, account, scope)
    return needed > 0 and scope_equity(book, account, scope) < needed


@njit
def next_short(book: Book, account: int) -> int:
    """The scope of an account to liquidate first: isolated ones by instrument; NOBODY when none."""
    if not book["margin_on"]:
        return NOBODY
    for instrument in range(book["instrument_count"]):
        if book["p_isolated"][holding_of(account, instrument)]:
            if is_short(book, account, instrument):
                return instrument
    return ACCOUNT if is_short(book, account, ACCOUNT) else NOBODY


@njit
def is_concerned(book: Book, account: int, woken: int) -> bool:
    """True for an account that a row asks to be looked at: one with a position in its instrument.

    `woken` is the row's `margin_wake`; 0, where no row asked, concerns all.
    """
    return woken == 0 or book["p_position"][holding_of(account, woken - 1)] != 0


@njit
def is_anybody_short(book: Book) -> bool:
    """True when something of an account is to be liquidated that the row concerns."""
    found = False
    for account in range(book["account_count"]):
        if is_concerned(book, account, book["margin_wake"]):
            found = found or next_short(book, account) != NOBODY
    return found


@njit
def goes_with(book: Book, slot: int, account: int, scope: int) -> bool:
    """True for an order of the account that a liquidation cancels: those of the scope.

    When it is the account's, also what would take free cash into an isolated position; what
    protects or closes that position stays.
    """
    if book["o_role"][slot] == LIQUIDATION_ORDER or book["o_account"][slot] != account:
        return False
    if is_in_scope(book, account, book["o_instrument"][slot], scope):
        return True
    return scope == ACCOUNT and reserves_margin(book, slot)


@njit
def begin_liquidation(book: Book, events: EventRows, account: int, scope: int) -> None:
    """Publish the liquidation with its figures, then cancel what goes with it."""
    index = publish(book, events, EV_LIQUIDATION, account, scope)
    events["value"][index] = scope_equity(book, account, scope)
    events["limit"][index] = scope_maintenance(book, account, scope)
    at = ZERO
    while at < book["active_count"]:
        if goes_with(book, book["active"][at], account, scope):
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
    run_activations(book, tape, events, row, command["instrument"])
