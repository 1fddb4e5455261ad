"""What the pytest plugin's fixtures are made of: tapes, an exchange, a session that is open."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from broker_api.calendar import load_calendar
from broker_api.catalog import find, load_catalog
from broker_api.config import (
    SETTINGS_FILE,
    AccountConfig,
    SessionDefaults,
    SimulationConfig,
    defaults_from_table,
    near_miss,
    read_settings,
    use_defaults,
)
from broker_api.errors import ConfigurationError
from broker_api.instrument import Instrument
from broker_api.suite import TradingSuite
from data.tape import Tape, sample_path
from reports.text import moment
from scenarios.recipe import SyntheticRecipe
from scenarios.storm_drawing import Span, Storm, drawn_storm
from scenarios.trial import opened_tape
from sim.exchange import Exchange
from sim.virtual_loop import VirtualLoop

_OWN = ("instruments", "tape", "storm")
_TABLES = ("simulation", "account", "order_manager", "risk", "catalog", "rehearse_for")
MARKS = (*_OWN, *_TABLES)
"""What the marker takes."""


@dataclass(frozen=True)
class Stage:
    """The settings of one test, with every tape opened."""

    defaults: SessionDefaults
    instruments: tuple[Instrument, ...]
    tapes: tuple[Tape, ...]

    def exchange(self) -> Exchange:
        """An exchange of these, at the start."""
        calendars = [load_calendar(spec.calendar) for spec in self.instruments]
        simulation = self.defaults.simulation or SimulationConfig()
        account = self.defaults.account or AccountConfig()
        return Exchange(self.instruments, self.tapes, calendars, simulation, account)


def stage_of(
    root: Path, marks: Mapping[str, Any], *, instruments: Sequence[str] = (), tape: object = None
) -> Stage:
    """The stage of a test with these marks; `instruments` and `tape` where they name none.

    What is left comes from the `papertape.toml` in `root`, else from the defaults. `tape` is a
    tape, a path below `root`, a table of a synthetic recipe, or a table of those by symbol; left
    out it is the sample of the instrument. `storm` is a seed or a Storm. Raises ConfigurationError.
    """
    for name in marks:
        if name not in MARKS:
            hint = near_miss(name, MARKS) or f"; it takes {', '.join(MARKS)}"
            raise ConfigurationError(f"the marker papertape has no {name!r}{hint}")
    file = root / SETTINGS_FILE
    base = read_settings(file) if file.is_file() else SessionDefaults()
    own = defaults_from_table({key: marks[key] for key in _TABLES if key in marks}, root)
    given = {key: getattr(own, _FIELDS.get(key, key)) for key in _TABLES if key in marks}
    base = replace(base, **{_FIELDS.get(key, key): value for key, value in given.items()})
    catalog = load_catalog(*base.catalog_files)
    named = marks.get("instruments") or instruments or base.instruments or tuple(base.tapes)
    names = [named] if isinstance(named, str) else list(named or ("MNQ",))
    specs = tuple(find(catalog, name) for name in names)
    wanted = _by_symbol(marks.get("tape", tape), specs)
    tapes = tuple(
        _tape(wanted.get(spec.symbol, base.tapes.get(spec.symbol)), spec, root) for spec in specs
    )
    defaults = replace(
        base,
        instruments=tuple(spec.symbol for spec in specs),
        tapes={spec.symbol: each for spec, each in zip(specs, tapes, strict=True)},
        sessions=[],
    )
    storm = marks.get("storm")
    if storm is not None:
        _storm(storm, tapes).over(defaults, list(zip(specs, tapes, strict=True)))
        tapes = tuple(each for each in defaults.tapes.values() if isinstance(each, Tape))
    return Stage(defaults, specs, tapes)


_FIELDS = {"order_manager": "order_manager_config", "catalog": "catalog_files"}
"""Where a key of the settings' file is in SessionDefaults under another name."""


def _by_symbol(tape: object, specs: Sequence[Instrument]) -> Mapping[str, object]:
    symbols = [spec.symbol for spec in specs]
    if tape is None:
        return {}
    if isinstance(tape, Mapping) and all(key in symbols for key in tape):
        return tape
    return {symbols[0]: tape}


def _tape(tape: object, spec: Instrument, root: Path) -> Tape:
    if isinstance(tape, Mapping):
        recipe: SyntheticRecipe = SyntheticRecipe.parse(tape)
        return recipe.tape(spec)
    if tape is None and sample_path(spec.symbol) is None:
        return SyntheticRecipe(seed=1).tape(spec)
    return opened_tape(root / tape if isinstance(tape, str) else tape, spec)


def _storm(storm: object, tapes: Sequence[Tape]) -> Storm:
    if isinstance(storm, Storm):
        return storm
    if not isinstance(storm, int):
        raise ConfigurationError(f"storm {storm!r} of the marker papertape is no seed and no Storm")
    start_ns, end_ns = min(each.start_ns for each in tapes), max(each.end_ns for each in tapes)
    return drawn_storm(storm, Span(start_ns, end_ns, end_ns), len(tapes))


class TapeEndedInTest(AssertionError):
    """The tape ended while the test was still waiting for something."""


class OpenSuite:
    """A session that is open while a test runs, on a virtual-time loop of its own."""

    def __init__(self, stage: Stage) -> None:
        self._defaults = stage.defaults
        self._runner = asyncio.Runner(loop_factory=VirtualLoop)
        self._told: Exception | None = None

    def __enter__(self) -> Self:
        try:
            with use_defaults(self._defaults):
                self.suite: TradingSuite = self._runner.run(TradingSuite.create())
        except BaseException:
            self._runner.close()
            raise
        return self

    def run(self, test: Coroutine[Any, Any, Any]) -> None:
        """Run the test to its end. Raises what it raises, and what stopped the session."""
        is_over = False

        async def whole() -> None:
            nonlocal is_over
            await test
            is_over = True

        try:
            with use_defaults(self._defaults):
                self._runner.run(whole())
        finally:
            self._told = self.suite.failure
        if self._told is not None:
            raise self._told
        if not is_over:
            ends = [tape.end_ns for tape in self._defaults.tapes.values() if isinstance(tape, Tape)]
            raise TapeEndedInTest(
                f"the tape ended at {moment(max(ends))} while the test was "
                "still waiting; a longer one: @pytest.mark.papertape(tape={'seed': 1, 'hours': 8})"
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._runner.run(self.suite.disconnect())
        except Exception as failure:
            if failure is not self._told:
                raise
        finally:
            self._runner.close()
