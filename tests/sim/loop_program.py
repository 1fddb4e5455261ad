"""A program for test_loop_programs.py: uses what asyncio offers and prints everything it sees."""

from __future__ import annotations

import asyncio

from sim.loop import VirtualLoop, run
from tests.sim.scripted_market import ScriptedMarket, open_market

SEEN: list[str] = []


def say(*words: object) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    task = asyncio.current_task()
    SEEN.append(f"{loop.now_ns} {task.get_name() if task else '-'}: {' '.join(map(str, words))}")


async def trade(market: ScriptedMarket, number: int) -> int:
    for step in range(3):
        await asyncio.sleep(0.01 * (number % 4))
        say("asks", number, step)
        say("answered", await market.ask())
    return number


async def rush(market: ScriptedMarket) -> None:
    tasks = [asyncio.create_task(trade(market, number)) for number in range(40)]
    pending = set(tasks)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        say("done", [task.result() for task in done], len(pending))


async def mixed(market: ScriptedMarket) -> None:
    for next_done in asyncio.as_completed([trade(market, number) for number in range(12)]):
        say("completed", await next_done)
    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(trade(market, number), name=f"group-{number}")
    queue: asyncio.Queue[int] = asyncio.Queue(2)

    async def consume(name: str) -> None:
        while True:
            say(name, await queue.get())

    consumers = {asyncio.create_task(consume(name), name=name) for name in ("ann", "bob", "cy")}
    for number in range(12):
        await queue.put(number)
    try:
        async with asyncio.timeout(0.005):
            await asyncio.Event().wait()
    except TimeoutError:
        say("timed out")
    for consumer in consumers:
        say("cancels", consumer.get_name())
        consumer.cancel()
    await asyncio.gather(*consumers, return_exceptions=True)
    condition, semaphore = asyncio.Condition(), asyncio.Semaphore(2)

    async def guarded(name: str) -> None:
        async with semaphore, condition:
            say(name, await asyncio.wait_for(market.ask(), 1))
            condition.notify()

    await asyncio.gather(*(guarded(name) for name in ("x", "y", "z")))


async def main() -> None:
    market = open_market(end_ms=5_000)
    for at_ms in (1, 10, 10, 20, 4_999, 5_000, 6_000):
        market.happen(at_ms, lambda at_ms=at_ms: say("delivered", at_ms))  # type: ignore[misc]
    await rush(market)
    await mixed(market)
    watchers = [asyncio.create_task(trade_until_the_end(market, n)) for n in range(5)]
    await asyncio.gather(*watchers, return_exceptions=True)
    await asyncio.sleep(1)


async def trade_until_the_end(market: ScriptedMarket, number: int) -> None:
    try:
        while True:
            await asyncio.sleep(0.7 + number / 10)
            say("looks", number)
    finally:
        say("cleans up", number, await market.ask())


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(main()) is None
    first, SEEN = SEEN, []
    assert run(main()) is None
    assert first == SEEN, "the second run in this process differs from the first"
    print("\n".join(first))
