"""Compiled functions that Numba is asked for when somebody needs them.

A process that finds the exchange's code on disk (`doors.py`) needs no Numba, whose import takes a
fifth of a second, and none of the three hundred functions that the code was made of.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, update_wrapper
from typing import Any


class Later:
    """Stands for what `make` returns: called, asked for attributes, or met while compiling."""

    def __init__(self, make: Callable[[], Any], function: Callable[..., Any] | None = None) -> None:
        self._make = make
        if function is not None:
            update_wrapper(self, function)

    @cached_property
    def real(self) -> Any:
        """What it stands for."""
        introduce()
        return self._make()

    def __call__(self, *arguments: Any) -> Any:
        """Call it."""
        return self.real(*arguments)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.real, name)


_introduced: list[type[Later]] = []


def introduce() -> None:
    """Tell Numba, once, that a `Later` in compiled code is what it stands for."""
    if _introduced:
        return
    _introduced.append(Later)
    from numba.core.registry import cpu_target
    from numba.extending import typeof_impl

    known: Any = typeof_impl
    typing: Any = cpu_target.typing_context

    def type_of(later: Later, context: Any) -> Any:
        real = later.real
        typing.refresh()  # it may be new
        return typing.resolve_value_type(real)

    known.register(Later)(type_of)
