"""What the loop refuses, how it fails, and how it is opened and closed."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine
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


def test_nothing_left_to_happen_is_a_deadlock_that_names_the_tasks() -> None:
    async def waits_for_ever() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        await asyncio.create_task(waits_for_ever(), name="strategy")

    with pytest.raises(DeadlockError, match=r"strategy waits at .*test_loop_faults\.py:\d+"):
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
    gc.collect()  # what tests before have left is theirs

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
