"""What brokers of live venues share: one session's parts behind the seam of `broker.py`."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from broker_api.broker import Clock, EventSink, RowSink, Snapshot
from broker_api.errors import BrokerError, ConfigurationError, NotConnectedError
from broker_api.event import (
    CancelRejected,
    EventRow,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    OrderReplaced,
    ReplaceRejected,
)
from broker_api.instrument import Instrument
from broker_api.live.feed import Feeds
from broker_api.live.money import Money
from broker_api.order import CancelRequest, Command, OrderRequest, ReplaceRequest, Submission
from broker_api.quote import Bar, Quote, Trade

NOTES_MAX = 1_000
"""Notes of one session; what comes later is in the journal alone."""


class LiveClock(Clock, Protocol):
    """The session's clock, and the wall's for nonces and tokens."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch by the wall."""
        ...


class Sender(Protocol):
    """Sends commands; each is a task that goes on though whoever awaits it gives up."""

    def place(self, request: OrderRequest) -> asyncio.Task[OrderAccepted | OrderRejected]:
        """Send an order."""
        ...

    def change(self, request: ReplaceRequest) -> asyncio.Task[OrderReplaced | ReplaceRejected]:
        """Send a change."""
        ...

    def cancel(self, request: CancelRequest) -> asyncio.Task[OrderCancelled | CancelRejected]:
        """Send a cancel."""
        ...


class Parts(Protocol):
    """A connected session."""

    @property
    def commands(self) -> Sender:
        """What sends."""
        ...

    @property
    def market(self) -> Feeds:
        """What knows prices."""
        ...

    @property
    def money(self) -> Money:
        """What knows the account."""
        ...

    async def close(self) -> None:
        """End the connection."""
        ...


L = TypeVar("L", bound=Parts)


class LiveBroker(ABC, Generic[L]):
    """A broker of plain orders over a session that `_open` makes.

    Nothing is asked of anybody before `connect`. `notes` is what a person should know: what the
    venue said in its own words, connections that broke, figures that differ.
    """

    name: str
    why_no_groups: str
    """Why brackets and OCO pairs are the session's to keep."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.notes: list[str] = []
        self._on_event: EventSink | None = None
        self._live: L | None = None
        self._last: L | None = None

    @abstractmethod
    async def _open(self) -> tuple[L, Snapshot]:
        """Connect; the parts of the session, and what there is. Raises as `connect`."""

    @abstractmethod
    def instruments(self) -> Sequence[Instrument]:
        """The session's instruments, known once it is connected."""

    async def connect(self, on_event: EventSink) -> Snapshot:
        """Connect, and deliver every later event to `on_event`.

        Raises ConfigurationError for a key that is refused or without an account, an account with
        real money that was not opted in for, and names that are not traded; BrokerError when the
        venue cannot be reached or does not answer as it should.
        """
        if self._live is not None:
            raise BrokerError("the broker is connected already")
        self._on_event = on_event
        self._live, snapshot = await self._open()
        self._last = self._live
        return snapshot

    async def disconnect(self) -> None:
        """End the connection. Idempotent. Working orders stay as they are."""
        live, self._live = self._live, None
        if live is not None:
            await live.close()

    @property
    def live(self) -> L:
        """The parts of the session that lasts. Raises NotConnectedError before and after it."""
        if self._live is None:
            raise NotConnectedError("the suite is disconnected; nothing was sent")
        return self._live

    @property
    def _known(self) -> L:
        """The session to look at: what was known last stays known after its end."""
        if self._last is None:
            raise NotConnectedError("the broker was never connected")
        return self._last

    def _give(self, row: EventRow) -> None:
        assert self._on_event is not None, "nothing is told before connect"
        self._on_event(row, self.clock.now_ns())

    def _note(self, text: str) -> None:
        if len(self.notes) < NOTES_MAX:
            self.notes.append(text)

    def attend(self, attentive: bool) -> None:
        """See `Broker.attend`: events are told as they come, whoever waits."""

    def flush(self) -> None:
        """See `Broker.flush`: nothing is kept."""

    # --- commands ------------------------------------------------------------------------------

    async def submit(self, submission: Submission) -> OrderAccepted | OrderRejected:
        """Send an order; a group is refused, `why_no_groups`."""
        return await asyncio.shield(self._place(submission))

    def _place(self, submission: Submission) -> asyncio.Task[OrderAccepted | OrderRejected]:
        if not isinstance(submission, OrderRequest):
            raise ConfigurationError(self.why_no_groups)
        return self.live.commands.place(submission)

    async def replace(self, request: ReplaceRequest) -> OrderReplaced | ReplaceRejected:
        """Change a working order, as the venue does it."""
        return await asyncio.shield(self.live.commands.change(request))

    async def cancel(self, request: CancelRequest) -> OrderCancelled | CancelRejected:
        """End a working order."""
        return await asyncio.shield(self.live.commands.cancel(request))

    def post(self, command: Command) -> None:
        """See `Broker.post`. What fails later than here is told as an event, or noted."""
        if isinstance(command, ReplaceRequest):
            task: asyncio.Task[Any] = self.live.commands.change(command)
        elif isinstance(command, CancelRequest):
            task = self.live.commands.cancel(command)
        else:
            task = self._place(command)
        task.add_done_callback(self._note_failure)

    def _note_failure(self, task: asyncio.Task[Any]) -> None:
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            self._note(f"{type(failure).__name__}: {failure}")

    # --- looking -------------------------------------------------------------------------------

    def equity_nanos(self) -> int:
        """Cash plus open profit valued at the mark."""
        live = self._known
        total = live.money.cash_nanos
        for index, position in enumerate(live.money.positions):
            mark = live.market.mark_ticks(index)
            if position.lots and mark is not None:
                total += position.unrealised_nanos(mark)
        return total

    def last_quote(self, instrument: int) -> Quote | None:
        """The quote in force, None before the first."""
        return self._known.market.last_quote(instrument)

    def last_trade(self, instrument: int) -> Trade | None:
        """The newest print, None before the first."""
        return self._known.market.last_trade(instrument)

    def bars(self, instrument: int, interval_ns: int, count: int) -> list[Bar]:
        """The newest `count` complete bars, oldest first."""
        return self._known.market.bars(instrument, interval_ns, count)

    def subscribe_rows(self, instrument: int, kind: str, sink: RowSink) -> Callable[[], None]:
        """Deliver quotes, trades or ticks; call the result to stop."""
        return self._known.market.subscribe_rows(instrument, kind, sink)

    def subscribe_bars(
        self, instrument: int, interval_ns: int, sink: RowSink
    ) -> Callable[[], None]:
        """Deliver bars as they complete; call the result to stop."""
        return self._known.market.subscribe_bars(instrument, interval_ns, sink)
