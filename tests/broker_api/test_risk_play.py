"""Random sessions under account rules keep what the rules promise, and are the same every time."""

from __future__ import annotations

import pytest

from broker_api.event import SESSION_KINDS
from tests.broker_api.risk_play import check, play
from tests.broker_api.test_session_groups import PlainSim


@pytest.mark.parametrize("seed", range(12))
def test_never_more_contracts_nothing_after_a_halt_and_losses_bounded(seed):
    suite, refused = play(seed)
    check(suite)
    assert refused > 0


@pytest.mark.parametrize("seed", range(20, 24))
def test_the_same_holds_where_the_session_keeps_brackets_and_pairs(seed):
    check(play(seed, PlainSim)[0])


def test_random_sessions_come_to_their_halts():
    assert sum(check(play(seed)[0]) for seed in range(4)) >= 2


def test_a_session_under_rules_is_the_same_again_and_with_every_row_visited():
    journals = [play(3)[0].session.journal, play(3)[0].session.journal]
    journals.append(play(3, visit_every_row=True)[0].session.journal)
    assert len({journal.digest() for journal in journals}) == 1
    assert any(row["kind"] in SESSION_KINDS for row in journals[0].events())
