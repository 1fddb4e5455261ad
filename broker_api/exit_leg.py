"""One leg of a bracket or OCO that the client keeps: what is wanted of it, steered to the venue.

A leg lives longer than the orders that stand for it: it may wait, be placed, grow, be ended and be
placed again. Its group says how many lots it should have live; `steer` sends the one command that
brings it nearer to that, and nothing while an answer is outstanding. Part of `contingency.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from broker_api.event import EventKind, EventRow, Reason
from broker_api.order import (
    NO_PRICE,
    STATUS_BY_CODE,
    CancelRequest,
    Command,
    OrderRequest,
    OrderStatus,
    ReplaceRequest,
    Role,
)
from broker_api.plain_order import GONE, PlainOrder, Protection, Voice, made_id, made_name

CANNOT_CHANGE = (Reason.NOT_MODIFIABLE, Reason.UNSUPPORTED)
"""The venue cannot change such an order: it is ended and placed anew."""
FLAT = (Reason.REDUCE_ONLY_DONE, Reason.POSITION_FLAT)
"""Ends by which a venue says that there is no position any more."""
AUTOMATIC = (Reason.SIBLING, Reason.ENTRY_ENDED, Reason.POSITION_FLAT)
"""Ends by the group's rules: a leg that has filled all that it ever covered is then complete."""


class Prices(NamedTuple):
    """The prices and the distance that an order should have; None where its type has none."""

    limit_ticks: int | None = None
    stop_ticks: int | None = None
    trail_ticks: int | None = None

    def moved_from(self, other: Prices) -> Prices:
        """What of these is not so in another order; None where nothing has to be changed."""
        pairs = zip(self, other, strict=True)
        return Prices(*(None if ours == theirs else ours for ours, theirs in pairs))


NO_PRICES = Prices()


class Undo(NamedTuple):
    """What a user's change of a leg goes back to if the venue refuses it."""

    prices: Prices
    offset_ticks: int | None
    limit_offset_ticks: int | None
    lots: tuple[int | None, ...]
    """The group's own figures."""


@dataclass(slots=True)
class Leg:
    """An exit of a bracket, or a leg of an OCO. `size_lots` is its total size as told.

    `prices` are the wanted ones; `asked` those that the venue took last, so that one that rounds is
    not asked again and again; `tried` is what was sent last. `refusals` counts refused commands in
    a row, `misses` what left it without an order: refused placements, ends that the venue decided.
    `ends_with` is set when the leg is to go for good. `change` is what the user asked for while
    something was under way; `undo` is set while the user's change is.
    """

    template: OrderRequest
    instrument: int
    role: Role
    rules: Protection
    size_lots: int
    prices: Prices
    offset_ticks: int | None = None
    limit_offset_ticks: int | None = None
    asked: Prices = NO_PRICES
    order: PlainOrder | None = None
    attempts: int = 0
    filled_lots: int = 0
    status: OrderStatus = OrderStatus.PENDING
    is_announced: bool = False
    has_triggered: bool = False
    ends_with: Reason | None = None
    refusals: int = 0
    misses: int = 0
    refusal: tuple[int, int, int] = (0, 0, 0)
    retry_ns: int = 0
    tried: tuple[int, Prices] = (0, NO_PRICES)
    must_renew: bool = False
    change: ReplaceRequest | None = None
    undo: Undo | None = None
    cancel_is_asked: bool = False

    @property
    def order_id(self) -> int:
        """Its id in the session."""
        return self.template.order_id

    @property
    def is_over(self) -> bool:
        """True when its end was told."""
        return self.status.is_terminal

    @property
    def is_kept(self) -> bool:
        """True for exits: the client places them again when the venue ends or refuses them."""
        return self.role is not Role.OCO_LEG

    @property
    def is_changing(self) -> bool:
        """True while a change is under way to the venue."""
        return self.order is not None and isinstance(self.order.sent, ReplaceRequest)

    def take_waiting(self) -> ReplaceRequest | None:
        """The user's change that has waited, when nothing is under way any more."""
        is_free = self.order is None or self.order.is_calm or self.ends_with is not None
        if self.change is None or not is_free:
            return None
        change, self.change = self.change, None
        return change

    def covers(self, lots: int) -> bool:
        """True when at least so many lots are surely live."""
        order = self.order
        if order is None or not order.is_there or order.is_uncertain or order.awaits_end:
            return False
        return order.leaves_lots >= lots

    # --- steering ------------------------------------------------------------------------------

    def waits_for_time(self, want: int) -> bool:
        """True when only a pause keeps `steer` from sending something."""
        want = 0 if self.ends_with is not None else want
        if self.is_over:
            return False
        if self.order is None:
            return want > 0
        return self.order.is_calm and self._differs(self.order, want)

    def steer(self, want: int, voice: Voice) -> None:
        """Send what brings the live size to `want`, if nothing is under way; end what is to end."""
        want = 0 if self.ends_with is not None else want
        order = self.order
        # Only what was refused waits; what is wanted since then, a cancel above all, does not.
        may_send = voice.now_ns >= self.retry_ns or self.tried != (want, self.prices)
        if self.is_over:
            return
        if order is None:
            if want > 0 and may_send:
                self._place(want, voice)
            elif self.ends_with is not None:
                self.end(self.ends_with, voice)
        elif order.is_calm and may_send and self._differs(order, want):
            self.tried = (want, self.prices)
            if want == 0 or self.must_renew:
                order.cancel(voice)
            else:
                self._replace(order, want, voice)

    def _differs(self, order: PlainOrder, want: int) -> bool:
        if want == 0 or self.must_renew or order.leaves_lots != want:
            return True
        return self._moves() != NO_PRICES

    def _moves(self) -> Prices:
        """The prices that the venue does not have yet. After its trigger a stop has none."""
        return NO_PRICES if self.has_triggered else self.prices.moved_from(self.asked)

    def _place(self, want: int, voice: Voice) -> None:
        request = replace(
            self.template,
            order_id=made_id(self.order_id, self.attempts),
            client_order_id=made_name(self.template.client_order_id, self.attempts),
            size_lots=want,
            limit_ticks=self.prices.limit_ticks,
            stop_ticks=self.prices.stop_ticks,
            trail_ticks=self.prices.trail_ticks,
        )
        self.attempts += 1
        self.tried = (want, self.prices)
        self.asked, self.must_renew, self.has_triggered = self.prices, False, False
        self.order = PlainOrder.placed(request, self.instrument)
        voice.send(request)

    def _replace(self, order: PlainOrder, want: int, voice: Voice) -> None:
        total = order.filled_lots + want
        size = None if total == order.size_lots else total
        order.sent = ReplaceRequest(order.order_id, size, *self._moves())
        voice.send(order.sent)

    # --- hearing -------------------------------------------------------------------------------

    def hear(self, row: EventRow, voice: Voice) -> bool:
        """Take in an event of an order that stands for the leg, and tell what it means for it.

        Returns True when it refuses the user's change: the group goes back. A fill is told by the
        group (`tell_fill`), which knows whether it is the last; so is the end of an OCO's leg.
        """
        order = self.order
        is_fill = row.kind == EventKind.FILLED
        if order is None or row.order_id != order.order_id:
            self.filled_lots += row.lots if is_fill else 0
            return False  # of an order before this one: its end was heard
        sent, was_clear = order.sent, order.is_there and not order.is_uncertain
        if is_fill and not was_clear:
            self._tell_live(order, voice)  # a fill came before the answer
        was_uncertain = order.is_uncertain
        order.hear(row)
        if is_fill:
            self.filled_lots += row.lots
        elif row.kind == EventKind.ACCEPTED:
            self._hear_accepted(order, row, sent, was_uncertain, voice)
            if not was_clear:
                self._tell_live(order, voice)
        elif row.kind == EventKind.REPLACED:
            self._hear_replaced(order, row, sent, voice)
        elif row.kind == EventKind.REPLACE_REJECTED:
            return self._hear_replace_refused(row, sent, voice)
        elif row.kind == EventKind.CANCEL_REJECTED:
            self._hear_cancel_refused(row, voice)
        elif row.kind == EventKind.UNCERTAIN:
            self.undo = None
            self._tell(EventKind.UNCERTAIN, OrderStatus.UNCERTAIN, voice)
        elif row.kind == EventKind.TRIGGERED:
            self.has_triggered = True
            prices = {"price_ticks": row.price_ticks, "stop_ticks": row.stop_ticks}
            self._tell(EventKind.TRIGGERED, self.status, voice, **prices)
        elif order.is_over:
            self._hear_end(row, sent, voice)
        return False

    def _hear_accepted(
        self,
        order: PlainOrder,
        row: EventRow,
        sent: Command | None,
        was_uncertain: bool,
        voice: Voice,
    ) -> None:
        self.refusals = self.misses = 0
        if was_uncertain:
            self.asked = Prices(order.limit_ticks, order.stop_ticks, order.trail_ticks)
        if isinstance(sent, OrderRequest) and sent.size_lots != row.lots:
            self._pause(voice)  # the venue made something else of it: not at once again

    def _hear_replaced(
        self, order: PlainOrder, row: EventRow, sent: Command | None, voice: Voice
    ) -> None:
        reason = Reason(row.reason)
        if isinstance(sent, ReplaceRequest) and reason is Reason.NONE:
            self.refusals = 0
            self.asked = _after(self.asked, sent)
            if sent.size_lots not in (None, row.lots):
                self._pause(voice)
            if self.undo is None:
                reason = _reason_of(sent) if self.is_kept else Reason.OCO_RESIZED
            self.undo = None
        self.size_lots = self._lots_before(order) + order.size_lots
        self._tell_terms(EventKind.REPLACED, self.live_status, voice, reason)

    def _hear_replace_refused(self, row: EventRow, sent: Command | None, voice: Voice) -> bool:
        reason = Reason(row.reason)
        order = self.order
        if order is None or not isinstance(sent, ReplaceRequest):
            return False
        # What is too large is rather ended than left; what is too small protects some lots still.
        is_too_large = sent.size_lots is not None and sent.size_lots < order.size_lots
        is_stubborn = reason not in GONE and self.refusals > 0 and is_too_large
        if reason in CANNOT_CHANGE or is_stubborn:
            self.must_renew, self.retry_ns = True, 0
            if self.undo is not None:  # it will have the new terms, in an order of its own
                self.undo = None
                self._tell_terms(EventKind.REPLACED, self.live_status, voice)
            return False
        if reason not in GONE:
            self._refused(row, voice)
        return self.undo is not None

    def _hear_cancel_refused(self, row: EventRow, voice: Voice) -> None:
        if row.reason in GONE:
            return  # its end, which is on the way or is found by reconciliation, answers
        self._refused(row, voice)
        if self.cancel_is_asked:
            self.cancel_is_asked = False
            if self.ends_with is Reason.BY_USER:
                self.ends_with = None  # it stays as it was
            self._tell(EventKind.CANCEL_REJECTED, self.status, voice, reason=row.reason)

    def _hear_end(self, row: EventRow, sent: Command | None, voice: Voice) -> None:
        """The order is over without having filled: ended by us, by the venue, or never placed."""
        self.order = None
        was_ours = isinstance(sent, CancelRequest) and row.kind == EventKind.CANCELLED
        if was_ours:
            self.refusals = 0
        else:
            # The venue ends reduce-only orders with the position: that it is flat comes next.
            self.misses += row.kind != EventKind.CANCELLED or row.reason not in FLAT
            self._refused(row, voice)
        if self.ends_with is None and self.is_kept:
            self.size_lots = self.filled_lots if was_ours else self.size_lots
            self._wait(voice)

    # --- telling -------------------------------------------------------------------------------

    @property
    def live_status(self) -> OrderStatus:
        """The status of a leg that works."""
        return OrderStatus.PARTIALLY_FILLED if self.filled_lots else OrderStatus.OPEN

    def announce(self, voice: Voice) -> None:
        """Tell that an exit exists and waits."""
        self.is_announced = True
        self._tell_terms(EventKind.ACCEPTED, voice=voice, status=OrderStatus.PENDING)

    def resize_waiting(self, lots: int, voice: Voice) -> None:
        """The entry's size changed before it filled: the exit shows the size it will have."""
        if self.size_lots != lots:
            self.size_lots = lots
            self._tell_terms(EventKind.REPLACED, self.status, voice, Reason.EXIT_RESIZED)

    def tell_fill(self, row: EventRow, is_last: bool, voice: Voice) -> None:
        """Tell a fill; after the last the leg is over, else it may wait for more."""
        self.status = OrderStatus.FILLED if is_last else OrderStatus.PARTIALLY_FILLED
        order = self.order
        over = order is None or order.is_over
        leaves = 0 if over or order is None else order.leaves_lots
        self.size_lots = self.filled_lots + leaves
        voice.tell(
            row._replace(
                order_id=self.order_id,
                status=self.status.code,
                filled_lots=self.filled_lots,
                leaves_lots=leaves,
            )
        )
        if over:
            self.order = None
            if not is_last:
                self._wait(voice)
        self._answer_what_is_open(voice)

    def tell_changed(self, voice: Voice) -> None:
        """Answer a user's change of a leg that waits, or one that changes nothing."""
        self.undo = None
        self._tell_terms(EventKind.REPLACED, self.status, voice)

    def refuse_change(self, reason: Reason, voice: Voice, value: int = 0, limit: int = 0) -> None:
        """Answer a user's change with a refusal; the leg is as it was."""
        self.undo = None
        columns = {"reason": int(reason), "value": value, "limit": limit}
        self._tell(EventKind.REPLACE_REJECTED, self.status, voice, **columns)

    def end(self, reason: Reason, voice: Voice, row: EventRow | None = None) -> None:
        """Tell that the leg is over; `row` is the venue's own word for it where there is one."""
        if reason in AUTOMATIC and self.filled_lots > 0:
            self.size_lots = self.filled_lots
            done = Reason.COMPLETED_BY_SIZE
            self._tell_terms(EventKind.REPLACED, OrderStatus.FILLED, voice, done)
        elif row is not None:
            columns = {"reason": row.reason, "value": row.value, "limit": row.limit}
            status = STATUS_BY_CODE[row.status]
            self._tell(EventKind(row.kind), status, voice, **columns)
        else:
            self._tell(EventKind.CANCELLED, OrderStatus.CANCELLED, voice, reason=int(reason))
        self._answer_what_is_open(voice)

    def _wait(self, voice: Voice) -> None:
        """Tell that it waits (again) until there is something to close."""
        if self.status is not OrderStatus.PENDING:
            self._tell(EventKind.HELD, OrderStatus.PENDING, voice)

    def _answer_what_is_open(self, voice: Voice) -> None:
        """A leg that is over answers what the user asked meanwhile."""
        if not self.is_over:
            return
        gone = Reason.ORDER_NOT_ACTIVE
        if self.change is not None or self.undo is not None:
            self.change = None
            self.refuse_change(gone, voice)
        if self.cancel_is_asked and self.status is not OrderStatus.CANCELLED:
            self._tell(EventKind.CANCEL_REJECTED, self.status, voice, reason=int(gone))
        self.cancel_is_asked = False

    def _tell_live(self, order: PlainOrder, voice: Voice) -> None:
        """It is at the venue: placed, or there after all."""
        self.size_lots = self._lots_before(order) + order.size_lots
        kind = EventKind.ACTIVATED if self.is_announced else EventKind.ACCEPTED
        self.is_announced = True
        self._tell_terms(kind, self.live_status, voice)

    def _tell_terms(
        self,
        kind: EventKind,
        status: OrderStatus,
        voice: Voice,
        reason: Reason = Reason.NONE,
    ) -> None:
        order = self.order
        prices = self.prices if order is None else Prices(order.limit_ticks, order.stop_ticks)
        columns = {"side": int(self.template.side)} if kind is EventKind.ACCEPTED else {}
        self._tell(
            kind,
            status,
            voice,
            price_ticks=_column(prices.limit_ticks),
            stop_ticks=_column(prices.stop_ticks),
            lots=self.size_lots,
            reason=int(reason),
            value=0 if order is None else order.venue_order_id,
            **columns,
        )

    def _tell(self, kind: EventKind, status: OrderStatus, voice: Voice, **columns: int) -> None:
        self.status = status
        over = status.is_terminal
        voice.make(
            kind,
            status,
            instrument=self.instrument,
            order_id=self.order_id,
            filled_lots=self.filled_lots,
            leaves_lots=0 if over else max(0, self.size_lots - self.filled_lots),
            **columns,
        )

    def _lots_before(self, order: PlainOrder) -> int:
        """What orders before this one have filled."""
        return self.filled_lots - order.filled_lots

    def _refused(self, row: EventRow, voice: Voice) -> None:
        """Count a refusal, and wait before the next try."""
        self.refusals += 1
        self.refusal = (row.reason, row.value, row.limit)
        self._pause(voice)

    def _pause(self, voice: Voice) -> None:
        self.retry_ns = voice.now_ns + self.rules.pause_ns(max(1, self.refusals))


def _column(ticks: int | None) -> int:
    return NO_PRICE if ticks is None else ticks


def _after(prices: Prices, change: ReplaceRequest) -> Prices:
    """The prices after a change that was taken."""
    new = (change.limit_ticks, change.stop_ticks, change.trail_ticks)
    pairs = zip(prices, new, strict=True)
    return Prices(*(old if changed is None else changed for old, changed in pairs))


def _reason_of(change: ReplaceRequest) -> Reason:
    """What the group's rules changed: the size, or a price."""
    is_moved = (change.limit_ticks, change.stop_ticks, change.trail_ticks) != (None, None, None)
    return Reason.EXIT_REPRICED if is_moved else Reason.EXIT_RESIZED
