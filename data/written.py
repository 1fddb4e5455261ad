"""A tape as a canonical Parquet table: what was recorded becomes a file that any run can read."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from data.schema import BBO_KEY, FILE_KINDS, NANO, Grid, IntColumn, Mask, RowKind
from data.tape import Tape

_NAMES = {int(kind): name for name, kind in FILE_KINDS.items()}


def table_of(tape: Tape, grid: Grid) -> pa.Table:
    """The tape's rows with prices and sizes as decimals have them; `open_tape` is the inverse.

    Rows of single orders and of levels are not written: raises ValueError for a tape that has any.
    """
    columns = tape.columns
    kind = columns.kind
    if len(kind) and ((kind >= RowKind.LEVEL) & (kind <= RowKind.EXEC)).any():
        raise ValueError(f"{tape.symbol}: rows of levels and single orders are not written")
    trade, rate = kind == RowKind.TRADE, kind == RowKind.FUNDING
    priced = trade | rate | (kind == RowKind.MARK)
    fine = priced & ~trade
    price = np.where(fine, columns.px / NANO, decimals(columns.px, grid.tick_size))
    table: dict[str, Any] = {
        "ts": pa.array(columns.ts),
        "bid": _touch(columns.bid, columns.bid_qty, grid),
        "ask": _touch(columns.ask, columns.ask_qty, grid),
        "bid_size": pa.array(decimals(columns.bid_qty, grid.lot_size)),
        "ask_size": pa.array(decimals(columns.ask_qty, grid.lot_size)),
        "price": _shown(price, priced),
        "size": pa.array(decimals(np.where(trade, columns.qty, 0), grid.lot_size)),
        "side": pa.array(columns.side),
    }
    if fine.any() or bool((kind > RowKind.TRADE).any()):
        table["kind"] = pa.array([_NAMES[each] for each in kind.tolist()])
        table["rate"] = _shown(columns.qty / NANO, rate)
    bbo = b"after" if tape.bbo_after_trade else b"before"
    return pa.table(table).replace_schema_metadata({BBO_KEY: bbo})


def _touch(ticks: IntColumn, lots: IntColumn, grid: Grid) -> pa.Array[Any]:
    has_any = lots > 0
    return _shown(decimals(np.where(has_any, ticks, 0), grid.tick_size), has_any)


def decimals(steps: IntColumn, step: Decimal) -> npt.NDArray[np.float64]:
    """Steps as the floats nearest to their decimals: a quotient of integers, rounded once."""
    top, bottom = step.as_integer_ratio()
    return np.asarray(steps * top / bottom, dtype=np.float64)


def _shown(values: npt.NDArray[np.float64], where: Mask) -> pa.Array[Any]:
    return pa.array(values, mask=~where)


def write_tape(table: pa.Table, path: Path) -> None:
    """Write a table as a Parquet file; it appears whole or not at all."""
    dictionary: Any = [name for name in table.column_names if name != "ts"]
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        pq.write_table(
            table,
            unfinished,
            compression="zstd",
            compression_level=12,
            use_dictionary=dictionary,
            column_encoding={"ts": "DELTA_BINARY_PACKED"},
            row_group_size=1 << 20,
        )
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
