"""The live broker: a ProjectX Gateway behind the same seam as the simulated exchange.

It wires the parts: `client` asks, `hub` listens, `books` turns what the gateway says into events,
`commands` sends, `keeper` looks after what is not certain, `market` knows prices.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from broker_api.broker import Clock as SessionClock
from broker_api.broker import EventSink, RowSink, Snapshot
from broker_api.calendar import load_calendar
from broker_api.capabilities import PROJECTX
from broker_api.catalog import load_catalog
from broker_api.config import BrokerSpec
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
from broker_api.order import (
    CancelRequest,
    Command,
    OrderRequest,
    ReplaceRequest,
    Submission,
)
from broker_api.projectx.config import ProjectXConfig, config_of
from broker_api.projectx.live import NOTES_MAX, Clock, Live, Means, open_live
from broker_api.quote import Bar, Quote, Trade
from broker_api.wall_clock import WallClock


def create(spec: BrokerSpec) -> ProjectXBroker:
    """The live broker for the arguments of `TradingSuite.create`; nothing is connected yet.

    Brackets and OCO pairs are kept by the session. Raises ConfigurationError and SecretError for
    settings with which it cannot begin.
    """
    known = {**load_catalog(), **{each.symbol: each for each in spec.instruments}}
    return ProjectXBroker(
        config_of(spec.options),
        spec.symbols,
        known=tuple(known.values()),
        environment=dict(os.environ),
        draws=np.random.Generator(np.random.Philox(os.getpid())),
    )


class ProjectXBroker:
    """A broker of plain orders: a ProjectX Gateway, or a local one that speaks like it.

    Nothing is asked of anybody before `connect`. `notes` is what a person should know: what the
    gateway said in its own words, connections that broke, figures that differ.
    """

    name = "projectx"
    capabilities = PROJECTX

    def __init__(
        self,
        config: ProjectXConfig,
        symbols: Sequence[str],
        *,
        known: tuple[Instrument, ...],
        environment: Mapping[str, str],
        draws: np.random.Generator,
        clock: Clock | None = None,
    ) -> None:
        times: Clock = WallClock() if clock is None else clock
        self.clock: SessionClock = times
        self.notes: list[str] = []
        self._symbols = tuple(symbols)
        self._on_event: EventSink | None = None
        self._live: Live | None = None
        self._last: Live | None = None
        self._means = Means(
            config,
            config.place(environment),
            config.user_name(environment),
            config.secret(environment),
            known,
            environment,
            times,
            draws,
            self._give,
            self._note,
        )

    def __repr__(self) -> str:
        return f"ProjectXBroker({self._means.place.api_url}, {self._means.user!r})"

    def instruments(self) -> Sequence[Instrument]:
        """The session's instruments, known once it is connected."""
        return [each.spec for each in self._known.contracts]

    @property
    def account(self) -> str:
        """The name of the account that the session trades on."""
        return self._known.account.name

    async def connect(self, on_event: EventSink) -> Snapshot:
        """Connect, and deliver every later event to `on_event`.

        Raises ConfigurationError for a key that is refused, an account that is not there or has
        real money, and names that are not traded; BrokerError when the gateway cannot be reached or
        does not answer as it should.
        """
        if self._live is not None:
            raise BrokerError("the broker is connected already")
        self._on_event = on_event
        self._live, opening = await open_live(self._means, self._symbols)
        self._last = self._live
        for order in opening.orders:
            self._note(f"order {order.id} works at the gateway and is not this session's")
        return opening.snapshot

    async def disconnect(self) -> None:
        """End the connection. Idempotent. Working orders stay as they are."""
        live, self._live = self._live, None
        if live is not None:
            await live.close()

    @property
    def live(self) -> Live:
        """The parts of the session that lasts. Raises NotConnectedError before and after it."""
        if self._live is None:
            raise NotConnectedError("the suite is disconnected; nothing was sent")
        return self._live

    @property
    def _known(self) -> Live:
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
        """Send an order. Groups are kept by the session: the gateway's follow other rules."""
        return await asyncio.shield(self._place(submission))

    def _place(self, submission: Submission) -> asyncio.Task[OrderAccepted | OrderRejected]:
        if not isinstance(submission, OrderRequest):
            raise ConfigurationError(
                "ProjectX's own brackets are not as this interface means them, and it has no pairs"
            )
        return self.live.commands.place(submission)

    async def replace(self, request: ReplaceRequest) -> OrderReplaced | ReplaceRejected:
        """Change a working order."""
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
        """Cash plus open profit valued at the last price."""
        live = self._known
        total = live.money.cash_nanos
        for index, position in enumerate(live.money.positions):
            mark = live.market.mark_ticks(index)
            if position.lots and mark is not None:
                total += position.unrealised_nanos(mark)
        return total

    def margin_used_nanos(self) -> int:
        """The catalogue's initial margin of what is held: the gateway does not tell its own."""
        return sum(
            abs(each.lots) * each.spec.initial_margin_lot_nanos
            for each in self._known.money.positions
        )

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

    def next_open_ns(self, instrument: int, ts_ns: int) -> int | None:
        """When the product next opens, by its calendar."""
        return load_calendar(self._known.contracts[instrument].spec.calendar).next_open_ns(ts_ns)
