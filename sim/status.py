"""Rows that are neither quote nor trade: halts and reopenings, marks, funding.

A market trades when its calendar and the tape both have it open; each is ended by its own side.
"""

from __future__ import annotations

from broker_api.event import Reason
from data.index import TapeRows
from sim.account import NANOS, is_held, open_profit, share_of
from sim.book import (
    BUY,
    BY_CALENDAR,
    BY_TAPE,
    EV_DEPOSITED,
    EV_FUNDING,
    EV_HALTED,
    EV_RESUMED,
    NEVER,
    NO_SLOT,
    ROW_CLOSE,
    ROW_FUNDING,
    ROW_HALT,
    ROW_MARK,
    ROW_OPEN,
    ROW_RESUME,
    SELL,
    ZERO,
    Book,
    EventRows,
    account_of,
    holding_of,
    i8,
    instrument_of,
    njit,
)
from sim.publish import publish, publish_account, publish_position
from sim.taking import set_taken

MARKET_CLOSED, MARKET_HALTED = i8(Reason.MARKET_CLOSED), i8(Reason.MARKET_HALTED)


@njit
def apply_status(book: Book, tape: TapeRows, events: EventRows, instrument: int, row: int) -> None:
    """A row that is neither quote nor trade: halts and reopenings, marks, funding."""
    kind = tape.kind[row]
    if is_held(book, instrument):
        book["interest_stale"] = 1  # what positions are worth, also while nothing trades here
    if kind == ROW_MARK:
        book["i_mark"][instrument] = tape.px[row]
    elif kind == ROW_FUNDING:
        if tape.px[row] > 0:
            book["i_mark"][instrument] = tape.px[row]
        for account in range(book["account_count"]):
            pay_funding(book, events, holding_of(account, instrument), tape.qty[row])
    elif kind in (ROW_CLOSE, ROW_HALT):
        halt(book, events, instrument, BY_TAPE, NEVER)
    elif kind in (ROW_OPEN, ROW_RESUME):
        resume(book, events, instrument, BY_TAPE, row + 1)


@njit
def halt(book: Book, events: EventRows, instrument: int, state: int, next_open: int) -> None:
    """Nothing matches or triggers from now on. `state` is BY_TAPE or BY_CALENDAR."""
    halted = book["i_halted"][instrument]
    if state == BY_CALENDAR or not halted:
        book["i_next_open"][instrument] = next_open
    book["i_halted"][instrument] = halted | state
    book["interest_stale"] = 1
    if halted:
        return
    for account in range(book["account_count"]):
        index = publish(book, events, EV_HALTED, account, instrument)
        events["reason"][index] = MARKET_HALTED if state == BY_TAPE else MARKET_CLOSED


@njit
def resume(book: Book, events: EventRows, instrument: int, state: int, known_from: int) -> None:
    """One closed the market, `state`, opens it; it trades when calendar and tape both have it open.

    The book is unknown until row `known_from`, and nothing of it has been taken yet.
    """
    halted = book["i_halted"][instrument]
    if not halted & state:
        return
    book["i_halted"][instrument] = halted & ~state
    book["interest_stale"] = 1
    if state == BY_CALENDAR or not halted & ~state:
        book["i_next_open"][instrument] = NEVER
    if halted & ~state:
        return
    book["i_known_from"][instrument] = known_from
    set_taken(book, instrument, BUY, ZERO, ZERO)
    set_taken(book, instrument, SELL, ZERO, ZERO)
    for account in range(book["account_count"]):
        publish(book, events, EV_RESUMED, account, instrument)


@njit
def pay_funding(book: Book, events: EventRows, holding: int, rate: int) -> None:
    """Longs pay `rate` (1e-9) of the position's value at the mark; shorts receive it."""
    position = book["p_position"][holding]
    if position == 0:
        return
    account, instrument = account_of(holding), instrument_of(holding)
    cost = book["p_position_cost"][holding] * book["i_tick_value"][instrument]
    value = open_profit(book, holding) + cost
    payment = share_of(value, rate, NANOS)
    book["a_cash"][account] -= payment
    if book["p_isolated"][holding]:
        book["p_bucket"][holding] -= payment
    book["a_funding"][account] += payment
    index = publish(book, events, EV_FUNDING, account, instrument)
    events["value"][index] = payment
    events["position_lots"][index] = position
    publish_position(book, events, holding)


@njit
def deposit(book: Book, events: EventRows, account: int, nanos: int) -> None:
    """Cash comes to an account, or goes."""
    book["a_cash"][account] += nanos
    book["a_deposits"][account] += nanos
    index = publish(book, events, EV_DEPOSITED, account, NO_SLOT)
    events["value"][index] = nanos
    publish_account(book, events, account)
