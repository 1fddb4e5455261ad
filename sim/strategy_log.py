"""What a compiled strategy sent and what came of it, kept as arrays until somebody looks."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_api.compiled_run import RunBooks
from broker_api.event import EVENT_COLUMNS, EVENT_ROW, EventRow
from broker_api.journal import RecordedCommand
from broker_api.order import (
    NO_PRICE,
    BracketRequest,
    CancelRequest,
    Command,
    ExitRequest,
    OrderRequest,
    OrderType,
    ReplaceRequest,
    Side,
    TimeInForce,
)
from sim.strategy import OUT_FIELDS, SEND_BRACKET, SEND_CANCEL, SEND_REPLACE
from sim.strategy_loop import LOG_WIDTH

IntTable = npt.NDArray[np.int64]
LogRow = list[int]
_KIND, _STOP_ID, _TARGET_ID = map(OUT_FIELDS.index, ("kind", "stop_id", "target_id"))
_SENT, _PUBLISHED = len(OUT_FIELDS), len(OUT_FIELDS) + 1


def command_of(row: LogRow, books: RunBooks) -> Command:
    """A command of the log as the session would have sent it."""
    kind, order_id, sign, order_type, lots, limit, stop, *exits = row[: len(OUT_FIELDS)]
    if kind == SEND_CANCEL:
        return CancelRequest(order_id)
    if kind == SEND_REPLACE:
        return ReplaceRequest(order_id, _value(lots), _value(limit), _value(stop))
    is_market = order_type == OrderType.MARKET
    order = OrderRequest(
        order_id,
        books.client_id(order_id),
        books.spec.symbol,
        Side.BUY if sign > 0 else Side.SELL,
        OrderType(order_type),
        lots,
        _value(limit),
        _value(stop),
        time_in_force=TimeInForce.NONE if is_market else TimeInForce.GTC,
    )
    if kind != SEND_BRACKET:
        return order
    stop_id, stop_offset, target_id, target_offset = exits
    return BracketRequest(
        order, _exit(stop_id, stop_offset, books), _exit(target_id, target_offset, books)
    )


def _exit(order_id: int, offset: int, books: RunBooks) -> ExitRequest | None:
    return ExitRequest(order_id, books.client_id(order_id), offset) if order_id else None


def _value(number: int) -> int | None:
    return None if number == NO_PRICE else number


@dataclass(eq=False)
class _Played:
    """A block of the journal: commands are made of the loop's rows when somebody looks."""

    events: npt.NDArray[Any]
    rows: IntTable
    before: IntTable
    """Of each row how many of the events were known when it was sent."""
    books: RunBooks

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def orders(self) -> int:
        """See `Block`."""
        sent = self.rows[~np.isin(self.rows[:, _KIND], (SEND_CANCEL, SEND_REPLACE))]
        return len(sent) + int(np.count_nonzero(sent[:, [_STOP_ID, _TARGET_ID]]))

    @cached_property
    def commands(self) -> list[RecordedCommand]:
        """See `Block`."""
        return [
            RecordedCommand(row[_SENT], before, command_of(row, self.books))
            for row, before in zip(self.rows.tolist(), self.before.tolist(), strict=True)
        ]


class _Events:
    """Rows of events in one piece of memory, which grows where it lies."""

    def __init__(self) -> None:
        self._numbers: IntTable = np.zeros(0, dtype=np.int64)
        self._used = 0

    def __len__(self) -> int:
        return self._used // len(EVENT_COLUMNS)

    def add(self, events: npt.NDArray[Any]) -> None:
        """Copy these behind the others."""
        # As plain integers: of records NumPy copies one field after the other.
        numbers = events.view(np.int64)
        end = self._used + len(numbers)
        if end > len(self._numbers):
            # Nobody else has this memory: it is handed out by `take`, and forgotten here.
            self._numbers.resize(max(end, end + self._used // 4), refcheck=False)
        self._numbers[self._used : end] = numbers
        self._used = end

    def take(self) -> npt.NDArray[Any]:
        """All rows; there are none here from now on."""
        numbers = self._numbers
        numbers.resize(self._used, refcheck=False)  # gives the room for more rows back
        self._numbers, self._used = np.zeros(0, dtype=np.int64), 0
        return numbers.view(EVENT_ROW)

    def cut(self, from_ns: int) -> npt.NDArray[Any]:
        """The rows of `from_ns` and later, which are none of these from now on."""
        times = self._numbers[: self._used].view(EVENT_ROW)["ts_ns"]
        first = bisect_left(times, from_ns) * len(EVENT_COLUMNS)
        rows = self._numbers[first : self._used].copy().view(EVENT_ROW)
        self._used = first
        return rows


class PlayedLog:
    """Commands and events of a compiled run in order, given to the session when somebody looks."""

    def __init__(self, books: RunBooks, response_ns: int) -> None:
        self._books = books
        self._response_ns = response_ns
        self._events = _Events()
        self._commands: list[IntTable] = []
        self._told = 0

    def add_events(self, events: npt.NDArray[Any]) -> None:
        """Events as they were published; they are copied."""
        self._events.add(events)

    def add_commands(self, rows: IntTable) -> None:
        """Commands as they were sent; rows of the loop's log."""
        if len(rows):
            self._commands.append(rows)

    def tell(self, now_ns: int) -> None:
        """Give the session all commands, and the events that have come by `now_ns`."""
        if not (len(self._events) or self._commands):
            return
        later = self._events.cut(now_ns - self._response_ns + 1)
        events = self._events.take()
        rows, before = self._take_commands(events["ts_ns"] + self._response_ns)
        if len(events) or len(rows):
            self._told += len(events)
            block = _Played(events, rows, before, self._books)
            self._books.played(block, self._response_ns)
        self.add_events(later)

    def _take_commands(self, due: IntTable) -> tuple[IntTable, IntTable]:
        """The commands, and how many of the events, due then, were known when each was sent."""
        rows = np.concatenate([np.zeros((0, LOG_WIDTH), dtype=np.int64), *self._commands])
        self._commands = []
        published = rows[:, _PUBLISHED] - self._told
        known = np.searchsorted(due, rows[:, _SENT], side="right")
        return rows, np.minimum(published, known)

    def take_untold(self, now_ns: int) -> list[EventRow]:
        """The events that come after `now_ns`; they are the caller's from now on."""
        later = self._events.cut(now_ns - self._response_ns + 1)
        return [EventRow._make(row) for row in later.tolist()]
