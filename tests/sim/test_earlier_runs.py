"""What runs leave behind is freed before a next one, once it is much."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from papertape import TradingSuite, run
from sim import earlier_runs
from sim.loop import virtual_time
from tests.sim.compiled_session import TAPE


class Process:
    """As much memory as a test says."""

    def __init__(self) -> None:
        self.bytes: int | None = 0

    def grow(self, parts: float) -> None:
        """By so many times what makes the collector come by."""
        assert self.bytes is not None
        self.bytes += int(parts * earlier_runs.GROWN_BYTES)


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    """A process in which Python's collector never comes by itself."""
    process = Process()
    monkeypatch.setattr(earlier_runs, "_own_bytes", lambda: process.bytes)
    monkeypatch.setattr(earlier_runs, "_after_last", 0)
    gc.disable()
    yield process
    gc.enable()


def journal_of_a_run() -> weakref.ref[Any]:
    """The journal of a run that has ended."""
    found: list[weakref.ref[Any]] = []

    async def main() -> None:
        async with await TradingSuite.create(["MNQ"], tape=TAPE) as suite:
            found.append(weakref.ref(suite.session.journal))
            await suite.orders.place_market_order("MNQ", 0, 1)

    run(main())
    return found[0]


def test_a_run_frees_earlier_ones_when_the_process_has_grown(process: Process) -> None:
    first = journal_of_a_run()
    process.grow(0.6)
    second = journal_of_a_run()
    assert first() is not None
    process.grow(0.6)
    third = journal_of_a_run()
    assert first() is None
    assert second() is None
    process.grow(0.9)
    journal_of_a_run()
    assert third() is not None


def test_so_does_a_script(process: Process) -> None:
    journal = journal_of_a_run()
    process.grow(1.1)
    with virtual_time():
        assert journal() is None


def test_where_nobody_tells_how_much_it_is_every_run_does(process: Process) -> None:
    process.bytes = None
    first = journal_of_a_run()
    journal_of_a_run()
    assert first() is None


def test_a_process_knows_how_much_memory_is_its_own() -> None:
    own = earlier_runs._own_bytes()
    if sys.platform != "linux":
        assert own is None
        return
    text = Path("/proc/self/status").read_text()
    told = next(line for line in text.splitlines() if line.startswith("RssAnon:"))
    assert own is not None
    assert own > 1 << 20
    assert abs(own - 1024 * int(told.split()[1])) < 1 << 26
