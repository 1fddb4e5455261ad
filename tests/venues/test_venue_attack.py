"""Malformed and merely odd messages do not break a venue; the script sends more of them."""

from __future__ import annotations

import pytest

from tests.venues.venue_attack import attack

SEEN = {
    "hyperliquid": ("ask: answered", "post: unreadable", "say: error", "plausible: ok"),
    "projectx": ("ask: answered", "post: unreadable", "say: closed", "plausible: ok"),
}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("venue", SEEN)
def test_nothing_that_a_client_sends_breaks_the_venue(venue: str, seed: int) -> None:
    results = attack(venue, seed, 2_000)
    assert sum(results.values()) > 1_900
    for outcome in (*SEEN[venue], "plausible: err"):
        assert results[outcome] > 0, outcome
