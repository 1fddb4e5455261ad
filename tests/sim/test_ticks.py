"""Handlers of ticks: called for every row, at the row's time, before anything later happens."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import pytest

from broker_api.errors import ConfigurationError
from broker_api.event import EventKind
from broker_api.order import Side
from broker_api.quote import Quote, Trade
from data.schema import RowKind
from papertape import TradingSuite, run
from sim.ticks import Stretch
from sim.wanted import BLOCK_ROWS
from tests.sim.random_tape import MS, make_tape

ROWS = BLOCK_ROWS + 3_000


TAPE = make_tape("ETH", 25_000, ROWS)


async def to_the_end(suite: TradingSuite) -> None:
    await suite.clock.sleep(1e6)


def session(strategy: Callable[[TradingSuite], Any], **settings: Any) -> Any:
    """Run a strategy on the tape until it ends; returns what it returned or the suite."""
    found: list[Any] = []

    async def main() -> None:
        async with await TradingSuite.create(
            settings.pop("instruments", ["ETH"]),
            tape=settings.pop("tape", TAPE),
            simulation={"margin": False, **settings},
        ) as suite:
            found.append(suite)
            await strategy(suite)
            await to_the_end(suite)

    run(main())
    return found[0]


def test_a_plain_handler_sees_every_row_with_the_values_that_it_names() -> None:
    seen: list[tuple[Any, ...]] = []

    def tick(ts_ns: int, bid: float, ask: float, price: float, size: float, side: int) -> None:
        seen.append((ts_ns, bid, ask, price, size, side))

    async def strategy(suite: TradingSuite) -> None:
        await suite["ETH"].data.on_tick(tick)

    spec = session(strategy)["ETH"].instrument_info
    columns = TAPE.columns
    first = int(np.searchsorted(columns.ts, columns.ts[0], side="right"))
    assert [row[0] for row in seen] == columns.ts[first:].tolist()
    for row in (first, ROWS // 2, ROWS - 1):
        _, bid, ask, price, size, side = seen[row - first]
        assert bid == spec.ticks_to_price(int(columns.bid[row]))
        is_empty = columns.ask_qty[row] == 0
        assert math.isnan(ask) if is_empty else ask == spec.ticks_to_price(int(columns.ask[row]))
        if columns.kind[row] == RowKind.TRADE:
            assert price == spec.ticks_to_price(int(columns.px[row]))
            assert size == spec.lots_to_size(int(columns.qty[row]))
        else:
            assert math.isnan(price)
            assert (size, side) == (0, 0)
    assert any(math.isnan(row[2]) for row in seen)


def test_what_is_told_is_made_of_plain_numbers() -> None:
    """Also where a side of the book is empty among those that are told."""
    told: list[Any] = []

    async def strategy(suite: TradingSuite) -> None:
        data = suite["ETH"].data
        await data.on_quote(told.append)
        await data.on_trade(told.append)
        await data.on_bar("1s", told.append)
        await data.on_tick(lambda ts_ns, bid, ask, size: told.append((ts_ns, bid, ask, size)))

    session(strategy)
    assert sorted({type(each).__name__ for each in told}) == ["Bar", "Quote", "Trade", "tuple"]
    assert any(each.ask is None for each in told if isinstance(each, Quote))
    plain = {str, int, float, Side, type(None)}
    assert {type(value) for each in told for value in each} <= plain


@pytest.mark.parametrize("kind", ["quote", "trade"])
def test_plain_and_async_handlers_are_told_the_same(kind: str) -> None:
    plain: list[Any] = []
    awaited: list[Any] = []

    async def later(item: Any) -> None:
        awaited.append(item)

    for handler in (plain.append, later):

        async def strategy(suite: TradingSuite, handler: Any = handler) -> None:
            await getattr(suite["ETH"].data, f"on_{kind}")(handler)

        session(strategy)
    assert len(plain) > 2_000
    assert plain == awaited


def test_the_clock_and_the_last_quote_are_those_of_the_row() -> None:
    async def strategy(suite: TradingSuite) -> None:
        data = suite["ETH"].data
        counted = 0

        def tick(ts_ns: int) -> None:
            nonlocal counted
            counted += 1
            assert suite.clock.now_ns() == ts_ns
            if counted % 997 == 0:
                quote = data.last_quote
                assert quote is not None
                assert quote.ts_ns == ts_ns

        await data.on_tick(tick)

    assert session(strategy).failure is None


def test_a_later_feed_is_told_later() -> None:
    late: list[int] = []

    async def strategy(suite: TradingSuite) -> None:
        await suite["ETH"].data.on_tick(lambda ts_ns: late.append(suite.clock.now_ns() - ts_ns))

    session(strategy, feed_latency_ms=25.0)
    assert len(late) > ROWS - 100
    assert set(late) == {25 * MS}


def crosses(suite: TradingSuite, send: Callable[[int], Any]) -> Callable[[float, float], Any]:
    """A handler that sends a side now and then; what it sends depends on position and quotes."""
    counted = 0

    def tick(bid: float, ask: float) -> Any:
        nonlocal counted
        counted += 1
        if counted % 501 == 0:
            return send(1 if suite["ETH"].positions.net_size() > 0 or bid > ask else 0)
        return None

    return tick


def events_of(suite: TradingSuite) -> Any:
    return suite.session.journal.events()


def with_nowait(**settings: Any) -> Any:
    async def strategy(suite: TradingSuite) -> None:
        orders = suite["ETH"].orders.nowait
        await suite["ETH"].data.on_tick(
            crosses(suite, lambda side: orders.place_market_order("ETH", side, 0.01) and None)
        )

    return events_of(session(strategy, **settings))


@pytest.mark.parametrize("settings", [{}, {"entry_latency_ms": 0}, {"visit_every_row": True}])
def test_plain_handlers_and_coroutines_make_the_same_run(settings: dict[str, Any]) -> None:
    async def awaiting(suite: TradingSuite) -> None:
        orders = suite["ETH"].orders
        await suite["ETH"].data.on_tick(
            crosses(suite, lambda side: orders.place_market_order("ETH", side, 0.01))
        )

    plain = with_nowait(**settings)
    assert len(plain) > 100
    # Some of the orders meet an empty side and are refused, which a coroutine raises.
    assert (plain == events_of(session(awaiting, on_error="continue", **settings))).all()


def test_somebody_who_listens_changes_no_event() -> None:
    async def listening(suite: TradingSuite) -> None:
        orders = suite["ETH"].orders
        await orders.on_fill(lambda fill: None)
        await suite["ETH"].data.on_tick(
            crosses(
                suite, lambda side: orders.nowait.place_market_order("ETH", side, 0.01) and None
            )
        )

    assert (with_nowait() == events_of(session(listening))).all()


def test_events_and_rows_are_told_in_the_order_of_time() -> None:
    told: list[tuple[int, str]] = []

    async def strategy(suite: TradingSuite) -> None:
        orders, data = suite["ETH"].orders, suite["ETH"].data
        await orders.on_order_update(
            lambda event: told.append((suite.clock.now_ns(), event.kind.name))
        )
        await data.on_tick(lambda ts_ns: told.append((ts_ns, "row")))
        price = data.last_quote.bid - 0.2  # type: ignore[union-attr]
        for _ in range(5):
            orders.nowait.place_limit_order("ETH", 0, 0.05, round(price, 1))

    session(strategy)
    times = [ts_ns for ts_ns, _ in told]
    assert times == sorted(times)
    assert {"ACCEPTED", "FILLED", "row"} <= {what for _, what in told}


def test_rows_of_several_instruments_come_in_the_order_of_time() -> None:
    tapes = {
        "ETH": make_tape("ETH", 25_000, ROWS, seed=2),
        "BTC": make_tape("BTC", 25_000, ROWS, seed=3),
    }
    told: list[tuple[int, int]] = []

    async def strategy(suite: TradingSuite) -> None:
        for order, symbol in enumerate(tapes):
            await suite[symbol].data.on_tick(lambda ts_ns, order=order: told.append((ts_ns, order)))

    with pytest.raises(ConfigurationError, match="a tick has no 'order'"):
        session(strategy, instruments=list(tapes), tape=tapes)

    async def plain(suite: TradingSuite) -> None:
        await suite["ETH"].data.on_tick(lambda ts_ns: told.append((ts_ns, 0)))
        await suite["BTC"].data.on_tick(lambda ts_ns: told.append((ts_ns, 1)))

    session(plain, instruments=list(tapes), tape=tapes)
    assert [ts_ns for ts_ns, _ in told] == sorted(ts_ns for ts_ns, _ in told)
    assert len(told) > 2 * ROWS - 200


def test_a_handler_that_is_cancelled_is_not_called_again() -> None:
    counted = 0

    async def strategy(suite: TradingSuite) -> None:
        def tick(bid: float) -> None:
            nonlocal counted
            counted += 1
            if counted == 700:
                subscription.cancel()

        subscription = await suite["ETH"].data.on_tick(tick)

    session(strategy)
    assert counted == 700


@pytest.mark.parametrize("waits", [False, True])
def test_other_handlers_go_on_with_the_next_row_when_one_is_cancelled(*, waits: bool) -> None:
    cancelled: list[int] = []
    others: list[int] = []

    async def strategy(suite: TradingSuite) -> None:
        def tick(ts_ns: int) -> None:
            cancelled.append(ts_ns)
            if len(cancelled) == 700:
                subscription.cancel()

        async def awaited(ts_ns: int) -> None:
            tick(ts_ns)

        data = suite["ETH"].data
        subscription = await data.on_tick(awaited if waits else tick)
        await data.on_tick(lambda ts_ns: others.append(ts_ns))

    session(strategy)
    assert len(cancelled) == 700
    assert others == TAPE.columns.ts[len(TAPE.columns.ts) - len(others) :].tolist()
    assert others[: len(cancelled)] == cancelled


def fails_at(number: int) -> tuple[list[int], Callable[[int], None]]:
    seen: list[int] = []

    def tick(ts_ns: int) -> None:
        seen.append(ts_ns)
        if len(seen) == number:
            raise ValueError("a fault of the strategy")

    return seen, tick


def test_an_exception_ends_the_run_at_its_row() -> None:
    seen, tick = fails_at(300)

    async def strategy(suite: TradingSuite) -> None:
        await suite["ETH"].data.on_tick(tick)

    with pytest.raises(ValueError, match="a fault of the strategy"):
        session(strategy)
    assert len(seen) == 300


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("sends", [False, True])
def test_after_a_failure_no_handler_is_told_anything_more(*, waits: bool, sends: bool) -> None:
    """Not of the row at which one failed, nor of orders that are under way."""
    told: list[Any] = []
    others: list[Any] = []
    seen, fails = fails_at(300)

    async def strategy(suite: TradingSuite) -> None:
        def tick(ts_ns: int) -> None:
            if sends and len(seen) == 299:
                suite.orders.nowait.place_market_order("ETH", 0, 1)
            fails(ts_ns)

        async def awaited(ts_ns: int) -> None:
            tick(ts_ns)

        data = suite["ETH"].data
        await data.on_tick(awaited if waits else tick)
        await data.on_tick(lambda ts_ns: others.append(ts_ns))
        await data.on_trade(others.append)
        await data.on_bar("1s", others.append)
        await suite.orders.on_order_update(told.append)
        await suite.on("position", told.append)

    with pytest.raises(ValueError, match="a fault of the strategy"):
        session(strategy)
    assert [each for each in others if isinstance(each, int)] == seen[:-1]
    assert all(each.ts_ns < seen[-1] for each in others if isinstance(each, Trade))
    assert not told


def test_with_on_error_continue_the_next_row_follows() -> None:
    seen, tick = fails_at(300)

    async def strategy(suite: TradingSuite) -> None:
        await suite["ETH"].data.on_tick(tick)

    suite = session(strategy, on_error="continue")
    assert len(seen) > ROWS - 100
    assert [str(error) for error in suite.session.errors] == ["a fault of the strategy"]


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (lambda bids: None, "a tick has no 'bids'; did you mean 'bid'"),
        (lambda: None, "the handler of ticks takes nothing; name what it needs"),
    ],
)
def test_a_handler_that_asks_for_what_no_tick_has_is_refused(handler: Any, message: str) -> None:
    async def strategy(suite: TradingSuite) -> None:
        await suite["ETH"].data.on_tick(handler)

    with pytest.raises(ConfigurationError, match=message):
        session(strategy)


def test_what_happened_before_the_end_of_a_session_is_in_its_journal() -> None:
    """Plain handlers run ahead of the exchange, which nobody asked to catch up meanwhile."""

    def fills(handler_of: Callable[[asyncio.Event], Callable[..., object]]) -> int:
        suites: list[TradingSuite] = []

        async def main() -> None:
            suite = await TradingSuite.create(["ETH"], tape=TAPE, simulation={"margin": False})
            suites.append(suite)
            eth, enough = suite["ETH"], asyncio.Event()
            quote = eth.data.last_quote
            assert quote is not None
            await eth.orders.place_limit_order("ETH", 0, 1, quote.bid)
            await eth.data.on_tick(handler_of(enough))
            await enough.wait()
            await suite.disconnect()

        run(main())
        events = suites[0].session.journal.events()
        return int((events["kind"] == EventKind.FILLED).sum())

    def plain(enough: asyncio.Event) -> Callable[..., object]:
        seen = count()

        def tick(bid: float) -> None:
            if next(seen) == 2_000:
                enough.set()

        return tick

    def waiting(enough: asyncio.Event) -> Callable[..., object]:
        seen = count()

        async def tick(bid: float) -> None:
            if next(seen) == 2_000:
                enough.set()

        return tick

    assert fills(plain) == fills(waiting) > 0


def test_a_timer_that_a_plain_handler_sets_counts_from_its_row() -> None:
    set_at: list[int] = []
    came: list[int] = []

    async def strategy(suite: TradingSuite) -> None:
        loop = asyncio.get_running_loop()

        def tick(ts_ns: int) -> None:
            if len(set_at) < 50 and ts_ns % 7 == 0:
                set_at.append(ts_ns)
                loop.call_later(0.0015, lambda: came.append(suite.clock.now_ns()))

        await suite["ETH"].data.on_tick(tick)

    session(strategy)
    assert len(set_at) == 50
    assert came == [ts_ns + 1_500_000 for ts_ns in set_at]


def test_who_asks_for_the_time_while_it_is_looked_up_gets_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A progress display asks from its thread, at any moment."""
    count_of, asked, told = Stretch._count, list[int](), list[int]()

    def counted(self: Stretch) -> int:
        with monkeypatch.context() as patch:
            patch.setattr(Stretch, "_count", count_of)
            asked.append(self.moment_ns())
        return count_of(self)

    def tick(ts_ns: int) -> None:
        asked.clear()
        assert suites[0].clock.now_ns() == ts_ns
        told.extend(asked)
        assert set(asked) <= {ts_ns}

    suites: list[TradingSuite] = []

    async def strategy(suite: TradingSuite) -> None:
        suites.append(suite)
        monkeypatch.setattr(Stretch, "_count", counted)
        await suite["ETH"].data.on_tick(tick)

    session(strategy, tape=make_tape("ETH", 25_000, 200))
    assert len(told) > 150
