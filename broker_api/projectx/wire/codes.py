"""Error codes of every operation, and refusals of orders in both directions.

A refusal is an envelope of HTTP status 200 with a code of its operation and a sentence. Source of
the codes: the gateway's API description; of the sentences: what clients have seen of the live
service, where they are known.
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import cache
from typing import NamedTuple

from broker_api.event import Reason


class LoginCode(IntEnum):
    """Of `Auth/loginKey` and `Auth/loginApp`."""

    SUCCESS = 0
    USER_NOT_FOUND = 1
    PASSWORD_VERIFICATION_FAILED = 2
    INVALID_CREDENTIALS = 3
    APP_NOT_FOUND = 4
    APP_VERIFICATION_FAILED = 5
    INVALID_DEVICE = 6
    AGREEMENTS_NOT_SIGNED = 7
    UNKNOWN_ERROR = 8
    API_SUBSCRIPTION_NOT_FOUND = 9
    API_KEY_AUTHENTICATION_DISABLED = 10


class ContractCode(IntEnum):
    """Of `Contract/searchById`."""

    SUCCESS = 0
    CONTRACT_NOT_FOUND = 1


class BarsCode(IntEnum):
    """Of `History/retrieveBars`."""

    SUCCESS = 0
    CONTRACT_NOT_FOUND = 1
    UNIT_INVALID = 2
    UNIT_NUMBER_INVALID = 3
    LIMIT_INVALID = 4


class SearchCode(IntEnum):
    """Of the searches for orders, positions and trades of an account."""

    SUCCESS = 0
    ACCOUNT_NOT_FOUND = 1


class OrderByIdCode(IntEnum):
    """Of `Order/searchById`."""

    SUCCESS = 0
    ORDER_NOT_FOUND = 1


class PlaceCode(IntEnum):
    """Of `Order/place`."""

    SUCCESS = 0
    ACCOUNT_NOT_FOUND = 1
    ORDER_REJECTED = 2
    INSUFFICIENT_FUNDS = 3
    ACCOUNT_VIOLATION = 4
    OUTSIDE_TRADING_HOURS = 5
    ORDER_PENDING = 6
    UNKNOWN_ERROR = 7
    CONTRACT_NOT_FOUND = 8
    CONTRACT_NOT_ACTIVE = 9
    ACCOUNT_REJECTED = 10


class CancelCode(IntEnum):
    """Of `Order/cancel`."""

    SUCCESS = 0
    ACCOUNT_NOT_FOUND = 1
    ORDER_NOT_FOUND = 2
    REJECTED = 3
    PENDING = 4
    UNKNOWN_ERROR = 5
    ACCOUNT_REJECTED = 6


class ModifyCode(IntEnum):
    """Of `Order/modify`."""

    SUCCESS = 0
    ACCOUNT_NOT_FOUND = 1
    ORDER_NOT_FOUND = 2
    REJECTED = 3
    PENDING = 4
    UNKNOWN_ERROR = 5
    ACCOUNT_REJECTED = 6
    CONTRACT_NOT_FOUND = 7


class CloseCode(IntEnum):
    """Of `Position/closeContract`."""

    SUCCESS = 0
    ACCOUNT_NOT_FOUND = 1
    POSITION_NOT_FOUND = 2
    CONTRACT_NOT_FOUND = 3
    CONTRACT_NOT_ACTIVE = 4
    ORDER_REJECTED = 5
    ORDER_PENDING = 6
    UNKNOWN_ERROR = 7
    ACCOUNT_REJECTED = 8


class PartialCloseCode(IntEnum):
    """Of `Position/partialCloseContract`."""

    SUCCESS = 0
    ACCOUNT_NOT_FOUND = 1
    POSITION_NOT_FOUND = 2
    CONTRACT_NOT_FOUND = 3
    CONTRACT_NOT_ACTIVE = 4
    INVALID_CLOSE_SIZE = 5
    ORDER_REJECTED = 6
    ORDER_PENDING = 7
    UNKNOWN_ERROR = 8
    ACCOUNT_REJECTED = 9


def sentence(code: IntEnum) -> str:
    """The sentence of a code that needs no more words than its name.

    >>> sentence(PlaceCode.CONTRACT_NOT_FOUND)
    'Contract not found'
    """
    return code.name.replace("_", " ").capitalize()


class Words(NamedTuple):
    """A refusal of an order: its sentence, and the code where it is a placement's."""

    text: str
    code: PlaceCode = PlaceCode.ORDER_REJECTED


TEXTS: dict[Reason, Words] = {
    Reason.UNKNOWN_INSTRUMENT: Words("Contract not found", PlaceCode.CONTRACT_NOT_FOUND),
    Reason.MARKET_CLOSED: Words(
        "Trading is currently unavailable. The instrument is not in an active trading status."
    ),
    Reason.SIZE_NOT_POSITIVE: Words("Invalid order size."),
    Reason.SIZE_ABOVE_MAXIMUM: Words("Maximum order size exceeded."),
    Reason.PRICE_MISSING: Words("Invalid price. A price is missing."),
    Reason.PRICE_OFF_TICK: Words("Invalid price. Price is not a multiple of the tick size."),
    Reason.PRICE_OUTSIDE_BAND: Words("Invalid price. Price is outside allowed range."),
    Reason.STOP_WRONG_SIDE: Words("Invalid stop price"),
    Reason.NO_TRIGGER_SOURCE: Words("Invalid stop price. There is no last price."),
    Reason.INSUFFICIENT_MARGIN: Words(
        "Insufficient funds to place the order.", PlaceCode.INSUFFICIENT_FUNDS
    ),
    Reason.RISK_LIMIT: Words("Account rule violation.", PlaceCode.ACCOUNT_VIOLATION),
    Reason.NO_LIQUIDITY: Words("No liquidity available for the order."),
    Reason.TOO_MANY_ORDERS: Words("Too many working orders."),
    Reason.DUPLICATE_CLIENT_ORDER_ID: Words("Custom tag is already in use."),
    Reason.UNSUPPORTED: Words("Invalid order type"),
    Reason.ORDER_NOT_ACTIVE: Words("Order is no longer working."),
    Reason.SIZE_BELOW_FILLED: Words("Invalid order size. It is not above what is filled."),
    Reason.NOT_MODIFIABLE: Words("Order cannot be modified like that."),
    Reason.UNKNOWN_ORDER: Words("Order not found"),
    Reason.REFUSED_BY_VENUE: Words("Order rejected"),
}
"""By our reason what the gateway says."""
_ALSO = {
    Reason.MARKET_HALTED: Reason.MARKET_CLOSED,
    Reason.SIZE_OFF_LOT: Reason.SIZE_NOT_POSITIVE,
    Reason.SIZE_BELOW_MINIMUM: Reason.SIZE_NOT_POSITIVE,
    Reason.PRICE_NOT_POSITIVE: Reason.PRICE_OUTSIDE_BAND,
}
_BRACKET = re.compile(r"Invalid (stop loss|take profit) (ticks|type)", re.ASCII)


def words_of(reason: Reason) -> Words:
    """What the gateway says of one of our reasons."""
    return TEXTS.get(_ALSO.get(reason, reason), TEXTS[Reason.REFUSED_BY_VENUE])


def reason_of(code: int, text: str | None) -> Reason:
    """Our reason of a placement that was refused with this code and sentence.

    The sentence tells more than the code, where it is known.

    >>> reason_of(2, "Invalid stop price").name
    'STOP_WRONG_SIDE'
    """
    text = (text or "").strip()
    if text in _reasons():
        return _reasons()[text]
    if _BRACKET.match(text):
        return Reason.BRACKET_LEVELS
    if text.startswith("Invalid price"):
        return Reason.PRICE_OUTSIDE_BAND
    return _BY_CODE.get(code, Reason.REFUSED_BY_VENUE)


_BY_CODE = {
    int(PlaceCode.INSUFFICIENT_FUNDS): Reason.INSUFFICIENT_MARGIN,
    int(PlaceCode.ACCOUNT_VIOLATION): Reason.RISK_LIMIT,
    int(PlaceCode.OUTSIDE_TRADING_HOURS): Reason.MARKET_CLOSED,
    int(PlaceCode.CONTRACT_NOT_FOUND): Reason.UNKNOWN_INSTRUMENT,
    int(PlaceCode.CONTRACT_NOT_ACTIVE): Reason.MARKET_CLOSED,
}


@cache
def _reasons() -> dict[str, Reason]:
    return {words.text: reason for reason, words in TEXTS.items()}


class Leg(NamedTuple):
    """One side of an order's brackets as its refusals name it."""

    name: str
    sign_when_buying: int


STOP_LOSS, TAKE_PROFIT = Leg("stop loss", -1), Leg("take profit", 1)
BRACKET_TICKS_MIN = 4


def bracket_fault(leg: Leg, ticks: int, *, is_buy: bool) -> str | None:
    """What the live service says of a bracket's ticks; None when they are right.

    Offsets have a sign: of a buy the stop's is negative and the target's positive.
    """
    sign = leg.sign_when_buying if is_buy else -leg.sign_when_buying
    if ticks * sign <= 0:
        than = "less" if sign < 0 else "greater"
        way = "longing" if is_buy else "shorting"
        return f"Invalid {leg.name} ticks ({ticks}). Ticks should be {than} than zero when {way}."
    if abs(ticks) < BRACKET_TICKS_MIN:
        return (
            f"Invalid {leg.name} ticks ({ticks}). Ticks should be at least "
            f"{BRACKET_TICKS_MIN} ticks."
        )
    return None
