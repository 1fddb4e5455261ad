"""`papertape live`: refused where something is wrong, and whole sessions on both local venues."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from broker_api.journal_chain import RecordKind
from broker_api.journal_file import JournalFile
from broker_api.wall_clock import WallClock
from papertape.cli import app
from papertape.doctor import Clocks
from papertape.live_command import LiveRequest, perform_live
from papertape.preflight import live_plan
from scenarios.live_report import read_live_run, sim_versus_live
from scenarios.live_session import SKEW_NS_MAX
from scenarios.scenario import read_scenario
from tests.paper.feed_bench import Command, command
from tests.venues.local_venue import KEYS, Local, local_venue

PAPER = Path(__file__).parents[1] / "paper"
TURNS, FUTURES = PAPER / "turns", PAPER / "futures"
RUNNER = CliRunner()
HOUR_NS = 3_600_000_000_000


def request_on(venue: Local, folder: Path, **assignments: str) -> LiveRequest:
    """The scenario on a venue of this process."""
    scenario = read_scenario(TURNS)
    options = {"base_url": venue.url, "key": "env:A_TEST_KEY"}
    plan = live_plan(
        scenario, assignments, "hyperliquid", None, options, folder, WallClock().now_ns()
    )
    return LiveRequest(plan, confirmed=True)


def test_what_is_wrong_is_told_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("A_TEST_KEY", KEYS[0])

    def refused(request: LiveRequest, said: str, clocks: Clocks | None = None) -> None:
        assert perform_live(lambda: request, clocks) == 2
        told = capsys.readouterr()
        assert said in told.out + told.err, told.out + told.err
        assert "nothing was sent" in told.err
        assert not request.plan.folder.exists()

    with local_venue() as venue:
        fit = request_on(venue, tmp_path / "never")
        bare = replace(fit.plan.scenario.settings, risk=None)
        scenario = replace(fit.plan.scenario, settings=bare)
        refused(replace(fit, plan=replace(fit.plan, scenario=scenario)), "the scenario has none")
        ahead = Clocks(wall_ns=lambda: time.time_ns() + HOUR_NS)
        refused(fit, "fail  clock", ahead)
        refused(request_on(venue, tmp_path / "never", size="0.00001"), "no size of ETH there")
        venue.trader.exchange.market_open("ETH", True, 0.1)
        refused(fit, "say --adopt")
        monkeypatch.setenv("A_TEST_KEY", KEYS[0][:-1])
        refused(fit, "fail  credentials")
        monkeypatch.setenv("A_TEST_KEY", "0x" + "77" * 32)
        refused(fit, "has no account at the venue")
        assert len(venue.trader.fills()) == 1, "nothing but what the test itself did"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--broker", "hyperlikwid"), 'did you mean "hyperliquid"'),
        ((), "--broker is missing"),
        (("--broker", "hyperliquid", "--network", "mainnet"), "real money and needs two consents"),
        (("--broker", "hyperliquid", "--option", "netwrok=local"), 'did you mean "network"'),
    ],
)
def test_a_command_line_that_is_wrong_is_refused(
    arguments: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PAPERTAPE_REAL_MONEY", raising=False)
    monkeypatch.delenv("PAPERTAPE_VENUE_URL", raising=False)
    done = RUNNER.invoke(app, ["live", str(TURNS), "--yes", *arguments])
    assert done.exit_code == 2
    assert said in " ".join(done.output.split()), done.output


def served(venue: Command) -> dict[str, str]:
    """Wait until a venue is ready; what it says that programs need."""
    venue.said("ready: ")
    found = (re.fullmatch(r"([A-Z_]+)=(.*)\n", line) for line in venue.lines)
    return {match[1]: match[2].strip("'") for match in found if match}


def assert_recorded(folder: Path, wanted: Mapping[RecordKind, int]) -> None:
    """The journal has at least so many records of these kinds, and is whole."""
    with JournalFile.open(folder / "session.journal") as file:
        assert file.damage is None
        kinds = [each.kind for each in file.records()]
    assert {kind: kinds.count(kind) >= count for kind, count in wanted.items()} == dict.fromkeys(
        wanted, True
    )


def live_began(folder: Path) -> int:
    """When the session began, by the machine's clock: nothing of a venue's other day is near."""
    return int(read_live_run(folder).config["started_ns"])


def assert_paired(folder: Path, output: str) -> None:
    """Every live fill has its simulated one, and the causes add up to the difference."""
    assert "page  " in output, output
    comparison = sim_versus_live(read_live_run(folder))
    assert sum(comparison.causes.values()) == comparison.difference_nanos
    pairs = [fill for order in comparison.orders for fill in order.fills]
    live = [each for each in pairs if each.second is not None]
    assert len(live) >= 2
    assert all(each.first is not None for each in live), live
    spans = [comparison.first, comparison.second]
    earliest_ns = live_began(folder) - SKEW_NS_MAX  # a venue's times may lag a little
    assert all(run.events["ts_ns"].min() >= earliest_ns for run in spans)
    assert (folder / "sim-versus-live.html").stat().st_size > 10_000


@pytest.mark.slow
def test_a_session_on_hyperliquid_is_killed_from_elsewhere_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERTAPE_HOME", str(tmp_path / "home"))
    folder = tmp_path / "session"
    with command(
        "serve", "hyperliquid", "--market", "ETH=sample", "--port", "0", "--print-env"
    ) as venue:
        needed = served(venue)
        needed.pop("HYPERLIQUID_SECRET_KEY")
        asked = ("live", TURNS, "--broker", "hyperliquid", "--out", folder, "--yes", "--no-report")
        with command(*asked, "--set", "most=3", "--set", "stays=true", **needed) as live:
            live.said("turn 3")  # nothing is under way when it is killed
            stopped = RUNNER.invoke(app, ["stop", "--flatten", "--end"])
            assert stopped.exit_code == 0, stopped.output
            assert "killed: nothing that adds exposure" in stopped.output
            live.said("sim-versus-live.html")
            assert live.process.wait(120) == 0
    wanted = {RecordKind.TICKS: 3, RecordKind.COMMAND: 3, RecordKind.EVENT: 9}
    assert_recorded(folder, {**wanted, RecordKind.OPERATOR: 2, RecordKind.STOPPED: 1})
    assert_paired(folder, live.output)
    again = RUNNER.invoke(app, ["live", "--report", str(folder)])
    assert (again.exit_code, "difference" in again.output) == (0, True), again.output


@pytest.mark.slow
def test_a_session_on_projectx_ends_by_a_signal_and_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERTAPE_HOME", str(tmp_path / "home"))
    folder = tmp_path / "session"
    with command(
        "serve", "projectx", "--market", "MNQ=sample", "--catalog", FUTURES / "always.toml",
        "--port", "0", "--print-env",
    ) as venue:  # fmt: skip
        needed = served(venue)
        asked = ("live", FUTURES, "--broker", "projectx", "--out", folder, "--yes")
        with command(*asked, "--set", "most=0", "--no-report", **needed) as live:
            live.said("turn 3")
            assert live.end(signal.SIGINT) == 0, live.output
    assert_recorded(folder, {RecordKind.TICKS: 3, RecordKind.COMMAND: 3, RecordKind.STOPPED: 1})
    assert_paired(folder, live.output)
