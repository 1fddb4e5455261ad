"""A watch beside a running session: it tells a board what happens, and hands requests over.

It looks and never acts by itself, and it uses neither handlers nor waits: a session that is watched
has the same events, in the same order, as one that is not. It lives in the session's loop and
thread; its public methods may be called by any thread once it is made.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import count
from threading import Lock
from typing import Any

from broker_api.errors import NotConnectedError
from broker_api.event import EventKind, EventRow, RiskEvent, decode
from broker_api.order import OrderStatus
from broker_api.suite import TradingSuite
from papertape.watching.board import Board, Message, Sink
from papertape.watching.requests import Action, Answer, End, OperatorRequest, perform
from papertape.watching.telling import (
    event_log,
    fill_message,
    instrument_table,
    log_message,
    order_message,
    position_message,
    quote_message,
    to_ms,
)

BEAT_SECONDS = 0.2
"""Session time between two looks at prices and figures; a slow beat skips what is not wanted."""
SLOW_BEATS = 5
"""Every so many beats also what changes rarely is told: rules, health."""

_LOST = "the session ended before the request was done"

Probe = Callable[[], Mapping[str, Any]]
"""What else is known of the connection: `connected`, `queued`, `lag_ms`, ..., in JSON's terms."""


@dataclass(frozen=True, slots=True)
class Work:
    """A request on its way into the session: call it in the session's loop, and await that.

    It raises nothing that belongs to the request: whoever asked is told. `request` is what to
    journal before, at the time at which it is called.
    """

    request: OperatorRequest
    run: Callable[[OperatorRequest], Awaitable[None]]

    def __call__(self) -> Awaitable[None]:
        """Do it."""
        return self.run(self.request)


HandOver = Callable[[Work], None]
"""Takes work from any thread and has the session's loop do it; a live one: `on_loop`."""


def on_loop(loop: asyncio.AbstractEventLoop) -> HandOver:
    """Hands work over to a loop in real time. Its tasks are kept until they are done."""
    tasks: list[asyncio.Future[None]] = []

    def begin(work: Work) -> None:
        task = asyncio.ensure_future(work(), loop=loop)
        tasks.append(task)
        task.add_done_callback(tasks.remove)

    def hand_over(work: Work) -> None:
        loop.call_soon_threadsafe(begin, work)

    return hand_over


class Watch:
    """Watches `suite` from now until it ends. Make it in the session's loop.

    `mode` is "paper", "live" or "replay"; `hand_over` brings requests into the session, `end` is
    what "stop" does (default: disconnect). `real_time` is a clock of real seconds that only spaces
    out what is told. `operated` is the number of requests that the session has had before.
    """

    def __init__(
        self,
        suite: TradingSuite,
        hand_over: HandOver,
        *,
        mode: str,
        name: str = "",
        end: End | None = None,
        probe: Probe = dict,
        real_time: Callable[[], float] = time.monotonic,
        operated: int = 0,
    ) -> None:
        self._suite = suite
        self._session = suite.session
        self._hand_over = hand_over
        self._end = end
        self._probe = probe
        self._real_time = real_time
        self._numbers = count(operated + 1)
        self._pending: dict[int, Future[Answer]] = {}
        self._running: list[int] = []
        self._lock = Lock()
        self._is_over = False
        self._beats = 0
        self._beat_at = real_time()
        self._told: dict[str, Message] = {}
        self._timer: asyncio.TimerHandle | None = None
        session = self._session
        self.board = Board(
            {
                "name": name or session.broker.name,
                "mode": mode,
                "broker": session.broker.name,
                "account": session.snapshot.account,
                "currency": session.snapshot.currency,
                "started_ms": to_ms(session.started_ns),
                "time_ms": to_ms(session.clock.now_ns()),
                "ended": False,
                "failure": None,
            },
            [instrument_table(spec) for spec in session.instruments],
        )
        for record in session.ledger.working.values():
            self.board.tell(order_message(record))
        session.watch(self._hear)
        session.on_close(self._closed)
        self._look(slow=True)
        self._timer = asyncio.get_running_loop().call_later(BEAT_SECONDS, self._beat)

    # --- for any thread ------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Everything that is known now, as a table for JSON."""
        return self.board.snapshot()

    def subscribe(self, sink: Sink) -> Callable[[], None]:
        """Hand every later message to `sink`; call the result to stop. See `Board.subscribe`."""
        return self.board.subscribe(sink)

    def request(self, action: str, **arguments: Any) -> Future[Answer]:
        """Ask the session for something: "cancel" (order_id), "flatten" (instrument), "kill"
        (flatten), "stop". The future has the Answer, or NotConnectedError when the session ends
        first. Raises ConfigurationError for what is no request.
        """
        table = {**arguments, "action": action}
        answer: Future[Answer] = Future()
        with self._lock:
            if self._is_over:
                raise NotConnectedError("the session has ended; nothing was asked of it")
            OperatorRequest.from_dict(table)  # refused before a number is used up
            request = OperatorRequest.from_dict({**table, "number": next(self._numbers)})
            self._pending[request.number] = answer
        self._hand_over(Work(request, self._work))
        return answer

    def number_from(self, number: int) -> None:
        """Later requests have this number or a higher one: the session had others before."""
        with self._lock:
            self._numbers = count(max(number, next(self._numbers)))

    # --- requests, in the session's loop -------------------------------------------------------

    async def _work(self, request: OperatorRequest) -> None:
        by = f" ({request.source})" if request.source else ""
        self._log(f"operator{by}: {_asked(request)}", "operator")
        self._running.append(request.number)
        try:
            answer = await perform(self._suite, request, self._end)
        except BaseException as failure:
            was_ended = not isinstance(failure, Exception)
            self._answer(request.number, NotConnectedError(_LOST) if was_ended else failure)
            raise
        self._log(f"operator: {answer.text}", "operator" if answer.is_done else "warn")
        self._look(slow=True)
        self._answer(request.number, answer)

    def _answer(self, number: int, answer: Answer | BaseException) -> None:
        with self._lock:
            future = self._pending.pop(number, None)
        if future is None or not future.set_running_or_notify_cancel():
            return
        if isinstance(answer, Answer):
            future.set_result(answer)
        else:
            future.set_exception(answer)

    def _log(self, text: str, level: str) -> None:
        self.board.tell(log_message(self._session.clock.now_ns(), text, level))

    # --- events --------------------------------------------------------------------------------

    def _hear(self, row: EventRow) -> None:
        """The session's events, each after its books."""
        session = self._session
        record = session.ledger.orders.get(row.order_id) if row.order_id else None
        kind = EventKind(row.kind)
        if record is not None:
            self._tell_group(record.group or (record.order_id,))
            if kind is EventKind.FILLED:
                self.board.tell(fill_message(record.spec, row, record.tag))
        elif row.order_id and f"order {row.order_id}" in self._told:
            # The ledger keeps no ended orders: the order was there, and has ended.
            gone = {**self._told[f"order {row.order_id}"], "working": False}
            status = str(OrderStatus.from_code(row.status))
            self._tell_changed(f"order {row.order_id}", {**gone, "status": status})
        elif kind is EventKind.POSITION:
            self.board.tell(position_message(session.position(row.instrument)))
        why = ""
        event = decode(row)
        if isinstance(event, RiskEvent):
            why = self._suite.risk.describe(event)
        line = event_log(row, session.instruments, record, why)
        if line is not None:
            self.board.tell(line)
        if isinstance(event, RiskEvent):
            self._tell_risk()

    def _tell_group(self, order_ids: tuple[int, ...]) -> None:
        orders = self._session.ledger.orders
        for order_id in order_ids:
            record = orders.get(order_id)
            if record is not None:
                self._tell_changed(f"order {order_id}", order_message(record))

    # --- looks ---------------------------------------------------------------------------------

    def _beat(self) -> None:
        if self._is_over:
            return
        now = self._real_time()
        if now - self._beat_at >= BEAT_SECONDS / 2:
            # A session that runs faster than the clock is looked at as often as people can see.
            self._beat_at = now
            self._beats += 1
            self._look(slow=self._beats % SLOW_BEATS == 0)
        self._timer = asyncio.get_running_loop().call_later(BEAT_SECONDS, self._beat)

    def _look(self, *, slow: bool) -> None:
        session, broker = self._session, self._session.broker
        for index, spec in enumerate(session.instruments):
            quote = quote_message(spec, broker.last_quote(index), broker.last_trade(index))
            if quote is not None:
                self._tell_changed(f"quote {index}", quote)
            position = position_message(session.position(index))
            self._tell_changed(f"position {index}", position)
        account = self._suite.account
        self._tell_changed(
            "account",
            {
                "type": "account",
                "cash": account.cash,
                "equity": account.equity,
                "realised": account.realised_pnl,
                "unrealised": account.unrealised_pnl,
                "fees": account.fees,
                "funding": account.funding,
            },
        )
        if slow:
            self._tell_group(tuple(session.ledger.working))  # sent, and nothing heard of it yet
            self._tell_risk()
            self._tell_health()

    def _tell_risk(self) -> None:
        risk = self._suite.risk
        rules = [status._asdict() for status in risk.status()]
        self._tell_changed("risk", {"type": "risk", "halted": risk.halted, "rules": rules})

    def _tell_health(self) -> None:
        """How the session's connection is; told even if nothing changed: it is the heartbeat."""
        session, broker = self._session, self._session.broker
        now_ns = session.clock.now_ns()
        heard = [
            each.ts_ns
            for index in range(len(session.instruments))
            for each in (broker.last_quote(index), broker.last_trade(index))
            if each is not None
        ]
        ledger = session.ledger
        uncertain = [
            order_id
            for order_id, record in ledger.working.items()
            if record.status is OrderStatus.UNCERTAIN
        ]
        self.board.tell(
            {
                "type": "health",
                "time_ms": to_ms(now_ns),
                "feed_age_ms": max(0, to_ms(now_ns - max(heard))) if heard else None,
                "queued": session.waiting(),
                "lag_ms": None,
                "connected": session.connected,
                "uncertain": uncertain,
                "discrepancies": len(ledger.discrepancies),
                **self._probe(),
            }
        )

    def _tell_changed(self, key: str, message: Message) -> None:
        """Tell what is not as it was told last."""
        if self._told.get(key) == message:
            return
        if message["type"] == "order" and not message["working"]:
            self._told.pop(key, None)
        else:
            self._told[key] = dict(message)
        self.board.tell(message)

    # --- the end -------------------------------------------------------------------------------

    def _closed(self) -> None:
        """The session has ended: tell it, and whoever still waits for an answer."""
        with self._lock:
            self._is_over = True
            lost = [number for number in self._pending if number not in self._running]
        if self._timer is not None:
            self._timer.cancel()
        for number in lost:  # what has begun is answered when it is done
            self._answer(number, NotConnectedError(_LOST))
        self._look(slow=True)
        session = self._session
        failure = session.failure
        told = None if failure is None else f"{type(failure).__name__}: {failure}"
        self._log("the session has ended" + (f": {told}" if told else ""), "operator")
        now_ms = to_ms(session.clock.now_ns())
        self.board.tell({"type": "session", "ended": True, "failure": told, "time_ms": now_ms})


def _asked(request: OperatorRequest) -> str:
    if request.action is Action.CANCEL:
        return f"cancel order {request.order_id}"
    if request.action is Action.FLATTEN:
        return f"flatten {request.instrument or 'everything'}"
    if request.action is Action.KILL:
        return "kill, and close every position" if request.flatten else "kill"
    return "stop the session"
