"""What does a sweep cost beside the work of its runs, and does a second process help?

    python benchmarks/bench_sweep.py [RUNS]

RUNS combinations of a strategy that does nothing, then 32 of a crossing of averages on one-minute
bars of the sample of MNQ, each in this process, in one and in two processes. Wall time on a shared
machine is noisy: CPU time, of this process and its workers, is there too. The figures go to
benchmarks/results/sweep.json.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from papertape import sweep

RESULTS = Path(__file__).with_name("results") / "sweep.json"
STRATEGIES = """
async def nothing(suite, number: int):
    pass


async def crossing(suite, fast: int, slow: int):
    mnq = suite["MNQ"]
    async for bar in mnq.data.stream_bars("1min"):
        closes = [each.close for each in mnq.data.bars("1min", slow)]
        if len(closes) < slow or not mnq.positions.position().is_flat:
            continue
        if sum(closes[-fast:]) / fast > sum(closes) / slow:
            await mnq.orders.place_bracket_order("MNQ", 0, 1, stop_offset=10, target_offset=20)
"""


def cpu_seconds() -> float:
    """Of this process and of the workers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def measure(strategy: str, grid: dict[str, Any], processes: int) -> dict[str, Any]:
    wall, cpu = time.perf_counter(), cpu_seconds()
    table = sweep(strategy, grid, instruments=["MNQ"], processes=processes)
    assert table["error"].isna().all()
    return {
        "processes": processes,
        "runs": len(table),
        "wall_s": round(time.perf_counter() - wall, 3),
        "cpu_s": round(cpu_seconds() - cpu, 3),
        "first_run_s": round(float(table["seconds"].max()), 3),
        "median_run_ms": round(1e3 * float(table["seconds"].median()), 2),
        "worker_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        "digests": sorted(table["digest"]),
    }


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "strategies.py"
        file.write_text(STRATEGIES, encoding="utf-8")
        grids: dict[str, dict[str, Any]] = {
            "nothing": {"number": range(runs)},
            "crossing": {"fast": [2, 3, 4, 5, 6, 7, 8, 9], "slow": [15, 20, 25, 30]},
        }
        for name, grid in grids.items():
            found[name] = [measure(f"{file}:{name}", grid, number) for number in (0, 1, 2)]
            assert len({str(each.pop("digests")) for each in found[name]}) == 1
            for each in found[name]:
                print(name, *(f"{key}={value}" for key, value in each.items()))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
