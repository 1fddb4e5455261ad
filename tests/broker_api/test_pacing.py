"""Rate limits: never more than the venue allows, cancels first, nobody longer than its bound."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_api.errors import ConfigurationError, NotSentError, RateLimited
from broker_api.pacing import (
    NS_SECOND,
    QUEUE_LENGTH_MAX,
    Allowance,
    BackOff,
    Kind,
    Queue,
    Window,
)

CANCEL, PROTECT, ORDER, QUERY = Kind
MINUTE = 60 * NS_SECOND


def draws(seed: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed))


def went(queue: Queue, until_ns: int, now_ns: int = 0) -> list[tuple[int, int]]:
    """(time, number) of all that go until a time, as a timer would let them."""
    gone = []
    while (due_ns := queue.due_ns(now_ns)) is not None and due_ns <= until_ns:
        now_ns = due_ns
        gone += [(now_ns, entry.number) for entry in queue.serve(now_ns)[0]]
    return gone


# --- one window --------------------------------------------------------------------------------


def test_a_window_lets_its_weight_go_at_once_and_the_next_when_the_oldest_leaves():
    queue = Queue([Window(3, MINUTE)])
    for _ in range(5):
        queue.add(0)
    assert went(queue, 10) == [(0, 1), (0, 2), (0, 3)]
    assert queue.due_ns(10) == MINUTE
    assert went(queue, MINUTE, 10) == [(MINUTE, 4), (MINUTE, 5)]


def test_a_heavy_request_waits_until_enough_has_left():
    window = Window(10, 100)
    for ts_ns, weight in ((0, 4), (10, 3), (20, 3)):
        window.take(ts_ns, weight, ORDER)
    assert [window.free_ns(30, weight, ORDER) for weight in (1, 4, 5, 7, 8, 10)] == [
        *(100, 100, 110, 110, 120, 120)
    ]
    assert window.free_ns(105, 4, ORDER) == 105


def test_the_reserve_is_for_cancels_and_protection_only():
    window = Window(10, 100, reserve=4)
    window.take(0, 6, ORDER)
    assert [window.free_ns(5, 1, kind) for kind in Kind] == [5, 5, 100, 100]
    window.take(5, 4, CANCEL)
    assert [window.free_ns(6, 1, kind) for kind in Kind] == [100, 100, 100, 100]
    # Then 4 are still taken: six may be used by orders, ten by cancels.
    assert [window.free_ns(100, 3, kind) for kind in Kind] == [100, 100, 105, 105]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Window(10, 100, reserve=10), "reserve of 10"),
        (lambda: Window(10, 0), "in 0 ns"),
        (lambda: Queue([Window(10, 100, reserve=4)]).add(0, 7), "weight 7 never fits: 6 of 10"),
        (lambda: Queue([Window(10, 100)]).add(0, 11, wait_max_ns=1), "weight 11 never fits"),
    ],
)
def test_what_can_never_work_is_refused(make, text):
    with pytest.raises(ConfigurationError, match=text):
        make()


def test_a_reserve_lets_urgent_requests_be_heavier():
    queue = Queue([Window(10, 100, reserve=4)])
    queue.add(0, 10, CANCEL)
    assert went(queue, 0) == [(0, 1)]


# --- an address's allowance --------------------------------------------------------------------


def test_an_allowance_that_is_used_up_trickles():
    queue = Queue([Allowance(2, 10 * NS_SECOND)])
    for _ in range(4):
        queue.add(0)
    assert went(queue, 25 * NS_SECOND) == [(0, 1), (0, 2), (0, 3), (10 * NS_SECOND, 4)]


def test_every_entry_of_a_batch_counts_and_trickles():
    allowance = Allowance(5, 10, used=4)
    assert allowance.free_ns(0, 1, ORDER) == 0
    assert allowance.free_ns(0, 3, ORDER) == 0, "nothing trickled yet"
    allowance.take(0, 3, ORDER)
    assert allowance.used == 7
    assert allowance.free_ns(1, 1, ORDER) == 20, "two of the three were beyond"


@pytest.mark.parametrize(
    ("allowed", "most"), [(10_000, 20_000), (100_000, 200_000), (150_000, 250_000)]
)
def test_cancels_have_an_allowance_of_their_own(allowed, most):
    allowance = Allowance(allowed, 10, cancels_more=100_000, used=allowed)
    allowance.take(0, 1, ORDER)
    assert allowance.free_ns(0, 1, CANCEL) == 0
    assert allowance.free_ns(0, 1, ORDER) == 10
    allowance.update(most - 1, allowed)
    assert allowance.free_ns(0, 1, CANCEL) == 0
    allowance.update(most, allowed)
    assert allowance.free_ns(0, 1, CANCEL) == 10


def test_trading_earns_requests():
    allowance = Allowance(1, 10, used=1)
    allowance.take(0, 1, ORDER)
    allowance.earn(2)
    assert allowance.free_ns(0, 1, ORDER) == 0
    allowance.take(0, 1, ORDER)
    assert allowance.free_ns(0, 1, ORDER) == 10


# --- back-off ----------------------------------------------------------------------------------


def test_refusals_double_the_silence_up_to_a_bound_with_jitter_in_its_upper_half():
    back_off = BackOff(draws(), 1_000, 8_000)
    waits = []
    for _ in range(6):
        now_ns = back_off.until_ns
        waits.append(back_off.refused(now_ns) - now_ns)
    for wait, whole in zip(waits, (1_000, 2_000, 4_000, 8_000, 8_000, 8_000), strict=True):
        assert whole // 2 <= wait <= whole
    assert len(set(waits[3:])) > 1, "it is drawn"


def test_the_same_draws_give_the_same_silence():
    first, second, other = (BackOff(draws(seed), 10**9, 10**11) for seed in (1, 1, 2))
    assert first.refused(0) == second.refused(0) != other.refused(0)


def test_silence_holds_for_cancels_too_and_ends_with_a_proper_answer():
    back_off = BackOff(draws(), 1_000, 64_000)
    back_off.refused(0)
    until_ns = back_off.refused(0)
    assert until_ns >= 1_000
    assert [back_off.free_ns(5, 1, kind) for kind in Kind] == [until_ns] * 4
    back_off.accepted()
    assert back_off.free_ns(5, 1, ORDER) == until_ns, "what began is kept"
    assert back_off.refused(until_ns) <= until_ns + 1_000


def test_a_longer_time_that_the_venue_names_is_kept():
    back_off = BackOff(draws(), 1_000, 64_000)
    assert back_off.refused(7, retry_after_ns=50_000) == 50_007
    assert back_off.refused(8) == 50_007, "a later refusal does not shorten it"


def test_a_hundred_refusals_do_not_overflow():
    back_off = BackOff(draws(), NS_SECOND, 300 * NS_SECOND)
    for _ in range(100):
        assert back_off.refused(0) <= 300 * NS_SECOND


# --- the queue ---------------------------------------------------------------------------------


def test_cancels_go_first_then_protection_then_orders_then_queries():
    queue = Queue([Window(1, 10)])
    queue.add(0)
    queue.serve(0)
    for kind in (QUERY, ORDER, PROTECT, CANCEL, QUERY, ORDER, PROTECT, CANCEL):
        queue.add(1, 1, kind)
    assert [number for _, number in went(queue, 1_000, 1)] == [5, 9, 4, 8, 3, 7, 2, 6]


def test_a_cancel_does_not_pass_the_placement_of_its_own_order():
    queue = Queue([Window(1, 10)])
    queue.add(0, key="first")
    queue.add(0, key="second")
    queue.add(0, 1, CANCEL, key="second")
    queue.add(0, 1, CANCEL, key="other")
    assert [number for _, number in went(queue, 100)] == [4, 1, 2, 3]


def test_nobody_light_overtakes_the_heavy_one_whose_turn_it_is():
    queue = Queue([Window(10, 100)])
    queue.add(0, 8)
    queue.add(0, 8)
    queue.add(0, 1)
    assert went(queue, 99) == [(0, 1)]
    assert went(queue, 100, 99) == [(100, 2), (100, 3)]


def test_a_cancel_uses_the_reserve_while_an_order_waits():
    queue = Queue([Window(4, 100, reserve=2)])
    for _ in range(3):
        queue.add(0)
    queue.add(1, 1, CANCEL)
    assert went(queue, 99, 1) == [(1, 4), (1, 1)]
    assert went(queue, 101, 99) == [(101, 2), (101, 3)]


def test_a_request_that_would_wait_too_long_is_refused_before_it_is_queued():
    queue = Queue([Window(1, 10 * NS_SECOND)])
    queue.add(0)
    queue.add(0)
    with pytest.raises(RateLimited, match=r"wait 20\.000 s, and it may wait 19\.000 s") as caught:
        queue.add(0, wait_max_ns=19 * NS_SECOND)
    assert (caught.value.wait_ns, caught.value.bound_ns) == (20 * NS_SECOND, 19 * NS_SECOND)
    assert isinstance(caught.value, NotSentError)
    assert not caught.value.order_may_exist
    assert len(queue) == 2
    queue.add(0, wait_max_ns=20 * NS_SECOND)
    queue.add(0, 1, CANCEL, wait_max_ns=0)


def test_urgent_requests_that_come_later_may_end_a_wait_that_was_promised():
    queue = Queue([Window(1, 10)])
    queue.add(0)
    queue.serve(0)
    waiting = queue.add(0, wait_max_ns=10)
    cancel = queue.add(0, 1, CANCEL)
    assert queue.serve(9) == ([], [])
    gone, [(entry, refusal)] = queue.serve(10)
    assert gone == [cancel]
    assert (entry, refusal.wait_ns, refusal.bound_ns) == (waiting, 20, 10)
    assert queue.due_ns(10) is None


def test_whoever_gives_up_makes_room():
    queue = Queue([Window(1, 10)])
    queue.add(0)
    first, second = queue.add(0), queue.add(0)
    queue.serve(0)
    queue.remove(first)
    queue.remove(first)
    assert queue.serve(10) == ([second], [])


def test_a_bound_that_passes_while_nobody_looks_is_kept():
    queue = Queue([Window(1, 10)])
    first, second = queue.add(0, wait_max_ns=5), queue.add(0, wait_max_ns=10)
    assert queue.due_ns(0) == 0
    gone, late = queue.serve(11)
    assert (gone, [entry for entry, _ in late]) == ([], [first, second])
    assert queue.due_ns(11) is None


def test_a_refusal_does_not_wait_for_somebody_elses_turn():
    window = Window(10, 100)
    window.take(0, 5, ORDER)
    window.take(50, 5, ORDER)
    queue = Queue([window])
    late = queue.add(60, 5, wait_max_ns=60)
    queue.add(60, 10, CANCEL)
    assert queue.due_ns(60) == 121, "the cancel's turn is at 150 only"
    assert queue.serve(120) == ([], [])
    assert [entry for entry, _ in queue.serve(121)[1]] == [late]


def test_a_queue_without_end_is_refused():
    queue = Queue([])
    for _ in range(QUEUE_LENGTH_MAX):
        queue.add(0)
    with pytest.raises(RateLimited, match="wait already"):
        queue.add(0)


def test_all_limits_hold_at_once():
    queue = Queue([Window(2, 10), Allowance(3, 50), BackOff(draws(), 1, 1)])
    for _ in range(5):
        queue.add(0)
    assert went(queue, 200) == [(0, 1), (0, 2), (10, 3), (10, 4), (60, 5)]


# --- random requests ---------------------------------------------------------------------------


def play(seed: int, window: Window) -> tuple[list, list, list]:
    """Random requests against a window: those that came, went (with time), and were refused."""
    chance = random.Random(seed)
    queue, now_ns = Queue([window]), 0
    came, gone, refused, longer = [], [], [], []
    for _ in range(60):
        until_ns = now_ns + chance.choice((0, 1, 5, 30))
        while (due_ns := queue.due_ns(now_ns)) is not None and due_ns <= until_ns:
            now_ns = due_ns
            went, late = queue.serve(now_ns)
            gone += [(now_ns, entry) for entry in went]
            refused += [(now_ns, entry) for entry, _ in late]
        now_ns = until_ns
        bound = chance.choice((None, 0, 20, 200))
        key = chance.choice((None, None, 1, 2))
        try:
            kind, weight = chance.choice(list(Kind)), chance.randint(1, 3)
            came.append(queue.add(now_ns, weight, kind, key=key, wait_max_ns=bound))
        except RateLimited as refusal:
            longer.append(refusal.wait_ns > refusal.bound_ns)
    assert all(longer)
    while len(queue):
        now_ns = queue.due_ns(now_ns)
        went, late = queue.serve(now_ns)
        gone += [(now_ns, entry) for entry in went]
        refused += [(now_ns, entry) for entry, _ in late]
    return came, gone, refused


@given(st.integers(0, 1 << 32), st.integers(4, 9), st.integers(0, 1), st.integers(1, 40))
@settings(max_examples=300)
def test_random_requests_keep_the_limit_the_order_and_their_bounds(seed, most, reserve, period):
    came, gone, refused = play(seed, Window(most, period, reserve))
    left = [entry for _, entry in gone] + [entry for _, entry in refused]
    assert sorted(entry.number for entry in left) == [entry.number for entry in came]
    for index, (now_ns, entry) in enumerate(gone):
        within = [each.weight for ts_ns, each in gone[: index + 1] if ts_ns > now_ns - period]
        assert sum(within) <= most - (0 if entry.kind.is_urgent else reserve)
        assert now_ns >= entry.since_ns
        assert entry.until_ns is None or now_ns <= entry.until_ns
        waiting = [later for _, later in gone[index + 1 :] if later.since_ns < now_ns]
        for other in waiting:
            claims = (other.kind, other.number) > (entry.kind, entry.number)
            assert claims or other.key is not None, "only a key holds somebody back"
            if entry.key is not None and entry.key == other.key:
                assert entry.number < other.number
