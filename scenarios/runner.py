"""Runs a user's script or strategy function in virtual time and says how it ended."""

from __future__ import annotations

import asyncio
import inspect
import sys
import sysconfig
import traceback
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import (
    AbstractContextManager,
    ExitStack,
    contextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import broker_api
from broker_api.config import SessionDefaults, near_miss, use_defaults
from broker_api.errors import ConfigurationError, TradingError
from data.schema import TapeError
from scenarios.alias import alias
from scenarios.lint import check_script
from scenarios.parameters import bind
from sim.loop import VirtualLoop, VirtualRuns, virtual_time

Strategy = Callable[..., Coroutine[Any, Any, Any]]
REFUSALS = (TradingError, TapeError)
"""Errors that are told in one message, without a traceback."""

_HOME = Path(broker_api.__file__).parent.parent
_ROOMS = tuple(
    str(_HOME / room) for room in ("papertape", "broker_api", "sim", "data", "scenarios", "reports")
)


@dataclass(frozen=True)
class Script:
    """What to run. `strategy` names a coroutine function of the file, None: as the file says.

    `assignments` are the raw texts of --set; `as_name` is the package name that means papertape.
    """

    path: Path
    strategy: str | None = None
    assignments: Mapping[str, str] = field(default_factory=dict)
    as_name: str | None = None


@dataclass
class Outcome:
    """What a script left behind. `parameters` are the arguments that its strategy was given."""

    sessions: list[Any]
    strategy: str | None
    parameters: dict[str, Any]
    tape_ended: bool
    exit_code: int


class ScriptError(Exception):
    """The user's script raised; the text is its traceback without the frames of others."""


def play(
    script: Script,
    defaults: SessionDefaults,
    watch: Callable[[VirtualRuns, SessionDefaults], None] = lambda runs, defaults: None,
) -> Outcome:
    """Run the script with these defaults in virtual time.

    `watch` gets the virtual loops and the sessions before anything runs, for a progress display.
    Raises ScriptError for an exception of the script's own; ConfigurationError, TapeError or
    another TradingError, with the script's line in its text, for what papertape refused.
    """
    with _stage(script, defaults) as runs:
        watch(runs, defaults)
        strategy, parameters, exit_code = _execute(script, defaults)
        _raise_what_stopped(defaults.sessions)
        ended = any(isinstance(loop, VirtualLoop) and loop.tape_ended for loop in runs.loops)
        return Outcome(defaults.sessions, strategy, parameters, ended, exit_code)


def play_live(script: Script, defaults: SessionDefaults) -> Outcome:
    """Run the script with these defaults in real time, on a live broker.

    Whoever cancels its task ends it in order. Raises as `play`.
    """
    with _stage(script, defaults, nullcontext(VirtualRuns())):
        strategy, parameters, exit_code = _execute(script, defaults, _run_until_cancelled)
        _raise_what_stopped(defaults.sessions)
        return Outcome(defaults.sessions, strategy, parameters, False, exit_code)


def _run_until_cancelled(main: Coroutine[Any, Any, None]) -> None:
    with suppress(asyncio.CancelledError):
        asyncio.run(main)


def bound_arguments(
    script: Script,
    defaults: SessionDefaults,
    choices: Iterable[tuple[Mapping[str, Any], Mapping[str, str]]],
) -> tuple[str, list[dict[str, Any]]]:
    """The name of the script's strategy, and its arguments for each (settings, assignments).

    Settings are values on top of those in `defaults`, assignments raw texts. Of the file only what
    stands outside of functions runs. Raises as `play`.
    """
    with _stage(script, defaults):
        module = _module(script.path, f"papertape_script_{script.path.stem}")
        _fill(module, script.path)
        strategy = _choose(script, module)
        return strategy.__name__, [
            bind(
                strategy,
                {**defaults.parameters, **settings},
                {**script.assignments, **assignments},
            )
            for settings, assignments in choices
        ]


@contextmanager
def _stage(
    script: Script,
    defaults: SessionDefaults,
    time: AbstractContextManager[VirtualRuns] | None = None,
) -> Iterator[VirtualRuns]:
    """Everything that a script finds when it runs; raises what `play` says of what it raises."""
    check_script_file(script.path)
    if defaults.rehearse_for is not None:
        check_script(script.path, script.strategy, defaults.rehearse_for)
    with ExitStack() as stack:
        if script.as_name is not None:
            stack.enter_context(alias(script.as_name))
        stack.enter_context(use_defaults(defaults))
        stack.enter_context(_at_home(script.path))
        runs = stack.enter_context(virtual_time() if time is None else time)
        try:
            yield runs
        except REFUSALS as refusal:
            raise _located(refusal, script.path) from None
        except Exception as failure:
            raise ScriptError(user_traceback(failure)) from None


def _execute(
    script: Script,
    defaults: SessionDefaults,
    run: Callable[[Coroutine[Any, Any, None]], None] = asyncio.run,
) -> tuple[str | None, dict[str, Any], int]:
    """The strategy's name and arguments, where a strategy function ran, and the exit code."""
    if script.strategy is None and not script.assignments:
        module = _module(script.path, "__main__")
        exit_code = _fill(module, script.path)
        if exit_code or defaults.sessions:
            return None, {}, exit_code
    else:
        module = _module(script.path, f"papertape_script_{script.path.stem}")
        _fill(module, script.path)
    strategy = _choose(script, module)
    parameters = bind(strategy, defaults.parameters, script.assignments)
    run(_perform(strategy, parameters))
    return strategy.__name__, parameters, 0


def _raise_what_stopped(sessions: list[Any]) -> None:
    """An exception of a handler that the script did not come to hear of is told all the same."""
    for suite in sessions:
        if suite.failure is not None:
            raise suite.failure


async def _perform(strategy: Strategy, parameters: dict[str, Any]) -> None:
    from broker_api.suite import TradingSuite

    suite = await TradingSuite.create()
    try:
        await strategy(suite, **parameters)
    finally:
        await suite.disconnect()


def check_script_file(path: Path) -> None:
    """Raise ConfigurationError where there is no file to run."""
    if path.is_dir():
        raise ConfigurationError(
            f"script {path} is a folder without a scenario.toml; a Python file or a scenario is "
            "needed"
        )
    if not path.is_file():
        near = near_miss(path.name, (p.name for p in path.parent.glob("*.py")))
        raise ConfigurationError(f"script {path} does not exist{near}")


def _module(path: Path, name: str) -> ModuleType:
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    return module


def _fill(module: ModuleType, path: Path) -> int:
    """Execute the file in the module. Returns the code with which it left, 0 at its end."""
    try:
        exec(_code(path.read_bytes(), str(path)), module.__dict__)
    except SystemExit as leaving:
        if isinstance(leaving.code, str):
            print(leaving.code, file=sys.stderr)  # noqa: T201 - as Python itself does
            return 1
        return leaving.code or 0
    return 0


@lru_cache(maxsize=16)
def _code(source: bytes, name: str) -> CodeType:
    """The compiled file; a sweep executes the same one for every run."""
    return compile(source, name, "exec")


def _choose(script: Script, module: ModuleType) -> Strategy:
    """The strategy by name, else the only public coroutine function that takes `suite`."""
    functions: dict[str, Strategy] = {
        name: value
        for name, value in vars(module).items()
        if inspect.iscoroutinefunction(value) and value.__module__ == module.__name__
    }
    takers = [name for name, value in functions.items() if _takes_suite(name, value)]
    wanted = script.strategy
    if wanted is not None:
        if wanted not in functions:
            known = f"; it has {', '.join(functions)}" if functions else "; it has none"
            raise ConfigurationError(
                f"{script.path} has no coroutine function {wanted!r}{known}"
                f"{near_miss(wanted, functions)}"
            )
        if not inspect.signature(functions[wanted]).parameters:
            raise ConfigurationError(
                f"{script.path}: strategy {wanted} takes no parameter; it needs to take the suite, "
                f"async def {wanted}(suite)"
            )
        return functions[wanted]
    if len(takers) == 1:
        return functions[takers[0]]
    if takers:
        raise ConfigurationError(
            f"{script.path} has several strategies: {', '.join(takers)}; choose one with --strategy"
        )
    raise ConfigurationError(
        f"{script.path} opened no session and has no strategy to run: call asyncio.run(main()), or "
        f"write async def my_strategy(suite)"
        + (f" (its coroutine functions are {', '.join(functions)})" if functions else "")
    )


def _takes_suite(name: str, function: Any) -> bool:
    names = list(inspect.signature(function).parameters)
    return not name.startswith("_") and names[:1] == ["suite"]


@contextmanager
def _at_home(path: Path) -> Iterator[None]:
    """As when Python runs the file: its folder is on the path, its name in argv, it is __main__.

    Modules beside the script are forgotten afterwards, so that another run executes them anew.
    """
    before = sys.argv, sys.path[:], dict(sys.modules)
    home = path.resolve().parent
    sys.argv = [str(path)]
    sys.path.insert(0, str(home))
    try:
        yield
    finally:
        sys.argv, sys.path[:], modules = before
        for name in ("__main__", f"papertape_script_{path.stem}"):
            if name in modules:
                sys.modules[name] = modules[name]
            else:
                sys.modules.pop(name, None)
        for name in [name for name in sys.modules if name not in modules]:
            file = getattr(sys.modules[name], "__file__", None)
            if file is not None and _is_users(file) and Path(file).is_relative_to(home):
                del sys.modules[name]


def _is_users(filename: str) -> bool:
    if filename.startswith("<"):
        return False
    return not any(Path(filename).is_relative_to(place) for place in (*_installed(), *_ROOMS))


@cache
def _installed() -> tuple[str, ...]:
    keys = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple(sysconfig.get_path(key) for key in keys)


def user_traceback(failure: BaseException) -> str:
    """The exception with the frames of the user's own files only, causes and groups included."""
    report = traceback.TracebackException.from_exception(failure)
    _prune(report, set())
    return "".join(report.format()).rstrip()


def _prune(report: traceback.TracebackException, seen: set[int]) -> None:
    if id(report) in seen:
        return
    seen.add(id(report))
    report.stack = traceback.StackSummary.from_list(
        [frame for frame in report.stack if _is_users(frame.filename)]
    )
    for other in (report.__cause__, report.__context__, *(report.exceptions or ())):
        if other is not None:
            _prune(other, seen)


def _located(refusal: Exception, script: Path) -> Exception:
    """The refusal with the user's line before its text, where it came out of the user's code."""
    frames = [
        frame for frame in traceback.extract_tb(refusal.__traceback__) if _is_users(frame.filename)
    ]
    if frames and refusal.args:
        where = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}"
        refusal.args = (f"{where}: {refusal.args[0]}", *refusal.args[1:])
    return refusal
