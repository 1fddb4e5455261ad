"""What a coroutine waits for while it is alone comes at once; nobody can tell by what happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from broker_api.errors import OrderError
from papertape import TradingSuite, run
from tests.sim.random_tape import make_tape

TAPE = make_tape("ETH", 4_000, 3_000)
Log = list[tuple[Any, ...]]
Program = Callable[[TradingSuite, Log], Any]


def play(program: Program, *, is_heard: bool, **settings: Any) -> tuple[str, Log, int]:
    """The digest of a run, what the program noted, and how many rounds the event loop made.

    While a handler listens to orders nobody is alone: everything goes through the event loop.
    """
    log: Log = []
    suites: list[TradingSuite] = []
    rounds = 0

    async def main() -> None:
        nonlocal rounds
        async with await TradingSuite.create(
            ["ETH"], tape=TAPE, simulation={"margin": False, **settings}
        ) as suite:
            suites.append(suite)
            if is_heard:
                await suite.orders.on_order_update(lambda event: None)
            loop: Any = asyncio.get_running_loop()
            before = loop.call_soon
            rounds = 0

            def counted(*arguments: Any, **options: Any) -> Any:
                nonlocal rounds
                rounds += 1
                return before(*arguments, **options)

            loop.call_soon = counted
            await program(suite, log)
            await suite.clock.sleep(1e6)

    run(main())
    return suites[0].session.journal.digest(), log, rounds


async def stroll(suite: TradingSuite, log: Log, seed: int = 1, steps: int = 250) -> None:
    """A program that waits for everything one can wait for, in an order that the seed draws."""
    eth, clock = suite["ETH"], suite.clock
    draw = np.random.Generator(np.random.Philox(key=seed))
    others: list[asyncio.Task[None]] = []
    newest = 0

    def note(what: str, *more: object) -> None:
        log.append((seed, what, clock.now_ns(), asyncio.get_running_loop().time(), *more))

    async def place(away: float) -> None:
        nonlocal newest
        quote = eth.data.last_quote
        assert quote is not None
        assert quote.bid is not None
        answer = await eth.orders.place_limit_order("ETH", 0, 0.5, round(quote.bid - away, 1))
        newest = answer.order_id
        note("placed", answer.order_id, str(answer.status))

    async def step(kind: int, pause: float) -> None:
        match kind:
            case 0 | 1 | 2:
                await clock.sleep(pause)
            case 3 | 4:
                await place(5.0 * pause)
            case 5:
                order = await eth.orders.cancel_order(newest)
                note("cancelled", order.order_id, str(order.status))
            case 6:
                await eth.orders.place_market_order("ETH", int(draw.integers(2)), 0.5)
            case 7:
                await asyncio.gather(place(1.0), clock.sleep(pause), place(2.0))
            case 8:
                with suppress(TimeoutError):
                    await asyncio.wait_for(place(3.0), 0.0005 + pause)
            case 9:
                asyncio.get_running_loop().call_later(pause, note, "timer")
            case 10:
                await eth.orders.place_bracket_order(
                    "ETH", int(draw.integers(2)), 0.5, stop_offset=20, target_offset=20
                )
            case 11 if seed < 4 and len(others) < 3:
                others.append(asyncio.create_task(stroll(suite, log, 10 * seed + len(others), 30)))

    for number in range(steps):
        kind = int(draw.integers(12))
        # Quarters of a millisecond: answers, timers and sleeps often fall together.
        pause = 0.00025 * int(draw.integers(1, 12))
        note(f"{number}: {kind}")
        with suppress(OrderError):
            await step(kind, pause)
    await asyncio.gather(*others)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"entry_latency_ms": 0.0, "response_latency_ms": 0.0},
        {"entry_latency_ms": 0.25, "response_latency_ms": 3.0},
        {"entry_latency_ms": {"min_ms": 0.1, "max_ms": 2.0}},
        {"beyond_top": "wait", "visit_every_row": True},
    ],
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_program_that_is_alone_sees_what_one_in_company_sees(
    seed: int, settings: dict[str, Any]
) -> None:
    def program(suite: TradingSuite, log: Log) -> Any:
        return stroll(suite, log, seed)

    digest, log, _ = play(program, is_heard=False, **settings)
    assert (digest, log) == play(program, is_heard=True, **settings)[:2]


def test_a_coroutine_that_is_alone_needs_no_rounds_of_the_event_loop() -> None:
    async def program(suite: TradingSuite, log: Log) -> None:
        for _ in range(50):
            answer = await suite["ETH"].orders.place_limit_order("ETH", 0, 0.5, 100.0)
            await suite.clock.sleep(0.001)
            await suite["ETH"].orders.cancel_order(answer.order_id)

    assert play(program, is_heard=False)[2] < 10
    assert play(program, is_heard=True)[2] > 300


def test_a_task_that_was_told_to_end_ends_where_it_waits_and_has_sent() -> None:
    async def program(suite: TradingSuite, log: Log) -> None:
        async def doomed() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            try:
                await suite["ETH"].orders.place_limit_order("ETH", 0, 0.5, 100.0)
            finally:
                log.append(("ended", suite.clock.now_ns()))

        with suppress(asyncio.CancelledError):
            await asyncio.create_task(doomed())
        await suite.clock.sleep(1)
        log.append(tuple(str(order.status) for order in await suite.orders.get_orders()))

    _, log, _ = play(program, is_heard=False)
    assert log[1] == ("open",)
    assert log == play(program, is_heard=True)[1]


def test_tasks_keep_their_numbers() -> None:
    async def program(suite: TradingSuite, log: Log) -> None:
        await suite.clock.sleep(1)
        await suite["ETH"].orders.place_limit_order("ETH", 0, 0.5, 100.0)
        task = asyncio.create_task(suite.clock.sleep(1))
        log.append((task.get_name(),))
        await task

    async def through_the_loop(suite: TradingSuite, log: Log) -> None:
        await asyncio.sleep(1)
        asyncio.get_running_loop().call_later(0.0005, lambda: None)  # a timer before the answer
        await suite["ETH"].orders.place_limit_order("ETH", 0, 0.5, 100.0)
        task = asyncio.create_task(suite.clock.sleep(1))
        log.append((task.get_name(),))
        await task

    assert play(program, is_heard=False)[1] == play(through_the_loop, is_heard=False)[1]
