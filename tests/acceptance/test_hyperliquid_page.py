"""The script of the document about Hyperliquid orders runs with not one character changed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hyperliquid_page import blocks

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.spec, pytest.mark.slow]


def run(tmp_path: Path, text: str) -> subprocess.CompletedProcess[str]:
    """The text as a file of its own, by `papertape serve --exec`, with the markets there are."""
    (tmp_path / "basic_order.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "papertape.cli", "serve", "hyperliquid", "--port", "0"]
    return subprocess.run(
        [*command, "--exec", "python basic_order.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PAPERTAPE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )


def test_the_complete_implementation_runs(tmp_path: Path) -> None:
    done = run(tmp_path, blocks()[0])
    assert done.returncode == 0, done.stderr
    assert "no open positions" in done.stdout
    assert "{'statuses': [{'resting': {'oid': 1}}]}" in done.stdout
    status = re.search(r"^Order status by oid: (.*)$", done.stdout, re.MULTILINE)
    assert status is not None
    assert "'limitPx': '1100.0'" in status[1]
    assert "'status': 'open'" in status[1]
    assert "{'statuses': ['success']}" in done.stdout


def test_the_order_manager_of_the_page_places_looks_and_cancels(tmp_path: Path) -> None:
    manager = next(text for text in blocks() if "class HyperliquidOrderManager" in text)
    program = f"""
import example_utils
from hyperliquid.utils import constants

{manager}

manager = HyperliquidOrderManager(use_testnet=True)
oid = manager.place_limit_order("ETH", True, 0.2, 1100)
print("placed", oid, "positions", manager.get_positions())
print(manager.cancel_order("ETH", oid))
"""
    done = run(tmp_path, program)
    assert done.returncode == 0, done.stderr
    assert "placed 1 positions []" in done.stdout
    assert "{'statuses': ['success']}" in done.stdout
