"""A scenario: a strategy, its tapes, its settings and what is expected of it, in one file.

`scenario.toml` has the keys of `papertape.toml`, the strategy, and `[expect]` and `[tolerance]`;
docs/scenarios.md describes them. Reading one checks everything that can be checked without running
the strategy; every fault names the file and the key, with the nearest that there is.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from broker_api.catalog import find, load_catalog
from broker_api.config import FILE_KEYS, SessionDefaults, defaults_from_table, near_miss
from broker_api.errors import ConfigurationError
from broker_api.instrument import Instrument
from broker_api.risk_rules import rules_of
from scenarios.expectation import Expectation, Tolerance
from scenarios.recipe import SyntheticRecipe
from scenarios.runner import Script, check_script_file

SCENARIO_FILE = "scenario.toml"
OWN_KEYS = ("strategy", "description", "as", "expect", "tolerance")
KEYS = (*OWN_KEYS, *FILE_KEYS)
"""The keys that a scenario's file may have."""
_RECIPES = ("synthetic",)


@dataclass(frozen=True)
class Scenario:
    """One scenario as its file has it.

    `strategy` is the name of a coroutine function of `script`; `parameters` are its arguments.
    `as_name` is the package name that means papertape in the script. `recipes` has by symbol the
    tapes that are made and not read. `defaults()` gives the settings to play it with.
    """

    name: str
    file: Path
    script: Path
    strategy: str
    description: str
    as_name: str | None
    expectation: Expectation
    tolerance: Tolerance
    recipes: Mapping[str, SyntheticRecipe]
    instruments: tuple[Instrument, ...]
    settings: SessionDefaults = field(repr=False)

    @property
    def folder(self) -> Path:
        """Where its file lies."""
        return self.file.parent

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The strategy's arguments that the file sets."""
        return self.settings.parameters

    def script_to_play(self, assignments: Mapping[str, str] | None = None) -> Script:
        """What `runner.play` runs; `assignments` are raw texts as of --set."""
        return Script(self.script, self.strategy, assignments or {}, self.as_name)

    def defaults(self) -> SessionDefaults:
        """Settings of a run of its own, with every synthetic tape made (or kept from before).

        Raises ConfigurationError for a recipe that does not fit its instrument.
        """
        made: dict[str, object] = {}
        for instrument in self.instruments:
            recipe = self.recipes.get(instrument.symbol)
            if recipe is not None:
                made[instrument.symbol] = _made(self.file, recipe, instrument)
        own = self.settings
        return replace(
            own,
            tapes={**own.tapes, **made},
            parameters=dict(own.parameters),
            forced=dict(own.forced),
            sessions=[],
        )


def _made(file: Path, recipe: SyntheticRecipe, instrument: Instrument) -> object:
    try:
        return recipe.tape(instrument)
    except ConfigurationError as failure:
        raise ConfigurationError(f"{file}: tapes.{instrument.symbol}: {failure}") from None


def is_scenario(path: Path) -> bool:
    """Whether a path is that of a scenario: its folder or its file."""
    return path.suffix == ".toml" or (path / SCENARIO_FILE).is_file()


def read_scenario(path: Path | str) -> Scenario:
    """The scenario in a file, or in the `scenario.toml` of a folder.

    Raises ConfigurationError that names the file and the key.
    """
    file = Path(path)
    if file.is_dir():
        file = file / SCENARIO_FILE
    if not file.is_file():
        near = near_miss(file.name, (each.name for each in file.parent.glob("*.toml")))
        raise ConfigurationError(f"{file}: there is no such scenario{near}")
    if file.suffix == ".py":
        raise ConfigurationError(
            f"{file} is a script and no scenario: a {SCENARIO_FILE} with strategy = "
            f'"{file.name}:FUNCTION" makes it one, see docs/scenarios.md'
        )
    try:
        return _parsed(_table(file), file)
    except ConfigurationError as failure:
        text = str(failure)
        raise ConfigurationError(
            text if text.startswith(f"{file}") else f"{file}: {text}"
        ) from None


def _table(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as failure:
        raise ConfigurationError(f"cannot be read: {failure}") from None
    except tomllib.TOMLDecodeError as failure:
        raise ConfigurationError(f"no valid TOML: {failure}") from None


def _parsed(table: dict[str, Any], file: Path) -> Scenario:
    for key in table:
        if key not in KEYS:
            hint = near_miss(key, KEYS) or f"; known are {', '.join(KEYS)}"
            raise ConfigurationError(f"unknown setting {key!r}{hint}")
    script, strategy = _strategy(table.get("strategy"), file.parent)
    paths, recipes = _tapes(table.get("tapes", {}))
    shared = {key: value for key, value in table.items() if key in FILE_KEYS}
    settings = defaults_from_table({**shared, "tapes": paths}, file.parent)
    instruments, settings, recipes = _instruments(settings, recipes)
    if settings.risk is not None:
        rules_of(settings.risk, file.parent)
    return Scenario(
        name=file.parent.resolve().name if file.name == SCENARIO_FILE else file.stem,
        file=file,
        script=script,
        strategy=strategy,
        description=_text(table, "description") or "",
        as_name=_text(table, "as"),
        expectation=Expectation.parse(_section(table, "expect")),
        tolerance=Tolerance.of(_section(table, "tolerance")),
        recipes=recipes,
        instruments=instruments,
        settings=settings,
    )


def _text(table: Mapping[str, Any], key: str) -> str | None:
    value = table.get(key)
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(f"{key} = {value!r} is not a text")
    return value


def _section(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = table.get(key, {})
    if not isinstance(value, dict):
        raise ConfigurationError(f"{key} = {value!r} is not a table")
    return value


def _strategy(text: object, folder: Path) -> tuple[Path, str]:
    """The script and the function that `strategy = "file.py:function"` names, looked up."""
    if not isinstance(text, str) or ".py:" not in text:
        shown = "is missing" if text is None else f"= {text!r}"
        raise ConfigurationError(
            f'strategy {shown}: it names a file and a function, strategy = "file.py:function"'
        )
    name, _, function = text.rpartition(":")
    script = folder / name
    try:
        check_script_file(script)
    except ConfigurationError as failure:
        raise ConfigurationError(f"strategy = {text!r}: {failure}") from None
    known = _functions(script)
    if known is not None and function not in known:
        hint = near_miss(function, known) or f"; it has {', '.join(known) or 'none'}"
        raise ConfigurationError(
            f"strategy = {text!r}: {name} has no coroutine function {function!r}{hint}"
        )
    return script, function


def _functions(script: Path) -> list[str] | None:
    """What the file defines under a name and may be its strategy; None of a file that is no Python:
    the run shows what is wrong with it.
    """
    try:
        tree = ast.parse(script.read_bytes(), str(script))
    except (SyntaxError, ValueError):
        return None
    functions = [node.name for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)]
    assigned = [
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    return [*functions, *assigned]


def _tapes(tapes: object) -> tuple[dict[str, str], dict[str, SyntheticRecipe]]:
    """The tapes that are files, and those that are recipes, by what they were called."""
    if not isinstance(tapes, dict):
        raise ConfigurationError(f"tapes = {tapes!r} is not a table of tapes by symbol")
    paths: dict[str, str] = {}
    recipes: dict[str, SyntheticRecipe] = {}
    for symbol, tape in tapes.items():
        if isinstance(tape, str):
            paths[symbol] = tape
        elif isinstance(tape, dict):
            recipes[symbol] = _recipe(symbol, tape)
        else:
            raise ConfigurationError(f"tapes.{symbol} = {tape!r} is neither a file nor a recipe")
    return paths, recipes


def _recipe(symbol: str, table: Mapping[str, Any]) -> SyntheticRecipe:
    wrong = next((key for key in table if key not in _RECIPES), None)
    if wrong is not None or not table:
        hint = near_miss(wrong or "", _RECIPES)
        raise ConfigurationError(
            f"tapes.{symbol}: {wrong!r} is no recipe of a tape; it is "
            f"{{ synthetic = {{ seed = 7, hours = 2 }} }}{hint}"
        )
    recipe = table["synthetic"]
    if not isinstance(recipe, dict):
        raise ConfigurationError(f"tapes.{symbol}.synthetic = {recipe!r} is not a table")
    try:
        made: SyntheticRecipe = SyntheticRecipe.parse(recipe)
    except ConfigurationError as failure:
        raise ConfigurationError(f"tapes.{symbol}.synthetic: {failure}") from None
    return made


def _instruments(
    settings: SessionDefaults, recipes: Mapping[str, SyntheticRecipe]
) -> tuple[tuple[Instrument, ...], SessionDefaults, dict[str, SyntheticRecipe]]:
    """The instruments, and settings and recipes with tapes by symbol; their files are there."""
    catalog = load_catalog(*settings.catalog_files)
    tapes = {find(catalog, name).symbol: tape for name, tape in settings.tapes.items()}
    made = {find(catalog, name).symbol: recipe for name, recipe in recipes.items()}
    names = settings.instruments or (*tapes, *made)
    if not names:
        raise ConfigurationError('instruments is missing: name one, like instruments = ["MNQ"]')
    instruments = tuple(find(catalog, name) for name in names)
    symbols = [instrument.symbol for instrument in instruments]
    for symbol, tape in {**tapes, **made}.items():
        if symbol not in symbols:
            raise ConfigurationError(
                f"tapes.{symbol}: {symbol} is not among the instruments {', '.join(symbols)}"
            )
        if isinstance(tape, Path) and not tape.is_file():
            near = near_miss(tape.name, (each.name for each in tape.parent.glob("*.parquet")))
            raise ConfigurationError(f"tapes.{symbol} = {str(tape)!r} is not a file{near}")
    return instruments, replace(settings, instruments=tuple(symbols), tapes=dict(tapes)), made
