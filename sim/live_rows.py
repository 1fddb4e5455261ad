"""A market that goes on now, as rows: what a feed tells is stamped, and put into the inbox.

A row's time is that of its receipt by the machine's clock, and never one that the session knows to
be over: stamping and handing out happen under the inbox's lock. While a feed is down the market
counts as halted: nothing fills on prices that nobody sees, and orders that arrive are rejected. It
is reopened by the next quote. All of it is in the rows, and so in the journal and on the tape.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.schema import (
    COLUMN_TYPES,
    EMPTY_ASK,
    EMPTY_BID,
    MAX_LOTS,
    MAX_TICKS,
    RowKind,
    TapeColumns,
)
from sim.inbox import Inbox, Rows

NOTES_MAX = 100
KINDS = {"quote": RowKind.QUOTE, "trade": RowKind.TRADE, "mark": RowKind.MARK,
         "funding": RowKind.FUNDING}  # fmt: skip
"""Kinds of rows by what a feed says that it tells."""
_NS_MS = 1_000_000
_NO_TOUCH = (EMPTY_BID, EMPTY_ASK, 0, 0)


def kinds_of(told: Sequence[str]) -> tuple[RowKind, ...]:
    """The kinds of rows of a feed that tells these; halts come with every feed."""
    return (*(KINDS[each] for each in told), RowKind.HALT, RowKind.RESUME)


class LiveRows:
    """Rows that have come and were not handed out yet. Touched under the inbox's lock only."""

    end_ns: int | None = None

    def __init__(self, instruments: int) -> None:
        self._rows: list[list[tuple[int, ...]]] = [[] for _ in range(instruments)]
        self.on_skip: Callable[[int], None] = lambda until_ns: None

    def add(self, index: int, row: tuple[int, ...]) -> None:
        """A row with the fields of TapeColumns."""
        self._rows[index].append(row)

    def clear(self) -> None:
        """Forget what was not handed out."""
        for rows in self._rows:
            rows.clear()

    def take(self, until_ns: int) -> tuple[TapeColumns | None, ...]:
        """All that has come: none of it is later than now."""
        return tuple(self._columns(rows) for rows in self._rows)

    def _columns(self, rows: list[tuple[int, ...]]) -> TapeColumns | None:
        if not rows:
            return None
        table = np.array(rows, dtype=np.int64)
        rows.clear()
        columns: list[Any] = [
            np.ascontiguousarray(table[:, column], dtype=COLUMN_TYPES[name])
            for column, name in enumerate(TapeColumns._fields)
        ]
        return TapeColumns(*columns)

    def next_ns(self) -> int | None:
        """Nobody knows."""
        return None

    def skip(self, until_ns: int, also: Rows) -> None:
        """Nobody tells what was missed: the market was out of sight since the last row."""
        newest = [int(rows.ts[-1]) for rows in also if rows is not None]
        self.on_skip(max([until_ns, *newest]))


@dataclass
class _Seen:
    """What is known of one instrument."""

    touch: tuple[int, int, int, int] = _NO_TOUCH
    is_known: bool = False
    is_halted: bool = False
    mark: int = 0
    shown_mark: int = 0


class LiveMarket:
    """What a feed's thread tells (a MarketSink), on its way into the inbox.

    What is known of the instruments is touched under the inbox's lock only.
    """

    def __init__(
        self, inbox: Inbox, rows: LiveRows, instruments: int, wall_ns: Callable[[], int]
    ) -> None:
        self._inbox = inbox
        self._rows = rows
        self._wall_ns = wall_ns
        self._seen = [_Seen() for _ in range(instruments)]
        self._heard_ns = 0
        self._outages = 0
        self._notes: deque[str] = deque(maxlen=NOTES_MAX)
        rows.on_skip = self._was_away

    # --- from the feed's thread ------------------------------------------------------------------

    def quote(self, index: int, bid: int | None, ask: int | None, sizes: tuple[int, int]) -> None:
        """See MarketSink. The first one after an outage reopens the market."""
        touch = _touch(bid, ask, sizes)
        if touch is None:
            self.note(f"a quote of bid {bid}, ask {ask}, sizes {sizes} was left out")
            return
        self._hear()
        self._inbox.put(lambda ts_ns: self._take_touch(index, touch, ts_ns))

    def trade(self, index: int, ticks: int, lots: int, side: int) -> None:
        """See MarketSink. It carries the touch that was known before it."""
        if not (0 < ticks < MAX_TICKS and 0 < lots < MAX_LOTS):
            self.note(f"a print of {lots} lots at {ticks} ticks was left out")
            return
        self._hear()
        seen = self._seen[index]
        row = (RowKind.TRADE, ticks, lots, side)
        self._inbox.put(lambda ts_ns: seen.is_known and self._add(index, ts_ns, row))

    def mark(self, index: int, nanos: int) -> None:
        """See MarketSink."""
        self._hear()
        self._inbox.put(lambda ts_ns: self._take_mark(index, nanos, ts_ns))

    def funding(self, index: int, rate_nanos: int) -> None:
        """See MarketSink. It is paid on the mark."""
        self._hear()
        self._inbox.put(lambda ts_ns: self._take_funding(index, rate_nanos, ts_ns))

    def down(self, why: str) -> None:
        """See MarketSink."""
        self.note(f"the feed is down: {why}")
        self._inbox.put(self._take_outage)

    def note(self, text: str) -> None:
        """See MarketSink."""
        self._notes.append(text)

    # --- on the way: under the inbox's lock ------------------------------------------------------

    def _hear(self) -> None:
        self._heard_ns = self._wall_ns()

    def _add(self, index: int, ts_ns: int, *rows: tuple[RowKind, int, int, int]) -> bool:
        """Rows of (kind, px, qty, side)."""
        bid, ask, bid_lots, ask_lots = self._seen[index].touch
        for kind, px, qty, side in rows:
            row = (ts_ns, int(kind), side, px, qty, bid, ask, bid_lots, ask_lots)
            self._rows.add(index, row)
        return bool(rows)

    def _take_touch(self, index: int, touch: tuple[int, int, int, int], ts_ns: int) -> bool:
        seen = self._seen[index]
        if seen.is_known and touch == seen.touch:
            return False
        seen.touch, seen.is_known = touch, True
        self._show(index, ts_ns)
        return True

    def _show(self, index: int, ts_ns: int) -> None:
        """The touch, behind an outage as a market that is open again, and a mark that is due."""
        seen = self._seen[index]
        if seen.is_halted:
            seen.is_halted = False
            self._add(index, ts_ns, (RowKind.RESUME, 0, 0, 0))
        self._add(index, ts_ns, (RowKind.QUOTE, 0, 0, 0))
        if seen.mark != seen.shown_mark:
            seen.shown_mark = seen.mark
            self._add(index, ts_ns, (RowKind.MARK, seen.mark, 0, 0))

    def _take_mark(self, index: int, nanos: int, ts_ns: int) -> bool:
        seen = self._seen[index]
        seen.mark = nanos
        if not seen.is_known or nanos == seen.shown_mark:
            return False
        seen.shown_mark = nanos
        return self._add(index, ts_ns, (RowKind.MARK, nanos, 0, 0))

    def _take_funding(self, index: int, rate_nanos: int, ts_ns: int) -> bool:
        mark = self._seen[index].shown_mark
        return mark > 0 and self._add(index, ts_ns, (RowKind.FUNDING, mark, rate_nanos, 0))

    def _take_outage(self, ts_ns: int) -> bool:
        known = [index for index, seen in enumerate(self._seen) if seen.is_known]
        self._outages += bool(known)
        for index in known:
            seen = self._seen[index]
            seen.is_known, seen.is_halted = False, True
            self._add(index, ts_ns, (RowKind.HALT, 0, 0, 0))
        return bool(known)

    def _was_away(self, until_ns: int) -> None:
        """A session is resumed: for it the market was out of sight since its last record.

        What the feed has told meanwhile, while the records were played, comes to the touch of now.
        """
        self._rows.clear()
        for index, seen in enumerate(self._seen):
            touch, seen.touch = seen.touch, _NO_TOUCH
            self._add(index, until_ns + 1, (RowKind.HALT, 0, 0, 0))
            seen.touch, seen.is_halted, seen.shown_mark = touch, True, 0
            if seen.is_known:
                self._show(index, max(self._wall_ns(), until_ns + 1))

    # --- looking ---------------------------------------------------------------------------------

    @property
    def notes(self) -> list[str]:
        """What a person should know, the newest last."""
        return list(self._notes)

    def health(self) -> dict[str, Any]:
        """For the page: whether the feed is there, how old its newest word is, what was lost."""
        is_up = all(seen.is_known for seen in self._seen)
        age_ns = self._wall_ns() - self._heard_ns if self._heard_ns else 0
        return {
            "feed": "connected" if is_up else "down",
            "feed_age_ms": max(0, age_ns) // _NS_MS,
            "feed_outages": self._outages,
        }


def _touch(
    bid: int | None, ask: int | None, sizes: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """The four fields of a touch, None for one that no tape may hold."""
    bid_lots = 0 if bid is None else sizes[0]
    ask_lots = 0 if ask is None else sizes[1]
    low = EMPTY_BID if bid is None or not bid_lots else bid
    high = EMPTY_ASK if ask is None or not ask_lots else ask
    is_low_good = low == EMPTY_BID or 0 < low < MAX_TICKS
    is_high_good = high == EMPTY_ASK or 0 < high < MAX_TICKS
    if not (is_low_good and is_high_good and low < high):
        return None
    if not (0 <= bid_lots < MAX_LOTS and 0 <= ask_lots < MAX_LOTS):
        return None
    return low, high, bid_lots, ask_lots
