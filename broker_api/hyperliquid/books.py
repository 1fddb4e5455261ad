"""What the venue says about the session's orders, as events in the only order that makes sense.

The venue tells of one order on three ways that overtake each other: the answer to its command, the
order's updates, and the fills. Here they meet. An order is accepted before it fills, fills once for
each execution however often that is told, and ends when it is known to have ended and every fill up
to then has been told. Nothing here sends, waits or reads a clock.

Positions and cash are netted with the ledger's own arithmetic, so that the figures which follow
each fill are the ledger's; `truth.py` compares them with the venue's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from broker_api.broker import PositionState, Snapshot
from broker_api.event import (
    AccountChanged,
    CancelRejected,
    Event,
    EventRow,
    FundingPaid,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
    OrderReplaced,
    OrderTriggered,
    OrderUncertain,
    PositionChanged,
    Reason,
    ReplaceRejected,
    encode,
)
from broker_api.hyperliquid.contracts import Contract, to_nanos_exactly
from broker_api.hyperliquid.wire.account import BasicOrder, Fill, Funding, OrderUpdate
from broker_api.hyperliquid.wire.statuses import meaning_of
from broker_api.order import (
    NO_PRICE,
    Liquidity,
    OrderRequest,
    OrderStatus,
    OrderType,
    ReplaceRequest,
    TimeInForce,
)
from broker_api.record import PositionRecord

NS_MILLISECOND = 1_000_000
ENDED_MAX = 10_000
"""Ended orders whose numbers are remembered."""
SEEN_MAX = 50_000
"""Fills whose keys are remembered; the venue itself repeats at most the newest 2,000."""


class Terms(NamedTuple):
    """What a change asked for: total size and prices."""

    size_lots: int
    limit_ticks: int | None
    stop_ticks: int | None


class Ending(NamedTuple):
    """An order's end that waits for fills which have not been told yet."""

    reason: Reason
    ts_ms: int
    filled_lots: int | None
    """What it will have filled, None when nobody has said."""


class Track:
    """One working order: the session's number, the venue's numbers, and how far it is."""

    __slots__ = (
        "accepted",
        "answer",
        "change",
        "cloid",
        "contract",
        "ending",
        "filled_lots",
        "index",
        "limit_ticks",
        "oids",
        "order_id",
        "order_type",
        "reduce_only",
        "sent_ms",
        "side",
        "size_lots",
        "status",
        "stop_ticks",
        "time_in_force",
        "triggered",
    )

    def __init__(
        self, request: OrderRequest, contract: Contract, index: int, cloid: str, sent_ms: int
    ) -> None:
        self.order_id = request.order_id
        self.contract = contract
        self.index = index
        self.cloid = cloid
        self.oids: list[int] = []
        self.side = request.side
        self.order_type = request.order_type
        self.time_in_force = request.time_in_force
        self.reduce_only = request.reduce_only
        self.size_lots = request.size_lots
        self.limit_ticks = request.limit_ticks
        self.stop_ticks = request.stop_ticks
        self.filled_lots = 0
        self.status = OrderStatus.PENDING
        self.accepted = False
        self.triggered = False
        self.answer: OrderAccepted | OrderRejected | None = None
        self.change: Terms | None = None
        self.ending: Ending | None = None
        self.sent_ms = sent_ms

    @property
    def has_ended(self) -> bool:
        """Nothing can happen to it any more."""
        return self.status.is_terminal

    @property
    def takes_at_once(self) -> bool:
        """It never rests: what it does not take at once is gone."""
        return (
            self.order_type in (OrderType.MARKET, OrderType.STOP, OrderType.MARKET_IF_TOUCHED)
            or self.time_in_force is TimeInForce.IOC
        )


class Books:
    """Working orders, positions and cash of one account, and the events that change them.

    `emit` is given every row; `on_change` is called with an order of which something was told.
    """

    def __init__(
        self, contracts: Sequence[Contract], snapshot: Snapshot, emit: Callable[[EventRow], None]
    ) -> None:
        self._contracts = tuple(contracts)
        self._index = {each.coin: index for index, each in enumerate(contracts)}
        self._emit_row = emit
        self._sequence = 0
        self._last_ns = 0
        self.positions = [PositionRecord(each.spec) for each in contracts]
        self.cash_nanos = snapshot.cash_nanos
        self.fees_nanos = 0
        self.tracks: dict[int, Track] = {}
        self._by_cloid: dict[str, Track] = {}
        self._by_oid: dict[int, Track] = {}
        self._ended_tracks: deque[Track] = deque()
        self._seen: dict[tuple[int, str, int, int], None] = {}
        self._funded: dict[tuple[int, str], None] = {}
        self._foreign = 0
        self.since_ms = 0
        """Fills and payments from before this time are in the snapshot already."""
        self.newest_ms = 0
        """The time of the newest fill that was told."""
        self.on_change: Callable[[Track], None] = lambda track: None
        self.on_foreign: Callable[[Fill], None] = lambda fill: None
        for state in snapshot.positions:
            self._open(state)

    def _open(self, state: PositionState) -> None:
        position = self.positions[state.instrument]
        position.lots, position.cost = state.position_lots, state.position_cost
        position.realised_nanos = state.realised_nanos

    # --- orders of the session -----------------------------------------------------------------

    def add(self, track: Track) -> None:
        """An order is about to be sent."""
        self.tracks[track.order_id] = track
        self._by_cloid[track.cloid] = track

    def forget(self, track: Track) -> None:
        """An order surely never left."""
        self.tracks.pop(track.order_id, None)
        self._by_cloid.pop(track.cloid, None)

    def find(self, oid: int, cloid: str | None) -> Track | None:
        """The session's order behind the venue's numbers."""
        found = self._by_oid.get(oid)
        return self._by_cloid.get(cloid) if found is None and cloid is not None else found

    def accept(self, track: Track, oid: int | None, ts_ms: int) -> None:
        """The order exists at the venue, under this oid."""
        if oid is not None and oid not in self._by_oid:
            self._by_oid[oid] = track
            track.oids.append(oid)
        if track.accepted or track.has_ended:
            return
        track.accepted = True
        track.status = OrderStatus.OPEN
        track.answer = OrderAccepted(
            **self._about(track, ts_ms),
            side=track.side,
            price_ticks=_or_none(track.limit_ticks),
            stop_ticks=_or_none(track.stop_ticks),
            lots=track.size_lots,
        )
        self._tell(track, track.answer)

    def reject(
        self, track: Track, reason: Reason, ts_ms: int, value: int = 0, limit: int = 0
    ) -> None:
        """The venue refused the order: it does not exist."""
        if track.accepted or track.has_ended:
            return
        track.status = OrderStatus.REJECTED
        self._close(track)
        about = {**self._about(track, ts_ms), "leaves_lots": 0}
        track.answer = OrderRejected(**about, reason=reason, value=value, limit=limit)
        self._tell(track, track.answer)

    def doubt(self, track: Track, ts_ms: int) -> None:
        """Nobody knows whether the order exists."""
        if track.accepted or track.has_ended or track.status is OrderStatus.UNCERTAIN:
            return
        track.status = OrderStatus.UNCERTAIN
        self._tell(track, OrderUncertain(**self._about(track, ts_ms)))

    def end(self, track: Track, reason: Reason, ts_ms: int, filled_lots: int | None) -> None:
        """The order ended unfilled, or filled in part; what it filled by then may not be told yet.

        With `filled_lots` None nobody has said how much it filled: `settle` ends it when somebody
        has looked.
        """
        if track.has_ended:
            return
        self.accept(track, None, ts_ms)
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
        self._tell(track, OrderCancelled(**about, reason=ending.reason))

    def trigger(self, track: Track, ts_ms: int) -> None:
        """The order's trigger fired; at which mark the venue does not say."""
        if track.triggered or track.has_ended or track.stop_ticks is None:
            return
        self.accept(track, None, ts_ms)
        track.triggered = True
        about = self._about(track, ts_ms)
        self._tell(
            track,
            OrderTriggered(**about, price_ticks=track.stop_ticks, stop_ticks=track.stop_ticks),
        )

    # --- changes and refusals ------------------------------------------------------------------

    def begin_change(self, track: Track, request: ReplaceRequest) -> Terms:
        """A change is about to be sent: until its answer the old order's end is no end."""
        limit, stop = track.limit_ticks, track.stop_ticks
        track.change = Terms(
            track.size_lots if request.size_lots is None else request.size_lots,
            limit if request.limit_ticks is None else request.limit_ticks,
            stop if request.stop_ticks is None else request.stop_ticks,
        )
        return track.change

    def replaced(self, track: Track, oid: int | None, ts_ms: int) -> OrderReplaced | None:
        """The change is done, the order has a new oid; None when that was told already."""
        change, track.change = track.change, None
        self.accept(track, oid, ts_ms)
        if change is None or track.has_ended:
            return None
        track.size_lots = max(change.size_lots, track.filled_lots)
        track.limit_ticks, track.stop_ticks = change.limit_ticks, change.stop_ticks
        replaced = OrderReplaced(
            **self._about(track, ts_ms),
            reason=Reason.NONE,
            price_ticks=_or_none(track.limit_ticks),
            stop_ticks=_or_none(track.stop_ticks),
            lots=track.size_lots,
        )
        self._tell(track, replaced)
        return replaced

    def refuse_change(
        self, track: Track, reason: Reason, ts_ms: int, value: int = 0, limit: int = 0
    ) -> ReplaceRejected:
        """The change was refused; the order is as it was."""
        track.change = None
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

    def update(self, update: OrderUpdate) -> Track | None:
        """An order's new status; returns the order when somebody has to look what it filled."""
        order = update.order
        track = self.find(order.oid, order.cloid)
        meaning = meaning_of(update.status)
        if track is None or meaning is None or track.has_ended:
            return None
        ts_ms = update.status_timestamp
        is_newest = not track.oids or order.oid >= track.oids[-1]
        if meaning.status is OrderStatus.REJECTED:
            if not track.accepted:
                self._refused(track, meaning.reason, ts_ms)
            return None
        if track.change is not None and track.oids and order.oid > track.oids[-1]:
            self.replaced(track, order.oid, ts_ms)
        if meaning.status is OrderStatus.OPEN:
            self.accept(track, order.oid, ts_ms)
            if update.status == "triggered":
                self.trigger(track, ts_ms)
            return None
        if not is_newest or (track.change is not None and meaning.reason is Reason.BY_USER):
            return None  # the old leg of a change
        self.accept(track, order.oid, ts_ms)
        return self._ended(track, order, meaning.reason, ts_ms)

    def _refused(self, track: Track, reason: Reason, ts_ms: int) -> None:
        if reason is Reason.NO_LIQUIDITY and track.time_in_force is TimeInForce.IOC:
            # An Ioc that meets nothing is a refusal there and the usual end of an Ioc here.
            self.end(track, Reason.IOC_REST, ts_ms, 0)
        else:
            self.reject(track, reason, ts_ms)

    def _ended(self, track: Track, order: BasicOrder, reason: Reason, ts_ms: int) -> Track | None:
        """An end by update. Its sizes tell what was filled, unless the venue shrank the order."""
        filled: int | None = None
        if reason is Reason.NONE:  # "filled"; an Ioc may have lost a part of it
            reason = self.rest_reason(track)
            if not track.takes_at_once and not track.reduce_only:
                filled = track.size_lots
        elif not track.reduce_only:
            before = track.size_lots - track.contract.lots(order.original_size)
            filled = before + track.contract.lots(order.original_size - order.size)
        if filled is not None and filled >= track.size_lots:
            return track if track.filled_lots < track.size_lots else None
        self.end(track, reason, ts_ms, filled)
        return None if track.has_ended else track

    @staticmethod
    def rest_reason(track: Track) -> Reason:
        """Why the rest of an order is gone that the venue calls filled."""
        if track.order_type is OrderType.MARKET or track.triggered:
            return Reason.MARKET_REST
        if track.time_in_force is TimeInForce.IOC:
            return Reason.IOC_REST
        return Reason.REDUCE_ONLY_DONE if track.reduce_only else Reason.BY_VENUE

    def fill(self, fill: Fill) -> bool:
        """One execution; False when it was told before or happened before the session."""
        if fill.key in self._seen:
            return False
        self._remember(fill.key)
        if fill.time < self.since_ms:
            return False
        index = self._index.get(fill.coin)
        self.newest_ms = max(self.newest_ms, fill.time)
        track = self.find(fill.oid, fill.cloid)
        if index is None or track is None or track.index != index or track.has_ended:
            self.on_foreign(fill)
            return False
        if track.change is not None and track.oids and fill.oid > track.oids[-1]:
            self.replaced(track, fill.oid, fill.time)
        self.accept(track, fill.oid, fill.time)
        self._apply(track, fill)
        return True

    def known(self, fills: Iterable[Fill], payments: Iterable[Funding]) -> None:
        """What happened before the snapshot and is in it."""
        for fill in fills:
            self._remember(fill.key)
            self.since_ms = self.newest_ms = max(self.since_ms, fill.time)
        for payment in payments:
            self._funded[(payment.time, payment.coin)] = None

    def _remember(self, key: tuple[int, str, int, int]) -> None:
        self._seen[key] = None
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]

    def _apply(self, track: Track, fill: Fill) -> None:
        contract = track.contract
        lots, price = contract.lots(fill.size), contract.ticks(fill.price)
        track.filled_lots += lots
        if track.filled_lots > track.size_lots:
            # It filled while a change to a smaller size was on its way.
            track.size_lots = track.filled_lots
        whole = track.filled_lots == track.size_lots
        track.status = OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED
        fee = to_nanos_exactly(fill.fee)
        event = OrderFilled(
            **self._about(track, fill.time),
            side=track.side,
            price_ticks=price,
            lots=lots,
            fee_nanos=fee,
            liquidity=Liquidity.TAKER if fill.crossed else Liquidity.MAKER,
            ambiguous=False,
        )
        if whole:
            self._close(track)
        self._emit(event)
        self._net(track.index, lots * track.side.sign, price, fee, fill.time)
        ending = track.ending
        if not whole and ending is not None and ending.filled_lots == track.filled_lots:
            self.settle(track)
        self.on_change(track)

    def _net(self, index: int, signed_lots: int, price: int, fee: int, ts_ms: int) -> None:
        position = self.positions[index]
        self.cash_nanos += position.net(signed_lots, price) - fee
        self.fees_nanos += fee
        state = {
            "position_lots": position.lots,
            "position_cost": position.cost,
            "realised_nanos": position.realised_nanos,
        }
        self._emit(PositionChanged(0, self._time(ts_ms), index, **state))
        self._emit_account(ts_ms)

    def _emit_account(self, ts_ms: int) -> None:
        self._emit(AccountChanged(0, self._time(ts_ms), -1, self.cash_nanos, self.fees_nanos))

    def funding(self, payment: Funding) -> bool:
        """A payment of funding; False when it was told before or is not of this session."""
        key = (payment.time, payment.coin)
        index = self._index.get(payment.coin)
        if payment.time < self.since_ms or key in self._funded or index is None:
            return False
        self._funded[key] = None
        paid = -to_nanos_exactly(payment.usdc)
        self.cash_nanos -= paid
        lots = self._contracts[index].lots(payment.size)
        self._emit(FundingPaid(0, self._time(payment.time), index, paid, lots))
        self._emit_account(payment.time)
        return True

    # --- telling -------------------------------------------------------------------------------

    def _about(self, track: Track, ts_ms: int) -> dict[str, Any]:
        return {
            "seq": 0,
            "ts_ns": self._time(ts_ms),
            "instrument": track.index,
            "order_id": track.order_id,
            "status": track.status,
            "filled_lots": track.filled_lots,
            "leaves_lots": max(0, track.size_lots - track.filled_lots),
        }

    def _time(self, ts_ms: int) -> int:
        """Times of events never decrease, in whatever order the venue's ways deliver them."""
        self._last_ns = max(self._last_ns, ts_ms * NS_MILLISECOND)
        return self._last_ns

    def _tell(self, track: Track, event: Event) -> None:
        self._emit(event)
        self.on_change(track)

    def _emit(self, event: Event) -> None:
        self._sequence += 1
        self._emit_row(encode(event)._replace(seq=self._sequence))

    def _close(self, track: Track) -> None:
        """The order is no working order any more; its numbers stay known for late messages."""
        self.tracks.pop(track.order_id, None)
        self._ended_tracks.append(track)
        if len(self._ended_tracks) > ENDED_MAX:
            oldest = self._ended_tracks.popleft()
            for oid in oldest.oids:
                del self._by_oid[oid]
            if self._by_cloid.get(oldest.cloid) is oldest:
                del self._by_cloid[oldest.cloid]


def _or_none(ticks: int | None) -> int:
    return NO_PRICE if ticks is None else ticks
