"""Sessions of compiled strategies and of their twins in Python, on a tape of MNQ in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from data.tape import Tape
from papertape import TradingSuite, run
from sim.compiled import CompiledStrategy
from tests.sim.random_tape import make_tape

ROWS = 4_000
Tick = Callable[..., object]


def mnq_tape(rows: int = ROWS, **shape: Any) -> Tape:
    """A random tape of MNQ, see `random_tape.make_tape`."""
    return make_tape("MNQ", 80_000, rows, **shape)


TAPE = mnq_tape()


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
