"""Time travel: a recorded run played again to one of its events, then with other arguments.

Everything up to the event is the recorded run, to the bit, which is checked as it is played. At the
event, before anybody is told of it, the arguments of the running strategy function change, as a
debugger would assign them: the strategy goes on with all that it remembers, and sees the new value
wherever it reads the argument from then on. What it computed from the old value stays as it is.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from broker_api.config import AccountConfig, OrderManagerConfig, SessionDefaults, SimulationConfig
from broker_api.errors import ConfigurationError, TradingError
from broker_api.event import EventRow
from broker_api.journal import RecordedCommand, RecordedError
from data.tape import Tape
from reports.run import RunRecord
from scenarios.runner import Outcome, Script, bound_arguments, play


class ForkDiverged(TradingError):
    """Before the fork the run is not the recorded one: its script or its settings have changed."""


@dataclass(frozen=True)
class Fork:
    """What to do: `at` counts the run's events from 1, `changes` are raw texts as of --set."""

    run: RunRecord
    tapes: tuple[Tape, ...]
    script: Path
    at: int
    changes: Mapping[str, str]


def play_fork(fork: Fork) -> tuple[Script, Outcome]:
    """Play the run again and on. Raises ConfigurationError, ForkDiverged, and as `play` does."""
    config = fork.run.config
    name = config.get("strategy")
    if not name:
        raise ConfigurationError("the run was one of a plain script: it has no arguments to change")
    if not 1 <= fork.at <= len(fork.run.events):
        raise ConfigurationError(f"--at {fork.at}: the run has events 1 to {len(fork.run.events)}")
    if not fork.changes:
        raise ConfigurationError("nothing changes: give --set NAME=VALUE for an argument")
    script = Script(fork.script, name)
    defaults = _defaults(fork)
    _, (arguments,) = bound_arguments(script, defaults, [({}, fork.changes)])
    changed = {key: arguments[key] for key in fork.changes}
    recorder = _Forking(fork, name, changed)
    defaults.recorder = recorder
    outcome = play(script, defaults)
    if recorder.count < fork.at:
        raise ForkDiverged(
            f"played again, the run had {recorder.count} events and never came to event {fork.at}"
        )
    outcome.parameters.update(changed)
    return script, outcome


def _defaults(fork: Fork) -> SessionDefaults:
    config = fork.run.config
    symbols = tuple(spec.symbol for spec in fork.run.instruments)
    return SessionDefaults(
        instruments=symbols,
        tapes=dict(zip(symbols, fork.tapes, strict=True)),
        simulation=SimulationConfig.parse(config["simulation"]),
        account=AccountConfig.parse(config.get("account") or {}),
        order_manager_config=OrderManagerConfig.parse(config.get("order_manager") or {}),
        risk=config.get("risk"),
        rehearse_for=config.get("rehearsed_for"),
        parameters=dict(config.get("parameters") or {}),
    )


class _Forking:
    """Compares events with the recorded ones up to the fork, and changes arguments there."""

    def __init__(self, fork: Fork, strategy: str, changed: Mapping[str, Any]) -> None:
        self._fork = fork
        self._strategy = strategy
        self._changed = changed
        self.count = 0

    def command(self, recorded: RecordedCommand | RecordedError) -> None:
        """Commands follow from events; another one shows itself in its answer."""

    def event(self, row: EventRow) -> None:
        """An event that is about to be seen."""
        self.count += 1
        if self.count > self._fork.at:
            return
        expected = self._fork.run.events[self.count - 1]
        if tuple(row) != tuple(expected.tolist()):
            raise ForkDiverged(
                f"event {self.count} of the run is another one now: its script, its settings or "
                "this program have changed since"
            )
        if self.count == self._fork.at:
            self._change()

    def is_there(self, file: Path, ts_ns: int) -> bool:
        """Look at a file: what the run saw is not recorded."""
        return file.exists()

    def _change(self) -> None:
        frames = [frame for frame in _frames() if self._is_strategy(frame)]
        if not frames:
            raise ConfigurationError(
                f"--at {self.count}: the strategy {self._strategy} does not run at that event"
            )
        for frame in frames:
            for name, value in self._changed.items():
                assign(frame, name, value)

    def _is_strategy(self, frame: FrameType) -> bool:
        code = frame.f_code
        return code.co_name == self._strategy and code.co_filename == str(self._fork.script)


def _frames() -> Iterator[FrameType]:
    """Frames that run now, and those of coroutines that wait."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        yield frame
        frame = frame.f_back
    for task in asyncio.all_tasks():
        waiting: Any = task.get_coro()
        while waiting is not None:
            inner = getattr(waiting, "cr_frame", None)
            if inner is not None:
                yield inner
            waiting = getattr(waiting, "cr_await", None)


def assign(frame: FrameType, name: str, value: Any) -> None:
    """Give a local variable of a running function another value."""
    frame.f_locals[name] = value
    if sys.version_info < (3, 13):  # from then on f_locals is the variables themselves (PEP 667)
        ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
