"""docs/sweeps.md from top to bottom: its strategy, its commands, its Python call."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_commands_of_the_page_run(command) -> None:
    strategy, _ = blocks("python")
    Path("crossing.py").write_text(strategy, encoding="utf-8")
    lines = [shlex.split(line) for line in blocks("sh")[0].splitlines()]
    for line in lines:
        assert line.pop(0) == "papertape"
        ended = command(*line, "--processes", "0")
        assert ended.code == 0, ended.err + ended.out
        assert f"{2 if 'fast=5:10:5' not in line else 4} runs in" in ended.out
    assert list(pd.read_parquet("results.parquet")["slow"]) == [20, 40]
    assert len(lines) == 3
    walked, drawn = (shlex.split(line) for line in blocks("sh")[1].splitlines())
    ended = command(*walked[1:], "--processes", "0")
    assert ended.code == 0, ended.err + ended.out
    assert re.search(r"^out of sample: profit .*, efficiency ", ended.out, re.MULTILINE)
    ended = command(*drawn[1:], "--processes", "0")
    assert ended.code == 0, ended.err + ended.out
    assert "4 runs in" in ended.out


def test_the_python_call_of_the_page_runs_as_a_plain_program(tmp_path: Path) -> None:
    strategy, call = blocks("python")
    (tmp_path / "crossing.py").write_text(strategy, encoding="utf-8")
    (tmp_path / "search.py").write_text(call, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "search.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert re.fullmatch(r"fast=\d+ slow=\d+ net=-?[\d.]+ digest=[0-9a-f]{8}\n", done.stdout)
