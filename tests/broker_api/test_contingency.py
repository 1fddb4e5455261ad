"""Brackets that the client keeps: what is sent and told, step by step, at a plain venue."""

from __future__ import annotations

import pytest
from contingent_bench import MS, OPEN, PARTIAL, SELL, Bench, bracket

from broker_api.contingency import Protection
from broker_api.event import EventKind, Reason
from broker_api.order import (
    Arm,
    OnPartial,
    OrderType,
    Role,
)

# --- exits follow their entry ------------------------------------------------------------------


def test_exits_wait_for_the_entry_and_cover_what_it_fills_at_its_average():
    bench = Bench()
    assert bench.give(bracket()).sent == ["1: buy 4 at 1000"]
    assert bench.accept(1).told == ["1 accepted 4 at 1000", "2 accepted 4", "3 accepted 4"]
    assert (bench.status(2), bench.status(3)) == ("held", "held")
    assert bench.fill(1, 2).sent == ["2: sell 2 stop 990", "3: sell 2 at 1020"]
    assert bench.accept(2, 3).told == ["2 activated 2 stop 990", "3 activated 2 at 1020"]
    # 2 at 1,000 and 1 at 1,003 average 1,001.
    bench.fill(1, 1, 1_003)
    assert bench.sent == ["2: change size 3 stop 991", "3: change size 3 at 1021"]
    assert bench.changed(2).told == ["2 replaced 3 stop 991 (exit_repriced)"]
    assert bench.changed(3).told == ["3 replaced 3 at 1021 (exit_repriced)"]
    # Then 1,001.5: both exits are rounded towards the entry.
    bench.fill(1, 1, 1_003)
    assert bench.sent == ["2: change size 4 stop 992", "3: change size 4"]


def test_exits_of_a_short_are_rounded_towards_it_as_well():
    bench = Bench()
    bench.give(bracket(side=SELL, lots=2)).accept(1)
    bench.fill(1, 1, 1_000)
    bench.accept(2, 3)
    bench.fill(1, 1, 1_001)
    assert bench.sent == ["2: change size 2", "3: change size 2 at 981"]


def test_prices_that_were_given_stay():
    bench = Bench()
    terms = {"stop": {"price_ticks": 985}, "target": {"price_ticks": 1_030}}
    bench.give(bracket(**terms))
    assert bench.accept(1).told[1:] == ["2 accepted 4 stop 985", "3 accepted 4 at 1030"]
    assert bench.fill(1, 4, 999).sent == ["2: sell 4 stop 985", "3: sell 4 at 1030"]


@pytest.mark.parametrize(
    ("stop", "sent"),
    [
        ({"offset_ticks": 10, "limit_offset_ticks": 3}, "2: sell 4 at 987 stop 990"),
        ({"price_ticks": 985, "limit_offset_ticks": 3}, "2: sell 4 at 982 stop 985"),
        ({"trail_ticks": 7}, "2: sell 4 trail 7"),
    ],
)
def test_a_stop_may_be_a_stop_limit_or_trail(stop, sent):
    bench = Bench()
    bench.give(bracket(stop=stop, target=None)).accept(1)
    assert bench.fill(1, 4).sent == [sent]
    assert bench.plain[2].order_type is not OrderType.STOP


def test_growth_that_comes_while_a_command_is_under_way_is_sent_once_it_is_answered():
    bench = Bench()
    bench.give(bracket(target=None)).accept(1)
    bench.fill(1, 1)
    assert bench.fill(1, 1).sent == []
    assert bench.fill(1, 2).sent == []
    assert bench.accept(2).sent == ["2: change size 4"]


def test_a_fully_armed_bracket_waits_for_its_entry_to_end():
    bench = Bench()
    bench.give(bracket(arm=Arm.FULL)).accept(1)
    assert bench.fill(1, 3).sent == []
    assert bench.cancel(1).sent == ["1: cancel"]
    assert bench.cancelled(1).sent == ["2: sell 3 stop 990", "3: sell 3 at 1020"]


def test_an_entry_that_ends_unfilled_takes_its_exits_with_it():
    bench = Bench()
    bench.give(bracket()).accept(1)
    bench.cancel(1)
    bench.cancelled(1)
    assert bench.told == [
        "1 cancelled (by_user)",
        "2 cancelled (entry_ended)",
        "3 cancelled (entry_ended)",
    ]
    assert bench.machine.groups == {}


def test_a_refused_entry_refuses_its_exits():
    bench = Bench()
    bench.give(bracket())
    assert bench.reject(1).told == ["1 rejected (refused_by_venue)"]
    assert {bench.status(key) for key in (1, 2, 3)} == {"rejected"}
    assert bench.machine.groups == {}


def test_a_fill_that_comes_before_the_answer_is_an_answer():
    bench = Bench()
    bench.give(bracket(lots=1, target=None))
    bench.fill(1, 1)
    assert bench.told == ["1 accepted 1 at 1000", "2 accepted 1", "1 filled 1"]
    assert bench.accept(1).told == [], "the answer was overtaken"
    bench.fill(2, 1, 990)
    assert bench.told == ["2 activated 1 stop 990", "2 filled 1"]
    assert bench.accept(2).told == []
    assert bench.position == 0


def test_an_answer_that_comes_after_a_part_fill_says_so():
    bench = Bench()
    bench.give(bracket(target=None))
    bench.fill(1, 1)
    bench.hear(EventKind.ACCEPTED, 1, OPEN, lots=4, price_ticks=1_000)
    assert bench.status(1) == "partially_filled"


def test_an_exit_that_has_filled_follows_the_average_no_more():
    bench = Bench()
    bench.give(bracket()).accept(1)
    bench.fill(1, 2)
    bench.accept(2, 3)
    bench.fill(3, 1, 1_020)
    bench.changed(2)
    assert bench.fill(1, 2, 1_004).sent == ["2: change size 3 stop 992", "3: change size 4"]


def test_an_uncertain_change_is_sent_again_when_it_turns_out_not_to_have_arrived():
    bench = Bench()
    bench.give(bracket(target=None)).accept(1)
    bench.fill(1, 2)
    bench.accept(2)
    assert bench.fill(1, 2, 1_004).sent == ["2: change size 4 stop 992"]
    assert bench.doubt(2).told == ["2 uncertain", "2 unprotected"]
    assert bench.accept(2).told == ["2 activated 2 stop 990"]
    assert bench.sent == ["2: change size 4 stop 992"]


def test_a_late_fill_of_an_order_before_counts():
    bench = Bench()
    bench.give(bracket(target=None)).accept(1)
    bench.fill(1, 4)
    first = bench.plain[2].order_id
    bench.accept(2)
    bench.cancelled(2, Reason.BY_VENUE)
    bench.wait(100)
    bench.accept(2)
    terms = {"order_id": first, "side": 1, "lots": 1, "price_ticks": 990, "filled_lots": 1}
    bench.hear(EventKind.FILLED, 2, PARTIAL, **terms)
    assert bench.told == ["2 filled 1"]
    assert bench.sent == ["2~1: change size 3"]
    assert bench.ledger.orders[2].filled_lots == 1


def test_exits_are_reduce_only_where_the_venue_can():
    bench = Bench(Protection(reduce_only=True)).protected()
    assert bench.plain[2].reduce_only
    assert bench.plain[3].reduce_only
    assert not bench.plain[1].reduce_only


# --- siblings ----------------------------------------------------------------------------------


def test_a_fill_of_one_exit_shrinks_the_other_and_the_last_ends_it():
    bench = Bench().protected()
    assert bench.fill(3, 1, 1_020).sent == ["2: change size 3"]
    bench.changed(2)
    assert bench.fill(3, 3, 1_020).sent == ["2: cancel"]
    assert bench.told == ["3 filled 3"]
    assert bench.cancelled(2).told == ["2 cancelled (sibling)"]
    assert (bench.status(2), bench.status(3)) == ("cancelled", "filled")
    assert bench.machine.groups == {}


def test_a_leg_that_filled_what_it_covered_is_complete_when_its_sibling_ends_it():
    bench = Bench().protected()
    bench.fill(2, 1, 990)
    bench.changed(3)
    bench.fill(3, 3, 1_020)
    assert bench.cancelled(2).told == ["2 replaced 1 stop 990 (completed_by_size)"]
    assert bench.status(2) == "filled"


def test_an_exit_that_filled_all_there_was_is_placed_again_under_a_name_of_its_own():
    bench = Bench()
    bench.give(bracket()).accept(1)
    bench.fill(1, 2)
    bench.accept(2, 3)
    bench.fill(3, 2, 1_020)
    assert bench.told == ["3 filled 2", "3 held"]
    assert bench.sent == ["2: cancel"]
    assert bench.cancelled(2).told == ["2 held"]
    assert bench.ledger.orders[2].leaves_lots == 0
    bench.fill(1, 2)
    assert bench.sent == ["2~1: sell 2 stop 990", "3~1: sell 2 at 1020"]
    assert bench.accept(2, 3).told == ["2 activated 2 stop 990", "3 activated 4 at 1020"]
    bench.fill(3, 2, 1_020)
    assert bench.told == ["3 filled 2"]
    assert bench.ledger.orders[3].filled_lots == 4


def test_on_partial_cancel_ends_the_other_for_good_and_says_when_that_was_the_stop():
    bench = Bench().protected(on_partial=OnPartial.CANCEL)
    assert bench.fill(3, 1, 1_020).sent == ["2: cancel"]
    assert bench.cancelled(2).told == ["2 cancelled (sibling)", "2 unprotected"]
    assert bench.sent == []
    assert bench.fill(3, 3, 1_020).sent == []
    assert bench.machine.groups == {}


def test_with_on_partial_cancel_a_fill_of_the_one_that_ends_does_not_end_the_other():
    bench = Bench().protected(on_partial=OnPartial.CANCEL)
    bench.fill(3, 1, 1_020)
    assert bench.fill(2, 1, 990).sent == ["3: change size 3"]
    bench.changed(3)
    bench.cancelled(2)
    assert bench.machine.groups[1].open_lots == 2
    assert bench.status(3) == "partially_filled"


# --- both exits fill ---------------------------------------------------------------------------


def test_a_double_exit_is_said_and_traded_back_once_when_no_more_can_fill():
    bench = Bench().protected()
    bench.fill(3, 4, 1_020)
    assert bench.fill(2, 1, 990).told == ["2 double exit 1", "2 filled 1"]
    assert bench.sent == [], "the stop may fill more before its cancel arrives"
    assert bench.fill(2, 2, 990).told == ["2 double exit 2", "2 filled 2"]
    assert bench.cancelled(2).sent == ["1~r0: buy market 3"]
    assert bench.told == [
        "2 replaced 3 stop 990 (completed_by_size)",
        "repair 1 accepted 3 (repair)",
    ]
    assert bench.position == -3
    bench.accept(-1)
    assert bench.fill(-1, 3, 995).sent == []
    assert (bench.position, bench.machine.groups) == (0, {})
    assert bench.ledger.orders[bench.plain[-1].order_id].role is Role.REPAIR


def test_the_answer_to_a_cancel_of_a_repair_is_told_though_its_group_is_over():
    bench = Bench().protected()
    bench.fill(3, 4, 1_020)
    bench.fill(2, 3, 990)
    bench.cancelled(2)
    bench.accept(-1)
    bench.fill(-1, 3, 995)
    assert bench.machine.groups == {}
    assert bench.refuse_cancel(-1).told == ["repair 1 cancel rejected (order_not_active)"]


def test_a_repair_waits_until_an_uncertain_sibling_is_known():
    bench = Bench().protected()
    bench.fill(3, 4, 1_020)
    bench.fill(2, 1, 990)
    assert bench.doubt(2).sent == []
    assert bench.wait(60_000).sent == []
    assert bench.accept(2).sent == ["2: cancel"], "it is there after all"
    assert bench.cancelled(2).sent == ["1~r0: buy market 1"]


def test_a_refused_repair_is_repeated_after_a_pause_and_a_rest_is_traded_by_another():
    bench = Bench().protected()
    bench.fill(3, 4, 1_020)
    bench.fill(2, 4, 990)
    assert bench.sent == ["1~r0: buy market 4"]
    assert bench.reject(-1).sent == []
    assert bench.machine.due_ns() == bench.now_ns + 100 * MS
    assert bench.wait(99).sent == []
    assert bench.wait(1).sent == ["1~r1: buy market 4"]
    bench.accept(-1)
    bench.fill(-1, 3, 995)
    bench.cancelled(-1, Reason.MARKET_REST)
    assert bench.wait(100).sent == ["1~r2: buy market 1"]
    bench.fill(-1, 1, 995)
    assert (bench.position, bench.machine.groups) == (0, {})


def test_an_uncertain_repair_is_not_repeated():
    bench = Bench().protected()
    bench.fill(3, 4, 1_020)
    bench.fill(2, 4, 990)
    bench.doubt(-1)
    assert bench.wait(60_000).sent == []
    assert bench.machine.due_ns() is None
    assert bench.reject(-1, Reason.NOT_ARRIVED).sent == []
    assert bench.wait(100).sent == ["1~r1: buy market 4"]


def test_a_double_exit_does_not_take_lots_from_other_brackets():
    bench = Bench().protected()
    bench.give(bracket(10, lots=3)).accept(10)
    bench.fill(10, 3)
    bench.accept(11, 12)
    bench.fill(3, 4, 1_020)
    bench.fill(2, 4, 990)
    assert bench.position == -1
    assert bench.sent == ["1~r0: buy market 4"], "and the exits of the other stay at three"
    bench.accept(-1)
    bench.fill(-1, 4, 995)
    assert bench.machine.groups[10].open_lots == bench.position == 3
