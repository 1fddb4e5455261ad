"""Exits that the client keeps, when something is wrong: stops that are not there, other orders."""

from __future__ import annotations

from contingent_bench import MS, OPEN, SELL, Bench, bracket, order

from broker_api.event import EventKind, Reason, row_of
from broker_api.order import (
    OrderType,
)

# --- protection --------------------------------------------------------------------------------


def test_a_refused_stop_is_said_at_once_and_tried_again_later_each_time():
    bench = Bench()
    bench.give(bracket(target=None)).accept(1)
    bench.fill(1, 4)
    assert bench.reject(2).told == ["2 unprotected"]
    assert bench.sent == []
    assert bench.wait(99).sent == []
    assert bench.wait(1).sent == ["2~1: sell 4 stop 990"]
    assert bench.reject(2).told == [], "it was said"
    assert bench.wait(199).sent == []
    assert bench.wait(1).sent == ["2~2: sell 4 stop 990"]
    assert bench.accept(2).told == ["2 activated 4 stop 990"]
    # And when it is lost again, that is said again.
    assert bench.cancelled(2, Reason.BY_VENUE).told == ["2 held", "2 unprotected"]
    assert bench.wait(100).sent == ["2~3: sell 4 stop 990"]


def test_after_so_many_refusals_the_position_is_closed_at_market():
    bench = Bench()
    bench.give(bracket()).accept(1)
    bench.fill(1, 3)
    bench.accept(3)
    bench.reject(2)
    bench.wait(100)
    bench.reject(2)
    bench.wait(200)
    assert bench.reject(2).sent == ["3: cancel", "1: cancel", "1~r0: sell market 3"]
    assert bench.told == ["repair 1 accepted 3 (repair)"]
    bench.cancelled(1)
    bench.accept(-1)
    bench.fill(-1, 3, 970)
    bench.cancelled(3)
    assert bench.told == ["3 cancelled (position_flat)"]
    assert (bench.status(2), bench.position, bench.machine.groups) == ("cancelled", 0, {})


def test_a_stop_that_the_market_has_passed_closes_at_once():
    bench = Bench()
    bench.give(bracket(target=None)).accept(1)
    bench.fill(1, 4)
    assert bench.reject(2, Reason.STOP_WRONG_SIDE).told[0] == "2 unprotected"
    assert bench.sent == ["1~r0: sell market 4"]


def test_an_uncertain_stop_is_said_at_once_and_placed_again_only_when_surely_not_there():
    bench = Bench()
    bench.give(bracket(target=None)).accept(1)
    bench.fill(1, 4)
    assert bench.doubt(2).told == ["2 uncertain", "2 unprotected"]
    assert bench.status(2) == "uncertain"
    assert bench.wait(500).sent == []
    assert bench.reject(2, Reason.NOT_ARRIVED).told == ["2 held"]
    assert bench.wait(100).sent == ["2~1: sell 4 stop 990"]


def test_an_uncertain_stop_that_is_found_protects_again():
    bench = Bench()
    bench.give(bracket(target=None)).accept(1)
    bench.fill(1, 4)
    bench.doubt(2)
    assert bench.machine.due_ns() == bench.now_ns + 1_000 * MS
    assert bench.accept(2).told == ["2 activated 4 stop 990"]
    assert bench.machine.due_ns() is None
    assert bench.wait(60_000).sent == []


def test_without_word_of_an_uncertain_stop_the_position_is_closed_and_the_stop_dealt_with_later():
    bench = Bench()
    bench.give(bracket(target=None)).accept(1)
    bench.fill(1, 4)
    bench.doubt(2)
    assert bench.wait(1_000).sent == ["1~r0: sell market 4"]
    bench.accept(-1)
    bench.fill(-1, 4, 970)
    assert bench.accept(2).sent == ["2: cancel"], "it was there all the time"
    # It triggers before its cancel arrives.
    assert bench.fill(2, 4, 969).told == ["2 double exit 4", "2 filled 4", *bench.told[2:]]
    assert bench.sent == ["1~r1: buy market 4"]
    bench.fill(-1, 4, 969)
    assert (bench.position, bench.machine.groups) == (0, {})


def test_a_close_that_fills_after_the_target_did_is_a_double_exit():
    bench = Bench()
    bench.give(bracket()).accept(1)
    bench.fill(1, 4)
    bench.accept(3)
    bench.reject(2, Reason.STOP_WRONG_SIDE)
    assert bench.sent == ["3: cancel", "1~r0: sell market 4"]
    bench.fill(3, 4, 1_020)
    assert bench.fill(-1, 4, 970).told[0] == "repair 1 double exit 4"
    assert bench.sent == ["1~r1: buy market 4"]


def test_the_emergency_ends_an_entry_that_still_works_and_closes_what_it_fills_meanwhile():
    bench = Bench()
    bench.give(bracket(target=None)).accept(1)
    bench.fill(1, 2)
    bench.reject(2, Reason.STOP_WRONG_SIDE)
    assert bench.sent == ["1: cancel", "1~r0: sell market 2"]
    bench.refuse_cancel(1, Reason.REFUSED_BY_VENUE)
    assert bench.wait(100).sent == ["1: cancel"]
    bench.fill(1, 1)
    bench.fill(-1, 2)
    assert bench.sent == ["1~r1: sell market 1"]
    bench.cancelled(1)
    bench.fill(-1, 1)
    assert (bench.position, bench.machine.groups) == (0, {})


def test_a_refused_close_is_repeated_and_stays_the_only_exit():
    bench = Bench()
    bench.give(bracket(target=None)).accept(1)
    bench.fill(1, 4)
    bench.reject(2, Reason.STOP_WRONG_SIDE)
    bench.reject(-1, Reason.MARKET_CLOSED)
    assert bench.wait(100).sent == ["1~r1: sell market 4"]


def test_growth_of_a_stop_that_is_refused_is_said_and_tried_again_while_the_old_one_stays():
    bench = Bench()
    bench.give(bracket(target=None)).accept(1)
    bench.fill(1, 2)
    bench.accept(2)
    bench.fill(1, 2)
    assert bench.refuse_change(2, Reason.REFUSED_BY_VENUE).told == ["2 unprotected"]
    for pause in (100, 200, 400):
        assert bench.wait(pause - 1).sent == []
        assert bench.wait(1).sent == ["2: change size 4"]
        bench.refuse_change(2, Reason.REFUSED_BY_VENUE)
    assert bench.wait(400).sent == ["2: cancel", "1~r0: sell market 4"], "too small for too long"


def test_an_exit_that_is_too_large_is_ended_when_the_venue_does_not_shrink_it():
    bench = Bench().protected()
    bench.fill(3, 1, 1_020)
    assert bench.refuse_change(2, Reason.REFUSED_BY_VENUE).sent == []
    assert bench.wait(100).sent == ["2: change size 3"]
    assert bench.refuse_change(2, Reason.REFUSED_BY_VENUE).sent == ["2: cancel"]
    assert bench.cancelled(2).sent == ["2~1: sell 3 stop 990"]


def test_where_orders_cannot_be_changed_they_are_ended_and_placed_anew_at_once():
    bench = Bench().protected()
    bench.fill(3, 1, 1_020)
    assert bench.refuse_change(2, Reason.NOT_MODIFIABLE).sent == ["2: cancel"]
    assert bench.told == []
    assert bench.cancelled(2).sent == ["2~1: sell 3 stop 990"]
    assert bench.told == ["2 held"]


def test_an_order_that_is_ended_to_be_changed_is_placed_anew_without_a_pause():
    bench = Bench()
    bench.give(bracket(target=None)).accept(1)
    bench.fill(1, 1)
    bench.accept(2)
    bench.fill(1, 1)
    bench.refuse_change(2, Reason.REFUSED_BY_VENUE)
    assert bench.fill(1, 1).sent == ["2: change size 3"]
    assert bench.refuse_change(2, Reason.NOT_MODIFIABLE).sent == ["2: cancel"]
    assert bench.cancelled(2).sent == ["2~1: sell 3 stop 990"]


def test_a_cancel_is_never_held_back_by_the_pause_after_a_refusal():
    bench = Bench()
    bench.give(bracket()).accept(1)
    bench.fill(1, 2)
    bench.accept(2, 3)
    bench.fill(1, 2)
    bench.changed(3)
    bench.refuse_change(2, Reason.REFUSED_BY_VENUE)
    assert bench.fill(3, 4, 1_020).sent == ["2: cancel"]


def test_a_stop_whose_cancel_was_refused_because_it_is_gone_counts_as_lost_until_its_end_is_known():
    bench = Bench().protected()
    bench.fill(3, 1, 1_020)
    assert bench.refuse_change(2, Reason.ORDER_NOT_ACTIVE).told == ["2 unprotected"]
    assert bench.fill(2, 4, 990).told == ["2 double exit 1", "2 filled 4"]


def test_a_venue_that_ends_the_stop_because_the_position_is_flat_says_no_more_than_that():
    bench = Bench().protected()
    assert bench.cancelled(2, Reason.REDUCE_ONLY_DONE).told == ["2 held"]
    assert bench.fill(3, 4, 1_020).told == ["3 filled 4", "2 cancelled (sibling)"]
    # And when it was wrong, the stop is placed again.
    bench = Bench().protected()
    bench.cancelled(2, Reason.REDUCE_ONLY_DONE)
    assert bench.wait(100).sent == ["2~1: sell 4 stop 990"]
    assert bench.reject(2, Reason.NO_POSITION_TO_REDUCE).told == ["2 unprotected"]


def test_a_target_that_is_refused_again_and_again_is_given_up_and_the_stop_stays():
    bench = Bench()
    bench.give(bracket()).accept(1)
    bench.fill(1, 4)
    bench.accept(2)
    for pause in (100, 200):
        assert bench.reject(3, Reason.PRICE_OUTSIDE_BAND).told == []
        bench.wait(pause)
    assert bench.reject(3, Reason.PRICE_OUTSIDE_BAND).told == ["3 rejected (price_outside_band)"]
    assert bench.machine.due_ns() is None
    assert bench.fill(2, 4, 990).told == ["2 filled 4"]
    assert bench.machine.groups == {}


# --- the position ------------------------------------------------------------------------------


def test_other_orders_shrink_the_exits_of_the_oldest_bracket_first_and_flat_ends_them():
    bench = Bench().protected(lots=2)
    bench.give(bracket(10, lots=3)).accept(10)
    bench.fill(10, 3)
    bench.accept(11, 12)
    assert bench.give(order(20, SELL, 1, OrderType.MARKET)).sent == ["20: sell market 1"]
    assert bench.fill(20, 1).sent == ["2: change size 1", "3: change size 1"]
    bench.changed(2)
    bench.changed(3)
    bench.give(order(21, SELL, 2, OrderType.MARKET))
    assert bench.fill(21, 2).sent == [
        "2: cancel",
        "3: cancel",
        "11: change size 2",
        "12: change size 2",
    ]
    assert bench.cancelled(2).told == ["2 cancelled (position_flat)"]
    bench.cancelled(3)
    bench.changed(11)
    bench.changed(12)
    bench.give(order(22, SELL, 2, OrderType.MARKET))
    assert bench.fill(22, 2).sent == ["11: cancel", "12: cancel"]


def test_an_entry_against_a_position_gets_exits_for_what_it_opens_only():
    bench = Bench(positions=(3,))
    bench.give(bracket(side=SELL)).accept(1)
    assert bench.fill(1, 4).sent == ["2: buy 1 stop 1010", "3: buy 1 at 980"]


def test_a_position_that_the_broker_reports_caps_the_exits():
    bench = Bench().protected()
    row = row_of(EventKind.POSITION, ts_ns=bench.now_ns, instrument=0, position_lots=1)
    reaction = bench.machine.hear(row, bench.now_ns)
    assert [command.size_lots for command in reaction.commands] == [1, 1]
    assert reaction.events[0].position_lots == 1


def test_an_exit_that_fills_after_the_user_closed_is_traded_back():
    bench = Bench().protected(target=None)
    bench.give(order(20, SELL, 4, OrderType.MARKET))
    assert bench.fill(20, 4).sent == ["2: cancel"]
    assert bench.fill(2, 4, 990).told == ["2 double exit 4", "2 filled 4", *bench.told[2:]]
    assert bench.sent == ["1~r0: buy market 4"]


# --- what the venue makes of it ----------------------------------------------------------------


def test_a_venue_that_rounds_prices_is_not_asked_again_and_again():
    bench = Bench()
    bench.give(bracket(target=None)).accept(1)
    bench.fill(1, 2)
    assert bench.accept(2, stop_ticks=989).sent == []
    assert bench.machine.due_ns() is None


def test_a_venue_that_makes_an_exit_smaller_is_asked_again_after_a_pause():
    bench = Bench()
    bench.give(bracket(target=None)).accept(1)
    bench.fill(1, 4)
    bench.sizes[2] = 3
    assert bench.accept(2).sent == []
    assert bench.wait(100).sent == ["2: change size 4"]


def test_a_venue_that_changes_less_than_asked_is_asked_again_after_a_pause():
    bench = Bench()
    bench.give(bracket(target=None)).accept(1)
    bench.fill(1, 2)
    bench.accept(2)
    bench.fill(1, 2)
    assert bench.replaced(2, 3).sent == []
    assert bench.wait(100).sent == ["2: change size 4"]


def test_a_stop_that_has_triggered_is_told_and_moves_no_more():
    bench = Bench()
    bench.give(bracket(target=None)).accept(1)
    bench.fill(1, 2)
    bench.accept(2)
    row = {"stop_ticks": 990, "price_ticks": 989}
    assert bench.hear(EventKind.TRIGGERED, 2, OPEN, **row).told == ["2 triggered"]
    assert bench.fill(1, 2, 1_010).sent == ["2: change size 4"], "its price is not what it was for"
    bench.changed(2)
    assert bench.change(2, stop_ticks=980).told == ["2 replace rejected (not_modifiable)"]


def test_a_trailing_stop_that_the_venue_moves_is_told():
    bench = Bench().protected(stop={"trail_ticks": 7}, target=None)
    told = bench.replaced(2, 4, stop_ticks=996, reason=int(Reason.TRAILED)).told
    assert told == ["2 replaced 4 stop 996 (trailed)"]
    assert bench.sent == []
    assert bench.change(2, trail_ticks=5).sent == ["2: change trail 5"]


def test_what_comes_after_a_group_is_told_only_where_somebody_may_wait_for_it():
    bench = Bench().protected(target=None)
    bench.fill(2, 4, 990)
    assert bench.machine.groups == {}
    assert bench.accept(2).told == []
    assert bench.doubt(2).told == []
    assert bench.cancel(1).sent == ["1: cancel"]
    assert bench.refuse_cancel(1).told == ["1 cancel rejected (order_not_active)"]


def test_orders_of_no_group_and_events_of_no_order_pass():
    bench = Bench()
    assert bench.give(order(7)).sent == ["7: buy 4 at 1000"]
    assert bench.accept(7).told == ["7 accepted 4 at 1000"]
    assert bench.change(7, size_lots=3).sent == ["7: change size 3"]
    assert bench.cancel(7).sent == ["7: cancel"]
    row = row_of(EventKind.ACCOUNT, ts_ns=5, instrument=-1, cash_nanos=10**15)
    assert bench.machine.hear(row, bench.now_ns).events[0].cash_nanos == 10**15


def test_told_events_are_numbered_one_after_the_other():
    bench = Bench()
    told = []
    take = bench._take
    bench._take = lambda reaction: (told.extend(reaction.events), take(reaction))[1]
    bench.protected()
    bench.fill(3, 4, 1_020)
    bench.cancelled(2)
    assert [row.seq for row in told] == list(range(1, len(told) + 1))
