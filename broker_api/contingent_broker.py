"""A broker that keeps brackets and OCO pairs for one that has none: the shell of `contingency.py`.

It stands between a session and a broker of plain orders, and is a broker to the session. It carries
what the machine wants sent, and tells the machine what came: also what surely never left, which the
plain broker says with an exception. Its orders go in the order in which the machine asked for them.

The machine measures its pauses in session time; the events that it makes are told with the newest
time of the venue, which may be another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, cast

from broker_api.broker import Broker, Capabilities, Clock, EventSink, RowSink, Snapshot
from broker_api.contingency import Contingency, Protection, Reaction
from broker_api.errors import (
    NotConnectedError,
    OrderError,
    OrderUncertainError,
    TradingError,
)
from broker_api.event import (
    CancelRejected,
    Event,
    EventKind,
    EventRow,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    OrderReplaced,
    Reason,
    ReplaceRejected,
    decode,
    row_of,
)
from broker_api.instrument import Instrument
from broker_api.order import (
    CancelRequest,
    Command,
    OrderRequest,
    OrderStatus,
    ReplaceRequest,
    Submission,
    order_ids_of,
)
from broker_api.quote import Bar, Quote, Trade

_PLACED = (EventKind.ACCEPTED, EventKind.REJECTED, EventKind.UNCERTAIN)
_CHANGED = (EventKind.REPLACED, EventKind.REPLACE_REJECTED, EventKind.UNCERTAIN)
_ENDED = (EventKind.CANCELLED, EventKind.CANCEL_REJECTED, EventKind.UNCERTAIN)
"""What answers a placement, a change, a cancel."""

_Placed = OrderAccepted | OrderRejected
_Changed = OrderReplaced | ReplaceRejected
_Ended = OrderCancelled | CancelRejected


class ContingentBroker:
    """Brackets and OCO over a broker without them. It has everything else of the broker beneath."""

    def __init__(self, plain: Broker, rules: Protection | None = None) -> None:
        self.plain = plain
        self.name = plain.name
        self.clock: Clock = plain.clock
        self.capabilities: Capabilities = replace(
            plain.capabilities, native_brackets=True, native_oco=True
        )
        self._rules = rules or Protection()
        self.machine = Contingency.opened(())
        self._on_event: EventSink | None = None
        self._early: list[tuple[EventRow, int]] | None = []
        self._venue_ns = 0
        self._answers: dict[tuple[int, tuple[EventKind, ...]], list[asyncio.Future[Event]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"ContingentBroker({self.plain!r})"

    @property
    def notes(self) -> list[str]:
        """What the broker beneath wants people to know."""
        notes: list[str] = getattr(self.plain, "notes", [])
        return notes

    # --- the connection ------------------------------------------------------------------------

    async def connect(self, on_event: EventSink) -> Snapshot:
        """See `Broker.connect`."""
        self._on_event = on_event
        snapshot = await self.plain.connect(self._hear)
        self.machine = Contingency.opened(self.plain.instruments(), self._rules, snapshot.positions)
        early, self._early = self._early or [], None
        for row, came_ns in early:
            self._hear(row, came_ns)
        return snapshot

    async def disconnect(self) -> None:
        """See `Broker.disconnect`. What the machine still wanted to send is not sent."""
        self._on_event = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self.plain.disconnect()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))
        waiting = [each for futures in self._answers.values() for each in futures]
        self._answers.clear()
        for answer in waiting:
            if not answer.done():
                answer.set_exception(NotConnectedError("disconnected before the answer came"))

    def instruments(self) -> Sequence[Instrument]:
        """See `Broker.instruments`."""
        return self.plain.instruments()

    def attend(self, attentive: bool) -> None:
        """The machine always waits for events."""
        self.plain.attend(True)

    def flush(self) -> None:
        """See `Broker.flush`."""
        self.plain.flush()

    # --- commands ------------------------------------------------------------------------------

    async def submit(self, submission: Submission) -> OrderAccepted | OrderRejected:
        """See `Broker.submit`. Of a group that never left the answer is a refusal."""
        if isinstance(submission, OrderRequest):
            self._check_connected()
            reaction = self.machine.command(self.clock.now_ns(), submission)
            if reaction.commands == (submission,):
                self._tell(reaction.events)
                # As a task, like the machine's own commands: all keep their order.
                return await asyncio.get_running_loop().create_task(self._plain(submission))
            return cast(_Placed, await self._ask(reaction, submission.order_id, _PLACED))
        return cast(_Placed, await self._command(submission, order_ids_of(submission)[0], _PLACED))

    async def _plain(self, submission: Submission) -> OrderAccepted | OrderRejected:
        return await self.plain.submit(submission)

    async def replace(self, request: ReplaceRequest) -> OrderReplaced | ReplaceRejected:
        """See `Broker.replace`."""
        return cast(_Changed, await self._command(request, request.order_id, _CHANGED))

    async def cancel(self, request: CancelRequest) -> OrderCancelled | CancelRejected:
        """See `Broker.cancel`."""
        return cast(_Ended, await self._command(request, request.order_id, _ENDED))

    def post(self, command: Command) -> None:
        """See `Broker.post`."""
        self._check_connected()
        self._act(self.machine.command(self.clock.now_ns(), command))

    async def _command(
        self, command: Command, order_id: int, answers: tuple[EventKind, ...]
    ) -> Event:
        self._check_connected()
        return await self._ask(
            self.machine.command(self.clock.now_ns(), command), order_id, answers
        )

    async def _ask(
        self, reaction: Reaction, order_id: int, answers: tuple[EventKind, ...]
    ) -> Event:
        """Do what a command causes, and wait for the event that answers it."""
        answer: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._answers.setdefault((order_id, answers), []).append(answer)
        self._act(reaction)
        event = await answer
        if event.KIND is EventKind.UNCERTAIN:
            raise OrderUncertainError(
                f"order {order_id}: its outcome is unknown; the venue is being asked"
            )
        return event

    def _check_connected(self) -> None:
        if self._on_event is None:
            raise NotConnectedError("the suite is disconnected; nothing was sent")

    # --- the machine ---------------------------------------------------------------------------

    def _hear(self, row: EventRow, came_ns: int) -> None:
        if self._early is not None:
            self._early.append((row, came_ns))
            return
        self._venue_ns = max(self._venue_ns, row.ts_ns)
        self._act(self.machine.hear(row._replace(ts_ns=self.clock.now_ns())))

    def _act(self, reaction: Reaction) -> None:
        """Tell what is to be told, send what is to be sent, and see to the next pause."""
        self._tell(reaction.events)
        for command in reaction.commands:
            self._carry(command)
        self._mind_time()

    def _tell(self, events: Sequence[EventRow]) -> None:
        for row in events:
            if self._on_event is not None:
                stamped = row._replace(ts_ns=self._venue_ns or row.ts_ns)
                self._on_event(stamped, self.clock.now_ns())
                self._answer(stamped)

    def _answer(self, row: EventRow) -> None:
        """Give an event to whoever waits for it."""
        is_rule = row.kind == EventKind.REPLACED and row.reason != Reason.NONE
        for answers in (_PLACED, _CHANGED, _ENDED):
            if row.kind in answers and not is_rule:
                waiting = self._answers.pop((row.order_id, answers), ())
                for future in waiting:
                    if not future.done():
                        future.set_result(decode(row))

    def _carry(self, command: Command) -> None:
        """Send a command of the machine; what comes of it comes as an event."""
        self._start(self._carried(command))

    async def _carried(self, command: Command) -> None:
        try:
            if isinstance(command, ReplaceRequest):
                await self.plain.replace(command)
            elif isinstance(command, CancelRequest):
                await self.plain.cancel(command)
            else:
                await self.plain.submit(command)
        except OrderUncertainError:
            pass  # told as an event
        except TradingError as failure:
            reason = failure.reason if isinstance(failure, OrderError) else None
            self._tell_not_sent(command, reason or Reason.NOT_ARRIVED)

    def _tell_not_sent(self, command: Command, reason: Reason) -> None:
        """A command surely had no effect: to the machine that is a refusal like any other."""
        if isinstance(command, OrderRequest):
            kind, order_id = EventKind.REJECTED, command.order_id
        elif isinstance(command, ReplaceRequest):
            kind, order_id = EventKind.REPLACE_REJECTED, command.order_id
        else:
            assert isinstance(command, CancelRequest), "the machine sends plain commands"
            kind, order_id = EventKind.CANCEL_REJECTED, command.order_id
        is_placing = kind is EventKind.REJECTED
        row = row_of(
            kind,
            ts_ns=self._venue_ns,
            instrument=self._instrument_of(command),
            order_id=order_id,
            status=(OrderStatus.REJECTED if is_placing else OrderStatus.OPEN).code,
            reason=int(reason),
        )
        if self._on_event is not None:
            self._hear(row, self.clock.now_ns())

    def _instrument_of(self, command: Command) -> int:
        if isinstance(command, OrderRequest):
            symbols = [each.symbol for each in self.instruments()]
            return symbols.index(command.instrument)
        return 0

    def _mind_time(self) -> None:
        """Wake the machine when its next pause is over."""
        due_ns = self.machine.due_ns()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due_ns is not None and self._on_event is not None:
            self._timer = asyncio.get_running_loop().create_task(self._wake(due_ns))

    async def _wake(self, due_ns: int) -> None:
        wait_ns = due_ns - self.clock.now_ns()
        if wait_ns > 0:
            await self.clock.sleep(wait_ns / 1e9)
        self._timer = None
        if self._on_event is not None:
            self._act(self.machine.on_time(max(due_ns, self.clock.now_ns())))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- looking -------------------------------------------------------------------------------

    def equity_nanos(self) -> int:
        """See `Broker.equity_nanos`."""
        return self.plain.equity_nanos()

    def margin_used_nanos(self) -> int:
        """See `Broker.margin_used_nanos`."""
        return self.plain.margin_used_nanos()

    def last_quote(self, instrument: int) -> Quote | None:
        """See `Broker.last_quote`."""
        return self.plain.last_quote(instrument)

    def last_trade(self, instrument: int) -> Trade | None:
        """See `Broker.last_trade`."""
        return self.plain.last_trade(instrument)

    def bars(self, instrument: int, interval_ns: int, count: int) -> list[Bar]:
        """See `Broker.bars`."""
        return self.plain.bars(instrument, interval_ns, count)

    def subscribe_rows(self, instrument: int, kind: str, sink: RowSink) -> Callable[[], None]:
        """See `Broker.subscribe_rows`."""
        return self.plain.subscribe_rows(instrument, kind, sink)

    def subscribe_bars(
        self, instrument: int, interval_ns: int, sink: RowSink
    ) -> Callable[[], None]:
        """See `Broker.subscribe_bars`."""
        return self.plain.subscribe_bars(instrument, interval_ns, sink)

    def next_open_ns(self, instrument: int, ts_ns: int) -> int | None:
        """See `Broker.next_open_ns`."""
        return self.plain.next_open_ns(instrument, ts_ns)
