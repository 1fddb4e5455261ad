"""A tape's columns behind one array: what Python hands to the compiled exchange.

Numba looks at every array of an argument anew, at each call: ten columns take five microseconds,
more than most calls do. So Python passes one array of numbers, the columns' addresses, and the
doors make columns of it. With the compiler switched off the columns themselves are the handle.
"""

from __future__ import annotations

import os
from typing import Any

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic

from data.index import WIDTH, TapeRows
from sim.book import i8, njit

TapeHandle = Any
"""What `handle_of` makes and the doors of `entries.py` take."""

_WIDTH = i8(WIDTH)
_IS_COMPILED = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")


def _to_pointer(typingctx: Any, address: Any) -> Any:
    """An integer as an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


_pointer: Any = intrinsic(_to_pointer)
_column: Any = vars(numba)["carray"]


if _IS_COMPILED:

    def handle_of(rows: TapeRows) -> TapeHandle:
        """The handle of a tape's columns; whoever keeps it must keep the columns too."""
        addresses = [column.ctypes.data for column in rows]
        return np.array([len(rows.ts), len(rows.blocks), *addresses], dtype=np.int64)

    @njit
    def rows_of(handle: TapeHandle) -> TapeRows:
        """The columns behind a handle."""
        count, blocks = handle[0], handle[1]
        return TapeRows(
            _column(_pointer(handle[2]), count, np.int64),
            _column(_pointer(handle[3]), count, np.int8),
            _column(_pointer(handle[4]), count, np.int8),
            _column(_pointer(handle[5]), count, np.int64),
            _column(_pointer(handle[6]), count, np.int64),
            _column(_pointer(handle[7]), count, np.int64),
            _column(_pointer(handle[8]), count, np.int64),
            _column(_pointer(handle[9]), count, np.int64),
            _column(_pointer(handle[10]), count, np.int64),
            _column(_pointer(handle[11]), (blocks, _WIDTH), np.int64),
        )

else:

    def handle_of(rows: TapeRows) -> TapeHandle:
        """The columns themselves."""
        return rows

    def rows_of(handle: TapeHandle) -> TapeRows:
        """The columns themselves."""
        columns: TapeRows = handle
        return columns
