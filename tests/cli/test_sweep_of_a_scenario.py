"""`papertape sweep SCENARIO`: its strategy, tapes and settings, and options on top of them."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from papertape import sweep

pytestmark = pytest.mark.slow

STRATEGY = """
async def trade(suite, wait: int = 60, size: int = 1):
    for number in range(6):
        await suite.clock.sleep(wait)
        await suite["MNQ"].orders.place_market_order("MNQ", number % 2, size)
"""
SCENARIO = """
strategy = "trade.py:trade"
instruments = ["MNQ"]

[parameters]
size = 2

[simulation]
fees = false

[tapes.MNQ]
synthetic = { seed = 3, hours = 0.15 }
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    folder = tmp_path / "trading"
    folder.mkdir()
    (folder / "trade.py").write_text(STRATEGY, encoding="utf-8")
    (folder / "scenario.toml").write_text(SCENARIO, encoding="utf-8")
    return folder


def test_a_scenarios_settings_hold_and_options_come_on_top(command, scenario: Path) -> None:
    options = ("--grid", "wait=30,60", "--processes", "0")
    ended = command("sweep", scenario, *options, "--out", "folder.parquet")
    assert ended.code == 0, ended.err + ended.out
    table = pd.read_parquet("folder.parquet")
    assert table["wait"].tolist() == [30, 60]
    assert table["fills"].tolist() == [6, 6]
    assert table["fees"].tolist() == [0.0, 0.0]
    assert table["digest"].nunique() == 2
    page = Path("folder.html").read_text(encoding="utf-8")
    assert re.search(r"<title>trade on sweep</title>", page)
    assert 'id="heat-map"' in page
    more = ("--set", "simulation.fees=true", "--no-page", "--out", "file.csv")
    ended = command("sweep", scenario / "scenario.toml", *options, *more)
    assert ended.code == 0, ended.err + ended.out
    assert (pd.read_csv("file.csv")["fees"] > 0).all()
    assert not Path("file.html").exists()


def test_a_scenario_says_itself_what_runs(command, scenario: Path) -> None:
    ended = command("sweep", scenario, "--grid", "wait=30", "--strategy", "trade")
    assert ended.code == 2
    assert "--strategy trade: the scenario" in ended.err
    ended = command("sweep", scenario, "--grid", "wiat=30")
    assert ended.code == 2
    assert 'did you mean "wait"' in ended.err


def test_python_gives_the_same_on_processes_and_says_how_much_is_luck(scenario: Path) -> None:
    grid = {"wait": [30, 45, 60]}
    alone = sweep(scenario, grid, processes=0)
    shared = sweep(scenario / "scenario.toml", grid, processes=2, constraints=["trades>=1"])
    assert shared["digest"].tolist() == alone["digest"].tolist()
    assert shared["allowed"].all()
    luck = alone.attrs["overfitting"]
    assert luck["trials"] == 3
    assert luck == shared.attrs["overfitting"]
    assert 0 <= luck["probability"] <= 1


def test_walking_forward_on_processes_is_walking_forward_here(scenario: Path) -> None:
    asked = {"grid": {"wait": [10, 20]}, "walk_forward": 2, "train": 1, "objective": "end_equity"}
    alone = sweep(scenario, processes=0, **asked)
    shared = sweep(scenario, processes=2, **asked)
    assert alone["window"].tolist() == [1, 1, 1, 2, 2, 2]
    assert alone["part"].tolist() == ["in", "in", "out"] * 2
    assert alone["chosen"].sum() == 4
    same = [name for name in alone if name != "seconds"]
    pd.testing.assert_frame_equal(alone[same], shared[same])
    assert alone.attrs["stitched"] == shared.attrs["stitched"]
    assert alone.attrs["stitched"]["played"] == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--random", "2", "--lhs", "2"], "two ways to draw a sample"),
        (["--random", "0"], "sample of 0 combinations"),
        (["--axis", "wiat"], r"axis 'wiat' is not in the grid; did you mean \"wait\""),
        (["--constraint", "trades>many"], "is not of the form"),
        (["--walk-forward", "0"], "walk-forward windows = 0"),
    ],
)
def test_what_cannot_work_is_refused(command, scenario: Path, options, message) -> None:
    ended = command("sweep", scenario, "--grid", "wait=30,60", "--processes", "0", *options)
    assert ended.code == 2, ended
    assert re.search(message, ended.err), ended.err
