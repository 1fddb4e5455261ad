"""What handlers are told, and the one dispatcher that tells it: one at a time, in event order.

An event is applied to the ledger at once; only its notification waits here while an earlier handler
runs. So a handler may place and cancel orders and await their answers, and is never entered twice.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from broker_api.errors import RunawayStrategy
from broker_api.event import RISK_KINDS, EventKind, EventRow, kind_of, liquidity_of
from broker_api.instrument import Instrument, from_nanos
from broker_api.ledger import Change
from broker_api.order import Liquidity, OrderStatus, Side
from broker_api.view import Position, to_datetime

Handler = Callable[[Any], Awaitable[object] | object]
"""Plain or async; it gets one notice. What it returns is ignored."""

QUEUE_LENGTH_MAX = 1_000_000
"""More notices than this waiting for one handler end the run."""


class EventType(str, Enum):
    """What `suite.on` can register for; the strings work as well.

    Order events carry an OrderEvent (fills a FillEvent), POSITION a Position, ACCOUNT the account,
    QUOTE, TRADE and BAR market data, LIQUIDATION, MARKET, DISCREPANCY and RISK the event itself.
    RESUMED tells a paper session that was away that it goes on, see docs/paper.md.
    PROTECTION tells of exits that are not as they should be: `kind` is UNPROTECTED or DOUBLE_EXIT.
    """

    ORDER_UPDATE = "order_update"
    ORDER_FILLED = "order_filled"
    ORDER_TRIGGERED = "order_triggered"
    PROTECTION = "protection"
    FILL = "fill"
    POSITION = "position"
    ACCOUNT = "account"
    LIQUIDATION = "liquidation"
    MARKET = "market"
    DISCREPANCY = "discrepancy"
    RISK = "risk"
    RESUMED = "resumed"
    QUOTE = "quote"
    TRADE = "trade"
    TICK = "tick"
    BAR = "bar"

    def __str__(self) -> str:
        return str(self.value)


PLAIN_NOTICES: dict[int, EventType] = {
    EventKind.ACCOUNT: EventType.ACCOUNT,
    EventKind.LIQUIDATION: EventType.LIQUIDATION,
    EventKind.DISCREPANCY: EventType.DISCREPANCY,
    EventKind.HALTED: EventType.MARKET,
    EventKind.RESUMED: EventType.MARKET,
    EventKind.SESSION_RESUMED: EventType.RESUMED,
    **dict.fromkeys(sorted(RISK_KINDS), EventType.RISK),
}
"""Events that handlers get as they are."""


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """Something happened to an order; the quantities and the status are those right after it.

    `kind` says what it was, `reason` why in words (empty where there is nothing to say).
    """

    spec: Instrument = field(repr=False)
    kind: EventKind
    order_id: int
    client_order_id: str
    side: Side
    status: OrderStatus
    previous_status: OrderStatus
    filled_lots: int
    leaves_lots: int
    filled_cost: int
    reason: str
    ts_ns: int
    tag: str

    @property
    def instrument(self) -> str:
        """The instrument's symbol."""
        return self.spec.symbol

    @property
    def filled_quantity(self) -> float:
        """How much has filled so far."""
        return self.spec.lots_to_size(self.filled_lots)

    @property
    def remaining_quantity(self) -> float:
        """How much still works or waits."""
        return self.spec.lots_to_size(self.leaves_lots)

    @property
    def average_price(self) -> float | None:
        """The average price of the fills so far, None without one."""
        if self.filled_lots == 0:
            return None
        return self.spec.average_price(self.filled_cost, self.filled_lots)

    @property
    def time(self) -> datetime:
        """The venue's time of the event."""
        return to_datetime(self.ts_ns)


@dataclass(frozen=True, slots=True)
class FillEvent(OrderEvent):
    """One execution. `position` is the net position after it."""

    fill_ticks: int
    fill_lots: int
    fee_nanos: int
    liquidity: Liquidity
    ambiguous: bool
    position: Position

    @property
    def fill_price(self) -> float:
        """The price of this execution."""
        return self.spec.ticks_to_price(self.fill_ticks)

    @property
    def fill_quantity(self) -> float:
        """How much was executed."""
        return self.spec.lots_to_size(self.fill_lots)

    @property
    def fee(self) -> float:
        """What this execution cost, in account currency."""
        return from_nanos(self.fee_nanos)


_TOLD_AS: dict[int, tuple[EventType, ...]] = {
    EventKind.TRIGGERED: (EventType.ORDER_UPDATE, EventType.ORDER_TRIGGERED),
    EventKind.UNPROTECTED: (EventType.ORDER_UPDATE, EventType.PROTECTION),
    EventKind.DOUBLE_EXIT: (EventType.ORDER_UPDATE, EventType.PROTECTION),
    EventKind.FILLED: (EventType.ORDER_UPDATE, EventType.FILL),
}
_UPDATE = (EventType.ORDER_UPDATE,)
_LAST_FILL = (EventType.ORDER_UPDATE, EventType.FILL, EventType.ORDER_FILLED)
_FILLED, _IS_FILLED = EventKind.FILLED, OrderStatus.FILLED


def order_types(kind: int, change: Change) -> tuple[EventType, ...]:
    """What an event of an order is told as, in this order."""
    if kind == _FILLED and change.record.status is _IS_FILLED:
        return _LAST_FILL
    return _TOLD_AS.get(kind, _UPDATE)


def order_event(row: EventRow, change: Change, position: Callable[[], Position]) -> OrderEvent:
    """The notice of an event of an order; `position` tells the net position after it."""
    record = change.record
    common = (
        record.spec,
        kind_of(row.kind),
        record.order_id,
        record.client_order_id,
        record.side,
        record.status,
        change.previous,
        record.filled_lots,
        record.leaves_lots,
        record.filled_cost,
        record.reason_text,
        row.ts_ns,
        record.tag,
    )
    if row.kind != _FILLED:
        return OrderEvent(*common)
    return FillEvent(
        *common,
        row.price_ticks,
        row.lots,
        row.fee_nanos,
        liquidity_of(row.liquidity),
        bool(row.ambiguous),
        position(),
    )


class Subscription:
    """A registered handler. `cancel()` ends it at once, waiting notices included."""

    __slots__ = ("_unsubscribe", "active", "handler", "instrument")

    def __init__(self, handler: Handler, instrument: int | None) -> None:
        if not callable(handler):
            raise TypeError(f"handler {handler!r} is not callable")
        self.handler = handler
        self.instrument = instrument
        self.active = True
        self._unsubscribe: list[Callable[[], None]] = []

    def on_cancel(self, unsubscribe: Callable[[], None]) -> None:
        """Call `unsubscribe` when the subscription is cancelled."""
        self._unsubscribe.append(unsubscribe)

    def cancel(self) -> None:
        """End the subscription. Idempotent."""
        self.active = False
        while self._unsubscribe:
            self._unsubscribe.pop()()


class Dispatcher:
    """Runs handlers strictly one at a time, in the order in which notices were posted.

    Its one task exists while notices wait; the session owns it and awaits it in `drain`. The
    exception of a handler goes to `on_failure`, which returns whether to go on.
    """

    def __init__(self, on_failure: Callable[[Exception], bool]) -> None:
        self._queue: deque[tuple[Subscription, tuple[Any, ...]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._on_failure = on_failure

    def post(self, subscription: Subscription, *notice: object) -> None:
        """Queue a notice (a handler's arguments) for a handler."""
        if len(self._queue) >= QUEUE_LENGTH_MAX:
            self._queue.clear()
            self._on_failure(
                RunawayStrategy(f"{QUEUE_LENGTH_MAX} notices wait for a handler that does not end")
            )
            return
        self._queue.append((subscription, notice))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this where handlers run, and what is posted meanwhile behind it. Only while idle."""
        self._task = asyncio.get_running_loop().create_task(self._run(work))

    def waiting(self) -> int:
        """How many notices wait for their handler."""
        return len(self._queue)

    @property
    def is_idle(self) -> bool:
        """True while no notice waits and no handler runs."""
        return not self._queue and (self._task is None or self._task.done())

    @property
    def is_current(self) -> bool:
        """True inside a handler."""
        return self._task is not None and asyncio.current_task() is self._task

    async def drain(self) -> None:
        """Wait until every posted notice was handled. Returns at once inside a handler."""
        while self._task is not None and not self._task.done() and not self.is_current:
            await asyncio.wait((self._task,))

    def clear(self) -> None:
        """Drop the notices that wait; a running handler ends by itself."""
        self._queue.clear()

    async def _run(self, work: Coroutine[Any, Any, None] | None = None) -> None:
        if work is not None:
            await work
        while self._queue:
            subscription, notice = self._queue.popleft()
            if not subscription.active:
                continue
            try:
                result = subscription.handler(*notice)
                if inspect.isawaitable(result):
                    await result
            except Exception as failure:
                if not self._on_failure(failure):
                    self._queue.clear()


class HandlerSink:
    """Rows for one handler: see `broker.RowSink`.

    Handlers run one at a time, so a row is posted while another handler runs or waits its turn;
    otherwise a plain function is called at once.
    """

    def __init__(
        self,
        subscription: Subscription,
        fields: tuple[str, ...],
        dispatcher: Dispatcher,
        on_failure: Callable[[Exception], bool],
    ) -> None:
        self.fields = fields
        self.failed = on_failure
        self._subscription = subscription
        self._dispatcher = dispatcher
        handler = subscription.handler
        call = getattr(handler, "__call__", handler)  # noqa: B004 - the method, to look at it
        is_async = inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call)
        self.spawn = dispatcher.spawn if is_async else None

    def __call__(self, *values: Any) -> None:
        """Take one row."""
        call = self.direct() if self.spawn is None else None
        if call is None:
            self._dispatcher.post(self._subscription, *values)
            return
        try:
            self.adopt(call(*values))
        except Exception as failure:
            self.failed(failure)

    def direct(self) -> Callable[..., object] | None:
        """The handler, if no other handler runs."""
        if self._dispatcher.is_idle and self._subscription.active:
            return self._subscription.handler
        return None

    def adopt(self, result: object) -> None:
        """A plain function returned something: a coroutine is run as a handler's."""
        if inspect.isawaitable(result):
            self._dispatcher.post(Subscription(_return, None), result)


def _return(result: object) -> object:
    return result
