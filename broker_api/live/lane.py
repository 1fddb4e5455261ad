"""Commands on their way out: in order, together where the venue takes them together.

The commands of an instrument go as they were made, one request at a time, and what waits meanwhile
goes in the next one where the venue takes many at once. Only cancels pass those before them, except
the commands of their own order; nothing passes a cancel.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, Self, TypeVar

from broker_api.errors import NotConnectedError


class Form(Enum):
    """What a command does."""

    PLACE = "place"
    CHANGE = "change"
    CANCEL = "cancel"


@dataclass(eq=False, kw_only=True)
class Parcel:
    """One command: the orders that it is about, and its answer."""

    form: Form
    keys: tuple[int, ...]
    number: int = 0
    answer: asyncio.Future[Any] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def entries(self) -> int:
        """How many entries of a request are its."""
        return 1

    def joins(self, first: Self) -> bool:
        """Whether it may go in one request with `first`."""
        return self.form is first.form


_P = TypeVar("_P", bound=Parcel)


class Lane(ABC, Generic[_P]):
    """The commands of one instrument. Belongs to one loop; `close` ends what it has under way.

    Up to `batch_max` entries go in one request.
    """

    def __init__(self, batch_max: int) -> None:
        self._batch_max = batch_max
        self._waiting: list[_P] = []
        self._flying: list[_P] = []
        self._flights: set[asyncio.Task[None]] = set()
        self._count = 0
        self._closed = False

    @abstractmethod
    async def _carry(self, batch: list[_P]) -> Sequence[Any]:
        """Send a batch; the answer of each."""

    def put(self, parcel: _P) -> None:
        """Queue a command, and send it if it may go. Raises NotConnectedError after `close`."""
        if self._closed:
            raise NotConnectedError("the suite is disconnected; nothing was sent")
        self._count += 1
        parcel.number = self._count
        self._waiting.append(parcel)
        self._pump()

    async def close(self) -> None:
        """Refuse what waits, and wait for what is under way."""
        self._closed = True
        waiting, self._waiting = self._waiting, []
        for parcel in waiting:
            _fail(parcel, NotConnectedError("disconnected before it was sent; nothing was sent"))
        if self._flights:
            await asyncio.wait(tuple(self._flights))

    def _pump(self) -> None:
        for batch in (self._next_cancels(), self._next_others()):
            if batch:
                for parcel in batch:
                    self._waiting.remove(parcel)
                self._flying += batch
                flight = asyncio.get_running_loop().create_task(self._fly(batch))
                self._flights.add(flight)
                flight.add_done_callback(self._landed)

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._flights.discard(flight)
        if not self._closed:
            self._pump()

    def _next_cancels(self) -> list[_P]:
        """Cancels that may go: none is under way, and none waits for its own order."""
        if any(parcel.form is Form.CANCEL for parcel in self._flying):
            return []
        busy = {key for parcel in self._flying for key in parcel.keys}
        batch: list[_P] = []
        entries = 0
        for parcel in self._waiting:
            free = not busy.intersection(parcel.keys)
            busy.update(parcel.keys)  # what comes later of the same order waits
            if parcel.form is Form.CANCEL and free and entries + parcel.entries <= self._batch_max:
                batch.append(parcel)
                entries += parcel.entries
        return batch

    def _next_others(self) -> list[_P]:
        """What is next of the rest, if nothing of it and no earlier cancel is under way."""
        if any(parcel.form is not Form.CANCEL for parcel in self._flying):
            return []
        batch: list[_P] = []
        entries = 0
        keys: set[int] = {key for parcel in self._flying for key in parcel.keys}
        for parcel in self._waiting:
            if parcel.form is Form.CANCEL:
                if not keys.intersection(parcel.keys):
                    break
                continue  # it waits for an order of this very batch
            fits = not batch or parcel.joins(batch[0])
            again = parcel.form is Form.CHANGE and keys.intersection(parcel.keys)
            if not fits or again or (batch and entries + parcel.entries > self._batch_max):
                break
            batch.append(parcel)
            entries += parcel.entries
            keys.update(parcel.keys)
        return [] if self._cancels_are_flying_before(batch) else batch

    def _cancels_are_flying_before(self, batch: list[_P]) -> bool:
        return bool(batch) and any(
            parcel.form is Form.CANCEL and parcel.number < batch[0].number
            for parcel in self._flying
        )

    async def _fly(self, batch: list[_P]) -> None:
        """Send a batch and give each command its part of the answer."""
        try:
            parts = await self._carry(batch)
        except Exception as failure:  # also a mistake of ours belongs to whoever waits
            for parcel in batch:
                _fail(parcel, failure)
        else:
            for parcel, part in zip(batch, parts, strict=True):
                if not parcel.answer.done():
                    parcel.answer.set_result(part)
        finally:
            self._flying = [parcel for parcel in self._flying if parcel not in batch]


def _fail(parcel: Parcel, failure: Exception) -> None:
    if not parcel.answer.done():
        parcel.answer.set_exception(failure)
        # Whoever gave up waiting does not make the loop complain.
        parcel.answer.exception()
