"""The doors of the compiled exchange, as functions that need no Numba.

`doors.run_until` is the door of that name in one of the files that have doors (`_ROOMS`). At its
first use its code is loaded from the folder of compiled code, and compiled before when it is not
there (`door_code.py`). A process that finds it imports no Numba, and a call costs what one of a
function written in C costs.

Python switched off the compiler, or wants bounds checks: then the doors are Numba's own.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from sim import bar_turn, entries, shortcut_loop
from sim.book import compiled_folder, is_compiled
from sim.entries import MARGIN_CALL as MARGIN_CALL

OBJECTS = (np.ndarray, SystemError, None)
"""What the code needs of Python's objects: `self` of the functions. As symbols they would be other
things before and after Numba is imported."""
_ROOMS = (entries, shortcut_loop, bar_turn)
_FASTCALL = 0x80
_kept: list[Any] = []
"""What must live as long as the functions: their code and their descriptions."""


def __getattr__(name: str) -> Callable[..., Any]:
    doors = (getattr(room, name) for room in _ROOMS if hasattr(room, name))
    door: Callable[..., Any] | None = next(doors, None)
    if door is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if is_compiled() and os.environ.get("NUMBA_BOUNDSCHECK", "0") in ("", "0"):
        door = _loaded(door)
    globals()[name] = door
    return door


def _loaded(door: Any) -> Callable[..., Any]:
    """The door as a built-in function."""
    import llvmlite.binding as llvm

    _start(llvm)
    name = door.__name__
    file = _folder(llvm) / f"{name}.door"
    found = _read(file)
    if found is None:
        from sim.door_code import compile_door

        found = compile_door(door)
        _write(file, found)
    symbol, objects = found
    return _function(name, _address(llvm, symbol, objects))


def _start(llvm: Any) -> None:
    with suppress(RuntimeError):  # that it is not needed any more
        llvm.initialize()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _folder(llvm: Any) -> Path:
    """Where code for this processor and this Python lies."""
    features = llvm.get_host_cpu_features().flatten()
    machine = (llvm.get_default_triple(), llvm.get_host_cpu_name(), features)
    python = (sys.implementation.cache_tag, object.__basicsize__, llvm.llvm_version_info)
    digest = hashlib.sha256(repr((machine, python)).encode()).hexdigest()
    return Path(compiled_folder()) / f"doors-{digest[:16]}"


def _address(llvm: Any, symbol: str, objects: tuple[bytes, ...]) -> int:
    machine = llvm.Target.from_default_triple().create_target_machine(
        jit=True, codemodel="jitdefault"
    )
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    _kept.append(engine)
    for code in objects:
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address: int = engine.get_function_address(symbol)
    return address


class _Method(ctypes.Structure):
    """PyMethodDef of Python's C-API."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def _function(name: str, address: int) -> Callable[..., Any]:
    """Python's function for machine code that takes its arguments in a row; see `door_code`."""
    method = _Method(name.encode(), address, _FASTCALL, None)
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.argtypes = (ctypes.POINTER(_Method), ctypes.py_object, ctypes.c_void_p)
    make.restype = ctypes.py_object
    _kept.append(method)
    made: Callable[..., Any] = make(method, OBJECTS, None)
    return made


def _read(file: Path) -> tuple[str, tuple[bytes, ...]] | None:
    """What `_write` wrote, None when it is not there or not whole."""
    try:
        head, _, rest = file.read_bytes().partition(b"\n")
        known = json.loads(head)
        if hashlib.sha256(rest).hexdigest() != known["sha256"]:
            return None
        middle = known["first"]
        return known["symbol"], (rest[:middle], rest[middle:])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(file: Path, found: tuple[str, tuple[bytes, ...]]) -> None:
    """By rename, so that a reader sees all or nothing; a full disk costs speed only."""
    symbol, (first, second) = found
    digest = hashlib.sha256(first + second).hexdigest()
    head = json.dumps({"symbol": symbol, "first": len(first), "sha256": digest})
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix="tmp-", dir=file.parent)
        with os.fdopen(handle, "wb") as stream:
            stream.write(head.encode() + b"\n" + first + second)
        Path(name).replace(file)
    except OSError:
        return
