"""Money is conserved to the last unit, behind every event. `conserve.py` runs as many as wanted."""

from __future__ import annotations

import pytest

from broker_api.event import AccountChanged
from tests.differential.conserve import Ledger, conserve
from tests.differential.generate import make_case

pytestmark = pytest.mark.slow

SESSIONS = 40


def test_cash_and_positions_are_the_sum_of_the_fills_behind_every_event() -> None:
    ledgers = [conserve(seed) for seed in range(SESSIONS)]
    assert sum(ledger.fills for ledger in ledgers) > 10 * SESSIONS
    assert any(ledger.funding for ledger in ledgers)
    assert any(ledger.fees < 0 for ledger in ledgers), "no session was paid rebates"


def test_a_unit_that_is_lost_is_noticed() -> None:
    case = make_case(3)
    ledger = Ledger(case)
    changed = AccountChanged(1, 0, -1, cash_nanos=case.account.cash_nanos - 1, fee_nanos=0)
    with pytest.raises(AssertionError, match="cash should be"):
        ledger.note([changed])
