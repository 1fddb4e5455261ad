"""A sweep's runs on an executor: which one, and what became of each combination."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from broker_api.errors import ConfigurationError
from data.kept import park_all
from scenarios.cluster import cluster_executor
from scenarios.combinations import Combination, Plan, combinations_of, run_combination
from scenarios.grid import Grid
from scenarios.processes import (
    InThisProcess,
    IsolatedProcesses,
    TimeLimitError,
    WorkerDiedError,
    usable_processors,
)
from scenarios.sampling import Sample
from scenarios.sweep import AHEAD, Row, run_all

Space = Grid | Sample
Told = Callable[[Row, int], None]
"""Told every row as its run ends, and how many runs there are."""


@dataclass(frozen=True)
class Where:
    """Where runs are played.

    `processes` 0: all in this process; None: one a processor. `scheduler` is the address of a Dask
    cluster. `executor`, where there is one, is used and left open. `time_limit` is in seconds of
    real time a run, for processes of this machine.
    """

    processes: int | None = None
    scheduler: str | None = None
    executor: Executor | None = None
    time_limit: float | None = None

    @contextmanager
    def opened(self, runs: int) -> Iterator[Executor]:
        """The executor, which ends afterwards unless it was handed in. Raises ConfigurationError.

        `runs` are played at most: more processes than that are not started.
        """
        if self.executor is not None:
            yield self.executor
        elif self.scheduler is not None:
            if self.time_limit is not None:
                raise ConfigurationError("time_limit is for processes of this machine")
            with cluster_executor(self.scheduler) as executor:
                yield executor
        elif self.processes == 0:
            if self.time_limit is not None:
                raise ConfigurationError("time_limit needs processes: 0 of them cannot be ended")
            yield InThisProcess()
        else:
            yield from self._own_processes(runs)

    def _own_processes(self, runs: int) -> Iterator[Executor]:
        count = min(self.processes or usable_processors(), runs)
        processes = IsolatedProcesses(count, time_limit=self.time_limit)
        try:
            yield processes
        except BaseException:
            processes.kill()
            raise
        processes.shutdown()


def play_space(
    plan: Plan, space: Space, executor: Executor, rows: dict[int, Row], told: Told
) -> Plan:
    """Play every combination; `rows` gets them by number as they end. Returns the plan as played.

    Raises what `combinations_of` raises before anything runs.
    """
    with parked(plan, executor) as ready:
        settled, combinations = combinations_of(ready, space, executor)
        play_combinations(settled, combinations, executor, rows, told)
    return replace(settled, defaults=plan.defaults)


def play_combinations(
    plan: Plan,
    combinations: list[Combination],
    executor: Executor,
    rows: dict[int, Row],
    told: Told,
) -> None:
    """Play these; `rows` gets them by their place in the list."""
    work = partial(run_combination, plan)
    ahead = 1 if isinstance(executor, InThisProcess) else AHEAD
    for number, future in run_all(executor, work, combinations, ahead):
        rows[number] = _row_of(future, combinations[number])
        told(rows[number], len(combinations))


@contextmanager
def parked(plan: Plan, executor: Executor) -> Iterator[Plan]:
    """The plan with its tapes in memory where other processes find them."""
    with ExitStack() as stack:
        if not isinstance(executor, InThisProcess):
            place = stack.enter_context(
                TemporaryDirectory(prefix="papertape-sweep-", ignore_cleanup_errors=True)
            )
            tapes = park_all(plan.defaults.tapes, Path(place))
            plan = replace(plan, defaults=replace(plan.defaults, tapes=tapes))
        yield plan


def _row_of(future: Future[Row], combination: Combination) -> Row:
    """What the run says of itself, or how its process came to an end."""
    failure = future.exception()
    if failure is None:
        return future.result()
    is_death = isinstance(failure, WorkerDiedError | TimeLimitError)
    text = str(failure) if is_death else f"{type(failure).__name__}: {failure}"
    return Row(combination.shown, error=text)
