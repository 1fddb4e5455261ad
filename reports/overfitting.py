"""How much of a sweep's best result is luck: two published measures, as pure functions.

The deflated Sharpe ratio is from D. H. Bailey and M. Lopez de Prado, "The Deflated Sharpe Ratio",
Journal of Portfolio Management 40(5), 2014. The probability of backtest overfitting is from D. H.
Bailey, J. M. Borwein, M. Lopez de Prado and Q. J. Zhu, "The Probability of Backtest Overfitting",
Journal of Computational Finance 20(4), 2015. docs/sweeps.md says both in words.

Profits are one column a trial and one row a period of equal length. Sharpe ratios are of one
period and never annualised: mean profit over its standard deviation (of a sample), 0 where all
profits are the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, islice
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BLOCKS = 16
"""Blocks of time that the probability of overfitting halves in every way: 12,870 of them."""
MANY_TRIALS = 5_000
BLOCKS_OF_MANY = 10
"""Beyond so many trials so many blocks, 252 ways: more would take longer than the sweep."""
_EULER_GAMMA = 0.5772156649015329
_NORMAL = NormalDist()
_AT_ONCE = 1 << 20
"""Cells of the tables that are worked on at once."""


@dataclass(frozen=True)
class Overfitting:
    """What can be said of a sweep's best trial.

    `sharpe` is its Sharpe ratio a period, `expected_best` that to expect of the best of as many
    trials without skill. `deflated` is the probability that its true ratio is above that; None
    where nothing can be said: one trial, or a ratio whose spread is unknown. `probability` is that
    of overfitting, None below two trials or with fewer periods than two a block.
    """

    trials: int
    periods: int
    sharpe: float
    expected_best: float | None
    deflated: float | None
    probability: float | None


def overfitting(profits: Floats, best: int) -> Overfitting:
    """Both measures of the trials' profits (periods x trials), `best` being the chosen column."""
    periods, trials = profits.shape
    blocks = BLOCKS if trials <= MANY_TRIALS else BLOCKS_OF_MANY
    ratios = sharpe_ratios(profits)
    expected = deflated = probability = None
    if trials > 1:
        expected = expected_best_sharpe(float(np.var(ratios, ddof=1)), trials)
        deflated = probabilistic_sharpe(profits[:, best], expected)
        if periods >= 2 * blocks:
            probability = probability_of_overfitting(profits, blocks)
    return Overfitting(trials, periods, float(ratios[best]), expected, deflated, probability)


def sharpe_ratios(profits: Floats) -> Floats:
    """The Sharpe ratio a period of each column."""
    count = len(profits)
    return _ratios(profits.sum(axis=0), (profits * profits).sum(axis=0), count)


def _ratios(sums: Floats, squares: Floats, count: int) -> Floats:
    """Sharpe ratios from sums of `count` profits and of their squares."""
    mean = sums / count
    variance = (squares - count * mean * mean) / (count - 1)
    # What is left of a constant after rounding is no variance.
    known = variance > 1e-12 * np.maximum(squares / count, 1e-300)
    ratios: Floats = np.where(known, mean / np.sqrt(np.where(known, variance, 1.0)), 0.0)
    return ratios


def expected_best_sharpe(variance: float, trials: int) -> float:
    """The ratio to expect of the best of `trials` independent trials without skill.

    `variance` is that of the trials' ratios. Equation 1 of Bailey and Lopez de Prado (2014).
    """
    low = _NORMAL.inv_cdf(1 - 1 / trials)
    high = _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * ((1 - _EULER_GAMMA) * low + _EULER_GAMMA * high)


def probabilistic_sharpe(profits: Floats, threshold: float) -> float | None:
    """The probability that the true Sharpe ratio of these profits is above the threshold.

    None where they do not vary. See `probability_above`.
    """
    centred = profits - profits.mean()
    spread = math.sqrt(float(np.mean(centred**2)))
    ratio = float(sharpe_ratios(profits[:, None])[0])
    if ratio == 0.0 and not np.any(np.abs(centred) > 1e-6 * np.abs(profits).max(initial=0.0)):
        return None
    skew = float(np.mean(centred**3)) / spread**3
    kurtosis = float(np.mean(centred**4)) / spread**4
    return probability_above(ratio, threshold, len(profits), skew, kurtosis)


def probability_above(
    ratio: float, threshold: float, periods: int, skew: float, kurtosis: float
) -> float | None:
    """The probability that a true Sharpe ratio is above `threshold`, when `ratio` was measured.

    `kurtosis` is 3 for the normal distribution. With the expected best ratio as threshold this is
    the deflated Sharpe ratio, equation 2 of Bailey and Lopez de Prado (2014). None where the
    estimate has no variance.

    >>> best = expected_best_sharpe(variance=0.5 / 250, trials=100)  # the example of the paper
    >>> round(best, 4), round(probability_above(2.5 / 250**0.5, best, 1250, -3, 10), 4)
    (0.1132, 0.9004)
    """
    variance = 1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2
    if variance <= 0:
        return None
    return _NORMAL.cdf((ratio - threshold) * math.sqrt(periods - 1) / math.sqrt(variance))


def probability_of_overfitting(profits: Floats, blocks: int = BLOCKS) -> float:
    """How often the best trial of one half of the time is no better than the middle in the other.

    The periods are cut into `blocks` (an even number) of equal length; every choice of half of them
    is once in sample, the rest out of sample: combinatorially symmetric cross-validation. Periods
    that fill no block are left out, the oldest first. Raises ValueError for fewer than two trials
    or fewer than two periods a block.
    """
    periods, trials = profits.shape
    length = periods // blocks
    if trials < 2 or length < 2 or blocks < 2 or blocks % 2:
        raise ValueError(
            f"{trials} trials and {periods} periods in {blocks} blocks: needed are 2 trials, an "
            "even number of blocks, and 2 periods in each"
        )
    parts = profits[periods - length * blocks :].reshape(blocks, length, trials)
    sums, squares = parts.sum(axis=1), (parts * parts).sum(axis=1)
    halves, no_better = 0, 0.0
    for inside in _halves(blocks, max(1, _AT_ONCE // trials)):
        count = length * blocks // 2
        chosen = np.argmax(_ratios(inside @ sums, inside @ squares, count), axis=1)
        outside = 1.0 - inside
        ratios = _ratios(outside @ sums, outside @ squares, count)
        own = ratios[np.arange(len(chosen)), chosen][:, None]
        # Rank from 1 for the worst, equal ones sharing theirs; the logit of rank / (trials + 1) is
        # not above 0 where the rank is not above the middle.
        rank = 1 + (ratios < own).sum(axis=1) + ((ratios == own).sum(axis=1) - 1) / 2
        no_better += float((rank <= (trials + 1) / 2).sum())
        halves += len(chosen)
    return no_better / halves


def _halves(blocks: int, at_once: int) -> Iterator[Floats]:
    """Every choice of half of the blocks as a row of ones and zeros, in tables."""
    choices = combinations(range(blocks), blocks // 2)
    while part := list(islice(choices, at_once)):
        table = np.zeros((len(part), blocks))
        table[np.arange(len(part))[:, None], np.array(part)] = 1.0
        yield table
