"""The programs of docs/venues.md run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Ended

PAGE = ROOT / "docs" / "venues.md"
BLOCKS = re.findall(r"^```py\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.slow


def test_the_script_runs_against_the_venue(
    process: Callable[..., Ended], script: Callable[..., Path], tmp_path: Path
) -> None:
    program = script(BLOCKS[0])
    ended = process(
        *("serve", "hyperliquid", "--port", "0", "--exec", f"python {program.name}"),
        PAPERTAPE_HOME=str(tmp_path / "home"),
    )
    assert ended.code == 0, ended.err
    assert "open\n" in ended.out
    assert "success" in ended.out


@pytest.mark.parametrize("text", BLOCKS[1:], ids=["hyperliquid", "projectx"])
def test_the_test_passes(script: Callable[..., Path], tmp_path: Path, text: str) -> None:
    program = script(text, "test_page.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(program)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_page_has_these_programs_and_no_other() -> None:
    assert len(BLOCKS) == 3
