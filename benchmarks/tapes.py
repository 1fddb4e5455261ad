"""The benchmark's tape: one instrument, 80 % quotes and 20 % trades, any length, one seed.

The price is a random walk on MNQ's tick with a spread of one tick, sizes from 1 to 30 lots, a row
every 50 ms on average, all inside one long open session (the calendar is 24/7). Trades print at the
touch. Files are kept in `benchmarks/.tapes`, because making 20 million rows takes longer than most
of what is measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = Path(__file__).with_name(".tapes")
TICK = 0.25
START_NS = 1_704_153_600_000_000_000
PART_ROWS = 1 << 20


def tape_path(rows: int, seed: int = 7) -> Path:
    """The Parquet file of `rows` rows, made when it is not there."""
    path = FOLDER / f"ticks-{rows}-{seed}.parquet"
    if not path.exists():
        FOLDER.mkdir(exist_ok=True)
        partial = path.with_suffix(".partial")
        _write(partial, rows, seed)
        partial.replace(path)
    return path


def bars_path(bars: int = 345_000, seed: int = 11) -> Path:
    """The Parquet file of a year of one-minute bars, made when it is not there."""
    path = FOLDER / f"bars-{bars}-{seed}.parquet"
    if not path.exists():
        # Imported where tapes are made: what is measured starts without.
        import pyarrow as pa
        import pyarrow.parquet as pq

        FOLDER.mkdir(exist_ok=True)
        rng = np.random.default_rng(seed)
        close = 80_000 + np.cumsum(rng.integers(-12, 13, bars))
        opens = np.concatenate(([80_000], close[:-1]))
        columns = {
            "ts": START_NS + np.arange(bars) * 60_000_000_000,
            "open": opens * TICK,
            "high": (np.maximum(opens, close) + rng.integers(0, 9, bars)) * TICK,
            "low": (np.minimum(opens, close) - rng.integers(0, 9, bars)) * TICK,
            "close": close * TICK,
            "volume": rng.integers(1, 2_000, bars).astype(float),
        }
        partial = path.with_suffix(".partial")
        pq.write_table(pa.table(columns), partial, compression="snappy")
        partial.replace(path)
    return path


def _write(path: Path, rows: int, seed: int) -> None:
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)
    ts, bid, writer = START_NS, 80_000, None
    for start in range(0, rows, PART_ROWS):
        count = min(PART_ROWS, rows - start)
        table, ts, bid = _part(rng, count, ts, bid)
        if writer is None:
            writer = pq.ParquetWriter(path, table.schema, compression="snappy")
        writer.write_table(table)
    assert writer is not None, "a tape has at least one row"
    writer.close()


def _part(rng: np.random.Generator, count: int, ts: int, bid: int) -> tuple[pa.Table, int, int]:
    """The next rows, and time and bid at their end."""
    import pyarrow as pa

    gaps = rng.exponential(50e6, count).astype(np.int64) + 1
    times = ts + np.cumsum(gaps)
    is_trade = rng.random(count) < 0.2
    # A trade's row carries the book from after it; the price moves with quotes only.
    steps = np.where(is_trade | (rng.random(count) < 0.8), 0, rng.choice((-1, 1), count))
    bids = bid + np.cumsum(steps)
    sizes = rng.integers(1, 31, (3, count))
    side = rng.choice(np.array([-1, 1], dtype=np.int8), count)
    price = np.where(side > 0, bids + 1, bids) * TICK
    columns = {
        "ts": pa.array(times),
        "bid": pa.array(bids * TICK),
        "ask": pa.array((bids + 1) * TICK),
        "bid_size": pa.array(sizes[0].astype(float)),
        "ask_size": pa.array(sizes[1].astype(float)),
        "price": pa.array(price, mask=~is_trade),
        "size": pa.array(sizes[2].astype(float), mask=~is_trade),
        "side": pa.array(side, mask=~is_trade),
    }
    metadata = {b"papertape.bbo_of_trade": b"after"}
    table = pa.table(columns).replace_schema_metadata(metadata)
    return table, int(times[-1]), int(bids[-1])
