"""Coroutines for every tick: many rows in one task do what one row at a time does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from broker_api.errors import OrderNotActiveError, OrderRejectedError
from papertape import TradingSuite, run
from sim.ticks import Stretch, Ticks
from tests.sim.random_tape import make_tape

TAPE = make_tape("ETH", 25_000, 3_000)
Log = list[tuple[Any, ...]]


def play(strategy: Callable[[TradingSuite, Log], Any], **settings: Any) -> tuple[str, Log]:
    """The digest of a run and what the strategy noted."""
    log: Log = []
    suites: list[TradingSuite] = []

    async def main() -> None:
        async with await TradingSuite.create(
            ["ETH"], tape=TAPE, simulation={"margin": False, **settings}
        ) as suite:
            suites.append(suite)
            await strategy(suite, log)
            await suite.clock.sleep(1e6)

    run(main())
    return suites[0].session.journal.digest(), log


async def busy(suite: TradingSuite, log: Log) -> None:
    """A handler that does everything a coroutine may do, by the number of the row."""
    eth = suite["ETH"]
    bell = asyncio.Event()
    number = 0

    def note(what: str) -> None:
        log.append((what, number, suite.clock.now_ns(), asyncio.get_running_loop().time()))

    async def beside(of: int) -> None:
        note(f"beside {of}")
        await asyncio.sleep(0.003)
        bell.set()
        note(f"rings for {of}")

    async def tick(ts_ns: int, bid: float) -> None:
        nonlocal number
        number += 1
        row = number
        note(f"begins {ts_ns}")
        match number % 61:
            case 7:
                await asyncio.sleep(0)
            case 13:
                await asyncio.sleep(0.002)
            case 17:
                with suppress(OrderRejectedError):
                    await eth.orders.place_limit_order("ETH", number % 2, 0.5, bid)
            case 19:
                await eth.orders.cancel_all_orders()
            case 23:
                with suppress(OrderRejectedError):
                    await eth.orders.place_market_order("ETH", number % 2, 0.5)
            case 29:
                bell.clear()
                task = asyncio.create_task(beside(number))
                await bell.wait()
                await task
            case 31:
                asyncio.get_running_loop().call_later(0.001, note, "timer")
            case 37:
                eth.orders.nowait.place_market_order("ETH", number % 2, 0.5)
            case 41:
                async with asyncio.timeout(0.001):
                    await asyncio.sleep(0)
            case 43:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(asyncio.Event().wait(), 0.004)
        note(f"ends {row}")

    await eth.data.on_tick(tick)


async def with_others(suite: TradingSuite, log: Log) -> None:
    """The same beside a plain handler of quotes, one of trades that awaits, and one of fills."""
    data = suite["ETH"].data

    def quote(item: Any) -> None:
        log.append(("quote", item.ts_ns, suite.clock.now_ns()))

    async def trade(item: Any) -> None:
        log.append(("trade", item.ts_ns, suite.clock.now_ns()))
        if item.ts_ns % 5 == 0:
            await asyncio.sleep(0.001)

    async def fill(item: Any) -> None:
        log.append(("fill", item.ts_ns, suite.clock.now_ns()))
        with suppress(OrderRejectedError, OrderNotActiveError):
            order = await suite["ETH"].orders.place_limit_order("ETH", "buy", 0.5, 900.0)
            await suite["ETH"].orders.cancel_order(order.order_id)

    await data.on_quote(quote)
    await data.on_trade(trade)
    await suite.on("fill", fill)
    await busy(suite, log)


SETTINGS = [{}, {"feed_latency_ms": 3.0}, {"entry_latency_ms": 0, "response_latency_ms": 0}]


@pytest.mark.parametrize("settings", SETTINGS, ids=repr)
@pytest.mark.parametrize("strategy", [busy, with_others])
def test_rows_in_one_task_are_what_one_row_at_a_time_is(
    strategy: Callable[[TradingSuite, Log], Any],
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digest, log = play(strategy, **settings)
    monkeypatch.setattr(Ticks, "direct", property(lambda _self: False))
    one_at_a_time, singly = play(strategy, **settings)
    assert len(singly) > len(TAPE)
    for at, (ours, theirs) in enumerate(zip(log, singly, strict=False)):
        assert ours == theirs, at
    assert len(log) == len(singly)
    assert digest == one_at_a_time


def test_a_quiet_coroutine_needs_one_task_for_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = 0
    rows = 0
    run_in_task = Stretch.run_in_task

    def counted(self: Stretch) -> Any:
        nonlocal tasks
        tasks += 1
        return run_in_task(self)

    async def strategy(suite: TradingSuite, log: Log) -> None:
        async def tick(ts_ns: int) -> None:
            nonlocal rows
            rows += 1

        await suite["ETH"].data.on_tick(tick)

    monkeypatch.setattr(Stretch, "run_in_task", counted)
    play(strategy)
    assert rows > 2_900
    assert tasks == 1


def test_an_exception_ends_the_session_at_its_row_and_may_be_passed_over() -> None:
    async def failing(suite: TradingSuite, log: Log) -> None:
        async def tick(ts_ns: int) -> None:
            log.append((ts_ns,))
            if len(log) % 10 == 0:
                raise ValueError(f"tick {len(log)}")

        await suite["ETH"].data.on_tick(tick)

    with pytest.raises(ValueError, match="tick 10"):
        play(failing)

    async def main() -> tuple[int, int]:
        log: Log = []
        async with await TradingSuite.create(
            ["ETH"], tape=TAPE, simulation={"margin": False, "on_error": "continue"}
        ) as suite:
            await failing(suite, log)
            await suite.clock.sleep(0.5)
            return len(log), len(suite.session.errors)

    found = run(main())
    assert found is not None
    rows, errors = found
    assert rows > 10
    assert errors == rows // 10
