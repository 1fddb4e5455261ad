"""Two orders of which at most one completes, kept by the client. Part of `contingency.py`.

What fills of one is taken from the other. Until the change of the other has arrived both may fill:
what fills beyond the group's size is traded back at market once no more can fill.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from broker_api.event import EventKind, EventRow, Reason
from broker_api.exit_leg import Leg, Prices, Undo
from broker_api.order import (
    OcoRequest,
    OnPartial,
    OrderRequest,
    ReplaceRequest,
    Role,
)
from broker_api.plain_order import (
    MarketOrders,
    PlainOrder,
    Protection,
    Voice,
    asked_id,
    is_repair,
)

_ENDED = (EventKind.CANCELLED, EventKind.EXPIRED, EventKind.REJECTED)


@dataclass(slots=True)
class Oco:
    """One pair. `left_lots` is what each leg may still fill, `excess_lots` what it filled beyond.

    `refusal` is the venue's refusal of a leg while the other's placement is unanswered: it is told
    after that answer, because the session takes a refusal for one of both.
    """

    request: OcoRequest
    instrument: int
    rules: Protection
    legs: tuple[Leg, Leg]
    market: MarketOrders
    left_lots: list[int]
    excess_lots: list[int]
    refusal: tuple[int, EventRow] | None = None
    repairs: int | None = None
    is_done: bool = False

    @classmethod
    def opened(cls, request: OcoRequest, instrument: int, rules: Protection) -> Oco:
        """A pair whose orders are about to be sent."""
        legs = (
            _leg(request.first, instrument, rules),
            _leg(request.second, instrument, rules),
        )
        market = MarketOrders(request.first, instrument, rules)
        sizes = [request.first.size_lots, request.second.size_lots]
        return cls(request, instrument, rules, legs, market, sizes, [0, 0])

    @property
    def key(self) -> int:
        """The id of its first order."""
        return self.request.first.order_id

    @property
    def owed_lots(self) -> int:
        """Signed lots that repairs will still trade."""
        pairs = zip(self.legs, self.excess_lots, strict=True)
        return -sum(leg.template.side.sign * lots for leg, lots in pairs)

    @property
    def orders(self) -> tuple[PlainOrder, ...]:
        """Its orders at the venue."""
        found = (*(leg.order for leg in self.legs), self.market.order)
        return tuple(order for order in found if order is not None)

    # --- events --------------------------------------------------------------------------------

    def start(self, voice: Voice) -> None:
        """Send both orders."""
        for leg, left in zip(self.legs, self.left_lots, strict=True):
            leg.steer(left, voice)

    def hear(self, row: EventRow, voice: Voice) -> None:
        """Take in an event of one of its orders, and tell what it means to the session."""
        if is_repair(row.order_id):
            self._hear_market(row, voice)
            return
        for index, leg in enumerate(self.legs):
            if leg.order_id == asked_id(row.order_id):
                self._hear_leg(index, leg, row, voice)
        self._tell_refusal(voice)

    def _hear_market(self, row: EventRow, voice: Voice) -> None:
        if row.kind == EventKind.FILLED and self.repairs is not None:
            self.excess_lots[self.repairs] -= row.lots
        self.market.hear(row, voice)

    def _hear_leg(self, index: int, leg: Leg, row: EventRow, voice: Voice) -> None:
        is_current = leg.order is not None and leg.order.order_id == row.order_id
        if leg.hear(row, voice):
            self._go_back(index, leg, row, voice)
        if row.kind == EventKind.FILLED:
            self._take_fill(index, leg, row, voice)
        elif row.kind in _ENDED and is_current and leg.order is None:
            self._take_end(index, leg, row, voice)

    def _take_fill(self, index: int, leg: Leg, row: EventRow, voice: Voice) -> None:
        other = 1 - index
        if leg.undo is not None and row.lots > self.left_lots[index]:
            self._keep_size(index, leg, leg.undo)
        good = min(row.lots, self.left_lots[index])
        excess = row.lots - good
        if excess > 0:
            self.excess_lots[index] += excess
            self._say_double_exit(leg, excess, voice)
        self.left_lots[index] -= good
        order = leg.order
        is_over = order is None or order.is_over
        if is_over:
            self.left_lots[index] = 0
        is_complete = self.left_lots[index] == 0
        if is_complete and not is_over:
            self._end_leg(index, Reason.SIBLING)  # what is left of its order is one too many
        if good > 0 and (is_complete or self.request.on_partial is OnPartial.CANCEL):
            self.left_lots[other] = 0
        self.left_lots[other] = max(0, self.left_lots[other] - good)
        if self.left_lots[other] == 0:
            self._end_leg(other, Reason.SIBLING)
        leg.tell_fill(row, is_over, voice)

    def _say_double_exit(self, leg: Leg, excess: int, voice: Voice) -> None:
        voice.make(
            EventKind.DOUBLE_EXIT,
            leg.live_status,
            instrument=self.instrument,
            order_id=leg.order_id,
            side=int(leg.template.side.opposite),
            lots=excess,
        )

    def _end_leg(self, index: int, reason: Reason) -> None:
        """A leg is to go. What fills of it until then is too much only if the other one filled."""
        if self.legs[index].ends_with is None:
            self.legs[index].ends_with = reason

    def _take_end(self, index: int, leg: Leg, row: EventRow, voice: Voice) -> None:
        """A leg's order ended unfilled. What the group ended itself does not echo."""
        is_cancel = row.kind == EventKind.CANCELLED
        if is_cancel and (leg.ends_with is not None or leg.must_renew):
            return  # `steer` tells its end, or places it anew
        was_renewed = row.kind == EventKind.REJECTED and leg.attempts > 1
        if was_renewed and leg.misses < self.rules.attempts_max:
            return  # it was ended by us to be changed: `steer` tries again after a pause
        if not is_cancel or row.reason != Reason.SELF_TRADE:
            self._end_leg(1 - index, Reason.SIBLING)
        if was_renewed:
            leg.end(Reason.BY_VENUE, voice)
        elif row.kind != EventKind.REJECTED:
            leg.end(Reason.BY_VENUE, voice, row)
        elif self.refusal is None:
            self.refusal = (index, row)
        else:  # both are refused: the first one's refusal stands for both
            self.legs[self.refusal[0]].end(Reason.NOT_ARRIVED, voice, self.refusal[1])
            self.refusal = None
            leg.end(Reason.NOT_ARRIVED, voice, row)

    def _tell_refusal(self, voice: Voice) -> None:
        """Tell a refusal that was held back, when the other leg's placement is answered."""
        if self.refusal is None:
            return
        index, row = self.refusal
        other = self.legs[1 - index]
        if other.order is None or not isinstance(other.order.sent, OrderRequest):
            self.refusal = None
            if other.order is None and not other.is_over:
                other.end(other.ends_with or Reason.SIBLING, voice)
            self.legs[index].end(Reason.NOT_ARRIVED, voice, row)

    def _is_refused(self, index: int) -> bool:
        """True for a leg whose refusal is held back."""
        return self.refusal is not None and self.refusal[0] == index

    # --- consequences --------------------------------------------------------------------------

    def settle(self, voice: Voice) -> None:
        """Send whatever follows from what is known. A second call sends nothing."""
        if self.is_done:
            return
        for index, leg in enumerate(self.legs):
            if not self._is_refused(index):
                leg.steer(self.left_lots[index], voice)
            if leg.undo is not None and not leg.is_changing:
                leg.tell_changed(voice)
        self._repair(voice)
        idle = all(leg.order is None for leg in self.legs) and self.market.order is None
        ended = all(leg.is_over for leg in self.legs)
        self.is_done = idle and ended and not any(self.excess_lots)

    def _repair(self, voice: Voice) -> None:
        """Once it is known what the legs fill, trade back what filled beyond the group's size."""
        if not self._owes_repair() or not self.market.may_send(voice.now_ns):
            return
        for index, leg in enumerate(self.legs):
            if self.excess_lots[index] > 0:
                self.repairs = index
                self.market.send(leg.template.side.opposite, self.excess_lots[index], voice)
                return

    def _owes_repair(self) -> bool:
        is_known = all(leg.order is None or leg.order.is_calm for leg in self.legs)
        return is_known and any(self.excess_lots)

    def due_ns(self) -> int | None:
        """When time alone makes `settle` send something; None when it does not."""
        due = [
            leg.retry_ns
            for index, leg in enumerate(self.legs)
            if not self._is_refused(index) and leg.waits_for_time(self.left_lots[index])
        ]
        if self._owes_repair() and self.market.order is None:
            due.append(self.market.retry_ns)
        return min(due, default=None)

    # --- the user's changes --------------------------------------------------------------------

    def ask_cancel(self, leg: Leg) -> None:
        """The user ends a leg, which ends the other."""
        index = self.legs.index(leg)
        leg.cancel_is_asked = True
        self._end_leg(index, Reason.BY_USER)
        self._end_leg(1 - index, Reason.SIBLING)

    def ask_change(self, leg: Leg, change: ReplaceRequest, voice: Voice) -> None:
        """The user changes a leg; while something is under way to it the change waits."""
        order = leg.order
        if leg.is_over or leg.ends_with is not None:
            leg.refuse_change(Reason.ORDER_NOT_ACTIVE, voice)
        elif order is not None and order.is_calm:
            self._take_change(self.legs.index(leg), leg, change, voice)
        elif leg.change is None and leg.undo is None and order and not order.is_uncertain:
            leg.change = change
        else:
            leg.refuse_change(Reason.NOT_MODIFIABLE, voice)

    def _take_change(self, index: int, leg: Leg, change: ReplaceRequest, voice: Voice) -> None:
        size = leg.size_lots if change.size_lots is None else change.size_lots
        if size <= 0:
            leg.refuse_change(Reason.SIZE_NOT_POSITIVE, voice, size, 1)
            return
        if size < leg.filled_lots:
            leg.refuse_change(Reason.SIZE_BELOW_FILLED, voice, size, leg.filled_lots)
            return
        most = leg.filled_lots + self.left_lots[index]
        if size > most and any(each.filled_lots for each in self.legs):
            # What the other leg filled is taken from this one for good.
            leg.refuse_change(Reason.SIZE_ABOVE_MAXIMUM, voice, size, most)
            return
        left = size - leg.filled_lots
        leg.undo = Undo(leg.prices, None, None, (self.left_lots[index] - left,))
        changed = (change.limit_ticks, change.stop_ticks, change.trail_ticks)
        pairs = zip(leg.prices, changed, strict=True)
        leg.prices = Prices(*(old if new is None else new for old, new in pairs))
        self.left_lots[index] = left

    def _go_back(self, index: int, leg: Leg, row: EventRow, voice: Voice) -> None:
        """The venue refused the user's change: the leg is as before it."""
        assert leg.undo is not None
        leg.prices = leg.undo.prices
        self._keep_size(index, leg, leg.undo)
        leg.refuse_change(Reason(row.reason), voice, row.value, row.limit)

    def _keep_size(self, index: int, leg: Leg, undo: Undo) -> None:
        """A new size is not in force: it was refused, or a fill of the old one came before it."""
        if leg.ends_with is None:
            self.left_lots[index] = max(0, self.left_lots[index] + (undo.lots[0] or 0))
        leg.undo = undo._replace(lots=(0,))


def _leg(request: OrderRequest, instrument: int, rules: Protection) -> Leg:
    prices = Prices(request.limit_ticks, request.stop_ticks, request.trail_ticks)
    return Leg(replace(request), instrument, Role.OCO_LEG, rules, request.size_lots, prices)
