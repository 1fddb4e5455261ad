"""Exact decimals and their two notations on the wire, and the venue's rules of prices and sizes.

Requests carry numbers without trailing zeros and with at most 8 decimals, responses with at least
one decimal; neither knows exponents. A perpetual's price has at most 5 significant digits and at
most 6 less `szDecimals` decimals, whole prices are always allowed; its size has at most
`szDecimals` decimals. Source: the venue's documentation, "Tick and lot size", and "Notation".
"""

from __future__ import annotations

import re
from decimal import ROUND_DOWN, Decimal

from broker_api.instrument import significant_step

REQUEST_DECIMALS_MAX = 8
"""Decimals that any number of a request may have."""
SIGNIFICANT_DIGITS_MAX = 5
"""Significant digits of a price that is not a whole number."""
PERP_DECIMALS = 6
"""Decimals of a perpetual's price and size together; 8 on the spot market."""
TEXT_LENGTH_MAX = 48
"""Characters of a number; longer ones are no number that the venue ever meant."""

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
_USD_STEP = Decimal("0.000001")


def parse_number(text: str) -> Decimal:
    """The exact value of a number on the wire. Raises ValueError for what is none."""
    if len(text) > TEXT_LENGTH_MAX or _NUMBER.fullmatch(text) is None:
        raise ValueError(f"{text[:TEXT_LENGTH_MAX]!r} is not a plain decimal number")
    return Decimal(text)


def request_text(value: Decimal) -> str:
    """A number as a request writes it: 1100, 0.2. Raises ValueError past 8 decimals.

    >>> request_text(Decimal("1100.0")), request_text(Decimal("0.20"))
    ('1100', '0.2')
    """
    if decimals_of(value) > REQUEST_DECIMALS_MAX:
        raise ValueError(f"{value} has more than {REQUEST_DECIMALS_MAX} decimals")
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def response_text(value: Decimal) -> str:
    """A number as a response writes it: at least one decimal, no other trailing zeros.

    >>> response_text(Decimal(3000)), response_text(Decimal("-0.0800700"))
    ('3000.0', '-0.08007')
    """
    text = f"{value:f}"
    if "." not in text:
        return text + ".0"
    text = text.rstrip("0")
    return text + "0" if text.endswith(".") else text


def decimals_of(value: Decimal) -> int:
    """How many decimals the value needs; trailing zeros do not count."""
    exponent = value.normalize().as_tuple().exponent
    assert isinstance(exponent, int), "numbers of the wire are finite"
    return max(0, -exponent)


def truncated(value: Decimal, decimals: int) -> Decimal:
    """The value cut off behind so many decimals, as the venue shows averages and fees."""
    return value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_DOWN)


def truncated_usd(value: Decimal) -> Decimal:
    """The value cut off to millionths of a dollar, the venue's unit of money."""
    return value.quantize(_USD_STEP, rounding=ROUND_DOWN)


def price_decimals(sz_decimals: int, together: int = PERP_DECIMALS) -> int:
    """Most decimals of a price of an asset whose sizes have `sz_decimals`."""
    return max(0, together - sz_decimals)


def is_price_allowed(price: Decimal, sz_decimals: int, together: int = PERP_DECIMALS) -> bool:
    """Whether the venue takes a price of this form; whether it makes sense is another question.

    >>> [is_price_allowed(Decimal(p), 1) for p in ("1234.5", "1234.56", "123456", "12345.6")]
    [True, False, True, False]
    """
    return price > 0 and price % price_step(price, sz_decimals, together) == 0


def price_step(price: Decimal, sz_decimals: int, together: int = PERP_DECIMALS) -> Decimal:
    """The distance between allowed prices just above `price`, which is positive.

    >>> price_step(Decimal("1234.56"), 1), price_step(Decimal("123456.7"), 1)
    (Decimal('0.1'), Decimal('1'))
    """
    finest = Decimal(1).scaleb(-price_decimals(sz_decimals, together))
    return max(finest, significant_step(price, SIGNIFICANT_DIGITS_MAX))


def nearest_prices(
    price: Decimal, sz_decimals: int, together: int = PERP_DECIMALS
) -> tuple[Decimal, Decimal]:
    """The allowed prices at or below and above a positive price that is not allowed itself.

    The lower is 0, which nobody may use, when `price` is below the least price.

    >>> nearest_prices(Decimal("1234.56"), 1)
    (Decimal('1234.5'), Decimal('1234.6'))
    """
    step = price_step(price, sz_decimals, together)
    below = price // step * step
    return below, below + step


def rounded_price(
    price: Decimal, sz_decimals: int, *, up: bool, together: int = PERP_DECIMALS
) -> Decimal:
    """The allowed price nearest to `price` on that side of it, the price itself if allowed."""
    if is_price_allowed(price, sz_decimals, together):
        return price
    below, above = nearest_prices(price, sz_decimals, together)
    return above if up else below
