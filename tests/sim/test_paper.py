"""A market that is going on gives the session what the same market gives as a tape."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from broker_api.catalog import find, load_catalog
from broker_api.config import SimulationConfig
from broker_api.errors import ConfigurationError, TradingError
from broker_api.suite import TradingSuite
from data.kept import kept_tape
from data.schema import RowKind, TapeColumns
from data.tape import Tape, sample_path
from sim.inbox import Inbox
from sim.incoming import LiveTape
from sim.loop import run
from sim.replay_feed import FullSpeed, ReplaySource, growing_like

CATALOG = load_catalog()
ROWS = 30_000
DRAWN = {
    "feed_latency_ms": {"min_ms": 1, "max_ms": 80},
    "entry_latency_ms": {"min_ms": 1, "max_ms": 300},
    "response_latency_ms": {"min_ms": 0, "max_ms": 40},
}


def sample(symbol: str, rows: int = ROWS) -> Tape:
    """The first rows of a sample."""
    path = sample_path(symbol)
    assert path is not None
    whole = kept_tape(path, find(CATALOG, symbol))
    columns = TapeColumns._make(np.ascontiguousarray(each[:rows]) for each in whole.columns)
    return Tape(columns, symbol, "memory", "", whole.bbo_after_trade)


def going_on(tapes: dict[str, Tape], rows: Callable[[], int]) -> dict[str, LiveTape]:
    """The same tapes as a market that is going on, so many rows at once."""
    source = ReplaySource(list(tapes.values()))
    growing = [growing_like(tape) for tape in tapes.values()]
    inbox = Inbox(growing, source, FullSpeed(source, rows))
    return {symbol: LiveTape(inbox, symbol) for symbol in tapes}


async def busy(suite: TradingSuite, told: list[Any]) -> None:
    """Trade on bars, ticks, timers and events at once, and note what was told and when."""
    market = next(iter(suite.values()))
    orders, symbol, seen = market.orders, market.symbol, [0, 0]

    def on_tick(ts_ns: int, bid: float, ask: float) -> None:
        seen[0] += 1
        if seen[0] % 1000 == 0:
            told.append((ts_ns, bid, ask))
            side = seen[0] // 1000 % 2
            orders.nowait.place_limit_order(symbol, side=side, size=1, limit_price=(bid, ask)[side])

    async def on_bar(bar: Any) -> None:
        seen[1] += 1
        told.append((suite.clock.now_ns(), *bar))
        if seen[1] % 3 == 0:
            tick = float(market.instrument_info.tick_size)
            await orders.place_bracket_order(
                symbol, side=seen[1] % 2, size=1, stop_offset=12 * tick, target_offset=20 * tick
            )

    async def on_fill(event: Any) -> None:
        told.append((suite.clock.now_ns(), event.order_id, event.fill_price))

    await suite.on("bar", on_bar, timeframe="30s")
    await suite.on("tick", on_tick)
    await suite.on("fill", on_fill)
    while True:
        await suite.clock.sleep(13.7)
        told.append((suite.clock.now_ns(), suite.account.equity))
        await orders.cancel_all_orders()


def played(tapes: dict[str, Any], simulation: SimulationConfig) -> tuple[str, list[Any]]:
    """The digest, and all that the strategy was told."""
    suites: list[TradingSuite] = []
    told: list[Any] = []

    async def main() -> None:
        suite = await TradingSuite.create(list(tapes), tape=tapes, simulation=simulation)
        suites.append(suite)
        try:
            await busy(suite, told)
        finally:
            await suite.disconnect()

    run(main())
    return suites[0].session.journal.digest(), told


@pytest.mark.parametrize("symbols", [("MNQ",), ("MNQ", "ES")])
@pytest.mark.parametrize("settings", [{}, DRAWN], ids=["constant", "drawn"])
def test_however_the_rows_come_in_the_session_is_the_same(
    symbols: tuple[str, ...], settings: dict[str, Any]
) -> None:
    tapes = {symbol: sample(symbol) for symbol in symbols}
    simulation = SimulationConfig(**settings)
    expected = played(tapes, simulation)
    assert len(expected[1]) > 100
    draw = random.Random(len(symbols))
    for rows in (lambda: ROWS, lambda: 777, lambda: draw.choice([1, 2, 30, 1_000])):
        assert played(going_on(tapes, rows), simulation) == expected


def test_a_session_on_a_perpetual_with_marks_and_funding_is_the_same() -> None:
    from sim.venues.sources import marked

    tapes = {"ETH": marked(sample("ETH", 20_000), find(CATALOG, "ETH"))}
    assert tapes["ETH"].has_marks
    assert int(np.count_nonzero(tapes["ETH"].columns.kind == RowKind.MARK)) > 10
    simulation = SimulationConfig()
    expected = played(tapes, simulation)
    draw = random.Random(5)
    assert played(going_on(tapes, lambda: draw.choice([1, 9, 500])), simulation) == expected


def test_a_second_session_on_a_market_that_goes_on_is_refused() -> None:
    async def main() -> None:
        tapes: Any = going_on({"MNQ": sample("MNQ", 100)}, lambda: 10)
        first = await TradingSuite.create(["MNQ"], tape=tapes)
        await first.disconnect()
        with pytest.raises(TradingError):
            await TradingSuite.create(["MNQ"], tape=tapes)

    run(main())


def test_waiting_for_an_opening_that_nobody_knows_is_refused() -> None:
    async def main() -> None:
        tapes: Any = going_on({"MNQ": sample("MNQ", 100)}, lambda: 10)
        with pytest.raises(ConfigurationError, match="when_closed"):
            await TradingSuite.create(["MNQ"], tape=tapes, simulation={"when_closed": "queue"})

    run(main())
