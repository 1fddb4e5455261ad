"""Samples of a grid: different combinations, the same for the same seed."""

from __future__ import annotations

import pytest

from broker_api.errors import ConfigurationError
from scenarios.grid import axes_of_texts
from scenarios.sampling import Sample

AXES = axes_of_texts(["fast=1:100", "slow=101:200", "kind=a,b"])


@pytest.mark.parametrize("method", ["random", "lhs"])
def test_a_sample_is_of_different_combinations_and_its_seeds_own(method) -> None:
    first = list(Sample(AXES, 40, method, seed=7))
    assert first == list(Sample(AXES, 40, method, seed=7))
    assert first != list(Sample(AXES, 40, method, seed=8))
    assert len({tuple(each.values()) for each in first}) == len(first) == 40
    for each in first:
        assert list(each) == ["fast", "slow", "kind"]
        assert 1 <= int(each["fast"]) <= 100
        assert 101 <= int(each["slow"]) <= 200


def test_a_latin_hypercube_meets_every_slice_of_every_parameter_once() -> None:
    drawn = list(Sample(AXES, 20, "lhs", seed=3))
    for name, first in (("fast", 1), ("slow", 101)):
        slices = sorted((int(each[name]) - first) * 20 // 100 for each in drawn)
        assert slices == list(range(20)), name
    assert sorted(each["kind"] for each in drawn) == ["a"] * 10 + ["b"] * 10


def test_random_draws_from_a_grid_that_is_too_large_to_play() -> None:
    axes = axes_of_texts([f"{name}=1:1000" for name in "abcd"])
    assert len(list(Sample(axes, 5, "random", seed=1))) == 5


@pytest.mark.parametrize("method", ["random", "lhs"])
def test_no_more_are_drawn_than_there_are(method) -> None:
    axes = axes_of_texts(["fast=1,2", "slow=8,9"])
    assert [tuple(each.values()) for each in Sample(axes, 99, method)] == [
        ("1", "8"),
        ("1", "9"),
        ("2", "8"),
        ("2", "9"),
    ]
    assert len(list(Sample(axes, 3, "random"))) == 3


def test_values_that_fall_together_are_played_once() -> None:
    drawn = list(Sample(axes_of_texts(["fast=1,2", "slow=1,2,3,4,5"]), 9, "lhs", seed=1))
    assert len(drawn) == len({tuple(each.values()) for each in drawn}) <= 9


@pytest.mark.parametrize(
    ("count", "seed", "message"),
    [(0, 0, "sample of 0"), (1_000_001, 0, "sample of 1,000,001"), (5, -1, "sample seed -1")],
)
def test_what_cannot_be_drawn_is_refused(count: int, seed: int, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Sample(AXES, count, "random", seed)
    with pytest.raises(ConfigurationError, match="the grid is empty"):
        Sample((), 5)
