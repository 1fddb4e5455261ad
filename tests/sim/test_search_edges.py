"""Searches through the block index miss nothing at the edges of its blocks, on any level.

Without arguments, so that the wrong rules of `tests/differential` may be shown to them;
`test_search.py` compares random rows with a scan.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from data.index import BLOCK, TapeRows
from data.schema import COLUMN_TYPES, IntColumn, RowKind, TapeColumns
from data.summary import build_index
from sim.book import entry
from sim.search import last_row_showing, last_trade_row, next_hit

ROWS = BLOCK**2 + 3 * BLOCK + 5
"""Two levels of blocks and the top: the last block of each is not full."""
NEVER, BELOW = 1 << 62, -(1 << 62)
PLACES = (0, 1, BLOCK - 1, BLOCK, 5 * BLOCK - 1, BLOCK**2 - 1, BLOCK**2, BLOCK**2 + 70, ROWS - 1)
"""The first and last rows of blocks of both levels, and some between."""


@entry
def find_hit(tape: TapeRows, start: int, end: int, wanted: IntColumn) -> int:
    """The search as Python may call it; thresholds in the order of its arguments."""
    return next_hit(
        tape, start, end, wanted[0], wanted[1], wanted[2], wanted[3], wanted[4], wanted[5]
    )


@entry
def find_trade(tape: TapeRows, row: int, first: int) -> int:
    """Likewise."""
    return last_trade_row(tape, row, first)


@entry
def find_showing(tape: TapeRows, row: int, first: int, sign: int, price: int) -> int:
    """Likewise."""
    return last_row_showing(tape, row, first, sign, price)


def quiet_columns() -> TapeColumns:
    """Quotes of 90 to 110 and nothing else."""
    columns = {name: np.zeros(ROWS, dtype=dtype) for name, dtype in COLUMN_TYPES.items()}
    columns["ts"][:] = np.arange(ROWS)
    columns["bid"][:], columns["ask"][:] = 90, 110
    columns["bid_qty"][:] = columns["ask_qty"][:] = 3
    return TapeColumns(**columns)


def rows_of(columns: TapeColumns) -> TapeRows:
    """With its index; the searches must not need it."""
    return TapeRows(*columns, build_index(columns))


def without_index(tape: TapeRows) -> TapeRows:
    """The same rows, which are now searched one by one."""
    return tape._replace(blocks=tape.blocks[:0].copy())


def put(name: str, value: int) -> Callable[[TapeColumns, int], None]:
    """Writes `value` into one column at a row."""

    def write(columns: TapeColumns, row: int) -> None:
        getattr(columns, name)[row] = value

    return write


def print_at(price: int) -> Callable[[TapeColumns, int], None]:
    """A trade at a row."""

    def write(columns: TapeColumns, row: int) -> None:
        columns.kind[row], columns.px[row], columns.qty[row] = RowKind.TRADE, price, 1

    return write


WANTED = {
    "bid_le": (95 - 15, put("bid", 80)),
    "bid_ge": (100, put("bid", 100)),
    "ask_le": (100, put("ask", 100)),
    "ask_ge": (120, put("ask", 120)),
    "last_le": (95, print_at(95)),
    "last_ge": (105, print_at(105)),
}
"""By the threshold: its price, and a row that is just at it."""
NAMES = tuple(WANTED)
NONE_WANTED = dict(zip(NAMES, (BELOW, NEVER) * 3, strict=True))


def hits(tape: TapeRows, start: int, end: int, wanted: dict[str, int]) -> tuple[int, int]:
    """What is found with the index and without it."""
    thresholds = np.array([wanted[name] for name in NAMES])
    return (
        find_hit(tape, start, end, thresholds),
        find_hit(without_index(tape), start, end, thresholds),
    )


def test_the_next_row_at_a_price_is_found_wherever_it_lies() -> None:
    for name in NAMES:
        for place in PLACES:
            check_found(name, place)


def check_found(name: str, place: int) -> None:
    """The row at `place` is the one at the threshold; a tick further there is none."""
    price, write = WANTED[name]
    columns = quiet_columns()
    write(columns, place)
    tape = rows_of(columns)
    wanted = NONE_WANTED | {name: price}
    for start in {0, min(place, 1), min(place, BLOCK), place}:
        assert hits(tape, start, ROWS - 1, wanted) == (place, place)
    assert hits(tape, 0, place - 1, wanted) == (place, place), "none: the row behind the end"
    beyond = price - 1 if name.endswith("le") else price + 1
    missed = NONE_WANTED | {name: beyond}
    assert hits(tape, 0, ROWS - 1, missed) == (ROWS, ROWS)


def test_a_row_with_a_status_is_always_met() -> None:
    for place in PLACES:
        columns = quiet_columns()
        columns.kind[place] = RowKind.HALT
        assert hits(rows_of(columns), 0, ROWS - 1, NONE_WANTED) == (place, place)


def test_the_newest_print_is_found_from_wherever_one_looks() -> None:
    for place in PLACES:
        check_newest_print(place)


def check_newest_print(place: int) -> None:
    """The one print of the tape, looked for from rows around it."""
    columns = quiet_columns()
    print_at(100)(columns, place)
    tape = rows_of(columns)
    for row in {place, min(ROWS - 1, place | (BLOCK - 1)), BLOCK**2 - 1, ROWS - 1}:
        expected = place if place <= row else -1
        assert find_trade(tape, row, 0) == expected
        assert find_trade(without_index(tape), row, 0) == expected
        assert find_trade(tape, row, place + 1) == place, "none from the row behind it on"


def test_the_newest_row_that_showed_a_price_is_found() -> None:
    for sign in (1, -1):
        for place in PLACES:
            check_newest_showing(place, sign)


def check_newest_showing(place: int, sign: int) -> None:
    """The one row at a price; an empty side at that price shows nothing."""
    side, price, lots = ("bid", 92, "bid_qty") if sign > 0 else ("ask", 108, "ask_qty")
    columns = quiet_columns()
    getattr(columns, side)[place] = price
    tape = rows_of(columns)
    for row in {place, min(ROWS - 1, place | (BLOCK - 1)), ROWS - 1}:
        assert find_showing(tape, row, 0, sign, price) == place
        assert find_showing(without_index(tape), row, 0, sign, price) == place
        assert find_showing(tape, row, 0, sign, price + sign) == -1
    getattr(columns, lots)[place] = 0
    assert find_showing(rows_of(columns), ROWS - 1, 0, sign, price) == -1
