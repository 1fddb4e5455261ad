"""Files of any length: memory does not grow with the rows, and ids are never forgotten."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.seen import SeenIds

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
START = 1_700_000_000_000_000_000
PROGRAM = """
import sys
from decimal import Decimal
from pathlib import Path
from data.schema import TickGrid
from data.tape import open_tape
tape = open_tape(sys.argv[1], TickGrid("ES", Decimal("0.25"), Decimal(1)))
# Not ru_maxrss: a child begins with the figure of the process that started it.
status = Path("/proc/self/status").read_text().splitlines()
print(len(tape), next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


def write(path: Path, groups: int, group_rows: int, row_group_size: int) -> Path:
    """Quotes and trades with two ids each, in row groups."""
    rng = np.random.default_rng(1)
    writer = None
    for group in range(groups):
        numbers = np.arange(group * group_rows, (group + 1) * group_rows)
        bid = 4000 + rng.integers(0, 8, group_rows)
        trade = numbers % 5 == 0
        table = pa.table(
            {
                "ts": START + numbers,
                "bid": bid * 0.25,
                "ask": (bid + 1) * 0.25,
                "bid_size": rng.integers(1, 90, group_rows),
                "ask_size": rng.integers(1, 90, group_rows),
                "price": pa.array(bid * 0.25, mask=~trade),
                "size": pa.array(numbers % 7 + 1, mask=~trade),
                "side": pa.array(np.ones(group_rows, np.int8), mask=~trade),
                "sequence": numbers * 3,
                "trade_id": pa.array(numbers, mask=~trade),
            }
        )
        if writer is None:
            writer = pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=row_group_size)
    assert writer is not None
    writer.close()
    return path


def peak_kb(path: Path, rows: int) -> int:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PAPERTAPE_CACHE": str(path.parent)}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)],
        capture_output=True,
        check=True,
        env=environment,
        text=True,
    )
    kept, peak = map(int, run.stdout.split())
    assert rows * 0.99 < kept <= rows
    return peak


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    rows = 400_000
    few = peak_kb(write(tmp_path / "few.parquet", 1, rows, rows // 4), rows)
    many = peak_kb(write(tmp_path / "many.parquet", 6, rows, rows // 4), 6 * rows)
    one = peak_kb(write(tmp_path / "one.parquet", 1, 6 * rows, 6 * rows), 6 * rows)
    # The columns of 2 million rows more take 116 MB, two ids of each 32 MB.
    assert many < few + 40_000
    assert one < few + 40_000
    assert max(few, many, one) < 500_000


@pytest.mark.parametrize("seed", range(10))
def test_ids_seen_before_are_told_in_any_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    known: set[int] = set()
    ids = SeenIds()
    for _ in range(60):
        low = int(rng.integers(-50, 400))
        batch = rng.integers(low, low + 60, int(rng.integers(0, 12)))
        if rng.random() < 0.5:
            batch = np.unique(batch)
        wanted = []
        for number in batch.tolist():
            wanted.append(number not in known)
            known.add(number)
        assert ids.add(batch).tolist() == wanted
    ids.close()
