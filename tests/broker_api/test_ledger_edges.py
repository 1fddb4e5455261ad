"""The ledger's rules that few sessions reach: funding, expiry, positions taken over."""

from __future__ import annotations

from builders import CASH, MNQ, Venue, limit_order, new_ledger

from broker_api.broker import PositionState, Snapshot
from broker_api.event import FundingPaid, OrderExpired, encode
from broker_api.ledger import Ledger, fold
from broker_api.order import OrderStatus


def test_funding_leaves_cash_and_is_counted_apart():
    ledger = new_ledger()
    ledger.apply_event(encode(FundingPaid(1, 10, 0, value=7_000, position_lots=2)))
    ledger.apply_event(encode(FundingPaid(2, 20, 0, value=-2_000, position_lots=2)))
    assert (ledger.cash_nanos, ledger.funding_nanos) == (CASH - 5_000, 5_000)
    assert (ledger.fees_nanos, ledger.realised_nanos) == (0, 0)


def test_an_expired_order_says_so():
    venue, ledger = Venue(), new_ledger()
    ledger.apply_command(0, limit_order(1))
    ledger.apply_event(encode(venue.accepted(1)))
    ledger.apply_event(encode(OrderExpired(2, 20, 0, 1, OrderStatus.EXPIRED, 0, 0)))
    order = ledger.orders[1].view()
    assert order.status == "expired"
    assert ledger.orders[1].reason_text == "its time in force ran out"


def test_positions_that_were_there_at_connection_are_taken_over():
    state = PositionState(instrument=0, position_lots=-3, position_cost=-252_000, realised_nanos=9)
    ledger = Ledger([MNQ], Snapshot("SIM", "USD", CASH, (state,)))
    position = ledger.positions[0]
    assert (position.lots, position.cost, ledger.realised_nanos) == (-3, -252_000, 9)


def test_events_of_orders_that_were_forgotten_change_nothing():
    venue, ledger = Venue(), new_ledger(keep_ended=False)
    assert ledger.apply_event(encode(venue.cancelled(7))) is None
    assert not ledger.orders


def test_commands_that_were_never_answered_are_pending_in_the_fold():
    snapshot = Snapshot("SIM", "USD", CASH, ())
    ledger = fold([MNQ], snapshot, [(5, 0, limit_order(1))], [])
    assert ledger.orders[1].view().status == "pending"
