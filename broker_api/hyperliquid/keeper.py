"""How this venue is asked about what is not certain; what is done then all adapters share."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from broker_api.event import Reason
from broker_api.hyperliquid.books import Books
from broker_api.hyperliquid.client import Client
from broker_api.hyperliquid.contracts import Contract
from broker_api.hyperliquid.wire.account import BasicOrder, ClearinghouseState, OrderUpdate
from broker_api.hyperliquid.wire.statuses import meaning_of
from broker_api.live import keeper
from broker_api.live.keeper import Found, Working
from broker_api.live.tracks import Track

OLDER_MS = 2_000
"""An order that is older than this before its sending is another one under the same name."""
HOUR_MS = 3_600_000


class Keeper(keeper.Keeper):
    """Keeps a session's books true. `venue_ms` is the venue's newest time."""

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
        super().__init__(
            books,
            settle_seconds=settle_seconds,
            grace_seconds=grace_seconds,
            now_ms=client.now_ms,
            venue_now=venue_ms,
            note=note,
        )
        self._client = client
        self._told_books = books
        self._contracts = contracts
        self._funded_hour = venue_ms() // HOUR_MS
        self.state: ClearinghouseState | None = None

    async def _ask_about(self, track: Track) -> Found | None:
        found = (await self._client.order_status(track.name)).order
        if found is None and track.oid:
            found = (await self._client.order_status(track.oid)).order
        if found is None or found.order.timestamp < track.sent - OLDER_MS:
            return None
        await self._fetch_fills(track.sent)
        meaning = meaning_of(found.status)
        order = found.order
        if not track.has_ended:
            basic = BasicOrder(
                order.coin,
                order.side,
                order.limit_price,
                order.size,
                order.oid,
                order.timestamp,
                order.original_size,
                track.name,
                order.reduce_only,
            )
            self._told_books.update(OrderUpdate(basic, found.status, found.status_timestamp))
        if meaning is None:
            return Found(False, Reason.NONE, found.status_timestamp)
        return Found(meaning.status.is_terminal, meaning.reason, found.status_timestamp)

    async def _fetch_fills(self, since_ms: int) -> None:
        start = min(self._books.newest or since_ms, since_ms)
        for fill in await self._client.fills_since(max(0, start)):
            self._told_books.fill(fill)

    async def _fetch_history(self) -> None:
        await self._fetch_fills(self._books.newest)
        hour = self._venue_now() // HOUR_MS
        if hour != self._funded_hour:  # payments are made on the hour
            for payment in await self._client.funding_since(max(0, (hour - 1) * HOUR_MS)):
                self._told_books.funding(payment)
            self._funded_hour = hour

    async def _fetch_orders(self) -> Iterable[Working]:
        orders = await self._client.open_orders()
        return [Working(order.oid, order.cloid, order.timestamp) for order in orders]

    async def _fetch_positions(self) -> list[int]:
        self.state = await self._client.state()
        held = {entry.position.coin: entry.position.size for entry in self.state.positions}
        return [
            contract.lots(held[contract.coin]) if contract.coin in held else 0
            for contract in self._contracts
        ]
