"""Programs of every kind see the same with and without what makes sessions fast."""

from __future__ import annotations

import pytest

from tests.sim.random_program import difference


@pytest.mark.parametrize("seeds", [range(first, first + 6) for first in (0, 225, 768, 2150)])
def test_a_random_program_sees_what_it_sees_in_the_ordinary_way(seeds: range) -> None:
    for seed in seeds:
        found = difference(seed)
        assert not found, found
