"""A session whose broker is in a storm: what it is told, and that it comes to rest."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from broker_api.config import SessionDefaults, use_defaults
from broker_api.errors import (
    ConfigurationError,
    NotConnectedError,
    OrderError,
    OrderRejectedError,
    OrderUncertainError,
    TradingError,
)
from broker_api.event import Reason
from broker_api.suite import TradingSuite
from data.tape import Tape
from papertape import compiled
from sim.loop import run
from sim.storm import StormBroker
from sim.storm_faults import DrawnFaults, Fault, FaultKind, Faults, ListedFaults, Rates
from tests.sim.random_tape import make_tape

Story = Callable[[TradingSuite], Awaitable[None]]
TAPE = make_tape("MNQ", 84_000, 40_000)
MANAGER = {"retry_attempts": 0}


def play(story: Story, faults: Faults | None, tape: Tape = TAPE) -> TradingSuite:
    """A session with this story under these faults; None: without a storm."""
    defaults = SessionDefaults(
        around=None if faults is None else lambda plain: StormBroker(plain, faults)
    )
    kept: list[TradingSuite] = []

    async def main() -> None:
        async with await TradingSuite.create(
            ["MNQ"], tape=tape, order_manager_config=MANAGER
        ) as suite:
            kept.append(suite)
            await story(suite)

    with use_defaults(defaults):
        run(main())
    return kept[0]


def digest(suite: TradingSuite) -> str:
    return suite.session.journal.digest()


def broker(suite: TradingSuite) -> StormBroker:
    found = suite.session.broker
    assert isinstance(found, StormBroker)
    return found


def position_at_the_venue(suite: TradingSuite) -> int:
    return int(broker(suite).exchange._book["p_position"][0])


async def trade(suite: TradingSuite) -> None:
    """Orders of all sorts; whatever is refused is let go."""
    orders, data = suite["MNQ"].orders, suite["MNQ"].data
    heard: list[str] = []
    await orders.on_order_update(lambda event: heard.append(event.kind))
    for step in range(40):
        quote = data.last_quote
        try:
            match step % 4:
                case 0:
                    side = step // 4 % 2
                    await orders.place_bracket_order("MNQ", side, 2, stop_ticks=6, target_ticks=6)
                case 1:
                    await orders.place_limit_order("MNQ", 0, 1, quote.bid)
                case 2:
                    await orders.place_market_order("MNQ", 1, 1)
                case 3:
                    working = [o for o in await orders.get_orders("pending") if not o.held]
                    for order in working[:1]:
                        await orders.cancel_order(order)
        except TradingError as failure:
            heard.append(type(failure).__name__)
        await asyncio.sleep(9)
    assert heard


async def asking(call: Awaitable[Any]) -> Exception | None:
    """The error that a call ended with."""
    try:
        await call
    except TradingError as failure:
        return failure
    return None


def test_a_storm_without_faults_is_the_session_without_a_storm() -> None:
    assert digest(play(trade, ListedFaults())) == digest(play(trade, None))


def test_a_refused_order_is_told_and_never_reaches_the_exchange() -> None:
    async def story(suite: TradingSuite) -> None:
        refusal = await asking(suite["MNQ"].orders.place_market_order("MNQ", 0, 1))
        assert isinstance(refusal, OrderRejectedError)
        assert refusal.reason is Reason.REFUSED_BY_VENUE
        assert (await suite["MNQ"].orders.get_order(1)).status == "rejected"
        await suite["MNQ"].orders.place_market_order("MNQ", 0, 2)

    suite = play(story, ListedFaults((Fault(1, FaultKind.REFUSED, 20),)))
    assert position_at_the_venue(suite) == 2


def test_a_refused_change_or_cancel_leaves_the_order_as_it_was() -> None:
    async def story(suite: TradingSuite) -> None:
        orders = suite["MNQ"].orders
        order = await orders.place_limit_order("MNQ", 0, 1, 20_000.0)
        change = await asking(orders.modify_order(order, limit_price=20_001.0))
        cancel = await asking(orders.cancel_order(order))
        for refusal in (change, cancel):
            assert isinstance(refusal, OrderRejectedError)
            assert refusal.reason is Reason.REFUSED_BY_VENUE
        same = await orders.get_order(order)
        assert (same.status, same.limit_price) == ("open", 20_000.0)
        assert (await orders.cancel_order(order)).status == "cancelled"

    play(story, ListedFaults(tuple(Fault(n, FaultKind.REFUSED, 20) for n in (2, 3))))


def test_a_lost_order_is_uncertain_and_then_known_not_to_be_there() -> None:
    async def story(suite: TradingSuite) -> None:
        orders = suite["MNQ"].orders
        doubt = await asking(orders.place_market_order("MNQ", 0, 1))
        assert isinstance(doubt, OrderUncertainError)
        assert doubt.order_may_exist
        assert (await orders.get_order(1)).status == "uncertain"
        await asyncio.sleep(0.6)
        gone = await orders.get_order(1)
        assert gone.status == "rejected"
        assert "never reached" in gone.reason

    suite = play(story, ListedFaults((Fault(1, FaultKind.LOST, 700, 500),)))
    assert position_at_the_venue(suite) == 0


def test_an_unanswered_order_is_uncertain_and_then_found_with_its_fills() -> None:
    async def story(suite: TradingSuite) -> None:
        orders, positions = suite["MNQ"].orders, suite["MNQ"].positions
        told: list[int] = []
        await positions.on_position(lambda position: told.append(int(position.size)))
        assert isinstance(await asking(orders.place_market_order("MNQ", 0, 1)), OrderUncertainError)
        assert position_at_the_venue(suite) == 1
        assert positions.position().is_flat
        second = await orders.place_market_order("MNQ", 0, 2)
        await orders.wait_for_fill(second)
        assert positions.position().size == 2
        await asyncio.sleep(2)
        assert (await orders.get_order(1)).status == "filled"
        assert positions.position().size == 3
        assert max(told[:-1]) <= 2
        assert told[-1] == 3

    suite = play(story, ListedFaults((Fault(1, FaultKind.UNANSWERED, 500, 1_000),)))
    assert suite.session.ledger.cash_nanos == broker(suite).exchange.cash_nanos()


def test_a_bracket_without_an_answer_is_found_whole() -> None:
    async def story(suite: TradingSuite) -> None:
        orders = suite["MNQ"].orders
        doubt = await asking(
            orders.place_bracket_order("MNQ", 0, 1, stop_ticks=4_000, target_ticks=4_000)
        )
        assert isinstance(doubt, OrderUncertainError)
        assert {order.status for order in await orders.get_orders()} == {"uncertain"}
        await asyncio.sleep(1)
        entry, stop, target = [await orders.get_order(number) for number in (1, 2, 3)]
        assert (entry.status, stop.status, target.status) == ("filled", "open", "open")

    play(story, ListedFaults((Fault(1, FaultKind.UNANSWERED, 500, 500),)))


def test_a_cancel_without_an_answer_leaves_the_order_in_doubt_until_it_is_looked_up() -> None:
    async def story(suite: TradingSuite) -> None:
        orders = suite["MNQ"].orders
        order = await orders.place_limit_order("MNQ", 0, 1, 20_000.0)
        assert isinstance(await asking(orders.cancel_order(order)), OrderUncertainError)
        assert (await orders.get_order(order)).status == "uncertain"
        await asyncio.sleep(1)
        assert (await orders.get_order(order)).status == "open"
        assert isinstance(await asking(orders.cancel_order(order)), OrderUncertainError)
        await asyncio.sleep(1)
        assert (await orders.get_order(order)).status == "cancelled"

    lost, unanswered = FaultKind.LOST, FaultKind.UNANSWERED
    play(
        story,
        ListedFaults(
            (
                Fault(2, lost, 100, 500),
                Fault(3, unanswered, 100, 500),
            )
        ),
    )


def test_an_exit_that_waits_for_its_entry_waits_again_after_a_doubt() -> None:
    async def story(suite: TradingSuite) -> None:
        orders = suite["MNQ"].orders
        bracket = await orders.place_bracket_order(
            "MNQ", 0, 1, 20_000.0, stop_price=19_900.0, target_price=20_100.0
        )
        stop = bracket.stop_order_id
        doubt = await asking(orders.modify_order(stop, stop_price=19_910.0))
        assert isinstance(doubt, OrderUncertainError)
        assert not (await orders.get_order(stop)).held
        await asyncio.sleep(1)
        found = await orders.get_order(stop)
        assert (found.status, found.held, found.stop_price) == ("pending", True, 19_900.0)

    play(story, ListedFaults((Fault(2, FaultKind.LOST, 100, 500),)))


def test_a_command_about_an_order_in_doubt_is_not_lost_as_well() -> None:
    async def story(suite: TradingSuite) -> None:
        orders = suite["MNQ"].orders
        await asking(orders.place_limit_order("MNQ", 0, 1, 20_000.0))
        began = suite.clock.now_ns()
        assert (await orders.cancel_order(1)).status == "cancelled"
        assert suite.clock.now_ns() - began == 2_000_000_000

    faults = (Fault(1, FaultKind.UNANSWERED, 100, 2_000), Fault(2, FaultKind.LOST, 100, 500))
    suite = play(story, ListedFaults(faults))
    assert broker(suite).happened == {"unanswered": 1}


def test_nothing_overtakes_a_late_order() -> None:
    async def story(suite: TradingSuite) -> None:
        orders, began = suite["MNQ"].orders, suite.clock.now_ns()
        first = asyncio.ensure_future(orders.place_limit_order("MNQ", 0, 1, 20_000.0))
        await asyncio.sleep(0)
        second = await orders.place_limit_order("MNQ", 0, 1, 20_000.0)
        assert first.done()
        assert second.order_id == 2
        assert suite.clock.now_ns() - began >= 900_000_000

    play(story, ListedFaults((Fault(1, FaultKind.LATE, 900),)))


def test_a_silent_venue_tells_all_at_once_afterwards() -> None:
    async def story(suite: TradingSuite) -> None:
        orders, began = suite["MNQ"].orders, suite.clock.now_ns()
        heard: list[int] = []
        await orders.on_order_update(lambda event: heard.append(suite.clock.now_ns() - began))
        order = await orders.place_market_order("MNQ", 0, 1)
        await orders.wait_for_fill(order)
        await asyncio.sleep(0)
        assert heard == [700_000_000] * len(heard)
        assert heard

    play(story, ListedFaults((Fault(1, FaultKind.SILENCE, 700),)))


def test_while_the_connection_is_down_nothing_is_sent_and_nothing_is_heard() -> None:
    async def story(suite: TradingSuite) -> None:
        orders, data = suite["MNQ"].orders, suite["MNQ"].data
        rows: list[int] = []
        await data.on_quote(lambda quote: rows.append(suite.clock.now_ns()))
        await asyncio.sleep(1)
        broke_ns = suite.clock.now_ns()
        assert isinstance(await asking(orders.place_market_order("MNQ", 0, 1)), OrderUncertainError)
        seen = data.last_quote
        await asyncio.sleep(5)
        assert isinstance(await asking(orders.place_market_order("MNQ", 0, 1)), NotConnectedError)
        assert data.last_quote == seen
        assert suite["MNQ"].positions.position().is_flat
        await asyncio.sleep(6)
        assert data.last_quote != seen
        assert suite["MNQ"].positions.position().size == 1
        assert not [ns for ns in rows if broke_ns < ns < broke_ns + 10_000_000_000]
        assert [ns for ns in rows if ns > broke_ns + 10_000_000_000]

    suite = play(story, ListedFaults((Fault(1, FaultKind.BREAK, 10_000, 500),)))
    assert broker(suite).happened == {"break": 1, "sent while disconnected": 1}
    assert "1 break" in broker(suite).notes[-1]


def test_a_session_that_leaves_in_doubt_is_told_what_there_is() -> None:
    async def story(suite: TradingSuite) -> None:
        orders = suite["MNQ"].orders
        await asking(orders.place_market_order("MNQ", 0, 1))
        await asking(orders.place_limit_order("MNQ", 0, 1, 20_000.0))

    faults = [Fault(1, FaultKind.UNANSWERED, 50, 9_000), Fault(2, FaultKind.LOST, 50, 9_000)]
    suite = play(story, ListedFaults(tuple(faults)))
    orders = suite.session.ledger.orders
    assert [order.status.value for order in orders.values()] == ["filled", "rejected"]


ROUGH = Rates(40_000, 40_000, 60_000, 60_000, 60_000, 30_000, break_ms=8_000)


@pytest.mark.parametrize("seed", range(12))
def test_a_drawn_storm_is_the_same_again_and_its_books_are_the_venues(seed: int) -> None:
    judge(seed)


def judge(seed: int) -> StormBroker:
    """A drawn storm comes to rest, in the venue's own state, and twice in the same way."""
    suite = play(trade, DrawnFaults(seed, ROUGH))
    assert digest(play(trade, DrawnFaults(seed, ROUGH))) == digest(suite)
    ledger = suite.session.ledger
    assert not [o for o in ledger.orders.values() if o.status.value == "uncertain"]
    assert ledger.positions[0].lots == position_at_the_venue(suite)
    assert (np.diff(suite.session.journal.events()["ts_ns"]) >= 0).all()
    assert suite.session.failure is None
    return broker(suite)


def test_drawn_storms_have_every_kind_of_fault() -> None:
    drawn = DrawnFaults(7, ROUGH)
    kinds = {fault.kind for number in range(1, 2_000) if (fault := drawn.of(number)) is not None}
    assert kinds == set(FaultKind)
    assert DrawnFaults(7, Rates()).of(1) is None


def test_a_fault_of_no_command_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="command 0 of a fault"):
        Fault(0, FaultKind.LOST)
    with pytest.raises(ConfigurationError, match="look_ms -1"):
        Fault(1, FaultKind.LOST, look_ms=-1)


def test_the_last_tenth_of_the_tape_is_calm() -> None:
    async def story(suite: TradingSuite) -> None:
        last_ns = TAPE.end_ns - (TAPE.end_ns - suite.clock.now_ns()) // 11
        await asyncio.sleep((last_ns - suite.clock.now_ns()) / 1e9)
        failure: OrderError | Exception | None = await asking(
            suite["MNQ"].orders.place_market_order("MNQ", 0, 1)
        )
        assert failure is None

    suite = play(story, ListedFaults((Fault(1, FaultKind.LOST),)))
    assert broker(suite).happened == {}


@compiled.strategy(state={"seen": int})
def in_and_out(ctx, me):
    """Buys at the 50th row and sells at the 90th."""
    me.seen += 1
    if me.seen in (50, 90):
        compiled.place_market(ctx, 0 if me.seen == 50 else 1, 1)


def test_no_fault_reaches_a_compiled_strategy_and_the_notes_say_so() -> None:
    async def story(suite: TradingSuite) -> None:
        await asking(suite["MNQ"].orders.place_market_order("MNQ", 0, 1))
        await suite.run_compiled("MNQ", in_and_out, until_ns=suite.clock.now_ns() + 20 * 10**9)
        await asking(suite["MNQ"].orders.place_market_order("MNQ", 1, 1))
        assert suite["MNQ"].positions.position().is_flat

    calm = play(story, None)
    faults = tuple(Fault(n, FaultKind.UNANSWERED) for n in range(2, 9))
    suite = play(story, ListedFaults(faults))
    assert digest(suite) == digest(calm)
    assert "no fault reached it" in broker(suite).notes[-1]
    doubted = play(story, ListedFaults((Fault(1, FaultKind.UNANSWERED, 10, 5_000),)))
    assert [o.status.value for o in doubted.session.ledger.orders.values()] == ["filled"] * 4
