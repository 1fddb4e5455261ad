"""Malformed and merely odd messages do not break the venue; the script sends more of them."""

from __future__ import annotations

import pytest

from tests.venues.venue_attack import attack


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_that_a_client_sends_breaks_the_venue(seed: int) -> None:
    results = attack(seed, 2_000)
    assert sum(results.values()) > 1_900
    for outcome in ("ask: answered", "post: unreadable", "say: error", "signed: ok", "signed: err"):
        assert results[outcome] > 0, outcome
