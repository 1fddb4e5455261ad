"""The session's commands: checked, sent, and their answers told before anybody is told of them.

A command is on its way before the first pause, and its answer is dealt with by a task of its own:
whoever gives up waiting for it changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from broker_api.errors import BrokerError, NotSentError, OrderUncertainError
from broker_api.event import (
    CancelRejected,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    OrderReplaced,
    Reason,
    ReplaceRejected,
)
from broker_api.live.drafts import Refused
from broker_api.live.lane import Form
from broker_api.live.owned import done, owned
from broker_api.live.tracks import Terms, Track
from broker_api.messages import ProtocolError
from broker_api.order import CancelRequest, OrderRequest, OrderType, ReplaceRequest
from broker_api.pacing import Kind
from broker_api.projectx.books import Books
from broker_api.projectx.contracts import Contract
from broker_api.projectx.drafts import Touch, trail_price, wire_order
from broker_api.projectx.keeper import Keeper
from broker_api.projectx.outbox import Lane, Parcel
from broker_api.projectx.reducing import Reducing
from broker_api.projectx.tags import Tags
from broker_api.projectx.wire.codes import CancelCode, reason_of
from broker_api.projectx.wire.records import Reply
from broker_api.projectx.wire.requests import ModifyOrder, OrderOfAccount

CANCEL_ATTEMPTS = 3
_NOT_ALLOWED = (CancelCode.UNKNOWN_ERROR, CancelCode.ACCOUNT_REJECTED)
"""Of a cancel: the order is there, and the gateway will not end it."""
_PROTECTIVE = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)


@dataclass(frozen=True)
class Desk:
    """What commands are made with. Times are those of the gateway (microseconds) and the wall."""

    account_id: int
    tags: Tags
    arrival_seconds: float
    settle_seconds: float
    touch: Callable[[int], Touch]
    hub_is_up: Callable[[], bool]
    venue_us: Callable[[], int]
    now_ms: Callable[[], int]
    note: Callable[[str], None]


class Commands:
    """Places, changes and cancels the orders of one session."""

    def __init__(
        self,
        books: Books,
        keeper: Keeper,
        lanes: Sequence[Lane],
        contracts: Sequence[Contract],
        desk: Desk,
    ) -> None:
        self._books = books
        self._keeper = keeper
        self._lanes = tuple(lanes)
        self._contracts = tuple(contracts)
        self._index = {each.spec.symbol: index for index, each in enumerate(contracts)}
        self._desk = desk
        self._reducing = Reducing(books, self._resize, self._end_reduced)

    # --- placing -------------------------------------------------------------------------------

    def place(self, request: OrderRequest) -> asyncio.Task[OrderAccepted | OrderRejected]:
        """Send an order; the task has its answer, or raises what `Broker.submit` does."""
        desk = self._desk
        index = self._index[request.instrument]
        tag = desk.tags.of(request)
        now = asyncio.get_running_loop().time()
        track = Track(request, index, tag, sent=desk.venue_us(), sent_at=now)
        if tag in self._books.taken:
            # Another session's order works under it; the gateway would refuse a second one.
            self._books.add(track, hidden=True)
            self._books.reject(track, Reason.DUPLICATE_CLIENT_ORDER_ID, desk.venue_us())
            return owned(self._answered(track))
        self._books.add(track)
        try:
            lots = self._reducing.lots_to_send(track)
            order = wire_order(
                request, self._contracts[index], desk.account_id, tag, lots, desk.touch(index)
            )
        except Refused as refusal:
            self._books.reject(track, refusal.reason, desk.venue_us(), refusal.value, refusal.limit)
            return owned(self._answered(track))
        parcel = Parcel(
            form=Form.PLACE,
            keys=(track.order_id,),
            path="/Order/place",
            message=lambda: order,
            kind=Kind.PROTECT if _is_protective(request) else Kind.ORDER,
        )
        try:
            self._lanes[index].put(parcel)
        except NotSentError:
            self._books.forget(track)
            raise
        return owned(self._placed(track, parcel))

    async def _answered(self, track: Track) -> OrderAccepted | OrderRejected:
        assert track.answer is not None, "it has been told"
        return track.answer

    async def _placed(self, track: Track, parcel: Parcel) -> OrderAccepted | OrderRejected:
        venue_us = self._desk.venue_us
        try:
            reply: Reply = await parcel.answer
        except NotSentError:
            self._books.forget(track)
            raise
        except ProtocolError as fault:
            self._desk.note(f"order {track.order_id}: {fault}")
            track.awaits_answer = False
            self._books.reject(track, Reason.REFUSED_BY_VENUE, venue_us())
            return await self._answered(track)
        except BrokerError as failure:
            track.awaits_answer = False
            return await self._unknown(track, failure)
        track.awaits_answer = False
        if not reply.is_success:
            self._refuse_placed(track, reply)
            return await self._answered(track)
        oid = reply.body.get("orderId")
        self._books.accept(track, oid if isinstance(oid, int) else None, venue_us())
        await self._heard_of(track)
        if track.request.order_type is OrderType.MARKET and not track.has_ended:
            self._keeper.expect_end(track)
        return await self._answered(track)

    async def _heard_of(self, track: Track) -> None:
        """Wait a little for the hub's word: what an order traded at once is known then."""
        is_market = track.request.order_type is OrderType.MARKET
        if not self._desk.hub_is_up():
            return

        def is_known() -> bool:
            return track.has_ended or (not is_market and track.order_id in self._books.told)

        await self._keeper.until(track, is_known, self._desk.settle_seconds)

    async def _unknown(self, track: Track, failure: BrokerError) -> OrderAccepted | OrderRejected:
        """The answer was lost. Perhaps the hub has told already; else nobody knows."""
        if track.answer is not None:
            return track.answer
        self._doubt(track)
        raise OrderUncertainError(
            f"order {track.order_id}: {failure}; it may exist at the gateway, which is being asked"
        )

    def _doubt(self, track: Track) -> None:
        """Nobody knows what became of a command: search until it is found or cannot come."""
        self._books.doubt(track, self._desk.venue_us())
        expires_ms = self._desk.now_ms() + round(self._desk.arrival_seconds * 1000)
        self._keeper.start(self._keeper.resolve(track, expires_ms))

    def _refuse_placed(self, track: Track, reply: Reply) -> None:
        reason = reason_of(reply.code, reply.text)
        if reason is Reason.REFUSED_BY_VENUE:
            self._desk.note(f"order {track.order_id}: the gateway says: {reply.text}")
        value, limit = 0, 0
        mark = self._desk.touch(track.index).mark
        if reason in (Reason.STOP_WRONG_SIDE, Reason.PRICE_OUTSIDE_BAND):
            is_stop = reason is Reason.STOP_WRONG_SIDE
            value = (track.stop_ticks if is_stop else track.limit_ticks) or track.stop_ticks or 0
            limit = 0 if mark is None else self._contracts[track.index].nearest_ticks(mark)
        elif reason is Reason.PRICE_OFF_TICK:
            value = track.limit_ticks or track.stop_ticks or 0
        elif reason in (Reason.SIZE_NOT_POSITIVE, Reason.SIZE_ABOVE_MAXIMUM):
            value, limit = track.size_lots, self._contracts[track.index].spec.max_lots
        self._books.reject(track, reason, self._desk.venue_us(), value, limit)

    # --- changing ------------------------------------------------------------------------------

    def change(self, request: ReplaceRequest) -> asyncio.Task[OrderReplaced | ReplaceRejected]:
        """Send a change; the task has its answer."""
        track = self._books.working(request.order_id)
        terms = track.terms_after(request)
        try:
            message = self._modification(track, request, terms)
        except Refused as refusal:
            refused = self._books.refuse_change(
                track, refusal.reason, self._desk.venue_us(), refusal.value, refusal.limit
            )
            return owned(done(refused))
        self._books.begin_change(track, terms)
        parcel = self._change_parcel(track, message)
        try:
            self._lanes[track.index].put(parcel)
        except NotSentError:
            track.change = None
            self._books.flush(track)
            raise
        return owned(self._changed(track, parcel))

    def _modification(
        self, track: Track, request: ReplaceRequest, terms: Terms
    ) -> Callable[[], ModifyOrder]:
        """The change as it is posted when it is its turn. Raises Refused."""
        if track.change is not None or not track.accepted:
            raise Refused(Reason.NOT_MODIFIABLE)
        if terms.left_lots <= 0:
            raise Refused(Reason.SIZE_BELOW_FILLED, terms.size_lots, track.filled_lots)
        contract = self._contracts[track.index]
        trail = None
        if request.trail_ticks is not None:
            if track.request.order_type is not OrderType.TRAILING_STOP:
                raise Refused(Reason.NOT_MODIFIABLE)
            moved = self._reducing.with_trail(track.request, request.trail_ticks)
            trail = trail_price(moved, contract, self._desk.touch(track.index))
        size = request.size_lots
        if size is not None:
            size = self._reducing.lots_after(track, size)
        limit, stop = request.limit_ticks, request.stop_ticks
        return lambda: ModifyOrder(
            account_id=self._desk.account_id,
            order_id=track.oid,
            size=size,
            limit_price=None if limit is None else contract.price(limit),
            stop_price=None if stop is None else contract.price(stop),
            trail_price=trail,
        )

    def _change_parcel(self, track: Track, message: Callable[[], ModifyOrder]) -> Parcel:
        return Parcel(
            form=Form.CHANGE,
            keys=(track.order_id,),
            path="/Order/modify",
            message=message,
            kind=Kind.PROTECT if _is_protective(track.request) else Kind.ORDER,
        )

    async def _changed(self, track: Track, parcel: Parcel) -> OrderReplaced | ReplaceRejected:
        try:
            reply: Reply = await parcel.answer
        except (NotSentError, ProtocolError):
            track.change = None
            self._books.flush(track)
            raise
        except BrokerError as failure:
            if track.replaced is not None and track.change is None:
                return track.replaced  # the hub has told it already
            if not track.has_ended:
                self._doubt(track)
            raise OrderUncertainError(
                f"order {track.order_id}: {failure}; it may be changed or not, the gateway is asked"
            ) from None
        if not reply.is_success:
            return await self._refuse_changed(track, reply)
        self._books.replaced(track, track.oid, self._desk.venue_us())
        if track.replaced is None:
            raise OrderUncertainError(f"order {track.order_id} ended while it was changed")
        return track.replaced

    async def _refuse_changed(self, track: Track, reply: Reply) -> ReplaceRejected:
        """The order is as it was, if it is still there."""
        reason = reason_of(0, reply.text)
        if reason is Reason.REFUSED_BY_VENUE:
            self._desk.note(f"order {track.order_id}: the gateway says: {reply.text}")
        track.change = None
        await self._look(track)
        if track.has_ended:
            reason = Reason.ORDER_NOT_ACTIVE
        return self._books.refuse_change(track, reason, self._desk.venue_us())

    # --- cancelling ----------------------------------------------------------------------------

    def cancel(
        self, request: CancelRequest, why: Reason = Reason.BY_USER
    ) -> asyncio.Task[OrderCancelled | CancelRejected]:
        """Send a cancel; the task has its answer."""
        track = self._books.working(request.order_id)
        if not track.oids and not track.awaits_answer:
            return owned(self._cancel_unknown(track, why))
        parcel = self._cancel_parcel(track)
        self._books.asked_to_end.setdefault(track.order_id, why)
        self._lanes[track.index].put(parcel)
        return owned(self._cancelled(track, parcel))

    async def _cancel_unknown(self, track: Track, why: Reason) -> OrderCancelled | CancelRejected:
        """Cancel an order whose number nobody knows yet, if it is there at all."""
        await self._look(track)
        if track.oids and not track.has_ended:
            return await self.cancel(CancelRequest(track.order_id), why)
        reason = Reason.ORDER_NOT_ACTIVE if track.has_ended else Reason.UNKNOWN_ORDER
        return self._books.refuse_cancel(track, reason, self._desk.venue_us())

    def _cancel_parcel(self, track: Track) -> Parcel:
        return Parcel(
            form=Form.CANCEL,
            keys=(track.order_id,),
            path="/Order/cancel",
            message=lambda: OrderOfAccount(self._desk.account_id, track.oid),
            kind=Kind.CANCEL,
        )

    async def _cancelled(self, track: Track, parcel: Parcel) -> OrderCancelled | CancelRejected:
        desk = self._desk
        for attempt in range(CANCEL_ATTEMPTS):
            try:
                reply: Reply | None = await parcel.answer
                break
            except (NotSentError, ProtocolError):
                self._books.asked_to_end.pop(track.order_id, None)
                raise
            except BrokerError as failure:
                # To cancel twice is to cancel once, so this is the one command to send again.
                if attempt + 1 == CANCEL_ATTEMPTS:
                    if not track.has_ended:
                        self._doubt(track)
                    raise OrderUncertainError(
                        f"the cancel of order {track.order_id}: {failure}; it may work still"
                    ) from None
                parcel = self._cancel_parcel(track)
                self._lanes[track.index].put(parcel)
        if reply is not None and reply.is_success and track.accepted:
            why = self._books.asked_to_end.get(track.order_id, Reason.BY_USER)
            self._books.end(track, why, desk.venue_us(), None)
            if not await self._keeper.until(track, lambda: track.has_ended, desk.settle_seconds):
                await self._look(track)
        else:
            await self._look(track)
        if track.ended is not None:
            return track.ended
        if track.has_ended:
            return self._books.refuse_cancel(track, Reason.ORDER_NOT_ACTIVE, desk.venue_us())
        self._books.asked_to_end.pop(track.order_id, None)
        if reply is not None and reply.code in _NOT_ALLOWED:
            desk.note(f"the cancel of order {track.order_id}: the gateway says: {reply.text}")
            return self._books.refuse_cancel(track, Reason.REFUSED_BY_VENUE, desk.venue_us())
        return self._books.refuse_cancel(track, Reason.UNKNOWN_ORDER, desk.venue_us())

    async def _look(self, track: Track) -> None:
        try:
            if not track.has_ended:
                await self._keeper.look(track)
        except BrokerError as failure:
            self._desk.note(f"order {track.order_id}: {failure}")

    # --- what only reduces -----------------------------------------------------------------------

    def on_change(self, track: Track) -> None:
        """Something was told of an order."""
        self._keeper.changed(track)
        self._books.flush(track)
        self._reducing.mind(track.index)

    def mind_all(self) -> None:
        """Orders that only reduce are looked at once more: a message about one may have failed."""
        for index in range(len(self._contracts)):
            self._reducing.mind(index)

    def _resize(self, track: Track, lots: int) -> None:
        """Give an order that only reduces another size at the gateway; the session's stays."""
        message = ModifyOrder(self._desk.account_id, track.oid, size=lots)
        parcel = self._change_parcel(track, lambda: message)
        self._lanes[track.index].put(parcel)
        self._keeper.start(self._resized(track, parcel, lots))

    async def _resized(self, track: Track, parcel: Parcel, lots: int) -> None:
        try:
            reply: Reply = await parcel.answer
            is_done = reply.is_success
        finally:
            self._reducing.settled(track)
        if is_done:  # else it is tried again when something else is told
            self._books.sent_lots[track.order_id] = lots
            self._reducing.mind(track.index)

    def _end_reduced(self, track: Track) -> None:
        """An order that only reduces has nothing left to reduce."""
        self._keeper.start(self._ended(track))

    async def _ended(self, track: Track) -> None:
        try:
            if not track.has_ended:
                await self.cancel(CancelRequest(track.order_id), Reason.REDUCE_ONLY_DONE)
        finally:
            self._reducing.settled(track)


def _is_protective(request: OrderRequest) -> bool:
    """It makes the account safer, and may use what the pace keeps in reserve."""
    return request.order_type in _PROTECTIVE or request.reduce_only
