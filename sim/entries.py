"""What Python calls of the compiled exchange: thin doors, one for each thing that can be asked.

The state goes in as an array of one record, because Numba recognises an array in half a microsecond
and a lone record in seventeen; so do commands. A tape goes in as a handle (`handles.py`). Behind
the doors everything works on the record and on columns.
"""

from __future__ import annotations

from sim import account as money
from sim import arrival, commands, kernel, liquidation, replacing, status
from sim.book import BY_CALENDAR, ZERO, Book, CommandRow, EventRows, entry, i8, njit
from sim.handles import TapeHandle, rows_of
from sim.search import last_row_at

MARGIN_CALL = i8(-(1 << 62))
"""A time that is none, see `run_to_time`."""
Books = Book
"""An array of one BOOK record."""
CommandRows = CommandRow
"""An array of COMMAND records."""


@njit
def refresh(book: Book) -> None:
    """Recompute the prices at which a row concerns someone, if anything changed."""
    if book["interest_stale"]:
        kernel.refresh_interest(book)


@entry
def refresh_interest(books: Books) -> None:
    """Recompute the prices at which a row concerns someone, if anything changed."""
    refresh(books[0])


@entry
def next_row(books: Books, tape: TapeHandle, instrument: int, start: int, end: int) -> int:
    """See `kernel.next_row`."""
    return kernel.next_row(books[0], rows_of(tape), instrument, start, end)


@entry
def move_cursor(books: Books, tape: TapeHandle, instrument: int, row: int) -> None:
    """See `kernel.move_cursor`."""
    kernel.move_cursor(books[0], rows_of(tape), instrument, row)


@entry
def apply_row(books: Books, tape: TapeHandle, events: EventRows, instrument: int, row: int) -> None:
    """See `kernel.apply_row`."""
    kernel.apply_row(books[0], rows_of(tape), events, instrument, row)


@entry
def run_until(books: Books, tape: TapeHandle, events: EventRows, instrument: int, end: int) -> int:
    """See `kernel.run_until`."""
    return kernel.run_until(books[0], rows_of(tape), events, instrument, end)


@entry
def run_to_time(books: Books, tape: TapeHandle, events: EventRows, until_ns: int) -> int:
    """Time goes by for an exchange of one instrument: rows, then expiries, up to `until_ns`.

    Stops at the first time at which a row publishes something and returns that time; returns
    MARGIN_CALL, in the middle of it, where somebody is to be liquidated. Call again afterwards.
    """
    book, instrument, rows = books[0], ZERO, rows_of(tape)
    while True:
        limit_ns = book["ts"] if book["event_count"] > 0 else until_ns
        end = last_row_at(rows, book["i_cursor"][instrument], limit_ns)
        kernel.run_until(book, rows, events, instrument, end)
        if book["margin_wake"]:
            if liquidation.is_anybody_short(book):
                return MARGIN_CALL
            book["margin_wake"] = 0
            book["interest_stale"] = 1
        elif book["i_cursor"][instrument] >= end and (
            book["event_count"] == 0 or limit_ns == book["ts"]
        ):
            break
    book["ts"] = limit_ns
    if book["next_expiry"] <= limit_ns:
        commands.expire_due(book, events)
        arrival.run_activations(book, rows, events, book["i_cursor"][instrument], instrument)
    refresh(book)
    return limit_ns


@entry
def halt(books: Books, events: EventRows, instrument: int, state: int, next_open: int) -> None:
    """See `status.halt`."""
    status.halt(books[0], events, instrument, state, next_open)


@entry
def resume(books: Books, events: EventRows, instrument: int, known_from: int) -> None:
    """See `status.resume`; the calendar opens the market."""
    status.resume(books[0], events, instrument, BY_CALENDAR, known_from)


@entry
def run_activations(
    books: Books, tape: TapeHandle, events: EventRows, row: int, instrument: int
) -> None:
    """See `arrival.run_activations`."""
    arrival.run_activations(books[0], rows_of(tape), events, row, instrument)


@entry
def place(
    books: Books, tape: TapeHandle, events: EventRows, row: int, records: CommandRows
) -> None:
    """See `commands.place`; the order is the first record."""
    commands.place(books[0], rows_of(tape), events, row, records[0])
    refresh(books[0])


@entry
def place_bracket(
    books: Books, tape: TapeHandle, events: EventRows, row: int, records: CommandRows
) -> None:
    """See `commands.place_bracket`; entry and exits are in the first record."""
    commands.place_bracket(books[0], rows_of(tape), events, row, records[0])
    refresh(books[0])


@entry
def place_oco(
    books: Books, tape: TapeHandle, events: EventRows, row: int, records: CommandRows
) -> None:
    """See `commands.place_oco`; the legs are the first two records."""
    commands.place_oco(books[0], rows_of(tape), events, row, records[0], records[1])
    refresh(books[0])


@entry
def replace(
    books: Books,
    tape: TapeHandle,
    events: EventRows,
    row: int,
    account: int,
    order_id: int,
    size: int,
    limit: int,
    stop: int,
    trail: int,
    ended_status: int,
) -> None:
    """See `replacing.replace`."""
    rows = rows_of(tape)
    replacing.replace(
        books[0], rows, events, row, account, order_id,
        size, limit, stop, trail, ended_status,
    )  # fmt: skip
    refresh(books[0])


@entry
def cancel(
    books: Books,
    tape: TapeHandle,
    events: EventRows,
    row: int,
    account: int,
    order_id: int,
    ended_status: int,
) -> None:
    """See `commands.cancel`."""
    commands.cancel(books[0], rows_of(tape), events, row, account, order_id, ended_status)
    refresh(books[0])


@entry
def expire_due(books: Books, events: EventRows) -> None:
    """See `commands.expire_due`."""
    commands.expire_due(books[0], events)


@entry
def next_short(books: Books, account: int) -> int:
    """See `liquidation.next_short`."""
    return liquidation.next_short(books[0], account)


@entry
def begin_liquidation(books: Books, events: EventRows, account: int, scope: int) -> None:
    """See `liquidation.begin_liquidation`."""
    liquidation.begin_liquidation(books[0], events, account, scope)


@entry
def liquidate(
    books: Books, tape: TapeHandle, events: EventRows, row: int, records: CommandRows
) -> None:
    """See `liquidation.liquidate`; the venue's order is the first record."""
    liquidation.liquidate(books[0], rows_of(tape), events, row, records[0])


@entry
def equity_nanos(books: Books, account: int) -> int:
    """See `account.equity_nanos`."""
    return money.equity_nanos(books[0], account)


@entry
def free_margin(books: Books, account: int) -> int:
    """See `account.free_margin`."""
    return money.free_margin(books[0], account)


@entry
def position_margin(books: Books, holding: int) -> int:
    """Initial margin of a position at its present value."""
    book = books[0]
    lots, notional = abs(book["p_position"][holding]), money.position_notional(book, holding)
    return money.initial_nanos(book, holding, lots, notional)


@entry
def isolated_equity(books: Books, holding: int) -> int:
    """See `account.isolated_equity`."""
    return money.isolated_equity(books[0], holding)


@entry
def deposit(books: Books, events: EventRows, account: int, nanos: int) -> None:
    """See `status.deposit`."""
    status.deposit(books[0], events, account, nanos)


@entry
def used_margin(books: Books, account: int) -> int:
    """See `account.used_margin`."""
    return money.used_margin(books[0], account)
