"""`papertape ui` and `papertape stop`: sessions are found, watched and stopped from elsewhere."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import threading
import time

import pytest
from rich.console import Console

from broker_api.secret import Secret
from papertape.ui_command import perform_ui
from papertape.watching import client
from papertape.watching.board import PRICES_MAX, Board
from papertape.watching.replay import Replay
from papertape.watching.sessions import (
    RunningSession,
    find_session,
    published,
    running_sessions,
    state_home,
)
from papertape.watching.terminal import watch_in_terminal
from reports.run import read_run
from tests.reports.example_run import told_story, write_run_folder
from tests.watching.stage import PATIENCE_SECONDS, Stage, wait_for

BUY_AND_CLOSE = """
async def strategy(suite):
    await suite["MNQ"].orders.place_market_order("MNQ", "buy", 1)
    await suite.clock.sleep(600)
    await suite["MNQ"].orders.close_position("MNQ")
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PAPERTAPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


async def hold(suite):
    await suite["MNQ"].orders.place_limit_order("MNQ", "buy", 1, 20_000.0)
    await suite["MNQ"].orders.place_bracket_order(
        "MNQ", "buy", 2, stop_offset=400, target_offset=400
    )


def holding(stage):
    wait_for(lambda: stage.watch.snapshot()["positions"][0]["size"] == 2, "a position")


def quiet(name="quiet", mode="paper"):
    return Board({"name": name, "mode": mode, "started_ms": 0, "ended": False}, [])


def test_a_running_session_is_found_by_id_name_and_folder_and_gone_afterwards(tmp_path, home):
    folder = tmp_path / "runs" / "one"
    with published(quiet("my strategy"), None, name="my strategy", folder=folder) as server:
        (session,) = running_sessions()
        assert session.id == f"my-strategy-{os.getpid()}"
        assert (session.port, session.mode, session.pid) == (server.port, "paper", os.getpid())
        assert session.url == server.url
        for text in (None, session.id, "my strategy", str(folder)):
            assert find_session(text) == session
        assert client.snapshot_of(session)["session"]["name"] == "my strategy"
        (file,) = (home / "sessions").iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert session.token.reveal() not in repr(session)
        with pytest.raises(Exception, match='did you mean "my strategy"'):
            find_session("my strateg")
    assert running_sessions() == []
    with pytest.raises(client.NoAnswer, match="does not answer"):
        client.snapshot_of(session)


def test_the_next_session_of_a_name_has_the_same_address_and_token():
    with published(quiet(), None, name="again") as server:
        first = server.url
        with published(quiet(), None, name="again") as other:  # the port is taken
            assert other.port != server.port
    with published(quiet(), None, name="again", port=0) as server:
        assert server.url.partition("token=")[2] == first.partition("token=")[2]


def test_a_session_whose_process_is_gone_is_passed_over(home):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(PATIENCE_SECONDS)
    with published(quiet(), None, name="there"):
        (file,) = (home / "sessions").iterdir()
        table = json.loads(file.read_text())
        (home / "sessions" / "gone.json").write_text(json.dumps({**table, "pid": gone.pid}))
        (home / "sessions" / "bad.json").write_text("{")
        assert [each.name for each in running_sessions()] == ["there"]
    assert not (home / "sessions" / "gone.json").exists()


def test_a_port_that_another_program_has_by_now_is_told():
    with published(quiet(), None, name="one") as server:
        other = Secret("some-other-token-of-somebody")
        session = RunningSession("x", "x", "paper", os.getpid(), server.port, other, 0)
        with pytest.raises(client.NoAnswer, match="no longer session x's"):
            client.ask(session, action="kill")


def test_without_a_session_both_commands_say_so(command):
    for name in ("ui", "stop"):
        ended = command(name)
        assert ended.code == 2
        assert "no session is running here" in ended.err


def test_ui_prints_the_address_of_the_newest_session(command):
    with published(quiet("first"), None, name="first"):
        time.sleep(0.02)
        with published(quiet("second"), None, name="second") as server:
            ended = command("ui")
            assert ended.code == 0
            assert server.url in ended.out
            assert "also running: first-" in ended.out
            assert server.url not in command("ui", "first").out


@pytest.mark.parametrize("flatten", [False, True])
def test_stop_cancels_and_closes_only_if_asked_to(command, flatten):
    with Stage(hold) as stage, published(stage.watch, stage.watch.request, name="wave"):
        holding(stage)
        options = ["--flatten", "--end"] if flatten else []
        ended = command("stop", *options)
        assert (ended.code, ended.err) == (0, "")
        assert "killed: nothing that adds exposure is sent any more; cancelled" in ended.out
        assert ("closed 2 MNQ" in ended.out) == flatten
        shown = stage.watch.snapshot()
        assert shown["positions"][0]["size"] == (0 if flatten else 2)
        assert "kill switch" in shown["risk"]["halted"]
        assert stage.journaled[0][1]["source"] == "papertape stop"
        if flatten:
            assert "the session ends" in ended.out
            wait_for(lambda: stage.watch.snapshot()["session"]["ended"], "the end")


def test_stop_asks_which_of_several_sessions_is_meant(command):
    with Stage(hold) as one, published(one.watch, one.watch.request, name="one"):
        with Stage(hold) as two, published(two.watch, two.watch.request, name="two"):
            ended = command("stop")
            assert ended.code == 2
            assert "several sessions are running" in ended.err
            assert command("stop", "two", "--flatten").code == 0
            assert one.watch.snapshot()["risk"]["halted"] is None
            assert command("stop", "--all").code == 0
        assert one.watch.snapshot()["risk"]["halted"] is not None


def test_stop_tells_of_a_session_that_does_not_come_to_it(command, monkeypatch):
    monkeypatch.setattr("papertape.watching.server.ANSWER_SECONDS", 0.2)
    with Stage(hold) as stage, published(stage.watch, stage.watch.request, name="busy"):
        monkeypatch.setattr(stage.watch, "_hand_over", lambda work: None)
        ended = command("stop", "busy")
        assert (ended.code, ended.out) == (1, "")
        assert "has not answered" in ended.err


def test_a_replay_is_not_stopped(command):
    with published(quiet("replay", "replay"), None, name="replay"):
        assert command("stop").code == 2
        refused = command("stop", "replay")
        assert (refused.code, "there is nothing to act on" in refused.err) == (1, True)


def test_a_terminal_shows_a_session_until_it_ends():
    written = Console(record=True, width=120, force_terminal=False, file=io.StringIO())
    narrow = Console(record=True, width=60, force_terminal=False, file=io.StringIO())
    with Stage(hold, risk={"daily_loss": {"limit": 500}}) as stage:
        holding(stage)
        threading.Timer(0.1, stage.watch.request, ("stop",)).start()
        watch_in_terminal(stage.watch.snapshot, client.NoAnswer, written)
    watch_in_terminal(stage.watch.snapshot, client.NoAnswer, narrow)
    for console in (written, narrow):
        text = console.export_text()
        for words in ("PAPER-1", "Working orders", "daily loss", "order 2 filled", "ended"):
            assert words in text


def test_a_terminal_says_when_the_session_is_gone():
    console = Console(record=True, width=120, force_terminal=False, file=io.StringIO())

    def look():
        raise client.NoAnswer("session x does not answer")

    assert watch_in_terminal(look, client.NoAnswer, console) is None
    assert "does not answer" in console.export_text()


def test_a_finished_run_is_replayed_to_the_figures_that_it_had(tmp_path):
    run = read_run(write_run_folder(tmp_path / "run", told_story()))
    replay = Replay(run, speed=1e9)
    replay.play(threading.Event())
    shown = json.loads(json.dumps(replay.board.snapshot()))
    assert shown["session"]["ended"]
    assert shown["session"]["mode"] == "replay"
    fills = int((run.events["kind"] == 4).sum())
    assert fills == len(shown["fills"]) > 0
    last = [row for row in run.events if row["kind"] == 15][-1]
    assert shown["account"]["cash"] == pytest.approx(int(last["cash_nanos"]) / 1e9)
    assert shown["account"]["fees"] == pytest.approx(int(last["fee_nanos"]) / 1e9)


def test_a_replay_of_a_run_with_its_tape_has_prices(command, script, tmp_path):
    path = script(BUY_AND_CLOSE)
    assert (
        command("run", path, "--instrument", "MNQ", "--out", tmp_path / "run", "--no-report").code
        == 0
    )
    replay = Replay(read_run(tmp_path / "run"), speed=1e9)
    replay.play(threading.Event())
    shown = replay.board.snapshot()
    prices = shown["prices"]["MNQ"]
    assert 100 < len(prices) <= PRICES_MAX
    assert prices[-1][0] - prices[0][0] > 0.9 * (replay._run.end_ns - replay._run.start_ns) / 1e6
    assert [each["side"] for each in shown["fills"]] == ["buy", "sell"]
    assert shown["instruments"][0]["quote"]["bid"] < shown["instruments"][0]["quote"]["ask"]


def test_the_command_replays_a_folder_in_the_terminal(tmp_path, capsys):
    folder = write_run_folder(tmp_path / "run", told_story())
    assert perform_ui(str(folder), speed=1e9, port=None, tui=True, opens=False) == 0
    assert "replay" in capsys.readouterr().out
    assert state_home() == tmp_path / "home"
