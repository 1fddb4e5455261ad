"""Commands on their way out, one request each; see `live.lane` for their order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from broker_api.live import lane
from broker_api.pacing import Kind


@dataclass(eq=False, kw_only=True)
class Parcel(lane.Parcel):
    """One command; its answer is the gateway's.

    `message` is asked for when it is its turn: by then the order's number is known.
    """

    path: str
    message: Callable[[], Any]
    kind: Kind


class Lane(lane.Lane[Parcel]):
    """The commands of one contract."""

    def __init__(self, send: Callable[[Parcel], Awaitable[Any]]) -> None:
        super().__init__(1)
        self._send = send

    async def _carry(self, batch: list[Parcel]) -> Sequence[Any]:
        return [await self._send(parcel) for parcel in batch]
