"""Looking after what is not certain: orders without an answer, ends without their fills, silence.

An order whose answer was lost is looked for under its name until the venue knows it, or until it
can no longer arrive. Everything is compared with the venue now and then, and after every loss of
the connection: fills that were missed are told, orders that are gone are ended, and a position that
differs is said to.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from broker_api.errors import BrokerError
from broker_api.event import Reason
from broker_api.live.books import Books
from broker_api.live.tracks import Track

LOOK_PAUSE_SECONDS = 0.25
LOOK_PAUSE_MOST_SECONDS = 5.0
YOUNG_SECONDS = 3.0
"""Orders of this age may not be in a list that was asked for when they were sent."""
LOOKS_MAX = 3
"""Looks at an ended order whose fills do not add up, before it ends with those that there are."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the venue says of one order: whether it has ended, and why; `ts` is when it said so."""

    is_over: bool
    reason: Reason
    ts: int


@dataclass(frozen=True, slots=True)
class Working:
    """An order that works at the venue: its number, its name there, and since when."""

    oid: int
    name: str | None
    ts: int


class Keeper(ABC):
    """Keeps a session's books true; each adapter says how its venue is asked.

    `now_ms` is wall time, `venue_now` the venue's newest time in its own unit.
    """

    def __init__(
        self,
        books: Books,
        *,
        settle_seconds: float,
        grace_seconds: float,
        now_ms: Callable[[], int],
        venue_now: Callable[[], int],
        note: Callable[[str], None],
    ) -> None:
        self._books = books
        self._settle_seconds = settle_seconds
        self._grace_ms = round(grace_seconds * 1000)
        self._now_ms = now_ms
        self._venue_now = venue_now
        self._note = note
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking: set[int] = set()
        self._changed: dict[int, list[asyncio.Future[None]]] = {}
        self._differing: dict[int, tuple[int, int]] = {}
        self._told: dict[int, tuple[int, int]] = {}
        self._looks: dict[int, int] = {}
        self._sweeping = asyncio.Lock()
        self._wished = False

    # --- what each venue is asked in its own way -------------------------------------------------

    @abstractmethod
    async def _ask_about(self, track: Track) -> Found | None:
        """Ask what became of an order, and tell the books: its executions, then how it is.

        None: the venue does not know it. Raises BrokerError when it cannot be asked.
        """

    @abstractmethod
    async def _fetch_history(self) -> None:
        """Tell the books all that happened since the newest execution that they know."""

    @abstractmethod
    async def _fetch_orders(self) -> Iterable[Working]:
        """Every order that works at the venue, of whatever session."""

    @abstractmethod
    async def _fetch_positions(self) -> list[int]:
        """Lots by instrument, as the venue has them."""

    # --- tasks ---------------------------------------------------------------------------------

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something beside; what fails is noted, and the next comparison finds it again."""
        task = asyncio.get_running_loop().create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @property
    def busy(self) -> bool:
        """Something is being looked after."""
        return bool(self._tasks)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except BrokerError as failure:
            self._note(str(failure))

    async def close(self) -> None:
        """End everything that runs beside."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # --- waiting for the venue to tell ---------------------------------------------------------

    def changed(self, track: Track) -> None:
        """Something was told of an order."""
        for waiter in self._changed.pop(track.order_id, ()):
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, track: Track, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until something told makes the condition true; whether it did in time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not condition():
            left = deadline - loop.time()
            if left <= 0:
                return False
            waiter: asyncio.Future[None] = loop.create_future()
            self._changed.setdefault(track.order_id, []).append(waiter)
            await asyncio.wait((waiter,), timeout=left)
            waiter.cancel()
        return True

    # --- one order -----------------------------------------------------------------------------

    def expect_end(self, track: Track) -> None:
        """An order has ended and not all of its fills have come: look if they do not."""
        self._look_after(track, self._settle_seconds)

    def _look_after(self, track: Track, seconds: float) -> None:
        if track.order_id not in self._looking:
            self._looking.add(track.order_id)
            self.start(self._wait_and_look(track, seconds))

    async def _wait_and_look(self, track: Track, seconds: float) -> None:
        try:
            if not await self.until(track, lambda: track.has_ended, seconds):
                await self.look(track)
        finally:
            self._looking.discard(track.order_id)

    async def look(self, track: Track) -> Found | None:
        """Ask what became of an order, and tell it: all fills, then its end. None: not known."""
        found = await self._ask_about(track)
        if found is not None and found.is_over and track.change is None:
            self._end_after_look(track, found.reason, found.ts)
        return found

    def _end_after_look(self, track: Track, reason: Reason, ts: int) -> None:
        """Its fills have been asked for after its end: where nobody counts them, they are all."""
        if track.has_ended:
            return
        ending = track.ending
        is_counted = track.size_is_certain if ending is None else ending.filled_lots is not None
        looks = self._looks[track.order_id] = self._looks.get(track.order_id, 0) + 1
        if is_counted and looks < LOOKS_MAX:
            return  # the next comparison finds it still working, and looks again
        self._looks.pop(track.order_id)
        if is_counted:
            self._note(f"order {track.order_id} ended, and the venue has fewer fills than it says")
        if ending is None:
            reason = track.rest_reason if reason is Reason.NONE else reason
            self._books.end(track, reason, ts, track.filled_lots)
        self._books.settle(track)

    def sweep_soon(self) -> None:
        """Compare everything as soon as that is possible; wishes that wait are one."""
        if not self._wished:
            self._wished = True
            self.start(self._sweep_as_wished())

    async def _sweep_as_wished(self) -> None:
        async with self._sweeping:
            self._wished = False
        await self.sweep()

    async def resolve(self, track: Track, expires_ms: int | None) -> None:
        """Find out what became of a command whose answer was lost; it is never sent again.

        When its validity is over and the venue shows nothing of it, it never arrived.
        """
        pause = LOOK_PAUSE_SECONDS
        while not track.has_ended:
            left_ms = 0 if expires_ms is None else expires_ms + self._grace_ms - self._now_ms()
            over = expires_ms is None or left_ms < 0
            try:
                found = await self.look(track)
                if over and found is not None and track.change is not None:
                    # The change can land no more: the order is as it is, or its old leg was the
                    # last and the new one was refused.
                    track.change = None
                    await self.look(track)
            except BrokerError as failure:
                self._note(f"order {track.order_id}: {failure}")
            else:
                if over and found is None:
                    self._books.reject(track, Reason.NOT_ARRIVED, self._venue_now())
                if over or (track.accepted and track.change is None):
                    return
            # What surely never arrived may be a stop that somebody needs: no pause outlasts that.
            wait = pause if over else min(pause, max(LOOK_PAUSE_SECONDS, (left_ms + 1) / 1000))
            await self.until(track, lambda: track.has_ended, wait)
            pause = min(2 * pause, LOOK_PAUSE_MOST_SECONDS)

    # --- everything ----------------------------------------------------------------------------

    async def sweep(self) -> None:
        """Compare everything with the venue. Raises BrokerError when it cannot be asked."""
        async with self._sweeping:
            asked_at = asyncio.get_running_loop().time()
            await self._fetch_history()
            orders = tuple(await self._fetch_orders())
            self._books.note_open((order.oid, order.name) for order in orders)
            positions = await self._fetch_positions()
            there = {order.oid for order in orders} | {order.name for order in orders}
            for track in tuple(self._books.tracks.values()):
                gone = track.name not in there and not there.intersection(track.oids)
                if not gone or not track.accepted:
                    continue
                if track.sent_at < asked_at - YOUNG_SECONDS:
                    await self.look(track)
                else:
                    self._look_after(track, YOUNG_SECONDS)
            for order in orders:
                found = self._books.find(order.oid, order.name)
                if found is not None and not found.accepted:
                    self._books.accept(found, order.oid, order.ts)
            if all(track.oids for track in self._books.tracks.values()):
                self._books.disown()
            self._compare(positions)

    def _compare(self, positions: list[int]) -> None:
        """Say where a position differs: twice in a row, with the fills asked for in between."""
        for index, theirs in enumerate(positions):
            ours = self._books.money.positions[index].lots
            figures = (theirs, ours)
            if theirs != ours and self._differing.get(index) != figures:
                self._differing[index] = figures
                self.start(self._compare_again())
                continue
            if theirs == ours:
                self._differing.pop(index, None)
            if self._told.get(index, (0, 0)) != figures and (theirs != ours or index in self._told):
                self._told[index] = figures
                self._differ(index, theirs, ours)
            if theirs == ours:
                self._told.pop(index, None)

    async def _compare_again(self) -> None:
        await asyncio.sleep(self._settle_seconds)
        await self.sweep()

    def _differ(self, index: int, theirs: int, ours: int) -> None:
        reason = Reason.POSITION_DIFFERS
        self._books.money.differ(index, reason, theirs, ours, self._venue_now())
