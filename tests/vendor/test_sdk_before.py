"""The vendor's SDK in its version before the newest trades on the local venue as the newest does.

The tests of the venue that use the SDK run once more, in a process that finds the older one first.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.vendor.conftest import SDK_BEFORE

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("orders", "tpsl", "money", "channels", "refusals", "info")
MODULES = [f"tests/venues/test_hyperliquid_{name}.py" for name in NAMES]
VERSION = "import importlib.metadata as m; print(m.version('hyperliquid-python-sdk'))"


def with_the_older(*command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": f"{SDK_BEFORE}{os.pathsep}{ROOT}"}
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.mark.slow
def test_the_older_sdk_passes_the_venues_tests() -> None:
    wanted = (Path(__file__).parent / "sdk_before.txt").read_text(encoding="utf-8").split("==")[1]
    assert with_the_older("-c", VERSION).stdout == wanted
    done = with_the_older("-m", "pytest", "-q", "-p", "no:cacheprovider", *MODULES)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
