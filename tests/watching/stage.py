"""A session that runs in a thread, in virtual time paced by the real clock, and is watched.

The market: MNQ goes up and down by a point a second around 21,000. `hour` seconds of it are there;
the pace is `speed` seconds of it in a real second.
"""

from __future__ import annotations

import asyncio
import math
import queue
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from broker_api.catalog import find, load_catalog
from broker_api.config import AccountConfig, BrokerSpec, SimulationConfig
from papertape import TradingSuite
from papertape.watching.watch import Watch, Work
from sim.broker import SimBroker
from sim.loop import run
from tests.sim.market import tape_of

MNQ = replace(find(load_catalog(), "MNQ"), calendar="24/7")
SECOND = 1_000_000_000
START_NS = 1_772_461_800 * SECOND
"""2026-03-02 14:30 UTC."""
PATIENCE_SECONDS = 60.0
TURN_SECONDS = 0.05
MIDDLE = 84_000
"""In ticks of a quarter point."""

Strategy = Callable[[TradingSuite], Awaitable[Any]]


def wave(second: int) -> int:
    """The bid in ticks: it comes by every price of the wave once in 40 seconds and more."""
    return MIDDLE + round(16 * math.sin(second / 6) + 8 * math.sin(second / 47))


def wavy_tape(seconds: int = 3_600) -> Any:
    rows = []
    for second in range(seconds):
        bid, at = wave(second), START_NS + second * SECOND
        rows.append(f"{at} 50x{bid} {bid + 1}x50")
        rows.append(
            f"{at + SECOND // 2} {'buy' if second % 3 else 'sell'} 2@{bid + (second % 3 > 0)}"
        )
    return tape_of(rows, symbol="MNQ")


def wait_for(condition: Callable[[], Any], what: str = "the condition") -> Any:
    """What `condition` returns as soon as that is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{what} did not come true within {PATIENCE_SECONDS} s")


@contextmanager
def kept_free(port: int) -> Iterator[None]:
    """Inside, nobody gets the port by chance; a server that names it gets it."""
    with socket.socket() as place:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(("127.0.0.1", port))
        yield


class Stage:
    """`with Stage(strategy) as stage:` runs it; `stage.watch` is there from then on.

    The strategy may return: the session goes on until it is stopped, or its tape ends.
    """

    def __init__(
        self, strategy: Strategy, *, risk: Any = None, speed: float = 20.0, seconds: int = 3_600
    ) -> None:
        self.strategy, self.risk, self.speed = strategy, risk, speed
        self.tape = wavy_tape(seconds)
        self.handed: queue.Queue[Work] = queue.Queue()
        self.journaled: list[tuple[int, dict[str, Any]]] = []
        self.ready = threading.Event()
        self.failure: BaseException | None = None
        self.suite: TradingSuite
        self.watch: Watch
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="session")

    def __enter__(self) -> Stage:
        self._thread.start()
        assert self.ready.wait(PATIENCE_SECONDS), "the session did not begin"
        if self.failure is not None:
            raise self.failure
        return self

    def __exit__(self, *error: object) -> None:
        self._ending = True
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), "the session did not end"
        if self.failure is not None and error[0] is None:
            raise self.failure

    def _run(self) -> None:
        try:
            run(self._session())
        except BaseException as failure:
            self.failure = failure
        finally:
            self.ready.set()

    async def _session(self) -> None:
        settings = SimulationConfig(entry_latency_ms=5, response_latency_ms=5, queue="front")
        spec = BrokerSpec((MNQ,), (self.tape,), settings, AccountConfig(name="PAPER-1"))
        broker = SimBroker(spec, [self.tape])
        self.suite = await TradingSuite.create("MNQ", broker=broker, risk=self.risk)
        async with self.suite:
            self.watch = Watch(
                self.suite, self.handed.put, mode="paper", name="wave", end=self._end
            )
            self.ready.set()
            playing = asyncio.create_task(self.strategy(self.suite))
            await self._pace()
            playing.cancel()

    async def _end(self) -> None:
        self._ending = True

    async def _pace(self) -> None:
        """Time goes by as the real clock lets it, and requests are done as they come."""
        doing: list[asyncio.Future[None]] = []
        while not self._ending:
            await self.suite.clock.sleep(TURN_SECONDS)
            try:
                work = self.handed.get(timeout=TURN_SECONDS / self.speed)
            except queue.Empty:
                continue
            self.journaled.append((self.suite.clock.now_ns(), work.request.to_dict()))
            doing.append(asyncio.ensure_future(work()))
        await asyncio.gather(*doing)
