"""A local venue from its settings: what `papertape serve hyperliquid` runs, and tests in Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from broker_api.config import SimulationConfig
from sim.venues.clock import WallClock
from sim.venues.hyperliquid.engine import HyperliquidEngine, Options, make_engine
from sim.venues.hyperliquid.limits import IpLimits
from sim.venues.hyperliquid.wire import HyperliquidWire
from sim.venues.runner import Runner
from sim.venues.server import ServerSettings, VenueServer
from sim.venues.sources import Source
from sim.venues.warm import warm_up


@dataclass(frozen=True)
class VenueSettings:
    """A venue before it is made.

    `funds` gives addresses their dollars at the start; `speed` 0 is stepped time; `accounts` is how
    many addresses may trade at once. `limits_by_ip` turns on the live venue's limits of requests
    and connections an IP address, which a test suite runs into at once.
    """

    sources: tuple[Source, ...]
    server: ServerSettings
    simulation: SimulationConfig = field(default_factory=SimulationConfig)
    funds: Mapping[str, Decimal] = field(default_factory=dict)
    accounts: int = 16
    speed: Fraction = Fraction(0)
    limits_by_ip: bool = False
    options: Options = field(default_factory=Options)

    def engine(self) -> HyperliquidEngine:
        """The venue's first state. Raises ConfigurationError."""
        engine = make_engine(self.sources, self.simulation, self.accounts, self.options)
        for address, amount in self.funds.items():
            engine.give(address, amount)
        return engine


def make_server(settings: VenueSettings, wall_ns: WallClock) -> VenueServer:
    """The server of a venue; call it inside the event loop that it is to run on.

    `wall_ns` is the machine's clock: nonces and timers are compared with it, and a market that
    runs goes by it.
    """
    warm_up([source.instrument for source in settings.sources])
    runner = Runner(settings.engine, wall_ns, settings.speed)
    limits = IpLimits() if settings.limits_by_ip else None
    return VenueServer(
        runner,
        lambda runner, sockets, faults: HyperliquidWire(runner, sockets, faults, limits),
        settings.server,
    )
