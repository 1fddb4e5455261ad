"""A tape's columns behind one array: what Python hands to the compiled exchange.

Numba looks at every array of an argument anew, at each call: ten columns take five microseconds,
more than most calls do. So Python passes one array of numbers, the columns' addresses. Inside, too,
functions hand on its address only: a tuple of ten arrays is seventy machine words for each call.
`tape.bid[row]` finds the column there. With the compiler switched off the columns themselves are
the handle.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from data.index import TapeRows
from sim.later import Later

TapeHandle = Any
"""What `handle_of` makes and the doors of `entries.py` take."""

_IS_COMPILED = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")
COUNT, BLOCKS, ADDRESSES = 0, 1, 2
"""Places in the handle: rows, rows of the index, and from there on the columns' addresses."""


if _IS_COMPILED:

    def handle_of(rows: TapeRows) -> TapeHandle:
        """The handle of a tape's columns; whoever keeps it must keep the columns too."""
        addresses = [column.ctypes.data for column in rows]
        return np.array([len(rows.ts), len(rows.blocks), *addresses], dtype=np.int64)

    def _made() -> Any:
        from sim.tape_type import rows_of

        return rows_of

    rows_of: Any = Later(_made)
    """The columns behind a handle."""

else:

    def handle_of(rows: TapeRows) -> TapeHandle:
        """The columns themselves."""
        return rows

    def rows_of(handle: TapeHandle) -> TapeRows:
        """The columns themselves."""
        columns: TapeRows = handle
        return columns
