"""Commands on their way out: in order, together where the venue takes them together.

The commands of an instrument go as they were made, one action at a time, and what waits meanwhile
goes in the next one: the venue takes many orders, many changes or many cancels in one action, and
counts it as one request. Only cancels pass those before them, except the commands of their own
order; nothing passes a cancel. So a slow line costs a round trip, not a round trip an order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum

from broker_api.errors import BrokerError, NotConnectedError
from broker_api.hyperliquid.wire.actions import (
    BatchModifyAction,
    CancelByCloid,
    CancelByCloidAction,
    Grouping,
    Modify,
    Order,
    OrderAction,
)
from broker_api.hyperliquid.wire.answers import (
    ActionRefused,
    Answer,
    Done,
    Entries,
    Entry,
    Refused,
)
from broker_api.pacing import Kind

BATCH_MAX = 39
"""Entries of one action: up to so many weigh as much as one."""


class Form(Enum):
    """Which action a command becomes a part of."""

    PLACE = "place"
    CHANGE = "change"
    CANCEL = "cancel"


@dataclass(eq=False)
class Parcel:
    """One command: its part of an action, the orders that it is about, and its answer.

    `expires_ms` is until when the venue may still take it, known once it is sent.
    """

    form: Form
    keys: tuple[int, ...]
    orders: tuple[Order, ...] = ()
    changes: tuple[Modify, ...] = ()
    cancels: tuple[CancelByCloid, ...] = ()
    grouping: Grouping = Grouping.NONE
    urgent: bool = False
    number: int = 0
    expires_ms: int | None = None
    answer: asyncio.Future[tuple[Entry, ...]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def entries(self) -> int:
        """How many entries of the action are its."""
        return len(self.orders) + len(self.changes) + len(self.cancels)

    def joins(self, first: Parcel) -> bool:
        """Whether it may go in one action with `first`."""
        groups = (self.grouping, first.grouping) == (Grouping.NONE, Grouping.NONE)
        return self.form is first.form and groups and self.urgent == first.urgent


Send = Callable[
    [
        OrderAction | BatchModifyAction | CancelByCloidAction,
        Kind,
        int,
        Callable[[int | None], None],
    ],
    Awaitable[Answer],
]
"""Sends an action of so many entries; tells until when it is valid as soon as it is sent."""


class Lane:
    """The commands of one instrument. Belongs to one loop; `close` ends what it has under way."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: list[Parcel] = []
        self._flying: list[Parcel] = []
        self._flights: set[asyncio.Task[None]] = set()
        self._count = 0
        self._closed = False

    def put(self, parcel: Parcel) -> None:
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

    def _next_cancels(self) -> list[Parcel]:
        """Cancels that may go: none is under way, and none waits for its own order."""
        if any(parcel.form is Form.CANCEL for parcel in self._flying):
            return []
        busy = {key for parcel in self._flying for key in parcel.keys}
        batch: list[Parcel] = []
        entries = 0
        for parcel in self._waiting:
            free = not busy.intersection(parcel.keys)
            busy.update(parcel.keys)  # what comes later of the same order waits
            if parcel.form is Form.CANCEL and free and entries + parcel.entries <= BATCH_MAX:
                batch.append(parcel)
                entries += parcel.entries
        return batch

    def _next_others(self) -> list[Parcel]:
        """What is next of the rest, if nothing of it and no earlier cancel is under way."""
        if any(parcel.form is not Form.CANCEL for parcel in self._flying):
            return []
        batch: list[Parcel] = []
        entries = 0
        keys: set[int] = {key for parcel in self._flying for key in parcel.keys}
        for parcel in self._waiting:
            if parcel.form is Form.CANCEL:
                if not keys.intersection(parcel.keys):
                    break
                continue  # it waits for an order of this very batch
            fits = not batch or parcel.joins(batch[0])
            again = parcel.form is Form.CHANGE and keys.intersection(parcel.keys)
            if not fits or again or (batch and entries + parcel.entries > BATCH_MAX):
                break
            batch.append(parcel)
            entries += parcel.entries
            keys.update(parcel.keys)
        return [] if self._cancels_are_flying_before(batch) else batch

    def _cancels_are_flying_before(self, batch: list[Parcel]) -> bool:
        return bool(batch) and any(
            parcel.form is Form.CANCEL and parcel.number < batch[0].number
            for parcel in self._flying
        )

    async def _fly(self, batch: list[Parcel]) -> None:
        """Send a batch and give each command its part of the answer."""

        def sent(expires_ms: int | None) -> None:
            for parcel in batch:
                parcel.expires_ms = expires_ms

        entries = sum(parcel.entries for parcel in batch)
        try:
            answer = await self._send(_action(batch), _kind(batch), entries, sent)
            parts = _shared_out(answer, batch)
        except Exception as failure:  # also a mistake of ours belongs to whoever waits
            for parcel in batch:
                _fail(parcel, failure)
        else:
            for parcel, part in zip(batch, parts, strict=True):
                if not parcel.answer.done():
                    parcel.answer.set_result(part)
        finally:
            self._flying = [parcel for parcel in self._flying if parcel not in batch]


def _action(batch: list[Parcel]) -> OrderAction | BatchModifyAction | CancelByCloidAction:
    match batch[0].form:
        case Form.PLACE:
            orders = tuple(order for parcel in batch for order in parcel.orders)
            return OrderAction(orders, batch[0].grouping)
        case Form.CHANGE:
            return BatchModifyAction(tuple(each for parcel in batch for each in parcel.changes))
        case Form.CANCEL:
            return CancelByCloidAction(tuple(each for parcel in batch for each in parcel.cancels))


def _kind(batch: list[Parcel]) -> Kind:
    if batch[0].form is Form.CANCEL:
        return Kind.CANCEL
    return Kind.PROTECT if batch[0].urgent else Kind.ORDER


def _shared_out(answer: Answer, batch: list[Parcel]) -> list[tuple[Entry, ...]]:
    """Each command's entries. One refusal for many orders is the refusal of each.

    Raises UnalignedAnswer for an answer whose entries cannot be told apart.
    """
    count = sum(parcel.entries for parcel in batch)
    if isinstance(answer, ActionRefused):
        entries: tuple[Entry, ...] = (Refused(answer.text),) * count
    elif isinstance(answer, Entries) and len(answer.entries) == count:
        entries = answer.entries
    elif isinstance(answer, Entries) and len(answer.entries) == 1:
        (only,) = answer.entries
        if not isinstance(only, Refused):
            raise UnalignedAnswer(f"one answer to {count} orders: {only}")
        entries = (only,) * count
    else:
        what = "nothing" if isinstance(answer, Done) else f"{len(answer.entries)} answers"
        raise UnalignedAnswer(f"{what} to {count} orders")
    parts, at = [], 0
    for parcel in batch:
        parts.append(entries[at : at + parcel.entries])
        at += parcel.entries
    return parts


class UnalignedAnswer(BrokerError):
    """An action was taken, and its answer does not tell what became of which order."""

    order_may_exist = True


def _fail(parcel: Parcel, failure: Exception) -> None:
    if not parcel.answer.done():
        parcel.answer.set_exception(failure)
        # Whoever gave up waiting does not make the loop complain.
        parcel.answer.exception()
