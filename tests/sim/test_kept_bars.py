"""Bars that are kept for the next run on a tape say what bars say that are made for one run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from data.kept import keep_tapes_open, let_tapes_go
from data.tape import Tape
from papertape import TradingSuite
from sim import wanted
from tests.sim.compiled_session import mnq_tape, play
from tests.sim.test_compiled_bars import BARS

Log = list[Any]
TICKS = mnq_tape(6_000, gaps_ms=(0, 40, 900, 70_000))


@pytest.fixture
def kept() -> Iterator[None]:
    keep_tapes_open()
    yield
    let_tapes_go()


def told(tape: Tape, timeframe: str, **settings: Any) -> Log:
    """What two handlers are told of bars; one of them comes, goes and comes again."""
    log: Log = []

    async def strategy(suite: TradingSuite) -> None:
        data, clock = suite["MNQ"].data, suite.clock

        def first(bar: Any) -> None:
            log.append(("first", clock.now_ns(), bar))

        def second(bar: Any) -> None:
            log.append(("second", clock.now_ns(), bar))

        await data.on_bar(timeframe, first)
        for pause in (95.0, 301.5, 70.0):
            await clock.sleep(pause)
            subscription = await data.on_bar(timeframe, second)
            await clock.sleep(200.0)
            subscription.cancel()

    play(strategy, tape=tape, **settings)
    return log


@pytest.mark.parametrize("timeframe", ["1min", "5min", "90s"])
@pytest.mark.parametrize("tape", [BARS, TICKS], ids=["bars", "ticks"])
@pytest.mark.parametrize("feed_latency_ms", [0.0, 250.0])
def test_kept_bars_are_told_as_others_are(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tape: Tape,
    timeframe: str,
    feed_latency_ms: float,
) -> None:
    monkeypatch.setattr(wanted, "BAR_BLOCK_ROWS", 500)
    once = told(tape, timeframe, feed_latency_ms=feed_latency_ms)
    request.getfixturevalue("kept")
    assert len(once) > 20
    assert told(tape, timeframe, feed_latency_ms=feed_latency_ms) == once
    assert told(tape, timeframe, feed_latency_ms=feed_latency_ms) == once


def test_the_next_run_gets_the_very_same_bars(kept: None) -> None:
    first, second = (told(BARS, "1min") for _ in range(2))
    assert all(one[2] is other[2] for one, other in zip(first, second, strict=True))


def test_a_tape_that_shares_its_times_with_another_has_bars_of_its_own(kept: None) -> None:
    columns = TICKS.columns
    moved = Tape(columns._replace(px=columns.px + 4), "MNQ", "memory", "", True)
    ours, theirs = told(TICKS, "1min"), told(moved, "1min")
    assert {
        round(two[2].close - one[2].close, 9) for one, two in zip(ours, theirs, strict=True)
    } == {1.0}


def test_bars_that_are_too_many_are_not_kept(monkeypatch: pytest.MonkeyPatch, kept: None) -> None:
    monkeypatch.setattr(wanted, "_KEPT_BARS_MAX", 5)
    tape = mnq_tape(3_000, gaps_ms=(0, 40_000))
    first, second = (told(tape, "1min") for _ in range(2))
    assert first == second
    assert not any(one[2] is other[2] for one, other in zip(first, second, strict=True))
