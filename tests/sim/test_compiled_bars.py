"""Compiled strategies that are told bars make the same run as handlers of bars in Python."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from broker_api.catalog import load_catalog
from broker_api.config import SimulationConfig
from broker_api.errors import ConfigurationError
from data.tape import Tape, tape_from_frame
from papertape import TradingSuite, compiled
from sim.bar_order import BarOrder
from tests.sim.compiled_session import mnq_tape, play
from tests.sim.random_tape import START_NS
from tests.sim.test_compiled import assert_same

MINUTE = 60_000_000_000
Strategy = Callable[[TradingSuite], Awaitable[object]]


def bars_tape(count: int = 3_000) -> Tape:
    """One-minute bars whose ranges often hold both exits of a bracket."""
    random = Random(5)
    price, rows = 80_000, []
    for number in range(count):
        opened = price
        high = opened + random.randrange(0, 40)
        low = opened - random.randrange(0, 40)
        price = random.randint(low, high)
        rows.append((START_NS // MINUTE * MINUTE + number * MINUTE, opened, high, low, price))
    names = ("open", "high", "low", "close")
    frame = {"ts": [row[0] for row in rows]}
    frame |= {name: [row[place] / 4 for row in rows] for place, name in enumerate(names, 1)}
    frame["volume"] = [random.randrange(1, 500) for _ in rows]
    return tape_from_frame(pa.table(frame), load_catalog()["MNQ"])


BARS = bars_tape()
TICKS = mnq_tape(12_000, gaps_ms=(0, 1_000, 9_000))


@compiled.strategy(state={"seen": int, "total": int, "entry": int, "rest": int})
def swings(ctx: Any, me: Any) -> None:
    me.seen += 1
    me.total += ctx.high - ctx.low + ctx.volume_lots + ctx.bar_start_ns % 7 + ctx.bid % 3
    if me.rest and compiled.is_working(ctx, me.rest):
        compiled.cancel(ctx, me.rest)
    me.rest = 0
    held = compiled.position_lots(ctx)
    if held == 0 and me.seen % 3 == 0:
        side = 0 if ctx.close > ctx.open else 1
        me.entry = compiled.place_bracket(ctx, side, 1 + me.total % 3, 12, 20)
    elif me.seen % 5 == 0:
        me.rest = compiled.place_limit(ctx, me.seen % 2, 2, ctx.close)
    elif me.seen % 7 == 0:
        compiled.place_stop(ctx, 0, 1, ctx.high + 2)


async def through(suite: TradingSuite) -> None:
    await suite.run_compiled("MNQ", swings, bars="1min")


async def told(suite: TradingSuite) -> None:
    """The same in Python."""
    mnq, spec = suite["MNQ"], suite["MNQ"].instrument_info
    orders, held = mnq.orders.nowait, mnq.positions.net_size
    seen = total = rest = 0

    def bar(item: Any) -> None:
        nonlocal seen, total, rest
        seen += 1
        opened, high, low, close = map(
            spec.price_to_ticks, (item.open, item.high, item.low, item.close)
        )
        quote = mnq.data.last_quote
        assert quote is not None
        bid = 0 if quote.bid is None else spec.price_to_ticks(quote.bid)
        total += high - low + int(item.volume) + item.ts_ns % 7 + bid % 3
        if rest and orders.is_working(rest):
            orders.cancel_order(rest)
        rest = 0
        if held() == 0 and seen % 3 == 0:
            side = 0 if close > opened else 1
            size = 1 + total % 3
            orders.place_bracket_order("MNQ", side, size, stop_ticks=12, target_ticks=20)
        elif seen % 5 == 0:
            rest = orders.place_limit_order("MNQ", seen % 2, 2, item.close)
        elif seen % 7 == 0:
            orders.place_stop_order("MNQ", 0, 1, item.high + 0.5)

    await mnq.data.on_bar("1min", bar)


SETTINGS: list[dict[str, Any]] = [
    {},
    {"bar_path": "pessimistic"},
    {"bar_path": "olhc"},
    {"entry_latency_ms": 0, "response_latency_ms": 0},
    {"entry_latency_ms": 90_000, "response_latency_ms": 70_000},
    {"feed_latency_ms": 40_000},
    {"visit_every_row": True},
    {"margin": True},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=repr)
@pytest.mark.parametrize("tape", [BARS, TICKS], ids=["bars", "ticks"])
def test_a_strategy_of_bars_is_the_same_run_in_both_tiers(
    tape: Tape, settings: dict[str, Any]
) -> None:
    config = {"max_concurrent_orders": 10_000}
    compiled_run = play(through, tape=tape, manager=config, **settings)
    python_run = play(told, tape=tape, manager=config, **settings)
    assert_same(compiled_run, python_run, least=300)
    assert compiled_run.session.counters[0].fills > 50


def test_bars_begin_where_the_run_begins_and_end_with_it() -> None:
    @compiled.strategy(state={"count": int, "first": int, "last": int})
    def counts(ctx: Any, me: Any) -> None:
        me.count += 1
        if me.count == 1:
            compiled.place_market(ctx, 0, 1)
        if ctx.bar_start_ns % (60 * 60_000_000_000) == 0:
            compiled.place_market(ctx, me.count % 2, 1)

    async def hours(suite: TradingSuite) -> None:
        start_ns = suite.clock.now_ns()
        await suite.run_compiled("MNQ", counts, bars="5min", until_ns=start_ns + 61 * MINUTE)
        assert suite.clock.now_ns() == start_ns + 61 * MINUTE

    suite = play(hours, tape=BARS)
    sent = [each.ts_ns for each in suite.session.journal.recorded_commands()]
    assert sent[0] == START_NS // (5 * MINUTE) * 5 * MINUTE + 5 * MINUTE
    assert all(ts_ns % (5 * MINUTE) == 0 for ts_ns in sent)
    assert sent[-1] - sent[0] <= 61 * MINUTE


@pytest.mark.parametrize(
    ("bars", "text"), [(None, 'bars="1min"'), (90, "not a whole number of the tape's bars")]
)
def test_a_tape_of_bars_wants_bars_of_its_length(bars: Any, text: str) -> None:
    async def strategy(suite: TradingSuite) -> None:
        await suite.run_compiled("MNQ", swings, bars=bars)

    with pytest.raises(ConfigurationError, match=text):
        play(strategy, tape=BARS)


def test_a_strategy_may_keep_an_array() -> None:
    @compiled.strategy(state={"closes": (int, 4), "means": (float, 2), "seen": int, "total": int})
    def averages(ctx: Any, me: Any) -> None:
        me.total += ctx.close - me.closes[me.seen % 4]
        me.closes[me.seen % 4] = ctx.close
        me.seen += 1
        me.means[me.seen % 2] = me.total / 4
        if me.seen > 4 and me.means[me.seen % 2] > me.means[1 - me.seen % 2]:
            compiled.place_limit(ctx, 0, 1, me.total // 4)

    async def strategy(suite: TradingSuite) -> None:
        await suite.run_compiled("MNQ", averages, bars="1min", until_ns=START_NS + 40 * MINUTE)

    suite = play(strategy, tape=BARS)
    closes = BARS.columns.px[3::4].tolist()
    sums = [sum(closes[at - 3 : at + 1]) for at in range(3, 45)]
    wanted = [now // 4 for before, now in itertools.pairwise(sums) if now > before]
    sent = [each.command for each in suite.session.journal.recorded_commands()]
    assert [order.limit_ticks for order in sent] == wanted[: len(sent)]
    assert len(sent) > 5


def test_a_name_that_records_have_themselves_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'sum': records have a sum already"):
        compiled.strategy(state={"sum": int})


@pytest.mark.parametrize("given", [(int, 0), (int,), (str, 3), (int, 1 << 17), (int, 2.5)])
def test_an_array_of_something_else_is_refused(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="is no array"):
        compiled.strategy(state={"closes": given})


def test_a_run_has_bars_of_its_own_as_long_as_somebody_looks_at_them() -> None:
    tape, settings = bars_tape(10), SimulationConfig()
    one, other = BarOrder(tape, settings), BarOrder(tape, settings)
    assert not np.shares_memory(one.paths.px, other.paths.px)
    place, told = one.paths.px.ctypes.data, one.tape.columns.bid
    del one
    third = BarOrder(tape, settings)
    assert not np.shares_memory(third.paths.bid, told)
    del told
    assert BarOrder(tape, settings).paths.px.ctypes.data == place
    assert not np.shares_memory(third.paths.px, other.paths.px)


def test_a_run_on_the_bars_of_the_run_before_is_the_same_run() -> None:
    tape, fresh = bars_tape(400), {}
    for path in ("adaptive", "pessimistic"):
        suite = play(through, tape=bars_tape(400), bar_path=path)
        fresh[path] = suite.session.journal.digest()
    for path in ("adaptive", "pessimistic", "adaptive"):
        suite = play(through, tape=tape, bar_path=path)
        assert suite.session.journal.digest() == fresh[path]
        del suite
        gc.collect()
    assert len(set(fresh.values())) == 2
