"""From a door of `entries.py` to object code that Python can call without Numba.

Numba makes the function; here the few instructions around it are written that take Python's
arguments apart, which Numba would do at each call with everything that it knows about arrays. What
comes out is code for this processor and this Python (`doors.py` keeps it).

The function's arguments are what Numba makes of them: an integer is one, an array is its owner and
the object around it (nobody, nobody: then no references are counted), how many items of what size,
where, its lengths and its strides. It raises nothing and allocates nothing, so what Numba would
need for that is replaced by the end of the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import numba
import numpy as np
from numba.core import types
from numba.np.numpy_support import as_dtype

from broker_api.event import EVENT_ROW
from sim.book import BOOK, COMMAND
from sim.doors import OBJECTS
from sim.strategy import CONTEXT

_llvm: Any = llvm
_types: Any = types
_from_dtype: Callable[[Any], Any] = numba.from_dtype
_as_dtype: Callable[[Any], Any] = as_dtype
_HEAD = object.__basicsize__
"""Bytes of every Python object before its own, which end with its type; those of an array go on
with address, number of dimensions, lengths and strides (NumPy's C-API, PyArrayObject)."""
_POINTER = 8
_ABSENT = ("NRT_", "numba_")
_SIGNATURES = {
    "Books": lambda: _types.Array(_from_dtype(BOOK), 1, "C", aligned=False),
    "EventRows": lambda: _types.Array(_from_dtype(EVENT_ROW), 1, "C", aligned=False),
    "CommandRows": lambda: _types.Array(_from_dtype(COMMAND), 1, "C", aligned=False),
    "TapeHandle": lambda: _types.int64[::1],
    "Contexts": lambda: _types.Array(_from_dtype(CONTEXT), 1, "C", aligned=False),
    "Column": lambda: _types.int64[::1],
    "Table": lambda: _types.int64[:, ::1],
    "Flags": lambda: _types.int8[::1],
    "FlagTable": lambda: _types.int8[:, ::1],
    "int": lambda: _types.int64,
}
"""By the annotations of doors."""


class DoorCode(NamedTuple):
    """Object files that belong together, and the name of what Python calls in them."""

    symbol: str
    objects: tuple[bytes, bytes]


def compile_door(door: Any) -> DoorCode:
    """Compile a door. Raises TypeError for one whose arguments or result are of other kinds."""
    function = door.__wrapped__
    annotations = dict(function.__annotations__)
    returned = annotations.pop("return")
    if returned not in ("int", "None") or not set(annotations.values()) <= set(_SIGNATURES):
        raise TypeError(f"{function.__name__}: {function.__annotations__} are no door's")
    kinds = [_SIGNATURES[name]() for name in annotations.values()]
    make: Any = numba.njit
    compiled = make(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    compiled.compile(tuple(kinds))
    result = compiled.overloads[tuple(kinds)]
    if result.signature.return_type not in (_types.int64, _types.none):
        raise TypeError(f"{function.__name__} returns {result.signature.return_type}")
    _, _, (native, bitcode) = result.library.serialize_using_object_code()
    absent = [
        each.name
        for each in _llvm.parse_bitcode(bitcode).functions
        if each.is_declaration and each.name.startswith(_ABSENT)
    ]
    symbol = f"papertape_{function.__name__}"
    text = _around(symbol, result.fndesc.llvm_func_name, kinds, returned == "int", absent)
    module = _llvm.parse_assembly(text)
    module.verify()
    return DoorCode(symbol, (bytes(native), _machine().emit_object(module)))


def _machine() -> Any:
    return _llvm.Target.from_default_triple().create_target_machine(
        opt=2, jit=True, codemodel="jitdefault"
    )


def _around(symbol: str, native: str, kinds: list[Any], has_result: bool, absent: list[str]) -> str:
    """The function that Python calls, METH_FASTCALL: arguments in a row, `self` is `OBJECTS`."""
    lines = _Lines()
    lines.add(f"%right = icmp eq i64 %count, {len(kinds)}")
    lines.go_on_if("%right")
    values = ["ptr %result", "ptr %failure"]
    for place, kind in enumerate(kinds):
        given = lines.value(f"getelementptr ptr, ptr %arguments, i64 {place}")
        given = lines.value(f"load ptr, ptr {given}")
        values += (
            _array(lines, given, kind)
            if isinstance(kind, _types.Array)
            else [_integer(lines, given)]
        )
    status = lines.value(f'call i32 @"{native}"({", ".join(values)})')
    lines.go_on_if(lines.value(f"icmp eq i32 {status}, 0"))
    if has_result:
        number = lines.value("load i64, ptr %result")
        answer = lines.value(f"call ptr @PyLong_FromLongLong(i64 {number})")
    else:
        answer = _object(lines, None)
        lines.add(f"call void @Py_IncRef(ptr {answer})")
    signature = ", ".join(value.split()[0] for value in values)
    stubs = "\n".join(
        f"define void @{name}() {{ call void @abort() unreachable }}" for name in absent
    )
    return _TEMPLATE.format(
        symbol=symbol,
        native=native,
        signature=signature,
        stubs=stubs,
        body="\n".join(lines.lines),
        answer=answer,
        message=f"a wrong call of {symbol}, or it failed",
        length=len(f"a wrong call of {symbol}, or it failed") + 1,
        error=OBJECTS.index(SystemError),
    )


class _Lines:
    """Instructions as they come; values have numbers as names."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._numbers: Iterator[int] = count()

    def add(self, line: str) -> None:
        self.lines.append(f"  {line}")

    def value(self, instruction: str) -> str:
        """The name of an instruction's value."""
        name = f"%v{next(self._numbers)}"
        self.add(f"{name} = {instruction}")
        return name

    def go_on_if(self, condition: str) -> None:
        """Or fail."""
        label = f"l{next(self._numbers)}"
        self.add(f"br i1 {condition}, label %{label}, label %fail")
        self.label(label)

    def label(self, name: str) -> None:
        """What comes now can be jumped to."""
        self.lines.append(f"{name}:")


def _integer(lines: _Lines, given: str) -> str:
    """-1 may be a number, and may say that it was none."""
    number = lines.value(f"call i64 @PyLong_AsLongLong(ptr {given})")
    look, fine = f"look{number[1:]}", f"fine{number[1:]}"
    odd = lines.value(f"icmp eq i64 {number}, -1")
    lines.add(f"br i1 {odd}, label %{look}, label %{fine}")
    lines.label(look)
    raised = lines.value("call ptr @PyErr_Occurred()")
    none = lines.value(f"icmp eq ptr {raised}, null")
    lines.add(f"br i1 {none}, label %{fine}, label %raised")
    lines.label(fine)
    return f"i64 {number}"


def _object(lines: _Lines, wanted: object) -> str:
    return lines.value(f"call ptr @PyTuple_GetItem(ptr %self, i64 {OBJECTS.index(wanted)})")


def _array(lines: _Lines, given: str, kind: Any) -> list[str]:
    """What Numba calls an array of one or two dimensions without gaps."""
    at = lines.value(f"getelementptr i8, ptr {given}, i64 {_HEAD - _POINTER}")
    found = lines.value(f"load ptr, ptr {at}")
    lines.go_on_if(lines.value(f"icmp eq ptr {found}, {_object(lines, np.ndarray)}"))

    def number(pointer: str, place: int) -> str:
        at = lines.value(f"getelementptr i64, ptr {pointer}, i64 {place}")
        return lines.value(f"load i64, ptr {at}")

    def field(place: int) -> str:
        at = lines.value(f"getelementptr i8, ptr {given}, i64 {_HEAD + place * _POINTER}")
        return lines.value(f"load ptr, ptr {at}")

    address, dimensions, shape, steps = field(0), field(1), field(2), field(3)
    count = lines.value(f"ptrtoint ptr {dimensions} to i64")
    count = lines.value(f"and i64 {count}, {(1 << 32) - 1}")  # an int, with what fills it up
    lines.go_on_if(lines.value(f"icmp eq i64 {count}, {kind.ndim}"))
    lengths = [number(shape, place) for place in range(kind.ndim)]
    items = lengths[0]
    for length in lengths[1:]:
        items = lines.value(f"mul i64 {items}, {length}")
    is_empty = lines.value(f"icmp eq i64 {items}, 0")  # its strides are as they come
    strides, item = list[str](), str(_as_dtype(kind.dtype).itemsize)
    extent = item
    for place in reversed(range(kind.ndim)):
        stride = number(steps, place)
        fits = lines.value(f"icmp eq i64 {stride}, {extent}")
        lines.go_on_if(lines.value(f"or i1 {fits}, {is_empty}"))
        strides.insert(0, stride)
        extent = lines.value(f"mul i64 {extent}, {lengths[place]}")
    numbers = [items, item, *lengths, *strides]
    sizes = [f"i64 {each}" for each in numbers]
    return ["ptr null", "ptr null", *sizes[:2], f"ptr {address}", *sizes[2:]]


_TEMPLATE = """
declare i32 @"{native}"({signature})
declare i64 @PyLong_AsLongLong(ptr)
declare ptr @PyLong_FromLongLong(i64)
declare ptr @PyErr_Occurred()
declare void @PyErr_SetString(ptr, ptr)
declare void @Py_IncRef(ptr)
declare void @abort()
declare ptr @PyTuple_GetItem(ptr, i64)
@message = private constant [{length} x i8] c"{message}\\00"
{stubs}
define ptr @{symbol}(ptr %self, ptr %arguments, i64 %count) {{
  %result = alloca i64
  %failure = alloca ptr
{body}
  ret ptr {answer}
fail:
  %error = call ptr @PyTuple_GetItem(ptr %self, i64 {error})
  call void @PyErr_SetString(ptr %error, ptr @message)
  ret ptr null
raised:
  ret ptr null
}}
"""
