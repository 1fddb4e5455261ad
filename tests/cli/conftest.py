"""The command in this process (quick), and as a process of its own (what a user types)."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from papertape.cli import app

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(tmp_path: Path, monkeypatch) -> Callable[..., Ended]:
    """Run `papertape ARGUMENTS` in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ended:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., Ended]:
    """Run `papertape ARGUMENTS` as a process of its own, `environment` on top of this one's."""

    def run(*arguments: object, cwd: Path | None = None, **environment: str) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "papertape.cli", *map(str, arguments)],
            cwd=cwd or tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Path]:
    """Write a script of this text."""

    def write(text: str, name: str = "script.py") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write
