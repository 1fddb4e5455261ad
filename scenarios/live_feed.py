"""A paper session on a market that goes on now: its rows, and the venue's own instruments.

The venue's ticks, lots and rules are the session's; they are kept in its folder as a catalogue
file, so that the session can be resumed, played again, and its tapes be read by any run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomlkit

from broker_api.catalog import find, load_catalog
from broker_api.instrument import Instrument
from broker_api.public_market import PublicMarket, check_same_grid
from data.growing import GrowingTape
from scenarios.paper_feed import FeedPlan, OpenFeed
from scenarios.run_folder import plain
from scenarios.scenario import Scenario
from sim.inbox import Inbox, Wall
from sim.incoming import Request
from sim.live_rows import LiveMarket, LiveRows, kinds_of

CATALOG_FILE = "instruments.toml"
"""The session's instruments, in its folder."""
MakeMarket = Callable[[str, Mapping[str, Any], Sequence[Instrument]], PublicMarket]
"""Makes the market of a feed by its name, with its options, for these instruments."""


def open_live(
    plan: FeedPlan,
    instruments: Sequence[Instrument],
    folder: Path,
    wall_ns: Callable[[], int],
    serve: Callable[[Request], Any],
    make_market: MakeMarket,
) -> OpenFeed:
    """The market that goes on now. Raises ConfigurationError and BrokerError."""
    market = make_market(plan.name, plan.options, instruments)
    kinds = kinds_of(market.kinds)
    tapes = [GrowingTape(each.symbol, market.source, kinds, folder=folder) for each in instruments]
    rows = LiveRows(len(tapes))
    inbox = Inbox(tapes, rows, Wall(wall_ns), serve)
    told = LiveMarket(inbox, rows, len(tapes), wall_ns)
    there = market.start(told)
    return OpenFeed(inbox, market.close, there, told.health, lambda: told.notes)


def keep_instruments(folder: Path, instruments: Sequence[Instrument]) -> None:
    """Write the catalogue file of a session."""
    table = {}
    for each in instruments:
        fields = {key: value for key, value in plain(each).items() if value is not None}
        fields["margin_tiers"] = [plain(tier._asdict()) for tier in each.margin_tiers]
        symbol = fields.pop("symbol")
        table[symbol] = fields
    text = "# The instruments as the venue had them when the session began.\n"
    (folder / CATALOG_FILE).write_text(text + tomlkit.dumps(table), encoding="utf-8")


def with_kept_instruments(scenario: Scenario, folder: Path) -> Scenario:
    """The scenario on the instruments that are kept in a session's folder, where there are any."""
    file = (folder / CATALOG_FILE).resolve()
    if not file.is_file():
        return scenario
    files = (*scenario.settings.catalog_files, file)
    catalog = load_catalog(*files)
    return replace(
        scenario,
        instruments=tuple(find(catalog, each.symbol) for each in scenario.instruments),
        settings=replace(scenario.settings, catalog_files=files),
    )


def check_instruments(known: Sequence[Instrument], there: Sequence[Instrument], venue: str) -> None:
    """Raise ConfigurationError where a session that is resumed finds other ticks or lots."""
    for ours, theirs in zip(known, there, strict=True):
        check_same_grid(ours, theirs, venue)
