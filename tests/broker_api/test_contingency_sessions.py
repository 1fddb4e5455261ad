"""Random sessions at a slow and faulty venue: nothing is lost, doubled, orphaned or kept secret.

`python -m tests.broker_api.contingent_play --seeds 0:100000` plays more of them.
"""

from __future__ import annotations

import copy

import pytest
from contingent_bench import MS, Bench, bracket, order

from broker_api.contingency import Contingency, RecordedEvent, refold
from broker_api.journal import RecordedCommand
from broker_api.plain_order import made_id
from tests.broker_api.contingent_play import MNQ, RULES, Play, count_of, play

CHUNK = 250
CHUNKS = 8
FOLDED = (1, 2, 5, 9, 24, 60, 86, 95)
"""Seeds whose sessions are rebuilt at every cut."""


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_sessions_come_to_rest_as_wanted(chunk):
    plays = [play(seed) for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK)]
    counts = count_of(plays)
    rare = {name: count for name, count in counts.items() if count == 0}
    assert rare == {}, "what never happens is not tested"


def rebuilt(records: list[RecordedCommand | RecordedEvent]) -> tuple[Contingency, list, list]:
    machine = Contingency.opened([MNQ], RULES)
    return machine, *refold(machine, records)


@pytest.mark.parametrize("seed", FOLDED)
def test_a_journal_cut_anywhere_rebuilds_the_same_state_and_what_was_not_sent(seed):
    session = play(seed, keeps_states=True)
    records = session.records
    assert len(records) > 60
    begun = dict(session.begun)
    state, told, end = Contingency.opened([MNQ], RULES), 0, 0
    for cut in range(len(records) + 1):
        if cut in begun:
            state, told, end = begun[cut]
        machine, unsent, events = rebuilt(records[:cut])
        assert machine == state
        assert events == session.told[:told]
        assert unsent == [record.command for record in records[cut:end]]


def test_a_machine_that_is_rebuilt_goes_on_as_the_other_would_have():
    session = play(FOLDED[0], keeps_states=True)
    half = len(session.records) // 2
    machine, unsent, _ = rebuilt(session.records[:half])
    more, _ = refold(machine, session.records[half + len(unsent) :])
    assert more == []
    assert machine == session.machine


def test_what_time_causes_comes_before_a_command_of_the_same_time_in_a_journal_too():
    bench = Bench()
    bench.give(bracket(target=None)).accept(1)
    bench.fill(1, 4)
    bench.reject(2)
    before = copy.deepcopy(bench.machine)
    now_ns = bench.now_ns + 500 * MS
    late = order(9)
    sent = bench.machine.command(now_ns, late).commands
    assert [command.order_id for command in sent] == [made_id(2, 1), 9]
    records = [RecordedCommand(now_ns, 0, each) for each in (late, *sent)]
    assert refold(before, records)[0] == []
    assert before == bench.machine


def test_time_that_sends_nothing_changes_nothing():
    seen = 0
    for seed in range(40):
        session = Play(seed)
        on_time, machine = session.machine.on_time, session.machine
        for _ in range(60):
            session.act()
            session.step()
            before = copy.deepcopy(machine)
            reaction = on_time(session.venue.now_ns)
            assert reaction == ((), ())
            assert machine == before
            due_ns = machine.due_ns()
            if due_ns is not None:
                seen += 1
                early = on_time(due_ns - 1)
                assert early == ((), ())
                assert machine == before
    assert seen > 50


def test_when_time_is_due_something_is_sent():
    seen = 0
    for seed in range(60):
        session = Play(seed)
        for _ in range(60):
            session.act()
            session.step()
            due_ns = session.machine.due_ns()
            if due_ns is not None:
                seen += 1
                assert copy.deepcopy(session.machine).on_time(due_ns).commands
    assert seen > 50
