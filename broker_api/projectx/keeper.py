"""How the gateway is asked about what is not certain; what is done then all adapters share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from broker_api.event import Reason
from broker_api.instrument import NANOS
from broker_api.live import keeper
from broker_api.live.keeper import Found, Working
from broker_api.live.tracks import Track
from broker_api.projectx.books import UNIT_NS, Books
from broker_api.projectx.client import Client
from broker_api.projectx.contracts import Contract
from broker_api.projectx.wire.enums import OrderStatus, PositionType
from broker_api.projectx.wire.records import Position

MARGIN_NS = 60 * NANOS
"""Searches begin so much earlier: the gateway's clocks need not agree among themselves."""


class Keeper(keeper.Keeper):
    """Keeps a session's books true. `venue_us` is the gateway's newest time, in microseconds."""

    def __init__(
        self,
        client: Client,
        books: Books,
        contracts: Sequence[Contract],
        *,
        settle_seconds: float,
        now_ms: Callable[[], int],
        venue_us: Callable[[], int],
        note: Callable[[str], None],
    ) -> None:
        super().__init__(
            books,
            settle_seconds=settle_seconds,
            grace_seconds=0.0,
            now_ms=now_ms,
            venue_now=venue_us,
            note=note,
        )
        self._client = client
        self._told_books = books
        self._contracts = tuple(contracts)
        self.since_ns = 0
        """When the session began, by the gateway's time."""

    async def _ask_about(self, track: Track) -> Found | None:
        since_ns = max(0, track.sent * UNIT_NS - MARGIN_NS)
        record = await self._client.order(track.oid) if track.oid else None
        if record is None:
            named = [
                each
                for each in await self._client.orders_since(since_ns)
                if each.custom_tag == track.name
            ]
            if not named:
                return None
            # A request that arrived twice has left a refused order under the same tag.
            record = min(named, key=lambda each: each.status is OrderStatus.REJECTED)
        if record.fill_volume > track.filled_lots:
            await self._fetch_trades(since_ns)
        if not track.has_ended:
            self._told_books.order(record, is_searched=True)
        ts = (record.updated or record.created) // UNIT_NS
        reason = self._told_books.asked_to_end.get(track.order_id, Reason.BY_VENUE)
        return Found(record.status.is_final, reason, ts)

    async def _fetch_trades(self, since_ns: int) -> None:
        for trade in await self._client.trades_since(since_ns):
            self._told_books.trade(trade)

    async def _fetch_history(self) -> None:
        newest_ns = self._books.newest * UNIT_NS
        await self._fetch_trades(max(0, (newest_ns or self.since_ns) - MARGIN_NS))

    async def _fetch_orders(self) -> Iterable[Working]:
        records = await self._client.open_orders()
        for record in records:
            self._told_books.order(record)
        return [Working(each.id, each.custom_tag, each.created // UNIT_NS) for each in records]

    async def _fetch_positions(self) -> list[int]:
        return lots_of(await self._client.positions(), self._contracts)


def lots_of(positions: Sequence[Position], contracts: Sequence[Contract]) -> list[int]:
    """Signed lots by instrument."""
    held = {each.contract_id: signed(each) for each in positions}
    return [held.get(contract.id, 0) for contract in contracts]


def signed(position: Position) -> int:
    """Lots, negative when short."""
    return -position.size if position.type is PositionType.SHORT else position.size
