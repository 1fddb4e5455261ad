"""The ledger: one fold of commands and events, checked against the broker's own books."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from builders import CASH, MNQ, Venue, limit_order, new_ledger
from hypothesis import given
from hypothesis import strategies as st

from broker_api.broker import Snapshot
from broker_api.event import (
    OrderActivated,
    OrderHeld,
    OrderRejected,
    Reason,
    encode,
)
from broker_api.ledger import fold
from broker_api.order import (
    NO_PRICE,
    BracketRequest,
    ExitRequest,
    OcoRequest,
    OrderStatus,
    OrderType,
    Role,
    Side,
)
from broker_api.record import PositionRecord

TICK_VALUE = MNQ.tick_value_nanos


def bracket(first: int = 1) -> BracketRequest:
    return BracketRequest(
        limit_order(first),
        ExitRequest(first + 1, str(first + 1), offset_ticks=100),
        ExitRequest(first + 2, str(first + 2), offset_ticks=200),
    )


def test_order_is_pending_until_the_venue_answers():
    ledger = new_ledger()
    ledger.apply_command(5, limit_order(1))
    order = ledger.orders[1].view()
    assert (order.status, order.created_ns, order.remaining_quantity) == ("pending", 5, 2)
    ledger.apply_event(encode(Venue().accepted(1)))
    assert ledger.orders[1].view().status == "open"


def test_fills_average_exactly_and_move_cash_by_fee():
    venue, ledger = Venue(), new_ledger()
    ledger.apply_command(0, limit_order(1, lots=3))
    ledger.apply_event(encode(venue.accepted(1, lots=3)))
    ledger.apply_event(encode(venue.filled(1, 1, of=3, ticks=84_000)))
    ledger.apply_event(encode(venue.filled(1, 2, of=3, before=1, ticks=84_001)))
    order = ledger.orders[1].view()
    assert order.filled_cost == 84_000 + 2 * 84_001
    assert order.average_price == pytest.approx(21000 + 0.25 * 2 / 3, abs=1e-9)
    assert [(fill.price, fill.quantity) for fill in order.fills] == [(21000.0, 1), (21000.25, 2)]
    assert ledger.cash_nanos == CASH - 2 * 370_000_000
    assert ledger.fees_nanos == 2 * 370_000_000


def test_flip_realises_only_the_closed_part():
    position = PositionRecord(MNQ)
    position.net(2, 84_000)
    realised = position.net(-5, 84_010)
    assert realised == 2 * 10 * TICK_VALUE
    assert (position.lots, position.cost) == (-3, -3 * 84_010)


@given(
    st.lists(
        st.tuples(st.integers(-9, 9).filter(bool), st.integers(-50, 90_000)),
        min_size=1,
        max_size=40,
    )
)
def test_money_is_conserved_and_a_flat_position_leaves_no_residue(fills):
    position = PositionRecord(MNQ)
    realised = sum(position.net(lots, ticks) for lots, ticks in fills)
    paid = sum(lots * ticks for lots, ticks in fills)
    assert position.lots == sum(lots for lots, _ in fills)
    assert realised == (position.cost - paid) * TICK_VALUE
    assert realised == position.realised_nanos
    if position.lots == 0:
        assert position.cost == 0


@given(st.integers(1, 50), st.integers(1, 50), st.integers(80_000, 90_000), st.integers(0, 50))
def test_partial_close_keeps_the_average_within_one_tick_lot(first, second, ticks, gap):
    position = PositionRecord(MNQ)
    position.net(first, ticks)
    position.net(second, ticks + gap)
    before = Fraction(position.cost, position.lots)
    position.net(-1, ticks)
    if position.lots:
        assert abs(position.cost - before * position.lots) < 1


def test_broker_whose_position_disagrees_stops_the_run():
    venue, ledger = Venue(), new_ledger()
    ledger.apply_command(0, limit_order(1))
    ledger.apply_event(encode(venue.accepted(1)))
    ledger.apply_event(encode(venue.filled(1, 2)))
    ledger.apply_event(encode(venue.position(2, 168_000, 0)))
    with pytest.raises(AssertionError, match=r"MNQ: position .* of the broker is not the ledger's"):
        ledger.apply_event(encode(venue.position(2, 168_001, 0)))


def test_broker_whose_cash_disagrees_stops_the_run():
    venue, ledger = Venue(), new_ledger()
    ledger.apply_event(encode(venue.account(CASH, 0)))
    with pytest.raises(AssertionError, match="cash 1 of the broker is not the ledger's"):
        ledger.apply_event(encode(venue.account(1, 0)))


def test_nothing_follows_a_terminal_status():
    venue, ledger = Venue(), new_ledger()
    ledger.apply_command(0, limit_order(1))
    ledger.apply_event(encode(venue.accepted(1)))
    ledger.apply_event(encode(venue.cancelled(1)))
    with pytest.raises(AssertionError, match="cannot go from cancelled to filled"):
        ledger.apply_event(encode(venue.filled(1, 2)))


def test_order_ids_are_never_used_twice():
    ledger = new_ledger()
    ledger.apply_command(0, limit_order(1))
    with pytest.raises(AssertionError, match="order id 1 is used twice"):
        ledger.apply_command(0, limit_order(1))


def test_bracket_knows_its_family_and_holds_its_exits():
    ledger = new_ledger()
    ledger.apply_command(0, bracket())
    entry, stop, target = (ledger.orders[number].view() for number in (1, 2, 3))
    assert (entry.role, entry.parent_id, entry.sibling_id) == (Role.ENTRY, None, None)
    assert (stop.role, stop.parent_id, stop.sibling_id) == (Role.STOP_EXIT, 1, 3)
    assert (target.role, target.parent_id, target.sibling_id) == (Role.TARGET_EXIT, 1, 2)
    assert [order.held for order in (entry, stop, target)] == [False, True, True]
    assert (stop.side, stop.type, target.type) == (Side.SELL, OrderType.STOP, OrderType.LIMIT)
    assert {order.group_id for order in (entry, stop, target)} == {1}


def test_exits_types_follow_from_how_they_were_asked_for():
    request = BracketRequest(
        limit_order(1),
        ExitRequest(2, "2", offset_ticks=10, limit_offset_ticks=4),
        None,
    )
    leg = ExitRequest(4, "4", offset_ticks=8, trail_ticks=8)
    trailing = BracketRequest(limit_order(3), leg, None)
    ledger = new_ledger()
    ledger.apply_command(0, request)
    ledger.apply_command(0, trailing)
    assert ledger.orders[2].view().type is OrderType.STOP_LIMIT
    assert ledger.orders[4].view().type is OrderType.TRAILING_STOP
    assert ledger.orders[2].view().sibling_id is None


def test_held_exit_wakes_with_the_prices_of_its_activation_and_may_wait_again():
    venue, ledger = Venue(), new_ledger()
    ledger.apply_command(0, bracket())
    for order_id, side in ((1, Side.BUY), (2, Side.SELL), (3, Side.SELL)):
        status = OrderStatus.OPEN if order_id == 1 else OrderStatus.PENDING
        ledger.apply_event(encode(venue.accepted(order_id, side, status=status, ticks=NO_PRICE)))
    ledger.apply_event(encode(venue.filled(1, 1)))
    live = OrderActivated(9, 90, 0, 3, OrderStatus.OPEN, 0, 1, 84_200, NO_PRICE, 2)
    ledger.apply_event(encode(live))
    target = ledger.orders[3].view()
    assert (target.held, target.limit_price, target.remaining_quantity) == (False, 21050.0, 1)
    ledger.apply_event(encode(venue.filled(3, 1, of=9, side=Side.SELL, ticks=84_200)))
    ledger.apply_event(encode(OrderHeld(11, 110, 0, 3, OrderStatus.PENDING, 1, 0)))
    assert ledger.orders[3].view().held
    assert ledger.positions[0].lots == 0


def test_refused_bracket_takes_its_exits_along():
    ledger = new_ledger()
    ledger.apply_command(0, bracket())
    refused = OrderRejected(
        1, 10, 0, 1, OrderStatus.REJECTED, 0, 0, Reason.SIZE_ABOVE_MAXIMUM, 2, 1
    )
    change = ledger.apply_event(encode(refused))
    assert [ledger.orders[number].view().status for number in (1, 2, 3)] == ["rejected"] * 3
    assert [record.order_id for record in change.with_it] == [2, 3]
    assert ledger.orders[1].view().reason == "size 2 is above the largest size 1 of MNQ"
    assert (ledger.working, ledger.working_entries) == ({}, 0)


def test_later_refusal_of_a_sibling_that_went_along_changes_nothing():
    ledger = new_ledger()
    ledger.apply_command(0, OcoRequest(limit_order(1), limit_order(2)))
    reason = Reason.SIZE_NOT_POSITIVE
    for each in (1, 2):
        refused = OrderRejected(each, 10, 0, each, OrderStatus.REJECTED, 0, 0, reason, 0, 1)
        ledger.apply_event(encode(refused))
    assert [ledger.orders[number].view().status for number in (1, 2)] == ["rejected"] * 2


def test_unknown_negative_order_is_a_liquidation_of_the_venue():
    venue, ledger = Venue(), new_ledger()
    ledger.apply_event(encode(venue.accepted(-1, Side.SELL, 2, ticks=NO_PRICE)))
    order = ledger.orders[-1].view()
    assert (order.role, order.side, order.type) == (Role.LIQUIDATION, Side.SELL, OrderType.MARKET)
    assert ledger.working_entries == 0


def test_only_entries_count_as_working_entries():
    ledger = new_ledger()
    ledger.apply_command(0, bracket())
    ledger.apply_command(0, limit_order(4, Side.SELL, reduce_only=True))
    ledger.apply_command(0, limit_order(5))
    assert ledger.working_entries == 2


def test_ledger_without_tracking_forgets_ended_orders_but_not_working_ones():
    venue, ledger = Venue(), new_ledger(keep_ended=False)
    for order_id in (1, 2):
        ledger.apply_command(0, limit_order(order_id))
        ledger.apply_event(encode(venue.accepted(order_id)))
    ledger.apply_event(encode(venue.cancelled(1)))
    assert list(ledger.orders) == [2]
    assert ledger.id_of_client("1") is None


def test_fold_of_a_journal_ends_where_the_session_ended():
    venue, ledger = Venue(), new_ledger()
    commands = [(0, 0, limit_order(1)), (7, 2, limit_order(2))]
    events = [venue.accepted(1), venue.filled(1, 2), venue.accepted(2), venue.cancelled(2)]
    ledger.apply_command(*commands[0][::2])
    for event in events[:2]:
        ledger.apply_event(encode(event))
    ledger.apply_command(*commands[1][::2])
    for event in events[2:]:
        ledger.apply_event(encode(event))
    again = fold([MNQ], Snapshot("SIM", "USD", CASH, ()), commands, map(encode, events))
    assert [r.view() for r in again.orders.values()] == [r.view() for r in ledger.orders.values()]
    assert again.cash_nanos == ledger.cash_nanos


def test_order_reads_as_one_line():
    ledger = new_ledger()
    ledger.apply_command(0, limit_order(1))
    text = "order 1: buy limit 2 MNQ limit 21000.00, pending, filled 0"
    assert str(ledger.orders[1].view()) == text


def test_tick_value_of_the_test_instrument_is_half_a_dollar():
    assert Decimal(TICK_VALUE) == Decimal("0.5") * 10**9
