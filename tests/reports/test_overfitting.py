"""Deflated Sharpe ratio and probability of overfitting, held against papers and paper."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from reports.overfitting import (
    Floats,
    expected_best_sharpe,
    overfitting,
    probabilistic_sharpe,
    probability_above,
    probability_of_overfitting,
    sharpe_ratios,
)


def test_the_example_of_the_paper() -> None:
    # Bailey and Lopez de Prado (2014): five years of daily returns, an annual ratio of 2.5 with
    # skew -3 and kurtosis 10, and trials whose annual ratios have a variance of 1/2.
    ratio, variance = 2.5 / math.sqrt(250), 0.5 / 250
    best_of_100 = expected_best_sharpe(variance, 100)
    assert best_of_100 == pytest.approx(0.1132, abs=5e-5)
    assert probability_above(ratio, best_of_100, 1250, -3, 10) == pytest.approx(0.9004, abs=5e-5)
    best_of_46 = expected_best_sharpe(variance, 46)
    assert probability_above(ratio, best_of_46, 1250, -3, 10) == pytest.approx(0.9505, abs=5e-4)
    # Normal returns and the 88 trials that the paper names give the same 0.95.
    best_of_88 = expected_best_sharpe(variance, 88)
    assert probability_above(ratio, best_of_88, 1250, 0, 3) == pytest.approx(0.9505, abs=5e-4)


def test_a_ratio_is_mean_over_deviation_of_a_sample() -> None:
    profits = np.array([[1.0, 5.0, 0.0], [3.0, 5.0, 0.0]])
    # Mean 2, deviation sqrt(2); what never varies has none.
    assert sharpe_ratios(profits).tolist() == [pytest.approx(math.sqrt(2)), 0.0, 0.0]


def test_a_ratio_that_is_just_as_expected_is_an_even_chance() -> None:
    profits = np.array([1.0, -1.0, 2.0, 0.0, 1.0, -2.0, 3.0, 1.0])
    ratio = float(sharpe_ratios(profits[:, None])[0])
    assert probabilistic_sharpe(profits, ratio) == pytest.approx(0.5)
    assert probabilistic_sharpe(np.full(8, 3.0), 0.0) is None


def test_two_blocks_by_hand() -> None:
    # Of the first half the first trial is the best, of the second half the second: both are the
    # worst in the other half.
    turning = np.array([[2.0, 0.0], [3.0, 1.0], [0.0, 2.0], [1.0, 3.0]])
    assert probability_of_overfitting(turning, blocks=2) == 1.0
    steady = np.array([[2.0, 0.0], [3.0, 1.0], [2.0, 0.0], [3.0, 1.0]])
    assert probability_of_overfitting(steady, blocks=2) == 0.0


def literally(profits: Floats, blocks: int) -> float:
    """The definition of the paper, half by half, trial by trial."""
    parts = np.split(profits, blocks)
    found = []
    for inside in combinations(range(blocks), blocks // 2):
        within = np.concatenate([parts[n] for n in inside])
        outside = np.concatenate([parts[n] for n in range(blocks) if n not in inside])
        best = int(np.argmax(within.mean(axis=0) / within.std(axis=0, ddof=1)))
        ratios = outside.mean(axis=0) / outside.std(axis=0, ddof=1)
        rank = 1 + int((ratios < ratios[best]).sum())
        relative = rank / (profits.shape[1] + 1)
        found.append(math.log(relative / (1 - relative)) <= 0)
    return float(np.mean(found))


@pytest.mark.parametrize("trials", [2, 5, 12])
def test_it_is_the_papers_definition(trials: int) -> None:
    generator = np.random.Generator(np.random.Philox(key=trials))
    profits = generator.normal(size=(48, trials)) + np.linspace(0, 0.3, trials)
    assert probability_of_overfitting(profits, 8) == pytest.approx(literally(profits, 8))


def test_luck_looks_like_luck_and_skill_like_skill() -> None:
    generator = np.random.Generator(np.random.Philox(key=3))
    luck = generator.normal(size=(256, 40))
    skill = luck.copy()
    skill[:, 7] += 0.6
    best = int(np.argmax(sharpe_ratios(luck)))
    lucky, skilled = overfitting(luck, best), overfitting(skill, 7)
    assert lucky.trials == 40
    assert lucky.periods == 256
    assert lucky.probability is not None
    assert lucky.deflated is not None
    assert lucky.probability > 0.3
    assert lucky.deflated < 0.9
    assert skilled.probability is not None
    assert skilled.deflated is not None
    assert skilled.probability < 0.01
    assert skilled.deflated > 0.99


def test_where_nothing_can_be_said_nothing_is_said() -> None:
    alone = overfitting(np.array([[1.0], [2.0], [0.5]]), 0)
    assert (alone.expected_best, alone.deflated, alone.probability) == (None, None, None)
    idle = overfitting(np.zeros((64, 3)), 1)
    assert idle.deflated is None
    assert idle.probability == 1.0
    with pytest.raises(ValueError, match="an even number of blocks"):
        probability_of_overfitting(np.zeros((64, 3)), 5)
