"""What a compiled strategy sent and what came of it, kept as arrays until somebody looks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_api.compiled_run import RunBooks
from broker_api.event import EVENT_ROW, EventRow
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


class PlayedLog:
    """Commands and events of a compiled run in order, given to the session when somebody looks."""

    def __init__(self, books: RunBooks, response_ns: int) -> None:
        self._books = books
        self._response_ns = response_ns
        self._events: list[npt.NDArray[Any]] = []
        self._commands: list[IntTable] = []
        self._told = 0

    def add_events(self, events: npt.NDArray[Any]) -> None:
        """Events as they were published."""
        if len(events):
            self._events.append(events)

    def add_commands(self, rows: IntTable) -> None:
        """Commands as they were sent; rows of the loop's log."""
        if len(rows):
            self._commands.append(rows)

    def tell(self, now_ns: int) -> None:
        """Give the session all commands, and the events that have come by `now_ns`."""
        if not (self._events or self._commands):
            return
        events, due = self._take_events()
        end = int(np.searchsorted(due, now_ns, side="right"))
        rows, before = self._take_commands(due)
        if end or len(rows):
            self._told += end
            block = _Played(events[:end], rows, before, self._books)
            self._books.played(block, self._response_ns)
        self.add_events(events[end:])

    def _take_events(self) -> tuple[npt.NDArray[Any], IntTable]:
        # As plain integers: of records NumPy copies one field after the other.
        flat = [events.view(np.int64) for events in self._events]
        events = np.concatenate([np.zeros(0, dtype=np.int64), *flat]).view(EVENT_ROW)
        self._events = []
        return events, events["ts_ns"] + self._response_ns

    def _take_commands(self, due: IntTable) -> tuple[IntTable, IntTable]:
        """The commands, and how many of the events were known when each was sent."""
        rows = np.concatenate([np.zeros((0, LOG_WIDTH), dtype=np.int64), *self._commands])
        self._commands = []
        published = rows[:, _PUBLISHED] - self._told
        known = np.searchsorted(due, rows[:, _SENT], side="right")
        return rows, np.minimum(published, known)

    def take_untold(self, now_ns: int) -> list[EventRow]:
        """The events that come after `now_ns`; they are the caller's from now on."""
        events, due = self._take_events()
        end = int(np.searchsorted(due, now_ns, side="right"))
        self.add_events(events[:end])
        return [EventRow._make(row) for row in events[end:].tolist()]
