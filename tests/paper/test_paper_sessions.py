"""Paper sessions on the disk: the backtest's events, resumed after kills, proved again."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker_api.config import AccountConfig, OrderManagerConfig, SimulationConfig
from broker_api.errors import ConfigurationError
from broker_api.journal_chain import Record, RecordKind
from broker_api.journal_file import JournalFile
from broker_api.journal_writer import JournalWriter
from broker_api.wall_clock import WallClock
from papertape.paper_command import served_again
from scenarios.paper import (
    LIVE,
    PaperPlan,
    asked_for,
    begin,
    changes_since,
    plan_of,
    resume,
    verify,
)
from scenarios.paper_feed import FeedPlan
from scenarios.run_folder import JOURNAL_FILE
from scenarios.runner import Outcome, play
from scenarios.scenario import Scenario, read_scenario
from sim.durable import ResumeDiverged
from tests.paper import long_feed

ROOT = Path(__file__).parents[2]
BUSY = Path(__file__).parent / "busy"
BEGAN_NS = 1_800_000_000_000_000_000
OWN = (RecordKind.COMMAND, RecordKind.EVENT, RecordKind.ERROR)


@pytest.mark.timeout(900)  # every record is synchronised with a disk that may be slow
def test_killed_sessions_lose_nothing_and_double_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.paper.kills", "--count", "50", "--seed", "3"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stderr
    assert "nothing lost, nothing doubled" in done.stdout


def played(folder: Path, wall_ns: Callable[[], int], speed: float) -> Outcome:
    """The busy scenario as a paper session in `folder`."""
    plan = PaperPlan(read_scenario(BUSY), {}, FeedPlan("replay", speed, BEGAN_NS), folder)
    return begin(plan, wall_ns, served_again).run()


def ticking(start_ns: int, step_ns: int) -> Callable[[], int]:
    """A machine's clock that goes on by a step at every look."""
    times = itertools.count(start_ns, step_ns)
    return lambda: next(times)


def first_records(source: Path, target: Path, share: float) -> list[Record]:
    """A session that was ended in the middle: the first records of another one's journal."""
    with JournalFile.open(source / JOURNAL_FILE) as file:
        records = list(file.records())
        kept = records[1 : int(len(records) * share)]
        target.mkdir()
        with JournalWriter.create(target / JOURNAL_FILE, file.header) as writer:
            for record in kept:
                if record.ticks is None:
                    writer.stage(record.kind, record.ts_ns, record.body)
                else:
                    writer.append_ticks(record.ts_ns, record.ticks.instrument, record.ticks.columns)
    return kept


def session_records(folder: Path) -> list[tuple[str, int, Any]]:
    """Commands and events as a journal has them."""
    with JournalFile.open(folder / JOURNAL_FILE) as file:
        return [
            (str(each.kind), each.ts_ns, each.body) for each in file.records() if each.kind in OWN
        ]


def test_a_paper_session_has_the_events_of_the_backtest(tmp_path: Path) -> None:
    scenario = read_scenario(BUSY)
    backtest = play(scenario.script_to_play(), scenario.defaults())
    expected = backtest.sessions[-1].session.journal.digest()
    for speed in (0.0, 1e6):
        folder = tmp_path / f"{speed:g}"
        outcome = played(folder, ticking(BEGAN_NS, 1_000_000), speed)
        assert outcome.sessions[-1].session.journal.digest() == expected
        plan, header = plan_of(folder)
        parity = verify(plan, header, served_again)
        assert (parity.is_equal, parity.digest) == (True, expected)


def test_a_session_that_was_away_hears_late_what_the_venue_did_meanwhile(tmp_path: Path) -> None:
    played(tmp_path / "whole", ticking(BEGAN_NS, 50_000), 1e3)
    kept = first_records(tmp_path / "whole", tmp_path / "cut", 0.4)
    last_ns = max(each.ts_ns for each in kept if each.kind is RecordKind.HORIZON)
    away_ns = last_ns + 60_000_000_000
    plan, header = plan_of(tmp_path / "cut")
    start_ns = int(read_scenario(BUSY).defaults().tapes["MNQ"].start_ns)  # type: ignore[attr-defined]
    wall = ticking(BEGAN_NS + (away_ns - start_ns) // 1000, 50_000)
    resume(plan, wall, served_again).run()

    before = session_records(tmp_path / "whole")
    after = session_records(tmp_path / "cut")
    own = [each for each in kept if each.kind in OWN]
    assert after[: len(own)] == before[: len(own)]
    resumed = [each for each in after if each[2].get("kind") == "session_resumed"]
    assert len(resumed) == 1
    assert resumed[0][1] >= away_ns
    assert resumed[0][2]["value"] == resumed[0][1] - last_ns
    assert resumed[0][2]["limit"] > 100, "the replay knows what traded meanwhile"
    sent = [ts for kind, ts, _ in after if kind == "command" and last_ns < ts < resumed[0][1]]
    assert sent == [], "nobody was there to send anything"
    assert verify(plan, header, served_again).is_equal


def test_a_changed_strategy_does_not_go_on_with_what_another_one_did(tmp_path: Path) -> None:
    folder = tmp_path / "busy"
    shutil.copytree(BUSY, folder)
    plan = PaperPlan(read_scenario(folder), {}, FeedPlan("replay", 0.0, BEGAN_NS), tmp_path / "a")
    begin(plan, lambda: BEGAN_NS, served_again).run()
    first_records(tmp_path / "a", tmp_path / "b", 0.5)
    script = folder / "busy.py"
    script.write_text(script.read_text("utf-8").replace("target_offset=4.0", "target_offset=4.5"))
    plan, header = plan_of(tmp_path / "b")
    assert changes_since(plan, header) == ["code"]
    session = resume(plan, lambda: BEGAN_NS, served_again)
    with pytest.raises(ResumeDiverged, match=r"target_exit.*played again"):
        session.run()
    beside = {each.name for each in plan.folder.iterdir()} - {"session.journal.lock"}
    assert beside == {"session.journal"}, "SQLite's own files go with the last connection"
    assert not verify(plan, header, served_again).is_equal


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("parameters", {"turns": 7}),
        ("instruments", ("MNQ", "ES")),
        ("simulation", SimulationConfig(seed=12345)),
        ("account", AccountConfig(cash=1.5)),
        ("order_manager_config", OrderManagerConfig(default_timeout=7.5)),
        ("risk", {"max_orders_per_second": 3}),
    ],
)
def test_a_setting_that_changed_since_a_session_began_is_named(setting: str, value: Any) -> None:
    scenario = read_scenario(BUSY)
    header = asked_for(scenario, {})
    plan = PaperPlan(scenario, {}, FeedPlan("replay"), Path("never"))
    assert changes_since(plan, header) == []
    other = replace(scenario.settings, **{setting: value})
    changed = changes_since(replace(plan, scenario=replace(scenario, settings=other)), header)
    assert changed == [setting.removesuffix("_config")]


def test_a_session_on_a_live_venue_is_not_taken_for_a_paper_session(tmp_path: Path) -> None:
    header = {**asked_for(read_scenario(BUSY), {}), "mode": LIVE}
    JournalWriter.create(tmp_path / JOURNAL_FILE, header).close()
    with pytest.raises(ConfigurationError, match=r"live venue.*papertape live --report"):
        plan_of(tmp_path)


def test_a_session_that_has_ended_is_not_resumed_and_not_written_over(tmp_path: Path) -> None:
    played(tmp_path / "one", lambda: BEGAN_NS, 0.0)
    plan, _ = plan_of(tmp_path / "one")
    with pytest.raises(ConfigurationError, match="has ended"):
        resume(plan, lambda: BEGAN_NS, served_again)
    with pytest.raises(ConfigurationError, match="holds a session already"):
        begin(plan, lambda: BEGAN_NS, served_again)


def test_a_long_session_stays_small_and_quick(tmp_path: Path) -> None:
    result = long_feed.run(0.5, tmp_path)
    assert result.is_equal
    early, late = result.resident_mb
    assert late < early + 60


def scenario_with(place: Path, strategy: str, settings: str) -> Scenario:
    """A scenario of its own."""
    place.mkdir()
    (place / "own.py").write_text(strategy, encoding="utf-8")
    head = 'strategy = "own.py:own"\ninstruments = ["MNQ"]\n'
    market = "[tapes]\nMNQ = { synthetic = { seed = 5, hours = 0.1 } }\n"
    (place / "scenario.toml").write_text(head + market + settings, encoding="utf-8")
    return read_scenario(place)


KILLED = """
import pathlib


async def own(suite):
    (market,) = suite.values()
    await market.orders.place_market_order(market.symbol, side=0, size=1)
    await suite.clock.sleep(100)
    switch = pathlib.Path(__file__).with_name("kill")
    switch.touch()
    await suite.clock.sleep(100)
    switch.unlink(missing_ok=True)
    await suite.clock.sleep(30)
"""


def test_a_kill_switch_that_was_seen_is_seen_again(tmp_path: Path) -> None:
    scenario = scenario_with(
        tmp_path / "own", KILLED, '[risk.kill_switch]\nfile = "kill"\naction = "halt"\n'
    )
    plan = PaperPlan(scenario, {}, FeedPlan("replay", 0.0, BEGAN_NS), tmp_path / "session")
    suite = begin(plan, lambda: BEGAN_NS, served_again).run().sessions[-1]
    assert suite.session.ledger.positions[0].lots == 0, "the switch closed the position"
    # Playing it again touches the file at the same time, but it is what was seen that counts.
    scenario.script.write_text(KILLED.replace("switch.touch()", "pass"), encoding="utf-8")
    assert verify(plan, plan_of(plan.folder)[1], served_again).is_equal


SLOW = """
import time


async def own(suite):
    (market,) = suite.values()
    told = []

    def on_trade(trade):
        told.append(trade)
        if len(told) % 50 == 0:
            time.sleep(0.02)
            market.orders.nowait.place_limit_order(
                market.symbol, side=0, size=1, limit_price=trade.price - 10
            )

    await suite.on("trade", on_trade)
    await suite.clock.sleep(300)
"""


def test_a_slow_handler_falls_behind_and_loses_nothing(tmp_path: Path) -> None:
    scenario = scenario_with(tmp_path / "own", SLOW, "")
    expected = play(scenario.script_to_play(), scenario.defaults()).sessions[-1]
    feed = FeedPlan("replay", 1_000.0, WallClock().now_ns())
    plan = PaperPlan(scenario, {}, feed, tmp_path / "session")
    session = begin(plan, WallClock().now_ns, served_again)
    lags: list[int] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.01):
            lags.append(session.feed.inbox.lag_ns)

    looker = threading.Thread(target=look)
    looker.start()
    try:
        suite = session.run().sessions[-1]
    finally:
        done.set()
        looker.join()
    assert suite.session.journal.digest() == expected.session.journal.digest()
    assert max(lags) > 5_000_000_000, "20 ms of the machine are 20 s of the market"
