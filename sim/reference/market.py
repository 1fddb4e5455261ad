"""One instrument's market as the tape shows it, and what this run has taken from it.

The bids are the side BUY, the offers the side SELL: a buyer takes from the side SELL. `outward` is
the direction in which prices of a side get worse for the one who takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from sortedcontainers import SortedKeyList

from broker_api.calendar import SessionCalendar
from broker_api.instrument import NANOS, Instrument
from broker_api.order import BeyondTop, Side, TriggerSource
from data.schema import RowKind
from data.tape import Tape
from sim.reference.orders import Order, Touch

if TYPE_CHECKING:
    from sim.reference.bars import Path

WALK_LEVELS = 256
"""Price levels that one order may take at one instant."""


class Row(NamedTuple):
    """One row of a tape as Python integers."""

    ts: int
    kind: int
    side: int
    px: int
    qty: int
    bid: int
    ask: int
    bid_qty: int
    ask_qty: int


EMPTY = Touch(None, 0)


def _maker_key(order: Order) -> tuple[int, int]:
    assert order.limit is not None
    return -order.side.sign * order.limit, order.priority


def _by_side() -> dict[Side, SortedKeyList]:
    return {side: SortedKeyList(key=_maker_key) for side in Side}


@dataclass
class Market:
    """The state of one instrument."""

    index: int
    instrument: Instrument
    calendar: SessionCalendar
    tape: Tape
    source: TriggerSource
    beyond_top: BeyondTop
    rows: list[Row]
    cursor: int
    touch: dict[Side, Touch] = field(default_factory=lambda: dict.fromkeys(Side, EMPTY))
    valued_at: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))
    seen: dict[Side, dict[int, int]] = field(default_factory=lambda: {side: {} for side in Side})
    taken: dict[Side, dict[int, int]] = field(default_factory=lambda: {side: {} for side in Side})
    printed: dict[Side, dict[int, int]] = field(default_factory=lambda: {side: {} for side in Side})
    makers: dict[Side, SortedKeyList] = field(default_factory=_by_side)
    before_packet: dict[Side, Touch] = field(default_factory=lambda: dict.fromkeys(Side, EMPTY))
    """What was shown at the end of the time before the present row's."""
    row_ts: int = -1
    last: int | None = None
    mark_nanos: int | None = None
    is_night: bool = False
    """True while the overnight margins hold."""
    closed_by_calendar: bool = False
    halted_by_tape: bool = False
    next_open_ns: int | None = None
    is_known: bool = True
    path: Path | None = None
    """Of a bar tape, the way to the row that is being processed."""
    stands_at: int | None = None
    """Where on that way the price stands for who takes now; None: at the row's touch."""

    @property
    def is_bars(self) -> bool:
        """True for a tape of bars."""
        return self.tape.bar_interval_ns > 0

    @property
    def is_halted(self) -> bool:
        """True while nothing may trade."""
        return self.closed_by_calendar or self.halted_by_tape

    @property
    def tick_nanos(self) -> int:
        """One tick in 1e-9 price units."""
        return int(self.instrument.tick_size * NANOS)

    def show(self, row: Row) -> None:
        """Put a row's book in force; a changed touch is fresh liquidity on its whole side."""
        if row.ts != self.row_ts:
            known = self.is_known
            self.before_packet = {side: self.shown(side) if known else EMPTY for side in Side}
        self.row_ts = row.ts
        bid = Touch(row.bid, row.bid_qty) if row.bid_qty > 0 else EMPTY
        ask = Touch(row.ask, row.ask_qty) if row.ask_qty > 0 else EMPTY
        for side, touch in ((Side.BUY, bid), (Side.SELL, ask)):
            was_gone = self._start(side) != self.touch[side].price
            is_fresh = touch != self.touch[side] or (row.kind == RowKind.QUOTE and was_gone)
            if is_fresh or self.is_bars:
                self.taken[side].clear()
            if touch != self.touch[side] or row.kind == RowKind.QUOTE:
                self.printed[side].clear()
            self.touch[side] = touch
            if touch.price is not None:
                self.valued_at[side] = touch.price
                if self.is_known:
                    self.seen[side][touch.price] = touch.lots or 0
        if row.kind == RowKind.TRADE:
            self.last = row.px
            if not self.tape.bbo_after_trade:
                self._deduct(row)

    def reopen(self) -> None:
        """Trading goes on; nothing is known of the book until the next row, and nothing taken."""
        self.is_known = False
        self.last = None
        self.before_packet = dict.fromkeys(Side, EMPTY)
        for side in Side:
            self.seen[side].clear()
            self.taken[side].clear()

    def _deduct(self, row: Row) -> None:
        """The row's book is from before its print: what was printed is gone."""
        ask, bid = self.touch[Side.SELL].price, self.touch[Side.BUY].price
        hits_ask = row.side > 0 or (row.side == 0 and ask is not None and row.px >= ask)
        hits_bid = row.side < 0 or (row.side == 0 and bid is not None and row.px <= bid)
        for side, hit in ((Side.SELL, hits_ask), (Side.BUY, hits_bid)):
            if hit:
                printed = self.printed[side]
                printed[row.px] = printed.get(row.px, 0) + row.qty

    def begin(self, rows: list[Row]) -> None:
        """Before the session: what was printed since a quote is gone, and nothing else known."""
        for row in rows:
            self.show(row)
        self.reopen()
        self.valued_at = dict.fromkeys(Side, 0)

    def know(self) -> None:
        """The first row after a reopening has come: the book is known from here."""
        if not self.is_known:
            self.is_known = True
            for side, touch in self.touch.items():
                if touch.price is not None:
                    self.seen[side][touch.price] = touch.lots or 0

    def _start(self, side: Side) -> int | None:
        """The touch, or the farthest print beyond it."""
        touch = self.touch[side].price
        if touch is None:
            return None
        prices = [touch, *self.printed[side]]
        return max(prices) if side is Side.SELL else min(prices)

    def best(self, side: Side) -> int | None:
        """Where a taker of this side starts: the touch, or the farthest print beyond it."""
        if self.stands_at is not None:
            return self.stands_at
        return self._start(side) if self.is_known else None

    def available(self, side: Side, price: int) -> int:
        """Lots that a taker can have now at one of a side's `levels`."""
        gone = self.taken[side].get(self._level(side, price), 0)
        gone += self.printed[side].get(price, 0)
        return max(0, (self.touch[side].lots or 0) - gone)

    def shown(self, side: Side) -> Touch:
        """The touch less what was printed there on a tape that shows it from before the print.

        Where a print has proved the touch gone, the best that may be left, of unknown size.
        """
        touch, start = self.touch[side], self._start(side)
        if self.stands_at is not None:
            return Touch(self.stands_at, touch.lots)
        if touch.price != start:
            return Touch(start, None)
        gone = 0 if start is None else self.printed[side].get(start, 0)
        return Touch(start, max(0, (touch.lots or 0) - gone))

    def levels(self, side: Side) -> Iterator[int]:
        """The prices of a side from the best outward, as many as one order may take."""
        best = self.best(side)
        if best is None:
            return
        for step in range(WALK_LEVELS if self.beyond_top is BeyondTop.LADDER else 1):
            price = best - side.sign * step
            if price <= 0 and not self.instrument.allow_negative_price:
                return
            yield price

    def take(self, side: Side, price: int, lots: int) -> None:
        """Remember what we took."""
        level = self._level(side, price)
        self.taken[side][level] = self.taken[side].get(level, 0) + lots

    def _level(self, side: Side, price: int) -> int:
        """What is taken counts by price; on the way between bars' prices by distance from the best.

        Every taker there starts at a price of its own and meets the same row's size.
        """
        best = self.best(side)
        return abs(price - best) if self.is_bars and best is not None else price

    def source_ticks(self, side: Side) -> int | None:
        """The price that triggers stops of a side, None while it has no value.

        A mark between two ticks counts as the tick that it has reached on the stop's way.
        """
        if self.source is TriggerSource.LAST:
            return self.last
        if self.source is TriggerSource.BID_ASK:
            return self.touch[side.opposite].price if self.is_known else None
        if self.mark_nanos is None:
            return None
        return side.sign * (side.sign * self.mark_nanos // self.tick_nanos)

    def brings_source(self, row: Row) -> bool:
        """True when the row may bring a new value of the trigger source."""
        match self.source:
            case TriggerSource.LAST:
                return row.kind == RowKind.TRADE
            case TriggerSource.BID_ASK:
                return row.kind in (RowKind.QUOTE, RowKind.TRADE)
        return row.kind in (RowKind.MARK, RowKind.FUNDING)

    def ends_packet(self) -> bool:
        """True when no later row has the present row's time."""
        following = self.cursor + 1
        return following == len(self.rows) or self.rows[following].ts != self.rows[self.cursor].ts
