"""Messages of venues: JSON values to frozen dataclasses and back, strictly.

A message is a frozen dataclass whose fields say what they are called on the wire (`Key`) and what
they hold (`Unsigned`, `Text`, a venue's own kinds). Decoding is strict: no number in the place of a
text, no float in the place of an integer, nothing outside its limits; whatever is wrong is a
ProtocolError that names the place. Each venue's `wire` says what its fields are and which messages
there are.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, dataclass_transform

from pydantic import (
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from broker_api.errors import BrokerError

UINT64_MAX = (1 << 64) - 1
ENTRIES_MAX = 10_000
"""Entries of any list of a request; venues' own limits are far below."""
_TEXT_MAX = 256
_SHOWN_MAX = 80

_T = TypeVar("_T")


class ProtocolError(BrokerError):
    """A message is not what the wire's rules say: `place` names where. It changed nothing.

    The order that it may have been about is as unknown as it was before.
    """

    def __init__(self, place: str, fault: str) -> None:
        super().__init__(f"{place}: {fault}")
        self.place = place
        self.fault = fault


# --- kinds of fields ---------------------------------------------------------------------------

Flag = Annotated[bool, Strict()]
Text = Annotated[str, Strict(), StringConstraints(max_length=_TEXT_MAX)]
Unsigned = Annotated[int, Strict(), Field(ge=0, le=UINT64_MAX)]
"""An id, a nonce, a time in milliseconds."""
Whole = Annotated[int, Strict(), Field(ge=-(1 << 63), le=(1 << 63) - 1)]
"""A whole number with a sign."""
Many = Annotated[tuple[_T, ...], Field(max_length=ENTRIES_MAX)]
"""A list."""


ABSENT: Any = Field(exclude_if=lambda value: value is None)
"""Annotates a field whose key is not there at all, instead of null, when it is None."""


def Key(name: str) -> Any:  # noqa: N802  read as an annotation
    """What a field is called on the wire."""
    return Field(alias=name)


# --- messages ----------------------------------------------------------------------------------


@dataclass_transform(frozen_default=True)
def request(cls: type[_T]) -> type[_T]:
    """A frozen dataclass that allows no unknown keys: for what a signature covers."""
    return _message(cls, "forbid")


@dataclass_transform(frozen_default=True)
def response(cls: type[_T]) -> type[_T]:
    """A frozen dataclass that passes over unknown keys: for what a venue may add to."""
    return _message(cls, "ignore")


def _message(cls: type[_T], extra: Any) -> type[_T]:
    # The kinds of fields are strict themselves; a strict dataclass would take no JSON object.
    cls.__pydantic_config__ = ConfigDict(extra=extra)  # type: ignore[attr-defined]
    return dataclass(frozen=True, slots=True)(cls)


@functools.cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """The decoder and encoder of a message; made at its first use."""
    return TypeAdapter(kind)


def decode(kind: Any, value: object, place: str = "body") -> Any:
    """The message in a JSON value, by the names on the wire. Raises ProtocolError."""
    try:
        return adapter(kind).validate_python(value, by_alias=True, by_name=False)
    except ValidationError as failure:
        raise _protocol_error(failure, place) from None
    except RecursionError:
        raise ProtocolError(place, "is nested too deeply") from None


def encode(message: object, kind: Any = None) -> Any:
    """The JSON value of a message, its keys in the order of its fields.

    Raises ProtocolError for a number that the wire cannot carry.
    """
    chosen: Any = type(message) if kind is None else kind
    try:
        return adapter(chosen).dump_python(message, mode="json", by_alias=True, warnings="none")
    except ValueError as failure:
        raise ProtocolError(type(message).__name__, str(failure)[:_TEXT_MAX]) from None


def parse_json(
    body: bytes | str, place: str = "body", parse_float: Callable[[str], Any] = float
) -> Any:
    """The JSON value in a body or a frame, its fractions by `parse_float`. Raises ProtocolError."""
    try:
        return json.loads(body, parse_constant=_refuse_constant, parse_float=parse_float)
    except RecursionError:
        raise ProtocolError(place, "is nested too deeply") from None
    except (ValueError, ArithmeticError) as failure:  # the latter: an exponent past all limits
        raise ProtocolError(place, f"is no JSON: {str(failure)[:_SHOWN_MAX]}") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _protocol_error(failure: ValidationError, place: str) -> ProtocolError:
    fault = failure.errors(include_url=False, include_context=False)[0]
    path = ".".join([place, *(str(part) for part in fault["loc"])])
    shown = repr(fault["input"])
    text = fault["msg"].removeprefix("Value error, ")
    if len(shown) > _SHOWN_MAX:
        shown = shown[:_SHOWN_MAX] + "..."
    return ProtocolError(path[:_TEXT_MAX], f"{shown}: {text[:_TEXT_MAX]}")
