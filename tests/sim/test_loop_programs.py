"""Whole programs in processes of their own: the same trace everywhere, and Ctrl-C."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def interpreters() -> list[str]:
    """This Python, and every other of 3.11 and newer that is there and starts."""
    found = [sys.executable]
    for minor in range(11, 15):
        path = shutil.which(f"python3.{minor}")
        if path is not None and sys.version_info[1] != minor:
            probe = subprocess.run([path, "-c", ""], capture_output=True, check=False)
            found += [path] if probe.returncode == 0 else []
    return found


def trace(python: str, hash_seed: str, **environment: str) -> str:
    command = [python, "-W", "error", "-m", "tests.sim.loop_program"]
    settings = {**os.environ, "PYTHONHASHSEED": hash_seed, **environment}
    done = subprocess.run(
        command, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_program_leaves_the_same_trace_under_every_hash_seed() -> None:
    first = trace(sys.executable, "0")
    assert len(first.splitlines()) > 300
    for seed in ("1", "2", "12345", "random"):
        assert trace(sys.executable, seed) == first


def test_a_program_leaves_the_same_trace_with_another_memory_layout() -> None:
    # The debug allocator moves every object, and with it every hash that is an address.
    assert trace(sys.executable, "0", PYTHONMALLOC="debug") == trace(sys.executable, "0")


def test_a_program_leaves_the_same_trace_on_every_python_that_is_here() -> None:
    traces = {python: trace(python, "0") for python in interpreters()}
    expected = traces[sys.executable]
    assert expected.count("cleans up") == 5
    assert "delivered 5000" in expected
    assert "delivered 6000" not in expected
    assert set(traces.values()) == {expected}


ENDLESS = """
import asyncio
import signal
import sys
from sim.loop import virtual_time

# Tests that run in the background have it ignored, and so would their children.
signal.signal(signal.SIGINT, signal.default_int_handler)


async def main():
    try:
        while True:
            await asyncio.sleep(1)
            if asyncio.get_running_loop().time() == 1_000:
                print("running", flush=True)
    finally:
        print("cleaned up", flush=True)

with virtual_time():
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.exit(130)
"""


def test_ctrl_c_stops_a_run_at_once_and_in_order() -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", ENDLESS], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    try:
        assert program.stdout.readline() == "running\n"
        program.send_signal(signal.SIGINT)
        rest, _ = program.communicate(timeout=60)
    finally:
        program.kill()
    assert re.fullmatch(r"cleaned up\ninterrupted\n", rest)
    assert program.returncode == 130
