"""Recorded markets as tapes. Runs where the files are."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_tapes import ES

from data.bars import bars_from_tape
from data.describe import describe
from data.schema import NANO, RowKind, TickGrid
from data.tape import Tape, check_file, open_tape

BTC = TickGrid("BTC", Decimal("0.1"), Decimal("0.001"))
FILES = [("es_20231225_l1.parquet", ES), ("btcusdt_20240808_l1.parquet", BTC)]

pytestmark = pytest.mark.realdata


def opened(path: Path, grid: TickGrid, cache: Path) -> Tape:
    return open_tape(path, grid, cache_dir=cache)


@pytest.mark.parametrize(("name", "grid"), FILES)
def test_every_decimal_comes_back(
    name: str, grid: TickGrid, recorded: Path, tmp_path: Path
) -> None:
    tape = opened(recorded / name, grid, tmp_path)
    table = pq.read_table(recorded / name)
    tick, lot = float(grid.tick_size), float(grid.lot_size)
    assert len(tape) == table.num_rows
    pairs = [("bid", "bid", tick), ("ask", "ask", tick), ("bid_qty", "bid_size", lot)]
    for mine, theirs, step in [*pairs, ("ask_qty", "ask_size", lot), ("qty", "size", lot)]:
        wanted = table.column(theirs).to_numpy().astype(float)
        assert np.allclose(getattr(tape.columns, mine) * step, wanted, rtol=1e-12, atol=1e-9)
    assert tape.columns.ts.tolist() == table.column("ts").to_pylist()
    trade = tape.columns.kind == RowKind.TRADE
    prices = table.column("price").drop_null().to_numpy()
    assert np.allclose(tape.columns.px[trade] * tick, prices, rtol=1e-12)


@pytest.mark.parametrize(("name", "grid"), FILES)
def test_recorded_tapes_are_good(name: str, grid: TickGrid, recorded: Path) -> None:
    assert check_file(recorded / name, grid).ok


def test_the_es_tapes_book_is_from_after_its_trades(recorded: Path, tmp_path: Path) -> None:
    tape = opened(recorded / FILES[0][0], ES, tmp_path)
    assert tape.bbo_after_trade
    assert tape.notes == (
        "bbo_of_trade: after, measured (2,767 of 2,947 prints at the touch are already taken off "
        "their own row's BBO)",
    )


def test_the_btc_tapes_book_is_from_before_its_trades(recorded: Path, tmp_path: Path) -> None:
    tape = opened(recorded / FILES[1][0], BTC, tmp_path)
    assert not tape.bbo_after_trade
    assert "before, measured (0 of 10,763" in tape.notes[0]
    # The trades come late: many are beyond the book of their row. They are real, and are kept.
    assert describe(tape).prints_outside == 9_594


def test_identical_prints_are_kept(recorded: Path, tmp_path: Path) -> None:
    columns = opened(recorded / FILES[0][0], ES, tmp_path).columns
    same = np.logical_and.reduce([column[1:] == column[:-1] for column in columns])
    assert same.sum() == 36


def test_bars_hold_all_trades(recorded: Path, tmp_path: Path) -> None:
    tape = opened(recorded / FILES[0][0], ES, tmp_path)
    bars = bars_from_tape(tape, 60 * NANO)
    assert len(bars.ts) == 60
    assert (bars.trades.sum(), bars.volume.sum()) == (2_972, 9_848)
