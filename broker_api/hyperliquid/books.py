"""What the venue says about the session's orders, as events in the only order that makes sense.

The venue tells of one order on three ways that overtake each other: the answer to its command, the
order's updates, and the fills. Here they meet. An order is accepted before it fills, fills once for
each execution however often that is told, and ends when it is known to have ended and every fill up
to then has been told. Nothing here sends, waits or reads a clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from broker_api.errors import OrderNotFoundError
from broker_api.event import (
    CancelRejected,
    Event,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    OrderReplaced,
    OrderTriggered,
    OrderUncertain,
    Reason,
    ReplaceRejected,
)
from broker_api.hyperliquid.money import SEEN_MAX, Money
from broker_api.hyperliquid.tracks import Ending, Terms, Track
from broker_api.hyperliquid.wire.account import BasicOrder, Fill, Funding, OrderUpdate
from broker_api.hyperliquid.wire.statuses import meaning_of
from broker_api.order import OrderStatus, Side, TimeInForce

ENDED_MAX = 10_000
"""Ended orders whose numbers are remembered, for messages that come late."""

FillKey = tuple[int, str, int, int]


class Books:
    """The orders of one session. `on_change` is called with an order that something was told of."""

    def __init__(self, money: Money) -> None:
        self.money = money
        self.tracks: dict[int, Track] = {}
        """Working orders by the session's numbers."""
        self.on_change: Callable[[Track], None] = lambda track: None
        self._by_cloid: dict[str, Track] = {}
        self._by_oid: dict[int, Track] = {}
        self._ended: deque[Track] = deque()
        self._seen: dict[FillKey, None] = {}
        self._funded: dict[tuple[int, str], None] = {}
        self._unclaimed: dict[int, list[Fill]] = {}
        self.taken: frozenset[str] = frozenset()
        """Cloids under which orders of other sessions work."""
        self.since_ms = 0
        """Fills and payments from before this time are in the snapshot already."""
        self.newest_ms = 0
        """The time of the newest fill that was told."""

    # --- orders of the session -----------------------------------------------------------------

    def add(self, track: Track, *, hidden: bool = False) -> None:
        """An order is about to be sent; hidden when its cloid is somebody else's."""
        self.tracks[track.order_id] = track
        if not hidden:
            self._by_cloid[track.cloid] = track

    def forget(self, track: Track) -> None:
        """An order surely never left."""
        self.tracks.pop(track.order_id, None)
        self._by_cloid.pop(track.cloid, None)

    def working(self, order_id: int) -> Track:
        """A working order by the session's number. Raises OrderNotFoundError."""
        track = self.tracks.get(order_id)
        if track is None:
            raise OrderNotFoundError(
                f"order {order_id} is no working order of this session", reason=Reason.UNKNOWN_ORDER
            )
        return track

    def find(self, oid: int, cloid: str | None) -> Track | None:
        """The session's order behind the venue's numbers."""
        found = self._by_oid.get(oid)
        return self._by_cloid.get(cloid) if found is None and cloid is not None else found

    def accept(self, track: Track, oid: int | None, ts_ms: int) -> None:
        """The order exists at the venue, under this oid."""
        if oid is not None and oid not in self._by_oid:
            self._by_oid[oid] = track
            track.oids.append(oid)
        if not track.accepted and not track.has_ended:
            track.accepted = True
            partly = OrderStatus.PARTIALLY_FILLED
            track.status = partly if track.filled_lots else OrderStatus.OPEN
            about = self._about(track, ts_ms)
            track.answer = OrderAccepted(
                **about, **track.prices(), side=track.request.side, value=track.oid
            )
            self._tell(track, track.answer)
        for fill in self._unclaimed.pop(oid or 0, ()):
            self._take(track, fill)

    def reject(
        self, track: Track, reason: Reason, ts_ms: int, value: int = 0, limit: int = 0
    ) -> None:
        """The venue refused the order: it does not exist."""
        if track.accepted or track.has_ended:
            return
        if reason is Reason.NO_LIQUIDITY and track.request.time_in_force is TimeInForce.IOC:
            # An Ioc that meets nothing is a refusal there, and the usual end of an Ioc here.
            self.end(track, Reason.IOC_REST, ts_ms, 0)
            return
        track.status = OrderStatus.REJECTED
        self._close(track)
        about = {**self._about(track, ts_ms), "leaves_lots": 0}
        track.answer = OrderRejected(**about, reason=reason, value=value, limit=limit)
        self._tell(track, track.answer)

    def doubt(self, track: Track, ts_ms: int) -> None:
        """Nobody knows if the order exists, or with which terms, until it is accepted again."""
        if not track.has_ended and track.status is not OrderStatus.UNCERTAIN:
            track.status = OrderStatus.UNCERTAIN
            track.accepted = False
            self._tell(track, OrderUncertain(**self._about(track, ts_ms)))

    def end(self, track: Track, reason: Reason, ts_ms: int, filled_lots: int | None) -> None:
        """The order ended unfilled, or filled in part; what it filled by then may not be told yet.

        With `filled_lots` None nobody has said how much that is: `settle` ends it when somebody has
        looked.
        """
        if track.has_ended:
            return
        self.accept(track, None, ts_ms)
        before = track.ending
        if filled_lots is None and before is not None:
            reason, ts_ms, filled_lots = before
        track.ending = Ending(reason, ts_ms, filled_lots)
        if filled_lots is not None and track.filled_lots >= filled_lots:
            self.settle(track)

    def settle(self, track: Track) -> None:
        """Every fill of an order that waits for its end has been told: it ends now."""
        ending = track.ending
        if ending is None or track.has_ended:
            return
        track.status = OrderStatus.CANCELLED
        self._close(track)
        about = {**self._about(track, ending.ts_ms), "leaves_lots": 0}
        track.ended = OrderCancelled(**about, reason=ending.reason)
        self._tell(track, track.ended)

    def trigger(self, track: Track, ts_ms: int) -> None:
        """The order's trigger fired; at which mark the venue does not say."""
        stop = track.stop_ticks
        if track.triggered or track.has_ended or stop is None:
            return
        self.accept(track, None, ts_ms)
        track.triggered = True
        about = self._about(track, ts_ms)
        self._tell(track, OrderTriggered(**about, price_ticks=stop, stop_ticks=stop))

    # --- changes and refusals ------------------------------------------------------------------

    def begin_change(self, track: Track, terms: Terms) -> None:
        """A change is about to be sent: until its answer the old order's end is no end."""
        track.change = terms
        track.replaced = None

    def replaced(self, track: Track, oid: int | None, ts_ms: int) -> OrderReplaced | None:
        """The change is done, the order has a new oid; None when that was told already."""
        change, track.change = track.change, None
        if change is None or track.has_ended:
            self.accept(track, oid, ts_ms)
            return None
        is_certain = track.accepted
        if oid is not None and oid not in self._by_oid:
            self._by_oid[oid] = track
            track.oids.append(oid)
        track.left_lots = change.left_lots
        track.size_lots = max(change.size_lots, track.filled_lots)
        track.limit_ticks, track.stop_ticks = change.limit_ticks, change.stop_ticks
        if is_certain:
            about = self._about(track, ts_ms)
            track.replaced = OrderReplaced(
                **about, **track.prices(), reason=Reason.NONE, value=track.oid
            )
            self._tell(track, track.replaced)
        # Of an uncertain order this tells the new terms; and fills that came before are told now.
        self.accept(track, oid, ts_ms)
        return track.replaced if is_certain else None

    def refuse_change(
        self, track: Track, reason: Reason, ts_ms: int, value: int = 0, limit: int = 0
    ) -> ReplaceRejected:
        """A change was refused; the order is as it was, and so is another change under way."""
        about = self._about(track, ts_ms)
        refused = ReplaceRejected(**about, reason=reason, value=value, limit=limit)
        self._tell(track, refused)
        return refused

    def refuse_cancel(self, track: Track, reason: Reason, ts_ms: int) -> CancelRejected:
        """There was nothing to cancel."""
        refused = CancelRejected(**self._about(track, ts_ms), reason=reason)
        self._tell(track, refused)
        return refused

    # --- what the venue tells of itself --------------------------------------------------------

    def note_open(self, orders: Iterable[BasicOrder]) -> None:
        """These work at the venue: which cloids are taken."""
        self.taken = frozenset(
            each.cloid
            for each in orders
            if each.cloid is not None and self.find(each.oid, each.cloid) is None
        )

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
            lots = track.contract.lots
            before = track.size_lots - lots(order.original_size)
            filled = before + lots(order.original_size - order.size)
        self.end(track, reason, ts_ms, filled)
        return None if track.has_ended else track

    def fill(self, fill: Fill) -> bool:
        """One execution; False when it was told before or is no news of the session."""
        if fill.key in self._seen:
            return False
        self._remember(fill.key)
        if fill.time < self.since_ms:
            return False
        self.newest_ms = max(self.newest_ms, fill.time)
        track = self.find(fill.oid, fill.cloid)
        if track is not None and not track.has_ended:
            self._take(track, fill)
            return True
        if fill.cloid is None and any(not each.oids for each in self.tracks.values()):
            # It may be of an order whose number is not known yet.
            self._unclaimed.setdefault(fill.oid, []).append(fill)
            return False
        return self.money.book_foreign(fill)

    def disown(self) -> None:
        """Every order's number is known by now: what nobody claimed is not the session's."""
        unclaimed, self._unclaimed = self._unclaimed, {}
        for fills in unclaimed.values():
            for fill in fills:
                self.money.book_foreign(fill)

    def known(self, fills: Iterable[Fill], payments: Iterable[Funding]) -> None:
        """What happened before the session began is in its snapshot."""
        for fill in fills:
            self._remember(fill.key)
            self.since_ms = self.newest_ms = max(self.since_ms, fill.time)
        for payment in payments:
            self._funded[(payment.time, payment.coin)] = None

    def _remember(self, key: FillKey) -> None:
        self._seen[key] = None
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]

    def _take(self, track: Track, fill: Fill) -> None:
        """A fill of a working order."""
        if track.change is not None and track.oids and fill.oid > track.oid:
            self.replaced(track, fill.oid, fill.time)
        self.accept(track, fill.oid, fill.time)
        lots = track.contract.lots(fill.size)
        track.filled_lots += lots
        if fill.oid == track.oid:
            track.left_lots = max(0, track.left_lots - lots)
        # It may have filled while a change to a smaller size was on its way.
        track.size_lots = max(track.size_lots, track.filled_lots)
        whole = track.filled_lots == track.size_lots
        track.status = OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED
        if whole:
            self._close(track)
        side = Side.BUY if fill.side == "B" else Side.SELL
        self.money.book(fill, track.index, side, self._about(track, fill.time))
        ending = track.ending
        if not whole and ending is not None and ending.filled_lots == track.filled_lots:
            self.settle(track)
        self.on_change(track)

    def funding(self, payment: Funding) -> bool:
        """A payment of funding; False when it was told before or is not of the session."""
        key = (payment.time, payment.coin)
        index = self.money.index_of(payment.coin)
        if payment.time < self.since_ms or key in self._funded or index is None:
            return False
        self._funded[key] = None
        self.money.pay(payment, index)
        return True

    # --- telling -------------------------------------------------------------------------------

    def _about(self, track: Track, ts_ms: int) -> dict[str, Any]:
        return {
            "seq": 0,
            "ts_ns": self.money.time_ns(ts_ms),
            "instrument": track.index,
            "order_id": track.order_id,
            "status": track.status,
            "filled_lots": track.filled_lots,
            "leaves_lots": max(0, track.size_lots - track.filled_lots),
        }

    def _tell(self, track: Track, event: Event) -> None:
        self.money.emit(event)
        self.on_change(track)

    def _close(self, track: Track) -> None:
        """The order is no working order any more; its numbers stay known for late messages."""
        self.tracks.pop(track.order_id, None)
        self._ended.append(track)
        if len(self._ended) > ENDED_MAX:
            oldest = self._ended.popleft()
            for oid in oldest.oids:
                self._by_oid.pop(oid, None)
            if self._by_cloid.get(oldest.cloid) is oldest:
                del self._by_cloid[oldest.cloid]
