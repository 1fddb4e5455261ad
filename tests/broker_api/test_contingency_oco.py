"""OCO pairs that the client keeps: what is sent and told, step by step, at a plain venue."""

from __future__ import annotations

from dataclasses import replace

import pytest
from contingent_bench import BUY, MS, SELL, Bench, oco, order

from broker_api.event import Reason
from broker_api.order import OcoRequest, OnPartial, OrderType


def placed(**more: object) -> Bench:
    bench = Bench()
    bench.give(oco(**more))
    return bench.accept(1, 2)


def test_both_orders_are_sent_and_accepted_as_they_are():
    bench = Bench()
    assert bench.give(oco()).sent == ["1: sell 4 at 1010", "2: sell 4 stop 990"]
    assert bench.accept(2, 1).told == ["2 accepted 4 stop 990", "1 accepted 4 at 1010"]


def test_a_fill_of_one_shrinks_the_other_and_the_last_ends_it():
    bench = placed()
    assert bench.fill(1, 1).sent == ["2: change size 3"]
    assert bench.changed(2).told == ["2 replaced 3 stop 990 (oco_resized)"]
    assert bench.fill(1, 3).sent == ["2: cancel"]
    assert bench.cancelled(2).told == ["2 cancelled (sibling)"]
    assert (bench.position, bench.machine.groups) == (-4, {})


def test_with_on_partial_cancel_the_first_fill_ends_the_other_which_does_not_echo():
    bench = placed(on_partial=OnPartial.CANCEL)
    assert bench.fill(1, 1).sent == ["2: cancel"]
    assert bench.cancelled(2).sent == []
    assert bench.fill(1, 3).told == ["1 filled 3"]
    assert bench.machine.groups == {}


def test_one_that_fills_while_both_are_filled_in_part_completes_the_pair():
    bench = placed()
    bench.fill(1, 1)
    bench.changed(2)
    assert bench.fill(2, 3, 990).sent == ["1: cancel"]
    assert bench.cancelled(1).told == ["1 replaced 1 at 1010 (completed_by_size)"]
    assert (bench.status(1), bench.status(2), bench.position) == ("filled", "filled", -4)


def test_what_both_fill_is_said_and_traded_back_once_it_is_known():
    bench = placed()
    bench.fill(1, 4)
    assert bench.fill(2, 1, 990).told == ["2 double exit 1", "2 filled 1"]
    assert bench.sent == []
    assert bench.cancelled(2).sent == ["1~r0: buy market 1"]
    assert bench.told[0] == "2 replaced 1 stop 990 (completed_by_size)"
    bench.accept(-1)
    bench.fill(-1, 1)
    assert (bench.position, bench.machine.groups) == (-4, {})


def test_a_leg_that_completes_the_pair_with_an_order_too_large_is_ended():
    bench = placed()
    bench.fill(1, 3)
    assert bench.fill(2, 2, 990).told == ["2 double exit 1", "2 filled 2"]
    assert bench.sent == ["1: cancel"]
    bench.cancelled(1)
    assert bench.sent == []
    assert bench.replaced(2, 3).sent == ["2: cancel"]
    assert bench.cancelled(2).sent == ["1~r0: buy market 1"]
    assert bench.told[0] == "2 replaced 2 stop 990 (completed_by_size)"


def test_an_excess_is_traded_back_while_the_other_leg_goes_on_by_right():
    bench = placed(on_partial=OnPartial.CANCEL)
    bench.fill(1, 1)
    assert bench.fill(2, 4, 990).told[0] == "2 double exit 4"
    assert bench.sent == ["1~r0: buy market 4"]
    bench.fill(-1, 4)
    bench.fill(1, 3)
    assert (bench.position, bench.machine.groups) == (-4, {})


def test_entries_on_both_sides_are_repaired_on_the_side_of_the_second():
    bench = placed(second_side=BUY)
    bench.fill(1, 4)
    bench.fill(2, 4, 1_030)
    assert bench.sent == ["1~r0: sell market 4"]
    bench.fill(-1, 4)
    assert bench.position == -4, "as the first one wanted it"


def test_an_uncertain_leg_keeps_the_repair_waiting_and_a_refused_repair_is_repeated():
    bench = placed()
    bench.fill(1, 4)
    bench.fill(2, 1, 990)
    assert bench.doubt(2).sent == []
    assert bench.cancelled(2).sent == ["1~r0: buy market 1"]
    bench.reject(-1)
    assert bench.machine.due_ns() == bench.now_ns + 100 * MS
    assert bench.wait(100).sent == ["1~r1: buy market 1"]


# --- ends and refusals -------------------------------------------------------------------------


def test_the_users_cancel_of_one_ends_both():
    bench = placed()
    assert bench.cancel(2).sent == ["1: cancel", "2: cancel"]
    assert bench.cancelled(1).told == ["1 cancelled (sibling)"]
    assert bench.cancelled(2).told == ["2 cancelled (by_user)"]
    assert bench.machine.groups == {}


def test_an_order_that_the_venue_ends_takes_the_other_with_it():
    bench = placed()
    assert bench.cancelled(2, Reason.BY_VENUE).told == ["2 cancelled (by_venue)"]
    assert bench.sent == ["1: cancel"]
    bench.cancelled(1)
    assert bench.machine.groups == {}


def test_to_prevent_a_self_trade_only_one_ends():
    bench = placed()
    assert bench.cancelled(1, Reason.SELF_TRADE).sent == []
    assert bench.fill(2, 4).told == ["2 filled 4"]
    assert bench.machine.groups == {}


def test_a_refusal_is_told_after_the_other_ones_answer_and_ends_it():
    bench = Bench()
    bench.give(oco())
    assert bench.reject(2).told == []
    assert bench.accept(1).told == ["1 accepted 4 at 1010", "2 rejected (refused_by_venue)"]
    assert bench.sent == ["1: cancel"]
    assert bench.cancelled(1).told == ["1 cancelled (sibling)"]
    assert (bench.status(1), bench.status(2)) == ("cancelled", "rejected")


def test_when_both_are_refused_both_are_told():
    bench = Bench()
    bench.give(oco())
    bench.reject(1, Reason.INSUFFICIENT_MARGIN)
    told = bench.reject(2).told
    assert told == ["1 rejected (insufficient_margin)", "2 rejected (refused_by_venue)"]
    assert bench.machine.groups == {}


def test_a_refusal_beside_an_uncertain_order_is_told_with_its_doubt():
    bench = Bench()
    bench.give(oco())
    bench.reject(2)
    assert bench.doubt(1).told == ["1 uncertain", "2 rejected (refused_by_venue)"]
    assert bench.sent == []
    assert bench.reject(1, Reason.NOT_ARRIVED).told == ["1 rejected (not_arrived)"]
    assert bench.machine.groups == {}


def test_a_refusal_beside_a_fill_ends_what_is_left_of_the_other():
    bench = Bench()
    bench.give(oco())
    bench.reject(2)
    assert bench.fill(1, 1).told == ["1 accepted 4 at 1010", "1 filled 1"]
    assert bench.accept(1).told == ["2 rejected (refused_by_venue)"]
    assert bench.sent == ["1: cancel"]
    assert bench.fill(1, 1).told == ["1 filled 1"]
    assert bench.cancelled(1).sent == [], "what it filled by then is nobody's excess"


def test_a_refusal_beside_an_order_that_ends_is_told_after_that_end():
    bench = Bench()
    bench.give(oco())
    bench.reject(2)
    told = bench.cancelled(1, Reason.BY_VENUE).told
    assert told == ["1 cancelled (sibling)", "2 rejected (refused_by_venue)"]
    assert bench.machine.groups == {}


def test_two_instruments_are_no_pair():
    bench = Bench()
    legs = order(1, SELL), replace(order(2, SELL), instrument="ES")
    reaction = bench.machine.command(0, OcoRequest(*legs))
    assert [row.reason for row in reaction.events] == [Reason.UNSUPPORTED]
    assert reaction.commands == ()


# --- changes -----------------------------------------------------------------------------------


def test_a_change_of_one_leg_is_its_own():
    bench = placed()
    assert bench.change(2, size_lots=3, stop_ticks=985).sent == ["2: change size 3 stop 985"]
    assert bench.changed(2).told == ["2 replaced 3 stop 985"]
    assert bench.sent == []


def test_a_change_that_changes_nothing_is_answered():
    bench = placed()
    assert bench.change(1, size_lots=4).told == ["1 replaced 4 at 1010"]
    assert bench.sent == []


def test_a_refused_change_leaves_the_leg_as_it_was():
    bench = placed()
    bench.change(2, size_lots=3)
    bench.fill(1, 1)
    told = bench.refuse_change(2, Reason.STOP_WRONG_SIDE).told
    assert told == ["2 replace rejected (stop_wrong_side)"]
    assert bench.wait(100).sent == ["2: change size 3"], "for what the other filled"


def test_a_fill_of_the_old_size_before_a_change_arrives_is_no_double_exit():
    bench = placed()
    bench.change(1, size_lots=2)
    assert bench.fill(1, 4).told == ["1 filled 4", "1 replace rejected (order_not_active)"]
    bench.cancelled(2)
    assert bench.machine.groups == {}


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        (0, "size_not_positive"),
        (1, "size_below_filled"),
        (5, "size_above_maximum"),
    ],
)
def test_sizes_that_make_no_sense_are_refused_here(size, reason):
    bench = placed()
    bench.fill(1, 2)
    bench.changed(2)
    assert bench.change(1, size_lots=size).told == [f"1 replace rejected ({reason})"]


def test_a_change_waits_for_what_is_under_way():
    bench = Bench()
    bench.give(oco())
    bench.accept(2)
    assert bench.change(1, limit_ticks=1_011).sent == []
    assert bench.change(1, limit_ticks=1_012).told == ["1 replace rejected (not_modifiable)"]
    assert bench.accept(1).sent == ["1: change at 1011"]


def test_a_change_that_has_waited_is_refused_when_the_pair_ended_meanwhile():
    bench = placed()
    bench.fill(1, 1)
    assert bench.change(2, stop_ticks=985).told == []
    bench.fill(1, 3)
    assert bench.told == ["1 filled 3", "2 replace rejected (order_not_active)"]
    assert bench.changed(2).sent == ["2: cancel"]


def test_where_orders_cannot_be_changed_a_leg_is_placed_anew_and_tried_again_when_refused():
    bench = placed()
    bench.fill(1, 1)
    assert bench.refuse_change(2, Reason.NOT_MODIFIABLE).sent == ["2: cancel"]
    assert bench.cancelled(2).sent == ["2~1: sell 3 stop 990"]
    assert bench.reject(2).told == []
    assert bench.wait(100).sent == ["2~2: sell 3 stop 990"]
    assert bench.accept(2).told == ["2 activated 3 stop 990"]


def test_a_leg_that_cannot_be_placed_anew_ends_the_pair():
    bench = placed()
    bench.fill(1, 1)
    bench.refuse_change(2, Reason.NOT_MODIFIABLE)
    bench.cancelled(2)
    for pause in (100, 200):
        bench.reject(2)
        bench.wait(pause)
    assert bench.reject(2).told == ["2 cancelled (by_venue)"]
    assert bench.sent == ["1: cancel"]


def test_a_market_leg_fills_and_ends_the_other_before_its_answer():
    bench = Bench()
    legs = order(1, SELL, kind=OrderType.MARKET), order(2, SELL, kind=OrderType.STOP, price=990)
    assert bench.give(OcoRequest(*legs)).sent == ["1: sell market 4", "2: sell 4 stop 990"]
    bench.fill(1, 4)
    assert bench.sent == [], "the placement of the other is unanswered"
    assert bench.accept(2).sent == ["2: cancel"]
