import io
import sys

import pytest

from papertape.sweep_progress import sweep_progress
from scenarios.sweep import Objective, Row


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


ROWS = [
    Row({"fast": 1}, "a", {"net": 5.0}),
    Row({"fast": 2, "legs": "[/red]"}, "b", {"net": 1234.5}),
    Row({"fast": 3}, error="ValueError: no"),
    Row({"fast": 4}, "c", {"net": -1.0}),
]


def test_a_terminal_shows_runs_done_failures_and_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("TERM", "xterm")
    with sweep_progress(Objective("net")) as told:
        for row in ROWS:
            told(row, 9)
    shown = sys.stderr.getvalue()
    assert "4/9" in shown
    assert "1 failed" in shown
    assert "best net 1,234.50 at fast=2 legs=[/red]" in shown


def test_what_is_no_terminal_stays_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with sweep_progress(Objective("net")) as told:
        told(ROWS[0], 9)
    assert capsys.readouterr() == ("", "")
