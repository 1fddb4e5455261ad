"""Answers, updates and fills in any order become the same events, once, in the right order."""

from __future__ import annotations

from itertools import permutations

import pytest
from parts import Told, fill, market_order, request, update

from broker_api.broker import PositionState
from broker_api.event import Discrepancy, OrderCancelled, OrderFilled, OrderReplaced, Reason
from broker_api.hyperliquid.wire.account import Funding
from broker_api.hyperliquid.wire.schema import decode
from broker_api.live import books as module
from broker_api.order import OrderStatus, OrderType, ReplaceRequest, Role, Side, TimeInForce

CLOID = f"0x{1:032x}"


def test_answer_update_and_fills_in_every_order_are_the_same_events() -> None:
    results = set()
    ways = {
        "answer": lambda told, track: told.books.accept(track, 7, 1_000),
        "update": lambda told, track: told.books.update(update("open", 7, cloid=CLOID)),
        "first": lambda told, track: told.books.fill(fill(7, "0.05", cloid=CLOID)),
        "again": lambda told, track: told.books.fill(fill(7, "0.05", cloid=CLOID)),
        "second": lambda told, track: told.books.fill(fill(7, "0.15", cloid=CLOID)),
    }
    for order in permutations(ways):
        told = Told()
        track = told.send(request())
        for name in order:
            ways[name](told, track)
        assert track.status is OrderStatus.FILLED
        assert told.ledger.positions[0].lots == 2_000
        results.add(tuple(told.names()))
    assert results == {("OrderAccepted", "OrderFilled", "OrderFilled")}


def test_a_cancel_and_its_update_and_a_late_fill_in_every_order() -> None:
    results = set()
    ways = {
        "cancel": lambda told, track: told.books.end(track, Reason.BY_USER, 1_000, None),
        "update": lambda told, track: told.books.update(
            update("canceled", 7, left="0.15", cloid=CLOID)
        ),
        "fill": lambda told, track: told.books.fill(fill(7, "0.05")),
    }
    for order in permutations(ways):
        told = Told()
        track = told.send(request())
        told.books.accept(track, 7, 1_000)
        for name in order:
            ways[name](told, track)
        assert track.status is OrderStatus.CANCELLED, order
        assert track.filled_lots == 500
        results.add(tuple(told.names()))
    assert results == {("OrderAccepted", "OrderFilled", "OrderCancelled")}


def test_an_end_waits_for_the_fills_that_it_counts() -> None:
    told = Told()
    track = told.send(request())
    told.books.accept(track, 7, 1_000)
    assert told.books.update(update("canceled", 7, left="0.1")) is track  # somebody has to look
    assert told.names() == ["OrderAccepted"]
    told.books.fill(fill(7, "0.04"))
    assert not track.has_ended
    told.books.fill(fill(7, "0.06"))
    assert told.names() == ["OrderFilled", "OrderFilled", "OrderCancelled"]
    assert track.ended is not None
    assert (track.ended.filled_lots, track.ended.leaves_lots) == (1_000, 0)


def test_an_ioc_that_the_venue_calls_filled_loses_its_rest() -> None:
    told = Told()
    track = told.send(request(time_in_force=TimeInForce.IOC))
    told.books.accept(track, 7, 1_000)
    told.books.end(track, track.rest_reason, 1_000, 500)
    told.books.update(update("filled", 7, left="0.0"))
    told.books.fill(fill(7, "0.05"))
    assert told.names() == ["OrderAccepted", "OrderFilled", "OrderCancelled"]
    assert track.ended is not None
    assert track.ended.reason is Reason.IOC_REST


def test_an_ioc_that_meets_nothing_is_accepted_and_ends_as_an_ioc_does() -> None:
    told = Told()
    track = told.send(request(time_in_force=TimeInForce.IOC))
    told.books.reject(track, Reason.NO_LIQUIDITY, 1_000)
    assert told.names() == ["OrderAccepted", "OrderCancelled"]
    assert track.ended is not None
    assert track.ended.reason is Reason.IOC_REST


def test_a_market_order_that_meets_nothing_is_refused() -> None:
    told = Told()
    track = told.send(market_order())
    told.books.reject(track, Reason.NO_LIQUIDITY, 1_000)
    assert told.names() == ["OrderRejected"]


def test_the_answer_says_more_than_an_update_about_a_refusal() -> None:
    told = Told()
    track = told.send(request(post_only=True))
    told.books.update(update("badAloPxRejected", 7, cloid=CLOID))
    assert told.names() == []
    track.awaits_answer = False  # it was lost
    told.books.update(update("badAloPxRejected", 7, cloid=CLOID))
    assert told.names() == ["OrderRejected"]


@pytest.mark.parametrize("way", ["answer", "open first", "canceled first", "fill first"])
def test_a_change_keeps_the_order_under_its_new_number(way: str) -> None:
    told = Told()
    track = told.send(request())
    told.books.accept(track, 7, 1_000)
    told.books.begin_change(
        track, track.terms_after(ReplaceRequest(1, limit_ticks=290_000, size_lots=3_000))
    )
    if way == "open first":
        told.books.update(update("open", 8, size="0.3", left="0.3", cloid=CLOID))
    elif way == "canceled first":
        told.books.update(update("canceled", 7, cloid=CLOID))
    elif way == "fill first":
        told.books.fill(fill(8, "0.1", cloid=CLOID))
    told.books.replaced(track, 8, 1_000)
    told.books.update(update("canceled", 7, cloid=CLOID))
    told.books.update(update("open", 8, size="0.3", left="0.3", cloid=CLOID))
    names = told.names()
    assert names[:2] == ["OrderAccepted", "OrderReplaced"]
    assert names[2:] == (["OrderFilled"] if way == "fill first" else [])
    assert (track.size_lots, track.limit_ticks, track.oid) == (3_000, 290_000, 8)
    assert not track.has_ended
    left = "0.2" if way == "fill first" else "0.3"
    told.books.update(update("canceled", 8, size="0.3", left=left, cloid=CLOID))
    assert track.has_ended


def test_a_fill_that_a_change_did_not_see_is_found() -> None:
    told = Told()
    track = told.send(request())
    told.books.accept(track, 7, 1_000)
    told.books.begin_change(track, track.terms_after(ReplaceRequest(1, limit_ticks=290_000)))
    told.books.fill(fill(7, "0.05"))
    assert track.excess_lots == 0
    told.books.replaced(track, 8, 1_000)
    assert (track.excess_lots, track.size_lots) == (500, 2_500)
    told.books.fill(fill(8, "0.15"))
    assert track.is_excessive, "the venue works on the rest of it"
    told.books.fill(fill(8, "0.05"))
    assert track.status is OrderStatus.FILLED
    assert told.names() == ["OrderAccepted", "OrderFilled", "OrderReplaced", *["OrderFilled"] * 2]


def test_a_change_of_the_same_order_counts_what_filled_meanwhile() -> None:
    told = Told()
    track = told.send(request())
    told.books.accept(track, 7, 1_000)
    told.books.begin_change(track, track.terms_after(ReplaceRequest(1, size_lots=1_000)))
    told.books.fill(fill(7, "0.05"))
    told.books.replaced(track, 7, 1_000)
    assert (track.size_lots, track.left_lots, track.excess_lots) == (1_000, 500, 0)


@pytest.mark.parametrize("late", [False, True])
def test_an_order_that_filled_more_than_was_asked_says_so(late: bool) -> None:
    """A change went out while fills of the old order were on their way, and took at once."""
    told = Told()
    track = told.send(request())
    told.books.accept(track, 7, 1_000)
    told.books.begin_change(track, track.terms_after(ReplaceRequest(1, limit_ticks=290_000)))
    told.books.replaced(track, 8, 1_000)
    if late:
        told.books.fill(fill(8, "0.1"))
    told.books.fill(fill(7, "0.05"))
    told.books.fill(fill(8, "0.1" if late else "0.2", tid=9))
    assert track.status is OrderStatus.FILLED
    record = told.ledger.orders[1]
    assert (record.filled_lots, record.size_lots) == (2_500, 2_500)
    (change,) = [
        event
        for event in told.events
        if isinstance(event, OrderReplaced) and event.reason is Reason.FILLED_BEYOND
    ]
    assert change.lots == 2_500


def test_a_refused_change_leaves_everything() -> None:
    told = Told()
    track = told.send(request())
    told.books.accept(track, 7, 1_000)
    told.books.refuse_change(track, Reason.POST_ONLY_WOULD_TAKE, 1_000)
    assert told.names() == ["OrderAccepted", "ReplaceRejected"]
    assert track.limit_ticks == 300_000
    told.books.update(update("canceled", 7))
    assert track.has_ended


def test_a_change_that_is_refused_leaves_another_one_under_way() -> None:
    told = Told()
    track = told.send(request())
    told.books.accept(track, 7, 1_000)
    told.books.begin_change(track, track.terms_after(ReplaceRequest(1, limit_ticks=290_000)))
    told.books.doubt(track, 1_000)
    told.books.refuse_change(track, Reason.NOT_MODIFIABLE, 1_000)
    told.books.update(update("canceled", 7, cloid=CLOID))
    assert not track.has_ended
    told.books.update(update("open", 8, cloid=CLOID))
    assert (track.oid, track.limit_ticks) == (8, 290_000)


def test_an_uncertain_order_is_found_or_was_never_there() -> None:
    told = Told()
    track = told.send(request())
    told.books.doubt(track, 1_000)
    told.books.doubt(track, 1_000)
    told.books.update(update("open", 7, cloid=CLOID))
    assert told.names() == ["OrderUncertain", "OrderAccepted"]
    lost = told.send(request(2))
    told.books.doubt(lost, 1_000)
    told.books.reject(lost, Reason.NOT_ARRIVED, 1_000)
    assert told.names() == ["OrderUncertain", "OrderRejected"]
    assert told.ledger.orders[2].reason_text == "the command surely never reached the venue"


def test_an_uncertain_change_tells_the_terms_that_are_there() -> None:
    told = Told()
    track = told.send(request())
    told.books.accept(track, 7, 1_000)
    told.books.fill(fill(7, "0.05"))
    told.books.begin_change(track, track.terms_after(ReplaceRequest(1, limit_ticks=290_000)))
    told.books.doubt(track, 1_000)
    told.books.update(update("open", 8, size="0.15", left="0.15", cloid=CLOID))
    assert told.names()[-2:] == ["OrderUncertain", "OrderAccepted"]
    record = told.ledger.orders[1]
    assert (record.status, record.limit_ticks) == (OrderStatus.PARTIALLY_FILLED, 290_000)


def test_a_trigger_is_told_once_and_its_rest_is_a_market_orders() -> None:
    told = Told()
    stop = request(side=Side.SELL, order_type=OrderType.STOP, limit_ticks=None, stop_ticks=290_000)
    track = told.send(stop)
    told.books.accept(track, 7, 1_000)
    told.books.update(update("triggered", 7))
    told.books.update(update("triggered", 7))
    told.books.fill(fill(7, "0.05", side="A"))
    assert told.books.update(update("filled", 7, left="0.0")) is track
    told.books.settle(track)
    assert told.names() == ["OrderAccepted", "OrderTriggered", "OrderFilled", "OrderCancelled"]
    assert track.ended is not None
    assert track.ended.reason is Reason.MARKET_REST


def test_fills_of_nobody_are_somebody_elses_or_a_liquidation() -> None:
    told = Told(PositionState(0, 1_000, 300_000_000, 0))
    told.books.fill(fill(99, "0.05", cloid="0x" + "f" * 32))
    liquidation = {"liquidatedUser": "0x" + "1" * 40, "markPx": "3000.0", "method": "market"}
    told.books.fill(fill(98, "0.15", side="A", liquidation=liquidation))
    assert told.names() == ["OrderAccepted", "OrderFilled"] * 2
    roles = [record.role for record in told.ledger.orders.values()]
    assert roles == [Role.FOREIGN, Role.LIQUIDATION]
    assert told.ledger.positions[0].lots == 0


def test_a_fill_without_a_cloid_waits_until_every_number_is_known() -> None:
    told = Told()
    track = told.send(request())
    assert told.books.fill(fill(7, "0.05")) is False
    assert told.names() == []
    told.books.accept(track, 7, 1_000)
    assert told.names() == ["OrderAccepted", "OrderFilled"]
    other = told.send(request(2))
    told.books.fill(fill(50, "0.05"))
    told.books.accept(other, 8, 1_000)
    told.books.disown()
    assert told.ledger.positions[0].lots == 1_000
    assert told.names() == ["OrderAccepted", "OrderAccepted", "OrderFilled"]


def test_what_happened_before_the_session_is_not_told() -> None:
    told = Told()
    told.books.known([fill(3, "0.05", time=5_000)], [])
    assert not told.books.fill(fill(3, "0.05", time=5_000))
    assert not told.books.fill(fill(4, "0.05", time=4_999))
    assert told.books.fill(fill(5, "0.05", time=5_000, cloid="0x" + "e" * 32))
    assert told.ledger.positions[0].lots == 500


def test_two_orders_may_share_an_executions_number() -> None:
    told = Told()
    first, second = told.send(request()), told.send(request(2, side=Side.SELL))
    told.books.accept(first, 7, 1_000)
    told.books.accept(second, 8, 1_000)
    told.books.fill(fill(7, "0.05", tid=5))
    told.books.fill(fill(8, "0.05", tid=5, side="A"))
    ids = [each.value for each in told.events if isinstance(each, OrderFilled)]
    assert ids == [5, 0]
    assert told.ledger.positions[0].lots == 0


def test_funding_is_paid_once() -> None:
    told = Told()
    table = {"time": 9, "coin": "ETH", "usdc": "-3.625312", "szi": "0.5", "fundingRate": "0.00001"}
    payment = decode(Funding, table)
    assert told.books.funding(payment)
    assert not told.books.funding(payment)
    assert told.ledger.funding_nanos == 3_625_312_000
    assert told.ledger.cash_nanos == told.money.cash_nanos


def test_times_never_decrease() -> None:
    told = Told()
    track = told.send(request())
    told.books.accept(track, 7, 5_000)
    told.books.fill(fill(7, "0.05", time=4_000))
    times = [event.ts_ns for event in told.events]
    assert times == sorted(times)


def test_a_position_that_differs_is_said() -> None:
    told = Told()
    told.money.differ(0, Reason.POSITION_DIFFERS, 5, 0, 1_000)
    assert told.ledger.discrepancies == {(Reason.POSITION_DIFFERS, 0, 0): (5, 0)}
    assert isinstance(told.events[0], Discrepancy)
    told.money.differ(0, Reason.POSITION_DIFFERS, 5, 5, 1_000)
    assert told.ledger.discrepancies == {}


def test_numbers_of_ended_orders_are_forgotten_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENDED_MAX", 2)
    told = Told()
    for order_id in (1, 2, 3):
        track = told.send(request(order_id))
        told.books.accept(track, order_id, 1_000)
        told.books.end(track, Reason.BY_USER, 1_000, 0)
    found = [told.books.find(oid, f"0x{oid:032x}") is not None for oid in (1, 2, 3)]
    assert found == [False, True, True]
    assert sum(isinstance(event, OrderCancelled) for event in told.events) == 3
