"""Ctrl-C before a command has begun: one line and code 130, never a traceback of Python's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from papertape.cli import Commands

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(300)
def test_an_interrupt_while_packages_are_imported_ends_in_one_line(tmp_path: Path) -> None:
    script = tmp_path / "endless.py"  # for a machine that is through with the imports by then
    script.write_text("while True:\n    pass\n", encoding="utf-8")
    started = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "papertape_command", "run", str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert started.stderr is not None
        assert any("broker_api.errors" in line for line in started.stderr), "it ended before"
        started.send_signal(signal.SIGINT)
        told, rest = started.communicate(timeout=250)
    finally:
        started.kill()
    said = [line for line in rest.splitlines() if not line.startswith("import time:")]
    assert started.returncode == 130, rest
    assert said[0].startswith("papertape: interrupted"), rest
    assert (len(said), told) == (1, ""), rest


def test_an_interrupt_in_a_command_that_does_not_expect_one_ends_in_one_line() -> None:
    app = typer.Typer(cls=Commands)

    @app.command()
    def first() -> None:
        raise KeyboardInterrupt

    @app.command()
    def second() -> None:
        """A second one makes it a group."""

    ended = CliRunner().invoke(app, ["first"])
    assert (ended.exit_code, ended.stderr) == (130, "papertape: interrupted\n")
