"""The block index and the facts of a tape: what a plain look at all rows says, part by part too."""

from __future__ import annotations

import numpy as np
import pytest

from data.index import (
    ASK_MAX,
    ASK_MIN,
    BID_MAX,
    BID_MIN,
    BLOCK,
    HAS_STATUS,
    PX_MAX,
    PX_MIN,
)
from data.schema import RowKind, TapeColumns
from data.summary import IndexBuilder, build_index, contents_of

LENGTHS = [1, 2, 63, 64, 65, 127, 128, 4095, 4096, 4097, 4160, 8193, 64**3 + 1]


def random_columns(rows: int, seed: int) -> TapeColumns:
    rng = np.random.default_rng(seed)
    shares = np.array([500, 100, *[1] * 10]) / 610
    kind = rng.choice(len(RowKind), rows, p=shares).astype(np.int8)
    bid = 1000 + np.cumsum(rng.integers(-1, 2, rows))
    qty = rng.integers(1, 9, rows)
    return TapeColumns(
        np.arange(rows), kind, np.zeros(rows, np.int8), bid + rng.integers(-3, 4, rows), qty,
        bid, bid + rng.integers(1, 3, rows), qty.copy(), qty.copy(),
    )  # fmt: skip


def brute_force(columns: TapeColumns) -> list[list[int]]:
    """Every block of every level, from its own rows."""
    rows, size, table = len(columns.ts), BLOCK, []
    while True:
        for start in range(0, rows, size):
            part = TapeColumns._make(column[start : start + size] for column in columns)
            trades = part.px[part.kind == RowKind.TRADE].tolist()
            line = [0] * 7
            line[BID_MIN], line[BID_MAX] = int(part.bid.min()), int(part.bid.max())
            line[ASK_MIN], line[ASK_MAX] = int(part.ask.min()), int(part.ask.max())
            line[PX_MIN] = min(trades, default=(1 << 63) - 1)
            line[PX_MAX] = max(trades, default=-(1 << 63) + 1)
            line[HAS_STATUS] = int((part.kind >= RowKind.OPEN).any())
            table.append(line)
        if size >= rows:
            return table
        size *= BLOCK


@pytest.mark.parametrize("rows", LENGTHS)
def test_the_index_says_of_each_block_what_its_rows_say(rows: int) -> None:
    columns = random_columns(rows, seed=rows)
    assert build_index(columns).tolist() == brute_force(columns)


@pytest.mark.parametrize("seed", range(20))
def test_how_the_rows_were_cut_makes_no_difference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns = random_columns(int(rng.choice(LENGTHS[:-1])), seed)
    builder, tables, start = IndexBuilder(), [], 0
    while start < len(columns.ts):
        end = start + int(rng.choice([0, 1, 3, 63, 64, 65, 1000, 4096]))
        tables.append(builder.add(TapeColumns._make(column[start:end] for column in columns)))
        start = end
    whole = np.concatenate([*tables, builder.finish()])
    assert np.array_equal(whole, build_index(columns))


@pytest.mark.parametrize("kinds", [2, len(RowKind)])
def test_contents_count_the_rows_of_each_kind(kinds: int) -> None:
    columns = random_columns(5000, 3) if kinds > 2 else quotes_and_trades()
    found = contents_of(columns)
    listed = columns.kind.tolist()
    assert list(found.kinds) == [listed.count(kind) for kind in RowKind]
    assert found.has_quotes
    empty = np.zeros_like(columns.qty)
    assert not contents_of(columns._replace(bid_qty=empty, ask_qty=empty)).has_quotes
    assert contents_of(columns._replace(bid_qty=empty)).has_quotes


def quotes_and_trades() -> TapeColumns:
    columns = random_columns(5000, 3)
    return columns._replace(kind=(columns.kind == RowKind.TRADE).astype(np.int8))
