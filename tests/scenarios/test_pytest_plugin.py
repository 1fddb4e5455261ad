"""The pytest plugin as a user has it: a test suite of its own, in a folder of its own."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import papertape.testing
import scenarios.check
import scenarios.check_report
import scenarios.fixtures
import scenarios.pytest_plugin
import sim.broker
from broker_api.catalog import find, load_catalog
from scenarios.recipe import SyntheticRecipe

pytest_plugins = ["pytester"]

LOADED = (
    papertape.testing,
    scenarios.check,
    scenarios.check_report,
    scenarios.fixtures,
    sim.broker,
)
ROOT = Path(__file__).resolve().parents[2]
STRATEGY = """
import asyncio

async def buy(suite):
    await suite["MNQ"].orders.place_market_order("MNQ", "buy", 1)
    await asyncio.sleep(30)
    await suite["MNQ"].orders.close_position("MNQ")
"""
SCENARIO = """
strategy = "strategy.py:buy"
instruments = ["MNQ"]

[tapes]
MNQ = { synthetic = { seed = 3, hours = 0.02 } }

[expect.statistics]
trades = 1
"""


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """What a run of pytest inside this one imports is forgotten behind it, and NumPy, like what
    Numba imports with compiled code, cannot be imported twice: everything is there before.
    """

    async def trade(suite) -> None:
        for symbol in suite:
            await suite[symbol].orders.place_market_order(symbol, "buy", 1)
            await suite[symbol].orders.close_position(symbol)

    made = {
        symbol: SyntheticRecipe(seed=1, hours=0.02).tape(find(load_catalog(), symbol))
        for symbol in ("MNQ", "ES")
    }
    for tapes in (made, {"MNQ": made["MNQ"]}):
        assert papertape.testing.run_strategy(trade, tapes).error is None


@pytest.fixture
def played(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Run pytest on these files with this plugin and no other."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]\nfilterwarnings = error\n")

    def run(*arguments: str, **tests: str) -> pytest.RunResult:
        if tests:
            pytester.makepyfile(**tests)
        return pytester.runpytest_inprocess(*arguments, plugins=[scenarios.pytest_plugin])

    return run


def test_async_tests_have_a_session_and_run_in_its_time(played) -> None:
    result = played(
        test_it="""
        import asyncio
        import pytest

        async def test_an_hour_goes_by(suite):
            began = suite.clock.now_ns()
            await asyncio.sleep(3600)
            assert suite.clock.now_ns() - began == 3600 * 10**9
            order = await suite["MNQ"].orders.place_market_order("MNQ", "buy", 1)
            assert order.status == "filled"

        class TestOfAClass:
            @pytest.mark.parametrize("size", [1, 2])
            async def test_with_other_fixtures(self, suite, tape, size, tmp_path):
                await suite["MNQ"].orders.place_market_order("MNQ", "buy", size)
                assert suite["MNQ"].positions.position().size == size
                assert suite.session.broker.tapes[0] is tape

        async def test_that_fails(suite):
            assert suite["MNQ"].positions.position().size == 7

        async def test_that_waits_too_long(suite):
            await asyncio.sleep(10**6)

        async def test_whose_handler_raises(suite):
            def handler(event):
                raise KeyError("in the handler")
            await suite["MNQ"].orders.on_order_update(handler)
            await suite["MNQ"].orders.place_market_order("MNQ", "buy", 1)
            await asyncio.sleep(1)

        def test_that_is_no_coroutine(suite):
            pass
        """
    )
    result.assert_outcomes(passed=3, failed=3, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*assert 0* == 7*",
            "*TapeEndedInTest: the tape ended at 2025-01-14 23:29:5*while*",
            "*KeyError: 'in the handler'*",
        ]
    )
    result.stdout.fnmatch_lines(["*the fixture suite is for tests that are `async def`*"])


def test_markers_and_settings_say_what_the_fixtures_are_made_of(
    played, pytester: pytest.Pytester
) -> None:
    pytester.makefile(".toml", papertape="[account]\ncash = 12_345\n")
    pytester.makeini("[pytest]\npapertape_instruments = ETH\n")
    result = played(
        test_it="""
        import pytest
        from papertape.testing import Storm

        def test_from_the_file(tape, sim_exchange):
            assert tape.symbol == "ETH"
            assert sim_exchange.cash_nanos() == 12_345 * 10**9
            assert sim_exchange.advance(tape.start_ns + 10**9) == []

        @pytest.mark.papertape(
            instruments=["MNQ", "ES"],
            tape={"MNQ": {"seed": 5, "hours": 0.1}},
            account={"cash": 99_000},
            simulation={"entry_latency_ms": 40},
        )
        async def test_from_the_marker(suite, tape):
            assert list(suite) == ["MNQ", "ES"]
            assert suite.account.cash == 99_000
            assert tape.end_ns - tape.start_ns < 400 * 10**9
            began = suite.clock.now_ns()
            await suite["MNQ"].orders.place_limit_order("MNQ", 0, 1, 20_000.0)
            assert suite.clock.now_ns() - began == 41_000_000

        @pytest.mark.papertape(instruments=["MNQ"], storm=3)
        async def test_in_a_storm(suite):
            assert hasattr(suite.session.broker, "happened")

        @pytest.mark.papertape(tapes={})
        def test_of_a_slip(tape):
            pass
        """
    )
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(['*the marker papertape has no *tapes*; did you mean "tape"?*'])


def test_scenarios_are_tests(played, pytester: pytest.Pytester) -> None:
    for name in ("fine", "wrong"):
        folder = pytester.mkdir(name)
        (folder / "strategy.py").write_text(STRATEGY, encoding="utf-8")
        text = SCENARIO if name == "fine" else SCENARIO.replace("trades = 1", "trades = 4")
        (folder / "scenario.toml").write_text(text, encoding="utf-8")
    result = played()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*scenario wrong is not as expected*", "*trades is 1, expected 4*"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    pytester.makeini("[pytest]\npapertape_scenarios = false\n")
    played().assert_outcomes()


def test_the_tests_on_the_page_pass(played) -> None:
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    files = {f"test_block_{at}": text for at, text in enumerate(blocks)}
    expected = sum(text.count("def test_") for text in blocks)
    assert expected >= 7
    played(**files).assert_outcomes(passed=expected)


def test_the_entry_point_is_this_plugin_and_its_import_is_light() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"papertape": "scenarios.pytest_plugin"}
    assert any(
        each.startswith("hypothesis") for each in project["optional-dependencies"]["testing"]
    )
    assert importlib.metadata.version("hypothesis")
    heavy = "numpy, numba, pandas, pyarrow, hypothesis, pydantic, sim, data, broker_api"
    text = (
        "import sys, scenarios.pytest_plugin\n"
        f"print([name for name in {heavy.split(', ')!r} if name in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert shown.stdout.strip() == "[]"
