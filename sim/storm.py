"""A simulated broker in a storm: refusals, late commands, lost answers, a connection that breaks.

`StormBroker` stands between a session and the broker that it was made with, and is a broker to the
session. What it does is what a live adapter goes through: an order whose answer was lost is told to
be uncertain, its command raises OrderUncertainError, nothing is sent again, and after a while it is
looked up and told as the venue has it. Fills that were not told meanwhile are told then, and the
position and the cash that the session hears of are those of the fills that it has heard of.

All of it is a function of the faults and the commands. The last tenth of the tape is calm, so that
a session can come to rest; at its end everything that was held back is told.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, cast

from broker_api.broker import EventSink, RowSink, Snapshot
from broker_api.compiled_run import RunBooks
from broker_api.config import BrokerSpec
from broker_api.errors import NotConnectedError, OrderUncertainError
from broker_api.event import (
    CancelRejected,
    EventRow,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    OrderReplaced,
    ReplaceRejected,
    decode,
)
from broker_api.instrument import Instrument
from broker_api.order import (
    CancelRequest,
    Command,
    ReplaceRequest,
    Submission,
)
from broker_api.quote import Bar, Quote, Trade
from data.tape import Tape
from sim.broker import SimBroker
from sim.exchange import Exchange
from sim.storm_books import Doubt, ToldBooks, ids_of
from sim.storm_faults import MS, Fault, FaultKind, Faults
from sim.storm_rows import GatedSink

CALM_TENTH = 10
"""The last of so many parts of the tape is without faults."""
_IN_DOUBT = (FaultKind.LOST, FaultKind.UNANSWERED, FaultKind.BREAK)
_Answer = asyncio.Future[Any]


class StormBroker:
    """A broker to which the faults happen that `faults` says, command by command.

    `happened` counts them by kind. Compiled strategies run inside the exchange: no fault reaches
    them, which the notes say.
    """

    def __init__(self, plain: SimBroker, faults: Faults) -> None:
        self.plain = plain
        self.name = plain.name
        self.clock = plain.clock
        self.capabilities = plain.capabilities
        self.happened: Counter[str] = Counter()
        self._faults = faults
        self._loop = asyncio.get_running_loop()
        self._on_event: EventSink | None = None
        self._sent = 0
        self._calm_ns = 0
        self._way_in_ns = 0
        self._waiting: deque[tuple[Command, _Answer]] = deque()
        self._way_back_ns = 0
        self._line: deque[tuple[EventRow, int]] = deque()
        self._down_from_ns = self._down_until_ns = 0
        self._frozen: list[tuple[Quote | None, Trade | None]] = []
        self._doubts: list[Doubt] = []
        self._answers: dict[int, _Answer] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._own_notes: list[str] = []

    # --- what is beneath -----------------------------------------------------------------------

    @property
    def spec(self) -> BrokerSpec:
        """What the broker beneath was made from."""
        return self.plain.spec

    @property
    def tapes(self) -> tuple[Tape, ...]:
        """The tapes, one an instrument."""
        return self.plain.tapes

    @property
    def exchange(self) -> Exchange:
        """The exchange, which knows what is so. Raises NotConnectedError before `connect`."""
        return self.plain.exchange

    @property
    def notes(self) -> list[str]:
        """What the run's reader should know, and what happened."""
        faults = ", ".join(f"{count} {kind}" for kind, count in sorted(self.happened.items()))
        happened = [f"commands met with faults: {faults}"] if faults else []
        return self.plain.notes + self._own_notes + happened

    def instruments(self) -> Sequence[Instrument]:
        """See `Broker.instruments`."""
        return self.plain.instruments()

    def attend(self, attentive: bool) -> None:
        """The storm always waits for events, but while a compiled strategy runs."""

    def flush(self) -> None:
        """See `Broker.flush`."""
        self.plain.flush()

    # --- the connection ------------------------------------------------------------------------

    async def connect(self, on_event: EventSink) -> Snapshot:
        """See `Broker.connect`."""
        snapshot = await self.plain.connect(self._hear)
        self._on_event = on_event
        start_ns = self.clock.now_ns()
        span_ns = max(tape.end_ns for tape in self.plain.tapes) - start_ns
        self._calm_ns = start_ns + span_ns - span_ns // CALM_TENTH
        self._books = ToldBooks(self.plain.instruments(), snapshot)
        self.plain.attend(True)
        return snapshot

    async def disconnect(self) -> None:
        """See `Broker.disconnect`. What was held back is told now: the journal ends complete."""
        if self._on_event is None:
            return
        self._calm_ns = 0
        self._open_line()
        await self.plain.disconnect()
        for doubt in self._doubts:
            doubt.arrived = doubt.arrived and bool(doubt.held)  # what was under way never arrives
        while self._doubts:
            self._look_up(self._doubts[0])
        self._on_event = None
        never_sent = [answer for _, answer in self._waiting]
        self._waiting.clear()
        for answer in (*never_sent, *self._answers.values()):
            _fail(answer, NotConnectedError("disconnected before the order arrived"))
        self._answers.clear()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def _is_down(self) -> bool:
        return bool(self._down_until_ns) and self.clock.now_ns() < self._down_until_ns

    # --- commands ------------------------------------------------------------------------------

    async def submit(self, submission: Submission) -> OrderAccepted | OrderRejected:
        """See `Broker.submit`."""
        return cast(OrderAccepted | OrderRejected, await self._send(submission))

    async def replace(self, request: ReplaceRequest) -> OrderReplaced | ReplaceRejected:
        """See `Broker.replace`."""
        return cast(OrderReplaced | ReplaceRejected, await self._send(request))

    async def cancel(self, request: CancelRequest) -> OrderCancelled | CancelRejected:
        """See `Broker.cancel`."""
        return cast(OrderCancelled | CancelRejected, await self._send(request))

    def post(self, command: Command) -> None:
        """See `Broker.post`."""
        self._send(command).add_done_callback(_look_at)

    def _send(self, command: Command) -> _Answer:
        if self._on_event is None:
            raise NotConnectedError("the suite is disconnected; nothing was sent")
        if self._is_down():
            self.happened["sent while disconnected"] += 1
            raise NotConnectedError("the connection to the venue is down; nothing was sent")
        self._sent += 1
        answer: _Answer = self._loop.create_future()
        fault = self._fault_of(command)
        self._books.sent(command)
        if fault is None or fault.kind is FaultKind.SILENCE:
            if fault is not None:
                self._hold_line(fault.ms)
            self._send_in_order(command, answer)
        elif fault.kind is FaultKind.LATE:
            self._way_in_ns = max(self._way_in_ns, self._after(fault.ms))
            self._send_in_order(command, answer)
        elif fault.kind is FaultKind.REFUSED:
            self._later(self._after(fault.ms), self._refuse, self._sent, command, answer)
        else:
            self._lose(command, answer, fault)
        return answer

    def _fault_of(self, command: Command) -> Fault | None:
        """What happens to the command: nothing when it is calm, or an order of it is in doubt."""
        fault = self._faults.of(self._sent)
        if fault is None or self.clock.now_ns() >= self._calm_ns:
            return None
        ids = ids_of(command)
        if fault.kind in _IN_DOUBT and any(doubt.is_about(ids) for doubt in self._doubts):
            return None
        self.happened[fault.kind.value] += 1
        return fault

    def _after(self, ms: int) -> int:
        """So long from now, but not beyond the beginning of the calm."""
        now_ns = self.clock.now_ns()
        return min(now_ns + ms * MS, max(now_ns, self._calm_ns))

    def _later(self, when_ns: int, call: Callable[..., None], *arguments: Any) -> None:
        loop = cast(Any, self._loop)
        loop.call_at_ns(when_ns, call, *arguments)

    def _send_in_order(self, command: Command, answer: _Answer) -> None:
        """Send now, or behind what waits on the way in."""
        if not self._waiting and self._way_in_ns <= self.clock.now_ns():
            self._carry(command, answer)
            return
        if not self._waiting:
            self._later(self._way_in_ns, self._open_way_in)
        self._waiting.append((command, answer))

    def _open_way_in(self) -> None:
        if self._way_in_ns > self.clock.now_ns() and self._waiting:
            self._later(self._way_in_ns, self._open_way_in)
            return
        while self._waiting:
            self._carry(*self._waiting.popleft())

    def _carry(self, command: Command, answer: _Answer) -> None:
        # As tasks, begun in the order of sending: all keep their order.
        task = self._loop.create_task(self._carried(command, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carried(self, command: Command, answer: _Answer) -> None:
        try:
            event = await self._call(command)
        except Exception as failure:  # whoever sent it hears of it, whatever it is
            _fail(answer, failure)
            return
        self._answer_when_told(event.seq, event, answer)

    def _call(self, command: Command) -> Coroutine[Any, Any, Any]:
        if isinstance(command, ReplaceRequest):
            return self.plain.replace(command)
        if isinstance(command, CancelRequest):
            return self.plain.cancel(command)
        return self.plain.submit(command)

    def _answer_when_told(self, seq: int, event: Any, answer: _Answer) -> None:
        """An answer comes when its event has gone through the sink."""
        if self._books.is_held(seq):
            self._answers[seq] = answer
        elif not answer.done():
            answer.set_result(event)

    # --- faults of commands --------------------------------------------------------------------

    def _refuse(self, number: int, command: Command, answer: _Answer) -> None:
        if self._on_event is None:
            _fail(answer, NotConnectedError("disconnected before the order arrived"))
            return
        row = self._books.refusal(command, -number, self.clock.now_ns())
        self._books.hold(row)
        self._hear(row, self.clock.now_ns())
        self._answer_when_told(row.seq, decode(row), answer)

    def _lose(self, command: Command, answer: _Answer, fault: Fault) -> None:
        """The answer is lost, or the command itself; the orders' events are held back from now."""
        doubt = Doubt(command, ids_of(command), arrived=fault.kind is not FaultKind.LOST)
        self._doubts.append(doubt)
        if doubt.arrived:
            self._send_in_order(command, self._loop.create_future())
        if fault.kind is FaultKind.BREAK:
            self._break(self._after(fault.ms))
            self._doubt(doubt, answer)  # whoever waited on that connection knows at once
            told_ns = self._down_until_ns
        else:
            told_ns = self._after(fault.ms)
            self._later(told_ns, self._doubt, doubt, answer)
        look_ns = min(told_ns + fault.look_ms * MS, max(told_ns, self._calm_ns))
        self._later(look_ns, self._look_up, doubt)

    def _break(self, until_ns: int) -> None:
        now_ns = self.clock.now_ns()
        self._down_from_ns, self._down_until_ns = now_ns, until_ns
        self._frozen = [
            (self.plain.last_quote(index), self.plain.last_trade(index))
            for index in range(len(self.plain.instruments()))
        ]
        self._hold_line_until(until_ns)

    def _doubt(self, doubt: Doubt, answer: _Answer) -> None:
        """Tell that nobody knows what became of a command, unless that is known by now."""
        now_ns = self.clock.now_ns()
        if doubt not in self._doubts:
            return
        for row in self._books.uncertain(doubt, now_ns):
            self._tell(row, now_ns)
        what = ", ".join(str(order_id) for order_id in doubt.ids)
        _fail(answer, OrderUncertainError(f"order {what}: the answer was lost; it may exist"))

    def _look_up(self, doubt: Doubt) -> None:
        """What the venue has of orders in doubt is told: their terms, then all that happened."""
        if doubt not in self._doubts:
            return
        self._doubts.remove(doubt)
        now_ns = self.clock.now_ns()
        for row in self._books.found(doubt, now_ns):
            self._tell(row, now_ns)
        for row, came_ns in doubt.held:
            self._tell(row, max(came_ns, now_ns))

    # --- events --------------------------------------------------------------------------------

    def _hold_line(self, ms: int) -> None:
        self._hold_line_until(self._after(ms))

    def _hold_line_until(self, when_ns: int) -> None:
        if when_ns > self._way_back_ns:
            self._way_back_ns = when_ns
            self._later(when_ns, self._open_line_at, when_ns)

    def _open_line_at(self, when_ns: int) -> None:
        if when_ns == self._way_back_ns:
            self._open_line()

    def _open_line(self) -> None:
        self._way_back_ns = 0
        while self._line:
            row, came_ns = self._line.popleft()
            self._pass(row, max(came_ns, self.clock.now_ns()))

    def _hear(self, row: EventRow, came_ns: int) -> None:
        """The sink of the broker beneath."""
        if self._way_back_ns:
            self._books.hold(row)
            self._line.append((row, came_ns))
        else:
            self._pass(row, came_ns)

    def _pass(self, row: EventRow, came_ns: int) -> None:
        """Tell an event, but of an order in doubt keep it until that is looked up."""
        if row.order_id:
            for doubt in self._doubts:
                if row.order_id in doubt.ids:
                    self._books.hold(row)
                    doubt.held.append((row, came_ns))
                    return
        self._tell(row, came_ns)

    def _tell(self, row: EventRow, came_ns: int) -> None:
        """Tell an event and what it does to position and cash."""
        for told in self._books.told(row):
            if self._on_event is not None:
                self._on_event(told, came_ns)
        answer = self._answers.pop(row.seq, None)
        if answer is not None and not answer.done():
            answer.set_result(decode(row))

    # --- looking -------------------------------------------------------------------------------

    def equity_nanos(self) -> int:
        """See `Broker.equity_nanos`; the venue's own figure."""
        return self.plain.equity_nanos()

    def margin_used_nanos(self) -> int:
        """See `Broker.margin_used_nanos`; the venue's own figure."""
        return self.plain.margin_used_nanos()

    def last_quote(self, instrument: int) -> Quote | None:
        """The quote in force; while the connection is down the last one that came."""
        return self._frozen[instrument][0] if self._is_down() else self.plain.last_quote(instrument)

    def last_trade(self, instrument: int) -> Trade | None:
        """The newest print; while the connection is down the last one that came."""
        return self._frozen[instrument][1] if self._is_down() else self.plain.last_trade(instrument)

    def bars(self, instrument: int, interval_ns: int, count: int) -> list[Bar]:
        """The newest complete bars; while the connection is down those from before."""
        bars = self.plain.bars(instrument, interval_ns, count)
        if self._is_down():
            return [bar for bar in bars if bar.ts_ns + interval_ns <= self._down_from_ns]
        return bars

    def subscribe_rows(self, instrument: int, kind: str, sink: RowSink) -> Callable[[], None]:
        """See `Broker.subscribe_rows`; what comes while the connection is down is not told."""
        return self.plain.subscribe_rows(instrument, kind, GatedSink(sink, self._is_down))

    def subscribe_bars(
        self, instrument: int, interval_ns: int, sink: RowSink
    ) -> Callable[[], None]:
        """See `Broker.subscribe_bars`; what ends while the connection is down is not told."""
        return self.plain.subscribe_bars(instrument, interval_ns, GatedSink(sink, self._is_down))

    def next_open_ns(self, instrument: int, ts_ns: int) -> int | None:
        """See `Broker.next_open_ns`."""
        return self.plain.next_open_ns(instrument, ts_ns)

    async def run_compiled(
        self,
        strategy: Any,
        parameters: Mapping[str, Any],
        books: RunBooks,
        until_ns: int | None,
        bar_ns: int | None,
    ) -> None:
        """Run a compiled strategy. From here on the session is out of reach of every fault."""
        self._own_notes.append("a compiled strategy runs inside the exchange: no fault reached it")
        self._calm_ns = 0
        self._open_line()
        while self._doubts:
            self._look_up(self._doubts[0])
        self._books.step_aside()
        self.plain.attend(False)
        try:
            await self.plain.run_compiled(strategy, parameters, books, until_ns, bar_ns)
        finally:
            self.plain.attend(True)


def _fail(answer: _Answer, failure: Exception) -> None:
    if not answer.done():
        answer.set_exception(failure)
        answer.exception()  # nobody may be left to hear of it: that is no fault


def _look_at(answer: _Answer) -> None:
    if not answer.cancelled():
        answer.exception()
