"""Exits that the client keeps and a user changes; ids and names; one order as its events tell."""

from __future__ import annotations

from dataclasses import replace

import pytest
from contingent_bench import BUY, MNQ, MS, OPEN, PARTIAL, RULES, SELL, Bench, bracket, order

from broker_api.broker import PositionState
from broker_api.contingency import Contingency, Protection
from broker_api.event import EventKind, Reason, row_of
from broker_api.order import (
    OnPartial,
    OrderStatus,
    OrderType,
    ReplaceRequest,
)
from broker_api.plain_order import PlainOrder, asked_id, is_repair, made_id, made_name

# --- the user's hand ---------------------------------------------------------------------------


def test_a_stop_that_the_user_ends_stays_ended_and_that_is_said():
    bench = Bench().protected()
    assert bench.cancel(2).sent == ["2: cancel"]
    assert bench.cancelled(2).told == ["2 cancelled (by_user)", "2 unprotected"]
    assert bench.wait(60_000).sent == []
    assert bench.fill(3, 4, 1_020).told == ["3 filled 4"]
    assert bench.machine.groups == {}


def test_a_target_that_the_user_ends_leaves_the_stop():
    bench = Bench().protected()
    bench.cancel(3)
    assert bench.cancelled(3).told == ["3 cancelled (by_user)"]
    assert bench.machine.groups[1].stop.covers(4)


def test_a_waiting_exit_is_ended_without_the_venue():
    bench = Bench()
    bench.give(bracket()).accept(1)
    bench.cancel(3)
    assert (bench.sent, bench.told) == ([], ["3 cancelled (by_user)"])
    assert bench.fill(1, 4).sent == ["2: sell 4 stop 990"]


def test_a_cancel_of_an_exit_that_is_over_is_refused():
    bench = Bench().protected()
    bench.cancel(3)
    assert bench.cancel(3).told == ["3 cancel rejected (order_not_active)"]
    bench.fill(3, 4, 1_020)
    assert bench.told == ["3 filled 4", "3 cancel rejected (order_not_active)"]
    assert bench.sent == ["2: cancel"]


def test_a_refused_cancel_of_the_users_leaves_the_exit_as_it_was():
    bench = Bench().protected()
    bench.cancel(2)
    told = bench.refuse_cancel(2, Reason.REFUSED_BY_VENUE).told
    assert told == ["2 cancel rejected (refused_by_venue)"]
    assert bench.wait(60_000).sent == []
    assert bench.machine.groups[1].stop.covers(4)


def test_a_refused_cancel_does_not_keep_an_exit_that_its_group_ends():
    bench = Bench().protected(on_partial=OnPartial.CANCEL)
    bench.fill(3, 1, 1_020)
    bench.cancel(2)
    bench.refuse_cancel(2, Reason.REFUSED_BY_VENUE)
    assert bench.wait(100).sent == ["2: cancel"]
    assert bench.cancelled(2).told == ["2 cancelled (sibling)", "2 unprotected"]


def test_an_exit_grows_by_hand_only_as_far_as_the_position_goes():
    bench = Bench().protected()
    bench.give(order(20, SELL, 2, OrderType.MARKET))
    bench.fill(20, 2)
    bench.changed(2)
    bench.changed(3)
    assert bench.change(3, size_lots=4).told == ["3 replace rejected (size_above_maximum)"]


def test_a_refused_shrinking_covers_no_more_than_the_position_afterwards():
    bench = Bench().protected(target=None)
    bench.change(2, size_lots=3)
    bench.give(order(20, SELL, 1, OrderType.MARKET))
    assert bench.fill(20, 1).sent == []
    assert bench.refuse_change(2, Reason.REFUSED_BY_VENUE).sent == []
    assert bench.wait(100).sent == ["2: change size 3"]


def test_prices_set_by_hand_end_the_following_of_the_entry():
    bench = Bench()
    bench.give(bracket()).accept(1)
    bench.fill(1, 2)
    bench.accept(2, 3)
    assert bench.change(2, stop_ticks=985).sent == ["2: change stop 985"]
    assert bench.changed(2).told == ["2 replaced 2 stop 985"]
    bench.fill(1, 2, 1_004)
    assert bench.sent == ["2: change size 4", "3: change size 4 at 1022"]


def test_changes_of_waiting_exits_are_kept_and_answered():
    bench = Bench()
    bench.give(bracket(stop={"offset_ticks": 10, "limit_offset_ticks": 2})).accept(1)
    assert bench.change(2, stop_ticks=980).told == ["2 replaced 4 at 978 stop 980"]
    assert bench.change(3, limit_ticks=1_030).told == ["3 replaced 4 at 1030"]
    told = bench.change(3, size_lots=3).told
    assert told == ["2 replaced 3 at 978 stop 980 (exit_resized)", "3 replaced 3 at 1030"]
    assert bench.fill(1, 4).sent == ["2: sell 3 at 978 stop 980", "3: sell 3 at 1030"]
    bench.accept(2, 3)
    assert bench.fill(3, 3, 1_030).sent == ["2: cancel"], "the fourth was left open by hand"


def test_a_new_size_of_one_exit_is_followed_by_the_other():
    bench = Bench().protected()
    assert bench.change(2, size_lots=3).sent == ["2: change size 3", "3: change size 3"]
    assert bench.changed(2).told == ["2 replaced 3 stop 990"]
    assert bench.changed(3).told == ["3 replaced 3 at 1020 (exit_resized)"]
    # It may grow again to what was given back, and not beyond.
    assert bench.change(3, size_lots=5).told == ["3 replace rejected (size_above_maximum)"]
    assert bench.change(3, size_lots=4).sent == ["2: change size 4", "3: change size 4"]


def test_a_change_that_the_venue_refuses_changes_nothing():
    bench = Bench().protected()
    bench.change(2, stop_ticks=995, size_lots=3)
    assert bench.changed(3).sent == []
    assert bench.refuse_change(2, Reason.STOP_WRONG_SIDE).told == [
        "2 replace rejected (stop_wrong_side)"
    ]
    assert bench.sent == ["3: change size 4"]
    assert bench.machine.groups[1].stop.prices.stop_ticks == 990


def test_a_change_waits_for_what_is_under_way_and_there_is_one_at_a_time():
    bench = Bench()
    bench.give(bracket(target=None)).accept(1)
    bench.fill(1, 4)
    assert bench.change(2, stop_ticks=985).sent == []
    assert bench.change(2, stop_ticks=980).told == ["2 replace rejected (not_modifiable)"]
    assert bench.accept(2).sent == ["2: change stop 985"]
    assert bench.changed(2).told == ["2 replaced 4 stop 985"]


def test_a_change_that_a_fill_overtakes_is_answered():
    bench = Bench().protected(target=None)
    bench.change(2, size_lots=3)
    bench.fill(2, 4, 990)
    assert bench.told == ["2 filled 4", "2 replace rejected (order_not_active)"]
    assert (bench.position, bench.sent) == (0, []), "the old size was in force: nothing to repair"


def test_where_the_venue_cannot_change_the_users_change_makes_a_new_order():
    bench = Bench().protected()
    bench.change(2, stop_ticks=985)
    told = bench.refuse_change(2, Reason.NOT_MODIFIABLE).told
    assert told == ["2 replaced 4 stop 990"]
    assert bench.sent == ["2: cancel"]
    assert bench.cancelled(2).sent == ["2~1: sell 4 stop 985"]


@pytest.mark.parametrize(
    ("key", "terms", "reason"),
    [
        (2, {"limit_ticks": 980}, "not_modifiable"),
        (3, {"stop_ticks": 980}, "not_modifiable"),
        (2, {"trail_ticks": 5}, "not_modifiable"),
        (2, {"size_lots": 0}, "size_not_positive"),
        (2, {"size_lots": 5}, "size_above_maximum"),
    ],
)
def test_changes_that_make_no_sense_are_refused_here(key, terms, reason):
    bench = Bench().protected()
    assert bench.change(key, **terms).told == [f"{key} replace rejected ({reason})"]
    assert bench.sent == []


def test_a_size_below_what_an_exit_has_filled_is_refused():
    bench = Bench().protected()
    bench.fill(3, 2, 1_020)
    assert bench.change(3, size_lots=1).told == ["3 replace rejected (size_below_filled)"]


def test_a_change_of_the_entry_goes_through_and_its_exits_show_it():
    bench = Bench()
    bench.give(bracket()).accept(1)
    assert bench.change(1, size_lots=2).sent == ["1: change size 2"]
    assert bench.changed(1).told == [
        "1 replaced 2 at 1000",
        "2 replaced 2 (exit_resized)",
        "3 replaced 2 (exit_resized)",
    ]


def test_a_change_of_an_exit_that_ends_is_refused():
    bench = Bench().protected()
    bench.fill(3, 4, 1_020)
    assert bench.change(2, stop_ticks=985).told == ["2 replace rejected (order_not_active)"]


# --- before anything is sent -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "stop", "target", "fault"),
    [
        (BUY, 1_000, 1_020, 1_000),
        (BUY, 990, 1_000, 1_000),
        (SELL, 990, 980, 990),
        (SELL, 1_010, 1_005, 1_005),
    ],
)
def test_levels_that_make_no_sense_are_refused_whole(side, stop, target, fault):
    bench = Bench()
    terms = {"stop": {"price_ticks": stop}, "target": {"price_ticks": target}}
    bench.give(bracket(side=side, **terms))
    assert (bench.sent, bench.told) == ([], ["1 rejected (bracket_levels)"])
    assert {bench.status(key) for key in (1, 2, 3)} == {"rejected"}
    row = bench.machine.command(0, bracket(10, side=side, **terms)).events[0]
    assert (row.value, row.limit) == (fault, 1_000)


def test_a_market_entry_with_fixed_exits_is_left_to_the_venue():
    bench = Bench()
    entry = order(1, kind=OrderType.MARKET)
    bench.give(bracket(entry=entry, stop={"price_ticks": 2_000}, target=None))
    assert bench.sent == ["1: buy market 4"]


@pytest.mark.parametrize("name", ["7~1", "7~r0", "me~12"])
def test_names_that_are_made_here_are_taken(name):
    bench = Bench()
    bench.give(replace(order(7), client_order_id=name))
    assert (bench.sent, bench.told) == ([], ["7 rejected (duplicate_client_order_id)"])


# --- one order, as its events tell ----------------------------------------------------------------


def plain(**more):
    made = PlainOrder.placed(order(1), 0)
    for name, value in more.items():
        setattr(made, name, value)
    return made


def heard(made, kind, **columns):
    made.hear(row_of(kind, order_id=1, **{"status": OPEN.code, "lots": 4, **columns}))
    return made


def test_an_acceptance_answers_a_placement_or_a_doubt_and_no_change():
    change = ReplaceRequest(1, size_lots=3)
    assert heard(plain(), EventKind.ACCEPTED).is_calm
    assert heard(plain(sent=change, is_there=True), EventKind.ACCEPTED).sent is change
    assert heard(plain(sent=None, is_uncertain=True), EventKind.ACCEPTED).is_calm


def test_a_change_of_the_venues_own_answers_no_change_of_ours():
    change = ReplaceRequest(1, size_lots=3)
    own = heard(plain(sent=change), EventKind.REPLACED, reason=Reason.TRAILED, stop_ticks=995)
    assert (own.sent, own.stop_ticks) == (change, 995)
    assert heard(plain(sent=change), EventKind.REPLACED).sent is None


def test_the_venues_number_of_an_exit_reaches_the_session():
    bench = Bench()
    bench.give(bracket()).accept(1, value=70)
    bench.fill(1, 4)
    bench.accept(2, value=71)
    assert [bench.ledger.orders[key].venue_order_id for key in (1, 2)] == [70, 71]
    bench.cancelled(2, Reason.BY_VENUE)
    bench.wait(100)
    bench.accept(2, value=72)
    assert bench.ledger.orders[2].venue_order_id == 72


def test_after_its_end_an_order_hears_of_late_fills_only():
    ended = heard(plain(), EventKind.CANCELLED, status=OrderStatus.CANCELLED.code)
    assert (ended.is_over, ended.leaves_lots) == (True, 0)
    heard(ended, EventKind.ACCEPTED, lots=9)
    heard(ended, EventKind.UNCERTAIN, status=OrderStatus.UNCERTAIN.code)
    assert (ended.size_lots, ended.is_uncertain) == (4, False)
    heard(ended, EventKind.FILLED, lots=1, status=PARTIAL.code)
    assert ended.filled_lots == 1


# --- ids ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, 9, 32_767, 32_768, 40_000])
def test_ids_of_orders_made_here_lead_back_to_the_sessions(number):
    made = made_id(17, number)
    assert asked_id(made) == 17
    assert made < 1 << 63
    assert is_repair(made) == (number >= 32_768)
    assert (made == 17) == (number == 0)
    assert asked_id(-5) == -5
    assert not is_repair(-5)


def test_names_of_orders_made_here_are_never_the_same():
    names = [made_name("a", number) for number in (0, 1, 10, 32_768, 32_769)]
    assert names == ["a", "a~1", "a~10", "a~r0", "a~r1"]


def test_pauses_double_up_to_their_bound():
    pauses = [RULES.pause_ns(count) // MS for count in (1, 2, 3, 4, 1_000)]
    assert pauses == [100, 200, 400, 400, 400]


def test_positions_at_connection_are_taken_over():
    machine = Contingency.opened([MNQ], positions=[PositionState(0, 3, 3_000, 0)])
    assert (machine.positions, machine.rules) == ([3], Protection())
