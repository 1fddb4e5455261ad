"""A scenario in seeded storms: what it does when refusals, lost answers, breaks and a wild market
come, judged by the invariants of its file.

A storm is a function of its seed and of the scenario: the session without a storm says when it is
busy, and the storm comes then. So one seed is one run, on every machine, and can be played again.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from broker_api.errors import ConfigurationError
from broker_api.instrument import Instrument
from data.kept import keep_tapes_open
from data.tape import Tape
from scenarios.invariants import broken
from scenarios.recording import Played, digest_of_run, played_sessions
from scenarios.runner import REFUSALS, Outcome, ScriptError, play
from scenarios.scenario import Scenario, read_scenario
from scenarios.storm_drawing import Span, Storm, drawn_storm
from scenarios.sweep import figures_of, run_all
from scenarios.trial import opened_tape
from sim.storm import CALM_TENTH

SEEDS_AT_ONCE = 10
"""Storms that a process plays for one task: it plays the session without a storm once for them."""


@dataclass(frozen=True)
class StormRun:
    """What became of a scenario in one storm; it goes from process to process.

    `broken` has one sentence for each invariant that did not hold, and for an exception of the
    strategy's own; `ended` says which refusal ended the strategy early, if one did. `net` is money
    of the account, after fees.
    """

    scenario: str
    seed: int
    digest: str
    net: float
    broken: tuple[str, ...] = ()
    ended: str = ""
    faults: Mapping[str, int] = field(default_factory=dict)
    incidents: tuple[str, ...] = ()

    @property
    def rank(self) -> tuple[bool, float, str, int]:
        """The worst first: broken, then by what was lost."""
        return (not self.broken, self.net, self.scenario, self.seed)


@dataclass(frozen=True)
class StormFailure:
    """A scenario that cannot be played at all, and why."""

    scenario: str
    seed: int
    text: str


@dataclass
class InStorm:
    """A run in a storm, with its sessions as they ended."""

    storm: Storm
    seed: int
    played: list[Played]
    broken: tuple[str, ...]
    ended: str

    def told(self, scenario: Scenario) -> StormRun:
        """What is told of it."""
        faults: dict[str, int] = {}
        for each in self.played:
            for kind, count in sorted(each.suite.session.broker.happened.items()):
                faults[kind] = faults.get(kind, 0) + count
        return StormRun(
            str(scenario.file),
            self.seed,
            digest_of_run([*self.played]),
            figures_of([each.figures for each in self.played])["net"] if self.played else 0.0,
            self.broken,
            self.ended,
            faults,
            tuple(incident.kind.value for _, incident in self.storm.incidents),
        )


class Stormy:
    """One scenario, ready for storms: its tapes opened, its session without a storm played.

    Raises what playing the scenario raises, when it cannot even run in calm weather.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._tapes = _tapes_of(scenario)
        calm = self._play(Storm())
        if calm.ended or calm.broken:
            why = calm.ended or calm.broken[0]
            raise ConfigurationError(f"{scenario.file}: without any storm: {why}")
        self.span = _busy_span(calm.played, [tape for _, tape in self._tapes])

    def storm(self, seed: int) -> Storm:
        """The storm of a seed over this scenario."""
        return drawn_storm(seed, self.span, len(self._tapes))

    def run(self, seed: int) -> InStorm:
        """Play the scenario in the storm of this seed."""
        return self._play(self.storm(seed), seed)

    def _play(self, storm: Storm, seed: int = 0) -> InStorm:
        defaults = self.scenario.defaults()
        storm.over(defaults, self._tapes)
        script = self.scenario.script_to_play()
        ended, faults = "", list[str]()
        nowhere = io.StringIO()
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            try:
                outcome = play(script, defaults)
            except ScriptError as failure:
                faults.append(f"the strategy raised: {str(failure).splitlines()[-1]}")
            except REFUSALS as refusal:
                ended = f"{type(refusal).__name__}: {refusal}"
        if ended or faults:
            outcome = Outcome(defaults.sessions, script.strategy, {}, False, 1)
        played = played_sessions(script, outcome)
        invariants = self.scenario.expectation.invariants
        for each in played:
            faults += broken(invariants, each.record, each.metrics)
        return InStorm(storm, seed, played, tuple(faults), ended)


def _tapes_of(scenario: Scenario) -> list[tuple[Instrument, Tape]]:
    """The scenario's instruments with their tapes, opened."""
    tapes = scenario.defaults().tapes
    return [(spec, opened_tape(tapes.get(spec.symbol), spec)) for spec in scenario.instruments]


def _busy_span(played: Sequence[Played], tapes: Sequence[Tape]) -> Span:
    """From the first to the last event of the session without a storm, and a tenth more.

    The last tenth of the tape is calm, so that who can come to rest does.
    """
    start_ns, end_ns = min(tape.start_ns for tape in tapes), max(tape.end_ns for tape in tapes)
    calm_ns = end_ns - (end_ns - start_ns) // CALM_TENTH
    times = (
        [int(ns) for each in played for ns in each.record.events["ts_ns"][[0, -1]]]
        if all(len(each.record.events) for each in played)
        else []
    )
    if not times:
        return Span(start_ns, calm_ns, calm_ns)
    last_ns = max(times) + (max(times) - min(times)) // 10
    return Span(min(times), min(calm_ns, max(last_ns, min(times) + 1)), calm_ns)


@dataclass(frozen=True)
class StormTask:
    """Some storms over one scenario's file."""

    file: str
    seeds: tuple[int, ...]


def play_storms(task: StormTask) -> list[StormRun]:
    """The work of one process. Raises ConfigurationError for a scenario that cannot be played."""
    keep_tapes_open()
    stormy_scenario = Stormy(read_scenario(task.file))
    return [stormy_scenario.run(seed).told(stormy_scenario.scenario) for seed in task.seeds]


def storm_all(
    files: Iterable[Path],
    count: int,
    seed: int,
    executor: Executor,
    progress: Callable[[int], None] = lambda runs: None,
) -> Iterator[StormRun | StormFailure]:
    """`count` storms over each scenario, with the seeds from `seed` on; runs as they end.

    A scenario that cannot be played gives one failure.
    """
    tasks = [
        StormTask(str(file), tuple(range(first, min(first + SEEDS_AT_ONCE, seed + count))))
        for file in files
        for first in range(seed, seed + count, SEEDS_AT_ONCE)
    ]
    failed: set[str] = set()
    for number, future in run_all(executor, play_storms, tasks):
        task = tasks[number]
        progress(len(task.seeds))
        failure = future.exception()
        if failure is None:
            yield from future.result()
        elif task.file not in failed:
            failed.add(task.file)
            text = str(failure)
            named = text if text.startswith(task.file) else f"{task.file}: {text}"
            yield StormFailure(task.file, task.seeds[0], named)


def listed(runs: Iterable[StormRun], worst: int) -> list[StormRun]:
    """The worst runs first, those with broken invariants always."""
    ordered = sorted(runs, key=lambda run: run.rank)
    bad = [run for run in ordered if run.broken]
    return bad + ordered[len(bad) : max(worst, len(bad))]
