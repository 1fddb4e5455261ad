"""`papertape fork`: the shared prefix is the run's, and what comes then has the new argument."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from papertape.cli import app
from reports.run import read_run

RUNNER = CliRunner()
STRATEGY = '''
from papertape import TradingSuite


async def held(suite: TradingSuite, stop: float = 4.0, pause: float = 60.0) -> None:
    """A bracket a minute; a fill is answered by a handler that knows the stop."""
    (market,) = suite.values()
    seen = []

    async def on_fill(fill):
        seen.append(stop)

    await suite.on("fill", on_fill)
    for turn in range(20):
        await market.orders.place_bracket_order(
            market.symbol, side=turn % 2, size=1, stop_offset=stop, target_offset=6.0
        )
        await suite.clock.sleep(pause)
    print("stops", sorted(set(seen)))
'''


def invoked(*arguments: object) -> tuple[int, str]:
    """The exit code and what was printed."""
    done = RUNNER.invoke(app, [str(each) for each in arguments])
    return done.exit_code, " ".join(done.output.split())


@pytest.fixture(name="run")
def run_folder(tmp_path: Path) -> Path:
    """A run of the strategy, with its script."""
    script, folder = tmp_path / "held.py", tmp_path / "run"
    script.write_text(STRATEGY, encoding="utf-8")
    code, output = invoked(
        "run", script, "--instrument", "MNQ", "--set", "pause=45", "--out", folder, "--no-report"
    )
    assert code == 0, output
    return folder


def forked(run: Path, *arguments: object) -> tuple[int, str]:
    """`papertape fork` of the run with its script."""
    script = run.with_name("held.py")
    return invoked("fork", run, "--script", script, "--no-report", *arguments)


def test_a_fork_shares_its_beginning_and_goes_on_with_the_new_argument(run: Path) -> None:
    target = run.with_name("forked")
    code, output = forked(run, "--at", 40, "--set", "stop=9", "--out", target)
    assert code == 0, output
    assert "stops [4.0, 9.0]" in output, "the handler's closure has the new value as well"
    before, after = read_run(run), read_run(target)
    assert (before.events[:40] == after.events[:40]).all()
    assert len(after.events) != len(before.events) or (before.events != after.events).any()
    assert after.config["parameters"] == {"stop": 9, "pause": 45}
    entries = after.commands().to_pylist()
    stops = {each["offset_ticks"] for each in entries if each["role"] == "stop_exit"}
    assert stops == {16, 36}
    assert (target / "compare.html").is_file()


def test_a_fork_that_changes_nothing_is_the_run(run: Path) -> None:
    target = run.with_name("same")
    assert forked(run, "--at", 10, "--set", "stop=4.0", "--out", target)[0] == 0
    assert (read_run(run).events == read_run(target).events).all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--at", 0, "--set", "stop=9"), "the run has events 1 to"),
        (("--at", 100_000, "--set", "stop=9"), "the run has events 1 to"),
        (("--at", 10, "--set", "stopp=9"), "did you mean"),
        (("--at", 10, "--set", "simulation.seed=9"), "simulation"),
    ],
)
def test_a_fork_that_cannot_be_is_refused(
    run: Path, arguments: tuple[object, ...], said: str
) -> None:
    code, output = forked(run, *arguments)
    assert code == 2, output
    assert said in output


def test_a_script_that_does_something_else_by_now_is_noticed(run: Path) -> None:
    script = run.with_name("held.py")
    script.write_text(STRATEGY.replace("target_offset=6.0", "target_offset=5.0"), encoding="utf-8")
    code, output = forked(run, "--at", 60, "--set", "stop=9")
    assert code == 2
    assert "of the run is another one now" in output
