"""A local venue's settings from the words of the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

from broker_api.catalog import find, load_catalog
from broker_api.config import SimulationConfig
from broker_api.errors import ConfigurationError
from broker_api.instrument import Instrument
from broker_api.secret import Secret
from scenarios.parameters import literal, split_settings
from sim.venues.clock import speed_of
from sim.venues.hyperliquid.serve import VenueSettings
from sim.venues.projectx import serve as projectx
from sim.venues.projectx.engine import AccountSettings, Options
from sim.venues.server import ServerSettings
from sim.venues.sources import Source, source_of

DEFAULT_MARKETS = (
    "BTC=synthetic:seed=1,hours=3",
    "ETH=sample",
    "OP=synthetic:seed=2,hours=3,price=1.8",
    "SOL=synthetic:seed=3,hours=3,price=184.8",
)
"""What plays when no market is named: what the examples of the vendor's SDK trade."""

PROJECTX_MARKETS = ("MNQ=sample", "ES=sample")
PROJECTX_USER = "papertape"
_MINUTE_NS = 60_000_000_000


def hyperliquid_settings(
    markets: Sequence[str],
    catalog_files: Sequence[Path],
    assignments: Sequence[str],
    funds: Sequence[str],
    server: ServerSettings,
    *,
    speed: str,
    accounts: int,
    limits_by_ip: bool,
) -> VenueSettings:
    """The settings of a Hyperliquid venue. Raises ConfigurationError, TapeError.

    `markets` are SYMBOL=WHAT, `assignments` simulation.KEY=VALUE, `funds` ADDRESS=AMOUNT.
    """
    return VenueSettings(
        sources=_sources(markets or DEFAULT_MARKETS, load_catalog(*catalog_files)),
        server=server,
        simulation=_simulation(assignments),
        funds=dict(map(_fund, funds)),
        accounts=accounts,
        speed=speed_of(speed),
        limits_by_ip=limits_by_ip,
    )


def projectx_settings(
    markets: Sequence[str],
    catalog_files: Sequence[Path],
    assignments: Sequence[str],
    server: ServerSettings,
    key: Secret,
    *,
    cash: Decimal,
    accounts: int,
    speed: str,
    has_limits: bool,
    signed_brackets: bool,
    begins_ns: int | None,
) -> projectx.VenueSettings:
    """The settings of a ProjectX Gateway with one user. Raises ConfigurationError, TapeError.

    `begins_ns` is the time that is shown when the market begins, None for its own.
    """
    catalog = load_catalog(*catalog_files)
    sources = _sources(markets or PROJECTX_MARKETS, catalog, is_perpetual=False)
    start_ns = max(source.tape.start_ns for source in sources)
    shift_ns = 0 if begins_ns is None else (begins_ns - start_ns) // _MINUTE_NS * _MINUTE_NS
    return projectx.VenueSettings(
        sources=sources,
        server=server,
        keys={PROJECTX_USER: key},
        accounts=tuple(
            AccountSettings(f"SIM-{number}", PROJECTX_USER, cash)
            for number in range(1, accounts + 1)
        ),
        simulation=_simulation(assignments),
        speed=speed_of(speed),
        has_limits=has_limits,
        options=Options(signed_brackets, shift_ns),
    )


def _sources(
    markets: Sequence[str], catalog: Mapping[str, Instrument], *, is_perpetual: bool = True
) -> tuple[Source, ...]:
    sources: list[Source] = []
    for text in markets:
        symbol, equals, what = text.partition("=")
        if not equals:
            raise ConfigurationError(f"market {text}: name its instrument, as in ETH={text}")
        instrument = find(catalog, symbol)
        if any(source.instrument is instrument for source in sources):
            raise ConfigurationError(f"market {text}: {instrument.symbol} is there already")
        sources.append(source_of(instrument, what, is_perpetual=is_perpetual))
    return tuple(sources)


def _simulation(assignments: Sequence[str]) -> SimulationConfig:
    others, settings = split_settings(assignments)
    if others:
        raise ConfigurationError(f"--set {others[0]}: settings are simulation.KEY=VALUE")
    found: SimulationConfig = SimulationConfig.parse(
        {name: literal(text) for name, text in settings.items()}
    )
    return found


def _fund(text: str) -> tuple[str, Decimal]:
    address, _, amount = text.partition("=")
    try:
        return address, Decimal(amount)
    except InvalidOperation:
        raise ConfigurationError(f"--fund {text}: it has the form ADDRESS=AMOUNT") from None
