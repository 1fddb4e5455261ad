"""A local venue's settings from the words of the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

from broker_api.catalog import find, load_catalog
from broker_api.config import SimulationConfig
from broker_api.errors import ConfigurationError
from broker_api.instrument import Instrument
from papertape.parameters import literal, split_settings
from sim.venues.clock import speed_of
from sim.venues.hyperliquid.serve import VenueSettings
from sim.venues.server import ServerSettings
from sim.venues.sources import Source, source_of

DEFAULT_MARKETS = (
    "BTC=synthetic:seed=1,hours=3",
    "ETH=sample",
    "OP=synthetic:seed=2,hours=3,price=1.8",
)
"""What plays when no market is named: what the examples of the vendor's SDK trade."""


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


def _sources(markets: Sequence[str], catalog: Mapping[str, Instrument]) -> tuple[Source, ...]:
    sources: list[Source] = []
    for text in markets:
        symbol, equals, what = text.partition("=")
        if not equals:
            raise ConfigurationError(f"market {text}: name its instrument, as in ETH={text}")
        instrument = find(catalog, symbol)
        if any(source.instrument is instrument for source in sources):
            raise ConfigurationError(f"market {text}: {instrument.symbol} is there already")
        sources.append(source_of(instrument, what))
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
