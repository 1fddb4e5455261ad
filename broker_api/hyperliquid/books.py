"""The venue's words about orders, fills and funding, told to the books that all adapters share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from broker_api.event import Reason
from broker_api.hyperliquid.contracts import Contract, to_nanos_exactly
from broker_api.hyperliquid.wire.account import BasicOrder, Fill, Funding, OrderUpdate
from broker_api.hyperliquid.wire.statuses import meaning_of
from broker_api.live import books
from broker_api.live.money import Execution, Money
from broker_api.live.tracks import Track
from broker_api.order import Liquidity, OrderStatus, Side

UNIT_NS = 1_000_000
"""The venue's times are milliseconds."""


class Books(books.Books):
    """The orders of one session, as the venue tells of them."""

    def __init__(self, money: Money, contracts: Sequence[Contract]) -> None:
        super().__init__(money)
        self._contracts = tuple(contracts)
        self._index = {each.coin: index for index, each in enumerate(contracts)}
        self._funded: dict[tuple[int, str], None] = {}

    def note_orders(self, orders: Iterable[BasicOrder]) -> None:
        """These work at the venue: which cloids are taken."""
        self.note_open((each.oid, each.cloid) for each in orders)

    def update(self, update: OrderUpdate) -> Track | None:
        """An order's new status; returns the order when somebody has to look what it filled."""
        order, ts_ms = update.order, update.status_timestamp
        track = self.find(order.oid, order.cloid)
        meaning = meaning_of(update.status)
        if track is None or meaning is None or track.has_ended:
            return None
        is_new = order.oid > track.oid
        if meaning.status is OrderStatus.REJECTED:
            if not track.awaits_answer:
                self.reject(track, meaning.reason, ts_ms)
            return None
        if is_new and track.oids and track.change is not None:
            self.replaced(track, order.oid, ts_ms)
        if meaning.status is OrderStatus.OPEN:
            self.accept(track, order.oid, ts_ms)
            if update.status == "triggered":
                self.trigger(track, ts_ms)
            return None
        if order.oid < track.oid or (track.change is not None and meaning.reason is Reason.BY_USER):
            return None  # the old leg of a change
        self.accept(track, order.oid, ts_ms)
        return self._update_end(track, order, meaning.reason, ts_ms)

    def _update_end(
        self, track: Track, order: BasicOrder, reason: Reason, ts_ms: int
    ) -> Track | None:
        """An end by update. Its sizes tell what was filled, unless the venue shrank the order."""
        filled: int | None = None
        if reason is Reason.NONE:  # "filled": but what takes at once may have lost a part
            if track.size_is_certain:
                return track if track.filled_lots < track.size_lots else None
            reason = track.rest_reason
        elif not track.request.reduce_only:
            lots = self._contracts[track.index].lots
            before = track.size_lots - lots(order.original_size)
            filled = before + lots(order.original_size - order.size)
        self.end(track, reason, ts_ms, filled)
        return None if track.has_ended else track

    def fill(self, fill: Fill) -> bool:
        """One execution; False when it was told before or is no news of the session."""
        return self.execute(self._execution(fill))

    def _execution(self, fill: Fill) -> Execution:
        index = self._index.get(fill.coin)
        contract = None if index is None else self._contracts[index]
        return Execution(
            key=fill.key,
            ts=fill.time,
            oid=fill.oid,
            name=fill.cloid,
            index=index,
            side=Side.BUY if fill.side == "B" else Side.SELL,
            price_ticks=0 if contract is None else contract.ticks(fill.price),
            lots=0 if contract is None else contract.lots(fill.size),
            fee_nanos=to_nanos_exactly(fill.fee),
            liquidity=Liquidity.TAKER if fill.crossed else Liquidity.MAKER,
            number=fill.tid,
            is_liquidation=fill.liquidation is not None,
        )

    def known(self, fills: Iterable[Fill], payments: Iterable[Funding]) -> None:
        """What happened before the session began is in its snapshot."""
        self.know((fill.key, fill.time) for fill in fills)
        for payment in payments:
            self._funded[(payment.time, payment.coin)] = None

    def funding(self, payment: Funding) -> bool:
        """A payment of funding; False when it was told before or is not of the session."""
        key = (payment.time, payment.coin)
        index = self._index.get(payment.coin)
        if payment.time < self.since or key in self._funded or index is None:
            return False
        self._funded[key] = None
        lots = self._contracts[index].lots(payment.size)
        self.money.pay(payment.time, index, -to_nanos_exactly(payment.usdc), lots)
        return True
