"""One strategy function on one tape, in virtual time: what tests and checks of properties play."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_api.catalog import find, load_catalog
from broker_api.config import SessionDefaults, defaults_from_table, use_defaults
from broker_api.errors import ConfigurationError
from broker_api.instrument import Instrument
from broker_api.journal import digest_of
from broker_api.suite import TradingSuite
from data.kept import kept_tape
from data.tape import Tape, sample_path
from scenarios.storm_drawing import Storm
from sim.loop import VirtualLoop

Strategy = Callable[..., Coroutine[Any, Any, Any]]
Settings = SessionDefaults | Mapping[str, Any] | None
"""A table as `papertape.toml` has it, or such settings already read."""


@dataclass(frozen=True)
class Trial:
    """A run that has ended. `error` is what the strategy raised, None when it returned.

    `tape_ended`: the tape ended while it was still waiting.
    """

    suite: TradingSuite
    events: npt.NDArray[np.void]
    tape_ended: bool
    error: Exception | None

    @property
    def digest(self) -> str:
        """The run's digest."""
        return digest_of(self.events)

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The session's instruments."""
        return self.suite.session.instruments


def opened_tape(tape: object, instrument: Instrument) -> Tape:
    """A tape, the tape of a path, or for None the instrument's sample. ConfigurationError."""
    if isinstance(tape, Tape):
        return tape
    path = sample_path(instrument.symbol) if tape is None else Path(str(tape))
    if path is None:
        raise ConfigurationError(f"no tape of {instrument.symbol}, and no sample of it ships")
    return kept_tape(path, instrument)


def settings_with(tape: Tape | Mapping[str, Tape], settings: Settings) -> SessionDefaults:
    """The settings of a run of its own on this tape, or on these by symbol."""
    if settings is None:
        settings = {}
    if not isinstance(settings, SessionDefaults):
        settings = defaults_from_table(settings, Path())
    tapes = tape if isinstance(tape, Mapping) else {tape.symbol: tape}
    return SessionDefaults(
        instruments=tuple(tapes),
        tapes=dict(tapes),
        simulation=settings.simulation,
        account=settings.account,
        order_manager_config=settings.order_manager_config,
        risk=settings.risk,
        risk_folder=settings.risk_folder,
        rehearse_for=settings.rehearse_for,
        catalog_files=settings.catalog_files,
        forced=dict(settings.forced),
    )


def instruments_of(defaults: SessionDefaults) -> tuple[Instrument, ...]:
    """The instruments that the settings name."""
    catalog = load_catalog(*defaults.catalog_files)
    return tuple(find(catalog, name) for name in defaults.instruments)


def run_strategy(
    strategy: Strategy,
    tape: Tape | Mapping[str, Tape],
    *,
    settings: Settings = None,
    storm: Storm | None = None,
    beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
    **parameters: Any,
) -> Trial:
    """Run `strategy(suite, **parameters)` on the tape, in virtual time, from its own loop.

    `settings` is a table with the keys of `papertape.toml`; `storm` comes over the session;
    `beside` runs as a task next to the strategy. Raises what opening the session raises.
    """
    defaults = settings_with(tape, settings)
    if storm is not None:
        specs = instruments_of(defaults)
        opened = [(spec, opened_tape(defaults.tapes.get(spec.symbol), spec)) for spec in specs]
        storm.over(defaults, opened)
    ended = _Ended()
    with use_defaults(defaults), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(_perform(strategy, parameters, beside, ended))
    suite = ended.suite
    assert suite is not None, "a session that could not be opened has raised"
    error = ended.error or suite.failure
    events = suite.session.journal.events()
    return Trial(suite, events, error is None and not ended.returned, error)


@dataclass
class _Ended:
    suite: TradingSuite | None = None
    returned: bool = False
    error: Exception | None = None


async def _perform(
    strategy: Strategy,
    parameters: Mapping[str, Any],
    beside: Callable[[], Coroutine[Any, Any, None]] | None,
    ended: _Ended,
) -> None:
    suite = ended.suite = await TradingSuite.create()
    task = None if beside is None else asyncio.get_running_loop().create_task(beside())
    try:
        await strategy(suite, **parameters)
        ended.returned = True
    except Exception as failure:  # the caller judges it
        ended.error = failure
    finally:
        if task is not None:
            task.cancel()
        try:
            await suite.disconnect()
        except Exception as failure:  # a handler's: the session stopped with it
            ended.error = ended.error or failure
