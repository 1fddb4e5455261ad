"""What a venue tells everybody about its market, for whoever only listens: no account, no orders.

A `PublicMarket` is an adapter's; it runs in a thread of its own and tells a `MarketSink` in the
integers of the instruments that it was made for, in the order in which the venue told it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from broker_api.errors import ConfigurationError
from broker_api.instrument import Instrument

BEGIN_SECONDS = 60.0
"""How long a venue may take to say what it trades."""


class MarketSink(Protocol):
    """Who is told. Called from the market's thread; `index` is the instrument's.

    Prices are ticks and sizes lots, except where nanos (1e-9) are said.
    """

    def quote(self, index: int, bid: int | None, ask: int | None, sizes: tuple[int, int]) -> None:
        """The touch, with the lots that rest there; None for an empty side."""

    def trade(self, index: int, ticks: int, lots: int, side: int) -> None:
        """A print; `side` is the aggressor's: 1 buyer, -1 seller, 0 unknown."""

    def mark(self, index: int, nanos: int) -> None:
        """The venue's mark price."""

    def funding(self, index: int, rate_nanos: int) -> None:
        """A funding time has passed; longs pay the rate."""

    def down(self, why: str) -> None:
        """From now on nothing is known until the next quote of each instrument."""

    def note(self, text: str) -> None:
        """What a person should know."""


class PublicMarket(Protocol):
    """A venue's market. `start` it once, `close` it once."""

    @property
    def source(self) -> str:
        """Where the rows come from, for the record."""

    @property
    def kinds(self) -> Sequence[str]:
        """What it may tell: "quote", "trade", "mark", "funding"."""

    def start(self, sink: MarketSink) -> tuple[Instrument, ...]:
        """Connect; the instruments with the venue's own ticks, lots and rules, in their order.

        Raises ConfigurationError and BrokerError for what is wrong from the start.
        """

    def close(self) -> None:
        """End the connections and the thread. Idempotent."""


def check_same_grid(ours: Instrument, theirs: Instrument, venue: str) -> None:
    """Raise ConfigurationError where the venue's tick or lot is another than the instrument's."""
    steps: list[tuple[str, Decimal, Decimal]] = [
        ("tick_size", ours.tick_size, theirs.tick_size),
        ("lot_size", ours.lot_size, theirs.lot_size),
    ]
    for name, known, there in steps:
        if known != there:
            raise ConfigurationError(
                f"{ours.symbol}: its {name} was {known.normalize():f} when the session began, "
                f"{venue} says that it is {there.normalize():f} now; begin a new session"
            )
