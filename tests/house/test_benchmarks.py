"""The benchmark's workloads run, on a tape that is small, and do what they are there to measure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "benchmarks" / "bench.py"


@pytest.mark.slow
@pytest.mark.parametrize("workload", ["call", "W1", "W2", "W2g", "W3", "W3c", "W4", "W4c", "load"])
def test_a_workload_runs_and_tells_its_figures(workload: str) -> None:
    command = [sys.executable, str(BENCH), "--one", workload, "--rows", "30000", "--repeats", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["seconds"] > 0
    assert found["peak_mb"] < 1_000
    if workload in ("W2", "W4", "W4c"):
        assert found["fills"] > 0
    if workload not in ("call", "load"):
        assert len(found["digest"]) == 8
