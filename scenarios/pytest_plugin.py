"""The pytest plugin: scenarios as tests, and the fixtures `suite`, `tape`, `sim_exchange`.

Every pytest of an environment loads this file, so it imports nothing of the exchange before a
fixture or a scenario asks for it. docs/testing.md describes what users see.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from broker_api.suite import TradingSuite
    from data.tape import Tape
    from scenarios.fixtures import OpenSuite, Stage
    from sim.exchange import Exchange

SCENARIO_FILE = "scenario.toml"
MARKER = "papertape"
_MARKER_TEXT = (
    "papertape(instruments, tape, storm, **settings): what the fixtures suite, tape and "
    "sim_exchange are made of; see docs/testing.md of papertape"
)
_open: pytest.StashKey[OpenSuite] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The settings of the plugin in pytest's own file."""
    parser.addini("papertape_instruments", "instruments of the fixtures", "args", default=[])
    parser.addini("papertape_tape", "Parquet file of the fixtures' tape", "string", default="")
    parser.addini("papertape_scenarios", "collect scenario.toml as tests", "bool", default=True)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER_TEXT)


# --- scenarios -----------------------------------------------------------------------------------


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A scenario's file is a test."""
    if file_path.name == SCENARIO_FILE and parent.config.getini("papertape_scenarios"):
        collector: pytest.Collector = ScenarioFile.from_parent(parent, path=file_path)
        return collector
    return None


class ScenarioFile(pytest.File):
    """A `scenario.toml`: one test."""

    def collect(self) -> Iterator[pytest.Item]:
        """The scenario."""
        yield ScenarioItem.from_parent(self, name=self.path.parent.name)


class ScenarioFailed(Exception):
    """The scenario's run is not as expected; the text says what and where."""


class ScenarioItem(pytest.Item):
    """The run of a scenario, compared with what its file expects."""

    def runtest(self) -> None:
        """Play it. Its run, if not as expected, goes to a folder of pytest's."""
        from scenarios.check import Task, check_scenario
        from scenarios.check_report import details

        factory = self.config._tmp_path_factory  # type: ignore[attr-defined]
        out = factory.mktemp(self.name, numbered=True)
        checked = check_scenario(Task(self.path, out / "run"))
        for note in checked.notes:
            self.add_report_section("call", "papertape", note)
        if not checked.is_fine:
            raise ScenarioFailed("\n".join(details(checked)))

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """What was not as expected, without a traceback."""
        if isinstance(excinfo.value, ScenarioFailed):
            return f"scenario {self.name} is not as expected\n{excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it is."""
        return self.path, 0, f"scenario {self.name}"


# --- fixtures ------------------------------------------------------------------------------------


@pytest.fixture
def papertape_stage(request: pytest.FixtureRequest) -> Stage:
    """What the fixtures of this test are made of: its markers, pytest's file, papertape.toml."""
    from broker_api.errors import ConfigurationError
    from data.schema import TapeError
    from scenarios.fixtures import stage_of

    marks: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers(MARKER))):
        if mark.args:
            raise pytest.UsageError("the marker papertape takes arguments by name only")
        marks.update(mark.kwargs)
    config = request.config
    given = config.getini("papertape_tape")
    why = ""
    try:
        return stage_of(
            config.rootpath,
            marks,
            instruments=config.getini("papertape_instruments"),
            tape=config.rootpath / given if given else None,
        )
    except (ConfigurationError, TapeError) as refusal:
        why = str(refusal)
    pytest.fail(why, pytrace=False)


@pytest.fixture
def tape(papertape_stage: Stage) -> Tape:
    """The tape of the first instrument."""
    return papertape_stage.tapes[0]


@pytest.fixture
def sim_exchange(papertape_stage: Stage) -> Exchange:
    """A `sim.exchange.Exchange` at the start of the tapes, without a session."""
    return papertape_stage.exchange()


@pytest.fixture
def suite(request: pytest.FixtureRequest, papertape_stage: Stage) -> Iterator[TradingSuite]:
    """A session on the tapes, for `async def` tests, which run in its virtual time."""
    from scenarios.fixtures import OpenSuite

    if not inspect.iscoroutinefunction(inspect.unwrap(request.function)):
        pytest.fail(
            "the fixture suite is for tests that are `async def`: they run in the session's own "
            "time. In plain tests use papertape.sync, or papertape.testing.run_strategy",
            pytrace=False,
        )
    with OpenSuite(papertape_stage) as opened:
        request.node.stash[_open] = opened
        yield opened.suite


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test that has a suite, in the suite's time."""
    opened = pyfuncitem.stash.get(_open, None)
    if opened is None:
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    opened.run(_coroutine_function(pyfuncitem.obj)(**arguments))
    return True


def _coroutine_function(test: Any) -> Callable[..., Any]:
    """The test itself, where another plugin has wrapped it to run it in real time."""
    if isinstance(test, types.MethodType):
        return types.MethodType(inspect.unwrap(test.__func__), test.__self__)
    function: Callable[..., Any] = inspect.unwrap(test)
    return function
