"""A session: commands on their way out, events on their way in, over any broker.

A command is journaled before it is sent, an event before it is seen. An event is applied to the
ledger and resolves waits at once; handlers hear of it afterwards, one at a time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any, TypeVar

from broker_api.at_once import AtOnce
from broker_api.broker import Broker, EventSink, Snapshot
from broker_api.capabilities import rehearsed
from broker_api.config import OrderManagerConfig
from broker_api.contingent_broker import with_groups
from broker_api.errors import (
    ConfigurationError,
    NotConnectedError,
    NotSentError,
    OrderUncertainError,
    RunawayStrategy,
)
from broker_api.event import (
    CancelRejected,
    EventKind,
    EventRow,
    OrderCancelled,
    OrderReplaced,
    ReplaceRejected,
    decode,
)
from broker_api.instrument import Instrument
from broker_api.journal import Block, Journal
from broker_api.ledger import Change, Ledger
from broker_api.names import Names
from broker_api.notice import (
    PLAIN_NOTICES,
    Dispatcher,
    EventType,
    Handler,
    HandlerSink,
    OrderEvent,
    Subscription,
    order_event,
    order_types,
)
from broker_api.order import CancelRequest, Command, ReplaceRequest, Submission, order_ids_of
from broker_api.record import OrderRecord
from broker_api.statistics import Counters
from broker_api.view import Position
from broker_api.waits import Waits

RETRY_SECONDS = 0.1
"""Wait before the first repeat of a submission that surely did not arrive; it doubles each time."""
_T = TypeVar("_T")
_FILLED = EventKind.FILLED
_SILENT = (EventKind.REPLACE_REJECTED, EventKind.CANCEL_REJECTED)
"""Answers that change no order: whoever asked is told, handlers are not."""


class Session:
    """One connection to a broker: ids, journal, ledger, waits and handlers.

    `capabilities` are the broker's, or those of a `venue` for which the session rehearses.
    `failure` is the first exception that stopped the session: it is raised by the next command and
    by `close`. With `on_error="continue"` handlers' exceptions are collected in `errors` instead.
    """

    def __init__(
        self,
        broker: Broker,
        config: OrderManagerConfig,
        *,
        on_error: str = "stop",
        venue: str = "",
        journal: Journal | None = None,
    ) -> None:
        self.broker = with_groups(broker, config)
        self.is_rehearsal = bool(venue)
        self.venue = venue or broker.name
        self.capabilities = rehearsed(venue) if venue else self.broker.capabilities
        self.clock = broker.clock
        self.config = config
        self._journal = Journal() if journal is None else journal
        self.instruments: tuple[Instrument, ...] = ()
        self._counters: list[Counters] = []
        self.errors: list[Exception] = []
        self.failure: Exception | None = None
        self.connected = self.is_occupied = False
        self.started_ns = 0
        self.ended_ns: int | None = None
        self._on_error = on_error
        self._dispatcher = Dispatcher(self._handler_failed)
        self.waiting: Callable[[], int] = self._dispatcher.waiting
        self._subscriptions: dict[EventType, list[Subscription]] = {}
        self._market = list[Subscription]()
        self._on_close: list[Callable[[], None]] = []
        self._waits = Waits()
        self._watchers: tuple[Callable[[EventRow], None], ...] = ()
        self.last_id = 0
        self._deferred: deque[Callable[[], object]] = deque()
        self.at_once = AtOnce()
        self.shortcut: Any = None
        """Where orders go that need no books at once, while there is one: shortcut.Shortcut."""
        self._main: asyncio.Task[object] | None = None
        self._closing = False

    async def connect(self) -> None:
        """Connect the broker and open the books."""
        early: list[tuple[EventRow, int]] = []
        self._receive: EventSink = lambda row, came_ns: early.append((row, came_ns))
        self.snapshot: Snapshot = await self.broker.connect(self._on_event)
        self.instruments = tuple(self.broker.instruments())
        self._counters = [Counters() for _ in self.instruments]
        self._ledger = Ledger(
            self.instruments, self.snapshot, keep_ended=self.config.enable_order_tracking
        )
        self._names = Names(self.instruments)
        self.started_ns = self.clock.now_ns()
        self._main = asyncio.current_task()
        self.connected = True
        self._receive = self._apply
        for row, came_ns in early:
            self._apply(row, came_ns)
        self._mind_attention()

    # --- the books -----------------------------------------------------------------------------
    # A broker may keep events while nobody waits for them, and what a compiled strategy did is in
    # the journal before it is in the other books; whoever looks sees everything applied.

    @property
    def ledger(self) -> Ledger:
        """Orders, positions and cash as of the session's time."""
        self.broker.flush()
        if self._deferred:
            self._catch_up()
        return self._ledger

    @property
    def journal(self) -> Journal:
        """Every command and every event up to the session's time."""
        self.broker.flush()
        return self._journal

    @property
    def counters(self) -> list[Counters]:
        """The statistics' counts, one set an instrument."""
        self.broker.flush()
        self._catch_up()
        return self._counters

    def record_played(self, block: Block, apply: Callable[[], None]) -> None:
        """Record what a compiled strategy sent and was told; `apply` follows when it is wanted."""
        self._journal.record_block(block)
        self._deferred.append(apply)

    def _catch_up(self) -> None:
        while self._deferred:
            self._deferred.popleft()()

    # --- instruments and ids -------------------------------------------------------------------

    def index_of(self, name: object) -> int:
        """The index of a symbol or id. Raises InvalidOrderError with the nearest that exists."""
        return self._names.index_of(name)

    def next_id(self) -> int:
        """A new order id: 1, 2, 3 ..."""
        self.last_id += 1
        return self.last_id

    def client_id(self, order_id: int) -> str:
        """The client order id that is made from an order id; one that a user took is avoided."""
        text = str(order_id)
        while self._ledger.id_of_client(text) is not None:
            text += "x"
        return text

    # --- commands ------------------------------------------------------------------------------

    def _begin(self, command: Command) -> int:
        """Journal and note a command that is about to be sent; return the session's time."""
        self.check()
        now = self.clock.now_ns()
        self.at_once.count(now)
        ledger = self.ledger  # events that came before the command are recorded before it
        self._journal.record_command(now, command)
        ledger.apply_command(now, command)
        return now

    async def submit(self, submission: Submission, index: int) -> tuple[OrderRecord, ...]:
        """Send a new order or group; return the ledger's orders, as they are at the answer.

        Repeats a submission that surely was not sent up to `retry_attempts` times. Raises
        NotSentError when none was, OrderUncertainError when nobody knows.
        """
        sent_ns = self._begin(submission)
        ids = order_ids_of(submission)
        # Taken now: a ledger that forgets ended orders may have forgotten these at the answer.
        records = tuple([self._ledger.orders[order_id] for order_id in ids])
        counters = self._counters[index]
        counters.sent += len(ids)
        attempts, pause = self.config.retry_attempts, RETRY_SECONDS
        while True:
            try:
                answer = await self.broker.submit(submission)
                break
            except OrderUncertainError as doubt:
                doubt.order = records[0].view()
                raise
            except NotSentError as failure:
                may_repeat = isinstance(failure, NotConnectedError) and self.connected
                if attempts == 0 or not may_repeat:
                    self._forget(ids, counters)
                    raise
                attempts -= 1
                await self.clock.sleep(pause)
                pause *= 2
        self._answered(index, sent_ns, answer)
        return records

    def post(self, command: Command, index: int) -> None:
        """Send a command whose answer nobody awaits. Raises NotSentError when it was not."""
        self._begin(command)
        if isinstance(command, ReplaceRequest | CancelRequest):
            self.broker.post(command)
            return
        ids, counters = order_ids_of(command), self._counters[index]
        counters.sent += len(ids)
        try:
            self.broker.post(command)
        except NotSentError:
            self._forget(ids, counters)
            raise

    def _forget(self, ids: tuple[int, ...], counters: Counters) -> None:
        """Orders that were never sent leave no trace outside the journal."""
        self._ledger.withdraw(ids)
        counters.sent -= len(ids)

    def apply_sent(self, ts_ns: int, command: Command, index: int) -> None:
        """Take a command that the broker itself sent for a compiled strategy into the books."""
        self._ledger.apply_command(ts_ns, command)
        if not isinstance(command, ReplaceRequest | CancelRequest):
            self._counters[index].sent += len(order_ids_of(command))

    @property
    def has_listeners(self) -> bool:
        """True while a handler is subscribed to anything, or somebody waits for an order's end."""
        return bool(self._subscriptions or self._waits or any(m.active for m in self._market))

    async def replace(self, request: ReplaceRequest, index: int) -> OrderReplaced | ReplaceRejected:
        """Send a change; return the venue's answer."""
        sent_ns = self._begin(request)
        return self._answered(index, sent_ns, await self.broker.replace(request))

    async def cancel(self, request: CancelRequest, index: int) -> OrderCancelled | CancelRejected:
        """Send a cancel; return the venue's answer."""
        sent_ns = self._begin(request)
        return self._answered(index, sent_ns, await self.broker.cancel(request))

    def _answered(self, index: int, sent_ns: int, answer: _T) -> _T:
        if self.failure is not None:
            raise self.failure
        self.count_answer(index, self.clock.now_ns() - sent_ns)
        return answer

    def count_answer(self, index: int, elapsed_ns: int) -> None:
        """Count a command's answer and the session time that it took."""
        if self.config.track_performance:
            self._counters[index].count_answer(elapsed_ns)

    def check(self) -> None:
        """Raise what stopped the session, or NotConnectedError after disconnect."""
        if self.failure is not None:
            raise self.failure
        if not self.connected:
            raise NotConnectedError("the suite is disconnected; nothing was sent")
        if self.is_occupied:
            raise ConfigurationError(
                "while a compiled strategy runs nothing else may send or listen"
            )

    # --- events --------------------------------------------------------------------------------

    def _on_event(self, row: EventRow, came_ns: int) -> None:
        """The broker's sink. A fault of our own books stops the run instead of the broker."""
        try:
            self._receive(row, came_ns)
        except Exception as failure:
            self.fail(failure)

    def _apply(self, row: EventRow, came_ns: int) -> None:
        self._journal.record_event(row)
        if self._deferred:
            if not self._is_heard:  # nor has anybody looked at what came before
                self._deferred.append(partial(self.apply_told, row, came_ns))
                return
            self._catch_up()
        change = self.apply_told(row, came_ns)
        if self._subscriptions:
            self._notify(row, change)
        for watcher in self._watchers:
            watcher(row)

    def apply_told(self, row: EventRow, came_ns: int) -> Change | None:
        """Take an event that the journal has into the other books."""
        change = self._ledger.apply_event(row)
        if change is not None and (row.kind == _FILLED or change.record.status.is_terminal):
            self._count(change, row, came_ns)
        return change

    def watch(self, watcher: Callable[[EventRow], None]) -> None:
        """Call `watcher` with every event as soon as it is in the books, before handlers run."""
        self._watchers += (watcher,)
        self.broker.attend(True)

    def tell(self, row: EventRow) -> None:
        """Record an event of the session's own, and tell it to handlers."""
        self._apply(row, self.clock.now_ns())

    def _count(self, change: Change, row: EventRow, came_ns: int) -> None:
        record = change.record
        if row.kind == _FILLED:
            self._counters[record.instrument].fills += 1
        if record.status is not change.previous and record.status.is_terminal:
            counters = self._counters[record.instrument]
            age_ns = came_ns - record.created_ns
            for ended in (record, *change.with_it):
                counters.count_end(ended.status, age_ns)
                if self._waits.release(ended.order_id):
                    self._mind_attention()

    @property
    def _is_heard(self) -> bool:
        """Whether somebody waits for events."""
        return bool(self._subscriptions or self._waits or self._watchers)

    def _mind_attention(self) -> None:
        """Tell the broker whether somebody waits for events, or only for answers."""
        self.broker.attend(self._is_heard)

    def ended(self, order_id: int) -> asyncio.Future[None]:
        """A future that is done as soon as the working order has ended."""
        waiter = self._waits.until_ended(order_id)
        self._mind_attention()
        return waiter

    # --- handlers ------------------------------------------------------------------------------

    def subscribe(
        self, event_type: EventType, handler: Handler, instrument: int | None = None
    ) -> Subscription:
        """Call `handler` with every later notice of this type, of one instrument or of all."""
        self.check()
        subscription = Subscription(handler, instrument)
        self.broker.flush()  # what has come before is not told
        self._subscriptions.setdefault(event_type, []).append(subscription)
        self._mind_attention()
        subscription.on_cancel(lambda: self._unsubscribe(event_type, subscription))
        return subscription

    def _unsubscribe(self, event_type: EventType, subscription: Subscription) -> None:
        remaining = self._subscriptions.get(event_type, [])
        if subscription in remaining:
            remaining.remove(subscription)
        if not remaining:
            self._subscriptions.pop(event_type, None)
            self._mind_attention()

    def subscribe_rows(
        self,
        event_type: EventType,
        handler: Handler,
        instrument: int,
        fields: tuple[str, ...] = (),
    ) -> Subscription:
        """Call `handler` with every later quote, trade or tick of one instrument.

        A plain function is called directly, without a task, while no other handler runs.
        """
        self.check()
        subscription = Subscription(handler, instrument)
        sink = HandlerSink(subscription, fields, self._dispatcher, self._handler_failed)
        subscription.on_cancel(self.broker.subscribe_rows(instrument, event_type.value, sink))
        self._market.append(subscription)
        return subscription

    def subscribe_bars(self, handler: Handler, instrument: int, interval_ns: int) -> Subscription:
        """Call `handler` with every later bar of one instrument."""
        self.check()
        subscription = Subscription(handler, instrument)
        sink = HandlerSink(subscription, (), self._dispatcher, self._handler_failed)
        subscription.on_cancel(self.broker.subscribe_bars(instrument, interval_ns, sink))
        self._market.append(subscription)
        return subscription

    def _notify(self, row: EventRow, change: Change | None) -> None:
        index = row.instrument
        if change is not None:
            if row.kind not in _SILENT:
                self._notify_order(row, change)
        elif row.kind == EventKind.POSITION:
            self._post(EventType.POSITION, index, lambda: self.position(index))
        elif row.kind in PLAIN_NOTICES:
            self._post(PLAIN_NOTICES[row.kind], index, lambda: decode(row))

    def _notify_order(self, row: EventRow, change: Change) -> None:
        record, notices = change.record, list[OrderEvent]()

        def notice() -> OrderEvent:
            if not notices:
                notices.append(order_event(row, change, lambda: self.position(record.instrument)))
            return notices[0]

        for event_type in order_types(row.kind, change):
            if event_type in self._subscriptions:
                self._post(event_type, record.instrument, notice)

    def _post(
        self, event_type: EventType, instrument: int | None, notice: Callable[[], object]
    ) -> None:
        for subscription in tuple(self._subscriptions.get(event_type, ())):
            if subscription.instrument is None or subscription.instrument == instrument:
                self._dispatcher.post(subscription, notice())

    # --- failures ------------------------------------------------------------------------------

    def _handler_failed(self, failure: Exception) -> bool:
        """Whether to go on after a handler's exception; it is journaled either way."""
        self.journal.record_error(self.clock.now_ns(), f"{type(failure).__name__}: {failure}")
        if self._on_error == "continue" and not isinstance(failure, RunawayStrategy):
            self.errors.append(failure)
            return True
        self.fail(failure)
        return False

    def fail(self, failure: Exception) -> None:
        """Stop the session: no handler is told anything more, and who began it is cancelled.

        The first failure is kept.
        """
        if self.failure is not None:
            return
        self.failure = failure
        self._dispatcher.clear()
        for subscription in [*self._market, *chain.from_iterable(self._subscriptions.values())]:
            subscription.cancel()
        main = self._main
        if main is not None and not main.done() and not self._closing:
            main.cancel(f"the session stopped: {type(failure).__name__}: {failure}")

    # --- positions and the end -----------------------------------------------------------------

    def position(self, index: int) -> Position:
        """The position in an instrument as it is now."""
        record = self.ledger.positions[index]
        unrealised = 0
        if record.lots:
            quote = self.broker.last_quote(index)
            price = None if quote is None else (quote.bid if record.lots > 0 else quote.ask)
            if price is not None:
                unrealised = record.unrealised_nanos(record.spec.price_to_ticks(price))
        return Position(record.spec, record.lots, record.cost, record.realised_nanos, unrealised)

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the session ends."""
        self._on_close.append(callback)

    def off_close(self, callback: Callable[[], None]) -> None:
        """Forget a callback of `on_close`."""
        if callback in self._on_close:
            self._on_close.remove(callback)

    async def close(self) -> None:
        """Disconnect the broker, let handlers finish, and raise what stopped the session.

        Idempotent: a second call does nothing.
        """
        if self._closing:
            return
        self._closing = True
        for subscription in self._market:
            subscription.cancel()
        await self._dispatcher.drain()
        self.connected = False
        self.ended_ns = self.clock.now_ns()
        await self.broker.disconnect()
        await self._dispatcher.drain()
        self._waits.release_all()
        for callback in tuple(self._on_close):
            callback()
        if self.failure is not None:
            raise self.failure
