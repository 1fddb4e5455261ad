"""Nonces only grow: within a millisecond, after a restart, among processes of one key."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from broker_api.errors import BrokerError, ConfigurationError
from broker_api.hyperliquid import nonce as module
from broker_api.hyperliquid.nonce import AHEAD_MAX_MS, Nonces, nonce_file

ROOT = Path(__file__).resolve().parents[3]
NOW = 1_795_257_309_935


async def take(nonces: Nonces, count: int) -> list[int]:
    return [await nonces.next() for _ in range(count)]


def test_a_nonce_is_the_time_or_one_more_than_the_last(tmp_path: Path) -> None:
    times = iter([NOW, NOW, NOW + 1, NOW - 500, NOW + 10])
    nonces = Nonces(tmp_path / "a.nonce", lambda: next(times))
    assert asyncio.run(take(nonces, 5)) == [NOW, NOW + 1, NOW + 2, NOW + 3, NOW + 10]


def test_nonces_go_on_after_a_restart_with_an_earlier_clock(tmp_path: Path) -> None:
    path = nonce_file(tmp_path / "new folder", "0xAB")
    first = asyncio.run(take(Nonces(path, lambda: NOW), 3))
    second = asyncio.run(take(Nonces(path, lambda: NOW - 60_000), 3))
    assert path.name == "0xab.nonce"
    assert first + second == [NOW + count for count in range(6)]


def test_without_a_file_nonces_grow_as_well() -> None:
    assert asyncio.run(take(Nonces(None, lambda: NOW), 3)) == [NOW, NOW + 1, NOW + 2]


@pytest.mark.parametrize("text", ["", "five", "-5", "1.5", "9" * 30, "\n"])
def test_a_file_that_holds_no_nonce_is_not_guessed_at(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.nonce"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="no nonce"):
        asyncio.run(take(Nonces(path, lambda: NOW), 1))
    assert path.read_text() == text


def test_a_nonce_of_the_future_is_refused_before_the_venue_does(tmp_path: Path) -> None:
    path = tmp_path / "a.nonce"
    path.write_text(f"{NOW + AHEAD_MAX_MS + 5}\n")
    with pytest.raises(ConfigurationError, match=r"12\.0 h ahead of the clock"):
        asyncio.run(take(Nonces(path, lambda: NOW), 1))
    path.write_text(f"{NOW + AHEAD_MAX_MS}\n")
    assert asyncio.run(take(Nonces(path, lambda: NOW), 1)) == [NOW + AHEAD_MAX_MS + 1]


def test_a_lock_that_is_held_blocks_no_other_task_and_ends_in_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.3)
    path = tmp_path / "a.nonce"
    nonces = Nonces(path, lambda: NOW)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.001)

    async def main() -> None:
        other = asyncio.create_task(tick())
        with FileLock(path.with_suffix(".lock")), pytest.raises(BrokerError, match="another"):
            await nonces.next()
        other.cancel()
        assert await nonces.next() == NOW

    asyncio.run(main())
    assert ticks >= 2


PROCESS = """
import asyncio, sys
from pathlib import Path
from broker_api.hyperliquid.nonce import Nonces

async def main():
    nonces = Nonces(Path(sys.argv[1]), lambda: {now})
    for _ in range(200):
        print(await nonces.next())

asyncio.run(main())
"""


def test_processes_of_one_key_never_have_the_same_nonce(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROCESS.format(now=NOW), str(tmp_path / "a.nonce")]
    running = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    taken = []
    for process in running:
        mine = [int(line) for line in process.communicate(timeout=60)[0].split()]
        assert process.returncode == 0
        assert mine == sorted(mine)
        taken += mine
    assert sorted(taken) == [NOW + count for count in range(600)]


def test_a_nonce_costs_less_than_a_signature_by_the_vendor(tmp_path: Path) -> None:
    nonces = Nonces(tmp_path / "a.nonce", lambda: NOW)
    began = time.process_time()
    asyncio.run(take(nonces, 200))
    assert (time.process_time() - began) / 200 < 0.02
