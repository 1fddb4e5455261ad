"""The gateway's words about orders and executions, told to the books that all adapters share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from broker_api.event import Reason
from broker_api.live import books
from broker_api.live.money import Execution, Money
from broker_api.live.tracks import Track
from broker_api.messages import ProtocolError
from broker_api.order import Liquidity, OrderType
from broker_api.projectx.contracts import Contract, to_nanos
from broker_api.projectx.wire.enums import OrderStatus
from broker_api.projectx.wire.records import Order, Trade

UNIT_NS = 1_000
"""The gateway's times are told to the microsecond."""
NOTHING = Decimal(0)
_STOPS = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)
_RESTS = (OrderType.LIMIT, OrderType.STOP_LIMIT)


class Books(books.Books):
    """The orders of one session, as the gateway tells of them.

    `on_stray` is told of an order of the session's that works although it was given up, `note`
    takes what people should know.
    """

    def __init__(self, money: Money, contracts: Sequence[Contract]) -> None:
        super().__init__(money)
        self._contracts = tuple(contracts)
        self._index = {each.id: index for index, each in enumerate(contracts)}
        self._updated: dict[int, int] = {}
        self.told: set[int] = set()
        """Orders of which the gateway has told by itself, by the session's numbers."""
        self.asked_to_end: dict[int, Reason] = {}
        """Orders whose cancel was sent, by the session's numbers, and why."""
        self.sent_lots: dict[int, int] = {}
        """Total sizes at the gateway of orders that were asked for with another one."""
        self._deferred: dict[int, list[Trade]] = {}
        self.on_stray: Callable[[Order], None] = lambda order: None
        self.note: Callable[[str], None] = lambda text: None

    # --- orders ----------------------------------------------------------------------------------

    def order(self, record: Order, *, is_searched: bool = False) -> Track | None:
        """An order as it is now; returns it when somebody has to look what became of it.

        What is older than what is known changes nothing, but an end is always one. An event about
        an order that is refused may be of another one under the same tag, which a search tells.
        """
        if record.size <= 0 or not 0 <= record.fill_volume <= record.size:
            raise ProtocolError("order", f"{record.id}: {record.fill_volume} of {record.size}")
        track = self.find(record.id, record.custom_tag)
        if track is None:
            return None
        ts = (record.updated or record.created) // UNIT_NS
        if track.order_id not in self.told:
            self.told.add(track.order_id)
            self.on_change(track)
        if track.has_ended:
            if track.answer is not None and not record.status.is_final and not track.oids:
                self.on_stray(record)  # it was said never to have arrived
            return None
        if record.status is OrderStatus.REJECTED:
            if track.awaits_answer or track.accepted:
                return None
            if not is_searched:
                return track
            self.reject(track, Reason.REFUSED_BY_VENUE, ts)
            return None
        if record.status in (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED):
            return self._end(track, record, ts)
        if record.status in (OrderStatus.NONE, OrderStatus.PENDING):
            return None
        self._works(track, record, ts)
        return None

    def _works(self, track: Track, record: Order, ts: int) -> None:
        """It works, with these terms."""
        if ts < self._updated.get(track.order_id, 0):
            return
        self._updated[track.order_id] = ts
        change = track.change
        if change is not None:
            wanted = (change.size_lots, change.limit_ticks, change.stop_ticks)
            if self._terms(track, record) == wanted:
                self.replaced(track, record.id, ts)
            elif track.oids and not track.accepted:
                return  # nobody knows if the change is still to come
        if track.change is None and not track.accepted:
            # Of an order whose change was lost these are the terms.
            size, track.limit_ticks, track.stop_ticks = self._terms(track, record)
            track.size_lots = track.wanted_lots = max(size, track.filled_lots)
            track.left_lots = track.size_lots - track.filled_lots
        self.accept(track, record.id, ts)

    def _terms(self, track: Track, record: Order) -> tuple[int, int | None, int | None]:
        """Size and prices in the session's numbers."""
        ticks = self._contracts[track.index].ticks
        size = record.size
        if self.sent_lots.get(track.order_id) == size:
            size = track.size_lots if track.change is None else track.change.size_lots
        limit = None if record.limit_price is None else ticks(record.limit_price)
        stop = None if record.stop_price is None else ticks(record.stop_price)
        if track.request.order_type is OrderType.TRAILING_STOP:
            stop = track.stop_ticks
        return size, limit, stop

    def _end(self, track: Track, record: Order, ts: int) -> Track | None:
        """It has ended, with so much filled; the executions may be told later."""
        change = track.change
        if change is not None and change.size_lots == record.size != track.size_lots:
            self.replaced(track, record.id, ts)  # it was changed before it ended
        track.change = None  # if not, it comes too late
        self.flush(track)
        if record.status is OrderStatus.FILLED:
            self.accept(track, record.id, ts)
            if record.fill_volume < track.size_lots:
                # Only so much was sent, because it was to reduce and no more was open.
                sent = self.sent_lots.get(track.order_id) == record.size
                reason = Reason.REDUCE_ONLY_DONE if sent else Reason.BY_VENUE
                self.end(track, reason, ts, record.fill_volume)
        else:
            reason = self.asked_to_end.get(track.order_id, Reason.BY_VENUE)
            self.accept(track, record.id, ts)
            self.end(track, reason, ts, record.fill_volume)
        return None if track.has_ended else track

    # --- executions ------------------------------------------------------------------------------

    def trade(self, trade: Trade) -> bool:
        """One execution; False when it was told before or is no news of the session."""
        if trade.size <= 0:
            raise ProtocolError("trade", f"{trade.id}: a size of {trade.size}")
        if trade.voided:
            return False
        execution = self._execution(trade)
        track = self.find(trade.order_id, None)
        if track is not None and not track.has_ended and execution.key not in self._seen:
            if self._waits(track, trade):
                return False
            if track.request.order_type in _STOPS:
                self.trigger(track, execution.ts)
            if track.request.reduce_only:
                self._say_beyond(track, trade.size)
        return self.execute(execution)

    def _say_beyond(self, track: Track, lots: int) -> None:
        """An order that only reduces trades more than is open: its size came too late."""
        left = -self.money.positions[track.index].lots * track.request.side.sign
        if lots > left:
            self.note(
                f"order {track.order_id} only reduces, and has traded {lots - max(0, left)} more "
                "than was open: the position has turned"
            )

    def _waits(self, track: Track, trade: Trade) -> bool:
        """Whether this fills the order or not depends on a change of its size that is under way."""
        change = track.change
        if change is None or change.size_lots == track.size_lots:
            return False
        if track.filled_lots + trade.size < min(track.size_lots, change.size_lots):
            return False
        self._deferred.setdefault(track.order_id, []).append(trade)
        return True

    def flush(self, track: Track) -> None:
        """Tell the executions that have waited for the end of a change."""
        if track.change is None and track.order_id in self._deferred:
            for trade in self._deferred.pop(track.order_id):
                self.trade(trade)

    def _execution(self, trade: Trade) -> Execution:
        index = self._index.get(trade.contract_id)
        contract = None if index is None else self._contracts[index]
        track = self.find(trade.order_id, None)
        rested = track is not None and track.answer is not None and not track.awaits_answer
        is_maker = rested and track is not None and track.request.order_type in _RESTS
        return Execution(
            key=trade.id,
            ts=trade.created // UNIT_NS,
            oid=trade.order_id,
            name=None,
            index=index,
            side=trade.side,
            price_ticks=0 if contract is None else contract.ticks(trade.price),
            lots=trade.size,
            fee_nanos=to_nanos((trade.fees or NOTHING) + (trade.commissions or NOTHING)),
            # The gateway does not say: what has rested was there first.
            liquidity=Liquidity.MAKER if is_maker else Liquidity.TAKER,
            number=trade.id,
        )
