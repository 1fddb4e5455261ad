"""Compiled strategies make the same run as the other tiers, event for event."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from broker_api.errors import (
    ConfigurationError,
    InvalidOrderError,
    OrderNotActiveError,
    OrderNotFoundError,
    OrderRejectedError,
    RiskLimitError,
    RunawayStrategy,
    StrategyError,
)
from broker_api.order import NO_PRICE
from data.schema import COLUMN_TYPES, RowKind, TapeColumns
from data.tape import Tape
from papertape import TradingSuite, compiled, run
from sim.compiled import CompiledStrategy

MS = 1_000_000
START_NS = 1_704_189_600_000_000_000
ROWS = 4_000
Tick = Callable[..., object]


def make_tape(seed: int = 1, rows: int = ROWS, gaps_ms: tuple[int, ...] = (0, 1, 40)) -> Tape:
    """Quotes and trades on a random walk of MNQ, some of one time, a side now and then empty."""
    rng = np.random.default_rng(seed)
    ts = START_NS + np.cumsum(rng.choice(gaps_ms, rows)) * MS
    kind = np.where(rng.random(rows) < 0.2, RowKind.TRADE, RowKind.QUOTE)
    bid = 80_000 + np.cumsum(rng.choice((-1, 0, 0, 0, 1), rows))
    side = np.where(kind == RowKind.TRADE, rng.choice((-1, 0, 1), rows), 0)
    sizes = rng.integers(1, 30, (3, rows))
    values = {
        "ts": ts,
        "kind": kind,
        "side": side,
        "px": np.where(kind == RowKind.TRADE, np.where(side < 0, bid, bid + 1), 0),
        "qty": np.where(kind == RowKind.TRADE, sizes[0], 0),
        "bid": bid,
        "ask": bid + 1,
        "bid_qty": sizes[1],
        "ask_qty": np.where(rng.random(rows) < 0.01, 0, sizes[2]),
    }
    columns = TapeColumns(*(values[name].astype(t) for name, t in COLUMN_TYPES.items()))
    return Tape(columns, "MNQ", "memory", "", True)


TAPE = make_tape()


def play(strategy: Callable[[TradingSuite], Awaitable[object]], **settings: Any) -> TradingSuite:
    """Run a strategy on the tape until it ends."""
    found: list[TradingSuite] = []

    async def main() -> None:
        async with await TradingSuite.create(
            ["MNQ"],
            tape=settings.pop("tape", TAPE),
            order_manager_config=settings.pop("manager", None),
            risk=settings.pop("risk", None),
            simulation={"margin": False, **settings},
        ) as suite:
            found.append(suite)
            await strategy(suite)
            await suite.clock.sleep(1e6)

    run(main())
    return found[0]


def told(tick: Callable[[TradingSuite], Tick]) -> Callable[[TradingSuite], Awaitable[object]]:
    """A strategy of a handler of ticks."""

    async def strategy(suite: TradingSuite) -> None:
        await suite["MNQ"].data.on_tick(tick(suite))

    return strategy


def through(
    on_tick: CompiledStrategy, **parameters: Any
) -> Callable[[TradingSuite], Awaitable[object]]:
    """A strategy of a compiled function."""

    async def strategy(suite: TradingSuite) -> None:
        await suite.run_compiled("MNQ", on_tick, **parameters)

    return strategy


def assert_same(one: TradingSuite, other: TradingSuite, *, least: int) -> None:
    """Equal events, equal commands with what was known before each, equal books."""
    ours, theirs = one.session.journal, other.session.journal
    assert len(ours) >= least
    assert ours.events().tolist() == theirs.events().tolist()
    assert ours.recorded_commands() == theirs.recorded_commands()
    assert one.account.cash == other.account.cash
    assert one.account.equity == other.account.equity
    counted, same = (each.session.counters[0] for each in (one, other))
    for name in ("sent", "denied", "rejected", "filled", "cancelled", "fills", "fill_ns"):
        assert getattr(counted, name) == getattr(same, name), name
    assert list(one.session.ledger.orders) == list(other.session.ledger.orders)


SETTINGS = [
    {},
    {"entry_latency_ms": 0},
    {"response_latency_ms": 0},
    {"entry_latency_ms": 0, "response_latency_ms": 0},
    {"entry_latency_ms": 130, "response_latency_ms": 75},
    {"feed_latency_ms": 60},
    {"visit_every_row": True},
    {"margin": True},
]
each_setting = pytest.mark.parametrize("settings", SETTINGS, ids=repr)


# --- a cross of two averages -------------------------------------------------------------------


@compiled.strategy(state={"fast": 5.0, "slow": 20.0, "up": 0.0, "down": 0.0, "seen": 0, "was": 0})
def cross(ctx: Any, me: Any) -> None:
    if ctx.trade_lots > 0 or ctx.bid_lots == 0 or ctx.ask_lots == 0:
        return
    mid = (ctx.bid + ctx.ask) / 2
    if me.seen == 0:
        me.up = mid
        me.down = mid
    me.up += (mid - me.up) * 2 / (me.fast + 1)
    me.down += (mid - me.down) * 2 / (me.slow + 1)
    me.seen += 1
    now = 1 if me.up > me.down else -1
    if me.seen > 30 and now != me.was:
        compiled.place_market(ctx, 0 if now > 0 else 1, 1 if me.was == 0 else 2)
        me.was = now


async def answered(order: Awaitable[object]) -> None:
    with suppress(OrderRejectedError):  # an empty side of the book
        await order


def cross_tick(suite: TradingSuite, *, awaited: bool) -> Tick:
    orders = suite["MNQ"].orders
    spec = suite["MNQ"].instrument_info
    up = down = 0.0
    seen = was = 0

    def tick(bid: float, ask: float, size: float) -> Any:
        nonlocal up, down, seen, was
        if size > 0 or bid != bid or ask != ask:
            return None
        mid = (spec.price_to_ticks(bid) + spec.price_to_ticks(ask)) / 2
        if seen == 0:
            up = down = mid
        up += (mid - up) * 2 / 6
        down += (mid - down) * 2 / 21
        seen += 1
        now = 1 if up > down else -1
        if seen > 30 and now != was:
            side, lots = 0 if now > 0 else 1, 1 if was == 0 else 2
            was = now
            if awaited:
                return answered(orders.place_market_order("MNQ", side, lots))
            orders.nowait.place_market_order("MNQ", side, lots)
        return None

    return tick


@each_setting
def test_a_cross_of_averages_is_the_same_run_in_all_tiers(settings: dict[str, Any]) -> None:
    mine = play(through(cross), **settings)
    plain = play(told(lambda suite: cross_tick(suite, awaited=False)), **settings)
    assert_same(mine, plain, least=300)


def test_a_coroutine_that_has_its_answer_before_the_next_row_makes_the_same_run() -> None:
    tape = make_tape(gaps_ms=(5, 40))
    mine = play(through(cross), tape=tape)
    awaiting = play(told(lambda suite: cross_tick(suite, awaited=True)), tape=tape)
    assert_same(mine, awaiting, least=300)


# --- a market maker ----------------------------------------------------------------------------


@compiled.strategy(state={"every": 100, "seen": 0, "buy": 0, "sell": 0})
def maker(ctx: Any, me: Any) -> None:
    me.seen += 1
    if me.seen % me.every != 0:
        return
    if compiled.is_working(ctx, me.buy):
        compiled.cancel(ctx, me.buy)
    if compiled.is_working(ctx, me.sell):
        compiled.cancel(ctx, me.sell)
    position = compiled.position_lots(ctx)
    if position < 10 and ctx.bid_lots > 0:
        me.buy = compiled.place_limit(ctx, 0, 1, ctx.bid)
    if position > -10 and ctx.ask_lots > 0:
        me.sell = compiled.place_limit(ctx, 1, 1, ctx.ask)


def maker_tick(suite: TradingSuite) -> Tick:
    context = suite["MNQ"]
    orders, ledger = context.orders.nowait, suite.session
    resting = {0: 0, 1: 0}
    seen = 0

    def tick(bid: float, ask: float) -> None:
        nonlocal seen
        seen += 1
        if seen % 20 != 0:
            return
        for side in (0, 1):
            if resting[side] in ledger.ledger.working:
                orders.cancel_order(resting[side])
        lots = context.positions.net_size()
        if lots < 10 and bid == bid:
            resting[0] = orders.place_limit_order("MNQ", 0, 1, bid)
        if lots > -10 and ask == ask:
            resting[1] = orders.place_limit_order("MNQ", 1, 1, ask)

    return tick


@each_setting
def test_a_market_maker_is_the_same_run_in_both_tiers(settings: dict[str, Any]) -> None:
    mine = play(through(maker, every=20), **settings)
    plain = play(told(maker_tick), **settings)
    assert_same(mine, plain, least=500)
    assert mine.session.counters[0].fills > 30
