"""What the venue says about the session's orders, as events in the only order that makes sense.

The venue tells of one order on three ways that overtake each other: the answer to its command, the
order's updates, and the fills. Here they meet. An order is accepted before it fills, fills once for
each execution however often that is told, and ends when it is known to have ended and every fill up
to then has been told. Nothing here sends, waits or reads a clock. Times are the venue's own, in its
unit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
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
from broker_api.live.money import SEEN_MAX, Execution, Money
from broker_api.live.tracks import Ending, Terms, Track
from broker_api.order import OrderStatus, TimeInForce

ENDED_MAX = 10_000
"""Ended orders whose numbers are remembered, for messages that come late."""


class Books:
    """The orders of one session. `on_change` is called with an order that something was told of."""

    def __init__(self, money: Money) -> None:
        self.money = money
        self.tracks: dict[int, Track] = {}
        """Working orders by the session's numbers."""
        self.on_change: Callable[[Track], None] = lambda track: None
        self._by_name: dict[str, Track] = {}
        self._by_oid: dict[int, Track] = {}
        self._ended: deque[Track] = deque()
        self._seen: dict[Hashable, None] = {}
        self._unclaimed: dict[int, list[Execution]] = {}
        self.taken: frozenset[str] = frozenset()
        """Names under which orders of other sessions work."""
        self.since = 0
        """Executions from before this time are in the snapshot already."""
        self.newest = 0
        """The time of the newest execution that was told."""

    # --- orders of the session -----------------------------------------------------------------

    def add(self, track: Track, *, hidden: bool = False) -> None:
        """An order is about to be sent; hidden when its name is somebody else's."""
        self.tracks[track.order_id] = track
        if not hidden:
            self._by_name[track.name] = track

    def forget(self, track: Track) -> None:
        """An order surely never left."""
        self.tracks.pop(track.order_id, None)
        self._by_name.pop(track.name, None)

    def working(self, order_id: int) -> Track:
        """A working order by the session's number. Raises OrderNotFoundError."""
        track = self.tracks.get(order_id)
        if track is None:
            raise OrderNotFoundError(
                f"order {order_id} is no working order of this session", reason=Reason.UNKNOWN_ORDER
            )
        return track

    def find(self, oid: int, name: str | None) -> Track | None:
        """The session's order behind the venue's numbers."""
        found = self._by_oid.get(oid)
        return self._by_name.get(name) if found is None and name is not None else found

    def accept(self, track: Track, oid: int | None, ts: int) -> None:
        """The order exists at the venue, under this oid."""
        if oid is not None and oid not in self._by_oid:
            self._by_oid[oid] = track
            track.oids.append(oid)
        if not track.accepted and not track.has_ended:
            track.accepted = True
            partly = OrderStatus.PARTIALLY_FILLED
            track.status = partly if track.filled_lots else OrderStatus.OPEN
            about = self._about(track, ts)
            track.answer = OrderAccepted(
                **about, **track.prices(), side=track.request.side, value=track.oid
            )
            self._tell(track, track.answer)
        for execution in self._unclaimed.pop(oid or 0, ()):
            if track.has_ended:
                self.money.book_foreign(execution)
            else:
                self._take(track, execution)

    def reject(self, track: Track, reason: Reason, ts: int, value: int = 0, limit: int = 0) -> None:
        """The venue refused the order: it does not exist."""
        if track.accepted or track.has_ended:
            return
        if reason is Reason.NO_LIQUIDITY and track.request.time_in_force is TimeInForce.IOC:
            # An Ioc that meets nothing is a refusal there, and the usual end of an Ioc here.
            self.end(track, Reason.IOC_REST, ts, 0)
            return
        track.status = OrderStatus.REJECTED
        self._close(track)
        about = {**self._about(track, ts), "leaves_lots": 0}
        track.answer = OrderRejected(**about, reason=reason, value=value, limit=limit)
        self._tell(track, track.answer)

    def doubt(self, track: Track, ts: int) -> None:
        """Nobody knows if the order exists, or with which terms, until it is accepted again."""
        if not track.has_ended and track.status is not OrderStatus.UNCERTAIN:
            track.status = OrderStatus.UNCERTAIN
            track.accepted = False
            self._tell(track, OrderUncertain(**self._about(track, ts)))

    def end(self, track: Track, reason: Reason, ts: int, filled_lots: int | None) -> None:
        """The order ended unfilled, or filled in part; what it filled by then may not be told yet.

        With `filled_lots` None nobody has said how much that is: `settle` ends it when somebody has
        looked.
        """
        if track.has_ended:
            return
        self.accept(track, None, ts)
        before = track.ending
        if filled_lots is None and before is not None:
            reason, ts, filled_lots = before
        track.ending = Ending(reason, ts, filled_lots)
        if filled_lots is not None and track.filled_lots >= filled_lots:
            self.settle(track)

    def settle(self, track: Track) -> None:
        """Every fill of an order that waits for its end has been told: it ends now."""
        ending = track.ending
        if ending is None or track.has_ended:
            return
        track.status = OrderStatus.CANCELLED
        self._close(track)
        about = {**self._about(track, ending.ts), "leaves_lots": 0}
        track.ended = OrderCancelled(**about, reason=ending.reason)
        self._tell(track, track.ended)

    def trigger(self, track: Track, ts: int) -> None:
        """The order's trigger fired; at which mark the venue does not say."""
        stop = track.stop_ticks
        if track.triggered or track.has_ended or stop is None:
            return
        self.accept(track, None, ts)
        track.triggered = True
        about = self._about(track, ts)
        self._tell(track, OrderTriggered(**about, price_ticks=stop, stop_ticks=stop))

    # --- changes and refusals ------------------------------------------------------------------

    def begin_change(self, track: Track, terms: Terms) -> None:
        """A change is about to be sent: until its answer the old order's end is no end."""
        track.change = terms
        track.replaced = None

    def replaced(self, track: Track, oid: int | None, ts: int) -> OrderReplaced | None:
        """The change is done, the order has a new oid; None when that was told already."""
        change, track.change = track.change, None
        if change is None or track.has_ended:
            self.accept(track, oid, ts)
            return None
        is_certain = track.accepted
        # Where the venue makes a new order of it, that one knows of no fill since it was asked for.
        is_the_same = oid is not None and oid == track.oid
        track.left_lots = change.size_lots - track.filled_lots if is_the_same else change.left_lots
        if oid is not None and oid not in self._by_oid:
            self._by_oid[oid] = track
            track.oids.append(oid)
        track.wanted_lots = change.size_lots
        track.size_lots = max(change.size_lots, track.filled_lots + track.left_lots)
        track.limit_ticks, track.stop_ticks = change.limit_ticks, change.stop_ticks
        if is_certain:
            about = self._about(track, ts)
            track.replaced = OrderReplaced(
                **about, **track.prices(), reason=Reason.NONE, value=track.oid
            )
            self._tell(track, track.replaced)
        # Of an uncertain order this tells the new terms; and fills that came before are told now.
        self.accept(track, oid, ts)
        return track.replaced if is_certain else None

    def refuse_change(
        self, track: Track, reason: Reason, ts: int, value: int = 0, limit: int = 0
    ) -> ReplaceRejected:
        """A change was refused; the order is as it was, and so is another change under way."""
        about = self._about(track, ts)
        refused = ReplaceRejected(**about, reason=reason, value=value, limit=limit)
        self._tell(track, refused)
        return refused

    def refuse_cancel(self, track: Track, reason: Reason, ts: int) -> CancelRejected:
        """There was nothing to cancel."""
        refused = CancelRejected(**self._about(track, ts), reason=reason)
        self._tell(track, refused)
        return refused

    # --- what the venue tells of itself --------------------------------------------------------

    def note_open(self, orders: Iterable[tuple[int, str | None]]) -> None:
        """These work at the venue, by number and name: which names are taken."""
        self.taken = frozenset(
            name for oid, name in orders if name is not None and self.find(oid, name) is None
        )

    def execute(self, execution: Execution) -> bool:
        """One execution; False when it was told before or is no news of the session."""
        if execution.key in self._seen:
            return False
        self._remember(execution.key)
        if execution.ts < self.since:
            return False
        self.newest = max(self.newest, execution.ts)
        track = self.find(execution.oid, execution.name)
        if track is not None and not track.has_ended:
            self._take(track, execution)
            return True
        if execution.name is None and any(not each.oids for each in self.tracks.values()):
            # It may be of an order whose number is not known yet.
            self._unclaimed.setdefault(execution.oid, []).append(execution)
            return False
        return self.money.book_foreign(execution)

    def disown(self) -> None:
        """Every order's number is known by now: what nobody claimed is not the session's."""
        unclaimed, self._unclaimed = self._unclaimed, {}
        for executions in unclaimed.values():
            for each in executions:
                self.money.book_foreign(each)

    def know(self, executions: Iterable[tuple[Hashable, int]]) -> None:
        """Executions, by key and time, from before the session: they are in its snapshot."""
        for key, ts in executions:
            self._remember(key)
            self.since = self.newest = max(self.since, ts)

    def _remember(self, key: Hashable) -> None:
        self._seen[key] = None
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]

    def _take(self, track: Track, execution: Execution) -> None:
        """An execution of a working order."""
        oid, lots = execution.oid, execution.lots
        if track.change is not None and track.oids and oid > track.oid:
            self.replaced(track, oid, execution.ts)
        self.accept(track, oid, execution.ts)
        if oid == track.oid:
            track.left_lots = max(0, track.left_lots - lots)
        self._grow(track, track.filled_lots + lots + track.left_lots, execution.ts)
        track.filled_lots += lots
        whole = track.filled_lots == track.size_lots
        track.status = OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED
        if whole:
            self._close(track)
        self.money.book(execution, track.index, self._about(track, execution.ts))
        ending = track.ending
        if not whole and ending is not None and ending.filled_lots == track.filled_lots:
            self.settle(track)
        self.on_change(track)

    def _grow(self, track: Track, size_lots: int, ts: int) -> None:
        """A fill was told that a change did not know of: the venue's order is larger by it."""
        if size_lots > track.size_lots:
            track.size_lots = size_lots
            about = self._about(track, ts)
            self.money.emit(
                OrderReplaced(
                    **about, **track.prices(), reason=Reason.FILLED_BEYOND, value=track.oid
                )
            )

    # --- telling -------------------------------------------------------------------------------

    def _about(self, track: Track, ts: int) -> dict[str, Any]:
        return {
            "seq": 0,
            "ts_ns": self.money.time_ns(ts),
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
            if self._by_name.get(oldest.name) is oldest:
                del self._by_name[oldest.name]
