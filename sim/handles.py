"""A tape's columns behind one array: what Python hands to the compiled exchange.

Numba looks at every array of an argument anew, at each call: ten columns take five microseconds,
more than most calls do. So Python passes one array of numbers, the columns' addresses. Inside, too,
functions hand on its address only: a tuple of ten arrays is seventy machine words for each call.
`tape.bid[row]` finds the column there. With the compiler switched off the columns themselves are
the handle.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import numpy as np
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_borrowed, lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import intrinsic, models, register_model
from numba.np.arrayobj import make_array, populate_array

from data.index import WIDTH, TapeRows

TapeHandle = Any
"""What `handle_of` makes and the doors of `entries.py` take."""

_numba: Any = SimpleNamespace(
    gep=cgutils.gep,
    make_array=make_array,
    populate_array=populate_array,
    pack_array=cgutils.pack_array,
    borrowed=impl_ret_borrowed,
    model=register_model,
    attribute=infer_getattr,
    lowering=lower_getattr_generic,
)
"""What Numba says nothing, or little, about the types of."""
_Type: Any = types.Type
_Model: Any = models.PrimitiveModel
_Attribute: Any = AttributeTemplate
_IS_COMPILED = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")
_COUNT, _BLOCKS, _ADDRESSES = 0, 1, 2
"""Places in the handle: rows, rows of the index, and from there on the columns' addresses."""


class RowsType(_Type):  # type: ignore[misc]
    """The type that `tape: TapeRows` has in compiled code: the address of a handle."""

    def __init__(self) -> None:
        super().__init__(name="RowsType")


_ROWS = RowsType()
_COLUMN_TYPES = {
    name: types.Array(
        types.int8 if name in ("kind", "side") else types.int64, 2 if name == "blocks" else 1, "C"
    )
    for name in TapeRows._fields
}


@_numba.model(RowsType)
class _RowsModel(_Model):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: RowsType) -> None:
        super().__init__(manager, kind, cgutils.intp_t.as_pointer())


@_numba.attribute
class _RowsAttribute(_Attribute):  # type: ignore[misc]
    key = RowsType

    def generic_resolve(self, kind: RowsType, name: str) -> Any:
        """The type of a column."""
        return _COLUMN_TYPES.get(name)


@_numba.lowering(RowsType)  # type: ignore[untyped-decorator]
def _column_of(context: Any, builder: Any, kind: RowsType, handle: Any, name: str) -> Any:
    """A column as an array that nobody owns, so that nobody counts references to it."""
    column_type = _COLUMN_TYPES[name]

    def number(place: int) -> Any:
        loaded = builder.load(_numba.gep(builder, handle, place))
        loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
        return loaded

    address = number(_ADDRESSES + TapeRows._fields.index(name))
    item = context.get_data_type(column_type.dtype)
    item_bytes = context.get_constant(types.intp, context.get_abi_sizeof(item))
    shape, strides = [number(_COUNT)], [item_bytes]
    if name == "blocks":
        width = context.get_constant(types.intp, WIDTH)
        shape, strides = [number(_BLOCKS), width], [builder.mul(width, item_bytes), item_bytes]
    column = _numba.make_array(column_type)(context, builder)
    _numba.populate_array(
        column,
        data=builder.inttoptr(address, item.as_pointer()),
        shape=_numba.pack_array(builder, shape),
        strides=_numba.pack_array(builder, strides),
        itemsize=item_bytes,
        meminfo=None,
    )
    return _numba.borrowed(context, builder, column_type, column._getvalue())


def _to_rows(typing_context: Any, handle: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _numba.make_array(handle)(context, builder, value=arguments[0]).data

    return _ROWS(handle), generate


if _IS_COMPILED:

    def handle_of(rows: TapeRows) -> TapeHandle:
        """The handle of a tape's columns; whoever keeps it must keep the columns too."""
        addresses = [column.ctypes.data for column in rows]
        return np.array([len(rows.ts), len(rows.blocks), *addresses], dtype=np.int64)

    rows_of: Any = intrinsic(_to_rows)
    """The columns behind a handle."""

else:

    def handle_of(rows: TapeRows) -> TapeHandle:
        """The columns themselves."""
        return rows

    def rows_of(handle: TapeHandle) -> TapeRows:
        """The columns themselves."""
        columns: TapeRows = handle
        return columns
