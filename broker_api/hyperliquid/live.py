"""A session at the venue while it lasts: its parts, opened in order and closed in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from broker_api.config import AccountConfig
from broker_api.errors import BrokerError, ConfigurationError
from broker_api.event import EventRow
from broker_api.hyperliquid.books import UNIT_NS, Books
from broker_api.hyperliquid.client import Client, Pacing
from broker_api.hyperliquid.commands import Commands, Scopes
from broker_api.hyperliquid.config import HyperliquidConfig, Place
from broker_api.hyperliquid.contracts import Contract, contracts_of
from broker_api.hyperliquid.keeper import Keeper
from broker_api.hyperliquid.market import KEPT, Market
from broker_api.hyperliquid.nonce import Nonces
from broker_api.hyperliquid.opening import Opening, account_behind, open_account
from broker_api.hyperliquid.outbox import Lane
from broker_api.hyperliquid.signing import Signer
from broker_api.hyperliquid.stream import Stream, Subscription
from broker_api.hyperliquid.wire.account import OrderUpdate
from broker_api.hyperliquid.wire.actions import (
    Action,
    ScheduleCancelAction,
    UpdateLeverageAction,
)
from broker_api.hyperliquid.wire.answers import ActionRefused, Answer
from broker_api.hyperliquid.wire.frames import Frame, UserFillsData, UserFundingsData
from broker_api.hyperliquid.wire.schema import ProtocolError
from broker_api.hyperliquid.wire.statuses import meaning_of
from broker_api.hyperliquid.wire.texts import Refusal, read
from broker_api.live.broker import LiveClock
from broker_api.live.money import Money
from broker_api.live.transport import Http
from broker_api.pacer import Pacer
from broker_api.pacing import NS_SECOND, Allowance, BackOff, Kind, Window

WEIGHT_A_MINUTE = 1_200
TRICKLE_SECONDS = 10
CANCELS_MORE = 100_000
"""The venue's limits. Source: its documentation, "Rate limits and user limits"."""
OWN = ("orderUpdates", "userFills", "userFundings")
"""Channels of the account."""
PROTECTIVE_SECONDS = 4.0
"""How long stops and reduce-only orders are valid at most: another one waits until it is over."""
UP_SECONDS = 20.0
BEAT_SECONDS = 0.25


@dataclass(frozen=True)
class Means:
    """What a session is opened with."""

    config: HyperliquidConfig
    place: Place
    signer: Signer
    nonces: Nonces
    account: AccountConfig
    clock: LiveClock
    draws: np.random.Generator
    give: Callable[[EventRow], None]
    note: Callable[[str], None]


def pacing_of(config: HyperliquidConfig, draws: np.random.Generator) -> Pacing:
    """The venue's limits, with a part of them kept for cancels."""
    # A little longer than the venue's minute: requests take their time to arrive.
    window = Window(WEIGHT_A_MINUTE, 61 * NS_SECOND, config.cancel_reserve)
    allowance = Allowance(10_000, TRICKLE_SECONDS * NS_SECOND, CANCELS_MORE)

    def back_off() -> BackOff:
        return BackOff(draws, NS_SECOND // 4, 30 * NS_SECOND)

    return Pacing(
        by_weight=Pacer([window], back_off()),
        by_entry=Pacer([allowance], back_off()),
        allowance=allowance,
        wait_max_seconds=config.wait_max_seconds,
    )


class Live:
    """One session. Made by `open_live`; `close` ends it and leaves working orders as they are."""

    def __init__(self, means: Means, http: Http, client: Client, contracts: list[Contract]) -> None:
        self._means = means
        self._http = http
        self.client = client
        self.contracts = tuple(contracts)
        self.market = Market(contracts, means.clock.now_ns)
        self._venue_ms = 0
        self._up = asyncio.Event()
        self._begun = asyncio.Event()
        self._held: list[Frame] = []
        self._task: asyncio.Task[None] | None = None
        self.failure: Exception | None = None
        self.stream = Stream(
            http,
            self._subscriptions(),
            on_frame=self._on_frame,
            on_bad_frame=self._on_bad_frame,
            on_up=self._on_up,
            on_down=lambda why: means.note(f"the WebSocket is down: {why}"),
            draws=means.draws,
        )
        self._lanes = [Lane(self._send) for _ in contracts]

    def _subscriptions(self) -> list[Subscription]:
        user = self.client.account
        return [{"type": name, "user": user} for name in OWN] + self.market.subscriptions()

    @property
    def lines(self) -> tuple[Stream, ...]:
        """Its connections, which count their frames."""
        return (self.stream,)

    def venue_ms(self) -> int:
        """The newest time that the venue has told."""
        return self._venue_ms

    # --- opening -------------------------------------------------------------------------------

    async def open(self, scope: str | None) -> Opening:
        """Subscribe, and take the account as it is with nothing lost in between."""
        await self._set_leverage()
        await self._warm_up()
        self.stream.start()
        try:
            async with asyncio.timeout(UP_SECONDS):
                await self._up.wait()
        except TimeoutError:
            raise BrokerError(
                f"the venue's WebSocket did not take the subscriptions within {UP_SECONDS:g} s"
            ) from None
        opening = await open_account(self.client, self.contracts)
        self._see(opening.state.time)
        self.market.since_ms = opening.state.time
        account = self.client.account
        own = None if scope is None else f"{account}/{scope}"
        self._assemble(opening, Scopes(f"{account}/{self._means.clock.now_ns()}", own))
        if self._means.config.dead_man_seconds is not None:
            await self._push_dead_man()
        self._begun.set()
        for frame in self._held:
            self._on_frame(frame)
        self._held.clear()
        self._task = asyncio.get_running_loop().create_task(self._keep_going())
        return opening

    def _assemble(self, opening: Opening, scopes: Scopes) -> None:
        means, config = self._means, self._means.config
        specs = [each.spec for each in self.contracts]
        self.money = Money(specs, opening.snapshot, means.give, unit_ns=UNIT_NS)
        self.books = Books(self.money, self.contracts)
        self.books.known(opening.fills, opening.payments)
        self.books.note_orders(opening.orders)
        self.keeper = Keeper(
            self.client,
            self.books,
            self.contracts,
            settle_seconds=config.settle_seconds,
            grace_seconds=config.grace_seconds,
            venue_ms=self.venue_ms,
            note=means.note,
        )
        self.keeper.state = opening.state
        self.commands = Commands(
            self.books,
            self.keeper,
            self._lanes,
            self.contracts,
            scopes=scopes,
            slippage=config.slippage,
            settle_seconds=config.settle_seconds,
            touch=self.market.touch,
            mark_ticks=self.market.mark_ticks,
            venue_ms=self.venue_ms,
            note=means.note,
        )
        self.books.on_change = self.commands.on_change

    async def _set_leverage(self) -> None:
        """The leverage and margin modes that the account's settings name."""
        settings = self._means.account
        settings.check_instruments([each.spec for each in self.contracts])
        for each in self.contracts:
            names = (each.spec.symbol.upper(), each.spec.id.upper())
            named = {name.strip().upper(): value for name, value in settings.leverage.items()}
            leverage = next((named[name] for name in names if name in named), None)
            isolated = settings.is_isolated(each.spec)
            if leverage is None and not isolated:
                continue
            action = UpdateLeverageAction(each.asset, not isolated, leverage or each.max_leverage)
            answer = await self.client.exchange(action, kind=Kind.ORDER)
            if isinstance(answer, ActionRefused):
                raise ConfigurationError(
                    f"leverage {leverage} of {each.coin}: the venue says: {answer.text}"
                )

    async def _warm_up(self) -> None:
        """Mids for the first market orders, and bars for the first look back."""
        mids = await self.client.mids()
        for each in self.contracts:
            if each.coin in mids:
                self.market.take_mid(each.coin, mids[each.coin])
        count = self._means.config.candle_history
        now = self._means.clock.now_ms()
        for each in self.contracts if count else ():
            for interval, length_ns in KEPT.items():
                start = max(0, now - count * (length_ns // 1_000_000))
                for candle in await self.client.candles(each.coin, interval, start, now):
                    self.market.take(Frame("candle", candle))

    # --- frames --------------------------------------------------------------------------------

    async def _on_up(self) -> None:
        self._up.set()
        if self._begun.is_set():
            await self._sweep()

    def _on_frame(self, frame: Frame) -> None:
        if frame.channel in OWN and not self._begun.is_set():
            self._held.append(frame)  # the books are opened first
            return
        try:
            self._take(frame)
        except ProtocolError as fault:
            self._on_bad_frame(fault)

    def _take(self, frame: Frame) -> None:
        data = frame.data
        if isinstance(data, UserFillsData):
            for fill in data.fills:
                self._see(fill.time)
                if self.books.fill(fill):
                    self._means_earned(fill.price * fill.size)
        elif isinstance(data, UserFundingsData):
            for payment in data.fundings:
                self.books.funding(payment)
        elif frame.channel == "orderUpdates":
            for update in data:
                self._take_update(update)
        elif frame.channel == "error":
            self._means.note(f"the WebSocket says: {data}")
        else:
            self._see(getattr(data, "time", 0))
            self.market.take(frame)

    def _take_update(self, update: OrderUpdate) -> None:
        self._see(update.status_timestamp)
        if meaning_of(update.status) is None:
            self._means.note(f"order {update.order.oid}: the status {update.status!r} is unknown")
        track = self.books.update(update)
        if track is not None:
            self.keeper.expect_end(track)

    def _see(self, time_ms: int) -> None:
        self._venue_ms = max(self._venue_ms, time_ms)

    def _means_earned(self, usd: Decimal) -> None:
        self.client.pacing.allowance.earn(int(usd))

    def _on_bad_frame(self, fault: ProtocolError) -> None:
        """What it would have said is asked for instead."""
        self._means.note(f"a frame that cannot be read: {fault}")
        if self._begun.is_set():
            self.keeper.sweep_soon()

    # --- going on ------------------------------------------------------------------------------

    async def _send(
        self, action: Action, kind: Kind, entries: int, on_send: Callable[[int | None], None]
    ) -> Answer:
        seconds = self._means.config.valid_seconds
        if kind is Kind.PROTECT:
            seconds = min(seconds, PROTECTIVE_SECONDS)
        valid_ms: int | None = round(seconds * 1000)
        if kind is Kind.CANCEL:
            valid_ms = None  # a cancel may come as late as it likes
        return await self.client.exchange(
            action, kind=kind, entries=entries, valid_ms=valid_ms, on_send=on_send
        )

    async def _sweep(self) -> None:
        try:
            await self.keeper.sweep()
        except BrokerError as failure:
            self._means.note(f"the comparison with the venue failed: {failure}")

    async def _keep_going(self) -> None:
        """Bars on time, comparisons now and then, the dead man's switch."""
        loop = asyncio.get_running_loop()
        config = self._means.config
        next_sweep = loop.time() + config.reconcile_seconds
        next_push = loop.time() + (config.dead_man_seconds or 0.0) / 3
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self.market.deliver_bars()
            if loop.time() >= next_sweep:
                await self._sweep()
                next_sweep = loop.time() + config.reconcile_seconds
            if config.dead_man_seconds is not None and loop.time() >= next_push:
                next_push = loop.time() + config.dead_man_seconds / 3
                self.keeper.start(self._push_dead_man())

    async def _push_dead_man(self) -> None:
        """Let the venue cancel all orders when nobody says for so long that we live."""
        seconds = self._means.config.dead_man_seconds
        assert seconds is not None
        time = self._means.clock.now_ms() + round(seconds * 1000)
        answer = await self.client.exchange(ScheduleCancelAction(time), kind=Kind.PROTECT)
        if isinstance(answer, ActionRefused):
            said = read(answer.text)
            hint = ""
            if said.refusal is Refusal.SCHEDULE_VOLUME:
                hint = "; without dead_man_seconds the session goes on unguarded"
            raise BrokerError(f"the dead man's switch was refused: {answer.text}{hint}")

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
            if self._means.config.dead_man_seconds is not None:
                await self._disarm()
        await self.stream.close()
        await self._http.close()

    async def _disarm(self) -> None:
        """Working orders stay as they are: nobody cancels them when we are gone."""
        try:
            await self.client.exchange(ScheduleCancelAction(None), kind=Kind.PROTECT)
        except BrokerError as failure:
            self._means.note(f"the dead man's switch could not be disarmed: {failure}")


async def open_client(means: Means, http: Http) -> Client:
    """A client for the account that the key acts for. Raises ConfigurationError for no account."""
    config = means.config
    client = Client(
        http,
        means.signer,
        means.nonces,
        pacing_of(config, means.draws),
        account=means.signer.address,
        is_mainnet=means.place.is_mainnet,
        vault=config.vault,
        now_ms=means.clock.now_ms,
    )
    client.account = await account_behind(client, means.signer.address, config.account)
    if config.vault is not None:
        client.account = config.vault
    return client


async def open_live(means: Means, symbols: Sequence[str]) -> tuple[Live, Opening]:
    """Open a session. Raises what is wrong with the settings, the key or the venue."""
    config = means.config
    http = Http(means.place.base_url, answer_seconds=config.answer_seconds)
    await http.open()
    live: Live | None = None
    try:
        client = await open_client(means, http)
        limit = await client.rate_limit()
        client.pacing.allowance.update(limit.used, limit.cap)
        contracts = contracts_of(await client.meta(), symbols, await client.fees())
        live = Live(means, http, client, contracts)
        return live, await live.open(config.scope)
    except BaseException:
        await (http.close() if live is None else live.close())
        raise
