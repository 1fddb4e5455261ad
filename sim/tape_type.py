"""What `tape: TapeRows` is in compiled code: the address of a handle (`handles.py`).

Imported when something is compiled.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from numba.core import cgutils, types
from numba.core.imputils import impl_ret_borrowed, lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import intrinsic, models, register_model
from numba.np.arrayobj import make_array, populate_array

from data.index import WIDTH, TapeRows
from sim.handles import ADDRESSES, BLOCKS, COUNT

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

    address = number(ADDRESSES + TapeRows._fields.index(name))
    item = context.get_data_type(column_type.dtype)
    item_bytes = context.get_constant(types.intp, context.get_abi_sizeof(item))
    shape, strides = [number(COUNT)], [item_bytes]
    if name == "blocks":
        width = context.get_constant(types.intp, WIDTH)
        shape, strides = [number(BLOCKS), width], [builder.mul(width, item_bytes), item_bytes]
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


rows_of: Any = intrinsic(_to_rows)
"""The columns behind a handle."""
