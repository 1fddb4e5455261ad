"""When the tape has ended it is the time of its last row, whoever listened to what before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from papertape import TradingSuite
from sim.loop import TapeEnded
from sim.loop_base import moment_text
from tests.sim.compiled_session import TAPE, play
from tests.sim.random_tape import MS

END_NS = TAPE.end_ns
FAR_AWAY = 19_000.0
Strategy = Callable[[TradingSuite], Awaitable[object]]


async def nobody_listens(suite: TradingSuite) -> None:
    """A task that only waits."""


async def bars(suite: TradingSuite) -> None:
    await suite["MNQ"].data.on_bar("15s", lambda bar: None)


async def trades(suite: TradingSuite) -> None:
    await suite["MNQ"].data.on_trade(lambda trade: None)


async def ticks(suite: TradingSuite) -> None:
    await suite["MNQ"].data.on_tick(lambda bid, ask: None)


async def coroutines(suite: TradingSuite) -> None:
    async def tick(bid: float, ask: float) -> None:
        pass

    await suite["MNQ"].data.on_tick(tick)


async def order_events(suite: TradingSuite) -> None:
    await suite.orders.on_order_update(lambda event: None)
    await suite["MNQ"].orders.place_market_order("MNQ", 0, 1)


async def orders_at_once(suite: TradingSuite) -> None:
    sent: list[int] = []

    def tick(bid: float, ask: float) -> None:
        if len(sent) < 3:
            sent.append(suite["MNQ"].orders.nowait.place_market_order("MNQ", 0, 1))

    await suite["MNQ"].data.on_tick(tick)


def ended(strategy: Strategy, **settings: Any) -> tuple[TradingSuite, int, str]:
    """The suite, the time at which the tape had ended, and what was said of it."""
    seen: list[Any] = []

    async def waits(suite: TradingSuite) -> None:
        await strategy(suite)
        order = await suite["MNQ"].orders.place_limit_order("MNQ", 0, 1, FAR_AWAY)
        try:
            await suite.clock.sleep(1e6)
        except TapeEnded as end:
            seen.extend((suite.clock.now_ns(), str(end)))
            await suite.orders.cancel_order(order.order_id)
            raise

    return play(waits, **settings), *seen


@pytest.mark.parametrize("feed_latency_ms", [0.0, 60.0])
@pytest.mark.parametrize(
    "strategy",
    [nobody_listens, bars, trades, ticks, coroutines, order_events, orders_at_once],
)
def test_what_is_sent_when_the_tape_has_ended_is_sent_at_its_last_row(
    strategy: Strategy, feed_latency_ms: float
) -> None:
    suite, now_ns, text = ended(
        strategy, feed_latency_ms=feed_latency_ms, entry_latency_ms=3, response_latency_ms=2
    )
    assert now_ns == END_NS
    assert text == f"the tape ended at {moment_text(END_NS)}"
    journal = suite.session.journal
    assert journal.commands()["ts_ns"].to_pylist()[-1] == END_NS
    assert journal.events()["ts_ns"][-1] == END_NS + 3 * MS
    assert suite.session.ended_ns == END_NS + 5 * MS


def test_what_was_under_way_is_told_first() -> None:
    async def late_order(suite: TradingSuite) -> None:
        orders = suite["MNQ"].orders.nowait

        def tick(ts_ns: int) -> None:
            if ts_ns > END_NS - 20 * MS:
                orders.place_market_order("MNQ", 0, 1)

        await suite["MNQ"].data.on_tick(tick)

    suite, now_ns, _ = ended(late_order, entry_latency_ms=10, response_latency_ms=500)
    last_ns = suite.session.journal.commands()["ts_ns"].to_pylist()[-2]
    assert END_NS - 20 * MS < last_ns <= END_NS
    assert now_ns == last_ns + 510 * MS
