"""A scenario in seeded storms: the same again, judged by its invariants, the worst told first."""

from pathlib import Path

import pytest

from data.market_storm import IncidentKind
from papertape.storm_command import StormRequest, command_of, perform_one, perform_storms
from reports.run import read_run
from scenarios.processes import InThisProcess, IsolatedProcesses
from scenarios.scenario import read_scenario
from scenarios.storm_drawing import Span, drawn_storm
from scenarios.storms import StormFailure, StormRun, Stormy, listed, storm_all

NAIVE = """
import asyncio
from papertape import TradingError

async def naive(suite):
    mnq = suite["MNQ"]
    print("not shown")
    for _ in range(6):
        try:
            await mnq.orders.place_bracket_order("MNQ", 0, 1, stop_offset=5, target_offset=5)
        except TradingError:
            pass
        await asyncio.sleep(60)
        try:
            await mnq.orders.close_position()
        except TradingError:
            pass
        await asyncio.sleep(20)
"""
"""It takes no answer for no order: after a lost answer it enters once more."""
BROKEN = "async def naive(suite):\n    raise RuntimeError('no such luck')\n"
DIES = """
async def naive(suite):
    for _ in range(30):
        await suite["MNQ"].orders.place_limit_order("MNQ", 0, 1, 20_000)
"""
RAISES = """
from papertape import TradingError

async def naive(suite):
    try:
        for _ in range(30):
            await suite["MNQ"].orders.place_limit_order("MNQ", 0, 1, 20_000)
    except TradingError:
        raise RuntimeError("no such luck") from None
"""
FILE = """
strategy = "naive.py:naive"
instruments = ["MNQ"]

[tapes]
MNQ = { synthetic = { seed = 7, hours = 0.4 } }

[expect.invariants]
flat_at_end = true
no_orphan_exits = true
max_position = 1
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "naive.py").write_text(NAIVE, encoding="utf-8")
    (tmp_path / "scenario.toml").write_text(FILE, encoding="utf-8")
    return tmp_path / "scenario.toml"


def runs_of(file: Path, count: int, seed: int = 1) -> list[StormRun]:
    found = list(storm_all([file], count, seed, InThisProcess()))
    assert all(isinstance(each, StormRun) for each in found)
    return [each for each in found if isinstance(each, StormRun)]


def test_a_seed_is_one_run_whatever_was_played_before_it(file: Path) -> None:
    runs = runs_of(file, 12)
    assert [run.seed for run in runs] == list(range(1, 13))
    alone = Stormy(read_scenario(file))
    assert alone.run(9).told(alone.scenario) == runs[8]
    assert len({run.digest for run in runs}) > 8


def test_processes_give_what_this_one_gives(file: Path) -> None:
    with IsolatedProcesses(1) as executor:
        there = list(storm_all([file], 3, 5, executor))
    assert there == runs_of(file, 3, 5)


def test_a_strategy_that_takes_no_answer_for_no_order_is_caught(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = runs_of(file, 30)
    caught = [run for run in runs if any("max_position" in text for text in run.broken)]
    assert caught
    assert "not shown" not in capsys.readouterr().out
    worst = listed(runs, 5)
    assert worst[0].broken
    assert [run.net for run in worst if run.broken] == sorted(
        run.net for run in worst if run.broken
    )


def test_one_command_plays_a_seed_again_into_a_run_folder(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = next(run for run in runs_of(file, 30) if run.broken)
    assert command_of(bad) == f"papertape check {file.parent} --storm-seed {bad.seed}"
    assert perform_one([file], bad.seed, tmp_path / "out") == 1
    shown = capsys.readouterr().out
    assert bad.broken[0] in shown
    assert read_run(tmp_path / "out" / f"{tmp_path.name}-storm-{bad.seed}").digest == bad.digest
    assert list((tmp_path / "out").glob("*/report.html"))


def test_what_is_printed_names_the_worst_seeds_and_their_commands(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert perform_storms(StormRequest([file], 10, 1, processes=0)) == 1
    out = capsys.readouterr().out
    assert "10 storms" in out
    assert "--storm-seed" in out
    quiet = FILE.partition("[expect")[0]
    file.write_text(quiet, encoding="utf-8")
    assert perform_storms(StormRequest([file], 4, 1, processes=0)) == 0
    assert "all invariants held" in capsys.readouterr().out


def test_what_the_strategy_raises_is_broken_and_a_refusal_ends_it_early(file: Path) -> None:
    (file.parent / "naive.py").write_text(DIES, encoding="utf-8")
    ended = [run for run in runs_of(file, 10) if run.ended]
    assert ended
    assert all(not run.broken for run in ended)
    (file.parent / "naive.py").write_text(RAISES, encoding="utf-8")
    told = runs_of(file, 10)
    assert any("RuntimeError: no such luck" in text for run in told for text in run.broken)


def test_a_scenario_that_fails_in_calm_weather_says_so_once(file: Path) -> None:
    (file.parent / "naive.py").write_text(BROKEN, encoding="utf-8")
    (failure,) = storm_all([file], 25, 1, InThisProcess())
    assert isinstance(failure, StormFailure)
    assert failure.scenario == str(file)
    assert "without any storm: the strategy raised: RuntimeError: no such luck" in failure.text
    assert perform_storms(StormRequest([file], 2, 1, processes=0)) == 1


def test_storms_come_while_the_session_is_busy_and_have_every_kind() -> None:
    span = Span(1_000, 9_000, 9_500)
    storms = [drawn_storm(seed, span, 2) for seed in range(400)]
    incidents = [incident for storm in storms for _, incident in storm.incidents]
    assert {incident.kind for incident in incidents} == set(IncidentKind)
    assert all(1_000 <= incident.at_ns <= 9_000 for incident in incidents)
    assert all(incident.at_ns + incident.lasts_ns <= 9_500 for incident in incidents)
    assert {at for storm in storms for at, _ in storm.incidents} == {0, 1}
    assert drawn_storm(3, span, 2) == drawn_storm(3, span, 2) != drawn_storm(4, span, 2)
