"""What goes by the shortcut, of handlers or tasks alone, makes the run of the ordinary way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest

from broker_api.errors import OrderError, RunawayStrategy
from broker_api.event import Reason
from broker_api.statistics import Counters
from papertape import EventType, TradingSuite
from sim.broker import SimBroker
from sim.shortcut import Shortcut
from tests.sim.compiled_session import TAPE, mnq_tape, play
from tests.sim.random_tape import MS, START_NS
from tests.sim.test_compiled_bars import BARS

Log = list[Any]
Handlers = Callable[[TradingSuite, Log], Any]


@contextmanager
def the_ordinary_way() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SimBroker, "shortcut", lambda _self, _books: None)
        yield


def counts(counters: Counters) -> list[Any]:
    return [getattr(counters, name) for name in Counters.__slots__]


def played(strategy: Handlers, **settings: Any) -> tuple[Any, ...]:
    """All that a run comes to, and all that its handlers saw."""
    log: Log = []
    suite = play(lambda suite: strategy(suite, log), **settings)
    session = suite.session
    orders = [record.view() for record in session.ledger.orders.values()]
    journal = session.journal
    counters = [counts(each) for each in session.counters]
    return journal.digest(), journal.commands(), orders, counters, session.last_id, log


def assert_no_difference(strategy: Handlers, **settings: Any) -> tuple[Any, ...]:
    quick = played(strategy, **settings)
    with the_ordinary_way():
        ordinary = played(strategy, **settings)
    for at, (ours, theirs) in enumerate(zip(quick[-1], ordinary[-1], strict=False)):
        assert ours == theirs, at
    assert quick == ordinary
    return quick


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many commands went by each shortcut of the runs of a test."""
    counts: list[int] = []
    end = Shortcut.end

    def ended(self: Shortcut, now_ns: int) -> int:
        result = end(self, now_ns)
        counts.append(self.command_count)
        return result

    monkeypatch.setattr(Shortcut, "end", ended)
    return counts


@pytest.fixture
def many_chances(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions take the shortcut again, however often they left it."""
    monkeypatch.setattr("sim.broker.CHANCES", 1_000)


class Trader:
    """A plain handler that sends and looks at random, the same for the same seed."""

    def __init__(self, suite: TradingSuite, log: Log, seed: int, odd: float) -> None:
        self.mnq = suite["MNQ"]
        self.suite = suite
        self.random = Random(seed)
        self.log = log
        self.odd = odd
        self.ids: list[int] = [1]

    def tick(self, bid: float, ask: float) -> None:
        if self.random.random() > 0.08:
            return
        for _ in range(self.random.choice((1, 1, 1, 2, 4))):
            act = self.random.choice(self.acts)
            try:
                self.log.append((self.suite.clock.now_ns(), act(self, bid, ask)))
            except OrderError as refusal:
                self.log.append((self.suite.clock.now_ns(), str(refusal)))
        if self.random.random() < self.odd:
            self.log.append(self.random.choice(self.looks)(self))

    def limit(self, bid: float, ask: float) -> Any:
        side = self.random.choice((0, "sell", "buy", 1))
        off = self.random.choice((-8, -1, 0, 0, 1, 2, 0.1))
        size = self.random.choice((1, 2, 3, 0, 1.5))
        self.ids.append(self.orders.place_limit_order("MNQ", side, size, bid + off * 0.25))
        return self.ids[-1]

    def market(self, bid: float, ask: float) -> Any:
        self.ids.append(self.orders.place_market_order("MNQ", self.random.randrange(2), 1))
        return self.ids[-1]

    def stop(self, bid: float, ask: float) -> Any:
        side = self.random.randrange(2)
        price = ask + 1 if side == 0 else bid - 1
        self.ids.append(self.orders.place_stop_order("MNQ", side, 1, price))
        return self.ids[-1]

    def bracket(self, bid: float, ask: float) -> Any:
        side = self.random.randrange(2)
        price = self.random.choice((None, bid if side == 0 else ask))
        exits: dict[str, Any] = self.random.choice(
            (
                {"stop_ticks": 8, "target_ticks": 6},
                {"stop_offset": 2, "target_offset": None},
                {"target_ticks": 3},
                {},
                {"stop_offset": 1.1},
            )
        )
        ids = self.orders.place_bracket_order("MNQ", side, 2, price, **exits)
        self.ids += [each for each in ids if each is not None]
        return ids

    def modify(self, bid: float, ask: float) -> Any:
        order_id = self.random.choice(self.ids[-6:])
        change: dict[str, Any] = self.random.choice(
            ({"limit_price": bid}, {"size": 4}, {"stop_price": ask + 2}, {"limit_price": 0.1})
        )
        return self.orders.modify_order(order_id, **change)

    def cancel(self, bid: float, ask: float) -> Any:
        return self.orders.cancel_order(self.random.choice(self.ids[-8:]))

    def cancel_what_works(self, bid: float, ask: float) -> Any:
        working = [each for each in self.ids[-8:] if self.orders.is_working(each)]
        for each in working:
            self.orders.cancel_order(each)
        return working

    def look(self, bid: float, ask: float) -> Any:
        working = [self.orders.is_working(each) for each in (*self.ids[-5:], 0, -3, 10**6)]
        return self.mnq.positions.net_size(), working

    def in_another_way(self, bid: float, ask: float) -> Any:
        """What only the ordinary way knows."""
        if self.random.random() > self.odd:
            return None
        options: dict[str, Any] = self.random.choice(
            ({"post_only": True}, {"tag": "odd"}, {"client_order_id": f"own{len(self.ids)}"})
        )
        self.ids.append(self.orders.place_limit_order("MNQ", 0, 1, bid, **options))
        return self.ids[-1]

    @property
    def orders(self) -> Any:
        return self.mnq.orders.nowait

    acts = (limit, limit, market, stop, bracket, modify, cancel, cancel_what_works, look,
            in_another_way)  # fmt: skip
    looks = (
        lambda self: self.mnq.positions.position(),
        lambda self: len(self.suite.session.ledger.working),
        lambda self: self.suite.session.broker.equity_nanos(),
        lambda self: len(self.suite.session.journal),
        lambda self: [counts(each) for each in self.suite.session.counters],
    )


def trading(seed: int, odd: float = 0.0) -> Handlers:
    """Handlers of ticks that trade, and a coroutine that looks and sends now and then."""

    async def strategy(suite: TradingSuite, log: Log) -> None:
        trader = Trader(suite, log, seed, odd)
        await suite["MNQ"].data.on_tick(trader.tick)
        for _ in range(40):
            await suite.clock.sleep(0.7)
            log.append((suite.clock.now_ns(), suite["MNQ"].positions.net_size()))
            if trader.random.random() < 0.3:
                trader.orders.place_limit_order("MNQ", 1, 1, 20_040)
                log.append([each.order_id for each in await suite.orders.get_orders("open")])
            if trader.random.random() < odd:
                try:
                    placed = await suite["MNQ"].orders.place_limit_order("MNQ", 0, 1, 19_000)
                    log.append(placed.status)
                except OrderError as refusal:
                    log.append(str(refusal))

    return strategy


WAYS: list[dict[str, Any]] = [
    {},
    {"entry_latency_ms": 40, "response_latency_ms": 3, "feed_latency_ms": 2},
    {"entry_latency_ms": 1, "response_latency_ms": 0},
    {"entry_latency_ms": 1, "response_latency_ms": 250, "margin": True},
]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("settings", WAYS, ids=repr)
def test_handlers_that_trade_at_random_make_the_run_of_the_ordinary_way(
    settings: dict[str, Any], seed: int, counted: list[int], many_chances: None
) -> None:
    assert_no_difference(trading(seed), **settings)
    assert sum(counted) > 200


@pytest.mark.parametrize("seed", range(5, 11))
def test_so_they_do_with_looks_at_the_books_and_orders_of_the_ordinary_way_between(
    seed: int, counted: list[int], many_chances: None
) -> None:
    assert_no_difference(trading(seed, 0.05), **WAYS[seed % len(WAYS)])
    assert len(counted) > 5
    assert sum(counted) > 150


def test_so_they_do_on_a_market_that_closes_on_the_way() -> None:
    closes_ns = START_NS + 12 * 3_600_000 * MS  # 16:00 in Chicago
    tape = mnq_tape(start_ns=closes_ns - 15_000 * MS)
    quick = assert_no_difference(trading(3), tape=tape)
    assert any("closed" in order.reason for order in quick[2])


def test_so_they_do_on_bars() -> None:
    async def strategy(suite: TradingSuite, log: Log) -> None:
        trader = Trader(suite, log, 8, 0.02)
        await suite["MNQ"].data.on_bar("1min", lambda bar: trader.tick(bar.close, bar.close + 0.25))

    assert_no_difference(strategy, tape=BARS)


def test_who_begins_to_listen_hears_of_what_is_under_way() -> None:
    async def strategy(suite: TradingSuite, log: Log) -> None:
        mnq, ticks = suite["MNQ"], 0

        def heard(event: Any) -> None:
            log.append((suite.clock.now_ns(), event))
            mnq.orders.nowait.place_limit_order("MNQ", 0, 1, 20_000)

        def tick(bid: float, ask: float) -> None:
            nonlocal ticks
            ticks += 1
            if ticks in (100, 101):
                mnq.orders.nowait.place_limit_order("MNQ", 0, 1, bid)
                mnq.orders.nowait.place_market_order("MNQ", 0, 1)
            if ticks == 102:
                suite.session.subscribe(EventType.ORDER_FILLED, heard)

        await mnq.data.on_tick(tick)

    quick = assert_no_difference(strategy)
    assert len(quick[-1]) >= 4


def test_a_loop_that_runs_away_ends_at_the_same_command() -> None:
    async def strategy(suite: TradingSuite, log: Log) -> None:
        def tick(bid: float, ask: float) -> None:
            try:
                for number in range(10_002):
                    suite["MNQ"].orders.nowait.cancel_order(order_id)
                    log.append(number)
            except RunawayStrategy as refusal:
                log.append(str(refusal))
                raise

        order_id = suite["MNQ"].orders.nowait.place_limit_order("MNQ", 0, 1, 19_000)
        await suite.clock.sleep(1)
        await suite["MNQ"].data.on_tick(tick)

    def run_away() -> Log:
        log: Log = []
        with pytest.raises(RunawayStrategy):
            play(lambda suite: strategy(suite, log))
        return log

    quick = run_away()
    with the_ordinary_way():
        assert quick == run_away()
    assert len(quick) == 10_001


def test_a_session_that_always_comes_back_stays_on_the_ordinary_way(counted: list[int]) -> None:
    async def strategy(suite: TradingSuite, log: Log) -> None:
        orders = suite["MNQ"].orders

        def tick(bid: float, ask: float) -> None:
            orders.nowait.place_limit_order("MNQ", 0, 1, bid - 50)
            orders.nowait.place_limit_order("MNQ", 0, 1, bid - 50, post_only=True)
            orders.nowait.cancel_order(suite.session.last_id)
            orders.nowait.cancel_order(suite.session.last_id - 1)

        await suite["MNQ"].data.on_tick(tick)

    quick = assert_no_difference(strategy, tape=mnq_tape(200))
    assert 1 < len(counted) <= 8
    assert len(quick[2]) > 100


def test_who_looks_at_the_books_at_every_tick_is_left_on_the_ordinary_way(
    counted: list[int],
) -> None:
    async def strategy(suite: TradingSuite, log: Log) -> None:
        mnq, ticks = suite["MNQ"], 0

        def tick(bid: float, ask: float) -> None:
            nonlocal ticks
            ticks += 1
            log.append(mnq.positions.position().size)
            if ticks % 20 == 0:
                mnq.orders.nowait.place_limit_order("MNQ", ticks // 20 % 2, 1, bid)

        await mnq.data.on_tick(tick)

    assert_no_difference(strategy)
    assert 1 < len(counted) <= 3


def test_the_tape_that_ends_leaves_what_is_under_way_to_the_ordinary_way() -> None:
    async def strategy(suite: TradingSuite, log: Log) -> None:
        end_ns = suite.session.broker.tapes[0].end_ns

        def tick(bid: float, ask: float) -> None:
            if suite.clock.now_ns() > end_ns - 20_000_000:
                suite["MNQ"].orders.nowait.place_market_order("MNQ", 0, 1)

        await suite["MNQ"].data.on_tick(tick)

    quick = assert_no_difference(strategy, entry_latency_ms=15, response_latency_ms=5)
    assert {order.status for order in quick[2]} == {"filled"}
    assert TAPE.end_ns


@pytest.mark.parametrize("is_looked_at", [False, True])
def test_at_the_tapes_end_the_clock_is_at_its_last_row_and_nothing_later_is_told(
    is_looked_at: bool,
) -> None:
    async def strategy(suite: TradingSuite, log: Log) -> None:
        orders, ticks = suite["MNQ"].orders.nowait, 0
        first = orders.place_limit_order("MNQ", 0, 1, 19_000)

        def trade(trade: Any) -> None:
            nonlocal ticks
            ticks += 1
            if ticks == 100:
                orders.place_market_order("MNQ", 0, 1)
            if is_looked_at and ticks == 103:
                log.append((suite.clock.now_ns(), suite["MNQ"].positions.net_size()))

        await suite["MNQ"].data.on_trade(trade)
        try:
            await suite.clock.sleep(1e6)
        finally:
            log.append([(each.order_id, each.status) for each in await suite.orders.get_orders()])
            orders.cancel_order(first)
            log.append(len(suite.session.journal))

    quick = assert_no_difference(strategy, entry_latency_ms=3, response_latency_ms=250)
    times = quick[1]["ts_ns"].to_pylist()
    assert len(times) == 3
    assert times == sorted(times)
    assert times[-1] == TAPE.end_ns


def test_a_market_that_is_closed_when_the_session_begins_has_said_so_first() -> None:
    closed_ns = START_NS + 12 * 3_600_000 * MS + 60_000 * MS

    async def strategy(suite: TradingSuite, log: Log) -> None:
        suite["MNQ"].orders.nowait.place_market_order("MNQ", 0, 1)
        await suite.clock.sleep(1)
        log.append([event["seq"] for event in suite.session.journal.events()])

    quick = assert_no_difference(strategy, tape=mnq_tape(start_ns=closed_ns))
    assert quick[-1] == [[1, 2]]


# --- a coroutine that is alone -------------------------------------------------------------------


async def stroller(suite: TradingSuite, log: Log, seed: int) -> None:
    """Places and waits at random; now and then it looks, or writes what is refused."""
    mnq, random = suite["MNQ"], Random(seed)
    orders, now_ns = mnq.orders, suite.clock.now_ns
    sizes = (1, 1, 1, 2, 3, 0, 1.5, True, "1", [1])

    async def place(kind: int) -> Any:
        quote = mnq.data.last_quote
        touch = 20_000.0 if quote is None or quote.bid is None else quote.bid
        side, size = random.choice((0, 1, "buy", "sell", True)), random.choice(sizes)
        price = touch + random.choice((-8, -1, 0, 1, 8)) * 0.25
        stop = touch + random.choice((-4, 4)) * 0.25
        distance = random.choice((4, 12, 2.0, True))
        match kind:
            case 0:
                return await orders.place_limit_order("MNQ", side, size, price)
            case 1:
                return await orders.place_market_order("mnq", side, size)
            case 2:
                return await orders.place_stop_order("MNQ", side, size, stop)
            case 3:
                return await orders.place_bracket_order(
                    "MNQ", side, size, random.choice((None, price)), stop_ticks=distance,
                    target_offset=random.choice((1, 2, 0.1)),
                )  # fmt: skip
            case 4:
                return orders.nowait.place_limit_order("MNQ", side, size, price)
            case _:
                return await orders.place_limit_order("MNQ", side, size, price, post_only=True)

    for _ in range(150):
        pick = random.random()
        try:
            if pick < 0.5:
                log.append((now_ns(), repr(await place(random.choice((0, 0, 1, 2, 3, 3, 4, 5))))))
            elif pick < 0.95:
                await suite.clock.sleep(random.choice((0.001, 0.01, 0.2, 0.5)))
            else:
                log.append((now_ns(), repr(mnq.positions.position()), mnq.positions.net_size()))
        except OrderError as refusal:
            log.append((now_ns(), repr(refusal), repr(refusal.order), refusal.reason))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"entry_latency_ms": 0.25, "response_latency_ms": 3.0, "feed_latency_ms": 2.0},
        {"entry_latency_ms": 1.0, "response_latency_ms": 0.0, "margin": True},
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_a_coroutine_that_is_alone_sees_what_it_sees_in_the_ordinary_way(
    seed: int, settings: dict[str, Any], many_chances: None
) -> None:
    quick = assert_no_difference(lambda suite, log: stroller(suite, log, seed), **settings)
    assert len(quick[2]) > 30


def test_the_orders_of_a_coroutine_that_is_alone_need_no_books(counted: list[int]) -> None:
    async def strategy(suite: TradingSuite, log: Log) -> None:
        mnq = suite["MNQ"]
        for number in range(40):
            await suite.clock.sleep(0.3)
            answer = await mnq.orders.place_bracket_order(
                "MNQ", number % 2, 1, 19_000.0 + 2_000 * (number % 2), stop_ticks=12
            )
            log.append((answer, mnq.orders.nowait.is_working(answer.main_order_id)))

    quick = assert_no_difference(strategy)
    assert counted == [40]
    assert {(answer.status, works) for answer, works in quick[-1]} == {("open", True)}


def test_an_order_that_the_exchange_refuses_is_raised_as_in_the_ordinary_way(
    counted: list[int],
) -> None:
    async def strategy(suite: TradingSuite, log: Log) -> None:
        mnq = suite["MNQ"]
        for number in range(6):
            quote = mnq.data.last_quote
            assert quote is not None
            assert quote.ask is not None
            try:
                if number % 2:
                    await mnq.orders.place_stop_order("MNQ", 0, 1, quote.ask - 5)
                else:
                    await mnq.orders.place_market_order("MNQ", 0, 1_000)
            except OrderError as refusal:
                log.append((type(refusal), str(refusal), refusal.reason, repr(refusal.order)))

    quick = assert_no_difference(strategy, margin=True)
    assert counted
    assert {each[2] for each in quick[-1]} == {Reason.INSUFFICIENT_MARGIN, Reason.STOP_WRONG_SIDE}
