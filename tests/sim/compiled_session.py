"""Sessions of compiled strategies and of their twins in Python, on a tape of MNQ in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from data.schema import COLUMN_TYPES, RowKind, TapeColumns
from data.tape import Tape
from papertape import TradingSuite, run
from sim.compiled import CompiledStrategy

MS = 1_000_000
START_NS = 1_704_189_600_000_000_000
ROWS = 4_000
Tick = Callable[..., object]


def make_tape(
    seed: int = 1,
    rows: int = ROWS,
    gaps_ms: tuple[int, ...] = (0, 1, 40),
    start_ns: int = START_NS,
) -> Tape:
    """Quotes and trades on a random walk of MNQ, some of one time, a side now and then empty."""
    rng = np.random.default_rng(seed)
    ts = start_ns + np.cumsum(rng.choice(gaps_ms, rows)) * MS
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
