"""The Python shell over the kernel: time and commands in, frozen events out.

The exchange knows tapes, instruments and calendars; it does not know sessions, latency or asyncio.
Its clock only moves forward, by `advance`, and commands take effect at the time it stands at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_api.calendar import SessionCalendar
from broker_api.config import AccountConfig, SimulationConfig
from broker_api.errors import ConfigurationError
from broker_api.event import EVENT_ROW, Event, EventRow, decode
from broker_api.instrument import Instrument
from broker_api.order import (
    BracketRequest,
    CancelRequest,
    Command,
    OcoRequest,
    OrderRequest,
    OrderType,
    ReplaceRequest,
    Side,
    TimeInForce,
)
from data.index import TapeRows
from data.schema import ROWS_OF_BAR
from data.tape import Tape
from sim import doors
from sim.bar_order import BarOrder
from sim.bar_turn import BarPaths, no_bars
from sim.book import (
    BY_CALENDAR,
    MAX_EVENTS,
    MAX_INSTRUMENTS,
    NEVER,
    state_hash,
)
from sim.encoding import Encoder, group_of, or_none
from sim.ended import EndedOrders
from sim.funds import Funds, FundsChange
from sim.handles import TapeHandle, handle_of
from sim.hours import Boundaries
from sim.liquidation import ACCOUNT, NOBODY
from sim.merged import MergedRows
from sim.overnight import MarginSwitches
from sim.set_up import set_up_book

_ROW_OF: Callable[[list[int]], EventRow] = partial(tuple.__new__, EventRow)
"""`EventRow._make`, without a look at how many numbers there are."""


class Exchange:
    """A deterministic exchange for one or several accounts over one or several tapes.

    `advance` moves time and returns what was published; `execute` runs a command at the present
    time. Every method is a function of the tapes, the settings and the calls before it. `tapes` are
    as the run meets them: of bars a copy, whose rows up to now are in the order of their path;
    `recorded` are those that were given.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        tapes: Sequence[Tape],
        calendars: Sequence[SessionCalendar],
        simulation: SimulationConfig,
        accounts: AccountConfig | Sequence[AccountConfig],
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> None:
        if not 0 < len(instruments) <= MAX_INSTRUMENTS:
            raise ConfigurationError(
                f"{len(instruments)} instruments in one session; the limit is {MAX_INSTRUMENTS}"
            )
        if isinstance(accounts, AccountConfig):
            accounts = (accounts,)
        self.accounts = tuple(accounts)
        self._instruments = tuple(instruments)
        bars = (index for index, tape in enumerate(tapes) if tape.bar_interval_ns)
        self._bar_orders = {index: BarOrder(tapes[index], simulation) for index in bars}
        self.recorded = tuple(tapes)
        self.tapes = tuple(
            self._bar_orders[index].tape if index in self._bar_orders else tape
            for index, tape in enumerate(tapes)
        )
        self._columns = [TapeRows(*tape.l1, tape.index) for tape in self.tapes]
        self._handles = [handle_of(columns) for columns in self._columns]
        self._ts = [columns.ts for columns in self._columns]
        self._is_single = len(instruments) == 1
        self._calendars = tuple(calendars)
        self.start_ns = min(tape.start_ns for tape in tapes) if start_ns is None else start_ns
        self.end_ns = max(tape.end_ns for tape in tapes) if end_ns is None else end_ns
        self.now_ns = self.start_ns
        self._array, self.notes = set_up_book(
            instruments, tapes, simulation, self.accounts, self.start_ns
        )
        self._book = self._array[0]
        # Numbers of the record as memory: a twentieth of what a look into the record costs.
        self._event_count = self._array["event_count"].data
        self._next_expiry = self._array["next_expiry"].data
        self._record_ts = self._array["ts"].data
        self._cursors = self._array["i_cursor"][0].data
        self._encoder = Encoder(self._instruments, self._calendars)
        self._events = np.zeros(MAX_EVENTS, dtype=EVENT_ROW)
        self._event_words = self._events.view(np.int64).reshape(MAX_EVENTS, -1)
        self._ended = EndedOrders(len(self.accounts))
        self._rows = MergedRows(self._array, self._events, self._handles, self._ts)
        self._boundaries = Boundaries(calendars, self.start_ns, self.end_ns)
        self._funds = Funds(self._array, self._events, self._instruments, self.accounts)
        self._margins = MarginSwitches(
            self._book, instruments, calendars, self.start_ns, self.end_ns
        )
        self._close_what_is_closed()
        self._published: list[EventRow] = self._drain()
        self._run_rows(self.start_ns)
        while self._rows_left(self.start_ns):
            self._run_rows(self.start_ns)
        self._published += self._drain()

    def _close_what_is_closed(self) -> None:
        self._book["ts"] = self.start_ns
        for index, calendar in enumerate(self._calendars):
            if not calendar.is_open(self.start_ns):
                self._close(index, self.start_ns)

    def _close(self, index: int, ts_ns: int) -> None:
        opening = self._calendars[index].next_open_ns(ts_ns)
        next_open = NEVER if opening is None else opening
        doors.halt(self._array, self._events, index, BY_CALENDAR, next_open)

    @property
    def state_hash(self) -> str:
        """SHA-256 of the exchange's whole state."""
        return state_hash(self._array)

    def equity_nanos(self, account: int = 0) -> int:
        """An account's cash plus open profit, in 1e-9 of its currency."""
        return int(doors.equity_nanos(self._array, account))

    def used_margin_nanos(self, account: int = 0) -> int:
        """Initial margin held for positions and working orders, isolated ones included."""
        first = account * MAX_INSTRUMENTS
        buckets = self._book["p_bucket"][first : first + MAX_INSTRUMENTS]
        return int(doors.used_margin(self._array, account)) + int(buckets.sum())

    def isolated_nanos(self, account: int, instrument: int) -> int:
        """What an isolated position stands on; 0 for a cross one."""
        return int(self._book["p_bucket"][account * MAX_INSTRUMENTS + instrument])

    def cash_nanos(self, account: int = 0) -> int:
        """An account's cash, in 1e-9 of its currency."""
        return int(self._book["a_cash"][account])

    @property
    def book(self) -> Any:
        """The state itself, for those who only look."""
        return self._book

    def row_in_force(self, instrument: int, ts_ns: int) -> int:
        """The newest row of an instrument's tape at `ts_ns`, -1 before the first."""
        return self._rows.row_in_force(instrument, ts_ns)

    def advance(self, deadline_ns: int) -> list[Event]:
        """As `advance_rows`, for those who read events."""
        return [decode(row) for row in self.advance_rows(deadline_ns)]

    @property
    def has_published(self) -> bool:
        """Whether `advance` has something to return."""
        return bool(self._published)

    def advance_rows(self, deadline_ns: int) -> list[EventRow]:
        """Run to `deadline_ns`, or to the first time at which something is published.

        Afterwards `now_ns` is that time and every row up to it has been processed.
        """
        while self.now_ns < deadline_ns and not self._published:
            target = min(deadline_ns, self._next_expiry[0], self._margins.next_ns)
            boundary = self._boundaries.next_ns
            if boundary > target:
                self._run_to(target if target > self.now_ns else self.now_ns)
            elif boundary - 1 > self.now_ns:
                self._run_to(boundary - 1)
            else:
                # An opening instant is open and a closing instant closed: rows of it come after.
                self._pass_boundaries(boundary)
                self._run_to(boundary)
        published, self._published = self._published, []
        return published

    def continue_on(self, tapes: Sequence[Tape]) -> None:
        """Go on with other tapes, whose rows up to the present are the same."""
        for index, tape in enumerate(tapes):
            columns = TapeRows(*tape.l1, tape.index)
            self._columns[index], self._ts[index] = columns, columns.ts
            self._handles[index] = handle_of(columns)
        self.tapes = tuple(tapes)
        self._rows.continue_on(self._handles, self._ts)
        self._book["interest_stale"] = 1

    def end_at(self, end_ns: int) -> None:
        """The market ends there: no session opens or closes later."""
        self.end_ns = end_ns
        self._boundaries.end_at(end_ns)
        self._margins.end_at(end_ns)

    # --- for a loop that runs inside the kernel --------------------------------------------------

    @property
    def kernel_state(self) -> tuple[Any, TapeHandle, npt.NDArray[Any]]:
        """The book, the only tape, and the buffer of events."""
        return self._array, self._handles[0], self._events

    @property
    def bar_paths(self) -> BarPaths:
        """The bars of the only tape, where it is one of bars, and their order."""
        return self._bar_orders[0].paths if self._bar_orders else no_bars()

    @property
    def next_break_ns(self) -> int:
        """The next time at which something other than rows and commands happens."""
        sessions_ns = min(self._margins.next_ns, self._boundaries.next_ns)
        return int(min(self._book["next_expiry"], sessions_ns))

    def advance_to(self, ts_ns: int) -> list[EventRow]:
        """Run to a time; returns all that was published."""
        rows = self.advance_rows(self.now_ns)
        while self.now_ns < ts_ns:
            rows += self.advance_rows(ts_ns)
        return rows

    def look_at_margin(self) -> list[EventRow]:
        """Liquidate what is short; returns what was published."""
        self._look_at_margin()
        return self._drain()

    def take_events(self) -> npt.NDArray[Any]:
        """What the kernel wrote since the last call; it stands there until the kernel goes on."""
        count = int(self._book["event_count"])
        assert count <= MAX_EVENTS, "one transaction overflowed the event buffer"
        self._book["event_count"] = 0
        events = self._events[:count]
        self._ended.note_all(events)
        return events

    # --- rows ------------------------------------------------------------------------------------

    def quiet_until_ns(self, until_ns: int) -> int:
        """The first time up to `until_ns` at which a row, an expiry or a session may do something.

        Before it nothing is published, whatever rows go by.
        """
        doors.refresh_interest(self._array)
        bound = min(until_ns, int(self._book["next_expiry"]), self._boundaries.next_ns)
        for index, handle in enumerate(self._handles):
            start, end = int(self._book["i_cursor"][index]) + 1, self.row_in_force(index, bound)
            row = int(doors.next_row(self._array, handle, index, start, end))
            if row <= end:
                if index in self._bar_orders:
                    row -= row % ROWS_OF_BAR  # which extreme comes first may not be decided yet
                bound = min(bound, int(self._ts[index][row]))
        return bound

    def _run_to(self, target_ns: int) -> None:
        """Run rows to `target_ns`, or to the first time at which one publishes; then expiries."""
        if self._is_single:
            self._run_single_to(target_ns)
        else:
            self._run_several_to(target_ns)
        if self._margins.next_ns <= self.now_ns and self._margins.switch(self.now_ns):
            self._look_at_margin()
            doors.refresh_interest(self._array)
        if self._event_count[0]:
            self._published += self._drain()

    def _run_single_to(self, target_ns: int) -> None:
        """All of it behind one door of the kernel; only a margin call is worked on here."""
        handle = self._handles[0]
        while True:
            stop_ns = self._put_bars_in_order(target_ns) if self._bar_orders else target_ns
            now_ns = doors.run_to_time(self._array, handle, self._events, stop_ns)
            if now_ns == doors.MARGIN_CALL:
                self._look_at_margin()
                continue
            self.now_ns = int(now_ns)
            if now_ns >= target_ns or self._event_count[0]:
                return

    def _run_several_to(self, target_ns: int) -> None:
        if self._run_rows(target_ns):
            target_ns = int(self._book["ts"])
            while self._rows_left(target_ns):
                self._run_rows(target_ns)
        self.now_ns = target_ns
        self._published += self._drain()
        self._book["ts"] = target_ns
        if self._book["next_expiry"] <= target_ns:
            doors.expire_due(self._array, self._events)
            self._run_activations()
        doors.refresh_interest(self._array)

    def _run_activations(self) -> None:
        """Let every marked exit arrive, in all instruments."""
        for index, handle in enumerate(self._handles):
            row = int(self._book["i_cursor"][index])
            doors.run_activations(self._array, handle, self._events, row, index)

    def _pass_boundaries(self, ts_ns: int) -> None:
        self._book["ts"] = ts_ns
        for at_ns, index, opens in self._boundaries.due(ts_ns):
            if opens:
                row = int(self._book["i_cursor"][index])
                doors.resume(self._array, self._events, index, row + 1)
            else:
                self._close(index, at_ns)
        self._published += self._drain()

    def _rows_left(self, until_ns: int) -> bool:
        """True while a row up to `until_ns` has not been processed."""
        cursors = self._book["i_cursor"]
        return any(
            int(cursors[index]) < self.row_in_force(index, until_ns)
            for index in range(len(self._ts))
        )

    def _run_rows(self, until_ns: int) -> bool:
        """Process rows up to `until_ns`, or to the first that publishes; True when one did."""
        stop_ns = -1
        while stop_ns < until_ns:
            stop_ns = self._put_bars_in_order(until_ns)
            if self._run_stretch(stop_ns):
                return True
        return False

    def _put_bars_in_order(self, until_ns: int) -> int:
        """Decide which extremes come first from here; returns up to what time they are decided."""
        book, stop_ns = self._book, until_ns
        for index, order in self._bar_orders.items():
            position, cursor = int(book["p_position"][index]), int(book["i_cursor"][index])
            handle = self._handles[index]
            stop_ns = min(stop_ns, order.prepare(handle, position, cursor, until_ns))
        return stop_ns

    def _run_stretch(self, until_ns: int) -> bool:
        """As `_run_rows`, over rows whose order is known."""
        return self._run_up_to(
            [self.row_in_force(index, until_ns) for index in range(len(self._ts))]
        )

    def _run_up_to(self, ends: list[int]) -> bool:
        """As `_run_rows`, up to a row of each tape."""
        done = False
        while not done:
            if len(ends) == 1:
                row = doors.run_until(self._array, self._handles[0], self._events, 0, ends[0])
                done = row >= ends[0]
            else:
                done = self._rows.serve_next(ends)
            if self._book["margin_wake"]:
                self._look_at_margin()
            done = done or bool(self._book["event_count"])
        return bool(self._book["event_count"])

    def _look_at_margin(self) -> None:
        """Liquidate what stands on less than its maintenance margin; else move the thresholds."""
        book = self._book
        woken, book["margin_wake"] = int(book["margin_wake"]), 0
        book["interest_stale"] = 1
        for account in range(len(self.accounts)):
            if woken and not book["p_position"][account * MAX_INSTRUMENTS + woken - 1]:
                continue  # the row was one of an instrument in which it has nothing
            while (scope := int(doors.next_short(self._array, account))) != NOBODY:
                doors.begin_liquidation(self._array, self._events, account, scope)
                for index in range(len(self._instruments)):
                    holding = account * MAX_INSTRUMENTS + index
                    own_scope = index if book["p_isolated"][holding] else ACCOUNT
                    if book["p_position"][holding] and own_scope == scope:
                        self._liquidate(account, index)
                self._run_activations()  # what it cancelled may have been the entry of an exit

    def _liquidate(self, account: int, index: int) -> None:
        """Close a position with an order of the venue."""
        book = self._book
        lots = int(book["p_position"][account * MAX_INSTRUMENTS + index])
        book["a_liquidations"][account] += 1
        order = OrderRequest(
            order_id=-int(book["a_liquidations"][account]),
            client_order_id="",
            instrument=self._instruments[index].symbol,
            side=Side.SELL if lots > 0 else Side.BUY,
            order_type=OrderType.MARKET,
            size_lots=abs(lots),
            time_in_force=TimeInForce.NONE,
            reduce_only=True,
        )
        self._encoder.encode(0, account, order, self.now_ns)
        row = int(book["i_cursor"][index])
        doors.liquidate(
            self._array, self._handles[index], self._events, row, self._encoder.commands
        )

    def execute(self, command: Command, account: int = 0) -> list[Event]:
        """As `execute_rows`, for those who read events."""
        return [decode(row) for row in self.execute_rows(command, account)]

    def execute_rows(self, command: Command, account: int = 0) -> list[EventRow]:
        """Run an account's command at the present time; the first event is its answer.

        The events are of every account that it concerned.
        """
        assert not self._event_count[0], "events of rows are drained before a command"
        self._record_ts[0] = self.now_ns
        if isinstance(command, CancelRequest):
            self._cancel(command, account)
        elif isinstance(command, ReplaceRequest):
            self._replace(command, account)
        else:
            self._submit(command, account)
        return self._drain()

    def change_funds(self, change: FundsChange, account: int = 0) -> list[Event]:
        """Move money or set a leverage at the present time; returns what was published.

        Raises FundsError, and leaves everything as it was.
        """
        self._record_ts[0] = self.now_ns
        self._funds.apply(change, account)
        return [decode(row) for row in self._drain()]

    def _submit(self, command: OrderRequest | BracketRequest | OcoRequest, account: int) -> None:
        encoder, now_ns = self._encoder, self.now_ns
        if isinstance(command, OrderRequest):
            index = encoder.encode(0, account, command, now_ns)
            door = doors.place
        elif isinstance(command, BracketRequest):
            index = encoder.encode(0, account, command.entry, now_ns, group_of(command))
            door = doors.place_bracket
        else:
            index = encoder.encode(0, account, command.first, now_ns, group_of(command))
            encoder.encode(1, account, command.second, now_ns)
            door = doors.place_oco
        handle, row = self._handles[index], self._cursors[index]
        door(self._array, handle, self._events, row, encoder.commands)

    def _instrument_of_order(self, order_id: int, account: int) -> int:
        if self._is_single:
            return 0
        book = self._book
        for slot in book["active"][: int(book["active_count"])]:
            if book["o_order_id"][slot] == order_id and book["o_account"][slot] == account:
                return int(book["o_instrument"][slot])
        return 0

    def _replace(self, command: ReplaceRequest, account: int) -> None:
        index = self._instrument_of_order(command.order_id, account)
        doors.replace(
            self._array,
            self._handles[index],
            self._events,
            self._cursors[index],
            account,
            command.order_id,
            or_none(command.size_lots),
            or_none(command.limit_ticks),
            or_none(command.stop_ticks),
            or_none(command.trail_ticks),
            self._ended.status(command.order_id, account),
        )

    def _cancel(self, command: CancelRequest, account: int) -> None:
        index = self._instrument_of_order(command.order_id, account)
        doors.cancel(
            self._array,
            self._handles[index],
            self._events,
            self._cursors[index],
            account,
            command.order_id,
            self._ended.status(command.order_id, account),
        )

    def _drain(self) -> list[EventRow]:
        """The rows that the kernel wrote since the last call."""
        count = self._event_count[0]
        if count == 0:
            return []
        assert count <= MAX_EVENTS, "one transaction overflowed the event buffer"
        self._event_count[0] = 0
        # As plain integers: of records NumPy copies one field after the other.
        rows = list(map(_ROW_OF, self._event_words[:count].tolist()))
        self._ended.note(rows)
        return rows
