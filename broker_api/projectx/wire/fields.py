"""The kinds of fields of this venue: prices as JSON numbers, times as ISO text with an offset."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, Strict, StringConstraints

from broker_api.instrument import NANOS
from broker_api.messages import ProtocolError, parse_json

MAGNITUDE_MAX = Decimal(10) ** 12
DIGITS_MAX = 15
"""Significant digits that a JSON number keeps on its way through a float."""
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:?\d\d)?", re.ASCII
)
_TIME_TEXT_MAX = 64
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _to_decimal(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("is not a number")
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    if not number.is_finite() or abs(number) > MAGNITUDE_MAX:
        raise ValueError(f"is not a number of at most {MAGNITUDE_MAX:f}")
    return number


def _to_number(value: Decimal) -> float:
    if not value.is_finite() or len(value.normalize().as_tuple().digits) > DIGITS_MAX:
        raise ValueError(f"{value} has more than {DIGITS_MAX} digits")
    return float(value)


def time_ns(text: object) -> int:
    """Nanoseconds since the epoch of an ISO time; without an offset it is UTC. Raises ValueError.

    >>> time_ns("1970-01-01T00:00:01.5+00:00")
    1500000000
    """
    if not isinstance(text, str) or len(text) > _TIME_TEXT_MAX:
        raise ValueError("is not a time as text")
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("is not an ISO time")
    zone = found[8] or "Z"
    offset = 0
    if zone != "Z":
        offset = (int(zone[1:3]) * 60 + int(zone[-2:])) * (-60 if zone[0] == "-" else 60)
    year, month, day, hour, minute, second = (int(found[at]) for at in range(1, 7))
    if abs(offset) > 86_400:
        raise ValueError("has no such offset")
    moment = dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC) - _EPOCH
    seconds = moment.days * 86_400 + moment.seconds - offset
    return seconds * NANOS + int((found[7] or "").ljust(9, "0"))


def time_text(ts_ns: int) -> str:
    """The ISO time of nanoseconds since the epoch, cut to microseconds, as readers of it can take.

    >>> time_text(1_500_000_999)
    '1970-01-01T00:00:01.500000+00:00'
    """
    moment = _EPOCH + dt.timedelta(microseconds=ts_ns // 1000)
    return moment.isoformat(timespec="microseconds")


Number = Annotated[
    Decimal, BeforeValidator(_to_decimal), PlainSerializer(_to_number, return_type=float)
]
"""An exact decimal, written as a JSON number."""
Instant = Annotated[int, BeforeValidator(time_ns), PlainSerializer(time_text, return_type=str)]
"""Nanoseconds since the epoch, written as ISO text in UTC; finer than 1e-6 s is cut off."""
Id = Annotated[int, Strict(), Field(ge=0, le=(1 << 63) - 1)]
"""The number of an account, an order, a position, a trade."""
Count = Annotated[int, Strict(), Field(ge=-(1 << 31), le=(1 << 31) - 1)]
"""A size, a number of ticks, a code: 32 bits with a sign."""
ContractId = Annotated[str, Strict(), StringConstraints(max_length=64)]
"""See `contracts`."""
Tag = Annotated[str, Strict(), StringConstraints(max_length=256)]
"""A client's own id of an order."""


def parse_body(text: bytes | str, place: str = "body") -> Any:
    """The JSON object of a body, its fractions exact. Raises ProtocolError."""
    value = parse_json(text, place, Decimal)
    if not isinstance(value, dict):
        raise ProtocolError(place, "is no JSON object")
    return value
