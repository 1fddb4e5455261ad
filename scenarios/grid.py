"""A grid of parameters: what a person wrote, as values, and every combination of them in order."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from broker_api.errors import ConfigurationError

COMBINATIONS_MAX = 1_000_000
"""More combinations than this are a slip of the pen."""

_NUMBER = r"[+-]?(?:0|[1-9]\d*)(?:\.\d+)?"
_RANGE = re.compile(rf"\s*({_NUMBER}):({_NUMBER})(?::({_NUMBER}))?\s*")
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_CLOSING = {"[": "]", "{": "}", '"': '"', "'": "'"}
_PLAIN = (bool, int, float, str, dt.date, dt.time)


@dataclass(frozen=True)
class Axis:
    """The values of one parameter. `are_texts`: as typed, to be read like any typed parameter."""

    name: str
    values: tuple[Any, ...]
    are_texts: bool


@dataclass(frozen=True)
class Grid:
    """Every combination of the values of some parameters; the last parameter changes fastest."""

    axes: tuple[Axis, ...]

    def __post_init__(self) -> None:
        if not self.axes:
            raise ConfigurationError("the grid is empty: name a parameter, like fast=5:50:5")
        if len(self) > COMBINATIONS_MAX:
            raise ConfigurationError(
                f"the grid has {len(self):,} combinations; at most {COMBINATIONS_MAX:,} are run"
            )

    def __len__(self) -> int:
        return math.prod(len(axis.values) for axis in self.axes)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        names = [axis.name for axis in self.axes]
        for values in itertools.product(*(axis.values for axis in self.axes)):
            yield dict(zip(names, values, strict=True))

    @property
    def text_names(self) -> frozenset[str]:
        """The parameters whose values are texts as typed."""
        return text_names_of(self.axes)


def text_names_of(axes: Iterable[Axis]) -> frozenset[str]:
    """The parameters whose values are texts as typed."""
    return frozenset(axis.name for axis in axes if axis.are_texts)


def axes_of_texts(texts: Iterable[str]) -> tuple[Axis, ...]:
    """The parameters of `--grid` texts like `fast=5:50:5` and `slow=20,40,80`.

    Raises ConfigurationError that shows the text and what is wrong with it.
    """
    axes: dict[str, Axis] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip()
        if not equals or not _NAME.fullmatch(name):
            raise ConfigurationError(f"--grid {text!r} is not of the form name=5:50:5 or name=a,b")
        if name in axes:
            raise ConfigurationError(f"--grid {text!r}: {name} is in the grid already")
        axes[name] = Axis(name, tuple(typed_values(values, f"--grid {text!r}")), are_texts=True)
    return tuple(axes.values())


def axes_of_values(table: Mapping[str, Sequence[Any] | str]) -> tuple[Axis, ...]:
    """The parameters of a table: for each a sequence of plain values, or a text as for `--grid`.

    Raises ConfigurationError for a value that cannot go to another process as it is: plain are
    bool, int, float, str, dates and times, and lists and tables of them.
    """
    axes = []
    for name, values in table.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigurationError(f"grid: {name!r} is no name of a parameter")
        if isinstance(values, str):
            texts = tuple(typed_values(values, f"grid {name} = {values!r}"))
            axes.append(Axis(name, texts, are_texts=True))
            continue
        try:
            chosen = tuple(_plain(name, value) for value in values)
        except TypeError:
            raise ConfigurationError(
                f"grid {name} = {values!r} is no sequence of values, like [5, 10]"
            ) from None
        if not chosen:
            raise ConfigurationError(f"grid {name} has no values")
        axes.append(Axis(name, chosen, are_texts=False))
    return tuple(axes)


def typed_values(text: str, shown: str) -> Iterator[str]:
    """The values in a typed text, each as a text: split at commas, ranges written out.

    `a:b:step` counts from a to b, both included, exactly as decimals; without a step by 1. Commas
    and colons in quotes, brackets and braces are part of a value.

    >>> list(typed_values("5:20:5,40", "")), list(typed_values("0:0.3:0.1", ""))
    (['5', '10', '15', '20', '40'], ['0.0', '0.1', '0.2', '0.3'])
    """
    for part in _split(text):
        if not part.strip():
            raise ConfigurationError(f"{shown} has an empty value")
        found = _RANGE.fullmatch(part)
        if found is None:
            yield part.strip()
        else:
            yield from _range(found[1], found[2], found[3] or "1", shown)


def _split(text: str) -> list[str]:
    """The parts of the text between commas that stand in no quotes, brackets or braces."""
    parts, open_until = [""], ""
    for letter in text:
        if open_until and letter == open_until[-1]:
            open_until = open_until[:-1]
        elif letter in _CLOSING and open_until[-1:] not in ("'", '"'):
            open_until += _CLOSING[letter]
        if letter == "," and not open_until:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _range(first: str, last: str, step: str, shown: str) -> Iterator[str]:
    start, end, by = Decimal(first), Decimal(last), Decimal(step)
    if by == 0 or (end - start) * by < 0:
        raise ConfigurationError(f"{shown}: {first}:{last}:{step} never gets to {last}")
    count = int((end - start) / by) + 1
    if count > COMBINATIONS_MAX:
        raise ConfigurationError(
            f"{shown} has {count:,} values; at most {COMBINATIONS_MAX:,} are run"
        )
    for number in range(count):
        yield format(start + by * number, "f")


def _plain(name: str, value: Any) -> Any:
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()  # a scalar of NumPy
    if isinstance(value, list | tuple):
        return [_plain(name, item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(name, item) for key, item in value.items()}
    if type(value) in (*_PLAIN, dt.datetime):
        return value
    raise ConfigurationError(
        f"grid {name}: {value!r} is a {type(value).__name__}; plain values are bool, int, float, "
        "str, dates and times, and lists and tables of them"
    )
