"""How a strategy's function enters the compiled loop: as a pointer of one type for all of them.

The loop is compiled once and kept on disk; only the function itself, and the few lines around it,
are compiled in each process. Passed as a Numba function it would compile the loop anew for each.
With NUMBA_DISABLE_JIT=1 it is called as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from sim.book import is_compiled
from sim.later import introduce
from sim.strategy import CONTEXT

_known_signatures: set[tuple[Any, ...]] = set()
_known_strategies: dict[tuple[Any, ...], Callable[..., Any]] = {}
KNOWN_STRATEGIES_MAX = 64


def compile_strategy(function: Callable[..., object], layout: np.dtype[Any]) -> Callable[..., Any]:
    """The function as the loop calls it: with the context and where its own record lies."""
    if not is_compiled():
        return function
    key = same_when_equal(function, layout)
    if key is None or key not in _known_strategies:
        call = _compiled(function, layout)
        if key is None:
            return call
        if len(_known_strategies) >= KNOWN_STRATEGIES_MAX:
            _known_strategies.clear()
        _known_strategies[key] = call
    return _known_strategies[key]


def same_when_equal(function: Any, layout: np.dtype[Any]) -> tuple[Any, ...] | None:
    """What decides the compiled code; None where that cannot be told by comparing.

    A sweep executes the strategy's file anew for every run: the function is another one each time,
    and mostly the same text with the same constants.
    """
    if function.__closure__ or function.__defaults__ or function.__kwdefaults__:
        return None
    found = []
    for name in sorted(_names(function.__code__)):
        if name not in function.__globals__:
            continue
        value = function.__globals__[name]
        if type(value) not in (bool, int, float, str, ModuleType):
            return None
        # repr keeps 0.0 and -0.0 apart, the type 1 and True.
        shown = value if isinstance(value, ModuleType) else repr(value)
        found.append((name, type(value), shown))
    return function.__code__, str(layout.descr), tuple(found)


def _names(code: CodeType) -> set[str]:
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    return {*code.co_names, *(name for each in inner for name in _names(each))}


def _compiled(function: Callable[..., object], layout: np.dtype[Any]) -> Callable[..., Any]:
    import numba
    from numba.core import types
    from numba.extending import intrinsic

    introduce()
    record_type = numba.from_dtype(layout)

    @intrinsic
    def record_at(typing_context: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(record_type))

        return record_type(types.intp), generate

    user = numba.njit(error_model="numpy")(function)
    record: Any = record_at

    def enter(ctx: Any, address: int) -> None:
        user(ctx, record(address))

    compiled: Callable[..., Any] = numba.njit(_call_signature(), error_model="numpy")(enter)
    return compiled


def _call_signature() -> Any:
    import numba
    from numba.core import types

    return types.void(numba.from_dtype(CONTEXT), types.intp)


def play_strategy(
    door: Any, call: Callable[..., Any], records: np.ndarray[Any, Any], *arguments: Any
) -> int:
    """Call a loop, `strategy_loop.play` or `strategy_bars.play_bars`.

    `records` is an array of the strategy's one record.
    """
    if not is_compiled():
        return int(door(call, records[0], *arguments))
    import numba
    from numba.core import types

    typeof: Callable[[Any], Any] = numba.typeof
    shapes = tuple(map(typeof, arguments))
    if (door, shapes) not in _known_signatures:
        signature = (types.FunctionType(_call_signature()), types.intp, *shapes)
        door.disable_compile(False)
        door.compile(signature)
        door.disable_compile()
        _known_signatures.add((door, shapes))
    return int(door(call, records.ctypes.data, *arguments))
