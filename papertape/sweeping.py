"""A sweep from its request to its table: `sweep` is the Python call, for everybody's use.

`scenarios.combinations` plays one combination, `scenarios.sweep` runs them on an executor.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import TYPE_CHECKING, Any

from broker_api.config import AccountConfig, SimulationConfig
from broker_api.errors import ConfigurationError
from data.kept import let_tapes_go, park_all
from papertape.sweep_progress import Told, sweep_progress
from scenarios.combinations import (
    Combination,
    Plan,
    check_outside_of_runs,
    combinations_of,
    run_combination,
)
from scenarios.grid import Grid, grid_of_values
from scenarios.processes import (
    InThisProcess,
    IsolatedProcesses,
    TimeLimitError,
    WorkerDiedError,
    usable_processors,
)
from scenarios.run_folder import DIGEST_SHOWN, run_digest
from scenarios.runner import Script
from scenarios.settings import settings_of, with_settings
from scenarios.sweep import AHEAD, Objective, Row, SweepInterrupted, run_all, table_of

if TYPE_CHECKING:
    import pandas as pd

_FORMATS = (".parquet", ".csv")


@dataclass(frozen=True)
class SweepRequest:
    """A sweep as it was asked for.

    `processes` 0: all in this process; None: one a processor. `executor`, where there is one, is
    used and left open. `time_limit` is in seconds of real time a run. `out` is the file to write;
    None: nothing, or, with `named`, one below `runs` named by the results.
    """

    plan: Plan
    grid: Grid
    objective: Objective
    processes: int | None = None
    executor: Executor | None = None
    time_limit: float | None = None
    out: Path | None = None
    named: bool = False


@dataclass(frozen=True)
class Swept:
    """What a sweep gave: the rows in the order of the grid, their table, where it was written."""

    rows: tuple[Row, ...]
    table: pd.DataFrame
    file: Path | None


def sweep(
    strategy: str | Path | Callable[..., Any],
    grid: Mapping[str, Sequence[Any] | str],
    *,
    tapes: Mapping[str, object] | None = None,
    instruments: Sequence[str] = (),
    parameters: Mapping[str, Any] | None = None,
    simulation: Mapping[str, Any] | SimulationConfig | None = None,
    account: Mapping[str, Any] | AccountConfig | None = None,
    catalog: Sequence[Path | str] = (),
    processes: int | None = None,
    executor: Executor | None = None,
    time_limit: float | None = None,
    objective: str = "net",
    out: str | Path | None = None,
    keep: str | Path | None = None,
) -> pd.DataFrame:
    """Run the strategy with every combination of the grid; one line of the table each, in order.

    `strategy` is a file, `file.py:function`, or a coroutine function of a file. `grid` has for
    each parameter its values, or a text like "5:50:5"; `simulation.NAME` is a setting of the
    simulation. `parameters` are the same in every run. What is left out comes from
    `papertape.toml`, as in a single run. `processes` 0 runs all in this process, None is one a
    processor; `executor` is any of concurrent.futures. `time_limit` is in seconds of real time a
    run. `out` is a file to write (.parquet or .csv), `keep` a folder for the run folders.

    Raises ConfigurationError or ScriptError when no run could work, SweepInterrupted (a
    KeyboardInterrupt with the finished rows) on Ctrl-C. A run that fails is a row with its error.
    """
    defaults = settings_of(None, [Path(file) for file in catalog])
    paths = {symbol: _path_or_tape(tape) for symbol, tape in (tapes or {}).items()}
    defaults = replace(
        defaults,
        instruments=tuple(instruments) or tuple(paths) or defaults.instruments,
        tapes={**defaults.tapes, **paths},
        parameters={**defaults.parameters, **(parameters or {})},
    )
    if account is not None:
        given = account if isinstance(account, AccountConfig) else AccountConfig.parse(account)
        defaults = replace(defaults, account=given)
    if isinstance(simulation, SimulationConfig):
        defaults = replace(defaults, simulation=simulation)
    elif simulation is not None:
        defaults = with_settings(defaults, simulation)
    request = SweepRequest(
        Plan(_script_of(strategy), defaults, None if keep is None else Path(keep)),
        grid_of_values(grid),
        Objective(objective),
        processes=processes,
        executor=executor,
        time_limit=time_limit,
        out=None if out is None else Path(out),
    )
    return perform_sweep(request).table


def _path_or_tape(tape: object) -> object:
    return Path(tape) if isinstance(tape, str) else tape


def _script_of(strategy: str | Path | Callable[..., Any]) -> Script:
    if callable(strategy) and not isinstance(strategy, Path):
        return _script_of_function(strategy)
    path, _, name = str(strategy).rpartition(":")
    if path.endswith(".py") and name.isidentifier():
        return Script(Path(path), name)
    return Script(Path(strategy))


def _script_of_function(function: Callable[..., Any]) -> Script:
    name = getattr(function, "__qualname__", repr(function))
    if not inspect.iscoroutinefunction(function):
        raise ConfigurationError(f"strategy {name} is no coroutine function: async def {name}")
    file = inspect.getsourcefile(function)
    if not name.isidentifier() or file is None or not Path(file).is_file():
        raise ConfigurationError(
            f"strategy {name} stands in no file of its own, at its top level; other processes "
            "cannot find it there"
        )
    return Script(Path(file), name)


# --- from request to table ---------------------------------------------------------------------


def perform_sweep(request: SweepRequest) -> Swept:
    """Run the whole grid and write the table. Raises as `sweep`."""
    check_outside_of_runs()
    if request.out is not None:
        _check_out(request.out)
    rows: dict[int, Row] = {}
    try:
        with sweep_progress(request.objective) as told, _executor(request) as executor:
            _run(request, executor, rows, told)
    except KeyboardInterrupt:
        done = _finish(request, rows)
        raise SweepInterrupted(done.table, done.file) from None
    finally:
        let_tapes_go()
    return _finish(request, rows)


def _run(request: SweepRequest, executor: Executor, rows: dict[int, Row], told: Told) -> None:
    """Play the grid; `rows` gets them as the runs end."""
    here = isinstance(executor, InThisProcess)
    with TemporaryDirectory(prefix="papertape-sweep-", ignore_cleanup_errors=True) as place:
        plan = request.plan
        if not here:
            tapes = park_all(plan.defaults.tapes, Path(place))
            plan = replace(plan, defaults=replace(plan.defaults, tapes=tapes))
        plan, combinations = combinations_of(plan, request.grid, executor)
        work = partial(run_combination, plan)
        for number, future in run_all(executor, work, combinations, 1 if here else AHEAD):
            rows[number] = _row_of(future, combinations[number])
            told(rows[number], len(combinations))


def _row_of(future: Future[Row], combination: Combination) -> Row:
    """What the run says of itself, or how its process came to an end."""
    failure = future.exception()
    if failure is None:
        return future.result()
    is_death = isinstance(failure, WorkerDiedError | TimeLimitError)
    text = str(failure) if is_death else f"{type(failure).__name__}: {failure}"
    return Row(combination.shown, error=text)


@contextmanager
def _executor(request: SweepRequest) -> Iterator[Executor]:
    """The executor of the request, else one of our own, which ends with the sweep."""
    if request.executor is not None:
        yield request.executor
        return
    wanted = usable_processors() if request.processes is None else request.processes
    if wanted == 0:
        if request.time_limit is not None:
            raise ConfigurationError("time_limit needs processes: 0 of them cannot be ended")
        yield InThisProcess()
        return
    count = min(wanted, len(request.grid))
    processes = IsolatedProcesses(count, time_limit=request.time_limit)
    try:
        yield processes
    except BaseException:
        processes.kill()
        raise
    processes.shutdown()


def _finish(request: SweepRequest, rows: Mapping[int, Row]) -> Swept:
    ordered = tuple(rows[number] for number in sorted(rows))
    table = table_of(ordered)
    file = request.out
    if file is None and request.named and ordered:
        digest = run_digest([f"{dict(row.parameters)} {row.digest}" for row in ordered] + [""])
        stem = request.plan.script.path.stem
        file = Path("runs") / f"{stem}-sweep-{digest[:DIGEST_SHOWN]}.parquet"
    if file is not None:
        write_table(table, file)
    return Swept(ordered, table, file)


def _check_out(file: Path) -> None:
    if file.suffix.lower() not in _FORMATS:
        raise ConfigurationError(f"out {file}: the name must end in {' or '.join(_FORMATS)}")
    if file.exists():
        raise ConfigurationError(
            f"out {file} is there already; it was left as it is: remove it or name another file"
        )


def write_table(table: pd.DataFrame, file: Path) -> None:
    """Write the table as the file's name says, whole or not at all; mixed columns as text."""
    file.parent.mkdir(parents=True, exist_ok=True)
    shown = table.copy()
    for name in shown.select_dtypes(object).columns:
        kinds = {type(value) for value in shown[name] if value is not None}
        if len(kinds) > 1 or kinds & {list, dict}:
            shown[name] = [None if value is None else str(value) for value in shown[name]]
    with NamedTemporaryFile(
        dir=file.parent, prefix=f".{file.stem}-", suffix=file.suffix, delete=False
    ) as fresh:
        place = Path(fresh.name)
    try:
        if file.suffix.lower() == ".csv":
            shown.to_csv(place, index=False)
        else:
            shown.to_parquet(place, index=False)
        place.chmod(0o644)
        place.replace(file)
    except BaseException:
        place.unlink(missing_ok=True)
        raise
