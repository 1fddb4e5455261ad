"""Compiled strategies: how one is declared. The verbs are in `strategy.py`.

A strategy is a function of a context and of its own record, `me`, whose fields are the strategy's
parameters and state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_api.config import near_miss
from broker_api.errors import ConfigurationError
from sim.strategy_door import compile_strategy

ARRAY_MAX = 1 << 16
"""Places of an array in a strategy's state."""
_TYPES: dict[type, str] = {int: "<i8", float: "<f8", bool: "<i8"}


@dataclass(eq=False)
class CompiledStrategy:
    """A function with the layout of its record, and the values that its fields start with."""

    function: Callable[..., object]
    layout: np.dtype[Any]
    values: Mapping[str, int | float]
    _call: list[Callable[..., Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The function's name."""
        return getattr(self.function, "__name__", "strategy")

    def call(self) -> Callable[..., Any]:
        """The function as the loop calls it; compiled when first wanted.

        Raises ConfigurationError for what cannot be compiled.
        """
        if not self._call:
            try:
                self._call.append(compile_strategy(self.function, self.layout))
            except Exception as failure:
                raise ConfigurationError(f"{self.name} cannot be compiled: {failure}") from failure
        return self._call[0]

    def records(self, parameters: Mapping[str, Any]) -> npt.NDArray[Any]:
        """An array of one record with these parameters. Raises ConfigurationError for unknown ones.

        Text and fractions for whole numbers are refused as well.
        """
        array = np.zeros(1, dtype=np.dtype((np.record, self.layout)))
        for name, value in {**self.values, **parameters}.items():
            if name not in self.values:
                hint = near_miss(name, self.values) or f"; it has {', '.join(self.values)}"
                raise ConfigurationError(f"{self.name} has no parameter {name!r}{hint}")
            array[name] = _checked(name, value, self.layout[name].kind == "i")
        return array


def strategy(
    state: Mapping[str, Any],
) -> Callable[[Callable[..., object]], CompiledStrategy]:
    """Make a function of (ctx, me) a compiled strategy.

    `state` names the fields of `me`: a type (int, float, bool) starts at zero, a number is the
    start value; any of them may be set by `suite.run_compiled(...)`. A type and a length, such as
    `(float, 30)`, is an array of zeros. Raises ConfigurationError for something else.
    """
    layout: list[tuple[Any, ...]] = []
    values = {}
    for name, given in state.items():
        if hasattr(np.record, name):
            raise ConfigurationError(f"state {name!r}: records have a {name} already; rename it")
        if isinstance(given, tuple):
            layout.append((name, *_array(name, given)))
            continue
        kind = given if isinstance(given, type) else type(given)
        if kind not in _TYPES or not name.isidentifier():
            raise ConfigurationError(
                f"state {name!r}: {given!r} is none of int, float, bool and no number"
            )
        layout.append((name, _TYPES[kind]))
        values[name] = 0 if isinstance(given, type) else given
    if not layout:
        layout, values = [("spare", "<i8")], {"spare": 0}

    def decorate(function: Callable[..., object]) -> CompiledStrategy:
        return CompiledStrategy(function, np.dtype(layout), values)

    return decorate


def _array(name: str, given: tuple[Any, ...]) -> tuple[str, tuple[int]]:
    """The type and shape of an array's field."""
    if len(given) == 2 and given[0] in _TYPES and name.isidentifier():
        length = given[1]
        if isinstance(length, int) and 1 <= length <= ARRAY_MAX:
            return _TYPES[given[0]], (length,)
    raise ConfigurationError(
        f"state {name!r}: {given!r} is no array: (int, 30), a type and up to {ARRAY_MAX:,} places"
    )


def _checked(name: str, value: Any, is_whole: bool) -> int | float:
    if isinstance(value, int | np.integer) or (not is_whole and isinstance(value, float)):
        return value if isinstance(value, float) else int(value)
    wanted = "a whole number" if is_whole else "a number"
    raise ConfigurationError(f"parameter {name}: {value!r} is not {wanted}")
