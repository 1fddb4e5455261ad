"""`papertape paper` from the command line, watched and stopped by other processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from papertape.watching import client
from papertape.watching.sessions import running_sessions
from tests.watching.stage import PATIENCE_SECONDS, kept_free, wait_for

ROOT = Path(__file__).resolve().parents[2]
STRATEGY = """
async def hold(suite):
    orders = suite["MNQ"].orders
    await orders.place_limit_order("MNQ", "buy", 1, 10_000.0)
    await orders.place_bracket_order("MNQ", "buy", 2, stop_offset=3000, target_offset=3000)
    await suite.clock.sleep(1_000_000)
"""
SCENARIO = """
strategy = "strategy.py:hold"

[tapes]
MNQ = { synthetic = { seed = 3, hours = 1 } }
"""


class Process:
    """`papertape ARGUMENTS` while it runs; `lines` is what it has printed so far."""

    def __init__(self, *arguments: object) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "papertape.cli", *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self.lines.extend(self._process.stdout)

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def kill(self) -> None:
        self._process.kill()
        self.code()

    def code(self) -> int:
        code = self._process.wait(2 * PATIENCE_SECONDS)
        self._reading.join(PATIENCE_SECONDS)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code


@pytest.fixture
def scenario(tmp_path, monkeypatch):
    monkeypatch.setenv("PAPERTAPE_HOME", str(tmp_path / "home"))
    (tmp_path / "strategy.py").write_text(STRATEGY, encoding="utf-8")
    (tmp_path / "scenario.toml").write_text(SCENARIO, encoding="utf-8")
    return tmp_path / "scenario.toml"


def holding(process):
    """The session, as soon as it has its position and its orders."""

    def found():
        assert process._process.poll() is None, process.text
        for session in running_sessions():
            shown = client.snapshot_of(session)
            if len(shown["orders"]) == 3 and shown["positions"][0]["size"] == 2:
                return session
        return None

    return wait_for(found, "a position of the paper session")


@pytest.mark.slow
def test_a_paper_session_is_stopped_from_outside_resumed_and_plays_again_the_same(
    scenario, tmp_path
):
    folder = tmp_path / "session"
    paper = Process("paper", scenario, "--out", folder, "--speed", "2", "--ui", "--no-report")
    session = holding(paper)
    assert session.url in paper.text
    assert (session.name, session.mode, session.folder) == ("session", "paper", str(folder))
    assert client.ask(session, action="cancel", order_id=1, source="test")["done"]
    assert len(client.snapshot_of(session)["orders"]) == 2
    paper.kill()
    with kept_free(session.port):
        assert running_sessions() == []
        paper = Process("paper", "--resume", folder, "--no-report")
        (again,) = wait_for(running_sessions, "the session that goes on")
    assert again.url == session.url, "a page that is still open finds it"
    shown = client.snapshot_of(again)
    assert (len(shown["orders"]), shown["positions"][0]["size"]) == (2, 2)
    stopping = Process("stop", folder, "--flatten", "--end")
    assert stopping.code() == 0, stopping.text
    assert "closed 2 MNQ" in stopping.text
    assert paper.code() == 0, paper.text
    assert "parity  played again from its journal: the same" in paper.text
    assert running_sessions() == []
