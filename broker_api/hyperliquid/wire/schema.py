"""The kinds of fields on the wire, and the one way from JSON values to frozen dataclasses and back.

A message is a frozen dataclass whose fields say what they are called on the wire (`Key`) and what
they hold (`RequestNumber`, `Cloid`, ...). Decoding is strict: no number in the place of a text, no
float in the place of an integer, nothing outside its limits; whatever is wrong is a ProtocolError
that names the place. Requests allow no unknown keys, because a signature covers all that is there;
responses do, because the venue adds to them.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, TypeVar, dataclass_transform

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from broker_api.errors import BrokerError
from broker_api.hyperliquid.wire.numbers import parse_number, request_text, response_text

UINT64_MAX = (1 << 64) - 1
ENTRIES_MAX = 10_000
"""Entries of any list of a request; the venue's own limits are far below."""
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


def _to_decimal(value: object) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if not isinstance(value, str):
        raise ValueError("is not a number in quotes")
    return parse_number(value)


def _hex_to_int(value: object) -> int:
    if isinstance(value, str) and _HEX.fullmatch(value):
        return int(value, 16)
    raise ValueError("is not a hex number of at most 64 digits")


def _int_to_hex(value: int) -> str:
    """Without padding, as the vendor's SDK writes it."""
    return hex(value)


_HEX = re.compile(r"0x[0-9a-fA-F]{1,64}", re.ASCII)

RequestNumber = Annotated[
    Decimal, BeforeValidator(_to_decimal), PlainSerializer(request_text, return_type=str)
]
"""An exact decimal of a request, a text without trailing zeros."""
ResponseNumber = Annotated[
    Decimal, BeforeValidator(_to_decimal), PlainSerializer(response_text, return_type=str)
]
"""An exact decimal of a response, a text with at least one decimal."""
Flag = Annotated[bool, Strict()]
Text = Annotated[str, Strict(), StringConstraints(max_length=_TEXT_MAX)]
Address = Annotated[str, Strict(), StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$", to_lower=True)]
"""An account or a key: 20 bytes in hex, any case, kept in lower case."""
Cloid = Annotated[str, Strict(), StringConstraints(pattern=r"^0x[0-9a-fA-F]{32}$", to_lower=True)]
"""A client's order id: 16 bytes in hex, kept in lower case."""
Hash = Annotated[str, Strict(), StringConstraints(pattern=r"^0x[0-9a-fA-F]{64}$", to_lower=True)]
"""A transaction's hash: 32 bytes in hex."""
HexInt = Annotated[int, BeforeValidator(_hex_to_int), PlainSerializer(_int_to_hex, return_type=str)]
"""A number of up to 256 bits as hex, padded or not."""
Unsigned = Annotated[int, Strict(), Field(ge=0, le=UINT64_MAX)]
"""An id, a nonce, a time in milliseconds."""
Whole = Annotated[int, Strict(), Field(ge=-(1 << 63), le=(1 << 63) - 1)]
"""A whole number with a sign."""
Asset = Annotated[int, Strict(), Field(ge=0, le=(1 << 32) - 1)]
"""A perpetual's index in `meta`; 10000 and more are spot pairs and other builders' dexes."""
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
    """A frozen dataclass of a request: unknown keys are refused."""
    return _message(cls, "forbid")


@dataclass_transform(frozen_default=True)
def response(cls: type[_T]) -> type[_T]:
    """A frozen dataclass of a response: unknown keys are passed over."""
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


def parse_json(body: bytes | str, place: str = "body") -> Any:
    """The JSON value in a body or a frame. Raises ProtocolError."""
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except RecursionError:
        raise ProtocolError(place, "is nested too deeply") from None
    except ValueError as failure:
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
