"""What only live venues bring into the ledger: their numbers, orders of others, disagreements."""

from __future__ import annotations

import pytest
from builders import limit_order, new_ledger

from broker_api.event import (
    Discrepancy,
    EventKind,
    OrderAccepted,
    OrderFilled,
    OrderReplaced,
    OrderUncertain,
    Reason,
    decode,
    encode,
    row_of,
)
from broker_api.order import (
    NO_PRICE,
    BracketRequest,
    ExitRequest,
    Liquidity,
    OrderStatus,
    OrderType,
    Role,
    Side,
)

OPEN, FILLED, PARTIAL = OrderStatus.OPEN, OrderStatus.FILLED, OrderStatus.PARTIALLY_FILLED


def accepted(order_id, *, limit=84_000, stop=NO_PRICE, lots=2, reason=Reason.NONE, value=0):
    return OrderAccepted(
        *(1, 10, 0, order_id, OPEN, 0, lots, Side.SELL, limit, stop, lots), reason, value
    )


def filled(order_id, lots, of, *, value=0, status=FILLED):
    return OrderFilled(
        *(2, 20, 0, order_id, status, lots, of - lots, Side.SELL, 84_000, lots, 0),
        *(Liquidity.MAKER, False, value),
    )


def test_the_venues_numbers_lead_to_the_order_and_survive_its_end():
    ledger = new_ledger()
    ledger.apply_command(0, limit_order(1, Side.SELL))
    ledger.apply_event(encode(accepted(1, value=77_001)))
    replaced = OrderReplaced(2, 15, 0, 1, OPEN, 0, 2, Reason.NONE, 84_010, NO_PRICE, 2, 77_002)
    ledger.apply_event(encode(replaced))
    assert ledger.orders[1].venue_order_id == 77_002
    assert (ledger.id_of_venue(77_001), ledger.id_of_venue(77_002)) == (1, 1), "fills of either"
    assert ledger.id_of_venue(5) is None
    ledger.apply_event(encode(filled(1, 2, 2, value=912)))
    assert ledger.id_of_venue(77_002) == 1
    assert (ledger.has_fill(912), ledger.has_fill(913)) == (True, False)


def test_no_execution_is_booked_twice():
    ledger = new_ledger()
    ledger.apply_command(0, limit_order(1, Side.SELL))
    ledger.apply_event(encode(filled(1, 1, 2, value=912, status=PARTIAL)))
    with pytest.raises(AssertionError, match="fill 912 is booked already"):
        ledger.apply_event(encode(filled(1, 1, 2, value=912, status=FILLED)))


@pytest.mark.parametrize(
    ("reason", "role"),
    [
        (Reason.NONE, Role.LIQUIDATION),
        (Reason.NOT_OURS, Role.FOREIGN),
        (Reason.REPAIR, Role.REPAIR),
    ],
)
def test_orders_that_nobody_here_asked_for_are_kept_apart(reason, role):
    ledger = new_ledger()
    ledger.apply_event(encode(accepted(-5, limit=NO_PRICE, reason=reason)))
    order = ledger.orders[-5].view()
    assert (order.role, order.type, order.side) == (role, OrderType.MARKET, Side.SELL)
    assert ledger.working_entries == 0, "the session's own limit does not count it"
    ledger.apply_event(encode(filled(-5, 2, 2)))
    assert ledger.positions[0].lots == -2


def test_an_order_above_the_sessions_ids_is_taken_over_only_with_a_reason():
    ledger = new_ledger()
    assert ledger.apply_event(encode(accepted(9, reason=Reason.NONE))) is None
    assert ledger.apply_event(encode(accepted(9, reason=Reason.REPAIR))).record.order_id == 9


@pytest.mark.parametrize(
    ("limit", "stop", "order_type"),
    [
        (84_000, NO_PRICE, OrderType.LIMIT),
        (NO_PRICE, 83_000, OrderType.STOP),
        (84_000, 83_000, OrderType.STOP_LIMIT),
    ],
)
def test_a_foreign_order_shows_its_prices(limit, stop, order_type):
    ledger = new_ledger()
    ledger.apply_event(encode(accepted(-5, limit=limit, stop=stop, reason=Reason.NOT_OURS)))
    record = ledger.orders[-5]
    assert record.order_type is order_type
    shown = [NO_PRICE if each is None else each for each in (record.limit_ticks, record.stop_ticks)]
    assert shown == [limit, stop]


def test_a_discrepancy_is_noted_until_the_figures_agree_and_changes_nothing():
    ledger = new_ledger()
    cash = ledger.cash_nanos
    ledger.apply_event(encode(Discrepancy(1, 5, 0, 0, Reason.POSITION_DIFFERS, 3, 0)))
    ledger.apply_event(encode(Discrepancy(2, 5, -1, 0, Reason.CASH_DIFFERS, 7, 9)))
    about = (Reason.POSITION_DIFFERS, 0, 0)
    assert ledger.discrepancies == {about: (3, 0), (Reason.CASH_DIFFERS, -1, 0): (7, 9)}
    assert (ledger.positions[0].lots, ledger.cash_nanos) == (0, cash)
    ledger.apply_event(encode(Discrepancy(3, 6, 0, 0, Reason.POSITION_DIFFERS, 0, 0)))
    assert about not in ledger.discrepancies


def test_an_uncertain_exit_that_surely_is_not_there_waits_again():
    ledger = new_ledger()
    exit_request = ExitRequest(2, "2", offset_ticks=10)
    ledger.apply_command(0, BracketRequest(limit_order(1), exit_request, None))
    ledger.apply_event(encode(OrderUncertain(1, 1, 0, 2, OrderStatus.UNCERTAIN, 0, 2)))
    assert ledger.orders[2].status is OrderStatus.UNCERTAIN
    held = row_of(
        EventKind.HELD, order_id=2, status=OrderStatus.PENDING.code, filled_lots=0, leaves_lots=2
    )
    ledger.apply_event(held)
    assert (ledger.orders[2].status, ledger.orders[2].held) == (OrderStatus.PENDING, True)


def test_the_numbers_of_the_venue_travel_in_the_row():
    for event in (accepted(1, value=5, reason=Reason.NOT_OURS), filled(1, 1, 2, value=6)):
        assert decode(encode(event)) == event
