"""The short way through a batch gives what the long way gives, and takes none that has a fault."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_tapes import ES
from test_tape_faults import ROW_FAULTS

from broker_api.catalog import load_catalog
from data.check import FaultLog, check_columns
from data.decode import Chunk, decode, settle
from data.plain import PlainBatches
from data.schema import Grid, TapeError
from data.tape import columns_hash, tape_from_frame

START = 1_700_000_000_000_000_000
ROOT = Path(__file__).parents[2]
Columns = dict[str, Any]


def market(rows: int, seed: int) -> Columns:
    """Quotes and trades on the grid; null is where a quote has no trade."""
    rng = np.random.default_rng(seed)
    bid = 400 + np.cumsum(rng.integers(-1, 2, rows))
    trade = rng.random(rows) < 0.3
    trade[0] = True
    sizes = rng.integers(1, 4, (3, rows)).astype(float)
    return {
        "ts": pa.array(START + np.cumsum(rng.integers(0, 5, rows))),
        "bid": pa.array(bid * 0.25),
        "ask": pa.array((bid + 1) * 0.25),
        "bid_size": pa.array(sizes[0]),
        "ask_size": pa.array(sizes[1]),
        "price": pa.array(bid * 0.25, mask=~trade),
        "size": pa.array(sizes[2], mask=~trade),
        "side": pa.array(rng.choice([-1, 0, 1], rows).astype(np.int8), mask=~trade),
    }


def without_nulls(columns: Columns) -> Columns:
    """As pandas writes it: NaN for a price that is not there, 0 for the rest."""
    price = columns["price"].to_numpy(zero_copy_only=False)
    return {
        **columns,
        "price": price,
        "size": columns["size"].fill_null(0),
        "side": columns["side"].fill_null(0),
    }


def one_sided(columns: Columns) -> Columns:
    rng, rows = np.random.default_rng(1), len(columns["ts"])
    gone = rng.random(rows) < 0.1
    bids, lots = columns["bid"].to_numpy(), columns["bid_size"].to_numpy().copy()
    lots[gone] = 0
    return {**columns, "bid": pa.array(bids, mask=gone), "bid_size": pa.array(lots)}


def silent_trades(columns: Columns) -> Columns:
    known = columns["price"].is_valid().to_numpy(zero_copy_only=False)
    return {
        name: pa.array(column.to_numpy(), mask=known) if "bid" in name or "ask" in name else column
        for name, column in columns.items()
    }


def only(*names: str) -> Callable[[Columns], Columns]:
    return lambda columns: {name: columns[name] for name in names}


def trades(columns: Columns) -> Columns:
    known = columns["price"].is_valid()
    names = ("ts", "price", "size", "side")
    return {name: columns[name].filter(known) for name in names}


def with_kinds(columns: Columns) -> Columns:
    known = columns["price"].is_valid().to_pylist()
    kinds = ["trade" if traded else "quote" for traded in known]
    return {**columns, "kind": [None if row % 5 == 0 else kind for row, kind in enumerate(kinds)]}


def with_ids(columns: Columns) -> Columns:
    rows = len(columns["ts"])
    numbers = np.arange(rows)
    return {
        **columns,
        "sequence": pa.array(numbers),
        "trade_id": pa.array(numbers, mask=numbers % 3 > 0),
    }


def whole_numbers(columns: Columns) -> Columns:
    ints = {name: columns[name].cast(pa.int32()) for name in ("bid_size", "ask_size", "size")}
    return {**columns, **ints}


SHAPES = {
    "nulls": dict, "no nulls": without_nulls, "one-sided": one_sided,
    "silent trades": silent_trades, "trades": trades,
    "quotes": only("ts", "bid", "ask", "bid_size", "ask_size"),
    "kinds": with_kinds, "ids": with_ids, "integers": whole_numbers,
}  # fmt: skip


def long_way(batch: pa.RecordBatch, grid: Grid) -> tuple[Chunk, FaultLog]:
    layout = check_columns(batch.schema, "batch")
    log = FaultLog("batch", strict=False)
    return settle(decode(batch, layout, 7, "batch"), grid, layout, log), log


def short_way(batch: pa.RecordBatch, grid: Grid) -> Chunk | None:
    return PlainBatches(check_columns(batch.schema, "batch"), grid).chunk(batch, 7)


def same(first: Chunk, second: Chunk) -> bool:
    arrays = [
        [
            chunk.rows,
            *chunk.columns,
            chunk.unstated,
            *(part for pair in chunk.ids.values() for part in pair),
        ]
        for chunk in (first, second)
    ]
    return all(
        one.dtype == other.dtype and np.array_equal(one, other)
        for one, other in zip(*arrays, strict=True)
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("grid", [ES, load_catalog()["ES"]], ids=["bare", "catalogue"])
def test_both_ways_give_the_same_rows(shape: str, grid: Grid) -> None:
    for seed in range(5):
        table = pa.table(SHAPES[shape](market(1000, seed)))
        whole = table.to_batches()[0]
        # A slice starts inside a byte of the validity bits.
        for batch in (whole, whole.slice(13, 700)):
            found = short_way(batch, grid)
            wanted, log = long_way(batch, grid)
            assert found is not None
            assert log.counts == {}
            assert same(found, wanted)


def spoiled(columns: Columns, rng: np.random.Generator) -> Columns:
    """One cell of a row changed to something that may or may not be right."""
    name = str(rng.choice([name for name in columns if name != "kind"]))
    values = pa.array(columns[name]).to_pylist()
    row = int(rng.integers(0, len(values)))
    choices: list[Any] = [None, 0, -1, 1, 2, 1 << 41]
    if name in ("ts", "sequence", "trade_id"):
        choices += [START, 1 << 62]
    elif name != "side":
        choices += [float("nan"), float("inf"), 0.1, 100.3, 1e12, 3e11, -100.0, 100.0, 1e-7]
    values[row] = choices[int(rng.integers(0, len(choices)))]
    kind = pa.array(columns[name]).type
    kind = pa.float64() if name.endswith("size") else pa.int64() if name == "side" else kind
    return {**columns, name: pa.array(values, kind)}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_one_way_accepts_the_other_accepts_alike(shape: str) -> None:
    rng = np.random.default_rng(5)
    taken = 0
    for seed in range(150):
        batch = pa.table(spoiled(SHAPES[shape](market(40, seed)), rng)).to_batches()[0]
        found = short_way(batch, load_catalog()["ES"])
        if found is not None:
            wanted, log = long_way(batch, load_catalog()["ES"])
            assert log.counts == {}, batch.to_pydict()
            assert same(found, wanted)
            taken += 1
    assert 10 < taken < 140


NEIGHBOURS = {"ts", "sequence", "trade_id"}
"""Columns whose faults are of a row and those before it, which no way through a batch sees."""


@pytest.mark.parametrize("fault", [fault for fault in ROW_FAULTS if fault[2] not in NEIGHBOURS])
def test_a_batch_with_a_fault_goes_the_long_way(fault: Any) -> None:
    assert short_way(pa.table(fault[0]).to_batches()[0], ES) is None


def test_a_tape_is_the_same_whichever_way_its_batches_went(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = pa.table(market(5000, 3))
    monkeypatch.setattr("data.reading.BATCH_ROWS", 64)
    short = tape_from_frame(table, ES)
    monkeypatch.setattr(PlainBatches, "chunk", lambda *_: None)
    long = tape_from_frame(table, ES)
    assert columns_hash(short.columns) == columns_hash(long.columns)
    assert short.notes == long.notes
    assert any("repeated quotes" in note for note in short.notes)


def test_sorting_keeps_rows_of_many_batches_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.reading.BATCH_ROWS", 50)
    columns = market(1000, 4)
    wanted = tape_from_frame(columns, ES)
    backwards = pa.table(columns).take(pa.array(range(999, -1, -1)))
    times = pa.array(range(START + 1000, START, -1))
    found = tape_from_frame(backwards.set_column(0, "ts", times), ES, sort=True)
    assert found.columns.bid_qty.tolist()[:100] == wanted.columns.bid_qty.tolist()[:100]
    with pytest.raises(TapeError, match="time runs backwards"):
        tape_from_frame(backwards.set_column(0, "ts", times), ES)


def test_reading_a_tape_imports_neither_pandas_nor_arrows_functions(tmp_path: Path) -> None:
    for number, shape in enumerate(("nulls", "no nulls", "integers", "ids", "silent trades")):
        columns = {name: pa.array(column) for name, column in SHAPES[shape](market(500, 1)).items()}
        pq.write_table(pa.table(columns), tmp_path / f"{number}.parquet")
    program = (
        "import sys; from decimal import Decimal; from pathlib import Path\n"
        "from data.schema import TickGrid; from data.tape import open_tape\n"
        "for path in sorted(Path(sys.argv[1]).glob('*.parquet')):\n"
        "    open_tape(path, TickGrid('ES', Decimal('0.25'), Decimal(1)))\n"
        "print([name for name in ('pandas', 'pyarrow.compute') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        check=True,
        env=environment,
        text=True,
    )
    assert run.stdout == "[]\n"
