"""The venue's refusals: the text of each, what it means, and both ways between the two.

The venue tells why in English only. Here each text is written once, with its values in braces: a
local venue fills them in (`write`), an adapter finds out which one it has before it (`read`).
Refusals of a single order that were decided at the book end in ` asset=N`, others do not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import NamedTuple

from broker_api.event import Reason


class Remedy(Enum):
    """What a client may do about a refusal."""

    NONE = "none"
    """It is final."""
    NEW_NONCE = "new nonce"
    """The same action with a new nonce: this one was not looked at."""
    WAIT = "wait"
    """The same action later: this one was not looked at."""


class Words(NamedTuple):
    """A refusal: its text, its reason, the status word of the order that it leaves behind."""

    text: str
    reason: Reason = Reason.REFUSED_BY_VENUE
    status: str | None = None
    with_asset: bool = False
    remedy: Remedy = Remedy.NONE


class Refusal(Enum):
    """Every refusal that is known, by what it says."""

    # one order, decided at the book
    MINIMUM_VALUE = Words(
        "Order must have minimum value of ${minimum}.",
        Reason.BELOW_MINIMUM_VALUE,
        "minTradeNtlRejected",
        with_asset=True,
    )
    MARGIN = Words(
        "Insufficient margin to place order.",
        Reason.INSUFFICIENT_MARGIN,
        "perpMarginRejected",
        with_asset=True,
    )
    REDUCE_ONLY = Words(
        "Reduce only order would increase position.",
        Reason.NO_POSITION_TO_REDUCE,
        "reduceOnlyRejected",
        with_asset=True,
    )
    POST_ONLY = Words(
        "Post only order would have immediately matched, bbo was {bid}@{ask}.",
        Reason.POST_ONLY_WOULD_TAKE,
        "badAloPxRejected",
        with_asset=True,
    )
    IMMEDIATE = Words(
        "Order could not immediately match against any resting orders.",
        Reason.NO_LIQUIDITY,
        "iocCancelRejected",
        with_asset=True,
    )
    TRIGGER_PRICE = Words(
        "Invalid TP/SL price.", Reason.STOP_WRONG_SIDE, "badTriggerPxRejected", with_asset=True
    )
    TICK = Words(
        "Price must be divisible by tick size.",
        Reason.PRICE_OFF_TICK,
        "tickRejected",
        with_asset=True,
    )
    NO_LIQUIDITY = Words(
        "No liquidity available for market order.",
        Reason.NO_LIQUIDITY,
        "marketOrderNoLiquidityRejected",
        with_asset=True,
    )
    ORACLE = Words(
        "Price too far from oracle", Reason.PRICE_OUTSIDE_BAND, "oracleRejected", with_asset=True
    )
    ORACLE_AS_DOCUMENTED = Words(
        "Order price too far from oracle",
        Reason.PRICE_OUTSIDE_BAND,
        "oracleRejected",
        with_asset=True,
    )
    MARGIN_TIER = Words(
        "Order would cause position to exceed margin tier limit at current leverage",
        Reason.SIZE_ABOVE_MAXIMUM,
        "perpMaxPositionRejected",
        with_asset=True,
    )
    NOT_THERE = Words(
        "Order was never placed, already canceled, or filled.",
        Reason.ORDER_NOT_ACTIVE,
        with_asset=True,
    )
    # one order, decided before
    PRICE_FORM = Words("Order has invalid price.", Reason.PRICE_OFF_TICK)
    SIZE_FORM = Words("Order has invalid size.", Reason.SIZE_OFF_LOT)
    ZERO_SIZE = Words("Order has zero size.", Reason.SIZE_NOT_POSITIVE)
    BAND = Words(
        "Order price cannot be more than {percent}% away from the reference price",
        Reason.PRICE_OUTSIDE_BAND,
    )
    MAIN_IS_TRIGGER = Words("Main order cannot be trigger order.", Reason.BRACKET_LEVELS)
    TRIGGER_COUNT = Words("Unexpected number of trigger orders", Reason.BRACKET_LEVELS)
    TRIGGER_NOT_REDUCING = Words("Trigger order is not reduce only.", Reason.BRACKET_LEVELS)
    TRIGGER_SIDE = Words("Trigger order has unexpected side.", Reason.BRACKET_LEVELS)
    EMPTY = Words("Orders are empty.")
    TOO_MANY_OPEN = Words(
        "Too many open orders", Reason.TOO_MANY_ORDERS, "tooManyOpenOrdersRejected"
    )
    BUILDER_FEE = Words("Builder fee has not been approved")
    MODIFY_ENDED = Words("Cannot modify canceled or filled order", Reason.ORDER_NOT_ACTIVE)
    MODIFY_LOST = Words("Error placing new order during modify: {text}")
    UNKNOWN_ASSET = Words("Invalid asset: {id}", Reason.UNKNOWN_INSTRUMENT)
    # the action
    OVER_WEIGHT = Words("Signed action over weight limit of {limit}.")
    TOO_MANY_REQUESTS = Words(
        "Too many cumulative requests sent ({used} > {cap}) for cumulative volume traded "
        "${volume}. Place taker orders to free up 1 request per USDC traded.",
        remedy=Remedy.WAIT,
    )
    UNKNOWN_SIGNER = Words("User or API Wallet {address} does not exist.")
    MUST_DEPOSIT = Words("Must deposit before performing actions. User: {address}")
    UNRECOVERABLE = Words("Unable to recover signer.")
    OTHER_NETWORK = Words("Mainnet and testnet require different signature.")
    UNKNOWN_VAULT = Words("Vault not registered: {address}")
    EXPIRED = Words("Action already expired")
    NONCE_USED = Words("Invalid nonce: duplicate nonce {nonce}", remedy=Remedy.NEW_NONCE)
    NONCE_LOW = Words("Invalid nonce: nonce too low {nonce} < {least}", remedy=Remedy.NEW_NONCE)
    NONCE_HIGH = Words("Invalid nonce: nonce too high {nonce} > {most}", remedy=Remedy.NEW_NONCE)
    NONCE_DIFFERS = Words("Nonce mismatch.")
    # leverage, margin, agents, the dead man's switch
    LEVERAGE = Words("Invalid leverage value")
    LEVERAGE_MODE = Words("Cannot switch leverage type with open position.")
    LEVERAGE_CROSS = Words(
        "Cross position does not have sufficient margin available to decrease leverage.",
        Reason.INSUFFICIENT_MARGIN,
    )
    LEVERAGE_ISOLATED = Words(
        "Isolated position does not have sufficient margin available to decrease leverage.",
        Reason.INSUFFICIENT_MARGIN,
    )
    NOT_ISOLATED = Words("Position does not use isolated margin.")
    AGENT_LEAVING = Words("User has pending agent removal", remedy=Remedy.WAIT)
    AGENTS_FULL = Words(
        "Too many extra agents for cumulative volume traded. Current limit is {limit}"
    )
    AGENT_USED = Words("Extra agent already used.")
    SCHEDULE_VOLUME = Words(
        "Cannot set scheduled cancel time until enough volume traded. Required: ${required}. "
        "Traded: ${traded}."
    )
    SCHEDULE_COUNT = Words("Too many scheduled cancels triggered for the day. Limit is {limit}")
    SCHEDULE_SOON = Words("Scheduled cancel time too early, must be at least {seconds} seconds")
    TRANSFER = Words("Insufficient balance for transfer.", Reason.INSUFFICIENT_MARGIN)
    OTHER = Words("{text}")
    """Anything else; its text is in the values."""


class Read(NamedTuple):
    """What a text of the venue says."""

    refusal: Refusal
    values: Mapping[str, str]
    asset: int | None = None

    @property
    def reason(self) -> Reason:
        """Why, in our words."""
        return self.refusal.value.reason

    @property
    def remedy(self) -> Remedy:
        """What may be done about it."""
        return self.refusal.value.remedy


_OLD_PREFIX = "L1 error: "
_ASSET = re.compile(r" asset=([0-9]{1,10})$", re.ASCII)
_BLANK = re.compile(r"\\\{(\w+)\\\}")


def write(refusal: Refusal, asset: int | None = None, **values: object) -> str:
    """The venue's text of a refusal; `asset` for those that were decided at the book.

    >>> write(Refusal.MINIMUM_VALUE, 4, minimum=10)
    'Order must have minimum value of $10. asset=4'
    """
    words = refusal.value
    text = words.text.format_map(values)
    return f"{text} asset={asset}" if words.with_asset and asset is not None else text


def read(text: str) -> Read:
    """Which refusal a text of the venue is; OTHER with the text if it is none that is known.

    >>> read("Insufficient margin to place order. asset=4").refusal.name
    'MARGIN'
    """
    text = text.strip()
    bare, asset = text.removeprefix(_OLD_PREFIX), None
    found = _ASSET.search(bare)
    if found is not None:
        bare, asset = bare[: found.start()], int(found[1])
    for refusal, pattern in _patterns():
        match = pattern.fullmatch(bare)
        if match is not None:
            return Read(refusal, match.groupdict(), asset)
    return Read(Refusal.OTHER, {"text": text}, asset)


@cache
def _patterns() -> tuple[tuple[Refusal, re.Pattern[str]], ...]:
    return tuple(
        (each, re.compile(_BLANK.sub(r"(?P<\1>.{1,200}?)", re.escape(each.value.text)), re.DOTALL))
        for each in Refusal
        if each is not Refusal.OTHER
    )


BY_REASON: dict[Reason, Refusal] = {}
"""By our reason the refusal of one order that a venue writes."""
for _refusal in Refusal:
    BY_REASON.setdefault(_refusal.value.reason, _refusal)
BY_REASON[Reason.REDUCE_ONLY_WRONG_SIDE] = Refusal.REDUCE_ONLY
BY_REASON[Reason.PRICE_NOT_POSITIVE] = Refusal.PRICE_FORM
BY_REASON[Reason.SIZE_BELOW_MINIMUM] = Refusal.SIZE_FORM
BY_REASON[Reason.UNKNOWN_ORDER] = Refusal.NOT_THERE
BY_REASON[Reason.NOT_MODIFIABLE] = Refusal.MODIFY_ENDED
BY_REASON[Reason.SIZE_BELOW_FILLED] = Refusal.MODIFY_ENDED
