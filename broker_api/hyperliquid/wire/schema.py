"""The kinds of fields of this venue's messages; what all venues share is `broker_api.messages`.

Requests allow no unknown keys, because a signature covers all that is there; responses do, because
the venue adds to them.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, Strict, StringConstraints

from broker_api.hyperliquid.wire.numbers import parse_number, request_text, response_text
from broker_api.messages import (
    ABSENT,
    ENTRIES_MAX,
    UINT64_MAX,
    Flag,
    Key,
    Many,
    ProtocolError,
    Text,
    Unsigned,
    Whole,
    adapter,
    decode,
    encode,
    parse_json,
    request,
    response,
)

__all__ = [
    "ABSENT",
    "ENTRIES_MAX",
    "UINT64_MAX",
    "Address",
    "Asset",
    "Cloid",
    "Flag",
    "Hash",
    "HexInt",
    "Key",
    "Many",
    "ProtocolError",
    "RequestNumber",
    "ResponseNumber",
    "Text",
    "Unsigned",
    "Whole",
    "adapter",
    "decode",
    "encode",
    "parse_json",
    "request",
    "response",
]


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
Address = Annotated[str, Strict(), StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$", to_lower=True)]
"""An account or a key: 20 bytes in hex, any case, kept in lower case."""
Cloid = Annotated[str, Strict(), StringConstraints(pattern=r"^0x[0-9a-fA-F]{32}$", to_lower=True)]
"""A client's order id: 16 bytes in hex, kept in lower case."""
Hash = Annotated[str, Strict(), StringConstraints(pattern=r"^0x[0-9a-fA-F]{64}$", to_lower=True)]
"""A transaction's hash: 32 bytes in hex."""
HexInt = Annotated[int, BeforeValidator(_hex_to_int), PlainSerializer(_int_to_hex, return_type=str)]
"""A number of up to 256 bits as hex, padded or not."""
Asset = Annotated[int, Strict(), Field(ge=0, le=(1 << 32) - 1)]
"""A perpetual's index in `meta`; 10000 and more are spot pairs and other builders' dexes."""
