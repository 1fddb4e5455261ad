"""The workloads of the benchmark, measured: one command, one table, one JSON file.

    python benchmarks/bench.py [--rows 1000000,5000000] [--only W1,W2] [--repeats 5] [--save]

Every workload and size runs in a process of its own: once to warm up, then `--repeats` times. The
table has the median, its spread, ticks or operations a second, processor time as a ratio, peak
memory, fills and the digest. The ratio is to a calibration loop of plain Python that is timed in
the same process: machines are shared and noisy, so compare ratios, not seconds. `--save` writes
benchmarks/baseline.json; without it the ratios are compared with that file. The results go to
benchmarks/results/bench.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "bench.json"
BASELINE = HERE / "baseline.json"
WORKLOADS = {
    "call": "as many bare calls of a Python function: the floor of W1",
    "W1": "a callback for every tick that does nothing",
    "W2": "a bracket every 10,000 ticks, woken by a timer",
    "W2g": "200 brackets, however long the tape is: how cost grows with ticks alone",
    "W3": "EMA cross on every tick, Python callback",
    "W3c": "the same, compiled",
    "W4": "market maker every 100 ticks, Python callback",
    "W4c": "the same, compiled",
    "W5": "SMA cross on a year of one-minute bars, brackets",
    "W5c": "the same, compiled",
    "W6": "64 combinations of W5, on all processors",
    "W6c": "the same, compiled",
    "W6T": "64 combinations of W3 compiled on a million ticks, on all processors",
    "load": "Parquet never seen before to the first row",
    "read": "the same columns read by pyarrow alone: the floor of load",
    "cold": "a process from its start to W2's result, Parquet never seen before",
    "warm": "the same with the tape in the cache",
    "orders": "2,000 orders placed and cancelled by a coroutine",
    "import": "import of broker_api",
}
NO_SIZE = ("W5", "W5c", "W6", "W6c", "W6T", "orders", "import")
COMBINATIONS = 64
ROUNDS = 2_000


def calibration() -> float:
    """Seconds of a loop that only the machine's speed changes."""
    start = time.perf_counter()
    total = 0
    for number in range(3_000_000):
        total += number & 7
    assert total == 10_500_000
    return time.perf_counter() - start


def prepare(name: str, rows: int) -> tuple[Callable[[], Any], int, str]:
    """What to time, how much work it is, and the unit of that."""
    import workloads as w

    if name in ("load", "read"):
        return (_load if name == "load" else _read)(rows), rows, "ticks"
    if name == "call":
        return lambda: w.bare_calls(rows), rows, "calls"
    if name in ("W5", "W5c"):
        tape = w.year_of_bars()
        strategy = w.averaging if name == "W5" else w.averaging_compiled
        return lambda: w.play(tape, strategy), len(tape) // 4, "bars"
    if name == "W6T":
        w.ticks_tape(1_000_000).index  # noqa: B018 - made before the clock starts
        return lambda: w.swept_ticks(1_000_000), COMBINATIONS, "runs"
    if name in ("W6", "W6c"):
        w.year_of_bars().index  # noqa: B018
        swept = "averaging_swept" if name == "W6" else "averaging_compiled"
        return lambda: w.swept_bars(swept), COMBINATIONS, "runs"
    tape = w.ticks_tape(1_000_000 if name == "orders" else rows)
    tape.index  # noqa: B018 - mapped before the clock starts
    if name == "orders":
        return lambda: w.play(tape, w.first_order(ROUNDS)), 2 * ROUNDS, "commands"
    strategies = {
        "W1": w.no_op,
        "W2": w.brackets(tape),
        "W2g": w.brackets(tape, max(1, rows // 201)),
        "W3": w.crossing,
        "W3c": w.crossing_compiled,
        "W4": w.making,
        "W4c": w.making_compiled,
    }
    return lambda: w.play(tape, strategies[name]), rows, "ticks"


def _load(rows: int) -> Callable[[], Any]:
    import shutil
    import tempfile

    import workloads as w
    from tapes import tape_path

    from data.tape import open_tape

    path, spec = tape_path(rows), w.instrument()

    def load() -> None:
        folder = tempfile.mkdtemp(dir=path.parent)
        try:
            tape = open_tape(path, spec, cache_dir=folder)
            assert int(tape.columns.ts[0]) > 0
        finally:
            shutil.rmtree(folder)

    return load


def _read(rows: int) -> Callable[[], Any]:
    import pyarrow.parquet as pq
    from tapes import tape_path

    path = tape_path(rows)
    return lambda: pq.read_table(path)


def measure(name: str, rows: int, repeats: int) -> dict[str, Any]:
    """One workload in this process."""
    action, work, unit = prepare(name, rows)
    outcome = action()
    base, seconds, busy = [], [], []
    for _ in range(repeats):
        base.append(calibration())
        start, cpu = time.perf_counter(), cpu_seconds()
        outcome = action()
        seconds.append(time.perf_counter() - start)
        busy.append(cpu_seconds() - cpu)
    median = statistics.median(seconds)
    return {
        "seconds": median,
        "spread": (max(seconds) - min(seconds)) / median,
        "cpu_seconds": statistics.median(busy),
        "ratio": statistics.median(busy) / statistics.median(base),
        "rate": work / median,
        "unit": unit,
        "peak_mb": peak_mb(),
        "own_mb": own_mb(),
        "fills": getattr(outcome, "fills", None),
        "commands": getattr(outcome, "commands", None),
        "digest": getattr(outcome, "digest", "")[:8],
    }


def cpu_seconds() -> float:
    """Processor time of this process and of the workers that have ended."""
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + workers.ru_utime + workers.ru_stime


def peak_mb() -> float:
    """The largest memory of this process so far, in MiB.

    From the kernel's own record where there is one: getrusage begins with the parent's figure.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def own_mb() -> float | None:
    """Memory at the end that is this process's own, in MiB; the rest are pages of files, which the
    system has once for all processes and takes back when it needs room. None where nobody says."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    lines = status.read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def measure_import(repeats: int) -> dict[str, Any]:
    """Seconds to import the interface in a new process, less those of an empty one."""
    code = (
        "import sys; import broker_api; "
        "assert not {'numba', 'pandas'} & set(sys.modules), 'numba or pandas at import'"
    )
    seconds, empty = [], []
    for _ in range(repeats + 1):
        for line, into in ((code, seconds), ("pass", empty)):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", line], check=True)
            into.append(time.perf_counter() - start)
    median = statistics.median(seconds) - statistics.median(empty)
    return {"seconds": median, "unit": "imports", "rate": 1 / median, "ratio": None}


def measure_start(name: str, rows: int, repeats: int) -> dict[str, Any]:
    """Seconds of a whole process that plays W2. The kernel is compiled and kept before."""
    import shutil
    import tempfile

    from tapes import tape_path

    seconds, base, outcome = [], [], {}
    for number in range(repeats + 1):
        folder = Path(tempfile.mkdtemp(dir=tape_path(rows).parent))
        try:
            file = folder / "ticks.parquet"
            file.hardlink_to(tape_path(rows))  # its cache lies beside it
            command = [sys.executable, __file__, "--play", str(file)]
            for _ in range(2 if name == "warm" else 1):
                base.append(calibration())
                start = time.perf_counter()
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                last = time.perf_counter() - start
            outcome = json.loads(done.stdout)
        finally:
            shutil.rmtree(folder)
        if number:  # the first one may have compiled
            seconds.append(last)
    median = statistics.median(seconds)
    return {
        "seconds": median,
        "spread": (max(seconds) - min(seconds)) / median,
        "ratio": median / statistics.median(base),
        "rate": rows / median,
        "unit": "ticks",
        **outcome,
    }


def play_once(file: Path) -> dict[str, Any]:
    """W2 on a file, as a program of its own would."""
    import workloads as w

    from data.tape import open_tape

    tape = open_tape(file, w.instrument())
    outcome = w.play(tape, w.brackets(tape))
    figures = {"peak_mb": peak_mb(), "own_mb": own_mb()}
    return {**figures, "fills": outcome.fills, "digest": outcome.digest[:8]}


def in_its_own_process(name: str, rows: int, repeats: int) -> dict[str, Any]:
    """`measure` in a new process, so that memory and caches are its own."""
    if name == "import":
        return measure_import(repeats)
    if name in ("cold", "warm"):
        return measure_start(name, rows, repeats)
    command = [sys.executable, __file__, "--one", name, "--rows", str(rows)]
    command += ["--repeats", str(repeats)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1] if done.stderr else "failed"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def row_text(name: str, rows: int | None, found: dict[str, Any], before: float | None) -> str:
    """One line of the table."""
    size = "" if rows is None else f"{rows / 1e6:g}M"
    if "error" in found:
        return f"{name:<7}{size:>5}  {found['error']}"
    ratio = found["ratio"]
    cells = [f"{name:<7}{size:>5}{found['seconds']:>10.4f} s"]
    cells.append(f"{found['rate'] / 1e6:>9.3f} M{found['unit']}/s")
    cells.append("" if ratio is None else f"x{ratio:<8.3f}")
    if before and ratio:
        cells.append(f"{ratio / before - 1:+.0%} of baseline")
    if "peak_mb" in found:
        own = "" if found["own_mb"] is None else f" ({found['own_mb']:.0f} own)"
        cells.append(f"±{found['spread'] / 2:.0%} {found['peak_mb']:.0f} MB{own}")
        cells.append(f"{found['fills'] or ''} {found['digest']}")
    return "  ".join(cells)


def commit() -> str:
    """The commit that is measured, "?" outside a repository."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        cwd=HERE,
        check=False,
    )
    return done.stdout.strip() or "?"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="1000000,5000000", help="sizes of the tapes of ticks")
    parser.add_argument("--only", default=",".join(WORKLOADS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--save", action="store_true", help="write benchmarks/baseline.json")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--play", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    sizes = [int(float(size)) for size in given.rows.split(",")]
    if given.play:
        print(json.dumps(play_once(given.play)))
        return 0
    if given.one:
        print(json.dumps(measure(given.one, sizes[0], given.repeats)))
        return 0
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    earlier = {key: item.get("ratio") for key, item in baseline.get("measured", {}).items()}
    measured: dict[str, Any] = {}
    for name in given.only.split(","):
        print(f"-- {name}: {WORKLOADS[name]}")
        for rows in (None,) if name in NO_SIZE else sizes:
            key = name if rows is None else f"{name} {rows}"
            measured[key] = in_its_own_process(name, rows or sizes[0], given.repeats)
            print(row_text(name, rows, measured[key], earlier.get(key)), flush=True)
    record = {
        "commit": commit(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "measured": measured,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    if given.save:
        BASELINE.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return 1 if any("error" in item for item in measured.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
