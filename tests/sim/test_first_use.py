"""A run that compiled the exchange says so, and not how fast it was."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sim.book import is_compiled

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
from sim import doors
from sim.book import new_book
from sim.first_use import was_compiled

before = was_compiled()
doors.next_short(new_book(1, 1), 0)
print(before, was_compiled())
"""


def test_the_process_that_compiles_knows_it_and_the_next_one_loads(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PAPERTAPE_CACHE": str(tmp_path)}
    said = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for _ in range(2)
    ]
    assert said == [["False", str(is_compiled())], ["False", "False"]]
