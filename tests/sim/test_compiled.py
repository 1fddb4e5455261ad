"""Compiled strategies make the same run as the other tiers, event for event."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import numba
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
from broker_api.event import Reason
from papertape import TradingSuite, compiled
from sim.broker import SimBroker
from sim.compiled import CompiledStrategy
from sim.replay import Recording, replay
from tests.sim.compiled_session import TAPE, Tick, mnq_tape, play, through, told
from tests.sim.random_tape import MS, START_NS


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
    tape = mnq_tape(gaps_ms=(5, 40))
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


def test_a_market_that_closes_on_the_way_is_the_same_run_in_both_tiers() -> None:
    closes_ns = START_NS + 12 * 3_600_000 * MS  # 16:00 in Chicago
    tape = mnq_tape(start_ns=closes_ns - 30_000 * MS)
    mine = play(through(maker, every=20), tape=tape)
    assert_same(mine, play(told(maker_tick), tape=tape), least=300)
    reasons = {record.reason for record in mine.session.ledger.orders.values()}
    assert Reason.MARKET_CLOSED in reasons


# --- brackets, changes, refusals ----------------------------------------------------------------


@compiled.strategy(state={"seen": 0, "entry": 0})
def bracketed(ctx: Any, me: Any) -> None:
    me.seen += 1
    if me.seen % 50 != 0 or ctx.bid_lots == 0 or ctx.ask_lots == 0:
        return
    if compiled.position_lots(ctx) != 0:
        stop = me.entry + 1
        if me.seen % 200 == 0 and compiled.is_working(ctx, stop):
            compiled.modify(ctx, stop, compiled.KEEP, compiled.KEEP, ctx.bid - 3)
        return
    if compiled.is_working(ctx, me.entry):
        if compiled.filled_lots(ctx, me.entry) == 0:
            compiled.cancel(ctx, me.entry)
    elif me.seen % 100 == 0:
        me.entry = compiled.place_bracket(ctx, 0, 2, 5, 4)
    else:
        me.entry = compiled.place_limit_bracket(ctx, 0, 2, ctx.bid - 1, 6, 0)


def bracketed_tick(suite: TradingSuite) -> Tick:
    context, session = suite["MNQ"], suite.session
    orders = context.orders.nowait
    spec = context.instrument_info
    seen = entry = 0

    def tick(bid: float, ask: float) -> None:
        nonlocal seen, entry
        seen += 1
        if seen % 50 != 0 or bid != bid or ask != ask:
            return
        working = session.ledger.working
        if context.positions.net_size() != 0:
            if seen % 200 == 0 and entry + 1 in working:
                orders.modify_order(entry + 1, stop_price=bid - 3 * float(spec.tick_size))
        elif entry in working:
            if working[entry].filled_lots == 0:
                orders.cancel_order(entry)
        elif seen % 100 == 0:
            entry = orders.place_bracket_order("MNQ", 0, 2, stop_ticks=5, target_ticks=4)[0]
        else:
            limit = bid - float(spec.tick_size)
            entry = orders.place_bracket_order("MNQ", 0, 2, limit, stop_ticks=6)[0]

    return tick


@each_setting
def test_a_strategy_of_brackets_is_the_same_run_in_both_tiers(settings: dict[str, Any]) -> None:
    mine = play(through(bracketed), **settings)
    assert_same(mine, play(told(bracketed_tick), **settings), least=150)
    kinds = {type(each.command).__name__ for each in mine.session.journal.recorded_commands()}
    assert {"BracketRequest", "ReplaceRequest"} <= kinds


def failing(verb: Callable[[Any], object]) -> CompiledStrategy:
    """A strategy that does something at its sixtieth row that it may not."""
    helper = numba.njit(verb)

    @compiled.strategy(state={"seen": 0})
    def fails(ctx: Any, me: Any) -> None:
        me.seen += 1
        if me.seen == 20:
            compiled.place_limit(ctx, 0, 1, ctx.bid - 40)
        if me.seen == 60:
            helper(ctx)

    return fails


def nothing(ctx: Any) -> None:
    raise ValueError("no such day")


def too_many(ctx: Any) -> None:
    for _ in range(10_001):
        compiled.cancel(ctx, 1)


REFUSED: list[tuple[Callable[[Any], object], type[Exception], str]] = [
    (lambda ctx: compiled.cancel(ctx, 7), OrderNotFoundError, "order 7 is not of this session"),
    (lambda ctx: compiled.modify(ctx, 1, 1, compiled.KEEP, 5), InvalidOrderError, "no stop"),
    (lambda ctx: compiled.place_market(ctx, 2, 1), InvalidOrderError, "side 2 is not a side"),
    (lambda ctx: compiled.place_bracket(ctx, 0, 1, 0, 0), InvalidOrderError, "needs a stop or"),
    (lambda ctx: compiled.place_bracket(ctx, 0, 1, -1, 0), InvalidOrderError, "offset of -1"),
    (lambda ctx: compiled.place_limit(ctx, 0, 1, 1 << 50), InvalidOrderError, "ticks is beyond"),
    (too_many, RunawayStrategy, "more than 10000 commands"),
    (nothing, StrategyError, "fails: no such day"),
]


@pytest.mark.parametrize(("verb", "error", "text"), REFUSED)
def test_what_is_refused_ends_the_run_and_keeps_what_was_sent(
    verb: Callable[[Any], object], error: type[Exception], text: str
) -> None:
    sessions: list[TradingSuite] = []

    async def strategy(suite: TradingSuite) -> None:
        sessions.append(suite)
        await suite.run_compiled("MNQ", failing(verb))

    with pytest.raises(error, match=text):
        play(strategy)
    session = sessions[0].session
    assert session.journal.recorded_commands()[0].ts_ns < session.clock.now_ns()
    assert list(session.ledger.working) == [1]


def test_a_price_between_two_ticks_is_refused() -> None:
    between = failing(lambda ctx: compiled.place_limit(ctx, 0, 1, 80_000.5))
    with pytest.raises((StrategyError, ConfigurationError), match=r"or_|bitwise_or"):
        play(through(between))


def test_one_working_order_too_many_is_refused_and_counted_as_denied() -> None:
    @compiled.strategy(state={"seen": 0})
    def many(ctx: Any, me: Any) -> None:
        me.seen += 1
        if me.seen % 10 == 0:
            compiled.place_limit(ctx, 0, 1, ctx.bid - 40)

    sessions: list[TradingSuite] = []

    async def strategy(suite: TradingSuite) -> None:
        sessions.append(suite)
        await suite.run_compiled("MNQ", many)

    with pytest.raises(RiskLimitError, match="3"):
        play(strategy, manager={"max_concurrent_orders": 3})
    counters = sessions[0].session.counters[0]
    assert (counters.sent, counters.denied) == (3, 1)


def test_a_cancel_of_an_order_that_ended_says_how_it_ended() -> None:
    @compiled.strategy(state={"seen": 0})
    def late(ctx: Any, me: Any) -> None:
        me.seen += 1
        if me.seen == 20:
            compiled.place_market(ctx, 0, 1)
        if me.seen == 60:
            compiled.cancel(ctx, 1)

    with pytest.raises(OrderNotActiveError, match="order 1 is not active: it is filled"):
        play(through(late))


# --- beside the rest of a session ---------------------------------------------------------------


def test_the_session_goes_on_where_a_run_ended_and_knows_its_orders() -> None:
    until_ns = START_NS + 20_000 * MS
    found: dict[str, Any] = {}

    async def strategy(suite: TradingSuite) -> None:
        orders = suite["MNQ"].orders
        first = await orders.place_limit_order("MNQ", 0, 1, 19_000.0)
        await suite.run_compiled("MNQ", cross, until_ns=until_ns)
        found["now"] = suite.clock.now_ns()
        ids = [order.order_id for order in await orders.get_orders()]
        found["ids"] = ids
        found["next"] = (await orders.place_limit_order("MNQ", 0, 1, 19_000.0)).order_id
        await orders.cancel_order(first)
        await suite.run_compiled("MNQ", cross)

    suite = play(strategy)
    assert found["now"] == until_ns
    assert found["ids"] == list(range(1, len(found["ids"]) + 1))
    assert found["next"] == len(found["ids"]) + 1
    assert suite.clock.now_ns() == TAPE.end_ns
    assert len(suite.session.ledger.orders) > 2 * found["next"]


def test_other_tasks_see_the_books_as_of_their_time_and_may_not_send_meanwhile() -> None:
    looks: list[tuple[int, int]] = []

    async def strategy(suite: TradingSuite) -> None:
        async def look() -> None:
            for _ in range(5):
                await suite.clock.sleep(5)
                looks.append((suite.clock.now_ns(), len(suite.session.journal)))
            with pytest.raises(ConfigurationError, match="nothing else may send or"):
                await suite["MNQ"].orders.place_market_order("MNQ", 0, 1)
            with pytest.raises(ConfigurationError, match="nothing else may send or listen"):
                await suite["MNQ"].data.on_tick(lambda bid: None)

        task = asyncio.ensure_future(look())
        await suite.run_compiled("MNQ", maker, every=20)
        await task

    events = play(strategy).session.journal.events()
    came = events["ts_ns"] + MS
    for now_ns, count in looks:
        assert count == np.searchsorted(came, now_ns, side="right")
    assert looks[-1][1] > looks[0][1] > 0


def test_a_compiled_run_is_replayed_from_its_journal() -> None:
    suite = play(through(maker, every=20))
    broker = suite.session.broker
    assert isinstance(broker, SimBroker)
    recording = Recording(
        broker.spec.instruments,
        broker.tapes,
        broker.spec.simulation,
        broker.spec.account,
        suite.session.started_ns,
        suite.session.ended_ns or 0,
        tuple(suite.session.journal.recorded_commands()),
        suite.session.journal.events(),
    )
    assert len(replay(recording, recording.exchange())) == len(suite.session.journal)


UNSUPPORTED: list[tuple[dict[str, Any], str]] = [
    ({"entry_latency_ms": {"min_ms": 1, "max_ms": 2}}, "simulation.entry_latency_ms"),
    ({"feed_latency_ms": {"min_ms": 1, "max_ms": 2}}, "simulation.feed_latency_ms"),
    ({"when_closed": "queue"}, "simulation.when_closed"),
    ({"risk": {"max_position_size": 3}}, "max_position_size"),
]


@pytest.mark.parametrize(("settings", "text"), UNSUPPORTED)
def test_settings_that_would_make_another_run_are_refused(
    settings: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConfigurationError, match=text):
        play(through(cross), **settings)


def test_handlers_beside_a_compiled_strategy_are_refused() -> None:
    async def strategy(suite: TradingSuite) -> None:
        await suite["MNQ"].orders.on_fill(lambda fill: None)
        await suite.run_compiled("MNQ", cross)

    with pytest.raises(ConfigurationError, match="runs alone"):
        play(strategy)


def test_parameters_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="cross has no parameter 'fats'; did you mean"):
        play(through(cross, fats=3))
    with pytest.raises(ConfigurationError, match=r"parameter every: 2\.5 is not a whole number"):
        play(through(maker, every=2.5))
    with pytest.raises(ConfigurationError, match="state 'name'"):
        compiled.strategy(state={"name": "text"})
    with pytest.raises(ConfigurationError, match="is no compiled strategy"):
        play(through(print))  # type: ignore[arg-type]
