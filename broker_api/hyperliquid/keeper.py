"""Looking after what is not certain: orders without an answer, ends without their fills, silence.

An order whose answer was lost is looked for under its cloid until the venue knows it, or until it
can no longer arrive because its validity is over. Everything is compared with the venue now and
then, and after every loss of the connection: fills that were missed are told, orders that are gone
are ended, and a position that differs is said to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from broker_api.errors import BrokerError
from broker_api.event import Reason
from broker_api.hyperliquid.books import Books
from broker_api.hyperliquid.client import Client
from broker_api.hyperliquid.contracts import Contract
from broker_api.hyperliquid.tracks import Track
from broker_api.hyperliquid.wire.account import (
    BasicOrder,
    ClearinghouseState,
    OrderState,
    OrderUpdate,
)
from broker_api.hyperliquid.wire.statuses import meaning_of

LOOK_PAUSE_SECONDS = 0.25
LOOK_PAUSE_MOST_SECONDS = 5.0
YOUNG_SECONDS = 3.0
"""Orders of this age may not be in a list that was asked for when they were sent."""
OLDER_MS = 2_000
"""An order that is older than this before its sending is another one under the same name."""
HOUR_MS = 3_600_000
LOOKS_MAX = 3
"""Looks at an ended order whose fills do not add up, before it ends with those that there are."""


class Keeper:
    """Keeps a session's books true. `now_ms` is wall time, `venue_ms` the venue's newest time."""

    def __init__(
        self,
        client: Client,
        books: Books,
        contracts: tuple[Contract, ...],
        *,
        settle_seconds: float,
        grace_seconds: float,
        venue_ms: Callable[[], int],
        note: Callable[[str], None],
    ) -> None:
        self._client = client
        self._books = books
        self._contracts = contracts
        self._settle_seconds = settle_seconds
        self._grace_ms = round(grace_seconds * 1000)
        self._venue_ms = venue_ms
        self._note = note
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking: set[int] = set()
        self._changed: dict[int, list[asyncio.Future[None]]] = {}
        self._differing: dict[int, tuple[int, int]] = {}
        self._told: dict[int, tuple[int, int]] = {}
        self._looks: dict[int, int] = {}
        self._sweeping = asyncio.Lock()
        self._wished = False
        self._funded_hour = venue_ms() // HOUR_MS
        self.state: ClearinghouseState | None = None

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

    async def look(self, track: Track) -> OrderState | None:
        """Ask what became of an order, and tell it: all fills, then its end. None: not known."""
        found = (await self._client.order_status(track.cloid)).order
        if found is None and track.oid:
            found = (await self._client.order_status(track.oid)).order
        if found is None or found.order.timestamp < track.sent_ms - OLDER_MS:
            return None
        await self._fetch_fills(track.sent_ms)
        if track.has_ended:
            return found
        meaning = meaning_of(found.status)
        order = found.order
        basic = BasicOrder(
            order.coin,
            order.side,
            order.limit_price,
            order.size,
            order.oid,
            order.timestamp,
            order.original_size,
            track.cloid,
            order.reduce_only,
        )
        self._books.update(OrderUpdate(basic, found.status, found.status_timestamp))
        if meaning is not None and meaning.status.is_terminal and track.change is None:
            self._end_after_look(track, meaning.reason, found.status_timestamp)
        return found

    def _end_after_look(self, track: Track, reason: Reason, ts_ms: int) -> None:
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
            self._books.end(track, reason, ts_ms, track.filled_lots)
        self._books.settle(track)

    async def _fetch_fills(self, since_ms: int) -> None:
        start = min(self._books.newest_ms or since_ms, since_ms)
        for fill in await self._client.fills_since(max(0, start)):
            self._books.fill(fill)

    async def _fetch_funding(self) -> None:
        """Payments are made on the hour."""
        hour = self._venue_ms() // HOUR_MS
        if hour != self._funded_hour:
            for payment in await self._client.funding_since(max(0, (hour - 1) * HOUR_MS)):
                self._books.funding(payment)
            self._funded_hour = hour

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
            over = expires_ms is None or self._client.now_ms() > expires_ms + self._grace_ms
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
                    self._books.reject(track, Reason.NOT_ARRIVED, self._venue_ms())
                if over or (track.accepted and track.change is None):
                    return
            await self.until(track, lambda: track.has_ended, pause)
            pause = min(2 * pause, LOOK_PAUSE_MOST_SECONDS)

    # --- everything ----------------------------------------------------------------------------

    async def sweep(self) -> None:
        """Compare everything with the venue. Raises BrokerError when it cannot be asked."""
        async with self._sweeping:
            asked_at = asyncio.get_running_loop().time()
            await self._fetch_fills(self._books.newest_ms)
            await self._fetch_funding()
            orders = await self._client.open_orders()
            self._books.note_open(orders)
            self.state = await self._client.state()
            there = {order.oid for order in orders} | {order.cloid for order in orders}
            for track in tuple(self._books.tracks.values()):
                gone = track.cloid not in there and not there.intersection(track.oids)
                if not gone or not track.accepted:
                    continue
                if track.sent_at < asked_at - YOUNG_SECONDS:
                    await self.look(track)
                else:
                    self._look_after(track, YOUNG_SECONDS)
            for order in orders:
                found = self._books.find(order.oid, order.cloid)
                if found is not None and not found.accepted:
                    self._books.accept(found, order.oid, order.timestamp)
            if all(track.oids for track in self._books.tracks.values()):
                self._books.disown()
            await self._compare(self.state)

    async def _compare(self, state: ClearinghouseState) -> None:
        """Say where a position differs: twice in a row, with the fills asked for in between."""
        held = {entry.position.coin: entry.position.size for entry in state.positions}
        for index, contract in enumerate(self._contracts):
            theirs = contract.lots(held[contract.coin]) if contract.coin in held else 0
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
        self._books.money.differ(index, reason, theirs, ours, self._venue_ms())
