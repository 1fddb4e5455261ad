"""What a market shows at one row of its tape, in the exchange's integers."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from broker_api.instrument import NANOS, Instrument
from broker_api.order import Side
from data.schema import IntColumn, RowKind
from data.tape import Tape


class Touch(NamedTuple):
    """Best bid and offer as the tape shows them; of an empty side ticks are None and lots 0."""

    bid_ticks: int | None
    bid_lots: int
    ask_ticks: int | None
    ask_lots: int


NOTHING_SHOWN = Touch(None, 0, None, 0)


class Print(NamedTuple):
    """One trade of the tape. `sign` is +1 for a buying aggressor, -1 a selling, 0 unknown."""

    row: int
    ts_ns: int
    price_ticks: int
    lots: int
    sign: int


class FundingRow(NamedTuple):
    """One funding of the tape: the rate in 1e-9 and the mark in 1e-9 (0 where it names none)."""

    ts_ns: int
    rate_nanos: int
    mark_nanos: int


class Present:
    """A market's tape, looked at from a row of it; never at anything behind that row."""

    def __init__(self, instrument: Instrument, tape: Tape) -> None:
        self.instrument = instrument
        self.tape = tape
        self._tick_nanos = int(instrument.tick_size * NANOS)

    def row_at(self, ts_ns: int) -> int:
        """The newest row at this time, -1 before the first."""
        return int(self.tape.columns.ts.searchsorted(ts_ns, side="right")) - 1

    def touch(self, row: int) -> Touch:
        """The touch in force at the row."""
        if row < 0:
            return NOTHING_SHOWN
        columns = self.tape.columns
        bid_lots, ask_lots = int(columns.bid_qty[row]), int(columns.ask_qty[row])
        return Touch(
            int(columns.bid[row]) if bid_lots else None,
            bid_lots,
            int(columns.ask[row]) if ask_lots else None,
            ask_lots,
        )

    def is_unchanged(self, side: Side, since_row: int, row: int) -> bool:
        """Whether a side's price and size are the same at every row from one to another."""
        columns = self.tape.columns
        is_bid = side is Side.BUY
        prices, sizes = (columns.bid, columns.bid_qty) if is_bid else (columns.ask, columns.ask_qty)
        rows = slice(since_row, row + 1)
        same = (prices[rows] == prices[since_row]) & (sizes[rows] == sizes[since_row])
        return bool(same.all())

    def last_print(self, row: int) -> Print | None:
        """The newest trade up to the row."""
        found = self.prints(row, 1)
        return found[0] if found else None

    def first_print(self, row: int) -> Print | None:
        """The oldest trade up to the row."""
        found = self._prints(0, min(1, int(self._trades.searchsorted(row, side="right"))))
        return found[0] if found else None

    def volume_between(self, after_row: int, row: int) -> tuple[int, int]:
        """What was traded behind `after_row` up to the row: lots, and the sum of ticks x lots."""
        start, end = self._trades.searchsorted([after_row, row], side="right")
        lots, products = self._volumes
        return int(lots[end] - lots[start]), int(products[end] - products[start])

    def prints(self, row: int, count: int) -> list[Print]:
        """The newest `count` trades up to the row, oldest first."""
        end = int(self._trades.searchsorted(row, side="right"))
        return self._prints(max(0, end - count), end)

    def prints_between(self, after_row: int, row: int) -> list[Print]:
        """The trades behind `after_row` up to the row, oldest first."""
        start = int(self._trades.searchsorted(after_row, side="right"))
        return self._prints(start, int(self._trades.searchsorted(row, side="right")))

    def _prints(self, start: int, end: int) -> list[Print]:
        columns, rows = self.tape.columns, self._trades[start:end]
        sides: IntColumn = columns.side[rows].astype(np.int64)
        values = [rows, columns.ts[rows], columns.px[rows], columns.qty[rows], sides]
        return [Print(*each) for each in zip(*map(_numbers, values), strict=True)]

    def mark_nanos(self, row: int) -> int:
        """The price that values positions, in 1e-9: the mark, else the last trade, else the mid.

        A tape that has marks is valued by them alone: 0 before the first.
        """
        if len(self._marks):
            at = int(self._marks.searchsorted(row, side="right")) - 1
            return int(self.tape.columns.px[self._marks[at]]) if at >= 0 else 0
        last = self.last_print(row)
        if last is not None:
            return last.price_ticks * self._tick_nanos
        touch = self.touch(row)
        if touch.bid_ticks is None or touch.ask_ticks is None:
            return 0
        return (touch.bid_ticks + touch.ask_ticks) * self._tick_nanos // 2

    def fundings(self, row: int) -> list[FundingRow]:
        """The fundings up to the row, oldest first."""
        rows = self._fundings[: int(self._fundings.searchsorted(row, side="right"))]
        columns = self.tape.columns
        values = [columns.ts[rows], columns.qty[rows], columns.px[rows]]
        return [FundingRow(*each) for each in zip(*map(_numbers, values), strict=True)]

    @property
    def has_marks(self) -> bool:
        """Whether the tape brings marks."""
        return len(self._marks) > 0

    @cached_property
    def _trades(self) -> IntColumn:
        return np.flatnonzero(self.tape.columns.kind == RowKind.TRADE)

    @cached_property
    def _volumes(self) -> tuple[IntColumn, IntColumn]:
        """Sums of lots, and of ticks x lots, over the trades before each trade and over all."""
        columns, rows = self.tape.columns, self._trades
        lots = columns.qty[rows]
        sums = (np.cumsum(lots), np.cumsum(lots * columns.px[rows]))
        return np.concatenate([[0], sums[0]]), np.concatenate([[0], sums[1]])

    @cached_property
    def _fundings(self) -> IntColumn:
        return np.flatnonzero(self.tape.columns.kind == RowKind.FUNDING)

    @cached_property
    def _marks(self) -> IntColumn:
        """Rows that bring a mark: those of marks, and fundings that name one."""
        kind, px = self.tape.columns.kind, self.tape.columns.px
        rows = np.flatnonzero((kind == RowKind.MARK) | ((kind == RowKind.FUNDING) & (px > 0)))
        return rows if self.tape.has_marks else rows[:0]


def _numbers(column: IntColumn) -> list[int]:
    numbers: list[int] = column.tolist()
    return numbers
