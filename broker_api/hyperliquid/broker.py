"""The live broker: Hyperliquid behind the same seam as the simulated exchange.

It wires the parts: `client` asks and signs, `stream` listens, `books` turns what the venue says
into events, `commands` sends, `keeper` looks after what is not certain, `market` knows prices.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from broker_api.broker import Clock as SessionClock
from broker_api.broker import EventSink, RowSink, Snapshot
from broker_api.capabilities import HYPERLIQUID
from broker_api.config import AccountConfig, BrokerSpec
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
from broker_api.hyperliquid.config import HyperliquidConfig, Place, config_of
from broker_api.hyperliquid.live import NOTES_MAX, Clock, Live, Means, open_live
from broker_api.hyperliquid.nonce import Nonces, nonce_file
from broker_api.hyperliquid.signing import Signer
from broker_api.instrument import Instrument, to_nanos
from broker_api.order import (
    CancelRequest,
    Command,
    OrderRequest,
    ReplaceRequest,
    Submission,
)
from broker_api.quote import Bar, Quote, Trade
from broker_api.wall_clock import WallClock


def create(spec: BrokerSpec) -> HyperliquidBroker:
    """The live broker for the arguments of `TradingSuite.create`; nothing is connected yet.

    Brackets and OCO pairs are kept by the session, their exits reduce-only: these may be worth less
    than the venue's least, and never open anything. Raises ConfigurationError and SecretError for
    settings with which it cannot begin.
    """
    config = config_of(spec.options)
    place = config.place(os.environ)
    return HyperliquidBroker(
        config,
        place,
        Signer(config.secret(os.environ).reveal()),
        spec.symbols,
        account=spec.account,
        nonce_folder=config.nonce_folder(os.environ),
        draws=np.random.Generator(np.random.Philox(os.getpid())),
    )


class HyperliquidBroker:
    """A broker of plain orders: Hyperliquid, or a local venue that speaks like it.

    Nothing is asked of anybody before `connect`. `notes` is what a person should know: what the
    venue said in its own words, connections that broke, figures that differ.
    """

    name = "hyperliquid"
    capabilities = HYPERLIQUID

    def __init__(
        self,
        config: HyperliquidConfig,
        place: Place,
        signer: Signer,
        symbols: Sequence[str],
        *,
        account: AccountConfig,
        nonce_folder: Path | None,
        draws: np.random.Generator,
        clock: Clock | None = None,
    ) -> None:
        times: Clock = WallClock() if clock is None else clock
        self.clock: SessionClock = times
        self.notes: list[str] = []
        self._symbols = tuple(symbols)
        path = None if nonce_folder is None else nonce_file(nonce_folder, signer.address)
        self._on_event: EventSink | None = None
        self._live: Live | None = None
        self._last: Live | None = None
        self._means = Means(
            config,
            place,
            signer,
            Nonces(path, times.now_ms),
            account,
            times,
            draws,
            self._give,
            self._note,
        )

    def __repr__(self) -> str:
        return f"HyperliquidBroker({self._means.place.base_url}, {self._means.signer!r})"

    def instruments(self) -> Sequence[Instrument]:
        """The session's instruments, known once it is connected."""
        return [each.spec for each in self._known.contracts]

    @property
    def account(self) -> str:
        """The address that the session trades for."""
        return self._known.client.account

    async def connect(self, on_event: EventSink) -> Snapshot:
        """Connect, and deliver every later event to `on_event`.

        Raises ConfigurationError for a key without an account and names that are not traded,
        BrokerError when the venue cannot be reached or does not answer as it should.
        """
        if self._live is not None:
            raise BrokerError("the broker is connected already")
        self._on_event = on_event
        self._live, opening = await open_live(self._means, self._symbols)
        self._last = self._live
        for order in opening.orders:
            self._note(
                f"order {order.oid} of {order.coin} works at the venue and is not this session's"
            )
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
        """Send an order. Groups are kept by the session: the venue has none that fits."""
        return await asyncio.shield(self._place(submission))

    def _place(self, submission: Submission) -> asyncio.Task[OrderAccepted | OrderRejected]:
        if not isinstance(submission, OrderRequest):
            raise ConfigurationError(
                "Hyperliquid's own groups do not keep brackets and OCO pairs as this interface "
                "means them"
            )
        return self.live.commands.place(submission)

    async def replace(self, request: ReplaceRequest) -> OrderReplaced | ReplaceRejected:
        """Change a working order: the venue cancels it and places another, at the queue's end."""
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

    def margin_used_nanos(self) -> int:
        """Initial margin that the venue held at the newest comparison."""
        state = self._known.keeper.state
        return 0 if state is None else to_nanos(state.margin.total_margin_used)

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
        """Perpetuals never close."""
        return ts_ns
