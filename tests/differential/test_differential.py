"""Kernel and reference publish the same events for the same commands, and a wrong rule is noticed.

`python -m tests.differential.run --seeds FIRST:END` runs as many more as you have time for. What a
seed has found is shrunk and kept in `test_found.py`: another generator gives other sessions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from broker_api.order import Liquidity, QueueModel
from sim.reference import account, checks, contingent, market, matching, orders, queue, triggers
from tests.differential.drive import DifferenceError, run_seed
from tests.differential.run import Plan, report, run
from tests.differential.sessions import FIRST

QUICK = 300
QUICK_MIXED = 150
"""On ticks with one account, and on ticks and bars with one and several."""
SESSIONS = 10_000
"""About 9 ms of processor each, in two processes."""
MUTANT_SEEDS = 400


def test_random_sessions_are_equal_event_by_event_and_state_by_state() -> None:
    for seed in (*range(QUICK), *range(FIRST, FIRST + QUICK_MIXED)):
        run_seed(seed)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_random_sessions_are_equal_and_see_every_rule() -> None:
    plan = Plan(QUICK, QUICK + SESSIONS, counting=True)
    whole = run(plan, 2)
    assert not whole.failed, report(plan, whole, 0.0)
    unseen = [name for name in RARE if not whole.counts[name]]
    assert not unseen, f"never happened: {unseen}"


RARE = (
    "OrderFilled TAKER ambiguous",
    "OrderHeld",
    "Unprotected",
    "Liquidation",
    "FundingPaid",
    "OrderExpired",
    "OrderCancelled FOK_NOT_AVAILABLE",
    "OrderCancelled POST_ONLY_AT_TRIGGER",
    "OrderCancelled SELF_TRADE",
    "OrderReplaced COMPLETED_BY_SIZE smaller",
    "OrderReplaced EXIT_REPRICED smaller",
    "OrderReplaced EXIT_RESIZED larger",
    "OrderReplaced PROTECTION_LIMIT same size",
    "ReplaceRejected INSUFFICIENT_MARGIN",
    "ReplaceRejected SIZE_BELOW_FILLED",
    "ReplaceRejected POST_ONLY_WOULD_TAKE",
    "OrderRejected PRICE_MISSING",
    "OrderRejected UNSUPPORTED",
    "row: crossed",
    "row: locked",
    "row: both sides empty",
    "row: print at the time of a status",
    "row: price at or below zero",
    "match inside the spread",
    "match beyond the touch",
    "match of a FOK",
    "match of a STOP",
    "match of an exit that takes",
    "match of a liquidation",
    "match with an exit that rests",
    "match with a reduce-only maker",
    "at one price: tape, maker, tape",
    "at one price: two makers",
    "post-only is refused because of a foreign maker",
    "market order against an empty side meets a maker",
    "a maker's OCO sibling is resized by a match",
    "a maker's exit is resized by a match",
    "a maker's sibling is cancelled by a match",
    "a maker's exit is held again",
    "a maker ends a reduce-only order",
    "liquidation of one account only",
)
"""What is seldom enough to be lost when somebody changes the generator; names of the census."""


def _no_fee(*_: Any) -> int:
    return 0


def _maker_only(*given: Any) -> int:
    return ORIGINAL_FEE(*given[:-1], Liquidity.MAKER)


def _always(*_: Any) -> bool:
    return True


def _nothing(*_: Any) -> None:
    return None


def _take_nothing_away(self: market.Market, side: Any, price: int, lots: int) -> None:
    self.taken[side].setdefault(price, 0)


def _best_of_touch(self: market.Market, side: Any) -> int | None:
    return self.touch[side].price if self.is_known else None


def _strictly_through(of: market.Market, order: orders.Order) -> bool:
    source = triggers.source_of(of, order)
    return THROUGH(of, order) and source != order.stop


def _all_ahead(*_: Any) -> float:
    return 1.0


def _nearest_away(bracket: orders.Bracket, offset: int) -> int:
    exact = bracket.entry.cost + offset * bracket.entry.filled
    lots = bracket.entry.filled
    return -(-exact // lots) if offset > 0 else exact // lots


def _not_ambiguous(*_: Any) -> bool:
    return False


ORIGINAL_FEE = account.Account.fee
THROUGH = triggers.is_through
MUTANTS: dict[str, tuple[Any, str, Any]] = {
    "no fees": (account.Account, "fee", _no_fee),
    "takers pay the maker's fee": (account.Account, "fee", _maker_only),
    "every order reserves margin": (account, "reserves", _always),
    "our fills leave the liquidity there": (market.Market, "take", _take_nothing_away),
    "prints beyond the touch prove nothing": (market.Market, "best", _best_of_touch),
    "a stop needs more than its price": (triggers, "is_through", _strictly_through),
    "every packet's row ends it": (market.Market, "ends_packet", _always),
    "stops are never ambiguous": (matching, "reaches_sibling", _not_ambiguous),
    "the first fill needs a whole lot": (queue, "FIRST_FILL", 1024),
    "cancels were all ahead": (queue, "share_ahead", _all_ahead),
    "a traded-through queue stays": (queue, "clear", _nothing),
    "no queue is estimated": (queue, "ESTIMATED", (QueueModel.PROPORTIONAL,)),
    "exits are rounded away from the entry": (contingent, "_near_entry", _nearest_away),
    "reduce-only orders outlive the position": (contingent, "_end_reduce_only", _nothing),
    "exits may exceed the position": (contingent, "_release_excess", _nothing),
    "a grown exit has one place": (contingent, "join_rest", _nothing),
    "bracket levels are not checked": (checks, "check_levels", _nothing),
    "post-only is not checked": (checks, "check_post_only", _nothing),
    "a wrong-side stop is accepted": (checks, "check_stop_side", _nothing),
    "margin is not checked": (checks, "_check_margin", _nothing),
}
"""What is put in the place of a rule of the reference: a name for it, where, and the wrong rule."""


def first_difference(seeds: int, run: Callable[[int], object] = run_seed) -> int | None:
    """The first seed at which the exchanges differ."""
    for seed in range(seeds):
        try:
            run(seed)
        except DifferenceError:
            return seed
    return None


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_rule_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, attribute, wrong = MUTANTS[name]
    assert hasattr(where, attribute), f"{name}: the rule has another name now"
    monkeypatch.setattr(where, attribute, wrong)
    assert first_difference(MUTANT_SEEDS) is not None
