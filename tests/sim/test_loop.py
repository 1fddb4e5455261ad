"""Ordinary asyncio code in virtual time, without a market."""

from __future__ import annotations

import asyncio
import gc
import math
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from sim.loop import (
    DeadlockError,
    RealIOError,
    TimeStandsStillError,
    VirtualLoop,
    run,
    virtual_time,
)


def test_an_hour_of_sleep_costs_nothing_and_moves_the_clock() -> None:
    async def main() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    began = time.perf_counter()
    assert run(main()) == 3600.0
    assert time.perf_counter() - began < 5


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


def test_nothing_left_to_happen_is_a_deadlock_that_names_the_tasks() -> None:
    async def waits_for_ever() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        await asyncio.create_task(waits_for_ever(), name="strategy")

    with pytest.raises(DeadlockError, match=r"strategy waits at .*test_loop\.py:\d+"):
        run(main())


def test_a_loop_of_sleep_zero_is_named_instead_of_hanging() -> None:
    async def main() -> None:
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)

    loop = VirtualLoop(rounds_per_instant_max=1_000)
    with asyncio.Runner(loop_factory=lambda: loop) as runner, pytest.raises(TimeStandsStillError):
        runner.run(main())


def test_many_rounds_are_fine_while_time_goes_by() -> None:
    async def main() -> None:
        for _ in range(100):
            for _ in range(50):
                await asyncio.sleep(0)
            await asyncio.sleep(0.001)

    loop = VirtualLoop(rounds_per_instant_max=60)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())


async def _in_thread() -> None:
    await asyncio.to_thread(print)


async def _connection() -> None:
    await asyncio.open_connection("localhost", 1)


async def _server() -> None:
    await asyncio.start_server(lambda _reader, _writer: None, "localhost", 0)


async def _process() -> None:
    await asyncio.create_subprocess_exec("true")


async def _lookup() -> None:
    await asyncio.get_running_loop().getaddrinfo("localhost", 1)


async def _reader() -> None:
    asyncio.get_running_loop().add_reader(0, print)


async def _signal() -> None:
    asyncio.get_running_loop().add_signal_handler(2, print)


@pytest.mark.parametrize(
    "attempt", [_in_thread, _connection, _server, _process, _lookup, _reader, _signal]
)
def test_real_input_and_output_is_refused_with_the_reason(
    attempt: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    with pytest.raises(RealIOError, match=r"irreproducible.*before the run starts"):
        run(attempt())


def test_every_method_of_a_loop_is_there_or_refused() -> None:
    inherited = [
        name
        for name in dir(asyncio.AbstractEventLoop)
        if not name.startswith("_")
        and getattr(VirtualLoop, name) is getattr(asyncio.AbstractEventLoop, name)
    ]
    assert inherited == []


def test_another_thread_may_not_schedule() -> None:
    faults: list[BaseException] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def meddle() -> None:
            try:
                loop.call_soon_threadsafe(print)
            except RealIOError as fault:
                faults.append(fault)

        thread = threading.Thread(target=meddle)
        thread.start()
        thread.join()

    run(main())
    assert len(faults) == 1


def test_an_exception_of_main_comes_out_of_run() -> None:
    async def main() -> None:
        await asyncio.sleep(1)
        raise LookupError("of the strategy")

    with pytest.raises(LookupError, match="of the strategy"):
        run(main())


def test_a_failing_callback_goes_to_the_exception_handler_and_the_run_goes_on() -> None:
    faults: list[str] = []

    def broken() -> None:
        raise ValueError("in a callback")

    async def main() -> str:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: faults.append(str(context["exception"])))
        assert loop.get_exception_handler() is not None
        loop.call_soon(broken)
        await asyncio.sleep(1)
        return "went on"

    assert run(main()) == "went on"
    assert faults == ["in a callback"]


def test_without_a_handler_faults_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def failing() -> None:
        raise ValueError("nobody awaits this")

    async def main() -> None:
        task = asyncio.create_task(failing())
        await asyncio.sleep(1)
        del task
        gc.collect()

    run(main())
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == [
        "nobody awaits this"
    ]


def test_a_system_exit_leaves_the_run_at_once() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(1, exit, 3)
        await asyncio.sleep(10)

    with pytest.raises(SystemExit) as stopped:
        run(main())
    assert stopped.value.code == 3


def test_virtual_time_is_what_a_script_gets_from_asyncio_run() -> None:
    async def main() -> float:
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time()

    before = asyncio.get_event_loop_policy()
    with virtual_time() as runs:
        assert asyncio.run(main()) == 86_400.0
        assert asyncio.run(main()) == 86_400.0
        with asyncio.Runner() as runner:
            assert runner.run(main()) == 86_400.0
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(main()) == 86_400.0
        loop.close()
    assert len(runs.loops) == 4
    assert runs.loop is loop
    assert all(made.is_closed() for made in runs.loops)
    assert asyncio.get_event_loop_policy() is before


def test_virtual_time_is_over_after_an_error_too() -> None:
    before = asyncio.get_event_loop_policy()
    with pytest.raises(KeyError), virtual_time():
        raise KeyError("script")
    assert asyncio.get_event_loop_policy() is before


def test_a_loop_that_is_closed_or_running_says_so() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(RuntimeError, match="already running"):
            loop.run_forever()
        with pytest.raises(RuntimeError, match="running"):
            loop.close()

    loop = VirtualLoop()
    loop.run_until_complete(main())
    loop.close()
    loop.close()
    assert loop.is_closed()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon(print)
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_later(1, print)


def test_stop_ends_run_forever_after_its_round() -> None:
    loop = VirtualLoop()
    seen: list[int] = []
    loop.call_later(5, seen.append, 1)
    loop.call_later(5, loop.stop)
    loop.call_later(5, seen.append, 2)
    loop.call_later(6, seen.append, 3)
    loop.run_forever()
    assert seen == [1, 2]
    assert loop.time() == 5.0
    loop.close()


def test_a_task_factory_is_used() -> None:
    class Marked(asyncio.Task[Any]):
        pass

    async def main() -> str:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(lambda loop, coro, **options: Marked(coro, loop=loop, **options))
        task = asyncio.create_task(asyncio.sleep(1), name="mine")
        assert isinstance(task, Marked)
        await task
        return task.get_name()

    assert run(main()) == "mine"
