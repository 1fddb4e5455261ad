"""Where a case is played: one instrument, a market that moves in steps, one session.

Prices are steps of one point from the stage's base price, sizes are small lots, so
that a case is the same text whatever is traded. A stage of a local venue serves every case with one
session; the simulated one has a new session and a tape of its own for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pytest

from broker_api.broker import Broker
from broker_api.capabilities import VENUES, Capabilities
from broker_api.catalog import find, load_catalog
from broker_api.config import AccountConfig, BrokerSpec, SimulationConfig
from broker_api.event import EventKind
from broker_api.order_manager import OrderManager
from broker_api.suite import TradingSuite
from broker_api.view import Order
from papertape import run
from sim.broker import SimBroker
from tests.sim.market import tape_of
from tests.venues import adapter, local_gateway, local_venue, projectx_adapter
from tests.venues.controlled import Controlled

FAILED = (Exception, pytest.fail.Exception)
"""What a case ends with when it does not hold."""
PATH_SECONDS = 100
"""Of the simulated stage: how long each price of a case's path lasts."""
SETTLE_SECONDS = 60


class Market(Protocol):
    """Moves the price of the stage's instrument."""

    async def move(self, price: float) -> None:
        """Set the price: the touch lies within a tick of it."""
        ...

    async def settle(self, condition: Callable[[], bool]) -> None:
        """Wait for something that must come."""
        ...


class Stage:
    """What a case gets."""

    def __init__(self, suite: TradingSuite, market: Market, base: float, lot: float) -> None:
        self.suite = suite
        self.context = next(iter(suite.values()))
        self.symbol = self.context.symbol
        self.orders: OrderManager = self.context.orders
        self._market = market
        self._base = base
        self._lot = lot
        self._first_event = 0
        self._path: list[float] = []

    def begin(self, path: Sequence[float]) -> None:
        """A case begins: the prices to which its `move`s will go."""
        self._path = list(path)
        self._first_event = len(self.suite.session.journal)

    def at(self, steps: float) -> float:
        """A price so many steps from the base."""
        return self._base + steps

    def size(self, lots: int) -> float:
        """So many lots as a size."""
        return lots if self._lot == 1 else round(lots * self._lot, 9)

    def lots(self, size: float) -> float:
        """A size as lots."""
        return round(size / self._lot, 6)

    @property
    def position(self) -> float:
        """The net position in lots."""
        return self.lots(self.context.positions.net_size())

    async def move(self) -> None:
        """Let the market go to the next price of the case's path."""
        await self._market.move(self.at(self._path.pop(0)))

    async def settle(self, condition: Callable[[], bool]) -> None:
        """Wait for something that must come."""
        await self._market.settle(condition)

    def order(self, ref: Any) -> Order:
        """An order as it is now."""
        order_id = getattr(ref, "order_id", ref)
        return self.suite.session.ledger.orders[order_id].view()

    async def ended(self, ref: Any) -> Order:
        """The order once it has ended."""
        await self.settle(lambda: self.order(ref).is_terminal)
        return self.order(ref)

    def kinds(self, ref: Any) -> list[str]:
        """What the journal has of an order, by the kinds of events."""
        order_id = getattr(ref, "order_id", ref)
        return [
            EventKind(row["kind"]).name
            for row in self.suite.session.journal.events()[self._first_event :]
            if row["order_id"] == order_id
        ]

    async def buy(self, lots: int = 2) -> Order:
        """A position bought at market."""
        placed = await self.orders.place_market_order(self.symbol, "buy", self.size(lots))
        await self.settle(lambda: self.position == lots)
        return await self.ended(placed)

    async def clear(self) -> None:
        """No orders, no position, the market at its base."""
        await self._market.move(self._base)
        for order in await self.orders.get_orders("pending"):
            if not self.order(order).is_terminal and not order.held:
                await self.orders.cancel_orders([order.order_id])
        if self.position:
            await self.orders.close_position(self.symbol)
        ledger = self.suite.session.ledger
        await self.settle(lambda: self.position == 0 and not ledger.working)


Play = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True)
class Case:
    """One promise of the interface: a number that stays, a sentence, a story.

    `needs` are the capabilities without which the story's verb is refused; `path` the steps to
    which its market moves; `rules` the account rules under which it is played.
    """

    number: int
    title: str
    play: Play
    needs: Callable[[Capabilities], bool]
    path: tuple[float, ...] = ()
    rules: Mapping[str, Any] | None = None


# --- the simulated exchange --------------------------------------------------------------------


@dataclass(frozen=True)
class _SimMarket:
    """A market that moves by itself, a step every PATH_SECONDS of its own time."""

    suite: TradingSuite

    async def move(self, price: float) -> None:
        context = next(iter(self.suite.values()))
        await self.settle(lambda: context.data.last_quote.bid == price)

    async def settle(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(2 * PATH_SECONDS):
            while not condition():  # noqa: ASYNC110 - any condition, in virtual time
                await asyncio.sleep(0.05)


def play_on_sim(cases: Sequence[Case], broker: type[SimBroker] = SimBroker) -> dict[int, str]:
    """Play each case on a tape of its own. Returns what went wrong, by number."""
    failures = {}
    for case in cases:
        try:
            run(_sim_case(case, broker))
        except FAILED as failure:
            failures[case.number] = f"{type(failure).__name__}: {failure}"
    return failures


async def _sim_case(case: Case, make: type[SimBroker]) -> None:
    spec = replace(find(load_catalog(), "MNQ"), calendar="24/7")
    base, lines = 84_000, []
    for index, steps in enumerate((0.0, *case.path)):
        bid = base + round(steps * 4)
        lines.append(f"{index * PATH_SECONDS * 10**9} 50x{bid} {bid + 1}x50")
    lines.append(f"{40 * PATH_SECONDS * 10**9} 50x{base} {base + 1}x50")
    tape = tape_of(lines, symbol="MNQ")
    settings = SimulationConfig(entry_latency_ms=5, response_latency_ms=5)
    broker = make(BrokerSpec((spec,), (tape,), settings, AccountConfig()), [tape])
    async with await TradingSuite.create("MNQ", broker=broker, risk=case.rules) as suite:
        stage = Stage(suite, _SimMarket(suite), 21_000.0, 1)
        stage.begin(case.path)
        await case.play(stage)


# --- local venues ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Venue:
    """A live adapter and the local venue that it trades on."""

    name: str
    symbol: str
    base: float
    lot: float
    serve: Callable[[], AbstractContextManager[Any]]
    broker: Callable[[Any], Broker]


@dataclass(frozen=True)
class _LiveMarket:
    """A market that is moved by the venue's control port."""

    venue: Controlled
    symbol: str

    async def move(self, price: float) -> None:
        await asyncio.to_thread(self.venue.price, price, self.symbol)

    async def settle(self, condition: Callable[[], bool]) -> None:
        await adapter.until(condition, SETTLE_SECONDS)


LIVE = {
    "hyperliquid": Venue(
        "hyperliquid", "ETH", 3_000.0, 0.1, local_venue.local_venue, adapter.live_broker
    ),
    "projectx": Venue(
        *("projectx", "MNQ", 21_000.0, 1, local_gateway.local_gateway),
        projectx_adapter.live_broker,
    ),
}
"""By name. A new adapter joins with one line here, and its table in broker_api/capabilities.py."""


def play_live(venue: Venue, cases: Sequence[Case]) -> dict[int, str]:
    """Play every case on one local venue. Returns what went wrong, by number."""
    with venue.serve() as server:
        return asyncio.run(_live_cases(venue, server, cases))


async def _live_cases(venue: Venue, server: Any, cases: Sequence[Case]) -> dict[int, str]:
    failures: dict[int, str] = {}
    plain = [case for case in cases if case.rules is None]
    for group in (plain, *([case] for case in cases if case.rules is not None)):
        if not group:
            continue
        async with _live_stage(venue, server, group[0].rules) as stage:
            for case in group:
                try:
                    stage.begin(case.path)
                    await case.play(stage)
                except FAILED as failure:
                    failures[case.number] = f"{type(failure).__name__}: {failure}"
                await stage.clear()
    return failures


@asynccontextmanager
async def _live_stage(
    venue: Venue, server: Any, rules: Mapping[str, Any] | None
) -> AsyncIterator[Stage]:
    suite = await TradingSuite.create([venue.symbol], broker=venue.broker(server), risk=rules)
    async with suite:
        market = _LiveMarket(server, venue.symbol)
        yield Stage(suite, market, venue.base, venue.lot)


def capabilities_of(name: str) -> Capabilities:
    """What a venue has."""
    return VENUES[name]
