"""Who waits for orders to end."""

from __future__ import annotations

import asyncio


class Waits:
    """Futures by order; true while somebody may wait."""

    def __init__(self) -> None:
        self._waiters: dict[int, list[asyncio.Future[None]]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiters)

    def until_ended(self, order_id: int) -> asyncio.Future[None]:
        """A future that `release` will make done."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Waits that timed out are dropped here, so that a polling strategy does not pile them up.
        others = [each for each in self._waiters.get(order_id, ()) if not each.done()]
        self._waiters[order_id] = [*others, waiter]
        return waiter

    def release(self, order_id: int) -> bool:
        """The order has ended; whether somebody had asked."""
        waiters = self._waiters.pop(order_id, ())
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        return bool(waiters)

    def release_all(self) -> None:
        """Nothing more will happen."""
        for order_id in sorted(self._waiters):
            self.release(order_id)
