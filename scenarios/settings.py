"""The settings of a run as the commands hear of them: a file, options, tapes by symbol."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from broker_api.catalog import find, load_catalog
from broker_api.config import (
    SETTINGS_FILE,
    AccountConfig,
    SessionDefaults,
    SimulationConfig,
    read_settings,
)
from broker_api.errors import ConfigurationError
from broker_api.risk_rules import rules_of

_SYMBOL_AND_FILE = re.compile(r"([A-Za-z0-9._/:-]+)=(.+)", re.DOTALL)


def settings_of(config: Path | None, catalog: Sequence[Path]) -> SessionDefaults:
    """Those of the file, else of the one in the working directory; `catalog` on top."""
    if config is None and Path(SETTINGS_FILE).exists():
        config = Path(SETTINGS_FILE)
    defaults = read_settings(config) if config is not None else SessionDefaults()
    return replace(defaults, catalog_files=(*defaults.catalog_files, *catalog))


def with_tapes(
    defaults: SessionDefaults, tapes: Sequence[str], instruments: Sequence[str]
) -> SessionDefaults:
    """The named instruments and their tapes, checked against the catalogue and the disk."""
    catalog = load_catalog(*defaults.catalog_files)
    symbols = [find(catalog, name).symbol for name in instruments]
    plain: list[Path] = []
    named: dict[str, Path] = {}
    for text in tapes:
        match = None if Path(text).exists() else _SYMBOL_AND_FILE.fullmatch(text)
        if match is None:
            plain.append(Path(text))
        else:
            symbol = find(catalog, match[1]).symbol
            if symbol in named:
                raise ConfigurationError(f"--tape {text}: {symbol} has the tape {named[symbol]}")
            named[symbol] = Path(match[2])
    unpaired = [symbol for symbol in symbols if symbol not in named]
    if plain and not unpaired and not symbols and len(defaults.instruments) == len(plain):
        unpaired = [find(catalog, name).symbol for name in defaults.instruments]
    if len(plain) > len(unpaired):
        raise ConfigurationError(
            f"--tape {plain[len(unpaired)]} has no instrument: add --instrument SYMBOL, or write "
            f"--tape SYMBOL={plain[len(unpaired)]}"
        )
    paired = {**named, **dict(zip(unpaired, plain, strict=False))}
    for symbol, path in paired.items():
        if not path.is_file():
            raise ConfigurationError(f"tape of {symbol}: {path} is not a file")
    chosen = tuple(dict.fromkeys([*symbols, *named])) or defaults.instruments
    return replace(defaults, instruments=chosen, tapes={**defaults.tapes, **paired})


def with_settings(
    defaults: SessionDefaults,
    changes: Mapping[str, Any],
    cash: float | None = None,
    risk: str | None = None,
) -> SessionDefaults:
    """With these settings of the simulation, cash and account rules; what is not named stays."""
    if risk is not None:
        defaults = replace(defaults, risk=rules_of(risk))
    if changes:
        base = defaults.simulation.model_dump() if defaults.simulation else {}
        defaults = replace(defaults, simulation=SimulationConfig.parse({**base, **changes}))
    if cash is not None:
        account = defaults.account.model_dump() if defaults.account else {}
        defaults = replace(defaults, account=AccountConfig.parse({**account, "cash": cash}))
    return defaults
