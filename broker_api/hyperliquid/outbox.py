"""Commands on their way out, many in one action.

The venue takes many orders, many changes or many cancels in one action, and counts it as one
request: so a slow line costs a round trip, not a round trip an order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from broker_api.errors import BrokerError
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
from broker_api.live import lane
from broker_api.live.lane import Form
from broker_api.pacing import Kind

BATCH_MAX = 39
"""Entries of one action: up to so many weigh as much as one."""


@dataclass(eq=False, kw_only=True)
class Parcel(lane.Parcel):
    """One command and its part of an action; its answer is the entries of the venue's.

    `expires_ms` is until when the venue may still take it, known once it is sent.
    """

    orders: tuple[Order, ...] = ()
    changes: tuple[Modify, ...] = ()
    cancels: tuple[CancelByCloid, ...] = ()
    grouping: Grouping = Grouping.NONE
    urgent: bool = False
    expires_ms: int | None = None

    @property
    def entries(self) -> int:
        """How many entries of the action are its."""
        return len(self.orders) + len(self.changes) + len(self.cancels)

    def joins(self, first: Self) -> bool:
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


class Lane(lane.Lane[Parcel]):
    """The commands of one coin."""

    def __init__(self, send: Send) -> None:
        super().__init__(BATCH_MAX)
        self._send = send

    async def _carry(self, batch: list[Parcel]) -> Sequence[Any]:
        def sent(expires_ms: int | None) -> None:
            for parcel in batch:
                parcel.expires_ms = expires_ms

        entries = sum(parcel.entries for parcel in batch)
        return _shared_out(await self._send(_action(batch), _kind(batch), entries, sent), batch)


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
