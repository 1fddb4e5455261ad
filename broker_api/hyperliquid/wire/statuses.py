"""The venue's words for what became of an order, to statuses and reasons, and back.

Words as `orderStatus`, `historicalOrders` and `orderUpdates` use them. Where several words mean
the same here, the first is the one that is written.
"""

from __future__ import annotations

from typing import NamedTuple

from broker_api.event import Reason
from broker_api.order import OrderStatus


class Meaning(NamedTuple):
    """A status of ours, and why."""

    status: OrderStatus
    reason: Reason = Reason.NONE


_CANCELLED, _REJECTED = OrderStatus.CANCELLED, OrderStatus.REJECTED

MEANINGS: dict[str, Meaning] = {
    "open": Meaning(OrderStatus.OPEN),
    # The trigger fired and the order is executing: its fills, or its end, follow.
    "triggered": Meaning(OrderStatus.OPEN),
    "filled": Meaning(OrderStatus.FILLED),
    "canceled": Meaning(_CANCELLED, Reason.BY_USER),
    "siblingFilledCanceled": Meaning(_CANCELLED, Reason.SIBLING),
    "reduceOnlyCanceled": Meaning(_CANCELLED, Reason.REDUCE_ONLY_DONE),
    "selfTradeCanceled": Meaning(_CANCELLED, Reason.SELF_TRADE),
    "liquidatedCanceled": Meaning(_CANCELLED, Reason.LIQUIDATED),
    "marginCanceled": Meaning(_CANCELLED, Reason.UNCOVERED),
    "scheduledCancel": Meaning(_CANCELLED, Reason.SCHEDULED),
    "internalCancel": Meaning(_CANCELLED, Reason.BY_VENUE),
    "openInterestCapCanceled": Meaning(_CANCELLED, Reason.BY_VENUE),
    "delistedCanceled": Meaning(_CANCELLED, Reason.BY_VENUE),
    "vaultWithdrawalCanceled": Meaning(_CANCELLED, Reason.BY_VENUE),
    "outcomeSettledCanceled": Meaning(_CANCELLED, Reason.BY_VENUE),
    "rejected": Meaning(_REJECTED, Reason.REFUSED_BY_VENUE),
    "tickRejected": Meaning(_REJECTED, Reason.PRICE_OFF_TICK),
    "minTradeNtlRejected": Meaning(_REJECTED, Reason.BELOW_MINIMUM_VALUE),
    "perpMarginRejected": Meaning(_REJECTED, Reason.INSUFFICIENT_MARGIN),
    "insufficientSpotBalanceRejected": Meaning(_REJECTED, Reason.INSUFFICIENT_MARGIN),
    "reduceOnlyRejected": Meaning(_REJECTED, Reason.NO_POSITION_TO_REDUCE),
    "badAloPxRejected": Meaning(_REJECTED, Reason.POST_ONLY_WOULD_TAKE),
    "iocCancelRejected": Meaning(_REJECTED, Reason.NO_LIQUIDITY),
    "marketOrderNoLiquidityRejected": Meaning(_REJECTED, Reason.NO_LIQUIDITY),
    "badTriggerPxRejected": Meaning(_REJECTED, Reason.STOP_WRONG_SIDE),
    "oracleRejected": Meaning(_REJECTED, Reason.PRICE_OUTSIDE_BAND),
    "perpMaxPositionRejected": Meaning(_REJECTED, Reason.SIZE_ABOVE_MAXIMUM),
    "tooManyOpenOrdersRejected": Meaning(_REJECTED, Reason.TOO_MANY_ORDERS),
    "openInterestIncreaseRejected": Meaning(_REJECTED, Reason.REFUSED_BY_VENUE),
    "positionIncreaseAtOpenInterestCapRejected": Meaning(_REJECTED, Reason.REFUSED_BY_VENUE),
    "positionFlipAtOpenInterestCapRejected": Meaning(_REJECTED, Reason.REFUSED_BY_VENUE),
    "tooAggressiveAtOpenInterestCapRejected": Meaning(_REJECTED, Reason.REFUSED_BY_VENUE),
}
"""By word. A word that is not here ended the order if it ends in one of `_ENDINGS`."""

_ENDINGS = (
    ("Rejected", Meaning(_REJECTED, Reason.REFUSED_BY_VENUE)),
    ("Canceled", Meaning(_CANCELLED, Reason.BY_VENUE)),
    ("Cancel", Meaning(_CANCELLED, Reason.BY_VENUE)),
)


def meaning_of(word: str) -> Meaning | None:
    """What a word says, also one that came after this table was written; None for no guess."""
    found = MEANINGS.get(word)
    if found is not None:
        return found
    return next((meaning for ending, meaning in _ENDINGS if word.endswith(ending)), None)


_WRITTEN: dict[Meaning, str] = {}
for _word, _meaning in MEANINGS.items():
    _WRITTEN.setdefault(_meaning, _word)
_ALSO = {
    Reason.REDUCE_ONLY_WRONG_SIDE: "reduceOnlyRejected",
    Reason.POSITION_FLAT: "reduceOnlyCanceled",
    Reason.ENTRY_ENDED: "canceled",
    Reason.POST_ONLY_AT_TRIGGER: "badAloPxRejected",
    # The venue calls an Ioc that traded in part filled, whatever it lost.
    Reason.IOC_REST: "filled",
    Reason.MARKET_REST: "filled",
}


def word_of(status: OrderStatus, reason: Reason = Reason.NONE) -> str:
    """The word that the venue has for a status of ours and its reason."""
    if status in (OrderStatus.PENDING, OrderStatus.PARTIALLY_FILLED):
        return "open"
    if status.is_terminal and reason in _ALSO:
        return _ALSO[reason]
    found = _WRITTEN.get(Meaning(status, reason))
    if found is not None:
        return found
    return "rejected" if status is _REJECTED else "internalCancel"
