"""The session's commands: checked, sent, and their answers told before anybody is told of them.

A command is on its way before the first pause, and its answer is dealt with by a task of its own:
whoever gives up waiting for it changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

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
from broker_api.hyperliquid.books import Books
from broker_api.hyperliquid.contracts import Contract
from broker_api.hyperliquid.drafts import Touch, fitted, wire_order
from broker_api.hyperliquid.keeper import Keeper
from broker_api.hyperliquid.outbox import Lane, Parcel
from broker_api.hyperliquid.wire.actions import CancelByCloid, Modify
from broker_api.hyperliquid.wire.answers import Entry, Filled, Refused, Resting, Success
from broker_api.hyperliquid.wire.ids import cloid_of
from broker_api.hyperliquid.wire.schema import ProtocolError
from broker_api.hyperliquid.wire.texts import Read, Refusal, read
from broker_api.live.drafts import Refused as NotTaken
from broker_api.live.lane import Form
from broker_api.live.owned import done, owned
from broker_api.live.tracks import Track
from broker_api.order import CancelRequest, OrderRequest, OrderType, ReplaceRequest, Side
from broker_api.plain_order import asked_id

CANCEL_ATTEMPTS = 3
_PROTECTIVE = (OrderType.STOP, OrderType.STOP_LIMIT)


class Scopes(NamedTuple):
    """What a client order id is unique in: names of the user's own may outlive a session."""

    session: str
    own: str | None

    def of(self, request: OrderRequest) -> str:
        """The scope of an order's name; numbers that the session gave are the session's."""
        name, _, _ = request.client_order_id.partition("~")  # of an exit that is placed again
        is_number = name.rstrip("x") == str(asked_id(request.order_id))
        return self.session if is_number or self.own is None else self.own


class Commands:
    """Places, changes and cancels the orders of one session."""

    def __init__(
        self,
        books: Books,
        keeper: Keeper,
        lanes: Sequence[Lane],
        contracts: Sequence[Contract],
        *,
        scopes: Scopes,
        slippage: Decimal,
        settle_seconds: float,
        touch: Callable[[int], Touch],
        mark_ticks: Callable[[int], int | None],
        venue_ms: Callable[[], int],
        note: Callable[[str], None],
    ) -> None:
        self._books = books
        self._keeper = keeper
        self._lanes = tuple(lanes)
        self._contracts = tuple(contracts)
        self._index = {each.spec.symbol: index for index, each in enumerate(contracts)}
        self._scopes = scopes
        self._slippage = slippage
        self._settle_seconds = settle_seconds
        self._touch = touch
        self._mark_ticks = mark_ticks
        self._venue_ms = venue_ms
        self._note = note
        self._shrinking = set[int]()

    # --- placing -------------------------------------------------------------------------------

    def place(self, request: OrderRequest) -> asyncio.Task[OrderAccepted | OrderRejected]:
        """Send an order; the task has its answer, or raises what `Broker.submit` does."""
        track = self._track(request)
        if track.name in self._books.taken:
            # Another session's order works under it; two of one name could not be told apart.
            self._books.add(track, hidden=True)
            self._books.reject(track, Reason.DUPLICATE_CLIENT_ORDER_ID, self._venue_ms())
            return owned(self._answered(track))
        self._books.add(track)
        try:
            touch = self._touch(track.index)
            order = wire_order(
                track.request, self._contracts[track.index], track.name, touch, self._slippage
            )
        except NotTaken as refusal:
            self._books.reject(
                track, refusal.reason, self._venue_ms(), refusal.value, refusal.limit
            )
            return owned(self._answered(track))
        parcel = Parcel(
            form=Form.PLACE, keys=(track.order_id,), orders=(order,), urgent=_is_protective(request)
        )
        try:
            self._lanes[track.index].put(parcel)
        except NotSentError:
            self._books.forget(track)
            raise
        return owned(self._placed(track, parcel))

    def _track(self, request: OrderRequest) -> Track:
        index = self._index[request.instrument]
        cloid = cloid_of(self._scopes.of(request), request.client_order_id)
        now = asyncio.get_running_loop().time()
        contract = self._contracts[index]
        request = fitted(request, contract)
        return Track(request, index, cloid, sent=self._venue_ms(), sent_at=now)

    async def _answered(self, track: Track) -> OrderAccepted | OrderRejected:
        assert track.answer is not None, "it has been told"
        return track.answer

    async def _placed(self, track: Track, parcel: Parcel) -> OrderAccepted | OrderRejected:
        try:
            (entry,) = await parcel.answer
        except NotSentError:
            self._books.forget(track)
            raise
        except ProtocolError as fault:
            self._note(f"order {track.order_id}: {fault}")
            self._books.reject(track, Reason.REFUSED_BY_VENUE, self._venue_ms())
            return await self._answered(track)
        except BrokerError as failure:
            track.awaits_answer = False
            return await self._unknown(track, parcel.expires_ms, failure)
        track.awaits_answer = False
        self._take_placed(track, entry)
        return await self._answered(track)

    async def _unknown(
        self, track: Track, expires_ms: int | None, failure: BrokerError
    ) -> OrderAccepted | OrderRejected:
        """The answer was lost. Perhaps the order's updates have told already; else nobody knows."""
        if track.answer is not None:
            return track.answer
        self._books.doubt(track, self._venue_ms())
        self._keeper.start(self._keeper.resolve(track, expires_ms))
        raise OrderUncertainError(
            f"order {track.order_id}: {failure}; it may exist at the venue, which is being asked"
        )

    def _take_placed(self, track: Track, entry: Entry) -> None:
        ts_ms = self._venue_ms()
        if isinstance(entry, Resting):
            self._books.accept(track, entry.oid, ts_ms)
        elif isinstance(entry, Filled):
            self._books.accept(track, entry.oid, ts_ms)
            self._take_filled(track, entry, track.request.size_lots)
        elif isinstance(entry, Refused):
            self._refuse_placed(track, read(entry.text))
        else:
            self._note(f"order {track.order_id}: the venue answered {entry}")
            self._books.accept(track, None, ts_ms)  # its number comes with its update

    def _take_filled(self, track: Track, entry: Filled, asked_lots: int) -> None:
        """It has traded at once: what is missing of it is gone, and its fills are on their way.

        `asked_lots` of the order were sent; the rest of its size had filled before.
        """
        taken_lots = self._contracts[track.index].lots(entry.size)
        filled = track.size_lots - asked_lots + taken_lots
        if filled < track.size_lots:
            self._books.end(track, track.rest_reason, self._venue_ms(), filled)
        if not track.has_ended:
            self._keeper.expect_end(track)

    def _refuse_placed(self, track: Track, said: Read) -> None:
        self._note_unknown(track, said)
        if track.accepted:
            return
        value, limit = 0, 0
        reason = said.reason
        position = self._books.money.positions[track.index].lots
        side = track.request.side
        if reason is Reason.POST_ONLY_WOULD_TAKE:
            value = track.limit_ticks or 0
            limit = self._quoted(track, said.values["ask" if side is Side.BUY else "bid"])
        elif reason is Reason.NO_POSITION_TO_REDUCE and position * side.sign > 0:
            reason, value = Reason.REDUCE_ONLY_WRONG_SIDE, position
        elif reason is Reason.PRICE_OFF_TICK:
            value = track.limit_ticks or track.stop_ticks or 0
        elif reason in (Reason.STOP_WRONG_SIDE, Reason.PRICE_OUTSIDE_BAND):
            is_stop = reason is Reason.STOP_WRONG_SIDE
            value = (track.stop_ticks if is_stop else track.limit_ticks) or 0
            mid = self._touch(track.index).mid
            limit = 0 if mid is None else self._contracts[track.index].nearest_ticks(mid)
        elif reason is Reason.SIZE_OFF_LOT:
            value = track.size_lots
        self._books.reject(track, reason, self._venue_ms(), value, limit)

    def _quoted(self, track: Track, text: str) -> int:
        try:
            return self._contracts[track.index].nearest_ticks(Decimal(text))
        except ArithmeticError:
            return 0

    def _note_unknown(self, track: Track, said: Read) -> None:
        """What the venue says in words that have no number here is kept for people."""
        if said.reason is Reason.REFUSED_BY_VENUE:
            text = said.values.get("text", said.refusal.value.text)
            self._note(f"order {track.order_id}: the venue says: {text}")

    # --- changing ------------------------------------------------------------------------------

    def change(self, request: ReplaceRequest) -> asyncio.Task[OrderReplaced | ReplaceRejected]:
        """Send a change; the task has its answer."""
        track = self._books.working(request.order_id)
        wanted = track.terms_after(request)
        draft = fitted(
            replace(
                track.request,
                size_lots=wanted.left_lots,
                limit_ticks=wanted.limit_ticks,
                stop_ticks=wanted.stop_ticks,
            ),
            self._contracts[track.index],
        )
        terms = wanted._replace(limit_ticks=draft.limit_ticks, stop_ticks=draft.stop_ticks)
        try:
            if request.trail_ticks is not None or track.change or not track.accepted:
                raise NotTaken(Reason.NOT_MODIFIABLE)
            if terms.left_lots <= 0:
                raise NotTaken(Reason.SIZE_BELOW_FILLED, terms.size_lots, track.filled_lots)
            self._check_trigger(track, terms.stop_ticks)
            touch = self._touch(track.index)
            order = wire_order(
                draft, self._contracts[track.index], track.name, touch, self._slippage
            )
        except NotTaken as refusal:
            refused = self._books.refuse_change(
                track, refusal.reason, self._venue_ms(), refusal.value, refusal.limit
            )
            return owned(done(refused))
        self._books.begin_change(track, terms)
        # The venue would leave out what it calls "always place", and take no trigger.
        change = Modify(track.oid or track.name, order, always_place=True)
        parcel = Parcel(form=Form.CHANGE, keys=(track.order_id,), changes=(change,))
        try:
            self._lanes[track.index].put(parcel)
        except NotSentError:
            track.change = None
            raise
        return owned(self._changed(track, parcel))

    def _check_trigger(self, track: Track, stop_ticks: int | None) -> None:
        """Refuse a new trigger that the mark has reached: the venue would, and end the order."""
        mark = self._mark_ticks(track.index)
        if stop_ticks is None or stop_ticks == track.stop_ticks or mark is None:
            return
        waits_for_rise = track.request.side is Side.BUY
        if track.request.order_type in (OrderType.MARKET_IF_TOUCHED, OrderType.LIMIT_IF_TOUCHED):
            waits_for_rise = not waits_for_rise
        if mark >= stop_ticks if waits_for_rise else mark <= stop_ticks:
            raise NotTaken(Reason.STOP_WRONG_SIDE, stop_ticks, mark)

    async def _changed(self, track: Track, parcel: Parcel) -> OrderReplaced | ReplaceRejected:
        asked_lots = self._contracts[track.index].lots(parcel.changes[0].order.size)
        try:
            (entry,) = await parcel.answer
        except (NotSentError, ProtocolError):
            track.change = None
            raise
        except BrokerError as failure:
            self._books.doubt(track, self._venue_ms())
            self._keeper.start(self._keeper.resolve(track, parcel.expires_ms))
            raise OrderUncertainError(
                f"order {track.order_id}: {failure}; it may be changed or not, the venue is asked"
            ) from None
        if isinstance(entry, Refused):
            return await self._refuse_changed(track, read(entry.text))
        oid = entry.oid if isinstance(entry, Resting | Filled) else None
        self._books.replaced(track, oid, self._venue_ms())
        if isinstance(entry, Filled):
            self._take_filled(track, entry, asked_lots)
        self.mind_excess(track)
        if track.replaced is None:
            raise OrderUncertainError(f"order {track.order_id} ended while it was changed")
        return track.replaced

    async def _refuse_changed(self, track: Track, said: Read) -> ReplaceRejected:
        """Whether the old order is still there only the venue knows."""
        self._note_unknown(track, said)
        reason = said.reason
        if said.refusal is Refusal.MODIFY_LOST:
            reason = read(said.values["text"]).reason
        track.change = None
        await self._look(track)
        if track.has_ended:
            reason = Reason.ORDER_NOT_ACTIVE
        return self._books.refuse_change(track, reason, self._venue_ms())

    def on_change(self, track: Track) -> None:
        """Something was told of an order."""
        self._keeper.changed(track)
        self.mind_excess(track)

    def mind_excess(self, track: Track) -> None:
        """A fill that a change did not see would be traded twice: take so much off the order."""
        if track.order_id not in self._shrinking and track.is_excessive:
            self._shrinking.add(track.order_id)
            self._keeper.start(self._shrink(track))

    async def _shrink(self, track: Track) -> None:
        try:
            if not track.is_excessive:
                return
            self._note(f"order {track.order_id}: a fill overtook its change; its size is put right")
            if track.left_lots <= track.excess_lots:
                await self.cancel(CancelRequest(track.order_id))
            else:
                await self.change(ReplaceRequest(track.order_id, size_lots=track.wanted_lots))
        finally:
            self._shrinking.discard(track.order_id)

    # --- cancelling ----------------------------------------------------------------------------

    def cancel(self, request: CancelRequest) -> asyncio.Task[OrderCancelled | CancelRejected]:
        """Send a cancel; the task has its answer."""
        track = self._books.working(request.order_id)
        parcel = self._cancel_parcel(track)
        self._lanes[track.index].put(parcel)
        return owned(self._cancelled(track, parcel))

    def _cancel_parcel(self, track: Track) -> Parcel:
        cancel = CancelByCloid(self._contracts[track.index].asset, track.name)
        return Parcel(form=Form.CANCEL, keys=(track.order_id,), cancels=(cancel,))

    async def _cancelled(self, track: Track, parcel: Parcel) -> OrderCancelled | CancelRejected:
        for attempt in range(CANCEL_ATTEMPTS):
            try:
                (entry,) = await parcel.answer
                break
            except (NotSentError, ProtocolError):
                raise
            except BrokerError as failure:
                # To cancel twice is to cancel once, so this is the one command to send again.
                if attempt + 1 == CANCEL_ATTEMPTS:
                    self._books.doubt(track, self._venue_ms())
                    self._keeper.start(self._keeper.resolve(track, None))
                    raise OrderUncertainError(
                        f"the cancel of order {track.order_id}: {failure}; it may work still"
                    ) from None
                parcel = self._cancel_parcel(track)
                self._lanes[track.index].put(parcel)
        if isinstance(entry, Success):
            self._books.end(track, Reason.BY_USER, self._venue_ms(), None)
            if not await self._keeper.until(track, lambda: track.has_ended, self._settle_seconds):
                await self._look(track)
        else:
            await self._look(track)
        if track.ended is not None:
            return track.ended
        if track.has_ended:
            return self._books.refuse_cancel(track, Reason.ORDER_NOT_ACTIVE, self._venue_ms())
        return self._books.refuse_cancel(track, Reason.UNKNOWN_ORDER, self._venue_ms())

    async def _look(self, track: Track) -> None:
        try:
            if not track.has_ended:
                await self._keeper.look(track)
        except BrokerError as failure:
            self._note(f"order {track.order_id}: {failure}")


def _is_protective(request: OrderRequest) -> bool:
    """It makes the account safer, and may use what the pace keeps in reserve."""
    return request.order_type in _PROTECTIVE or request.reduce_only
