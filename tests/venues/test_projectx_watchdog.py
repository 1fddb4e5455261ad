"""A program that dies leaves nothing at work that it should not; one that leaves in order, all."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.venues.adapter import until
from tests.venues.local_gateway import BUY, KEY, MARKET, USER, Gateway, local_gateway
from tests.venues.projectx_adapter import broker_of, live_suite

PROGRAM = """
import asyncio
import numpy as np
from broker_api.catalog import load_catalog
from broker_api.projectx.broker import ProjectXBroker
from broker_api.projectx.config import ProjectXConfig
from broker_api.suite import TradingSuite

async def main():
    broker = ProjectXBroker(
        ProjectXConfig(base_url={url!r}, watchdog={mode!r}, bar_history=0),
        ["MNQ"],
        known=tuple(load_catalog().values()),
        environment={{"PROJECT_X_USERNAME": {user!r}, "PROJECT_X_API_KEY": {key!r}}},
        draws=np.random.Generator(np.random.Philox(7)),
    )
    suite = await TradingSuite.create(["MNQ"], broker=broker)
    orders = suite["MNQ"].orders
    await orders.place_limit_order("MNQ", "buy", 1, 20_000)
    await orders.place_stop_order("MNQ", "sell", 1, 20_500)
    print("working", broker.live.watchdog.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def told_of_a_process(pid: int | None) -> bytes:
    """What everybody on the machine may see of it, where there is such a thing."""
    path = Path(f"/proc/{pid}/cmdline")
    return path.read_bytes() if path.exists() else b""


def is_gone(pid: int) -> bool:
    """Whether the process has ended; one that nobody has asked how it ended counts as well."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    path = Path(f"/proc/{pid}/stat")
    return path.exists() and path.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.fixture
def venue() -> Iterator[Gateway]:
    with local_gateway() as found:
        yield found


@pytest.mark.parametrize(("mode", "left"), [("all", []), ("keep_stops", ["STOP"])])
def test_orders_of_a_program_that_was_killed_are_cancelled(
    venue: Gateway, mode: str, left: list[str], tmp_path: Path
) -> None:
    venue.place(MARKET, BUY)  # something to protect
    foreign = venue.place(1, BUY, limitPrice=19_000.0)
    script = tmp_path / "program.py"
    script.write_text(
        PROGRAM.format(url=venue.url, mode=mode, user=USER, key=KEY), encoding="utf-8"
    )
    program = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    try:
        word, pid = program.stdout.readline().split()
        assert word == "working"
    finally:
        os.kill(program.pid, signal.SIGKILL)
        program.wait()
        program.stdout.close()
    engine = venue.server.runner.engine

    def working() -> list[str]:
        found = [each for each in engine.orders.values() if not each.status.is_final]
        return [each.type.name for each in found if each.id != foreign]

    async def main() -> None:
        await until(lambda: working() == left, 60)
        await until(lambda: is_gone(int(pid)), 60)

    asyncio.run(main())
    assert not engine.orders[foreign].status.is_final, "it is nobody's business"


def test_a_session_that_ends_in_order_leaves_its_orders(venue: Gateway) -> None:
    async def main() -> None:
        async with live_suite(venue, watchdog="all") as suite:
            await suite["MNQ"].orders.place_limit_order("MNQ", "buy", 1, 20_000)
            watchdog = broker_of(suite).live.watchdog
            assert watchdog is not None
            pid = watchdog.pid
            assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    asyncio.run(main())
    (order,) = venue.server.runner.engine.orders.values()
    assert not order.status.is_final


def test_a_watchdog_that_dies_is_said(venue: Gateway) -> None:
    async def main() -> None:
        async with live_suite(venue, watchdog="all", watchdog_seconds=5.0) as suite:
            watchdog = broker_of(suite).live.watchdog
            assert watchdog is not None
            assert watchdog.pid is not None
            os.kill(watchdog.pid, signal.SIGKILL)
            await until(
                lambda: any("watchdog has ended" in note for note in broker_of(suite).notes), 60
            )

    asyncio.run(main())


def test_the_key_is_not_among_the_watchdogs_arguments(venue: Gateway) -> None:
    async def main() -> None:
        async with live_suite(venue, watchdog="all") as suite:
            watchdog = broker_of(suite).live.watchdog
            assert watchdog is not None
            shown = await asyncio.to_thread(told_of_a_process, watchdog.pid)
            assert KEY.encode() not in shown
            assert USER in repr(broker_of(suite))
            assert KEY not in repr(broker_of(suite))

    asyncio.run(main())
