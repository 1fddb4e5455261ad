"""Money is conserved to the last unit: checked behind every event of random sessions.

    python -m tests.differential.conserve --steps 1000000

Only events are read. What a ledger with nothing but addition knows must be what they say: the
position is the sum of the signed fills, and cash is what the account began with, plus what the
positions realised, less fees and funding. Realised P&L, in turn, is what the fills paid and got
less the cost of what is still open; of a flat position there is none, whatever the averages were.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from dataclasses import dataclass

from broker_api.event import AccountChanged, Event, FundingPaid, OrderFilled, PositionChanged
from sim.exchange import Exchange
from tests.differential.crowd import Crowd
from tests.differential.generate import Case, make_case
from tests.differential.sessions import several_case

STEPS_EACH = 500
ROWS_EACH = 1000


@dataclass
class Holding:
    """One instrument's sums over the fills, and what the newest event said of it."""

    tick_value: int
    lots: int = 0
    paid_ticks: int = 0
    realised: int = 0
    told: bool = True


class Ledger:
    """Adds up what the events of an account say; each check tells what differs."""

    def __init__(self, case: Case, account: int = 0) -> None:
        self.start_nanos = case.accounts[account].cash_nanos
        self.cash_nanos = self.start_nanos
        self.holdings = [Holding(item.tick_value_nanos) for item in case.instruments]
        self.fees = self.funding = self.fills = self.prefixes = 0

    def note(self, events: Iterable[Event]) -> None:
        """Add events and check what they say, one by one. Raises AssertionError."""
        for event in events:
            if isinstance(event, OrderFilled):
                self._fill(event)
            elif isinstance(event, FundingPaid):
                assert event.position_lots == self.holdings[event.instrument].lots, event
                self.funding += event.value
            elif isinstance(event, PositionChanged):
                self._position(event)
            elif isinstance(event, AccountChanged):
                self._account(event)

    def _fill(self, event: OrderFilled) -> None:
        holding = self.holdings[event.instrument]
        signed = event.side.sign * event.lots
        holding.lots += signed
        holding.paid_ticks += signed * event.price_ticks
        holding.told = False
        self.fees += event.fee_nanos
        self.fills += 1

    def _position(self, event: PositionChanged) -> None:
        holding = self.holdings[event.instrument]
        assert event.position_lots == holding.lots, f"{event}: fills sum to {holding}"
        realised = (event.position_cost - holding.paid_ticks) * holding.tick_value
        assert event.realised_nanos == realised, f"{event}: {realised} by the fills, {holding}"
        assert event.position_lots or not event.position_cost, f"{event}: flat, but not free"
        holding.realised, holding.told = realised, True

    def _account(self, event: AccountChanged) -> None:
        realised = sum(holding.realised for holding in self.holdings)
        expected = self.start_nanos + realised - self.fees - self.funding
        assert event.cash_nanos == expected, f"{event}: cash should be {expected}"
        assert event.fee_nanos == self.fees, f"{event}: fees should be {self.fees}"
        assert all(holding.told for holding in self.holdings), f"{event}: a fill without position"
        self.cash_nanos = expected
        self.prefixes += 1


def conserve(case: Case, steps: int = STEPS_EACH) -> list[Ledger]:
    """A random session of the kernel; the ledgers, checked behind every event and step."""
    exchange = Exchange(
        case.instruments,
        case.tapes,
        case.calendars,
        case.simulation,
        case.accounts,
        case.start_ns,
    )
    crowd, ledgers = Crowd(case), [Ledger(case, at) for at in range(len(case.accounts))]
    for _ in range(steps):
        pause_ns = crowd.pause_ns(exchange.now_ns)
        if pause_ns is None:
            account, command = crowd.sent(exchange.now_ns)
            answers = [exchange.execute(command, account)]
        else:
            answers = _advance(exchange, exchange.now_ns + pause_ns)
        for events in answers:
            crowd.note(events)
            for at, ledger in enumerate(ledgers):
                ledger.note(event for event in events if event.account == at)
        for at, ledger in enumerate(ledgers):
            cash = exchange.cash_nanos(at)
            assert cash == ledger.cash_nanos, f"seed {case.seed}: cash moved without an event"
    return ledgers


def _advance(exchange: Exchange, until_ns: int) -> list[list[Event]]:
    found = []
    while True:
        events = exchange.advance(until_ns)
        found.append(events)
        if not events and exchange.now_ns >= until_ns:
            return found


def main() -> int:
    """So many steps in sessions of a few hundred; prints what was checked."""
    parser = argparse.ArgumentParser(description="money is conserved over random steps")
    parser.add_argument("--steps", type=int, default=1_000_000)
    given = parser.parse_args()
    began, fills, prefixes, fees = time.perf_counter(), 0, 0, 0
    sessions = given.steps // STEPS_EACH
    for seed in range(sessions):
        case = several_case(seed, ROWS_EACH) if seed % 3 == 2 else make_case(seed, ROWS_EACH)
        for ledger in conserve(case):
            fills += ledger.fills
            prefixes += ledger.prefixes
            fees += ledger.fees
    print(
        f"{sessions * STEPS_EACH:,} steps in {sessions:,} sessions: {fills:,} fills,"
        f" {prefixes:,} account changes, fees {fees:,}; not one unit lost"
        f" ({time.perf_counter() - began:.0f} s)"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
