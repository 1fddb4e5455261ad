"""The seam: what every broker, simulated or live, promises to the rooms above it.

A broker takes requests made of integers and reports what happened as events, in order, through one
sink. It keeps no order history and calls no strategy: that is the session's work.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from broker_api.capabilities import Capabilities
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
from broker_api.order import CancelRequest, Command, ReplaceRequest, Submission
from broker_api.quote import Bar, Quote, Trade

EventSink = Callable[[EventRow, int], None]
"""Told of an event and of the session's time, in ns, at which it came."""


Spawn = Callable[[Coroutine[Any, Any, None]], None]
"""Begins a task of the handlers' own with this work."""


class RowSink(Protocol):
    """Takes quotes, trades or ticks as they come: called with a Quote, a Trade, or `fields`."""

    fields: tuple[str, ...]
    """For ticks: which values of a row are wanted, in this order."""

    def __call__(self, *values: Any) -> None:
        """Take one row."""
        ...

    def direct(self) -> Callable[..., object] | None:
        """What may be called in the place of this sink for many rows in a row, if anything.

        Then an exception goes to `failed`, and a result that can be awaited to `adopt`. Unless all
        are plain, the calls are made in a task that `spawn` has begun, and awaited there.
        """
        ...

    @property
    def spawn(self) -> Spawn | None:
        """Begins a task where handlers run, for a coroutine function's calls; None for plain ones.

        Only while `direct`.
        """
        ...

    def failed(self, failure: Exception) -> bool:
        """Take the exception of a direct call; whether to go on."""
        ...

    def adopt(self, result: object) -> None:
        """Take what a direct call returned."""
        ...


class Clock(Protocol):
    """The session's time: the tape's in simulation, the machine's when live."""

    def now_ns(self) -> int:
        """Nanoseconds since the epoch, UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that much session time."""
        ...


@dataclass(frozen=True, slots=True)
class PositionState:
    """A position as the broker knows it at connection: see event.PositionChanged for the units."""

    instrument: int
    position_lots: int
    position_cost: int
    realised_nanos: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The account at connection. `cash_nanos` is in 1e-9 of `currency`."""

    account: str
    currency: str
    cash_nanos: int
    positions: tuple[PositionState, ...]


class Broker(Protocol):
    """Who can take an order.

    `submit`, `replace` and `cancel` return the venue's answer, which has also gone through the
    sink before; a refusal is an answer, not an exception. They raise OrderUncertainError when the
    outcome is unknown and NotSentError (NotConnectedError, RateLimited) when nothing was sent.
    Calls take effect in the order in which they are made: each sends before it first awaits.
    """

    name: str
    capabilities: Capabilities
    clock: Clock

    def instruments(self) -> Sequence[Instrument]:
        """The session's instruments; an event's `instrument` indexes this."""
        ...

    async def connect(self, on_event: EventSink) -> Snapshot:
        """Connect, and deliver every later event to `on_event`, one at a time, in order."""
        ...

    def attend(self, attentive: bool) -> None:
        """Whether somebody waits to be told of events. While nobody does they may be kept.

        Kept events are delivered by `flush`, and before the answer to a later command.
        """
        ...

    def flush(self) -> None:
        """Deliver every event that has come by the session's time. Costs nothing if none has."""
        ...

    async def disconnect(self) -> None:
        """End the connection. Idempotent. Working orders stay as they are."""
        ...

    async def submit(self, submission: Submission) -> OrderAccepted | OrderRejected:
        """Send one order or one group; the answer is the first order's."""
        ...

    async def replace(self, request: ReplaceRequest) -> OrderReplaced | ReplaceRejected:
        """Change a working order."""
        ...

    async def cancel(self, request: CancelRequest) -> OrderCancelled | CancelRejected:
        """End a working order."""
        ...

    def post(self, command: Command) -> None:
        """Send a command whose answer nobody awaits; it comes as an event. Raises as `submit`."""
        ...

    def equity_nanos(self) -> int:
        """Cash plus open profit valued at the mark, else at the side one would get."""
        ...

    def margin_used_nanos(self) -> int:
        """Initial margin held for positions and working orders."""
        ...

    def last_quote(self, instrument: int) -> Quote | None:
        """The quote in force at the session's time, None before the first."""
        ...

    def last_trade(self, instrument: int) -> Trade | None:
        """The newest print at the session's time, None before the first."""
        ...

    def bars(self, instrument: int, interval_ns: int, count: int) -> list[Bar]:
        """The newest `count` complete bars at the session's time, oldest first."""
        ...

    def subscribe_rows(self, instrument: int, kind: str, sink: RowSink) -> Callable[[], None]:
        """Deliver what `kind` names ("quote", "trade", "tick"); call the result to stop."""
        ...

    def subscribe_bars(
        self, instrument: int, interval_ns: int, sink: RowSink
    ) -> Callable[[], None]:
        """Deliver bars of this length as they complete; call the result to stop."""
        ...

    def next_open_ns(self, instrument: int, ts_ns: int) -> int | None:
        """When the instrument next opens at or after `ts_ns`; None when its calendar ends."""
        ...
