"""A session at the gateway while it lasts: its parts, opened in order and closed in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from broker_api.errors import BrokerError
from broker_api.event import EventRow
from broker_api.instrument import NANOS, Instrument
from broker_api.live.broker import LiveClock
from broker_api.live.money import Money
from broker_api.live.transport import Http
from broker_api.messages import ProtocolError
from broker_api.pacing import Kind
from broker_api.projectx.books import UNIT_NS, Books
from broker_api.projectx.client import Client
from broker_api.projectx.commands import Commands, Desk
from broker_api.projectx.config import Place, ProjectXConfig
from broker_api.projectx.contracts import Contract
from broker_api.projectx.hub import Hub
from broker_api.projectx.keeper import Keeper
from broker_api.projectx.market import Market
from broker_api.projectx.opening import Opening, account_of, contracts_of, open_account
from broker_api.projectx.outbox import Lane, Parcel
from broker_api.projectx.pace import pacing_of
from broker_api.projectx.tags import Tags
from broker_api.projectx.tokens import Tokens
from broker_api.projectx.watchdog import BEATS_A_SILENCE, Watchdog
from broker_api.projectx.wire.fields import parse_body
from broker_api.projectx.wire.records import Account, Order, Pushed, Trade
from broker_api.projectx.wire.requests import OrderOfAccount
from broker_api.projectx.wire.signalr import Invocation
from broker_api.secret import Secret

UP_SECONDS = 20.0
QUOTED_SECONDS = 2.0
BEAT_SECONDS = 0.25
BARS_AGAIN = 60
"""Bars of each length that are read again after a lost connection."""
LOOK_BACK_NS = 24 * 3_600 * NANOS
_USER_CALLS = ("SubscribeOrders", "SubscribePositions", "SubscribeTrades")


@dataclass(frozen=True)
class Means:
    """What a session is opened with."""

    config: ProjectXConfig
    place: Place
    user: str
    key: Secret
    known: tuple[Instrument, ...]
    environment: Mapping[str, str]
    clock: LiveClock
    draws: np.random.Generator
    give: Callable[[EventRow], None]
    note: Callable[[str], None]


class Live:
    """One session. Made by `open_live`; `close` ends it and leaves working orders as they are."""

    def __init__(
        self,
        means: Means,
        http: Http,
        client: Client,
        account: Account,
        contracts: Sequence[Contract],
    ) -> None:
        self._means = means
        self._http = http
        self.client = client
        self.account = account
        self.contracts = tuple(contracts)
        self.market = Market(contracts, means.clock.now_ns)
        self._venue_us = 0
        self._up = asyncio.Event()
        self._quoted = asyncio.Event()
        self._begun = asyncio.Event()
        self._held: list[Pushed] = []
        self._task: asyncio.Task[None] | None = None
        self._heard_at = 0.0
        self.watchdog: Watchdog | None = None
        user_calls = [Invocation("SubscribeAccounts")]
        user_calls += [Invocation(name, (account.id,)) for name in _USER_CALLS]
        self.user_hub = self._hub("user", means.place.user_hub_url, user_calls, self._on_user)
        self.market_hub = self._hub(
            "market", means.place.market_hub_url, self.market.calls(), self._on_market
        )
        self._lanes = [Lane(self._send) for _ in contracts]

    def _hub(
        self,
        name: str,
        url: str,
        calls: Sequence[Invocation],
        on_event: Callable[[Pushed], None],
    ) -> Hub:
        means = self._means
        return Hub(
            self._http,
            url,
            self.client.tokens,
            calls,
            on_event=on_event,
            on_bad_event=self._on_bad_event,
            on_up=self._on_user_up if name == "user" else self._on_market_up,
            on_down=lambda why: means.note(f"the {name} hub is down: {why}"),
            draws=means.draws,
        )

    @property
    def lines(self) -> tuple[Hub, ...]:
        """Its connections, which count their frames."""
        return (self.user_hub, self.market_hub)

    def venue_us(self) -> int:
        """The newest time that the gateway has told."""
        return self._venue_us

    # --- opening -------------------------------------------------------------------------------

    async def open(self) -> Opening:
        """Subscribe, and take the account as it is with nothing lost in between."""
        means, config = self._means, self._means.config
        await self._fetch_bars(config.bar_history)
        self.user_hub.start()
        self.market_hub.start()
        try:
            async with asyncio.timeout(UP_SECONDS):
                await self._up.wait()
        except TimeoutError:
            raise BrokerError(
                f"the gateway's user hub did not take the subscriptions within {UP_SECONDS:g} s"
            ) from None
        await self._learn_time()
        since_ns = max(0, self._venue_us * UNIT_NS - LOOK_BACK_NS)
        opening = await open_account(self.client, self.contracts, self.account, since_ns)
        self._assemble(opening)
        await self._set_watchdog()
        self._begun.set()
        for pushed in self._held:
            self._on_user(pushed)
        self._held.clear()
        self.client.tokens.on_renewed = self._on_renewed
        self._task = asyncio.get_running_loop().create_task(self._keep_going())
        means.note(f"trading on account {self.account.name}")
        return opening

    async def _learn_time(self) -> None:
        """The gateway's time comes with the first quote; without one it is the wall's."""
        try:
            async with asyncio.timeout(QUOTED_SECONDS):
                await self._quoted.wait()
        except TimeoutError:
            self._see(self._means.clock.now_ns())

    def _assemble(self, opening: Opening) -> None:
        means, config = self._means, self._means.config
        specs = [each.spec for each in self.contracts]
        self.money = Money(specs, opening.snapshot, means.give, unit_ns=UNIT_NS)
        self.books = Books(self.money, self.contracts)
        self.books.know((trade.id, trade.created // UNIT_NS) for trade in opening.trades)
        self.books.note_open((order.id, order.custom_tag) for order in opening.orders)
        self.keeper = Keeper(
            self.client,
            self.books,
            self.contracts,
            settle_seconds=config.settle_seconds,
            now_ms=means.clock.now_ms,
            venue_us=self.venue_us,
            note=means.note,
        )
        self.keeper.since_ns = self._venue_us * UNIT_NS
        self.tags = Tags(f"{means.clock.now_ms():x}", config.scope)
        desk = Desk(
            account_id=self.account.id,
            tags=self.tags,
            arrival_seconds=config.arrival_seconds,
            settle_seconds=config.settle_seconds,
            touch=self.market.touch,
            hub_is_up=lambda: self.user_hub.is_up,
            venue_us=self.venue_us,
            now_ms=means.clock.now_ms,
            note=means.note,
        )
        self.commands = Commands(self.books, self.keeper, self._lanes, self.contracts, desk)
        self.books.on_change = self.commands.on_change
        self.books.on_stray = self._on_stray
        self.books.note = means.note

    async def _set_watchdog(self) -> None:
        means, config = self._means, self._means.config
        if config.watchdog != "off":
            orders = {
                "api_url": means.place.api_url,
                "user": means.user,
                "account_id": self.account.id,
                "scopes": self.tags.scopes,
                "mode": config.watchdog,
                "silence_seconds": config.watchdog_seconds,
                "answer_seconds": config.answer_seconds,
            }
            self.watchdog = Watchdog(orders, means.key, means.note)
            await self.watchdog.start()

    # --- events --------------------------------------------------------------------------------

    async def _on_user_up(self) -> None:
        self._up.set()
        if self._begun.is_set():
            await self._sweep()

    async def _on_market_up(self) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        if self._begun.is_set():  # bars that were missed meanwhile
            self.keeper.start(self._fetch_bars(min(self._means.config.bar_history, BARS_AGAIN)))

    async def _fetch_bars(self, count: int) -> None:
        config = self._means.config
        await self.market.fetch_bars(self.client, count, live=config.live_data)

    def _on_user(self, pushed: Pushed) -> None:
        if not self._begun.is_set():
            self._held.append(pushed)  # the books are opened first
            return
        try:
            for record in pushed.records:
                self._take(record)
        except ProtocolError as fault:
            self._on_bad_event(fault)

    def _take(self, record: Any) -> None:
        if getattr(record, "account_id", self.account.id) != self.account.id:
            return
        if isinstance(record, Order):
            self._see(record.updated or record.created)
            track = self.books.order(record)
            if track is not None:
                self.keeper.expect_end(track)
        elif isinstance(record, Trade):
            self._see(record.created)
            self.books.trade(record)

    def _on_market(self, pushed: Pushed) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        newest_ns = self.market.take(pushed)
        if newest_ns:
            self._see(newest_ns)
            self._quoted.set()

    def _see(self, ts_ns: int) -> None:
        self._venue_us = max(self._venue_us, ts_ns // UNIT_NS)

    def _on_bad_event(self, fault: ProtocolError) -> None:
        """What it would have said is asked for instead."""
        self._means.note(f"an event that cannot be read: {fault}")
        if self._begun.is_set():
            self.keeper.sweep_soon()

    def _on_stray(self, order: Order) -> None:
        """An order that was said never to have arrived has arrived: end it."""
        self._means.note(f"order {order.id} ({order.custom_tag}) came late and is cancelled")
        self.keeper.start(self._end_stray(order))

    async def _end_stray(self, order: Order) -> None:
        message = OrderOfAccount(self.account.id, order.id)
        await self.client.command("/Order/cancel", message, kind=Kind.CANCEL)

    # --- going on ------------------------------------------------------------------------------

    async def _send(self, parcel: Parcel) -> Any:
        return await self.client.command(parcel.path, parcel.message(), kind=parcel.kind)

    async def _sweep(self) -> None:
        try:
            await self.keeper.sweep()
            self.commands.mind_all()
        except BrokerError as failure:
            self._means.note(f"the comparison with the gateway failed: {failure}")

    async def _keep_going(self) -> None:
        """Bars on time, comparisons now and then, tokens before they end, a watch for silence."""
        loop = asyncio.get_running_loop()
        config = self._means.config
        next_sweep = loop.time() + config.reconcile_seconds
        next_beat = loop.time()
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self.market.deliver_bars()
            if self.watchdog is not None and loop.time() >= next_beat:
                await self.watchdog.beat()
                next_beat = loop.time() + config.watchdog_seconds / BEATS_A_SILENCE
            if loop.time() >= next_sweep:
                await self._sweep()
                next_sweep = loop.time() + config.reconcile_seconds
            if loop.time() >= self._heard_at + config.quiet_seconds:
                self._heard_at = loop.time()
                if self.market.is_open():
                    self._means.note(f"the market hub was silent for {config.quiet_seconds:g} s")
                    await self.market_hub.drop()

    def _on_renewed(self) -> None:
        """Hubs keep the token of their connection: they connect again with the new one."""
        self.keeper.start(self._reconnect())

    async def _reconnect(self) -> None:
        await self.user_hub.drop()
        await self.market_hub.drop()

    # --- the end -------------------------------------------------------------------------------

    async def close(self) -> None:
        """End all that runs; what is under way is waited for."""
        task, self._task = self._task, None
        for lane in self._lanes:
            await lane.close()
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        if self._begun.is_set():
            await self.keeper.close()
        if self.watchdog is not None:
            await self.watchdog.close()
        await self.user_hub.close()
        await self.market_hub.close()
        await self._http.close()


async def open_live(means: Means, symbols: Sequence[str]) -> tuple[Live, Opening]:
    """Open a session. Raises what is wrong with the settings, the key or the gateway."""
    config = means.config
    http = Http(means.place.api_url, answer_seconds=config.answer_seconds, parse=parse_body)
    await http.open()
    live: Live | None = None
    try:
        tokens = Tokens(http.post, means.user, means.key, means.clock.now_ms)
        client = Client(http, tokens, pacing_of(config, means.draws))
        await client.log_in()
        account = account_of(await client.accounts(), config, means.environment)
        client.account_id = account.id
        contracts = await contracts_of(client, symbols, means.known, live=config.live_data)
        live = Live(means, http, client, account, contracts)
        return live, await live.open()
    except BaseException:
        await (http.close() if live is None else live.close())
        raise
