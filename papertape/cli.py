"""The command line: `papertape run | demo | explain | data | version`.

Exit codes: 0 the run ended; 1 the script itself failed (its traceback is shown); 2 something was
refused before or during the run: an argument, a file, a setting, an order that the script did not
expect to be refused; 130 interrupted. A script that leaves by `sys.exit(n)` ends with that `n`.
"""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from broker_api.catalog import find, load_catalog
from broker_api.config import (
    SETTINGS_FILE,
    AccountConfig,
    SessionDefaults,
    SimulationConfig,
    read_settings,
)
from broker_api.errors import ConfigurationError
from papertape.data_command import app as data_app
from papertape.parameters import literal, split_assignments, split_settings

_SYMBOL_AND_FILE = re.compile(r"([A-Za-z0-9._/:-]+)=(.+)", re.DOTALL)

app = typer.Typer(
    name="papertape",
    help="Rehearse trading strategies on a tape of historical ticks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")

_Script = Annotated[Path, typer.Argument(help="a Python file", show_default=False)]
_Tapes = Annotated[
    list[str] | None,
    typer.Option("--tape", help="a Parquet tape, or SYMBOL=FILE; once an instrument"),
]
_Instruments = Annotated[
    list[str] | None,
    typer.Option("--instrument", help="symbol or id, like MNQ; once a tape, in the same order"),
]
_Strategy = Annotated[
    str | None,
    typer.Option(help="run this `async def NAME(suite, ...)` of the file"),
]
_Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="an argument for the strategy, or a setting: simulation.entry_latency_ms=20",
    ),
]
_Out = Annotated[Path | None, typer.Option(help="the run folder; default runs/<script>-<digest>")]
_As = Annotated[
    str | None, typer.Option("--as", help="the package name that means papertape in this run")
]
_Config = Annotated[
    Path | None,
    typer.Option(help=f"settings; default {SETTINGS_FILE} of the working directory if there"),
]
_Catalog = Annotated[
    list[Path] | None, typer.Option("--catalog", help="a file of your own instruments")
]
_Cash = Annotated[float | None, typer.Option(help="the account's cash at the start")]
_Queue = Annotated[
    str | None, typer.Option(help="queue model: proportional, displayed, front, back")
]
_Seed = Annotated[int | None, typer.Option(help="seed of what is drawn by chance")]
_NoReport = Annotated[bool, typer.Option("--no-report", help="write no report.html")]
_Bounds = Annotated[
    bool,
    typer.Option(
        "--bounds",
        help="also play the script at the front and at the back of every queue and report the span "
        "of results; the script runs three times, with all that it does besides: files, messages",
    ),
]
_EveryRow = Annotated[
    bool,
    typer.Option("--visit-every-row", help="visit every row instead of jumping (same digest)"),
]


@app.command()
def run(
    script: _Script,
    tape: _Tapes = None,
    instrument: _Instruments = None,
    strategy: _Strategy = None,
    assignments: _Assignments = None,
    out: _Out = None,
    as_name: _As = None,
    config: _Config = None,
    catalog: _Catalog = None,
    cash: _Cash = None,
    queue: _Queue = None,
    seed: _Seed = None,
    no_report: _NoReport = False,
    bounds: _Bounds = False,
    visit_every_row: _EveryRow = False,
) -> None:
    """Run a script, or one strategy function of it, on a tape in simulated time."""
    from papertape.run_command import Request, perform
    from papertape.runner import Script

    def request() -> Request:
        arguments, settings = split_settings(assignments or [])
        what = Script(script, strategy, split_assignments(arguments), as_name)
        defaults = _with_tapes(_settings(config, catalog or []), tape or [], instrument or [])
        changes: dict[str, Any] = {key: literal(text) for key, text in settings.items()}
        options = {"queue": queue, "seed": seed, "visit_every_row": visit_every_row or None}
        changes |= {key: value for key, value in options.items() if value is not None}
        return Request(what, _with_settings(defaults, changes, cash), out, not no_report, bounds)

    raise typer.Exit(perform(request))


@app.command()
def demo(out: _Out = None, no_report: _NoReport = False) -> None:
    """Run the bracket strategy of examples/bracket.py on the sample tape of MNQ."""
    from papertape.run_command import Request, perform
    from papertape.runner import Script

    script = Script(Path(__file__).resolve().parent.parent / "examples" / "bracket.py")
    defaults = SessionDefaults(instruments=("MNQ",))
    raise typer.Exit(perform(lambda: Request(script, defaults, out, not no_report)))


@app.command()
def explain(
    run: Annotated[Path, typer.Argument(help="a run folder", show_default=False)],
    order: Annotated[
        str, typer.Argument(help="an order id, or a client order id", show_default=False)
    ],
    tape: Annotated[
        list[str] | None,
        typer.Option("--tape", help="FILE or SYMBOL=FILE: where a tape of the run lies now"),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--all", help="every line of the table, however many")
    ] = False,
) -> None:
    """Tell why an order of a run did, or did not, fill, by replaying the run."""
    from papertape.explain_command import perform

    raise typer.Exit(perform(run, order, tape or [], whole=whole))


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(importlib.metadata.version("papertape"))


def main() -> None:
    """The entry point of the `papertape` command."""
    app(prog_name="papertape")


def _settings(config: Path | None, catalog: list[Path]) -> SessionDefaults:
    if config is None and Path(SETTINGS_FILE).exists():
        config = Path(SETTINGS_FILE)
    defaults = read_settings(config) if config is not None else SessionDefaults()
    return replace(defaults, catalog_files=(*defaults.catalog_files, *catalog))


def _with_tapes(
    defaults: SessionDefaults, tapes: list[str], instruments: list[str]
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


def _with_settings(
    defaults: SessionDefaults, changes: dict[str, Any], cash: float | None
) -> SessionDefaults:
    if changes:
        base = defaults.simulation.model_dump() if defaults.simulation else {}
        defaults = replace(defaults, simulation=SimulationConfig.parse({**base, **changes}))
    if cash is not None:
        account = defaults.account.model_dump() if defaults.account else {}
        defaults = replace(defaults, account=AccountConfig.parse({**account, "cash": cash}))
    return defaults


if __name__ == "__main__":
    main()
