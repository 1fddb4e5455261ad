"""The page about operations tells of every metric, every option and every look of the doctor."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from papertape import ending, paper_command
from papertape.cli import app
from papertape.doctor import Clocks, examine
from papertape.watching.board import Board
from papertape.watching.metrics import SessionMetrics

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text("utf-8")
SESSION = {
    "name": "made up",
    "mode": "paper",
    "broker": "sim",
    "account": "PAPER-1",
    "currency": "USD",
    "ended": False,
    "failure": None,
}
ACCOUNT = ("cash", "equity", "realised", "unrealised", "fees", "funding")
HEALTH = {
    "time_ms": 1,
    "feed_age_ms": 2,
    "queued": 3,
    "lag_ms": 4,
    "connected": True,
    "uncertain": [],
    "discrepancies": 0,
}


def test_every_metric_is_in_the_page_and_no_other() -> None:
    board = Board(SESSION, [])
    metrics = SessionMetrics(board)
    board.tell({"type": "account", **dict.fromkeys(ACCOUNT, 1.0)})
    board.tell({"type": "health", **HEALTH})
    told = set()
    for family in metrics.collect():
        told.add(family.name + ("_total" if family.type == "counter" else ""))
    assert told == set(re.findall(r"`(papertape_\w+)`", PAGE))


def test_every_look_of_the_doctor_is_in_the_page(tmp_path: Path) -> None:
    topics = {each.topic for each in examine(tmp_path, [], {}, Clocks())}
    assert {line.split(" |")[0] for line in PAGE.split("\n| ")} >= topics


def test_options_of_the_page_exist() -> None:
    for command, options in {"paper": ["--log", "--metrics-port"], "doctor": ["--url"]}.items():
        found = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
        assert all(each in found.output and each in PAGE for each in options)


def test_codes_of_the_page_are_those_of_the_commands() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    known = (ending.OK, ending.SCRIPT_FAILED, ending.REFUSED, ending.INTERRUPTED)
    assert codes == {*known, paper_command.NOT_EQUAL}
