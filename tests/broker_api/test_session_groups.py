"""Sessions keep brackets and OCO over any broker that has none: the simulated one without."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from broker_api.capabilities import Capabilities
from broker_api.catalog import find, load_catalog
from broker_api.config import AccountConfig, BrokerSpec, SimulationConfig
from broker_api.contingency import Contingency, Protection, refold
from broker_api.contingent_broker import ContingentBroker
from broker_api.errors import (
    BrokerError,
    NotConnectedError,
    OrderNotActiveError,
    OrderRejectedError,
    OrderUncertainError,
    RateLimited,
)
from broker_api.event import EventKind
from broker_api.journal import RecordedCommand
from broker_api.order import (
    BracketRequest,
    CancelRequest,
    OcoRequest,
    OrderRequest,
    OrderType,
    ReplaceRequest,
    Role,
)
from papertape import TradingSuite, run
from sim.broker import SimBroker
from tests.sim.market import tape_of

MNQ = replace(find(load_catalog(), "MNQ"), calendar="24/7")
SECOND = 1_000_000_000


class PlainSim(SimBroker):
    """The simulated broker without its groups: it takes plain orders only, and can be faulty."""

    capabilities = Capabilities(
        native_brackets=False,
        native_oco=False,
        post_only=True,
        reduce_only=True,
        stop_limit=True,
        trailing_stop=True,
        if_touched=True,
    )
    fails: list[tuple[OrderType | type, Exception]]
    """What is raised next, by the type of the order or command that it happens to."""

    async def submit(self, submission):
        assert isinstance(submission, OrderRequest), "a plain broker knows no groups"
        self._fail(submission.order_type)
        return await super().submit(submission)

    async def replace(self, request):
        self._fail(type(request))
        return await super().replace(request)

    async def cancel(self, request):
        self._fail(type(request))
        return await super().cancel(request)

    def _fail(self, kind):
        if getattr(self, "fails", None) and self.fails[0][0] == kind:
            raise self.fails.pop(0)[1]


class Careless(PlainSim):
    """A plain broker whose orders may turn a position round: it knows no reduce-only."""

    capabilities = replace(PlainSim.capabilities, reduce_only=False)


def tape(*rows: str):
    """Rows at whole seconds: "1 8399x8400" and so on, sizes of 50."""
    lines = []
    for row in rows:
        second, quote = row.split()
        bid, ask = quote.split("x")
        lines.append(f"{int(second) * SECOND} 50x{bid} {ask}x50")
    return tape_of(lines, symbol="MNQ")


CALM = ("0 84000x84001", "600 84000x84001")


def play(strategy, *rows, latency_ms=1.0, broker=PlainSim, **config):
    """Run `strategy(suite, orders)`; returns its result and the suite."""

    async def main():
        played = tape(*(rows or CALM))
        settings = SimulationConfig(
            entry_latency_ms=latency_ms, response_latency_ms=latency_ms, queue="front"
        )
        spec = BrokerSpec((MNQ,), (played,), settings, AccountConfig())
        venue = broker(spec, [played])
        suite = await TradingSuite.create("MNQ", broker=venue, order_manager_config=config)
        async with suite:
            return await strategy(suite, suite["MNQ"].orders), suite

    return run(main())


async def bracket(orders, size=2, **more):
    return await orders.place_bracket_order(
        "MNQ", 0, size, entry_price=None, **{"stop_offset": 5, "target_offset": 5, **more}
    )


def kinds(suite, order_id):
    return [
        EventKind(int(row["kind"])).name.lower()
        for row in suite.session.journal.events()
        if int(row["order_id"]) == order_id
    ]


def test_a_bracket_is_kept_and_its_target_ends_its_stop():
    async def strategy(suite, orders):
        answer = await bracket(orders)
        await asyncio.sleep(1)
        live = [await orders.get_order(key) for key in (2, 3)]
        await orders.wait_for_fill(answer.target_order_id)
        await asyncio.sleep(1)
        return answer, live

    (answer, live), suite = play(strategy, *CALM[:1], "10 84030x84031", "20 84030x84031")
    assert (answer.main_order_id, answer.stop_order_id, answer.target_order_id) == (1, 2, 3)
    assert [(order.status, order.held, order.size) for order in live] == [("open", False, 2)] * 2
    assert [order.role for order in live] == [Role.STOP_EXIT, Role.TARGET_EXIT]
    assert suite["MNQ"].positions.net_size() == 0
    assert kinds(suite, 2) == ["accepted", "activated", "cancelled"]
    assert kinds(suite, 3) == ["accepted", "activated", "filled"]
    assert suite.account.realised_pnl == 2 * 5 * 2


def test_the_sessions_journal_holds_the_bracket_and_the_machines_the_plain_orders():
    async def strategy(suite, orders):
        await bracket(orders)
        await asyncio.sleep(1)

    _, suite = play(strategy)
    session = suite.session
    [given] = [each.command for each in session.journal.recorded_commands()]
    assert isinstance(given, BracketRequest)
    records = session.broker.records
    sent = [each.command for each in records if isinstance(each, RecordedCommand)]
    assert [type(each) for each in sent] == [BracketRequest, *[OrderRequest] * 3]
    # And from these records the machine is rebuilt as it is.
    again = Contingency.opened([MNQ], Protection(reduce_only=True))
    unsent, told = refold(again, records)
    assert again == session.broker.machine
    assert unsent == []
    assert len(told) == len(session.journal)


def test_in_the_time_under_way_both_exits_fill_and_that_is_repaired_and_told():
    async def strategy(suite, orders):
        told = []
        await suite.on("protection", told.append)
        await bracket(orders)
        await asyncio.sleep(60)
        return told

    rows = ("0 84000x84001", "10 84030x84031", "11 83970x83971", "90 83970x83971")
    told, suite = play(strategy, *rows, latency_ms=900.0, broker=Careless)
    assert [(event.kind, event.order_id) for event in told] == [(EventKind.DOUBLE_EXIT, 2)]
    assert suite["MNQ"].positions.net_size() == 0
    repairs = [order for order in suite.session.ledger.orders.values() if order.role is Role.REPAIR]
    assert [(order.side.name, order.filled_lots) for order in repairs] == [("BUY", 2)]


def test_reduce_only_exits_cannot_both_fill():
    async def strategy(suite, orders):
        told = []
        await suite.on("protection", told.append)
        await bracket(orders)
        await asyncio.sleep(60)
        return told

    rows = ("0 84000x84001", "10 84030x84031", "11 83970x83971", "90 83970x83971")
    told, suite = play(strategy, *rows, latency_ms=900.0)
    assert (told, suite["MNQ"].positions.net_size()) == ([], 0)


def test_a_stop_that_cannot_be_sent_is_told_and_placed_when_it_can():
    async def strategy(suite, orders):
        told = []
        await suite.on("protection", told.append)
        suite.session.broker.plain.fails = [
            (OrderType.STOP, NotConnectedError("no line")),
            (OrderType.STOP, RateLimited("too many")),
            (OrderType.STOP, BrokerError("what?")),
        ]
        await bracket(orders)
        await asyncio.sleep(10)
        stop = await orders.get_order(2)
        return [event.kind for event in told], stop.status, stop.stop_price

    result, _ = play(strategy)
    assert result == ([EventKind.UNPROTECTED], "open", 20_995.25)


def test_a_stop_that_nobody_knows_of_is_closed_at_market_after_the_bound():
    async def strategy(suite, orders):
        suite.session.broker.plain.fails = [(OrderType.STOP, OrderUncertainError("no answer"))]
        await bracket(orders)
        await asyncio.sleep(2.5)
        before = suite["MNQ"].positions.net_size()
        await asyncio.sleep(1)
        stop = await orders.get_order(2)
        return before, suite["MNQ"].positions.net_size(), stop.status

    result, _ = play(strategy, stop_close_after_seconds=3)
    assert result == (2, 0, "uncertain")


def test_an_entry_that_was_not_sent_is_refused_and_leaves_nothing():
    async def strategy(suite, orders):
        suite.session.broker.plain.fails = [(OrderType.MARKET, NotConnectedError("no line"))]
        with pytest.raises(OrderRejectedError, match="never reached"):
            await bracket(orders)
        return [order.status for order in await orders.get_orders()]

    statuses, suite = play(strategy)
    assert statuses == ["rejected"] * 3
    assert suite.session.broker.machine.groups == {}


def test_a_single_order_that_was_not_sent_is_sent_again():
    async def strategy(suite, orders):
        suite.session.broker.plain.fails = [(OrderType.LIMIT, NotConnectedError("no line"))]
        return (await orders.place_limit_order("MNQ", 0, 1, 20_000)).status

    assert play(strategy)[0] == "open"


def test_what_no_broker_may_raise_is_raised_by_the_next_command():
    async def strategy(suite, orders):
        suite.session.broker.plain.fails = [(OrderType.STOP, ZeroDivisionError("a bug"))]
        await bracket(orders)
        await asyncio.sleep(1)
        with pytest.raises(ZeroDivisionError, match="a bug"):
            await orders.place_limit_order("MNQ", 0, 1, 20_000)
        stop = await orders.get_order(2)
        return stop.status

    assert play(strategy)[0] == "uncertain"


def test_a_bracket_whose_levels_make_no_sense_is_refused_before_it_is_sent():
    async def strategy(suite, orders):
        with pytest.raises(OrderRejectedError, match="wrong side"):
            await orders.place_bracket_order(
                "MNQ", 0, 1, entry_price=20_000, stop_price=20_010, target_price=20_020
            )
        return len(suite.session.broker.records)

    assert play(strategy)[0] == 1


def test_exits_are_changed_and_ended_by_hand():
    async def strategy(suite, orders):
        await bracket(orders)
        await asyncio.sleep(1)
        stop = await orders.modify_order(2, stop_price=20_990)
        smaller = await orders.modify_order(3, size=1)
        await asyncio.sleep(1)
        followed = await orders.get_order(2)
        ended = await orders.cancel_order(3)
        with pytest.raises(OrderNotActiveError):
            await orders.cancel_order(3)
        entry = await orders.get_order(1)
        return stop.stop_price, smaller.size, followed.size, ended.status, entry.status

    assert play(strategy)[0] == (20_990, 1, 1, "cancelled", "filled")


def test_a_working_entry_is_changed_and_ended_as_usual():
    async def strategy(suite, orders):
        await orders.place_bracket_order(
            "MNQ", 0, 2, entry_price=20_000, stop_offset=5, target_offset=5
        )
        changed = await orders.modify_order(1, limit_price=20_001, size=1)
        held = await orders.get_order(2)
        await orders.cancel_order(1)
        return changed.limit_price, held.size, [o.status for o in await orders.get_orders()]

    assert play(strategy)[0] == (20_001, 1, ["cancelled"] * 3)


def test_a_change_whose_outcome_is_unknown_is_an_error_that_says_so():
    async def strategy(suite, orders):
        await bracket(orders)
        await asyncio.sleep(1)
        venue = suite.session.broker.plain
        venue.fails = [(ReplaceRequest, OrderUncertainError("no answer"))]
        with pytest.raises(OrderUncertainError):
            await orders.modify_order(3, limit_price=21_010)
        venue.fails = [(CancelRequest, OrderUncertainError("no answer"))]
        with pytest.raises(OrderUncertainError):
            await orders.cancel_order(2)
        return [(await orders.get_order(key)).status for key in (2, 3)]

    assert play(strategy)[0] == ["uncertain", "uncertain"]


def test_a_pair_is_kept_and_a_refusal_of_one_is_an_error():
    async def strategy(suite, orders):
        low = {"type": "limit", "side": 0, "price": 20_990}
        high = {"type": "stop", "side": 0, "stop_price": 21_010}
        answer = await orders.place_oco_order("MNQ", 1, low, high)
        with pytest.raises(OrderRejectedError):
            await orders.place_oco_order("MNQ", 1, low, {**high, "stop_price": 20_000})
        await orders.wait_for_fill(answer.second_order_id)
        await asyncio.sleep(1)
        return [order.status for order in await orders.get_orders()]

    statuses, suite = play(strategy, *CALM[:1], "10 84045x84046", "20 84045x84046")
    assert statuses == ["cancelled", "filled", "cancelled", "rejected"]
    given = suite.session.journal.recorded_commands()
    assert [type(each.command) for each in given] == [OcoRequest, OcoRequest]


def test_commands_without_an_answer_work_as_well():
    async def strategy(suite, orders):
        orders.nowait.place_market_order("MNQ", 0, 1)
        await asyncio.sleep(1)
        return suite["MNQ"].positions.net_size()

    assert play(strategy)[0] == 1


def test_who_waits_for_an_answer_when_the_session_ends_is_told_so():
    async def strategy(suite, orders):
        suite.session.broker.plain.fails = [(OrderType.STOP, OrderUncertainError("no answer"))]
        await bracket(orders)
        await asyncio.sleep(1)
        cancel = asyncio.create_task(orders.cancel_order(2))
        await asyncio.sleep(1)
        await suite.disconnect()
        with pytest.raises(NotConnectedError, match="before the answer came"):
            await cancel

    play(strategy)


def test_a_broker_that_has_groups_keeps_them():
    async def strategy(suite, orders):
        return type(suite.session.broker)

    assert play(strategy, broker=SimBroker)[0] is SimBroker
    assert play(strategy)[0] is ContingentBroker


def test_settings_of_the_session_say_how_exits_are_looked_after():
    async def strategy(suite, orders):
        return suite.session.broker.machine.rules

    settings = {"stop_retry_seconds": 0.2, "stop_attempts": 7, "stop_close_after_seconds": 3}
    rules, _ = play(strategy, **settings)
    assert rules == Protection(
        retry_ns=200_000_000, attempts_max=7, close_after_ns=3 * SECOND, reduce_only=True
    )


@pytest.mark.parametrize("side", [0, 1])
def test_without_latency_the_same_fills_as_where_the_exchange_keeps_them(side):
    async def strategy(suite, orders):
        for _ in range(3):
            await orders.place_bracket_order(
                "MNQ", side, 3, entry_price=None, stop_offset=4, target_offset=6
            )
            await asyncio.sleep(120)
        return [
            (record.role, fill.price_ticks, fill.lots)
            for record in suite.session.ledger.orders.values()
            for fill in record.fills
        ]

    rows = [
        f"{3 * n} {84_000 + 9 * (n % 7) - 5 * (n % 11)}x{84_001 + 9 * (n % 7) - 5 * (n % 11)}"
        for n in range(130)
    ]
    kept, _ = play(strategy, *rows, latency_ms=0.0)
    native, _ = play(strategy, *rows, latency_ms=0.0, broker=SimBroker)
    assert kept == native
    assert len(kept) >= 6
