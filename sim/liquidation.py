"""Liquidation: equity below the maintenance margin ends all orders and closes all positions."""

from __future__ import annotations

from broker_api.event import Reason
from data.schema import TapeColumns
from sim.account import equity_nanos, maintenance_total
from sim.arrival import arrive
from sim.book import (
    EV_LIQUIDATION,
    LIQUIDATION_ORDER,
    NO_SLOT,
    OPEN,
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


@njit
def is_short_of_margin(book: Book) -> bool:
    """True when equity is below the positions' maintenance margin and nobody closes them yet."""
    if not book["margin_on"]:
        return False
    for index in range(book["active_count"]):
        if book["o_role"][book["active"][index]] == LIQUIDATION_ORDER:
            return False
    needed = maintenance_total(book)
    return needed > 0 and equity_nanos(book) < needed


@njit
def begin_liquidation(book: Book, events: EventRows) -> None:
    """Publish the liquidation with its figures, then cancel every working order."""
    index = publish(book, events, EV_LIQUIDATION, NO_SLOT)
    events["value"][index] = equity_nanos(book)
    events["limit"][index] = maintenance_total(book)
    while book["active_count"] > 0:
        cancel_order(book, events, book["active"][0], LIQUIDATED)


@njit
def liquidate(
    book: Book, tape: TapeColumns, events: EventRows, row: int, command: CommandRow
) -> None:
    """Close one position with the venue's own market order.

    Without liquidity, or while nothing trades, it waits for the first row that has some.
    """
    slot = open_slot(book, command, LIQUIDATION_ORDER)
    accept(book, events, slot, OPEN)
    if book["i_halted"][command["instrument"]]:
        book["o_waiting"][slot] = 1
        return
    arrive(book, tape, events, row, slot)
