"""A sweep from its request to its table: `sweep` is the Python call, for everybody's use.

`scenarios.sweep_run` plays the combinations, `scenarios.walk_forward` window by window.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

import numpy as np

from broker_api.config import AccountConfig, SessionDefaults, SimulationConfig
from broker_api.errors import ConfigurationError
from data.kept import let_tapes_go
from papertape.sweep_page import axes_of, page_of
from papertape.sweep_progress import sweep_progress
from reports.overfitting import Overfitting, overfitting
from scenarios.combinations import Plan, check_outside_of_runs
from scenarios.grid import Grid, axes_of_values
from scenarios.processes import expect_runs_of
from scenarios.run_folder import DIGEST_SHOWN, run_digest
from scenarios.runner import Script
from scenarios.sampling import Sample
from scenarios.scenario import is_scenario, read_scenario
from scenarios.settings import settings_of, with_settings
from scenarios.sweep import Constraint, Objective, Row, SweepInterrupted, table_of
from scenarios.sweep_run import Space, Where, play_space
from scenarios.walk_forward import Walked, WalkForward, stitched, walk_forward

if TYPE_CHECKING:
    import pandas as pd

_FORMATS = (".parquet", ".csv")


@dataclass(frozen=True)
class SweepRequest:
    """A sweep as it was asked for.

    `space` are the combinations, `split` the windows of a walk-forward sweep. `out` is the file to
    write; None: nothing, or, with `named`, one below `runs` named by the results. `axes` are the
    parameters of the heat map; with `page` that is written beside the table.
    """

    plan: Plan
    space: Space
    objective: Objective
    where: Where = field(default_factory=Where)
    split: WalkForward | None = None
    out: Path | None = None
    named: bool = False
    page: bool = False
    axes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Swept:
    """What a sweep gave: the rows in the order of the grid, their table, where it was written.

    `luck` says how much of the best row is luck, None where that cannot be said; `walked` are the
    windows of a walk-forward sweep, whose rows are those of all windows in sample.
    """

    rows: tuple[Row, ...]
    table: pd.DataFrame
    file: Path | None
    luck: Overfitting | None = None
    walked: tuple[Walked, ...] = ()
    page: Path | None = None


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
    scheduler: str | None = None,
    executor: Executor | None = None,
    time_limit: float | None = None,
    objective: str = "net",
    constraints: Sequence[str] = (),
    at_random: int | None = None,
    lhs: int | None = None,
    draw_seed: int = 0,
    walk_forward: int | None = None,
    train: int = 3,
    anchored: bool = False,
    out: str | Path | None = None,
    keep: str | Path | None = None,
) -> pd.DataFrame:
    """Run the strategy with every combination of the grid; one line of the table each, in order.

    `strategy` is a file, `file.py:function`, a coroutine function of a file, or a scenario: its
    folder or `scenario.toml`, whose settings then hold. `grid` has for each parameter its values,
    or a text like "5:50:5"; `simulation.NAME` is a setting of the simulation. `parameters` are the
    same in every run. What is left out comes from `papertape.toml`, as in a single run.
    `at_random` or `lhs` is how many combinations are drawn of the grid. `objective` and
    `constraints`, like "max_drawdown<500", say what is best.

    `walk_forward` is a number of windows, see `scenarios.walk_forward.WalkForward`: the table then
    has every run in sample and the chosen ones out of sample. `processes` 0 runs all in this
    process, None is one a processor; `scheduler` is a Dask cluster, `executor` any of
    concurrent.futures. `time_limit` is in seconds of real time a run. `out` is a file to write
    (.parquet or .csv), `keep` a folder for the run folders. The table's `attrs` have what can be
    said of luck ("overfitting"), and what the windows came to together ("stitched").

    Raises ConfigurationError or ScriptError when no run could work, SweepInterrupted (a
    KeyboardInterrupt with the finished rows) on Ctrl-C. A run that fails is a row with its error.
    """
    script, defaults = _what(strategy, [Path(file) for file in catalog])
    paths = {symbol: _path_or_tape(tape) for symbol, tape in (tapes or {}).items()}
    defaults = replace(
        defaults,
        instruments=tuple(instruments) or tuple(paths) or defaults.instruments,
        tapes={**defaults.tapes, **paths},
        parameters={**defaults.parameters, **(parameters or {})},
    )
    request = SweepRequest(
        Plan(script, _with(defaults, simulation, account), None if keep is None else Path(keep)),
        space_of(axes_of_values(grid), at_random, lhs, draw_seed),
        Objective(objective, tuple(map(Constraint, constraints))),
        Where(processes, scheduler, executor, time_limit),
        None if walk_forward is None else WalkForward(walk_forward, train, anchored),
        out=None if out is None else Path(out),
    )
    return perform_sweep(request).table


def space_of(axes: tuple[Any, ...], at_random: int | None, lhs: int | None, seed: int) -> Space:
    """The grid of these parameters, or a sample of it. Raises ConfigurationError."""
    if at_random is not None and lhs is not None:
        raise ConfigurationError("at_random and lhs are two ways to draw a sample: choose one")
    if at_random is not None:
        return Sample(axes, at_random, "random", seed)
    return Grid(axes) if lhs is None else Sample(axes, lhs, "lhs", seed)


def _what(
    strategy: str | Path | Callable[..., Any], catalog: list[Path]
) -> tuple[Script, SessionDefaults]:
    if isinstance(strategy, str | Path) and is_scenario(Path(strategy)):
        scenario = read_scenario(strategy)
        own = scenario.defaults()
        files = (*own.catalog_files, *catalog)
        return scenario.script_to_play(), replace(own, catalog_files=files)
    return _script_of(strategy), settings_of(None, catalog)


def _with(
    defaults: SessionDefaults,
    simulation: Mapping[str, Any] | SimulationConfig | None,
    account: Mapping[str, Any] | AccountConfig | None,
) -> SessionDefaults:
    if account is not None:
        given = account if isinstance(account, AccountConfig) else AccountConfig.parse(account)
        defaults = replace(defaults, account=given)
    if isinstance(simulation, SimulationConfig):
        return replace(defaults, simulation=simulation)
    return defaults if simulation is None else with_settings(defaults, simulation)


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
        if request.page:
            _check_new(request.out.with_suffix(".html"))
    if request.axes:
        axes_of(request.space, request.axes)
    expect_runs_of(request.plan.script.path)
    rows: dict[int, Row] = {}
    walked: list[Walked] = []
    try:
        with (
            sweep_progress(request.objective) as told,
            request.where.opened(len(request.space)) as executor,
        ):
            if request.split is None:
                play_space(request.plan, request.space, executor, rows, told)
            else:
                asked = (request.plan, request.space, request.objective, request.split)
                walked.extend(walk_forward(*asked, executor, told))
    except KeyboardInterrupt:
        done = _finish(request, rows, walked)
        raise SweepInterrupted(done.table, done.file) from None
    finally:
        let_tapes_go()
    return _finish(request, rows, walked)


def _finish(request: SweepRequest, rows: Mapping[int, Row], walked: Sequence[Walked]) -> Swept:
    ordered = tuple(rows[number] for number in sorted(rows))
    if request.split is None:
        table = table_of(ordered, request.objective)
    else:
        table = _walked_table(walked, request.objective)
        ordered = tuple(row for each in walked for row in each.rows)
    luck = luck_of(ordered, request.objective) if request.split is None else None
    if luck is not None:
        table.attrs["overfitting"] = asdict(luck)
    if walked:
        table.attrs["stitched"] = stitched(walked)
    swept = Swept(ordered, table, _file_of(request, ordered), luck, tuple(walked))
    if swept.file is not None:
        write_table(table, swept.file)
        if request.page and ordered:
            swept = replace(swept, page=_write_page(request, swept, swept.file))
    return swept


def _file_of(request: SweepRequest, rows: Sequence[Row]) -> Path | None:
    if request.out is not None or not request.named or not rows:
        return request.out
    digest = run_digest([f"{dict(row.parameters)} {row.digest}" for row in rows] + [""])
    stem = request.plan.script.path.stem
    return Path("runs") / f"{stem}-sweep-{digest[:DIGEST_SHOWN]}.parquet"


def luck_of(rows: Sequence[Row], objective: Objective) -> Overfitting | None:
    """What can be said of the best row; None where there is none, or no tape to cut into periods.

    Every run that ended is a trial, whatever the constraints say of it.
    """
    ended = [row for row in rows if row.error is None and row.profits]
    best = next(iter(objective.best(ended)), None)
    if best is None:
        return None
    return overfitting(np.array([row.profits for row in ended]).T, ended.index(best))


def _walked_table(walked: Sequence[Walked], objective: Objective) -> pd.DataFrame:
    """The rows of all windows, with the window, the part and whether the row was chosen."""
    import pandas as pd

    rows: list[Row] = []
    places: list[tuple[int, str, bool, int, int]] = []
    for number, each in enumerate(walked, start=1):
        window = each.window
        for row in each.rows:
            rows.append(row)
            places.append((number, "in", row is each.best, window.train_ns, window.test_ns))
        if each.test is not None:
            rows.append(each.test)
            places.append((number, "out", True, window.test_ns, window.end_ns))
    table = table_of(rows, objective)
    columns = pd.DataFrame(places, columns=["window", "part", "chosen", "from", "until"])
    for at, name in enumerate(columns):
        is_time = name in ("from", "until")
        values = columns[name].astype(object) if name == "part" else columns[name]
        table.insert(at, name, pd.to_datetime(values, utc=True) if is_time else values)
    return table


def _write_page(request: SweepRequest, swept: Swept, file: Path) -> Path:
    place = file.with_suffix(".html")
    axes = axes_of(request.space, request.axes)
    told = (swept.rows, swept.luck, swept.walked)
    place.write_text(page_of(request.plan, request.objective, axes, *told), encoding="utf-8")
    return place


def _check_out(file: Path) -> None:
    if file.suffix.lower() not in _FORMATS:
        raise ConfigurationError(f"out {file}: the name must end in {' or '.join(_FORMATS)}")
    _check_new(file)


def _check_new(file: Path) -> None:
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
