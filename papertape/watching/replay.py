"""A finished run, told to a board at speed: its journal record by record, its tapes' prices."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from broker_api.broker import Snapshot
from broker_api.event import EventKind, EventRow
from broker_api.instrument import from_nanos
from broker_api.journal import RecordedCommand, in_order
from broker_api.journal_parquet import commands_from_table
from broker_api.ledger import Ledger
from broker_api.order import Side
from broker_api.quote import Quote, Trade
from broker_api.view import Position
from data.schema import RowKind
from data.tape import Tape
from papertape.watching.board import PRICES_MAX, Board, Message
from papertape.watching.telling import (
    event_log,
    fill_message,
    instrument_table,
    order_message,
    position_message,
    quote_message,
    to_ms,
)
from reports.run import RunRecord

TURN_SECONDS = 0.1
STEP_NS_MIN = 1_000_000_000
"""Market time between two prices of the chart; longer for a run that would have too many."""
PRINT_NS_MAX = 5_000_000_000
"""A newest print that is older is not looked for."""


class Replay:
    """Plays a run's records to `board`. `speed` is seconds of the market in a second."""

    def __init__(self, run: RunRecord, speed: float) -> None:
        self._run = run
        self._speed = speed
        account = run.config.get("account") or {}
        self.board = Board(
            {
                "name": run.title,
                "mode": "replay",
                "broker": str(run.config.get("broker") or "run"),
                "account": str(account.get("name", "")),
                "currency": run.currency,
                "started_ms": to_ms(run.start_ns),
                "time_ms": to_ms(run.start_ns),
                "ended": False,
                "failure": None,
            },
            [instrument_table(spec) for spec in run.instruments],
        )
        start = Snapshot(str(account.get("name", "")), run.currency, run.cash_nanos, ())
        self._ledger = Ledger(run.instruments, start)
        self._records = self._timeline()
        self._next = next(self._records, None)
        self._quotes: list[Message | None] = [None] * len(run.instruments)
        self._step_ns = max(STEP_NS_MIN, (run.end_ns - run.start_ns) // (PRICES_MAX - 1))
        self._priced_ns = -self._step_ns

    def _timeline(self) -> Iterator[tuple[int, RecordedCommand | EventRow]]:
        commands = commands_from_table(self._run.commands())
        events = map(EventRow._make, self._run.events.tolist())
        for record in in_order(commands, events):
            yield record.ts_ns, record

    def play(
        self,
        stopped: threading.Event,
        real_time: Callable[[], float] = time.monotonic,
    ) -> None:
        """Tell the run from its start to its end, or until `stopped`."""
        began, end_ns = real_time(), self._run.end_ns
        now_ns = self._run.start_ns
        while not stopped.is_set():
            due_ns = self._run.start_ns + int((real_time() - began) * self._speed * 1e9)
            while now_ns < min(due_ns, end_ns):
                now_ns = min(due_ns, end_ns, now_ns + self._step_ns)
                self.advance(now_ns)
            if now_ns >= end_ns:
                break
            stopped.wait(TURN_SECONDS)
        self.board.tell({"type": "session", "ended": True, "time_ms": to_ms(now_ns)})

    def advance(self, now_ns: int) -> None:
        """Tell everything up to a time, and how things are then."""
        while self._next is not None and self._next[0] <= now_ns:
            record = self._next[1]
            self._next = next(self._records, None)
            if isinstance(record, RecordedCommand):
                self._ledger.apply_command(record.ts_ns, record.command)
            else:
                self._tell_event(record)
        if now_ns - self._priced_ns < self._step_ns and now_ns < self._run.end_ns:
            return
        self._priced_ns = now_ns
        for index, tape in enumerate(self._run.tapes):
            if tape is not None:
                self._tell_quote(index, tape, now_ns)
        self._tell_figures(now_ns)

    def _tell_event(self, row: EventRow) -> None:
        ledger = self._ledger
        ledger.apply_event(row)
        record = ledger.orders.get(row.order_id) if row.order_id else None
        if record is not None:
            for order_id in record.group or (record.order_id,):
                self.board.tell(order_message(ledger.orders[order_id]))
            if row.kind == EventKind.FILLED:
                self.board.tell(fill_message(record.spec, row, record.tag))
        line = event_log(row, ledger.instruments, record)
        if line is not None:
            self.board.tell(line)

    def _tell_quote(self, index: int, tape: Tape, now_ns: int) -> None:
        message = quote_message(self._run.instruments[index], *_market(self._run, tape, now_ns))
        if message is not None and message != self._quotes[index]:
            self._quotes[index] = dict(message)
            self.board.tell(message)

    def _tell_figures(self, now_ns: int) -> None:
        unrealised = 0
        for index, held in enumerate(self._ledger.positions):
            quote, value = self._quotes[index], 0
            price = None if quote is None else quote["bid" if held.lots > 0 else "ask"]
            if held.lots and price is not None:
                value = held.unrealised_nanos(held.spec.price_to_ticks(price))
            unrealised += value
            position = Position(held.spec, held.lots, held.cost, held.realised_nanos, value)
            self.board.tell(position_message(position))
        cash = self._ledger.cash_nanos
        self.board.tell(
            {
                "type": "account",
                "cash": from_nanos(cash),
                "equity": from_nanos(cash + unrealised),
                "realised": from_nanos(self._ledger.realised_nanos),
                "unrealised": from_nanos(unrealised),
                "fees": from_nanos(self._ledger.fees_nanos),
                "funding": from_nanos(self._ledger.funding_nanos),
            }
        )
        self.board.tell({"type": "health", "time_ms": to_ms(now_ns), "connected": True})


def _market(run: RunRecord, tape: Tape, now_ns: int) -> tuple[Quote | None, Trade | None]:
    """The quote in force and the newest print; None before the first."""
    columns = tape.columns
    at = int(np.searchsorted(columns.ts, now_ns, side="right")) - 1
    if at < 0:
        return None, None
    spec = next(each for each in run.instruments if each.symbol == tape.symbol)

    def price(ticks: Any, lots: Any) -> float | None:
        return spec.ticks_to_price(int(ticks)) if lots > 0 else None

    quote = Quote(
        spec.symbol,
        int(columns.ts[at]),
        price(columns.bid[at], columns.bid_qty[at]),
        price(columns.ask[at], columns.ask_qty[at]),
        spec.lots_to_size(int(columns.bid_qty[at])),
        spec.lots_to_size(int(columns.ask_qty[at])),
    )
    while at >= 0 and columns.kind[at] != RowKind.TRADE and now_ns - columns.ts[at] < PRINT_NS_MAX:
        at -= 1
    trade = None
    if at >= 0 and columns.kind[at] == RowKind.TRADE:
        side = {1: Side.BUY, -1: Side.SELL}.get(int(columns.side[at]))
        last = spec.ticks_to_price(int(columns.px[at]))
        size = spec.lots_to_size(int(columns.qty[at]))
        trade = Trade(spec.symbol, int(columns.ts[at]), last, size, side)
    return quote, trade
