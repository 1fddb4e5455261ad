"""Venues as tests that are the same for all of them see them: what is traded, and how."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from broker_api.broker import Broker
from broker_api.live.keeper import Keeper
from broker_api.suite import TradingSuite
from tests.venues import adapter, projectx_adapter
from tests.venues.controlled import Controlled
from tests.venues.local_gateway import local_gateway
from tests.venues.local_venue import local_venue


@dataclass(frozen=True)
class Arena:
    """One venue: an instrument that stands at `price`, and the adapter on it.

    `size` makes a size of a number from 5 to 60; `turns` are the terms of `examples/turns.py`.
    `venue` takes sources and settings of the simulation; its accounts have `cash`. `names_at_work`
    are the client's ids of the account's working orders as the venue has them, `fills_there` sizes
    and prices of its executions.
    """

    name: str
    symbol: str
    price: int
    size: Callable[[int], float]
    has_post_only: bool
    has_ioc: bool
    cash: int
    turns: dict[str, float]
    venue: Callable[..., AbstractContextManager[Any]]
    broker: Callable[..., Broker]
    broker_of: Callable[[TradingSuite], Any]
    assert_books_agree: Callable[[TradingSuite, Any], Awaitable[None]]
    names_at_work: Callable[[TradingSuite, Any], Iterable[str | None]]
    fills_there: Callable[[TradingSuite, Any], Iterable[tuple[Decimal, Decimal]]]
    chaos_settings: dict[str, Any]
    calm_settings: dict[str, Any]

    def keeper_of(self, suite: TradingSuite) -> Keeper:
        """The adapter's keeper of a session."""
        keeper: Keeper = self.broker_of(suite).live.keeper
        return keeper


def _cloids(suite: TradingSuite, venue: Any) -> Iterable[str | None]:
    user = venue.engine.users[adapter.broker_of(suite).account]
    return [record.cloid for record in user.open.values()]


def _tags(suite: TradingSuite, venue: Controlled) -> Iterable[str | None]:
    account = projectx_adapter.broker_of(suite).live.account.id
    return [
        record.tag
        for record in venue.server.runner.engine.orders.values()
        if record.account.id == account and not record.status.is_final
    ]


def _sizes(suite: TradingSuite, venue: Any) -> Iterable[tuple[Decimal, Decimal]]:
    user = venue.engine.users[adapter.broker_of(suite).account]
    return [(fill.size, fill.price) for fill in user.fills]


def _lots(suite: TradingSuite, venue: Controlled) -> Iterable[tuple[Decimal, Decimal]]:
    number = projectx_adapter.broker_of(suite).live.account.id
    accounts = venue.server.runner.engine.accounts
    (account,) = [each for each in accounts if each.id == number]
    return [(Decimal(trade.size), trade.price) for trade in account.trades]


def _perpetuals(sources: Any = None, **simulation: Any) -> AbstractContextManager[Any]:
    return local_venue(sources, cash=100_000, **simulation)


HYPERLIQUID = Arena(
    name="hyperliquid",
    symbol="ETH",
    price=3_000,
    size=lambda number: number / 1000,
    has_post_only=True,
    has_ioc=True,
    cash=100_000,
    turns={"size": 0.05, "stop": 1.0, "target": 1.5},
    venue=_perpetuals,
    broker=adapter.live_broker,
    broker_of=adapter.broker_of,
    assert_books_agree=adapter.assert_books_agree,
    names_at_work=_cloids,
    fills_there=_sizes,
    chaos_settings={
        "answer_seconds": 10.0,
        "valid_seconds": 1.0,
        "grace_seconds": 0.3,
        "reconcile_seconds": 3.0,
        "settle_seconds": 0.1,
        "wait_max_seconds": 3.0,
        "candle_history": 0,
    },
    calm_settings={"candle_history": 0, "reconcile_seconds": 600},
)
PROJECTX = Arena(
    name="projectx",
    symbol="MNQ",
    price=21_000,
    size=lambda number: number // 5,
    has_post_only=False,
    has_ioc=False,
    cash=50_000,
    turns={"size": 2, "stop": 2.0, "target": 3.0},
    venue=local_gateway,
    broker=projectx_adapter.live_broker,
    broker_of=projectx_adapter.broker_of,
    assert_books_agree=projectx_adapter.assert_books_agree,
    names_at_work=_tags,
    fills_there=_lots,
    chaos_settings={
        "answer_seconds": 10.0,
        "arrival_seconds": 1.0,
        "reconcile_seconds": 3.0,
        "settle_seconds": 0.1,
        "wait_max_seconds": 3.0,
        "bar_history": 0,
    },
    calm_settings={"bar_history": 0, "reconcile_seconds": 600},
)
ARENAS = {each.name: each for each in (HYPERLIQUID, PROJECTX)}
