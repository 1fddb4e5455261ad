"""The loop with a market that tells the time, and the end of its tape."""

from __future__ import annotations

import asyncio
import gc
import math
from typing import Any

import pytest

from sim.loop import EndlessRunError, TapeEnded, VirtualLoop, run
from tests.sim.scripted_market import MS, START_NS, ScriptedMarket, open_market


def elapsed_ms() -> float:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return (loop.now_ns - START_NS) / MS


def test_the_first_market_sets_the_epoch_and_time_goes_on() -> None:
    async def main() -> tuple[int, float]:
        await asyncio.sleep(2)
        loop = open_market().loop
        at_start = loop.now_ns
        await asyncio.sleep(1)
        assert loop.now_ns == START_NS + 1_000 * MS
        return at_start, loop.time()

    assert run(main()) == (START_NS, 3.0)


def test_one_market_at_a_time_and_the_next_goes_on_from_the_running_clock() -> None:
    async def main() -> int:
        first = open_market()
        second = ScriptedMarket(first.loop)
        with pytest.raises(RuntimeError, match="already"):
            first.loop.attach(second, START_NS)
        with pytest.raises(RuntimeError, match="not the one"):
            first.loop.detach(second)
        await asyncio.sleep(4)
        first.loop.detach(first)
        first.loop.attach(second, START_NS)
        await asyncio.sleep(1)
        return first.loop.now_ns

    assert run(main()) == START_NS + 5_000 * MS


def test_deliveries_run_before_the_timers_of_their_instant() -> None:
    seen: list[str] = []

    async def main() -> None:
        market = open_market()
        loop, told = market.loop, asyncio.Event()

        async def strategy() -> None:
            await told.wait()
            seen.append("woken by the delivery")

        task = asyncio.create_task(strategy())
        loop.call_later(0.005, seen.append, "timer")
        market.happen(5, lambda: (seen.append("delivery"), told.set()))
        market.happen(5, lambda: seen.append("second delivery"))
        await task
        await asyncio.sleep(1)

    run(main())
    assert seen == ["delivery", "woken by the delivery", "second delivery", "timer"]


def test_a_command_without_latency_is_answered_before_the_timers_of_its_instant() -> None:
    seen: list[str] = []

    async def main() -> None:
        market = open_market(latency_ms=0)

        async def strategy() -> None:
            await asyncio.sleep(0.005)
            market.loop.call_later(0, seen.append, "timer")
            market.loop.call_at_ns(START_NS + 5 * MS, seen.append, "second timer")
            assert await market.ask() == 5 * MS
            seen.append("answer")
            assert await market.ask() == 5 * MS
            seen.append("second answer")

        await strategy()
        await asyncio.sleep(0)
        await asyncio.sleep(1)

    run(main())
    assert seen == ["answer", "second answer", "timer", "second timer"]


def test_the_clock_stands_at_the_delivery_while_it_runs() -> None:
    times: list[float] = []

    async def main() -> None:
        market = open_market()
        for at_ms in (7, 3, 5):
            market.happen(at_ms, lambda: times.append(elapsed_ms()))
        await asyncio.sleep(1)
        times.append(elapsed_ms())

    run(main())
    assert times == [3.0, 5.0, 7.0, 1_000.0]


def test_an_answer_comes_after_the_latency() -> None:
    async def main() -> list[int]:
        market = open_market(latency_ms=2)
        return [await market.ask(), await market.ask()]

    assert run(main()) == [2 * MS, 4 * MS]


def test_a_wait_for_on_the_market_times_out_in_market_time() -> None:
    async def main() -> float:
        open_market()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 3)
        return elapsed_ms()

    assert run(main()) == 3_000.0


class BackwardsMarket(ScriptedMarket):
    """Says that time went back."""

    def advance(self, deadline_ns: int | None) -> int | None:
        return START_NS - 1


class OvershootingMarket(ScriptedMarket):
    """Runs past the deadline it was given."""

    def advance(self, deadline_ns: int | None) -> int | None:
        return START_NS + 60_000 * MS


@pytest.mark.parametrize("kind", [BackwardsMarket, OvershootingMarket])
def test_a_market_that_breaks_its_promise_is_named(kind: type[ScriptedMarket]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.attach(kind(loop), START_NS)
        await asyncio.sleep(1)

    with pytest.raises(RuntimeError, match="the market went to"):
        run(main())


# --- the end of the tape -------------------------------------------------------------------------


def test_the_end_of_the_tape_ends_main_normally() -> None:
    markets: list[ScriptedMarket] = []
    after: list[str] = []

    async def main() -> str:
        markets.append(open_market())
        try:
            await asyncio.sleep(60)
        except Exception:
            after.append("swallowed")
        after.append("went on")
        return "not reached"

    assert run(main()) is None
    assert after == []
    assert markets[0].closings == 1
    assert markets[0].loop.tape_ended


def test_waits_end_in_the_order_of_their_creation_with_tape_ended() -> None:
    ended: list[str] = []

    async def wait_on(name: str, what: Any) -> None:
        try:
            await what
        except TapeEnded as end:
            ended.append(f"{name}: {end}")
            raise

    async def main() -> None:
        open_market(end_ms=1_500)
        queue: asyncio.Queue[int] = asyncio.Queue()
        names = {
            "sleep": asyncio.sleep(100),
            "queue": queue.get(),
            "wait_for": asyncio.wait_for(asyncio.Event().wait(), 200),
            "forever": asyncio.sleep(math.inf),
            "short": asyncio.sleep(50),
        }
        await asyncio.gather(*(wait_on(name, what) for name, what in names.items()))

    assert run(main()) is None
    # wait_for ends one step later: Python 3.11 first waits for the task that it wrapped.
    assert sorted(line.split(":")[0] for line in ended) == sorted(
        ["sleep", "queue", "wait_for", "forever", "short"]
    )
    assert [line.split(":")[0] for line in ended if not line.startswith("wait_for")] == [
        "sleep",
        "queue",
        "forever",
        "short",
    ]
    assert ended[0].startswith("sleep: the tape ended at 2023-11-14 22:13:20")


def test_timers_do_not_fire_as_market_time_after_the_end() -> None:
    fired: list[str] = []

    async def main() -> None:
        market = open_market(end_ms=1_000)
        market.loop.call_later(1, fired.append, "at the end")
        market.loop.call_later(1.001, fired.append, "after the end")
        try:
            await asyncio.sleep(5)
        finally:
            market.loop.call_later(0.1, fired.append, "of the clean-up")
            await asyncio.sleep(1)

    assert run(main()) is None
    assert fired == ["at the end"]


def test_clean_up_code_is_served_with_what_is_in_flight() -> None:
    answers: list[Any] = []

    async def main() -> None:
        market = open_market(end_ms=1_000, latency_ms=3)
        market.happen(1_000, lambda: None)
        try:
            await asyncio.sleep(5)
        finally:
            answers.append(await market.ask())
            answers.append(await market.ask())
            try:
                await asyncio.sleep(0.001)
            except TapeEnded:
                answers.append("no more market time")
            answers.append(await asyncio.wait_for(market.ask(), 0.001))

    assert run(main()) is None
    assert answers == [1_003 * MS, 1_006 * MS, "no more market time", 1_009 * MS]


def test_disconnecting_during_clean_up_ends_the_run_in_order() -> None:
    steps: list[str] = []

    async def main() -> None:
        market = open_market(end_ms=1_000)
        try:
            await asyncio.sleep(5)
        finally:
            await market.ask()
            market.loop.detach(market)
            steps.append("disconnected")
            await asyncio.sleep(1)
            steps.append("not reached")

    assert run(main()) is None
    assert steps == ["disconnected"]


def test_a_second_market_may_follow_an_ended_one() -> None:
    async def main() -> int:
        first = open_market(end_ms=1_000)
        with pytest.raises(TapeEnded):
            await asyncio.sleep(5)
        first.loop.detach(first)
        second = ScriptedMarket(first.loop, end_ms=3_000)
        first.loop.attach(second, START_NS)
        await asyncio.sleep(1)
        return first.loop.now_ns - START_NS

    result = run(main())
    assert result is not None
    assert 1_000 * MS <= result <= 2_000 * MS


def test_background_tasks_end_in_order_too() -> None:
    steps: list[str] = []

    async def watch(name: str) -> None:
        try:
            while True:  # noqa: ASYNC110
                await asyncio.sleep(0.4)
        finally:
            steps.append(name)

    async def main() -> None:
        open_market(end_ms=1_000)
        tasks = [asyncio.create_task(watch(name)) for name in "abc"]
        async with asyncio.TaskGroup() as group:
            tasks.append(group.create_task(watch("grouped")))
            await asyncio.sleep(100)

    assert run(main()) is None
    assert steps[:3] == ["a", "b", "c"]
    assert steps[3:] == ["grouped"]


def test_two_tasks_that_wait_for_a_third_both_end() -> None:
    ended: list[str] = []

    async def follow(task: asyncio.Task[None], name: str) -> None:
        try:
            await task
        except asyncio.CancelledError:
            ended.append(name)
            raise

    async def main() -> None:
        open_market()
        worker = asyncio.create_task(asyncio.sleep(100))
        other = asyncio.create_task(follow(worker, "other"))
        await asyncio.sleep(0)
        await follow(worker, "main")
        await other

    assert run(main()) is None
    assert ended == ["other", "main"]


def test_a_future_that_the_loop_did_not_make_ends_as_well() -> None:
    async def main() -> None:
        open_market()
        await asyncio.Future()

    assert run(main()) is None


def test_a_program_that_swallows_the_end_is_stopped() -> None:
    async def main() -> None:
        open_market()
        while True:
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                continue

    with pytest.raises(EndlessRunError, match="swallows TapeEnded"):
        run(main())


def test_the_end_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    gc.collect()  # what tests before have left is theirs

    async def fails_alone() -> None:
        await asyncio.gather(asyncio.sleep(50), asyncio.sleep(60))

    async def main() -> None:
        market = open_market()
        forgotten = [market.loop.create_future() for _ in range(10)]
        task = asyncio.create_task(fails_alone())
        await asyncio.sleep(100)
        del forgotten, task

    assert run(main()) is None
    gc.collect()
    assert caplog.records == []


def test_run_forever_returns_after_the_end() -> None:
    loop = VirtualLoop()
    market = ScriptedMarket(loop, end_ms=500)
    loop.attach(market, START_NS)
    seen: list[str] = []
    market.happen(100, lambda: seen.append("delivered"))
    loop.call_later(0.5, seen.append, "timer")
    loop.run_forever()
    loop.close()
    assert seen == ["delivered", "timer"]


def test_cancelling_main_is_no_normal_end() -> None:
    async def main() -> None:
        open_market()
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(1, task.cancel)
        await asyncio.sleep(5)

    with pytest.raises(asyncio.CancelledError):
        run(main())


def test_waits_of_a_long_run_are_not_kept() -> None:
    async def main() -> int:
        loop = open_market(end_ms=100_000_000).loop
        for _ in range(20_000):
            await asyncio.sleep(0.001)
        return len(loop._futures)

    result = run(main())
    assert result is not None
    assert result < 2_000
