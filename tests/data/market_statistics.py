"""Statistics of a tape that the generator is calibrated on; docs/synthetic.md shows them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from data.schema import NANO, RowKind
from data.tape import Tape

Floats = npt.NDArray[np.float64]


def correlation(values: npt.NDArray[np.generic], lag: int) -> float:
    """Autocorrelation at a lag."""
    return float(np.corrcoef(values[:-lag], values[lag:])[0, 1])


def statistics(tape: Tape) -> dict[str, float]:
    """The numbers by name."""
    columns = tape.columns
    trade = columns.kind == RowKind.TRADE
    spread = columns.ask - columns.bid
    gaps = np.diff(columns.ts)
    sizes, signs = columns.qty[trade], columns.side[trade].astype(np.int64)
    moved = (np.diff(columns.bid) != 0) | (np.diff(columns.ask) != 0)
    grid = np.arange(columns.ts[0], columns.ts[-1], NANO)
    rows = np.searchsorted(columns.ts, grid, side="right") - 1
    moves = np.diff((columns.bid[rows] + columns.ask[rows]) / 2)
    counts = np.bincount((columns.ts - columns.ts[0]) // NANO)
    return {
        "trades among rows": float(trade.mean()),
        "spread of one tick": float((spread == 1).mean()),
        "spread over two ticks": float((spread > 2).mean()),
        "rows that move the touch": float(moved.mean()),
        "trades that move the touch": float(moved[np.flatnonzero(trade)[1:] - 1].mean()),
        "one-lot trades": float((sizes == 1).mean()),
        "mean trade, lots": float(sizes.mean()),
        "90 % of trades up to, lots": float(np.percentile(sizes, 90)),
        "99 % of trades up to, lots": float(np.percentile(sizes, 99)),
        "mean touch, lots": float((columns.bid_qty.mean() + columns.ask_qty.mean()) / 2),
        "median touch, lots": float(np.median(np.append(columns.bid_qty, columns.ask_qty))),
        "buyer aggressors": float((signs == 1).mean()),
        "aggressor as before": float((signs[1:] == signs[:-1]).mean()),
        "rows within 1 ms of the last": float((gaps < 1_000_000).mean()),
        "rows at the time of the last": float((gaps == 0).mean()),
        "rows in a second, variance / mean": float(counts.var() / counts.mean()),
        "moves in 1 s, deviation in ticks": float(moves.std()),
        "moves in 1 s, kurtosis": float(
            ((moves - moves.mean()) ** 4).mean() / max(moves.var(), 1e-12) ** 2
        ),
        "size of moves, correlation at 1 s": correlation(np.abs(moves), 1),
        "size of moves, correlation at 10 s": correlation(np.abs(moves), 10),
        "moves, correlation at 1 s": correlation(moves, 1),
    }
