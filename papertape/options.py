"""Options that several commands have."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from broker_api.config import SETTINGS_FILE, SessionDefaults
from broker_api.errors import ConfigurationError
from broker_api.instrument import NANOS
from scenarios.parameters import literal
from scenarios.settings import settings_of

if TYPE_CHECKING:
    from scenarios.runner import Script

ScriptFile = Annotated[Path, typer.Argument(help="a file, or a scenario", show_default=False)]
Tapes = Annotated[
    list[str] | None,
    typer.Option("--tape", help="a Parquet tape, or SYMBOL=FILE; once an instrument"),
]
Instruments = Annotated[
    list[str] | None,
    typer.Option("--instrument", help="symbol or id, like MNQ; once a tape, in the same order"),
]
Strategy = Annotated[
    str | None,
    typer.Option(help="run this `async def NAME(suite, ...)` of the file"),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="an argument for the strategy, or a setting: simulation.entry_latency_ms=20",
    ),
]
Out = Annotated[Path | None, typer.Option(help="the run folder; default runs/<script>-<digest>")]
As = Annotated[
    str | None, typer.Option("--as", help="the package name that means papertape in this run")
]
Config = Annotated[
    Path | None,
    typer.Option(help=f"settings; default {SETTINGS_FILE} of the working directory if there"),
]
Catalog = Annotated[
    list[Path] | None, typer.Option("--catalog", help="a file of your own instruments")
]
Cash = Annotated[float | None, typer.Option(help="the account's cash at the start")]
Queue = Annotated[
    str | None, typer.Option(help="queue model: proportional, displayed, front, back")
]
Seed = Annotated[int | None, typer.Option(help="seed of what is drawn by chance")]
Risk = Annotated[
    str | None,
    typer.Option(
        metavar="PRESET or FILE[:PRESET]", help="account rules, see docs/risk.md; like combine-50k"
    ),
]
For = Annotated[
    str | None,
    typer.Option(
        "--for",
        metavar="VENUE",
        help="rehearse for hyperliquid or projectx: what it does not support is refused",
    ),
]


def subject_of(
    script: Path,
    strategy: str | None,
    as_name: str | None,
    config: Path | None,
    catalog: list[Path],
) -> tuple[Script, SessionDefaults]:
    """What to run, and its settings: a scenario's own, else those of a settings file.

    Raises ConfigurationError for an option that a scenario's file says itself.
    """
    from scenarios.runner import Script
    from scenarios.scenario import is_scenario, read_scenario

    if not is_scenario(script):
        return Script(script, strategy, {}, as_name), settings_of(config, catalog)
    for name, given in (("--strategy", strategy), ("--as", as_name), ("--config", config)):
        if given is not None:
            raise ConfigurationError(f"{name} {given}: the scenario {script} says that itself")
    scenario = read_scenario(script)
    defaults = scenario.defaults()
    files = (*defaults.catalog_files, *catalog)
    return scenario.script_to_play(), replace(defaults, catalog_files=files)


def time_of(option: str, text: str, example: str) -> int:
    """Nanoseconds since the epoch of an ISO time, in UTC unless it says otherwise.

    Raises ConfigurationError for a text that is no time.
    """
    try:
        when = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{option} {text!r} is not a time like {example}") from None
    aware = when if when.tzinfo is not None else when.replace(tzinfo=dt.UTC)
    return int(aware.timestamp()) * NANOS


def changes_of(settings: Mapping[str, str], options: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the simulation by `--set`, overruled by the options that were given."""
    changes: dict[str, Any] = {key: literal(text) for key, text in settings.items()}
    return changes | {key: value for key, value in options.items() if value is not None}
