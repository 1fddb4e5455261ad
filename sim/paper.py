"""Paper trading: the simulated broker on a market that is still going on.

The exchange, the session and the strategy are those of a backtest. The one difference is that the
tape is not known to its end: virtual time stops at the horizon and waits for more (`sim.incoming`).
Because nothing looks beyond the present in either case, a session played again from what came in
gives the same events, to the bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from broker_api.broker import EventSink, Snapshot
from broker_api.compiled_run import RunBooks
from broker_api.config import BrokerSpec
from broker_api.errors import ConfigurationError
from broker_api.event import EventKind, row_of
from broker_api.instrument import NANOS
from data.schema import RowKind, TapeColumns
from data.tape import Tape
from sim.broker import SimBroker
from sim.exchange import Exchange
from sim.incoming import Arrival, Incoming, Request

OUTLOOK_NS = 400 * 24 * 3600 * NANOS
"""How far ahead a session knows its calendars; none lasts longer."""


def _told_rows(rows: TapeColumns | None) -> int:
    """How many rows of an outage tell of the market: from a halt on nobody knew of it."""
    if rows is None:
        return 0
    halts = np.flatnonzero(rows.kind == RowKind.HALT)
    return int(halts[0]) if len(halts) else len(rows.ts)


class PaperBroker(SimBroker):
    """A simulated broker over an Incoming market: one session, from its first rows to its end."""

    name = "paper"

    def __init__(self, spec: BrokerSpec, incoming: Incoming, notes: Sequence[str] = ()) -> None:
        if spec.simulation.when_closed == "queue":
            raise ConfigurationError(
                'SimulationConfig.when_closed = "queue": while a market is going on nobody knows '
                'its first row after the opening; use "reject"'
            )
        if any(len(tape) for tape in incoming.tapes):
            raise ConfigurationError("a market that is going on has one session")
        self._incoming = incoming
        self._requests: deque[tuple[int, Request]] = deque()
        self._is_over = False
        self._is_back = False
        horizon_ns = self._take_first_rows()
        super().__init__(spec, self._grown(), notes)
        self._tape_end_ns = horizon_ns

    def _take_first_rows(self) -> int:
        """Wait until every instrument has shown a row; returns up to when rows are known."""
        while True:
            arrival = self._incoming.next(None)
            self._append(arrival)
            if all(len(tape) for tape in self._incoming.tapes):
                return arrival.horizon_ns
            if arrival.is_last:
                silent = [tape.symbol for tape in self._incoming.tapes if not len(tape)]
                raise ConfigurationError(
                    f"the feed ended before it showed a row of {', '.join(silent)}"
                )

    def _append(self, arrival: Arrival) -> None:
        for tape, rows in zip(self._incoming.tapes, arrival.rows, strict=True):
            if rows is not None:
                tape.append(rows)
        self._requests += ((arrival.horizon_ns, request) for request in arrival.requests)
        self._is_over = arrival.is_last

    def _grown(self) -> list[Tape]:
        return [tape.tape() for tape in self._incoming.tapes]

    def _make_exchange(self, now_ns: int) -> Exchange:
        simulation, account = self.spec.simulation, self.spec.account
        outlook_ns = now_ns + OUTLOOK_NS
        return Exchange(
            self.spec.instruments,
            self._tapes,
            self._calendars,
            simulation,
            account,
            now_ns,
            outlook_ns,
        )

    async def connect(self, on_event: EventSink) -> Snapshot:
        """Begin with the first row."""
        snapshot = await super().connect(on_event)
        if self._is_over:
            self.exchange.end_at(self._tape_end_ns)
        return snapshot

    def attend(self, attentive: bool) -> None:
        """Every event is told as it comes: whoever watches, or does not when it is played again."""
        super().attend(True)

    # --- the clock ------------------------------------------------------------------------------

    def _next_stop_ns(self, deadline_ns: int | None) -> int | None:
        while not self._is_over:
            target_ns = super()._next_stop_ns(deadline_ns)
            if self._requests:
                due_ns = self._requests[0][0]
                target_ns = due_ns if target_ns is None else min(target_ns, due_ns)
            if target_ns is not None and target_ns <= self._tape_end_ns:
                return target_ns
            if self.exchange.now_ns < self._tape_end_ns:
                return self._tape_end_ns
            self._await_more(target_ns)
        target_ns = super()._next_stop_ns(deadline_ns)
        if self._requests and (target_ns is None or self._requests[0][0] < target_ns):
            return self._requests[0][0]
        return target_ns

    def _await_more(self, until_ns: int | None) -> None:
        """Let the horizon go on; where the session was away, the market goes on alone first."""
        arrival = self._incoming.next(until_ns)
        before_ns = self._tape_end_ns
        self._append(arrival)
        self._tapes = tuple(self._grown())
        self._tape_end_ns = max(before_ns, arrival.horizon_ns)
        self.exchange.continue_on(self._tapes)
        self._market.grow(self._tapes)
        if self._is_over:
            self.exchange.end_at(self._tape_end_ns)
        if arrival.was_away:
            self._catch_up(before_ns, sum(_told_rows(each) for each in arrival.rows))

    def _catch_up(self, since_ns: int, rows: int) -> None:
        """The venue went on without us: what it published meanwhile is told now, all at once."""
        now_ns = self._tape_end_ns
        while self.exchange.now_ns < now_ns:
            self._run_market(min(now_ns, max(self._arrivals.next_ns(), self.exchange.now_ns)))
            self._execute_arrivals(self.exchange.now_ns)
        self._loop.jump_to(now_ns)
        self._is_back = True
        row = row_of(
            EventKind.SESSION_RESUMED,
            ts_ns=now_ns,
            instrument=-1,
            value=now_ns - since_ns,
            limit=rows,
        )
        self._deliveries.tell(row, now_ns)

    def _tell_stretches(self, until_ns: int) -> int | None:
        """What a session missed is told at once and at its own time, not row by row at theirs."""
        return None if self._is_back else super()._tell_stretches(until_ns)

    def _schedule_due(self, now_ns: int) -> bool:
        self._is_back = False
        scheduled = super()._schedule_due(now_ns)
        while self._requests and self._requests[0][0] <= now_ns:
            self._loop.call_soon(self._serve, self._requests.popleft()[1])
            scheduled = True
        return scheduled

    def _serve(self, request: Request) -> None:
        result = self._incoming.serve(request)
        if result is not None:
            self._loop.create_task(result)

    async def run_compiled(
        self,
        strategy: Any,
        parameters: Mapping[str, Any],
        books: RunBooks,
        until_ns: int | None,
        bar_ns: int | None,
    ) -> None:
        """Refused: a compiled strategy runs to the end of a tape that is known."""
        raise ConfigurationError(
            "a compiled strategy needs a tape that is known to its end; in paper trading write it "
            "with handlers"
        )
