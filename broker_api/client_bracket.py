"""A bracket that the client keeps at a venue that has none: an entry, and exits for what it filled.

The rules are those of docs/fills.md as far as a client can keep them. What it cannot: between a
fill and the arrival of the cancel that follows from it both exits may fill. Part of
`contingency.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from broker_api.event import EventKind, EventRow, Reason, row_of
from broker_api.exit_leg import Leg, Prices, Undo
from broker_api.order import (
    NO_PRICE,
    Arm,
    BracketRequest,
    ExitRequest,
    OnPartial,
    OrderStatus,
    OrderType,
    ReplaceRequest,
    Role,
    exit_order,
)
from broker_api.plain_order import (
    MarketOrders,
    PlainOrder,
    Protection,
    Voice,
    asked_id,
    is_repair,
)

_ANSWERS = (EventKind.REPLACE_REJECTED, EventKind.CANCEL_REJECTED)


@dataclass(slots=True)
class Bracket:
    """One bracket. The lots that its exits have to close are counted here and nowhere else:

    what the entry filled (at most `cap_lots`), less what exits filled (`exit_lots`), what an
    emergency closed at market (`closed_lots`) and what other orders closed (`released_lots`), plus
    what was bought back after exits filled too much (`repaired_lots`). `room_lots` of the position
    are covered by no exit of any bracket.
    """

    request: BracketRequest
    instrument: int
    rules: Protection
    entry: PlainOrder
    stop: Leg | None
    target: Leg | None
    legs: tuple[Leg, ...]
    market: MarketOrders
    entry_cost: int = 0
    exit_lots: int = 0
    closed_lots: int = 0
    released_lots: int = 0
    repaired_lots: int = 0
    cap_lots: int | None = None
    room_lots: int = 0
    lost_ns: int | None = None
    is_closing: bool = False
    entry_retry_ns: int = 0
    is_announced: bool = False
    is_done: bool = False

    @classmethod
    def opened(cls, request: BracketRequest, instrument: int, rules: Protection) -> Bracket:
        """A bracket whose entry is about to be sent."""
        market = MarketOrders(request.entry, instrument, rules)
        stop = _leg(request, request.stop, Role.STOP_EXIT, instrument, rules)
        target = _leg(request, request.target, Role.TARGET_EXIT, instrument, rules)
        entry = PlainOrder.placed(request.entry, instrument)
        legs = tuple(leg for leg in (stop, target) if leg is not None)
        return cls(request, instrument, rules, entry, stop, target, legs, market)

    # --- what there is to close ----------------------------------------------------------------

    @property
    def key(self) -> int:
        """The id of its first order."""
        return self.request.entry.order_id

    @property
    def sign(self) -> int:
        """+1 for a bracket that buys, -1 for one that sells."""
        return self.request.entry.side.sign

    @property
    def open_lots(self) -> int:
        """Lots that its exits have to close; negative when they have closed too many."""
        filled = self.entry.filled_lots
        covered = filled if self.cap_lots is None else min(filled, self.cap_lots)
        closed = self.exit_lots + self.closed_lots + self.released_lots
        return covered - closed + self.repaired_lots

    @property
    def owed_lots(self) -> int:
        """Signed lots that a repair will still trade."""
        return self.sign * max(0, -self.open_lots)

    @property
    def orders(self) -> tuple[PlainOrder, ...]:
        """Its orders at the venue."""
        found = (self.entry, *(leg.order for leg in self.legs), self.market.order)
        return tuple(order for order in found if order is not None)

    @property
    def is_armed(self) -> bool:
        """True when its exits may be live."""
        return self.request.arm is Arm.PARTIAL or self.entry.is_over

    def want_lots(self) -> int:
        """How many lots each exit should have live."""
        return max(0, self.open_lots) if self.is_armed and not self.is_closing else 0

    def release(self, lots: int) -> None:
        """Other orders have closed so many of its lots."""
        self.released_lots += lots

    # --- events --------------------------------------------------------------------------------

    def start(self, voice: Voice) -> None:
        """Send the entry."""
        voice.send(self.request.entry)

    def hear(self, row: EventRow, voice: Voice) -> None:
        """Take in an event of one of its orders, and tell what it means to the session."""
        if row.order_id == self.entry.order_id:
            self._hear_entry(row, voice)
        elif is_repair(row.order_id):
            self._hear_market(row, voice)
        else:
            for leg in self.legs:
                if leg.order_id == asked_id(row.order_id):
                    self._hear_exit(leg, row, voice)
        self._mind_protection(voice)

    def _hear_entry(self, row: EventRow, voice: Voice) -> None:
        entry, kind = self.entry, EventKind(row.kind)
        was_over = entry.is_over
        entry.hear(row)
        if kind is EventKind.FILLED:
            self._accept_entry(row, voice)
            self.entry_cost += row.lots * row.price_ticks
        elif kind is EventKind.CANCEL_REJECTED:
            self.entry_retry_ns = voice.now_ns + self.rules.retry_ns
        elif was_over and kind not in _ANSWERS:
            return  # an answer that a fill has overtaken
        if kind is EventKind.ACCEPTED:
            row = row._replace(status=entry.status.code)
        voice.tell(row)
        if kind is EventKind.ACCEPTED:
            self._announce(voice)
        if kind is EventKind.REPLACED and not entry.filled_lots:
            self._show_waiting(row.lots, voice)
        self.is_done = row.kind == EventKind.REJECTED

    def _accept_entry(self, row: EventRow, voice: Voice) -> None:
        """A fill that comes before the answer is the answer: who waits for that is told it."""
        request = self.request.entry
        if not self.is_announced:
            voice.make(
                EventKind.ACCEPTED,
                OrderStatus.OPEN,
                instrument=self.instrument,
                order_id=request.order_id,
                leaves_lots=request.size_lots,
                side=int(request.side),
                lots=request.size_lots,
                price_ticks=NO_PRICE if request.limit_ticks is None else request.limit_ticks,
                stop_ticks=NO_PRICE if request.stop_ticks is None else request.stop_ticks,
            )
            self._announce(voice)

    def _announce(self, voice: Voice) -> None:
        """The entry is there: its exits wait."""
        if not self.is_announced:
            self.is_announced = True
            for leg in self.legs:
                if not leg.is_over:
                    leg.announce(voice)

    def _show_waiting(self, lots: int, voice: Voice) -> None:
        """Exits that wait for the first fill show the size that they will have."""
        lots = lots if self.cap_lots is None else min(lots, self.cap_lots)
        for leg in self.legs:
            if not leg.is_over:
                leg.resize_waiting(lots, voice)

    def _hear_market(self, row: EventRow, voice: Voice) -> None:
        if row.kind == EventKind.FILLED:
            if row.side == self.request.entry.side:
                self.repaired_lots += row.lots
            else:
                self._mind_double_exit(row.order_id, self.market.order, row.lots, voice)
                self.closed_lots += row.lots
        self.market.hear(row, voice)

    def _hear_exit(self, leg: Leg, row: EventRow, voice: Voice) -> None:
        is_fill = row.kind == EventKind.FILLED
        is_refused = leg.hear(row, voice)
        if is_refused:
            self._go_back(leg, row, voice)
        if not is_fill:
            return
        if leg.undo is not None and row.lots > self.open_lots:
            self._keep_size(leg, leg.undo)
        self._mind_double_exit(leg.order_id, leg.order, row.lots, voice)
        self.exit_lots += row.lots
        is_done = leg.order is None or leg.order.is_over
        leg.tell_fill(row, is_done and self.entry.is_over and self.open_lots <= 0, voice)
        if self.request.on_partial is OnPartial.CANCEL and leg.ends_with is None:
            for other in self.legs:
                if other is not leg and other.ends_with is None:
                    other.ends_with = Reason.SIBLING

    def _mind_double_exit(
        self, order_id: int, order: PlainOrder | None, lots: int, voice: Voice
    ) -> None:
        """Say so before an exit's fill is told that closes more than is open."""
        excess = lots - max(0, self.open_lots)
        if excess > 0:
            status = OrderStatus.PARTIALLY_FILLED if order is None else order.status
            voice.make(
                EventKind.DOUBLE_EXIT,
                status,
                instrument=self.instrument,
                order_id=order_id,
                side=int(self.request.entry.side),
                lots=excess,
            )

    # --- protection ----------------------------------------------------------------------------

    def _mind_protection(self, voice: Voice) -> None:
        """Say at once when the stop is not there, or may not be; note when it is back."""
        stop, want = self.stop, self.want_lots()
        if stop is None or stop.ends_with is not None or want == 0 or stop.covers(want):
            self.lost_ns = None
        elif self.lost_ns is None and _is_lost(stop, want):
            self.lost_ns = voice.now_ns
            self._say_unprotected(stop, voice)

    def _say_unprotected(self, stop: Leg, voice: Voice) -> None:
        voice.make(
            EventKind.UNPROTECTED,
            stop.status,
            instrument=self.instrument,
            order_id=stop.order_id,
            filled_lots=stop.filled_lots,
        )

    def _must_close(self, now_ns: int) -> bool:
        """True when the stop has been missing for too long, or can never be placed."""
        stop = self.stop
        if stop is None or self.lost_ns is None or self.want_lots() == 0:
            return False
        if not self.market.may_send(now_ns):
            return False
        is_through = stop.misses > 0 and stop.refusal[0] == Reason.STOP_WRONG_SIDE
        is_hopeless = stop.misses >= self.rules.attempts_max
        return is_through or is_hopeless or now_ns >= self.lost_ns + self.rules.close_after_ns

    # --- consequences --------------------------------------------------------------------------

    def settle(self, voice: Voice) -> None:
        """Send whatever follows from what is known. A second call sends nothing."""
        if self.is_done:
            return
        self._follow_entry()
        self.is_closing = self.is_closing or self._must_close(voice.now_ns)
        self._end_what_is_done()
        for leg in self.legs:
            self._steer(leg, voice)
            if leg.undo is not None and not leg.is_changing:
                leg.tell_changed(voice)  # it waits, or has these terms already
        if self.is_closing:
            self._close(voice)
        self._repair(voice)
        idle = all(leg.order is None for leg in self.legs) and self.market.order is None
        ended = all(leg.is_over for leg in self.legs) and self.entry.is_over
        self.is_done = idle and ended and (self.open_lots == 0 or not self._has_to_act())

    def _has_to_act(self) -> bool:
        return self.is_closing or self.open_lots < 0

    def _steer(self, leg: Leg, voice: Voice) -> None:
        was_over = leg.is_over
        if leg is self.target and leg.misses >= self.rules.attempts_max:
            self._give_up(leg, voice)
        leg.steer(self.want_lots(), voice)
        if leg is self.stop and leg.is_over and not was_over and self.open_lots > 0:
            self._say_unprotected(leg, voice)  # by hand, or by on_partial

    def _give_up(self, target: Leg, voice: Voice) -> None:
        """A target that is refused again and again ends: the position has its stop."""
        if not target.is_over and target.ends_with is None:
            reason, value, limit = target.refusal
            status = OrderStatus.REJECTED.code
            row = row_of(EventKind.REJECTED, status=status, reason=reason, value=value, limit=limit)
            target.end(Reason.BY_VENUE, voice, row)

    def _end_what_is_done(self) -> None:
        """With nothing left to close and no entry that works the exits end, for this reason."""
        if not self.entry.is_over or self.open_lots > 0:
            return
        reason = Reason.ENTRY_ENDED
        if self.exit_lots > 0:
            reason = Reason.SIBLING
        elif self.released_lots > 0 or self.closed_lots > 0:
            reason = Reason.POSITION_FLAT
        for leg in self.legs:
            if leg.ends_with is None:
                leg.ends_with = reason

    def _close(self, voice: Voice) -> None:
        """The emergency: no more entry, and out at market what is open."""
        if self.entry.is_calm and voice.now_ns >= self.entry_retry_ns:
            self.entry.cancel(voice)
        if self.open_lots > 0 and self.market.may_send(voice.now_ns):
            side = self.request.entry.side.opposite
            reduce_only = self.rules.reduce_only
            self.market.send(side, self.open_lots, voice, reduce_only=reduce_only)

    def _repair(self, voice: Voice) -> None:
        """Exits closed too many: once no more of them can fill, trade the excess back."""
        if self._owes_repair() and self.market.may_send(voice.now_ns):
            self.market.send(self.request.entry.side, -self.open_lots, voice)

    def _owes_repair(self) -> bool:
        return self.open_lots < 0 and all(leg.order is None for leg in self.legs)

    def _follow_entry(self) -> None:
        """Exits given by offset lie that far from the entry's average, at the tick nearer to it."""
        filled, cost, sign = self.entry.filled_lots, self.entry_cost, self.sign
        for leg in self.legs:
            if leg.offset_ticks is None or not filled or leg.filled_lots:
                continue
            away = -1 if leg is self.stop else 1
            # The average is rounded away from the exit, so that the exit comes nearer.
            up = (sign > 0) == (leg is self.stop)
            average = -(-cost // filled) if up else cost // filled
            leg.prices = _moved(leg, average + away * sign * leg.offset_ticks, sign)

    def due_ns(self) -> int | None:
        """When time alone makes `settle` send something; None when it does not."""
        want = self.want_lots()
        due = [leg.retry_ns for leg in self.legs if leg.waits_for_time(want)]
        is_free = self.market.order is None
        if is_free and self.lost_ns is not None and want > 0:
            due.append(max(self.market.retry_ns, self.lost_ns + self.rules.close_after_ns))
        if is_free and (self._owes_repair() or (self.is_closing and self.open_lots > 0)):
            due.append(self.market.retry_ns)
        if self.is_closing and self.entry.is_calm:
            due.append(self.entry_retry_ns)
        return min(due, default=None)

    # --- the user's changes --------------------------------------------------------------------

    def ask_cancel(self, leg: Leg) -> None:
        """The user ends an exit: the other one stays."""
        leg.ends_with = leg.ends_with or Reason.BY_USER
        leg.cancel_is_asked = True

    def ask_change(self, leg: Leg, change: ReplaceRequest, voice: Voice) -> None:
        """The user changes an exit; while something is under way to it the change waits."""
        if leg.is_over or leg.ends_with is not None:
            leg.refuse_change(Reason.ORDER_NOT_ACTIVE, voice)
        elif leg.order is None or leg.order.is_calm:
            self._take_change(leg, change, voice)
        elif leg.change is None and leg.undo is None and not leg.order.is_uncertain:
            leg.change = change
        else:
            leg.refuse_change(Reason.NOT_MODIFIABLE, voice)

    def _take_change(self, leg: Leg, change: ReplaceRequest, voice: Voice) -> None:
        """Make a change what is wanted; `settle` sends it, or answers where nothing is to send."""
        size = leg.size_lots if change.size_lots is None else change.size_lots
        refusal = self._check_change(leg, change, size)
        if refusal is not None:
            leg.refuse_change(refusal[0], voice, refusal[1], refusal[2])
            return
        shrunk, was_waiting = leg.size_lots - size, not self.entry.filled_lots
        lots = (shrunk, self.cap_lots, was_waiting)
        leg.undo = Undo(leg.prices, leg.offset_ticks, leg.limit_offset_ticks, lots)
        _set_prices(leg, change, self.sign)
        if leg.order is None:
            leg.size_lots = size
        if shrunk and was_waiting:
            self.cap_lots = size
            for other in self.legs:
                if other is not leg and other.ends_with is None:
                    other.resize_waiting(size, voice)
        elif shrunk:
            self.released_lots += shrunk

    def _check_change(
        self, leg: Leg, change: ReplaceRequest, size: int
    ) -> tuple[Reason, int, int] | None:
        """The refusal of a change, None where there is none. The venue judges the prices."""
        kind = leg.template.order_type
        has_limit = kind in (OrderType.LIMIT, OrderType.STOP_LIMIT)
        has_stop = kind in (OrderType.STOP, OrderType.STOP_LIMIT) and not leg.has_triggered
        if (
            (change.limit_ticks is not None and not has_limit)
            or (change.stop_ticks is not None and not has_stop)
            or (change.trail_ticks is not None and kind is not OrderType.TRAILING_STOP)
        ):
            return Reason.NOT_MODIFIABLE, 0, 0
        if size <= 0:
            return Reason.SIZE_NOT_POSITIVE, size, 1
        if size < leg.filled_lots:
            return Reason.SIZE_BELOW_FILLED, size, leg.filled_lots
        most = leg.size_lots + max(0, min(self.released_lots, self.room_lots))
        if not self.entry.filled_lots:
            most = self.entry.size_lots
        if size > most:
            return Reason.SIZE_ABOVE_MAXIMUM, size, most
        return None

    def _go_back(self, leg: Leg, row: EventRow, voice: Voice) -> None:
        """The venue refused the user's change: everything is as before it."""
        undo = leg.undo
        assert undo is not None
        leg.prices, leg.offset_ticks, leg.limit_offset_ticks = undo[:3]
        self._keep_size(leg, undo)
        leg.refuse_change(Reason(row.reason), voice, row.value, row.limit)

    def _keep_size(self, leg: Leg, undo: Undo) -> None:
        """A new size is not in force: it was refused, or a fill of the old one came before it."""
        shrunk, cap_lots, was_waiting = undo.lots
        if was_waiting:
            self.cap_lots = cap_lots
        else:
            self.released_lots -= shrunk or 0
        leg.undo = undo._replace(lots=(0, self.cap_lots, was_waiting))


def _is_lost(stop: Leg, want: int) -> bool:
    """True when the stop was refused, ended by the venue, too small for good, or is unknown."""
    order = stop.order
    if order is None:
        return stop.misses > 0
    if order.is_uncertain or order.awaits_end:
        return True
    return order.is_calm and stop.refusals > 0 and order.leaves_lots < want


def _leg(
    request: BracketRequest,
    wanted: ExitRequest | None,
    role: Role,
    instrument: int,
    rules: Protection,
) -> Leg | None:
    if wanted is None:
        return None
    order = replace(exit_order(request.entry, wanted, role), reduce_only=rules.reduce_only)
    prices = Prices(order.limit_ticks, order.stop_ticks, order.trail_ticks)
    leg = Leg(
        order,
        instrument,
        role,
        rules,
        order.size_lots,
        prices,
        wanted.offset_ticks,
        wanted.limit_offset_ticks,
    )
    if order.stop_ticks is not None:
        leg.prices = _moved(leg, order.stop_ticks, request.entry.side.sign)
    return leg


def _moved(leg: Leg, ticks: int, sign: int) -> Prices:
    """The prices of an exit that lies at `ticks`: a stop-limit's limit lies beyond its stop."""
    if leg.role is Role.TARGET_EXIT:
        return Prices(limit_ticks=ticks)
    limit = None
    if leg.template.order_type is OrderType.STOP_LIMIT:
        beyond = leg.limit_offset_ticks
        limit = leg.prices.limit_ticks if beyond is None else ticks - sign * beyond
    return Prices(limit, ticks)


def _set_prices(leg: Leg, change: ReplaceRequest, sign: int) -> None:
    """Take prices that were set by hand, which ends following the entry."""
    if change.stop_ticks is not None:
        leg.offset_ticks = None
        leg.prices = _moved(leg, change.stop_ticks, sign)
    if change.limit_ticks is not None:
        leg.prices = leg.prices._replace(limit_ticks=change.limit_ticks)
        leg.limit_offset_ticks = None
        if leg.role is Role.TARGET_EXIT:
            leg.offset_ticks = None
    if change.trail_ticks is not None:
        leg.prices = leg.prices._replace(trail_ticks=change.trail_ticks)
