"""Some combinations of a grid in the place of all: drawn at random, or as a Latin hypercube."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from broker_api.errors import ConfigurationError
from scenarios.grid import COMBINATIONS_MAX, Axis, text_names_of

Method = Literal["random", "lhs"]
_Choice = tuple[int, ...]


@dataclass(frozen=True)
class Sample:
    """`count` different combinations of the values of some parameters, in the order drawn.

    "random" draws each value with the same chance. "lhs" is a Latin hypercube (McKay, Beckman and
    Conover 1979): `count` equal slices of every parameter's values, each of them met once. Values
    that fall together leave fewer combinations than `count`. The same seed gives the same sample.
    """

    axes: tuple[Axis, ...]
    count: int
    method: Method = "random"
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.axes:
            raise ConfigurationError("the grid is empty: name a parameter, like fast=5:50:5")
        if not 1 <= self.count <= COMBINATIONS_MAX:
            raise ConfigurationError(
                f"a sample of {self.count:,} combinations is not between 1 and {COMBINATIONS_MAX:,}"
            )
        if not 0 <= self.seed < 1 << 63:
            raise ConfigurationError(f"sample seed {self.seed} is not between 0 and 2**63 - 1")

    def __len__(self) -> int:
        return len(self._choices)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for choice in self._choices:
            yield {axis.name: axis.values[at] for axis, at in zip(self.axes, choice, strict=True)}

    @property
    def text_names(self) -> frozenset[str]:
        """The parameters whose values are texts as typed."""
        return text_names_of(self.axes)

    @cached_property
    def _choices(self) -> list[_Choice]:
        sizes = [len(axis.values) for axis in self.axes]
        if math.prod(sizes) <= self.count:
            return list(itertools.product(*map(range, sizes)))
        draw = _latin_hypercube if self.method == "lhs" else _at_random
        return draw(sizes, self.count, self.seed)


def _at_random(sizes: list[int], count: int, seed: int) -> list[_Choice]:
    generator = np.random.Generator(np.random.Philox(key=seed))
    total = math.prod(sizes)
    if total <= 4 * count:
        places = generator.permutation(total)[:count]
        return [
            tuple(map(int, each)) for each in zip(*np.unravel_index(places, sizes), strict=True)
        ]
    found: dict[_Choice, None] = {}
    while len(found) < count:
        drawn = zip(*(generator.integers(0, size, count).tolist() for size in sizes), strict=True)
        found.update(dict.fromkeys(itertools.islice(drawn, count - len(found))))
    return list(found)


def _latin_hypercube(sizes: list[int], count: int, seed: int) -> list[_Choice]:
    try:
        from scipy.stats import qmc
    except ImportError:
        raise ConfigurationError(
            "a Latin hypercube needs SciPy: pip install 'papertape[sweep]'"
        ) from None
    points = qmc.LatinHypercube(len(sizes), rng=seed).random(count)
    places = np.minimum((points * sizes).astype(np.int64), np.array(sizes) - 1)
    return list(dict.fromkeys(tuple(row) for row in places.tolist()))
