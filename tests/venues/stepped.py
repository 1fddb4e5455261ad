"""A session of the live adapter on a venue whose time is stepped: its clock is the market's.

`play` lets the market run to the next moment at which anything can happen here (a fill, or the end
of a sleep), waits until everything that this causes is done at both ends, and goes on. So between
two moments no time passes, however slow the machine is, and what the session does it does at the
market's time to the nanosecond.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from broker_api.contingent_broker import ContingentBroker
from broker_api.suite import TradingSuite
from broker_api.wall_clock import WallClock
from tests.venues.adapter import control
from tests.venues.controlled import Controlled

Quiet = Callable[[TradingSuite, Controlled], Awaitable[None]]
TURN_SECONDS = 0.002


class MarketClock(WallClock):
    """The market's time for a session; the wall's for nonces, as the venue counts them."""

    def __init__(self, start_ns: int) -> None:
        self._now_ns = start_ns
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0

    def now_ns(self) -> int:
        """The market's time."""
        return self._now_ns

    async def sleep(self, seconds: float) -> None:
        """Wait until the market has come so far."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        entry = (self._now_ns + round(seconds * 1e9), self._count, waiter)
        self._sleepers.append(entry)
        try:
            await waiter
        finally:
            self._sleepers.remove(entry)

    @property
    def next_ns(self) -> int | None:
        """When the next sleep ends."""
        return min((entry[0] for entry in self._sleepers), default=None)

    def go_to(self, ts_ns: int) -> None:
        """It is that time now."""
        self._now_ns = ts_ns

    def wake(self) -> None:
        """Who has slept long enough wakes, one after the other."""
        ts_ns = self._now_ns
        for wakes_ns, _, waiter in sorted(self._sleepers, key=lambda entry: entry[:2]):
            if wakes_ns <= ts_ns and not waiter.done():
                waiter.set_result(None)


async def play(
    suite: TradingSuite,
    venue: Controlled,
    clock: MarketClock,
    strategy: Coroutine[Any, Any, None],
    quiet: Quiet,
) -> None:
    """Let a strategy trade until it ends; `quiet` waits between two moments of the market."""
    task = asyncio.get_running_loop().create_task(strategy)
    while True:
        await quiet(suite, venue)  # what the market did is dealt with,
        clock.wake()
        await quiet(suite, venue)  # and then what the session does of itself
        if task.done():
            return task.result()
        wakes_ns = clock.next_ns
        if wakes_ns is None:
            await asyncio.sleep(TURN_SECONDS)
            continue
        span_ns = wakes_ns - clock.now_ns()
        moved = await control(venue, "/advance", until="fill", ns=span_ns)
        clock.go_to(moved["market_ns"])


async def to_the_frame(suite: TradingSuite, venue: Controlled) -> None:
    """Wait until the session has done all that it does at this time, and has heard of all of it.

    For venues without faults: every frame that was sent comes.
    """
    while True:
        seen = _progress(suite, venue)
        await _caught_up(suite, venue)
        if not _is_at_work(suite) and seen == _progress(suite, venue):
            return
        await asyncio.sleep(TURN_SECONDS)


async def roughly(suite: TradingSuite, venue: Controlled) -> None:
    """Wait until nothing is under way, as far as the session knows."""
    while True:
        seen = _progress(suite, venue)
        await control(venue, "/state", "GET")
        await asyncio.sleep(TURN_SECONDS)
        if not _is_at_work(suite) and seen == _progress(suite, venue):
            return


def _is_at_work(suite: TradingSuite) -> bool:
    broker = suite.session.broker
    assert isinstance(broker, ContingentBroker)
    return broker.is_sending or _live(suite).keeper.busy


def _progress(suite: TradingSuite, venue: Controlled) -> tuple[int, ...]:
    """Grows with everything that happens: here, there and between."""
    frames = sum(line.frames for line in _live(suite).lines)
    return (len(venue.server.runner.inputs), frames, len(suite.session.journal))


def _live(suite: TradingSuite) -> Any:
    """The parts of the adapter's session."""
    broker: Any = suite.session.broker
    return broker.plain.live


async def _caught_up(suite: TradingSuite, venue: Controlled) -> None:
    """Wait until every frame that the venue has sent is read here."""
    lines = _live(suite).lines
    await control(venue, "/state", "GET")  # what was published before is queued by now
    while True:
        sockets = list(venue.server.sockets)
        is_read = sum(line.frames for line in lines) == sum(socket.sent for socket in sockets)
        if is_read and len(sockets) == len(lines) and not any(each.has_frames for each in sockets):
            return
        await asyncio.sleep(TURN_SECONDS)
