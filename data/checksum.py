"""Checksums of a cache entry's files: they find damage anywhere in a file, at the speed of memory.

Each number of a column is multiplied by a weight of its place, and the products are added up modulo
2^64. That notices changed, missing, swapped and zeroed numbers, and costs a tenth of a
cryptographic hash; it does not withstand somebody who wants to deceive.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_PERIOD = 1 << 16
_WORD = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15
"""Odd: multiplying by it loses nothing, and its powers differ for 2^61 periods."""


def _weights() -> npt.NDArray[np.uint64]:
    """One odd number a place, mixed so that neighbours have nothing in common (splitmix64)."""
    mixed = np.arange(1, _PERIOD + 1, dtype=np.uint64) * np.uint64(_STEP)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ (mixed >> np.uint64(31))) | np.uint64(1)


_WEIGHTS = _weights()


class Checksum:
    """The checksum of a column that comes in parts; how it was cut makes no difference."""

    def __init__(self) -> None:
        self._sum = 0
        self._count = 0
        self._products = np.empty(_PERIOD, dtype=np.uint64)

    def add(self, column: npt.NDArray[Any]) -> None:
        """Take the next numbers, of 8 or 1 bytes each."""
        numbers = column.reshape(-1).view(np.uint64 if column.itemsize == 8 else np.uint8)
        done = 0
        while done < len(numbers):
            place = self._count % _PERIOD
            part = numbers[done : done + _PERIOD - place]
            products = self._products[: len(part)]
            np.multiply(part, _WEIGHTS[place : place + len(part)], out=products)
            scale = pow(_STEP, self._count // _PERIOD, _WORD + 1)
            self._sum = (self._sum + scale * int(products.sum())) & _WORD
            self._count += len(part)
            done += len(part)

    def text(self) -> str:
        """The checksum of all numbers so far, and how many they were, as text."""
        return f"{self._sum:016x}-{self._count}"
