"""A broker that keeps brackets and OCO pairs for one that has none: the shell of `contingency.py`.

It stands between a session and a broker of plain orders, and is a broker to the session. It carries
what the machine wants sent, and tells the machine what came: also what surely never left, which the
plain broker says with an exception. Its orders go in the order in which the machine asked for them.

Everything is recorded before it is sent or taken in (`records`), so the machine can be rebuilt.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, cast

from broker_api.broker import Broker, Clock, EventSink, RowSink, Snapshot
from broker_api.capabilities import Capabilities
from broker_api.config import OrderManagerConfig
from broker_api.contingency import Contingency, Protection, Reaction, RecordedEvent
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
from broker_api.instrument import NANOS, Instrument
from broker_api.journal import RecordedCommand
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

LEAVING_SECONDS = 5.0
"""How long a disconnect waits for commands that are under way."""

_Placed = OrderAccepted | OrderRejected
_Changed = OrderReplaced | ReplaceRejected
_Ended = OrderCancelled | CancelRejected


def with_groups(broker: Broker, config: OrderManagerConfig) -> Broker:
    """The broker itself if it has brackets and OCO, else one that keeps them over it."""
    has = broker.capabilities
    if has.native_brackets and has.native_oco:
        return broker
    rules = Protection(
        retry_ns=round(config.stop_retry_seconds * NANOS),
        attempts_max=config.stop_attempts,
        close_after_ns=round(config.stop_close_after_seconds * NANOS),
        reduce_only=has.reduce_only,
    )
    return ContingentBroker(broker, rules)


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
        self.records: list[RecordedCommand | RecordedEvent] = []
        """Every command and event in its order: `contingency.refold` makes the machine of them."""
        self.failure: Exception | None = None
        """What a plain broker raised that no broker may raise; the next command raises it."""
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

    @property
    def is_sending(self) -> bool:
        """A command of the machine's is under way."""
        return bool(self._tasks)

    @property
    def is_busy(self) -> bool:
        """Something of the machine's is under way, or waits for its time."""
        return self.is_sending or self.machine.due_ns() is not None

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
        """See `Broker.disconnect`. What is under way is finished first, for `LEAVING_SECONDS`.

        So the exits of an entry that has just filled are placed; what waits for its time is not.
        """
        if self._on_event is not None and self._tasks:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEAVING_SECONDS):
                    while self._tasks:
                        await asyncio.wait(tuple(self._tasks))
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
            reaction = self._give(submission)
            if reaction.commands == (submission,):
                self._record(submission)
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
        self._act(self._give(command))

    async def _command(
        self, command: Command, order_id: int, answers: tuple[EventKind, ...]
    ) -> Event:
        return await self._ask(self._give(command), order_id, answers)

    def _give(self, command: Command) -> Reaction:
        """Hand a command of the session's to the machine."""
        self._check_connected()
        self._record(command)
        return self.machine.command(self.clock.now_ns(), command)

    def _record(self, command: Command) -> None:
        self.records.append(RecordedCommand(self.clock.now_ns(), 0, command))

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
        if self.failure is not None:
            raise self.failure
        if self._on_event is None:
            raise NotConnectedError("the suite is disconnected; nothing was sent")

    # --- the machine ---------------------------------------------------------------------------

    def _hear(self, row: EventRow, came_ns: int) -> None:
        if self._early is not None:
            self._early.append((row, came_ns))
            return
        self.records.append(RecordedEvent(came_ns, row))
        self._act(self.machine.hear(row, came_ns))

    def _act(self, reaction: Reaction) -> None:
        """Tell what is to be told, send what is to be sent, and see to the next pause."""
        for command in reaction.commands:
            self._record(command)
            self._start(self._carried(command))
        self._tell(reaction.events)
        self._mind_time()

    def _tell(self, events: Sequence[EventRow]) -> None:
        for row in events:
            if self._on_event is not None:
                self._on_event(row, self.clock.now_ns())
                self._answer(row)

    def _answer(self, row: EventRow) -> None:
        """Give an event to whoever waits for it."""
        is_rule = row.kind == EventKind.REPLACED and row.reason != Reason.NONE
        for answers in (_PLACED, _CHANGED, _ENDED):
            if row.kind in answers and not is_rule:
                waiting = self._answers.pop((row.order_id, answers), ())
                for future in waiting:
                    if not future.done():
                        future.set_result(decode(row))

    async def _carried(self, command: Command) -> None:
        """Send a command of the machine's; what comes of it comes as an event.

        By the time of the answer that has come: whoever waits for it still gets the answer itself.
        """
        try:
            if isinstance(command, ReplaceRequest):
                self._hand_on(command, _CHANGED, await self.plain.replace(command))
            elif isinstance(command, CancelRequest):
                self._hand_on(command, _ENDED, await self.plain.cancel(command))
            else:
                await self.plain.submit(command)
        except OrderUncertainError as doubt:
            self._tell_doubt(command)
            if isinstance(command, ReplaceRequest | CancelRequest):
                answers = _CHANGED if isinstance(command, ReplaceRequest) else _ENDED
                self._hand_on(command, answers, doubt)
        except TradingError as failure:
            reason = failure.reason if isinstance(failure, OrderError) else None
            self._tell_not_sent(command, reason or Reason.NOT_ARRIVED)
        except Exception as failure:  # a fault of the plain broker's: who knows what was sent
            self.failure = self.failure or failure
            self._tell_doubt(command)

    def _hand_on(
        self,
        command: ReplaceRequest | CancelRequest,
        answers: tuple[EventKind, ...],
        answer: Event | OrderUncertainError,
    ) -> None:
        """End the waits for a user's command that no event of its own has answered.

        The order had ended by itself meanwhile, or was uncertain already. Commands for exits and
        legs are the machine's to answer.
        """
        if self.machine.has_leg(command.order_id):
            return
        for future in self._answers.pop((command.order_id, answers), ()):
            if future.done():
                continue
            if isinstance(answer, OrderUncertainError):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    def _tell_doubt(self, command: Command) -> None:
        """Nobody knows what became of a command, if the plain broker has not said so itself."""
        order = self.machine.unanswered(command)
        if order is not None and self._on_event is not None:
            row = row_of(
                EventKind.UNCERTAIN,
                ts_ns=self.machine.heard_ns,
                instrument=order.instrument,
                order_id=order.order_id,
                status=OrderStatus.UNCERTAIN.code,
                filled_lots=order.filled_lots,
                leaves_lots=order.leaves_lots,
            )
            self._hear(row, self.clock.now_ns())

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
            ts_ns=self.machine.heard_ns,
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
