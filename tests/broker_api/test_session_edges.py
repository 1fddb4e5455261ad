"""What few sessions meet: lines that break, books that disagree, halts, odd venues, the end."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from broker_api.catalog import find, load_catalog
from broker_api.config import AccountConfig, BrokerSpec, SimulationConfig
from broker_api.errors import (
    InvalidOrderError,
    InvalidPriceError,
    InvalidSizeError,
    NotConnectedError,
    OrderError,
    OrderRejectedError,
    OrderUncertainError,
    RateLimited,
)
from broker_api.event import (
    CancelRejected,
    Discrepancy,
    EventKind,
    MarketHalted,
    MarketResumed,
    Reason,
    encode,
)
from broker_api.notice import EventType
from broker_api.order import OrderStatus, Side
from papertape import TradingSuite, run
from sim.broker import SimBroker
from tests.sim.market import tape_of

MNQ = replace(find(load_catalog(), "MNQ"), calendar="24/7")
CALM = ("0 50x84000 84004x50", "60000000000 50x84000 84004x50")


class BrokenLine(SimBroker):
    """A line that loses so many submissions before one gets through, surely or perhaps."""

    lost = 0
    error: type[Exception] = NotConnectedError

    async def submit(self, submission):
        if self.lost:
            self.lost -= 1
            raise self.error("the line is down")
        return await super().submit(submission)

    def post(self, command):
        if self.lost:
            self.lost -= 1
            raise self.error("the line is down")
        super().post(command)


class WrongBooks(SimBroker):
    """A venue whose account is a nano more than its fills make it."""

    async def connect(self, on_event):
        def tell(row, came_ns):
            if row.kind == EventKind.ACCOUNT:
                row = row._replace(cash_nanos=row.cash_nanos + 1)
            on_event(row, came_ns)

        return await super().connect(tell)


class Hasty(SimBroker):
    """A venue that speaks before it has said where the account stands."""

    async def connect(self, on_event):
        snapshot = await super().connect(on_event)
        on_event(encode(MarketHalted(1, 0, 0, Reason.MARKET_HALTED)), self.clock.now_ns())
        return snapshot


class NoExits(SimBroker):
    """A venue that takes an entry and then refuses its exits."""

    async def connect(self, on_event):
        def tell(row, came_ns):
            if row.kind == EventKind.ACCEPTED and row.order_id > 1:
                status, reason = OrderStatus.REJECTED.code, Reason.UNSUPPORTED
                row = row._replace(kind=EventKind.REJECTED, status=status, reason=reason)
            on_event(row, came_ns)

        return await super().connect(tell)


class Forgetful(SimBroker):
    """A venue that knows no order when asked to end it."""

    async def cancel(self, request):
        now_ns, status = self.clock.now_ns(), OrderStatus.REJECTED
        return CancelRejected(0, now_ns, -1, request.order_id, status, 0, 0, Reason.UNKNOWN_ORDER)


def play(strategy, *rows, broker=SimBroker, **settings):
    """Run `strategy(suite, orders)` on lines as `tests.sim.market` reads them, prices in ticks."""

    async def main():
        tape = tape_of(rows or CALM, symbol="MNQ")
        account = AccountConfig(cash=settings.pop("cash", 50_000.0))
        venue = broker(BrokerSpec((MNQ,), (tape,), SimulationConfig(), account), [tape])
        async with await TradingSuite.create("MNQ", broker=venue, **settings) as suite:
            return await strategy(suite, suite["MNQ"].orders)

    return run(main())


def test_what_surely_did_not_arrive_is_sent_again_and_at_last_withdrawn():
    async def strategy(suite, orders):
        venue = suite.session.broker
        venue.lost = 3
        began_ns = suite.session.clock.now_ns()
        answer = await orders.place_limit_order("MNQ", 0, 1, 20_000)
        took_ns = suite.session.clock.now_ns() - began_ns
        venue.lost = 4
        with pytest.raises(NotConnectedError):
            await orders.place_limit_order("MNQ", 0, 1, 20_000)
        return answer.status, took_ns, await orders.get_orders(), await orders.get_stats()

    status, took_ns, placed, stats = play(strategy, broker=BrokenLine)
    assert (status, took_ns) == ("open", 702_000_000), "100, 200 and 400 ms, and the way"
    assert [order.order_id for order in placed] == [1], "the second was never anywhere"
    assert stats["total_orders"] == 1


def test_what_would_wait_too_long_is_not_repeated_and_leaves_nothing_behind():
    async def strategy(suite, orders):
        venue = suite.session.broker
        venue.lost, venue.error = 2, RateLimited
        with pytest.raises(RateLimited):
            await orders.place_limit_order("MNQ", 0, 1, 20_000)
        with pytest.raises(RateLimited):
            orders.nowait.place_limit_order("MNQ", 0, 1, 20_000)
        return venue.lost, await orders.get_orders(), await orders.get_stats()

    lost, placed, stats = play(strategy, broker=BrokenLine)
    assert (lost, placed, stats["total_orders"]) == (0, [], 0)


def test_what_may_have_arrived_is_sent_once_and_stays_in_the_books():
    async def strategy(suite, orders):
        suite.session.broker.lost, suite.session.broker.error = 1, OrderUncertainError
        with pytest.raises(OrderUncertainError) as doubt:
            await orders.place_limit_order("MNQ", 0, 1, 20_000)
        return doubt.value.order.order_id, [order.status for order in await orders.get_orders()]

    assert play(strategy, broker=BrokenLine) == (1, ["pending"])


def test_books_that_disagree_stop_the_run():
    seen = []

    async def strategy(suite, orders):
        try:
            await orders.place_market_order("MNQ", 0, 60)  # two fills, both told wrong
        finally:
            seen.append(suite.session.failure)
            with pytest.raises(AssertionError, match="cash"):
                await orders.place_market_order("MNQ", 0, 1)

    with pytest.raises(AssertionError, match="cash"):
        play(strategy, broker=WrongBooks)
    assert isinstance(seen[0], AssertionError)


def test_what_a_venue_says_while_it_connects_is_in_the_journal():
    async def strategy(suite, orders):
        return [int(row["kind"]) for row in suite.session.journal.events()]

    assert play(strategy, broker=Hasty) == [EventKind.HALTED]


def test_halts_and_liquidations_are_told_as_they_are():
    rows = ("0 50x84000 84004x50", "5 halt", "6 resume", "7 50x84000 84004x50")
    crash = "20000000000 50x83000 83004x50"

    async def strategy(suite, orders):
        told = []
        await suite.on(EventType.MARKET, told.append)
        await suite.on("liquidation", told.append)
        await asyncio.sleep(1)
        await orders.place_market_order("MNQ", 0, 1)
        await asyncio.sleep(30)
        return [type(event) for event in told], told[-1].value

    kinds, value = play(strategy, *rows, crash, CALM[1], cash=120.0)
    assert kinds[:2] == [MarketHalted, MarketResumed]
    assert kinds[2].__name__ == "Liquidation"
    assert value < 0


def test_an_id_that_a_user_took_is_avoided():
    async def strategy(suite, orders):
        first = await orders.place_limit_order("MNQ", 0, 1, 20_000, client_order_id="2")
        second = await orders.place_limit_order("MNQ", 0, 1, 20_000)
        return first.client_order_id, second.client_order_id

    assert play(strategy) == ("2", "2x")


def test_the_legs_of_an_oco_need_ids_of_their_own():
    async def strategy(suite, orders):
        legs = [
            {"type": "limit", "side": side, "price": price, "client_order_id": "mine"}
            for side, price in ((0, 20_000), (1, 22_000))
        ]
        with pytest.raises(OrderRejectedError, match="already used"):
            await orders.place_oco_order("MNQ", 1, *legs)
        return await orders.get_orders()

    assert play(strategy) == []


def test_a_fault_of_the_caller_is_no_answer_of_an_order():
    async def strategy(suite, orders):
        order = await orders.place_limit_order("MNQ", 0, 1, 20_000)
        answers = await orders.cancel_orders([order.order_id, 99])
        return [isinstance(answer, OrderError) for answer in answers.values()]

    assert play(strategy) == [False, True]


@pytest.mark.parametrize(
    ("levels", "error", "text"),
    [
        ([], InvalidPriceError, "levels"),
        ([7], InvalidOrderError, "level 1 is not a table"),
        ([{"percentage": 0.1, "price": 22_000}], InvalidSizeError, "less than one lot"),
        (
            [{"percentage": 0.5, "price": 22_000}, {"percentage": 0.5, "price": -5}],
            InvalidPriceError,
            "not positive",
        ),
    ],
)
def test_levels_that_cannot_be_are_refused_before_anything_is_sent(levels, error, text):
    async def strategy(suite, orders):
        await orders.wait_for_fill(await orders.place_market_order("MNQ", 0, 2))
        with pytest.raises(error, match=text):
            await orders.scale_out_position("MNQ", levels=levels)
        return len(await orders.get_orders())

    assert play(strategy) == 1


def test_a_level_that_the_venue_refuses_names_those_that_work_before_it():
    async def strategy(suite, orders):
        await orders.wait_for_fill(await orders.place_market_order("MNQ", 0, 2))
        levels = [{"percentage": 0.5, "price": price} for price in (22_000, 20_900)]
        with pytest.raises(OrderRejectedError, match=r"level 2: .*placed before it: \[2\]"):
            await orders.scale_out_position("MNQ", levels=levels, post_only=True)
        return [order.status for order in await orders.get_orders()]

    assert play(strategy) == ["filled", "open", "rejected"]


def test_the_only_instrument_need_not_be_named():
    async def strategy(suite, _):
        await suite.orders.wait_for_fill(await suite.orders.place_market_order("MNQ", 0, 2))
        closing = await suite.orders.close_position()
        return (await suite.orders.get_order(closing)).side

    assert play(strategy) is Side.SELL


def test_one_of_several_instruments_must_be_named():
    async def main():
        async with await TradingSuite.create(["MNQ", "ES"]) as suite:
            with pytest.raises(InvalidOrderError, match="MNQ, ES"):
                await suite.orders.close_position()

    run(main())


def test_a_leg_that_the_venue_refuses_later_is_the_refusal_of_all():
    async def strategy(suite, orders):
        with pytest.raises(OrderRejectedError, match="does not support") as refused:
            await orders.place_bracket_order("MNQ", 0, 1, 20_000, stop_offset=10, target_offset=10)
        return refused.value.order.order_id

    assert play(strategy, broker=NoExits) == 2


def test_an_order_that_the_venue_does_not_know_cannot_be_cancelled():
    async def strategy(suite, orders):
        order = await orders.place_limit_order("MNQ", 0, 1, 20_000)
        with pytest.raises(OrderError, match="does not know the order") as refused:
            await orders.cancel_order(order.order_id)
        return refused.value.reason

    assert play(strategy, broker=Forgetful) is Reason.UNKNOWN_ORDER


def test_the_end_comes_once_and_ends_what_waits():
    async def strategy(suite, orders):
        resting = await orders.place_limit_order("MNQ", 0, 1, 20_000)
        waiting = asyncio.create_task(orders.wait_for_fill(resting))
        await asyncio.sleep(1)
        told = []
        suite.session.on_close(lambda: told.append("end"))
        suite.session.on_close(never := lambda: told.append("never"))
        suite.session.off_close(never)
        await suite.disconnect()
        await suite.session.close()
        assert told == ["end"]
        with pytest.raises(NotConnectedError):
            await orders.cancel_orders([resting.order_id])
        with pytest.raises(NotConnectedError):
            await waiting
        return suite.session.ledger.orders[1].status

    assert play(strategy) is OrderStatus.OPEN


def test_an_answer_after_a_failure_is_the_failure():
    async def strategy(suite, orders):
        def fail(event):
            raise ValueError("a fault of the user")

        await orders.on_order_update(fail)
        later = asyncio.create_task(_later(orders))
        first = asyncio.create_task(orders.place_limit_order("MNQ", 0, 1, 20_000))
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(10)
        assert isinstance(first.exception(), ValueError)
        with pytest.raises(ValueError, match="of the user"):
            await later

    with pytest.raises(ValueError, match="of the user"):
        play(strategy)


async def _later(orders):
    await asyncio.sleep(0.0005)
    return await orders.place_limit_order("MNQ", 0, 1, 20_000)


@pytest.mark.parametrize("as_text", [True, False])
def test_one_catalogue_file_needs_no_list(tmp_path, as_text):
    file = tmp_path / "mine.toml"
    file.write_text('[MNQ]\ncalendar = "24/7"\n', encoding="utf-8")
    found = []

    async def main():
        catalog = str(file) if as_text else file
        async with await TradingSuite.create(["MNQ"], catalog=catalog) as suite:
            found.append(suite["MNQ"].instrument_info.calendar)

    run(main())
    assert found == ["24/7"]


class Doubtful(SimBroker):
    """A venue whose figures differ from ours, which it says at the first fill."""

    async def connect(self, on_event):
        def tell(row, came_ns):
            on_event(row, came_ns)
            if row.kind == EventKind.FILLED:
                differs = Discrepancy(0, row.ts_ns, 0, 0, Reason.POSITION_DIFFERS, 7, 1)
                on_event(encode(differs), came_ns)

        return await super().connect(tell)


def test_a_discrepancy_is_told_as_it_is():
    async def strategy(suite, orders):
        told = []
        await suite.on("discrepancy", told.append)
        await orders.place_market_order("MNQ", 0, 1)
        await asyncio.sleep(1)
        return told, suite["MNQ"].positions.net_size()

    [event], size = play(strategy, broker=Doubtful)
    assert (event.reason, event.value, event.limit) == (Reason.POSITION_DIFFERS, 7, 1)
    assert size == 1


def test_a_position_without_its_stop_is_told_as_a_matter_of_protection():
    async def strategy(suite, orders):
        told = []
        await suite.on("protection", told.append)
        answer = await orders.place_bracket_order(
            "MNQ", 0, 1, entry_price=None, stop_offset=25, target_offset=50
        )
        await asyncio.sleep(1)
        await orders.cancel_order(answer.stop_order_id)
        await asyncio.sleep(1)
        return answer, told

    answer, [event] = play(strategy)
    assert (event.kind, event.order_id) == (EventKind.UNPROTECTED, answer.stop_order_id)
