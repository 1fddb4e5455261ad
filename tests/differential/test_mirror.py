"""The mirrored session gives the mirrored log: no rule prefers buyers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.differential.mirror import (
    Mirror,
    compare,
    negated,
    negated_bars,
    reflected,
    reflected_accounts,
    reflected_bars,
)

pytestmark = pytest.mark.slow

SESSIONS = 300


@pytest.mark.parametrize(
    "mirror", [reflected, negated, reflected_bars, negated_bars, reflected_accounts]
)
def test_the_mirrored_session_has_the_mirrored_log(mirror: Callable[[int], Mirror]) -> None:
    assert sum(compare(mirror(seed)) for seed in range(SESSIONS)) > 40 * SESSIONS


@pytest.mark.parametrize("seed", [0, 5])
def test_the_mirror_turns_every_price_and_side(seed: int) -> None:
    mirror = reflected(seed)
    there = mirror.mirrored_case()
    for ours, theirs in zip(mirror.case.tapes, there.tapes, strict=True):
        both = ours.columns, theirs.columns
        assert (both[0].bid_qty == both[1].ask_qty).all()
        shown = both[0].bid_qty > 0
        assert (both[0].bid[shown] + both[1].ask[shown] == mirror.axis).all()
        assert (both[0].side == -both[1].side).all()
    again = Mirror(there, mirror.axis).mirrored_case()
    for ours, twice in zip(mirror.case.tapes, again.tapes, strict=True):
        assert all((a == b).all() for a, b in zip(ours.columns, twice.columns, strict=True))
