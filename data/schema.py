"""What a tape is: its rows, its integer columns, its canonical Parquet form, and its error.

A tape is one instrument's market events in time order. Every row carries the event and the top of
the book that goes with it, so that any row can be entered at random. Prices are whole ticks, sizes
whole lots, times nanoseconds since the epoch. Nothing here reads files; `data.tape` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

IntColumn = npt.NDArray[np.int64]
ByteColumn = npt.NDArray[np.int8]
FloatColumn = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

SCHEMA_VERSION = 5
"""Counts changes of the cached columns' layout or meaning; part of every cache key."""
MAX_TICKS = 1 << 40
"""Largest price, in ticks, that a tape may carry."""
MAX_LOTS = 1 << 40
"""Largest size, in lots, that a tape may carry."""
EMPTY_BID = -(1 << 62)
"""The bid of a side without orders: below every price, so that comparisons need no special case."""
EMPTY_ASK = 1 << 62
"""The ask of a side without orders: above every price."""
NANO = 1_000_000_000
"""Mark prices and funding rates are kept in units of 1e-9, finer than any tick."""

BBO_KEY = b"papertape.bbo_of_trade"
"""Schema metadata: whether a trade row's BBO is from "after" or from "before" its print."""
BAR_KEY = b"papertape.bar_interval"
"""Schema metadata of a file of bars: length of a bar in ns."""
ROWS_OF_BAR = 4
"""A bar is four rows: open, high, low, close. Which extreme comes first is decided by a run."""


class RowKind(IntEnum):
    """What a row reports. The kernel's constants are these numbers."""

    QUOTE = 0
    TRADE = 1
    LEVEL = 2
    ADD = 3
    CANCEL = 4
    EXEC = 5
    OPEN = 6
    CLOSE = 7
    HALT = 8
    RESUME = 9
    MARK = 10
    FUNDING = 11


ORDER_KINDS = (RowKind.ADD, RowKind.CANCEL, RowKind.EXEC)
"""Rows of order-by-order data: an order joins the book, leaves it in part or whole, is executed."""
FILE_KINDS = {kind.name.lower(): kind for kind in RowKind}
"""The names that a Parquet file's `kind` column may hold."""

QUOTE_COLUMNS = ("bid", "ask", "bid_size", "ask_size")
TRADE_COLUMNS = ("price", "size", "side")
ID_COLUMNS = ("sequence", "trade_id")
EXTRA_COLUMNS = ("kind", "rate", "origin")
BAR_PRICES = ("open", "high", "low", "close")
BAR_COLUMNS = ("ts", *BAR_PRICES, "volume")
CANONICAL_COLUMNS = ("ts", *QUOTE_COLUMNS, *TRADE_COLUMNS, *EXTRA_COLUMNS, *ID_COLUMNS)
DEPTH_COLUMNS = tuple(
    f"{side}_{field}_{level:02d}" for side in ("bid", "ask") for field in ("px", "sz")
    for level in range(10)
)  # fmt: skip
"""Depth beyond the touch. Legal in a file; today's tapes carry the touch only."""


class TapeColumns(NamedTuple):
    """A tape's rows as parallel, C-contiguous, read-only columns of equal length.

    `ts` ns; `kind` a RowKind; `side` +1 buyer aggressor, -1 seller aggressor, 0 unknown or no
    trade; `px` a trade's price in ticks, a mark's or funding's price in 1e-9, else 0; `qty` a
    trade's lots, a funding's rate in 1e-9, else 0; `bid`, `ask` ticks or EMPTY_BID, EMPTY_ASK;
    `bid_qty`, `ask_qty` lots. Rows of levels and orders: `side` +1 in the bid, -1 in the ask, `px`
    ticks, `qty` lots: the level's new size, what joined, what left, what was executed.
    """

    ts: IntColumn
    kind: ByteColumn
    side: ByteColumn
    px: IntColumn
    qty: IntColumn
    bid: IntColumn
    ask: IntColumn
    bid_qty: IntColumn
    ask_qty: IntColumn


def joined(*parts: TapeColumns) -> TapeColumns:
    """The rows of all parts, one after the other."""
    return TapeColumns._make(np.concatenate(columns) for columns in zip(*parts, strict=True))


NO_ORIGIN: IntColumn = np.zeros(0, dtype=np.int64)
"""The `origin` of a tape that has no rows of single orders."""
NO_ORIGIN.flags.writeable = False

COLUMN_TYPES: dict[str, type[np.int64] | type[np.int8]] = {
    name: np.int8 if name in ("kind", "side") else np.int64 for name in TapeColumns._fields
}


class Grid(Protocol):
    """The instrument's grid: what turns decimals into integers. `broker_api.Instrument` is one."""

    @property
    def symbol(self) -> str:
        """The instrument's name."""

    @property
    def tick_size(self) -> Decimal:
        """Price points of one tick."""

    @property
    def lot_size(self) -> Decimal:
        """Units of one lot."""

    def prices_to_ticks(self, prices: FloatColumn) -> tuple[IntColumn, Mask]:
        """Prices as ticks, and where they are off the tick or beyond MAX_TICKS."""

    def sizes_to_lots(self, sizes: FloatColumn) -> tuple[IntColumn, Mask]:
        """Sizes as lots, and where they are off the lot or beyond MAX_LOTS."""


@dataclass(frozen=True)
class TickGrid:
    """A grid of nothing but a symbol, a tick and a lot."""

    symbol: str
    tick_size: Decimal
    lot_size: Decimal

    def __post_init__(self) -> None:
        for name, step in (("tick size", self.tick_size), ("lot size", self.lot_size)):
            if not step.is_finite() or step <= 0:
                raise ValueError(f"{name} {step} of {self.symbol} must be a positive number")

    @cached_property
    def _tick_float(self) -> float:
        return float(self.tick_size)

    @cached_property
    def _lot_float(self) -> float:
        return float(self.lot_size)

    def prices_to_ticks(self, prices: FloatColumn) -> tuple[IntColumn, Mask]:
        """Prices as ticks, and where they are off the tick or beyond MAX_TICKS."""
        return _to_steps(prices, self._tick_float, MAX_TICKS)

    def sizes_to_lots(self, sizes: FloatColumn) -> tuple[IntColumn, Mask]:
        """Sizes as lots, and where they are off the lot or beyond MAX_LOTS."""
        return _to_steps(sizes, self._lot_float, MAX_LOTS)


def _to_steps(values: FloatColumn, step: float, limit: int) -> tuple[IntColumn, Mask]:
    steps = np.rint(values / step)
    # A float is on the grid when it is within 1e-9 of its own magnitude (docs/fills.md).
    bad = ~(np.abs(values - steps * step) <= 1e-9 * np.maximum(1.0, np.abs(values)))
    bad |= ~(np.abs(steps) <= limit)
    return np.where(bad, 0, steps).astype(np.int64), bad


class TapeError(Exception):
    """A tape cannot be used as it is. Names the file, and where it applies the row (counted from
    0), the column and the value, and says which rule was broken."""

    def __init__(
        self,
        rule: str,
        *,
        file: str,
        row: int | None = None,
        column: str | None = None,
        value: str | None = None,
    ) -> None:
        self.rule = rule
        self.file = file
        self.row = row
        self.column = column
        self.value = value
        place = [f"row {row}"] if row is not None else []
        place += [f"column {column}"] if column is not None else []
        place += [f"value {value}"] if value is not None else []
        super().__init__(f"{file}: {', '.join(place)}{': ' if place else ''}{rule}")
