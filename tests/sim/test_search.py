"""Searches through the block index find what a look at every row finds."""

from __future__ import annotations

import numpy as np
import pytest

from data.index import TapeRows
from data.schema import EMPTY_ASK, EMPTY_BID, RowKind, TapeColumns
from data.summary import build_index
from sim.book import NO_PRICE, entry
from sim.search import last_row_showing, last_trade_row, next_hit

ROWS = [1, 63, 64, 65, 4096, 4097, 2 * 64**3 + 65]
"""The longest has four levels, so that a search climbs three of them."""
NEVER_LE, NEVER_GE = -(1 << 62) - 1, (1 << 62) + 1


@entry
def find(tape, start, end, at):
    return next_hit(tape, start, end, at[0], at[1], at[2], at[3], at[4], at[5])


@entry
def newest_trade(tape, row, first):
    return last_trade_row(tape, row, first)


@entry
def newest_showing(tape, row, first, sign, price):
    return last_row_showing(tape, row, first, sign, price)


def random_rows(rows: int) -> TapeRows:
    """A slow walk with rare trades, rarer statuses, and stretches without a bid or an ask."""
    rng = np.random.default_rng(rows)
    kind = np.where(rng.random(rows) < 0.002, RowKind.TRADE, RowKind.QUOTE).astype(np.int8)
    kind[rng.random(rows) < 3 / max(rows, 1000)] = RowKind.HALT
    walk = 1000 + np.cumsum(np.where(rng.random(rows) < 0.05, rng.choice([-1, 1], rows), 0))
    bid_qty, ask_qty = rng.integers(1, 9, (2, rows))
    gone = rng.random(rows) < 0.01
    bid_qty[gone] = 0
    bid, ask = np.where(gone, EMPTY_BID, walk), walk + 1
    columns = TapeColumns(
        np.arange(rows), kind, np.zeros(rows, np.int8), walk, bid_qty, bid, ask, bid_qty, ask_qty
    )
    assert ask.max() < EMPTY_ASK
    return TapeRows(*columns, build_index(columns))


def scan(tape: TapeRows, start: int, end: int, at: tuple[int, ...]) -> int:
    bid_le, bid_ge, ask_le, ask_ge, last_le, last_ge = at
    part = TapeColumns._make(column[start : end + 1] for column in tape[:-1])
    hit = part.kind >= RowKind.OPEN
    hit |= (part.kind == RowKind.TRADE) & ((part.px <= last_le) | (part.px >= last_ge))
    hit |= (part.bid <= bid_le) | (part.bid >= bid_ge) | (part.ask <= ask_le) | (part.ask >= ask_ge)
    return start + int(np.argmax(hit)) if hit.any() else end + 1


@pytest.fixture(scope="module", params=ROWS)
def tape(request: pytest.FixtureRequest) -> TapeRows:
    return random_rows(request.param)


def draws(tape: TapeRows, count: int) -> list[tuple[np.random.Generator, int, int]]:
    """A generator, and a first and a last row: any two, or the whole tape."""
    rng, rows = np.random.default_rng(len(tape.ts) + 1), len(tape.ts)
    pairs = [sorted(rng.integers(0, rows, 2).tolist()) for _ in range(count)]
    return [(rng, *pair) for pair in [[0, rows - 1], *pairs]]


def test_the_next_hit_is_the_first_row_that_a_scan_finds(tape: TapeRows) -> None:
    never = (EMPTY_BID - 1, NEVER_GE, NEVER_LE, NEVER_GE, NEVER_LE, NEVER_GE)
    quiet = tape._replace(kind=np.minimum(tape.kind, RowKind.TRADE))
    columns = TapeColumns._make(quiet[:-1])
    quiet = quiet._replace(blocks=build_index(columns))
    low, high = int(tape.ask.min()), int(tape.ask.max())
    for rng, start, end in draws(tape, 60):
        at = list(never)
        place = int(rng.integers(0, 6))
        # Beyond nearly all of the tape, so that jumps are long.
        distance = int(rng.integers(-3, (high - low) // 8 + 2))
        at[place] = low + distance if place % 2 == 0 else high - distance
        for searched in (tape, quiet):
            wanted = scan(searched, start, end, tuple(at))
            assert find(searched, start, end, np.array(at)) == wanted
            plain = searched._replace(blocks=searched.blocks[:0])
            assert find(plain, end, end, np.array(at)) == scan(searched, end, end, tuple(at))
    assert find(quiet, 0, len(tape.ts) - 1, np.array(never)) == len(tape.ts)


def test_the_newest_trade_is_the_last_that_a_scan_finds(tape: TapeRows) -> None:
    rare = np.where(np.arange(len(tape.ts)) % 9973 == 70, tape.kind, RowKind.QUOTE).astype(np.int8)
    rare[70 :: 64 * 64 * 9] = RowKind.TRADE
    sparse = tape._replace(kind=rare)
    sparse = sparse._replace(blocks=build_index(TapeColumns._make(sparse[:-1])))
    for _, first, row in draws(tape, 60):
        for searched in (tape, sparse):
            trades = np.flatnonzero(searched.kind[first : row + 1] == RowKind.TRADE)
            wanted = first + int(trades[-1]) if len(trades) else first - 1
            assert newest_trade(searched, row, first) == wanted


@pytest.mark.parametrize("sign", [1, -1])
def test_the_newest_row_that_shows_a_price_is_the_last_that_a_scan_finds(
    tape: TapeRows, sign: int
) -> None:
    touch, lots = (tape.bid, tape.bid_qty) if sign > 0 else (tape.ask, tape.ask_qty)
    shown = touch[touch != EMPTY_BID]
    low, high = int(shown.min()), int(shown.max())
    for rng, first, row in draws(tape, 60):
        price = int(rng.choice([low, high, low - 1, high + 1, int(rng.integers(low, high + 1))]))
        part = slice(first, row + 1)
        found = np.flatnonzero((touch[part] == price) & (lots[part] > 0))
        wanted = first + int(found[-1]) if len(found) else first - 1
        assert newest_showing(tape, row, first, sign, price) == wanted
    nowhere = newest_showing(tape, len(tape.ts) - 1, 0, sign, NO_PRICE + 1)
    assert nowhere == -1
