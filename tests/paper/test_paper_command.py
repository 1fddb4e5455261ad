"""`papertape paper` as a new user runs it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from broker_api.journal_chain import RecordKind
from broker_api.journal_file import JournalFile
from papertape.cli import app

BUSY = Path(__file__).parent / "busy"
RUNNER = CliRunner()


def invoked(*arguments: object) -> tuple[int, str]:
    """The exit code and what was printed."""
    done = RUNNER.invoke(app, [str(each) for each in arguments])
    return done.exit_code, done.output


def test_a_replay_is_recorded_reported_and_proved(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    code, output = invoked("paper", BUSY, "--speed", "max", "--out", folder)
    assert code == 0, output
    assert "parity  played again from its journal: the same" in output
    kept = {each.name for each in folder.iterdir()}
    assert {"session.journal", "events.parquet", "MNQ.parquet", "report.html"} <= kept
    digest = json.loads((folder / "summary.json").read_text("utf-8"))["digest"]
    code, output = invoked("paper", "--verify", folder)
    assert (code, digest[:8] in output) == (0, True), output
    code, output = invoked("paper", "--resume", folder)
    assert code == 2
    assert "has ended" in output


def test_the_recorded_market_is_a_tape_that_gives_the_same_run(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    assert invoked("paper", BUSY, "--speed", "max", "--out", folder, "--no-report")[0] == 0
    tape = f"MNQ={folder / 'MNQ.parquet'}"
    latency = "--set=simulation.entry_latency_ms={min_ms = 1, max_ms = 40}"
    code, output = invoked(
        "run", BUSY / "busy.py", "--instrument", "MNQ", "--tape", tape, "--no-report",
        "--out", tmp_path / "run", latency,
    )  # fmt: skip
    assert code == 0, output
    digests = [
        json.loads((tmp_path / name / "summary.json").read_text("utf-8"))["digest"]
        for name in ("session", "run")
    ]
    assert digests[0] == digests[1]


def test_an_interrupt_ends_a_session_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    child = subprocess.Popen(
        [sys.executable, "-m", "papertape.cli", "paper", str(BUSY), "--out", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert child.stdout is not None
    first = child.stdout.readline()
    assert "session" in first, first + child.stdout.read()
    child.send_signal(signal.SIGINT)
    output, _ = child.communicate(timeout=120)
    assert child.returncode == 0, output
    assert "parity  played again" in output


def test_a_session_is_logged_order_by_order_and_comes_out_the_same(tmp_path: Path) -> None:
    log = tmp_path / "session.log"
    told = ("--log", log, "--metrics-port", 0)
    code, output = invoked(
        "paper", BUSY, "--speed", "max", "--out", tmp_path / "told", "--no-report", *told
    )
    assert code == 0, output
    assert "parity  played again from its journal: the same" in output
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    filled = [line for line in lines if " filled: " in line["message"]]
    assert filled
    with JournalFile.open(tmp_path / "told" / "session.journal") as journal:
        commands = [each.body for each in journal.records() if each.kind is RecordKind.COMMAND]
    sent = {row.get("client_order_id") for body in commands for row in body["rows"]}
    assert {line["order"] for line in filled} <= sent
    assert lines[-1]["message"] == "the session has ended"


def test_a_port_that_is_taken_is_refused_before_anything_begins(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, output = invoked("paper", BUSY, "--out", tmp_path / "x", "--metrics-port", port)
    assert code == 2, output
    assert f"--metrics-port {port}" in output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--feed", "replai"), "did you mean"),
        (("--speed", "fast"), "neither a number above 0 nor"),
        (("--speed", "-1"), "neither a number above 0 nor"),
        (("--set", "pauze=3"), "pause"),
        (("--option", "network=testnet"), "option network: the feed replay has none"),
        (("--feed", "hyperliquid", "--option", "netwrk=local"), 'did you mean "network"'),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_no_folder(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    code, output = invoked("paper", BUSY, "--out", tmp_path / "session", *arguments)
    assert code == 2, output
    assert said in " ".join(output.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("word", ["--resume", "--verify"])
def test_a_session_that_is_there_takes_no_other_settings(tmp_path: Path, word: str) -> None:
    code, output = invoked("paper", word, tmp_path, "--speed", "60", "--set", "pause=3")
    assert code == 2, output
    assert "leave out --speed, --set" in " ".join(output.replace("│", " ").split())


def test_a_session_that_has_not_ended_is_named_as_such_where_a_run_is_asked_for(
    tmp_path: Path,
) -> None:
    (tmp_path / "session.journal").touch()
    for arguments in (("explain", tmp_path, "1"), ("compare", tmp_path, tmp_path)):
        code, output = invoked(*arguments)
        assert code == 2, output
        assert "has not ended: papertape paper --resume" in " ".join(output.split())


def test_without_a_scenario_there_is_nothing_to_play() -> None:
    code, output = invoked("paper")
    assert code == 2
    assert "name a scenario" in output
