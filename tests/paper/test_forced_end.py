"""A session whose strategy does not come back can be forced to end, and goes on another day."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STUCK = '''
import asyncio
from pathlib import Path

WAY = Path(__file__).with_name("stuck")


async def trade(suite):
    """Buys, and hangs at the third turn while the file is there."""
    (market,) = suite.values()
    for turn in range(5):
        await market.orders.place_market_order(market.symbol, turn % 2, 1)
        await asyncio.sleep(1)
        if turn == 2 and WAY.exists():
            WAY.write_text("hangs")
            while True:
                pass
'''
SCENARIO = """
strategy = "stuck.py:trade"
instruments = ["MNQ"]

[tapes]
MNQ = { synthetic = { seed = 11, hours = 0.01 } }
"""
PATIENCE_SECONDS = 100.0


@contextmanager
def paper(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "papertape.cli", "paper", *map(str, arguments), "--no-report"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as session:
        try:
            yield session
        finally:
            session.kill()


def test_the_second_signal_forces_a_session_and_it_is_resumed(tmp_path: Path) -> None:
    (tmp_path / "stuck.py").write_text(STUCK)
    (tmp_path / "scenario.toml").write_text(SCENARIO)
    way = tmp_path / "stuck"
    way.write_text("")
    with paper(tmp_path, "--speed", "max", "--out", tmp_path / "session") as session:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while way.read_text() != "hangs":
            assert time.monotonic() < deadline, "the strategy did not come to where it hangs"
            assert session.poll() is None, session.communicate()[0]
            time.sleep(0.05)
        # As a person does it, one after the other: of a signal that comes while Python takes notice
        # of another one, a loop that does nothing may hear only with the next.
        session.send_signal(signal.SIGINT)
        time.sleep(1.0)
        session.send_signal(signal.SIGTERM)
        output, _ = session.communicate(timeout=PATIENCE_SECONDS)
    assert session.returncode == 130, output
    assert "--resume" in output
    way.unlink()
    with paper("--resume", tmp_path / "session") as resumed:
        output, _ = resumed.communicate(timeout=PATIENCE_SECONDS)
    assert resumed.returncode == 0, output
    assert "parity  played again from its journal: the same" in output
