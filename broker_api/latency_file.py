"""Files of measured latencies: Parquet with a column of milliseconds, and maybe one of times."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from broker_api.latency import LATENCY_MS_MAX, NS_OF_MS, LatencySamples


def read_latencies(file: str, column: str, wanted: str | None) -> tuple[str, LatencySamples]:
    """The file's hash and what it holds. Raises ValueError that names file, row and value."""
    try:
        content = Path(file).read_bytes()
    except OSError as fault:
        raise ValueError(f"{file}: cannot be read ({fault.strerror})") from None
    digest = hashlib.sha256(content).hexdigest()
    if wanted is not None and digest != wanted:
        raise ValueError(
            f"{file}: its content is another than was named (sha256 {digest[:12]}, "
            f"named was {wanted[:12]})"
        )
    try:
        table = pq.read_table(pa.BufferReader(content))
    except pa.ArrowException as fault:
        reason = str(fault).splitlines()[0]
        raise ValueError(f"{file}: is no Parquet file ({reason})") from None
    names = table.column_names
    if column not in names:
        raise ValueError(f"{file}: has no column {column!r}; it has {', '.join(names)}")
    if table.num_rows == 0:
        raise ValueError(f"{file}: has no rows")
    latency = _latencies(table.column(column), file, column)
    return digest, LatencySamples(_times(table, file) if "ts" in names else None, latency)


def _latencies(values: pa.ChunkedArray[Any], file: str, column: str) -> npt.NDArray[np.int64]:
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise ValueError(f"{file}: column {column} is of type {values.type}, not of numbers")
    found = np.asarray(values.cast(pa.float64()).to_numpy(), dtype=np.float64)
    bad = np.flatnonzero(~((found >= 0) & (found <= LATENCY_MS_MAX)))
    if len(bad):
        row = int(bad[0])
        raise ValueError(
            f"{file}: row {row}, column {column}, value {found[row]:g}: "
            f"is no latency from 0 to {LATENCY_MS_MAX:.0f} ms"
        )
    return np.rint(found * NS_OF_MS).astype(np.int64)


def _times(table: pa.Table, file: str) -> npt.NDArray[np.int64]:
    values = table.column("ts")
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp("ns", tz=values.type.tz)).cast(pa.int64())
    if not pa.types.is_int64(values.type):
        raise ValueError(f"{file}: column ts is of type {values.type}, not int64 or a timestamp")
    if values.null_count:
        raise ValueError(f"{file}: column ts has {values.null_count} missing times")
    times = np.asarray(values.to_numpy(), dtype=np.int64)
    back = np.flatnonzero(times[1:] < times[:-1])
    if len(back):
        row = int(back[0]) + 1
        raise ValueError(f"{file}: row {row}, column ts, value {times[row]}: time runs backwards")
    return times
