"""When it is asked what became of an order whose answer was lost."""

from __future__ import annotations

import asyncio

from parts import Told, request

from broker_api.live.keeper import Found, Keeper, Working
from broker_api.live.tracks import Track
from broker_api.order import OrderStatus
from sim.loop import run


class Asker(Keeper):
    """The venue knows nothing; `asked_at` is when it was asked about an order, in seconds."""

    def __init__(self, told: Told) -> None:
        loop = asyncio.get_running_loop()
        self.asked_at: list[float] = []
        super().__init__(
            told.books,
            settle_seconds=1.0,
            grace_seconds=0.5,
            now_ms=lambda: round(loop.time() * 1000),
            venue_now=lambda: 0,
            note=lambda text: None,
        )

    async def _ask_about(self, track: Track) -> Found | None:
        self.asked_at.append(asyncio.get_running_loop().time())
        return None

    async def _fetch_history(self) -> None:
        raise NotImplementedError

    async def _fetch_orders(self) -> list[Working]:
        raise NotImplementedError

    async def _fetch_positions(self) -> list[int]:
        raise NotImplementedError


def test_what_never_arrived_is_known_as_soon_as_it_can_arrive_no_more() -> None:
    """A stop may be waiting to be placed again."""

    async def main() -> tuple[list[float], OrderStatus]:
        told = Told()
        track = told.send(request())
        told.books.doubt(track, 0)
        keeper = Asker(told)
        await keeper.resolve(track, expires_ms=4_000)
        return keeper.asked_at, track.status

    asked_at, status = run(main())
    assert asked_at == [0, 0.25, 0.75, 1.75, 3.75, 4.501]
    assert status is OrderStatus.REJECTED
