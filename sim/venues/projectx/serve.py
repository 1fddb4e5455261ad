"""A local gateway from its settings: what `papertape serve projectx` runs, and tests in Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from broker_api.config import SimulationConfig
from broker_api.errors import ConfigurationError
from broker_api.secret import Secret
from sim.venues.clock import WallClock
from sim.venues.projectx.engine import AccountSettings, Options, ProjectXEngine, make_engine
from sim.venues.projectx.sessions import Sessions
from sim.venues.projectx.wire import Limits, ProjectXWire
from sim.venues.runner import Runner
from sim.venues.server import ServerSettings, VenueServer
from sim.venues.sources import Source
from sim.venues.warm import warm_up


@dataclass(frozen=True)
class VenueSettings:
    """A gateway before it is made: its markets, `keys` by user name, and accounts of the users.

    `speed` 0 is stepped time. `has_limits` turns on the live gateway's limits of requests.
    """

    sources: tuple[Source, ...]
    server: ServerSettings
    keys: Mapping[str, Secret]
    accounts: tuple[AccountSettings, ...]
    simulation: SimulationConfig = field(default_factory=SimulationConfig)
    speed: Fraction = Fraction(0)
    has_limits: bool = False
    options: Options = field(default_factory=Options)

    def engine(self) -> ProjectXEngine:
        """The gateway's first state. Raises ConfigurationError."""
        names = [account.name for account in self.accounts]
        for account in self.accounts:
            if account.user not in self.keys:
                raise ConfigurationError(
                    f"account {account.name!r}: user {account.user!r} has no key"
                )
            if names.count(account.name) > 1:
                raise ConfigurationError(f"account {account.name!r} is named twice")
        return make_engine(self.sources, self.simulation, self.accounts, self.options)


def make_server(settings: VenueSettings, wall_ns: WallClock) -> VenueServer:
    """The server of a gateway; call it inside the event loop that it is to run on.

    `wall_ns` is the machine's clock: tokens expire by it, and a market that runs goes by it.
    """
    warm_up([source.instrument for source in settings.sources])
    runner = Runner(settings.engine, wall_ns, settings.speed)
    sessions = Sessions(settings.keys, settings.server.token)
    limits = Limits() if settings.has_limits else None
    return VenueServer(
        runner,
        lambda runner, sockets, faults: ProjectXWire(runner, sockets, sessions, limits),
        settings.server,
    )
