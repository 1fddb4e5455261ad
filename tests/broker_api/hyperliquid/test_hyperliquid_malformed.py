"""Whatever arrives, a decoder answers with a message or a typed refusal: never with a crash."""

from __future__ import annotations

import malformed
import pytest

COUNT = 10_000
NIGHTLY = 100_000


def test_ten_thousand_malformed_messages_are_taken_or_refused() -> None:
    results = malformed.attack(malformed.SEED, COUNT)
    assert results.total() == COUNT
    for target in malformed.TARGETS:
        # Both happen to every decoder, else the attack is not one.
        assert results[f"{target.name}: refused"] > 100
        assert results[f"{target.name}: taken"] > 0


@pytest.mark.slow
def test_a_hundred_thousand_malformed_messages_are_taken_or_refused() -> None:
    assert malformed.attack(malformed.SEED + 1, NIGHTLY).total() == NIGHTLY
