"""Positions: what is open, at what average, and what it is worth."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal, InvalidOperation

from broker_api.closing import Closing
from broker_api.errors import InvalidOrderError, InvalidSizeError
from broker_api.instrument import Instrument, Number
from broker_api.notice import EventType, Handler, Subscription
from broker_api.refusals import unknown_instrument
from broker_api.response import OrderResponse
from broker_api.session import Session
from broker_api.view import Position


class PositionManager:
    """Positions of one instrument (`suite["MNQ"].positions`) or of all (`suite.positions`)."""

    def __init__(self, session: Session, closing: Closing, instrument: int | None = None) -> None:
        self._session = session
        self._closing = closing
        self._instrument = instrument

    def position(self, instrument: str | None = None) -> Position:
        """The position as it is now; flat is a Position of size 0."""
        return self._session.position(self._one(instrument))

    def net_size(self, instrument: str | None = None) -> float:
        """The signed size that is open now: a quick look for handlers of ticks."""
        index = self._one(instrument)
        shortcut = self._session.shortcut
        if shortcut is None:
            lots = self._session.ledger.positions[index].lots
        else:
            lots = shortcut.position_lots()
        return self._session.instruments[index].lots_to_size(lots)

    async def get_position(self, instrument: str | None = None) -> Position:
        """The same as `position`."""
        return self.position(instrument)

    async def get_all_positions(self) -> list[Position]:
        """The open positions, in the order of the session's instruments."""
        return [self._session.position(index) for index in self._open()]

    async def is_position_open(self, instrument: str | None = None) -> bool:
        """True when something is open."""
        return self._session.ledger.positions[self._one(instrument)].lots != 0

    async def close_all_positions(self) -> list[OrderResponse]:
        """Close every open position at the market, reduce-only; one response each."""
        return [await self._closing.close(index, "market", None, {}) for index in self._open()]

    async def calculate_position_size(
        self,
        risk_amount: Number,
        entry_price: Number,
        stop_price: Number,
        instrument: str | None = None,
    ) -> float:
        """The size at which the stop loses at most `risk_amount`, in whole lots rounded down.

        Raises InvalidSizeError, with the numbers, below one lot.
        """
        spec = self._session.instruments[self._one(instrument)]
        try:
            distance = abs(Decimal(str(entry_price)) - Decimal(str(stop_price)))
        except InvalidOperation:
            raise InvalidOrderError(
                f"entry_price {entry_price!r} or stop_price {stop_price!r} is not a number"
            ) from None
        return size_for_risk(spec, risk_amount, distance)

    async def on_position(self, handler: Handler) -> Subscription:
        """Call `handler(Position)` after every fill."""
        return self._session.subscribe(EventType.POSITION, handler, self._instrument)

    def _open(self) -> list[int]:
        positions = self._session.ledger.positions
        chosen = range(len(positions)) if self._instrument is None else (self._instrument,)
        return [index for index in chosen if positions[index].lots]

    def _one(self, instrument: str | None) -> int:
        if instrument is not None:
            return self._session.index_of(instrument)
        if self._instrument is not None:
            return self._instrument
        if len(self._session.instruments) == 1:
            return 0
        raise unknown_instrument(instrument, [spec.symbol for spec in self._session.instruments])


def size_for_risk(spec: Instrument, risk_amount: Number, stop_points: Decimal) -> float:
    """`risk_amount / (stop_points x point value)` in whole lots, rounded down.

    Raises InvalidSizeError, with the numbers, below one lot or for amounts that are not positive.
    """
    try:
        risk = Decimal(str(risk_amount))
    except InvalidOperation:
        risk = Decimal(-1)
    if not risk.is_finite() or risk <= 0:
        raise InvalidSizeError(f"risk_amount {risk_amount!r} is not a positive number")
    if not stop_points.is_finite() or stop_points <= 0:
        raise InvalidSizeError(f"the stop distance {stop_points} is not positive")
    risk_of_lot = stop_points * spec.point_value * spec.lot_size
    lots = int((risk / risk_of_lot).to_integral_value(rounding=ROUND_DOWN))
    if lots < 1:
        raise InvalidSizeError(
            f"risk_amount {risk:f} is less than the {risk_of_lot.normalize():f} {spec.currency} "
            f"that one lot of {spec.symbol} loses over {stop_points.normalize():f} points"
        )
    return spec.lots_to_size(lots)
