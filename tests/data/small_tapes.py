"""A small good tape, and ways to spoil it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from data.schema import TickGrid

ES = TickGrid("ES", Decimal("0.25"), Decimal(1))


def good_columns() -> dict[str, list[Any]]:
    """Six rows: quotes and trades on a quarter-tick grid."""
    return {
        "ts": [1_700_000_000_000_000_000 + step * 1_000_000_000 for step in range(6)],
        "bid": [100.0, 100.0, 100.0, 100.25, 100.25, 100.25],
        "ask": [100.25, 100.25, 100.25, 100.5, 100.5, 100.5],
        "bid_size": [5, 5, 6, 3, 3, 4],
        "ask_size": [7, 4, 4, 9, 8, 8],
        "price": [None, 100.25, None, None, 100.5, None],
        "size": [0, 3, 0, 0, 1, 0],
        "side": [0, 1, 0, 0, 1, 0],
    }


def with_cell(column: str, row: int, value: Any) -> dict[str, list[Any]]:
    """The good columns with one cell changed."""
    columns = good_columns()
    columns[column][row] = value
    return columns
