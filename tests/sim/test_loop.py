"""Ordinary asyncio code in virtual time, without a market."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sim.loop import VirtualLoop, run


def test_an_hour_of_sleep_costs_nothing_and_moves_the_clock() -> None:
    async def main() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    began = time.process_time()
    assert run(main()) == 3600.0
    assert time.process_time() - began < 5


def test_time_is_exact_to_the_nanosecond() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        for _ in range(1_000):
            await asyncio.sleep(0.1)
        await asyncio.sleep(1e-9)
        return loop.now_ns

    assert run(main()) == 100_000_000_001


def test_equal_deadlines_run_in_the_order_of_creation() -> None:
    seen: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in range(50):
            # Half of them by delay, half by time: the same deadline in integers.
            if number % 2:
                loop.call_at(0.3, seen.append, number)
            else:
                loop.call_later(0.3, seen.append, number)
        await asyncio.sleep(1)

    run(main())
    assert seen == list(range(50))


def test_timers_run_by_deadline_then_creation() -> None:
    seen: list[str] = []

    async def say(delay: float, word: str) -> None:
        await asyncio.sleep(delay)
        seen.append(word)

    async def main() -> None:
        await asyncio.gather(say(2, "c"), say(1, "a"), say(2, "d"), say(1, "b"))

    run(main())
    assert seen == ["a", "b", "c", "d"]


def test_ready_callbacks_run_first_in_first_out() -> None:
    seen: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(seen.append, 1)
        loop.call_soon(seen.append, 2)
        loop.call_later(0, seen.append, 4)
        loop.call_soon_threadsafe(seen.append, 3)
        await asyncio.sleep(1)

    run(main())
    assert seen == [1, 2, 3, 4]


def test_a_cancelled_timer_does_not_run_nor_move_the_clock() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(100, pytest.fail, "a cancelled timer ran")
        assert timer.when() == 100.0
        timer.cancel()
        await asyncio.sleep(1)
        return loop.time()

    assert run(main()) == 1.0


def test_many_cancelled_timers_are_dropped_and_the_rest_keeps_its_order() -> None:
    seen: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        timers = [loop.call_later(5 + n % 7, seen.append, n) for n in range(2_000)]
        for number, timer in enumerate(timers):
            if number % 10:
                timer.cancel()
        await asyncio.sleep(100)

    run(main())
    kept = range(0, 2_000, 10)
    assert seen == sorted(kept, key=lambda n: (n % 7, n))


def test_a_sleep_for_ever_is_ended_by_cancelling_it_only() -> None:
    async def main() -> str:
        sleeper = asyncio.create_task(asyncio.sleep(math.inf))
        await asyncio.sleep(10)
        sleeper.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sleeper
        return "cancelled"

    assert run(main()) == "cancelled"


def test_a_time_that_is_no_number_is_refused() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(math.nan, print)

    with pytest.raises(ValueError, match="nan"):
        run(main())


def test_wait_for_and_timeout_end_at_their_deadline() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 5)
        times = [loop.time()]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5):
                await asyncio.sleep(10)
        times.append(loop.time())
        times.append(await asyncio.wait_for(asyncio.sleep(1, result=42), 5))
        return times

    assert run(main()) == [5.0, 7.5, 42]


def test_gather_wait_and_task_groups_work() -> None:
    async def after(delay: float, value: str) -> str:
        await asyncio.sleep(delay)
        if value == "bad":
            raise ValueError(value)
        return value

    async def failing_group() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(after(1, "bad"))
            group.create_task(after(100, "never"))

    async def main() -> list[Any]:
        found: list[Any] = [await asyncio.gather(after(2, "a"), after(1, "b"))]
        tasks = [asyncio.create_task(after(delay, "t")) for delay in (3, 1, 2)]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        found.append((len(done), len(pending), asyncio.get_running_loop().time()))
        await asyncio.wait(tasks)
        async with asyncio.TaskGroup() as group:
            first = group.create_task(after(1, "g"))
        found.append(first.result())
        with pytest.raises(ExceptionGroup):
            await failing_group()
        found.append(asyncio.get_running_loop().time())
        return found

    assert run(main()) == [["a", "b"], (1, 2, 3.0), "g", 7.0]


def test_queue_event_condition_and_semaphore_work() -> None:
    seen: list[Any] = []

    async def consumer(queue: asyncio.Queue[int]) -> None:
        for _ in range(3):
            seen.append((await queue.get(), asyncio.get_running_loop().time()))

    async def guarded(semaphore: asyncio.Semaphore, name: str) -> None:
        async with semaphore:
            await asyncio.sleep(1)
            seen.append((name, asyncio.get_running_loop().time()))

    async def main() -> None:
        queue: asyncio.Queue[int] = asyncio.Queue(1)
        task = asyncio.create_task(consumer(queue))
        for number in range(3):
            await asyncio.sleep(1)
            await queue.put(number)
        await task
        condition, event = asyncio.Condition(), asyncio.Event()

        async def waiter() -> None:
            async with condition:
                await condition.wait()
            event.set()

        waiting = asyncio.create_task(waiter())
        await asyncio.sleep(1)
        async with condition:
            condition.notify_all()
        await event.wait()
        await waiting
        semaphore = asyncio.Semaphore(2)
        await asyncio.gather(*(guarded(semaphore, name) for name in "xyz"))

    run(main())
    assert seen == [(0, 1.0), (1, 2.0), (2, 3.0), ("x", 5.0), ("y", 5.0), ("z", 6.0)]


def test_sets_of_tasks_and_futures_iterate_by_creation() -> None:
    async def main() -> tuple[list[str], list[int]]:
        loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(asyncio.sleep(1)) for _ in range(20)]
        futures = [loop.create_future() for _ in range(20)]
        await asyncio.wait(tasks)
        by_hash = [task.get_name() for task in sorted(set(tasks), key=hash)]
        return by_hash, [hash(future) - hash(futures[0]) for future in futures]

    # The main task is number 1 of every run, whatever ran in the process before.
    expected = ([f"Task-{number}" for number in range(2, 22)], list(range(20)))
    assert run(main()) == expected
    assert run(main()) == expected


def test_as_completed_starts_its_coroutines_in_the_order_given() -> None:
    started: list[int] = []

    async def work(number: int) -> int:
        started.append(number)
        await asyncio.sleep(10 - number)
        return number

    async def main() -> list[int]:
        return [await next_done for next_done in asyncio.as_completed([work(n) for n in range(10)])]

    original = asyncio.as_completed
    assert run(main()) == list(range(9, -1, -1))
    assert started == list(range(10))
    assert asyncio.as_completed is original


def test_wait_for_starts_its_coroutine_at_once() -> None:
    seen: list[str] = []

    async def work() -> str:
        seen.append("started")
        await asyncio.sleep(1)
        return "result"

    async def main() -> None:
        asyncio.get_running_loop().call_soon(seen.append, "scheduled before")
        assert await asyncio.wait_for(work(), 5) == "result"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(work(), 0)

    run(main())
    assert seen == ["started", "scheduled before"]


def test_as_completed_keeps_its_timeout_and_its_check() -> None:
    async def main() -> None:
        (next_done,) = asyncio.as_completed([asyncio.sleep(5)], timeout=1)
        with pytest.raises(TimeoutError):
            await next_done
        with pytest.raises(TypeError):
            list(asyncio.as_completed(asyncio.get_running_loop().create_future()))  # type: ignore[arg-type]

    run(main())


def test_async_generators_left_open_are_closed_in_the_order_of_their_start() -> None:
    closed: list[int] = []

    async def ticks(number: int) -> AsyncIterator[int]:
        try:
            yield number
            yield number
        finally:
            await asyncio.sleep(0)
            closed.append(number)

    generators = [ticks(number) for number in range(5)]

    async def main() -> None:
        for generator in generators:
            await anext(generator)

    run(main())
    assert closed == [0, 1, 2, 3, 4]


def test_an_async_generator_that_is_dropped_is_closed_at_once() -> None:
    closed: list[float] = []

    async def ticks() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            closed.append(asyncio.get_running_loop().time())

    async def main() -> None:
        async for _ in ticks():
            break
        await asyncio.sleep(1)

    run(main())
    assert closed == [0.0]


def test_what_the_end_of_a_run_cancels_does_not_depend_on_tasks_of_other_runs() -> None:
    def order(left: int) -> list[str]:
        ended: list[str] = []

        async def waits() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                task = asyncio.current_task()
                assert task is not None
                ended.append(task.get_name())

        async def main() -> None:
            loop = asyncio.get_running_loop()
            for number in range(left):
                kept.append(asyncio.create_task(waits()))
                others.extend([loop.create_future() for _ in range(number % 16)])
            await asyncio.sleep(1)

        run(main())
        return ended

    kept: list[asyncio.Task[None]] = []
    others: list[asyncio.Future[Any]] = []
    alone = [order(left) for left in range(1, 40)]
    assert alone == [order(left) for left in range(1, 40)]
    assert len(alone[-1]) == 39
