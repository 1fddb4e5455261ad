"""What market data is told as: quotes, prints and bars, in the instrument's own units."""

from __future__ import annotations

from typing import NamedTuple

from broker_api.order import Side


class Quote(NamedTuple):
    """The best bid and offer after a row of the tape, in the instrument's own units.

    Prices are None where the side is empty.
    """

    instrument: str
    ts_ns: int
    bid: float | None
    ask: float | None
    bid_size: float
    ask_size: float

    @property
    def mid(self) -> float | None:
        """Half way between the two, None while a side is empty."""
        return None if self.bid is None or self.ask is None else (self.bid + self.ask) / 2


class Trade(NamedTuple):
    """One print. `side` is the aggressor's, None where the feed does not say."""

    instrument: str
    ts_ns: int
    price: float
    size: float
    side: Side | None


class Bar(NamedTuple):
    """Open, high, low, close and volume of [`ts_ns`, `ts_ns` + `interval_ns`)."""

    instrument: str
    ts_ns: int
    interval_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
