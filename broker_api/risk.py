"""Limits of the session itself: what is refused before it is sent."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from broker_api.config import Settings
from broker_api.event import Reason
from broker_api.instrument import Instrument
from broker_api.ledger import Ledger
from broker_api.order import Side
from broker_api.refusals import refusal


class RiskConfig(Settings):
    """Largest sizes, in the instruments' own units; None does not limit.

    `max_position_size` bounds the position if all working entries of its side filled. Orders that
    reduce exposure are never refused.
    """

    max_order_size: Decimal | None = Field(default=None, gt=0)
    max_position_size: Decimal | None = Field(default=None, gt=0)


class RiskGate:
    """Refuses orders beyond the limits of a RiskConfig."""

    def __init__(self, config: RiskConfig | None) -> None:
        self.config = config or RiskConfig()
        self.is_open = config is None or (
            config.max_order_size is None and config.max_position_size is None
        )

    def check(self, ledger: Ledger, index: int, side: Side, lots: int) -> None:
        """Raise RiskLimitError when an exposure-increasing order of `lots` is beyond a limit."""
        if self.is_open:
            return
        spec = ledger.instruments[index]
        limit = _limit_lots(self.config.max_order_size, spec)
        if limit is not None and lots > limit:
            raise refusal(Reason.RISK_LIMIT, spec, lots, limit, prefix="max_order_size: ")
        limit = _limit_lots(self.config.max_position_size, spec)
        if limit is not None:
            would_be = abs(_exposure_lots(ledger, index, side) + side.sign * lots)
            if would_be > limit:
                raise refusal(
                    Reason.RISK_LIMIT, spec, would_be, limit, prefix="max_position_size: "
                )


def _limit_lots(size: Decimal | None, spec: Instrument) -> int | None:
    return None if size is None else int(size / spec.lot_size)


def _exposure_lots(ledger: Ledger, index: int, side: Side) -> int:
    """The position if every working entry of `side` filled."""
    lots = ledger.positions[index].lots
    for record in ledger.working.values():
        if record.instrument == index and record.side is side and record.is_entry:
            lots += side.sign * record.leaves_lots
    return lots
