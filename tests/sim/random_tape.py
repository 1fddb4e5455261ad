"""A random tape in memory for tests of handlers: long, with rows of one time and empty sides."""

from __future__ import annotations

import numpy as np

from data.schema import COLUMN_TYPES, RowKind, TapeColumns
from data.tape import Tape

MS = 1_000_000
START_NS = 1_704_189_600_000_000_000


def make_tape(
    symbol: str,
    bid_ticks: int,
    rows: int,
    *,
    seed: int = 1,
    gaps_ms: tuple[int, ...] = (0, 1, 40),
    start_ns: int = START_NS,
) -> Tape:
    """Quotes and trades on a random walk, some of one time, a side now and then empty."""
    rng = np.random.default_rng(seed)
    ts = start_ns + np.cumsum(rng.choice(gaps_ms, rows)) * MS
    kind = np.where(rng.random(rows) < 0.2, RowKind.TRADE, RowKind.QUOTE)
    bid = bid_ticks + np.cumsum(rng.choice((-1, 0, 0, 0, 1), rows))
    side = np.where(kind == RowKind.TRADE, rng.choice((-1, 0, 1), rows), 0)
    sizes = rng.integers(1, 30, (3, rows))
    values = {
        "ts": ts,
        "kind": kind,
        "side": side,
        "px": np.where(kind == RowKind.TRADE, np.where(side < 0, bid, bid + 1), 0),
        "qty": np.where(kind == RowKind.TRADE, sizes[0], 0),
        "bid": bid,
        "ask": bid + 1,
        "bid_qty": sizes[1],
        "ask_qty": np.where(rng.random(rows) < 0.01, 0, sizes[2]),
    }
    columns = TapeColumns(*(values[name].astype(t) for name, t in COLUMN_TYPES.items()))
    return Tape(columns, symbol, "memory", "", True)
