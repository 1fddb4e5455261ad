"""Money is conserved to the last unit, behind every event. `conserve.py` runs as many as wanted."""

from __future__ import annotations

import pytest

from broker_api.event import AccountChanged
from tests.differential.conserve import ROWS_EACH, Ledger, conserve
from tests.differential.generate import make_case
from tests.differential.sessions import several_case

pytestmark = pytest.mark.slow

SESSIONS = 40


def test_cash_and_positions_are_the_sum_of_the_fills_behind_every_event() -> None:
    cases = [make_case(seed, ROWS_EACH) for seed in range(SESSIONS)]
    ledgers = [ledger for case in cases for ledger in conserve(case)]
    assert sum(ledger.fills for ledger in ledgers) > 10 * SESSIONS
    assert any(ledger.funding for ledger in ledgers)
    assert any(ledger.fees < 0 for ledger in ledgers), "no session was paid rebates"


def test_money_goes_from_account_to_account_and_none_is_lost() -> None:
    both = 0
    for seed in range(SESSIONS // 2):
        case = several_case(seed, ROWS_EACH)
        ledgers = conserve(case)
        assert len(ledgers) == len(case.accounts) > 1
        both += sum(ledger.fills > 0 for ledger in ledgers) > 1
    assert both > SESSIONS // 4


def test_a_unit_that_is_lost_is_noticed() -> None:
    case = make_case(3)
    ledger = Ledger(case)
    changed = AccountChanged(1, 0, -1, cash_nanos=case.accounts[0].cash_nanos - 1, fee_nanos=0)
    with pytest.raises(AssertionError, match="cash should be"):
        ledger.note([changed])
