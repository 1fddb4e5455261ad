"""What is measured: the workloads, each on a tape, written as a user of papertape would.

Each returns the run's digest and how many fills it had, so that a faster run which does something
else is noticed. Tapes come from `tapes.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tapes import bars_path, tape_path

from broker_api.catalog import load_catalog
from broker_api.config import SimulationConfig
from broker_api.event import EventKind
from broker_api.instrument import Instrument
from data.tape import Tape, open_tape
from papertape import TradingSuite, compiled, run

SETTINGS = SimulationConfig(margin=False)
ALWAYS_OPEN = Path(__file__).with_name("always_open.toml")


def instrument() -> Instrument:
    """MNQ, always open: the benchmark's tapes know no sessions."""
    return load_catalog(ALWAYS_OPEN)["MNQ"]


@dataclass(frozen=True)
class Outcome:
    """What a run did."""

    digest: str
    events: int
    fills: int
    commands: int


Strategy = Callable[[TradingSuite], Coroutine[Any, Any, None]]


def play(tape: Tape, strategy: Strategy) -> Outcome:
    """One run of a strategy, to the end of the tape."""
    suites: list[TradingSuite] = []

    async def main() -> None:
        suite = await TradingSuite.create(
            ["MNQ"], tape=tape, simulation=SETTINGS, catalog=[ALWAYS_OPEN]
        )
        suites.append(suite)
        try:
            await strategy(suite)
            await suite.clock.sleep(1e9)
        finally:
            await suite.disconnect()

    run(main())
    journal = suites[0].session.journal
    events = journal.events()
    fills = int((events["kind"] == EventKind.FILLED).sum())
    return Outcome(journal.digest(), len(events), fills, journal.command_count)


# --- W1: a callback for every tick that does nothing ---------------------------------------------


async def no_op(suite: TradingSuite) -> None:
    def tick(bid: float, ask: float) -> None:
        pass

    await suite["MNQ"].data.on_tick(tick)


def bare_calls(count: int) -> None:
    """The floor of W1: as many calls of a Python function, from Python."""

    def tick(bid: float, ask: float) -> None:
        pass

    for _ in range(count):
        tick(1.0, 2.0)


# --- W2: a bracket every 10,000 ticks, woken by a timer ------------------------------------------


def brackets(tape: Tape, every: int = 10_000) -> Strategy:
    times = tape.columns.ts[every::every].tolist()

    async def strategy(suite: TradingSuite) -> None:
        mnq = suite["MNQ"]
        for number, due_ns in enumerate(times):
            await suite.clock.sleep(max(0, due_ns - suite.clock.now_ns()) / 1e9)
            quote = mnq.data.last_quote
            assert quote is not None
            side = number % 2
            price = quote.bid - 0.5 if side == 0 else quote.ask + 0.5
            await mnq.orders.place_bracket_order(
                "MNQ", side, 1, entry_price=price, stop_ticks=20, target_ticks=20
            )

    return strategy


# --- W3: EMA(500) and EMA(2000) of every mid, a market order on every cross ----------------------


async def crossing(suite: TradingSuite, fast: int = 500, slow: int = 2000) -> None:
    mnq = suite["MNQ"]
    orders, net_size = mnq.orders.nowait, mnq.positions.net_size
    quick_part, calm_part = 2 / (fast + 1), 2 / (slow + 1)
    quick = calm = 0.0
    is_above = False

    def tick(bid: float, ask: float) -> None:
        nonlocal quick, calm, is_above
        mid = (bid + ask) * 0.5
        if calm == 0.0:
            quick = calm = mid
        quick += (mid - quick) * quick_part
        calm += (mid - calm) * calm_part
        if (quick > calm) is not is_above:
            is_above = not is_above
            orders.place_market_order("MNQ", 0 if is_above else 1, 2 if net_size() else 1)

    await mnq.data.on_tick(tick)


# --- W4: a market maker every 100 ticks ----------------------------------------------------------


async def making(suite: TradingSuite) -> None:
    mnq = suite["MNQ"]
    orders, net_size = mnq.orders.nowait, mnq.positions.net_size
    counted = 0
    resting: list[int] = []

    def tick(bid: float, ask: float) -> None:
        nonlocal counted
        counted += 1
        if counted % 100:
            return
        position = net_size()
        for order_id in resting:
            if orders.is_working(order_id):
                orders.cancel_order(order_id)
        resting.clear()
        if position < 10:
            resting.append(orders.place_limit_order("MNQ", 0, 1, bid))
        if position > -10:
            resting.append(orders.place_limit_order("MNQ", 1, 1, ask))

    await mnq.data.on_tick(tick)


# --- the same two, compiled ----------------------------------------------------------------------


@compiled.strategy(state={"quick": float, "calm": float, "is_above": bool})
def compiled_crossing(ctx, me):  # type: ignore[no-untyped-def]
    mid = (ctx.bid + ctx.ask) * 0.5
    if me.calm == 0.0:
        me.quick = mid
        me.calm = mid
    me.quick += (mid - me.quick) * (2.0 / 501.0)
    me.calm += (mid - me.calm) * (2.0 / 2001.0)
    if (me.quick > me.calm) != me.is_above:
        me.is_above = not me.is_above
        held = compiled.position_lots(ctx)
        compiled.place_market(ctx, 0 if me.is_above else 1, 1 if held == 0 else 2)


@compiled.strategy(
    state={"quick": float, "calm": float, "is_above": bool, "quick_part": float, "calm_part": float}
)
def swept_crossing(ctx, me):  # type: ignore[no-untyped-def]
    mid = (ctx.bid + ctx.ask) * 0.5
    if me.calm == 0.0:
        me.quick = mid
        me.calm = mid
    me.quick += (mid - me.quick) * me.quick_part
    me.calm += (mid - me.calm) * me.calm_part
    if (me.quick > me.calm) != me.is_above:
        me.is_above = not me.is_above
        held = compiled.position_lots(ctx)
        compiled.place_market(ctx, 0 if me.is_above else 1, 1 if held == 0 else 2)


@compiled.strategy(state={"counted": int, "buy": int, "sell": int})
def compiled_making(ctx, me):  # type: ignore[no-untyped-def]
    me.counted += 1
    if me.counted % 100:
        return
    position = compiled.position_lots(ctx)
    if me.buy and compiled.is_working(ctx, me.buy):
        compiled.cancel(ctx, me.buy)
    if me.sell and compiled.is_working(ctx, me.sell):
        compiled.cancel(ctx, me.sell)
    me.buy = 0
    me.sell = 0
    if position < 10:
        me.buy = compiled.place_limit(ctx, 0, 1, ctx.bid)
    if position > -10:
        me.sell = compiled.place_limit(ctx, 1, 1, ctx.ask)


async def crossing_compiled(suite: TradingSuite) -> None:
    await suite.run_compiled("MNQ", compiled_crossing)


async def crossing_swept(suite: TradingSuite, fast: int = 500, slow: int = 2000) -> None:
    parts = {"quick_part": 2 / (fast + 1), "calm_part": 2 / (slow + 1)}
    await suite.run_compiled("MNQ", swept_crossing, **parts)


async def averaging_swept(suite: TradingSuite, fast: int = 10, slow: int = 30) -> None:
    await averaging(suite, fast, slow)
    await suite.clock.sleep(1e9)


async def making_compiled(suite: TradingSuite) -> None:
    await suite.run_compiled("MNQ", compiled_making)


# --- W5: SMA(10) and SMA(30) of one-minute bars, brackets of 10 and 20 points ---------------------


async def averaging(suite: TradingSuite, fast: int = 10, slow: int = 30) -> None:
    mnq = suite["MNQ"]
    orders, net_size = mnq.orders.nowait, mnq.positions.net_size
    closes: list[float] = []
    was_above = False

    def bar(item: Any) -> None:
        nonlocal was_above
        closes.append(item.close)
        if len(closes) < slow:
            return
        if len(closes) > slow:
            del closes[0]
        is_above = sum(closes[-fast:]) / fast > sum(closes) / slow
        if is_above and not was_above and net_size() == 0:
            orders.place_bracket_order("MNQ", 0, 1, stop_offset=10, target_offset=20)
        was_above = is_above

    await mnq.data.on_bar("1min", bar)


@compiled.strategy(
    state={"fast": 10, "slow": 30, "seen": int, "closes": (int, 64), "quick": int, "calm": int,
           "was_above": bool}
)  # fmt: skip
def compiled_averaging(ctx, me):  # type: ignore[no-untyped-def]
    at, slow, fast = me.seen, me.slow, me.fast
    me.calm += ctx.close
    me.quick += ctx.close
    if at >= slow:
        me.calm -= me.closes[(at - slow) % 64]
    if at >= fast:
        me.quick -= me.closes[(at - fast) % 64]
    me.closes[at % 64] = ctx.close
    me.seen = at + 1
    if at + 1 < slow:
        return
    is_above = me.quick * slow > me.calm * fast
    if is_above and not me.was_above and compiled.position_lots(ctx) == 0:
        compiled.place_bracket(ctx, 0, 1, 40, 80)
    me.was_above = is_above


async def averaging_compiled(suite: TradingSuite, fast: int = 10, slow: int = 30) -> None:
    await suite.run_compiled("MNQ", compiled_averaging, bars="1min", fast=fast, slow=slow)


# --- W6 and W6T: 64 combinations of W5, and of W3 compiled ---------------------------------------


def swept(strategy: str, tape: Path, fast: list[int], slow: list[int]) -> Outcome:
    """All combinations, over the processors of the machine."""
    from papertape import sweep  # here: a program that plays W2 once would not import it

    table = sweep(
        f"{__file__}:{strategy}",
        {"fast": fast, "slow": slow},
        tapes={"MNQ": tape},
        simulation=SETTINGS,
        catalog=[ALWAYS_OPEN],
    )
    assert table["error"].isna().all(), table["error"].dropna().iloc[0]
    digest = hashlib.sha256("".join(table["digest"]).encode()).hexdigest()
    return Outcome(digest, len(table), int(table["fills"].sum()), 0)


def swept_bars(strategy: str) -> Outcome:
    return swept(strategy, bars_path(), list(range(5, 21, 2)), list(range(25, 65, 5)))


def swept_ticks(rows: int) -> Outcome:
    fast, slow = list(range(200, 1000, 100)), list(range(1500, 3100, 200))
    return swept("crossing_swept", tape_path(rows), fast, slow)


def ticks_tape(rows: int) -> Tape:
    """The generated ticks, from the cache if they have been converted."""
    return open_tape(tape_path(rows), instrument())


def year_of_bars() -> Tape:
    """A year of one-minute bars, from the cache if they have been converted."""
    return open_tape(bars_path(), instrument())


def first_order(rounds: int) -> Strategy:
    """Orders placed and cancelled as fast as a coroutine can."""

    async def strategy(suite: TradingSuite) -> None:
        mnq = suite["MNQ"]
        quote = mnq.data.last_quote
        assert quote is not None
        for _ in range(rounds):
            order = await mnq.orders.place_limit_order("MNQ", 0, 1, quote.bid - 50)
            await mnq.orders.cancel_order(order.order_id)

    return strategy
