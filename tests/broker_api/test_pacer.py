"""The asyncio face of the rate limits, in virtual time."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from broker_api.errors import RateLimited
from broker_api.pacer import Pacer
from broker_api.pacing import NS_SECOND, BackOff, Kind, Window
from sim.loop import run


def pacer(weight_max: int = 1, seconds: int = 10, reserve: int = 0) -> Pacer:
    back_off = BackOff(np.random.Generator(np.random.Philox(key=1)), 4 * NS_SECOND, 60 * NS_SECOND)
    return Pacer([Window(weight_max, seconds * NS_SECOND, reserve)], back_off)


class Log:
    """Who went when, in seconds."""

    def __init__(self, pace: Pacer) -> None:
        self.pace = pace
        self.went: list[tuple[float, str]] = []

    async def go(self, name: str, kind: Kind = Kind.ORDER, **terms: object) -> None:
        async with self.pace.turn(kind=kind, **terms):
            self.went.append((asyncio.get_running_loop().time(), name))


def test_turns_come_as_the_limit_allows_and_cancels_first():
    async def main():
        log = Log(pacer())
        await asyncio.gather(
            log.go("a"), log.go("b"), log.go("question", Kind.QUERY), log.go("cancel", Kind.CANCEL)
        )
        return log.went

    assert run(main()) == [(0, "a"), (10, "cancel"), (20, "b"), (30, "question")]


def test_who_may_not_wait_at_all_goes_when_there_is_room():
    async def main():
        log = Log(pacer())
        await log.go("a", wait_max_seconds=0.0)
        with pytest.raises(RateLimited):
            await log.go("b", wait_max_seconds=0.0)
        return [name for _, name in log.went]

    # In real time, in which some passes between any two lines.
    assert asyncio.run(main()) == ["a"]


def test_with_room_a_turn_begins_before_any_other_task_runs():
    async def main():
        log, seen = Log(pacer(2)), []
        asyncio.get_running_loop().call_soon(seen.append, "other")
        await log.go("a")
        await log.go("b")
        return log.went, list(seen), len(log.pace)

    assert run(main()) == ([(0, "a"), (0, "b")], [], 0)


def test_the_reserve_is_there_for_cancels():
    async def main():
        log = Log(pacer(3, reserve=1))
        names = ("a", "b", "c")
        await asyncio.gather(*map(log.go, names), log.go("cancel", Kind.CANCEL))
        return log.went

    assert run(main()) == [(0, "a"), (0, "b"), (0, "cancel"), (10, "c")]


def test_a_wait_beyond_its_bound_is_refused_at_once_and_sends_nothing():
    async def main():
        log = Log(pacer())
        await log.go("a")
        with pytest.raises(RateLimited, match=r"10\.000 s, and it may wait 9\.000 s"):
            await log.go("b", wait_max_seconds=9)
        await log.go("c", wait_max_seconds=10)
        return log.went

    assert run(main()) == [(0, "a"), (10, "c")]


def test_a_promise_that_cancels_broke_is_refused_when_that_is_certain():
    async def main():
        log = Log(pacer())
        await log.go("a")
        late = asyncio.create_task(log.go("late", wait_max_seconds=12))
        await asyncio.sleep(1)
        await log.go("cancel", Kind.CANCEL)
        with pytest.raises(RateLimited):
            await late
        return log.went, asyncio.get_running_loop().time()

    assert run(main()) == ([(0, "a"), (10, "cancel")], 10)


def test_whoever_is_cancelled_leaves_its_place_to_the_next():
    async def main():
        log = Log(pacer())
        await log.go("a")
        gone, stays = asyncio.create_task(log.go("b")), asyncio.create_task(log.go("c"))
        await asyncio.sleep(1)
        gone.cancel()
        await stays
        return log.went, gone.cancelled(), len(log.pace)

    assert run(main()) == ([(0, "a"), (10, "c")], True, 0)


def test_after_a_429_nothing_goes_until_the_silence_is_over():
    async def main():
        log = Log(pacer(100))
        log.pace.refused()
        await asyncio.gather(log.go("order"), log.go("cancel", Kind.CANCEL))
        first = log.went[0][0]
        log.pace.accepted()
        log.pace.refused(retry_after_seconds=30)
        await log.go("later")
        return first, log.went

    first, went = run(main())
    assert 2 <= first <= 4
    assert [name for _, name in went] == ["cancel", "order", "later"]
    assert went[2][0] == first + 30


def test_an_exception_inside_a_turn_is_the_callers():
    async def main():
        log = Log(pacer())
        with pytest.raises(ValueError, match="wire"):
            async with log.pace.turn():
                raise ValueError("wire")
        await log.go("b")
        return log.went

    assert run(main()) == [(10, "b")]


def test_turns_on_a_real_clock_keep_the_limit_and_their_order_though_the_loop_halts():
    """While a request is made the window may empty: those that wait since then go before it."""

    async def main():
        pace = Pacer(
            [Window(100, 20_000_000)],
            BackOff(np.random.Generator(np.random.Philox(key=1)), 1, 1),
        )
        went = []

        async def go(number: int) -> None:
            if number == 150:
                time.sleep(0.025)  # noqa: ASYNC251 - the loop is to stand still
            async with pace.turn():
                went.append((asyncio.get_running_loop().time(), number))

        began = asyncio.get_running_loop().time()  # the first one's turn is not earlier
        await asyncio.gather(*map(go, range(400)))
        return began, went

    began, went = asyncio.run(main())
    assert [number for _, number in went] == list(range(400))
    for index, (seconds, _) in enumerate(went):
        assert seconds - began >= 0.0195 * (index // 100)
