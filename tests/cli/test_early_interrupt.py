"""Ctrl-C before a command has begun: one line and code 130, never a traceback of Python's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import typer
from typer.testing import CliRunner

from papertape.cli import Commands

ROOT = Path(__file__).resolve().parents[2]


INTERRUPTED = """
import os, signal, sys

class Interrupter:
    def find_spec(self, name, path=None, target=None):
        if name == "broker_api.errors":
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # tests may run where it is ignored
sys.meta_path.insert(0, Interrupter())
sys.argv = ["papertape", "run", "no_file.py"]
import papertape_command
papertape_command.main()
"""


def test_an_interrupt_while_packages_are_imported_ends_in_one_line(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr == "papertape: interrupted\n"


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
