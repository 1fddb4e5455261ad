"""What adapters' drafts of orders share: how one is refused before it is sent, and a middle."""

from __future__ import annotations

from decimal import Decimal

from broker_api.event import Reason


class Refused(Exception):
    """An order that the venue does not have or would refuse; nothing was sent.

    Values are in the reason's unit.
    """

    def __init__(self, reason: Reason, value: int = 0, limit: int = 0) -> None:
        super().__init__(reason.name)
        self.reason = reason
        self.value = value
        self.limit = limit


def middle(bid: Decimal | None, ask: Decimal | None) -> Decimal | None:
    """Half way between two prices, or the one that is known."""
    if bid is None or ask is None:
        return ask if bid is None else bid
    return (bid + ask) / 2
