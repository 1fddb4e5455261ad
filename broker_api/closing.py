"""Orders that follow from the position: close it, reduce it, scale out of it.

All of them are reduce-only, so repeated calls never close more than is held. Fractions are taken as
the decimals that were written: 0.33 + 0.56 + 0.11 is 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from broker_api.drafting import check_names, required_ticks
from broker_api.errors import InvalidOrderError, InvalidSizeError, OrderRejectedError
from broker_api.event import Reason
from broker_api.instrument import Number
from broker_api.order import Side
from broker_api.placing import Placing
from broker_api.refusals import refusal
from broker_api.response import OrderResponse
from broker_api.session import Session

METHODS = ("market", "limit")


def parse_fraction(value: object, field: str) -> Decimal:
    """A fraction above 0 and at most 1 as the decimal that was written. Raises InvalidSizeError."""
    try:
        fraction = Decimal(str(value))
    except InvalidOperation:
        fraction = Decimal(-1)
    if isinstance(value, bool) or not fraction.is_finite() or not 0 < fraction <= 1:
        raise InvalidSizeError(f"{field} {value!r} is not a fraction above 0 and at most 1")
    return fraction


def share_lots(lots: int, fractions: Sequence[Decimal]) -> list[int]:
    """Whole lots for each fraction of `lots`, by largest remainder, ties to the earlier one.

    They sum to the covered size rounded down. Raises InvalidSizeError when fractions exceed 1.

    >>> share_lots(10, [Decimal("0.33"), Decimal("0.33"), Decimal("0.34")])
    [3, 3, 4]
    """
    covered = sum(fractions, Decimal(0))
    if covered > 1:
        raise InvalidSizeError(f"the percentages sum to {covered}, which is above 1")
    shares = [int(lots * fraction) for fraction in fractions]
    remainders = [
        lots * fraction - share for fraction, share in zip(fractions, shares, strict=True)
    ]
    order = sorted(range(len(fractions)), key=lambda index: (-remainders[index], index))
    for index in order[: int(lots * covered) - sum(shares)]:
        shares[index] += 1
    return shares


class Closing:
    """Places reduce-only orders from the position of one session's instruments."""

    def __init__(self, session: Session, placing: Placing) -> None:
        self._session = session
        self._placing = placing

    async def close(
        self, index: int, method: str, limit_price: Number | None, options: Mapping[str, Any]
    ) -> OrderResponse:
        """Close the whole position; nothing happens when flat."""
        return await self._reduce(index, None, method, limit_price, options)

    async def reduce(
        self,
        index: int,
        fraction: Decimal,
        method: str,
        limit_price: Number | None,
        options: Mapping[str, Any],
    ) -> OrderResponse:
        """Close a fraction of the position, in whole lots rounded down."""
        return await self._reduce(index, fraction, method, limit_price, options)

    async def _reduce(
        self,
        index: int,
        fraction: Decimal | None,
        method: str,
        limit_price: Number | None,
        options: Mapping[str, Any],
    ) -> OrderResponse:
        session = self._session
        session.check()
        spec = session.instruments[index]
        try:
            if method not in METHODS:
                raise InvalidOrderError(f"method {method!r} is not one of {', '.join(METHODS)}")
            if method == "market" and limit_price is not None:
                raise InvalidOrderError('limit_price goes with method "limit"')
            held = session.ledger.positions[index].lots
            if held == 0:
                return self._nothing(index, f"no open position in {spec.symbol}")
            side = Side.SELL if held > 0 else Side.BUY
            lots = abs(held) if fraction is None else int(abs(held) * fraction)
            if lots == 0:
                raise InvalidSizeError(
                    f"{fraction} of the position {spec.format_size(abs(held))} in {spec.symbol} is "
                    f"less than one lot of {spec.lot_size}"
                )
            ticks = None if method == "market" else self._limit_ticks(index, side, limit_price)
        except OrderRejectedError:
            self._placing.deny(index)
            raise
        return await self._placing.reduce_only(index, side, lots, ticks, options)

    def _nothing(self, index: int, reason: str) -> OrderResponse:
        session = self._session
        symbol = session.instruments[index].symbol
        return OrderResponse(None, None, None, symbol, session.clock.now_ns(), reason)

    def _limit_ticks(self, index: int, side: Side, limit_price: Number | None) -> int:
        """The given limit, else the touch at which the order would trade now."""
        spec = self._session.instruments[index]
        if limit_price is None:
            quote = self._session.broker.last_quote(index)
            if quote is not None:
                limit_price = quote.bid if side is Side.SELL else quote.ask
        return required_ticks(spec, limit_price, "limit_price")

    async def scale_out(
        self, index: int, levels: Sequence[Mapping[str, Any]], options: Mapping[str, Any]
    ) -> list[OrderResponse]:
        """Place a limit order at every level for its fraction of the position; none when flat.

        Every level is checked before the first is sent. When the venue refuses one, its error tells
        which levels are working; they stay.
        """
        session = self._session
        session.check()
        spec = session.instruments[index]
        try:
            fractions, prices = self._parse_levels(index, levels)
            held = session.ledger.positions[index].lots
            shares = share_lots(abs(held), fractions)
            if held != 0 and sum(shares) == 0:
                raise InvalidSizeError(
                    f"{sum(fractions)} of the position {spec.format_size(abs(held))} in "
                    f"{spec.symbol} is less than one lot of {spec.lot_size}"
                )
        except OrderRejectedError:
            self._placing.deny(index)
            raise
        if held == 0:
            return []
        side = Side.SELL if held > 0 else Side.BUY
        responses: list[OrderResponse] = []
        for number, (lots, ticks) in enumerate(zip(shares, prices, strict=True), start=1):
            if lots == 0:
                reason = f"level {number} gets no lot of {spec.format_size(abs(held))}"
                responses.append(self._nothing(index, reason))
                continue
            try:
                responses.append(await self._placing.reduce_only(index, side, lots, ticks, options))
            except OrderRejectedError as refused:
                working = [response.order_id for response in responses if response.success]
                refused.args = (f"level {number}: {refused}; placed before it: {working}",)
                raise
        return responses

    def _parse_levels(
        self, index: int, levels: Sequence[Mapping[str, Any]]
    ) -> tuple[list[Decimal], list[int]]:
        spec = self._session.instruments[index]
        if not levels:
            raise refusal(Reason.PRICE_MISSING, spec, prefix="levels: ")
        fractions, prices = [], []
        for number, level in enumerate(levels, start=1):
            if not isinstance(level, Mapping):
                raise InvalidOrderError(f"level {number} is not a table of percentage and price")
            check_names(level, ("percentage", "price"), f"level {number}")
            fractions.append(
                parse_fraction(level.get("percentage"), f"percentage of level {number}")
            )
            prices.append(required_ticks(spec, level.get("price"), f"price of level {number}"))
        return fractions, prices
