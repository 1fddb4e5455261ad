"""Checksums of a cache entry's files: they find damage anywhere in a file, at the speed of memory.

The numbers of a column are added up in stretches, and the sums of the stretches are weighted by
their place, all modulo 2^64. That notices changed, missing and zeroed numbers and exchanged
stretches at a hundredth of the cost of a cryptographic hash; it does not withstand somebody who
wants to deceive.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_STRETCH = 1 << 16
_WORD = (1 << 64) - 1
_FACTOR = 0x9E3779B97F4A7C15
"""Odd, so that multiplying by it loses nothing; its powers differ for 2^62 stretches."""


class Checksum:
    """The checksum of a column that comes in parts; how it was cut makes no difference."""

    def __init__(self) -> None:
        self._sum = 0
        self._count = 0
        self._weight = 1

    def add(self, column: npt.NDArray[Any]) -> None:
        """Take the next numbers, of 8 or 1 bytes each."""
        numbers = column.reshape(-1).view(np.uint64 if column.itemsize == 8 else np.uint8)
        done = 0
        while done < len(numbers):
            part = numbers[done : done + _STRETCH - self._count % _STRETCH]
            self._sum = (self._sum + self._weight * int(part.sum(dtype=np.uint64))) & _WORD
            self._count += len(part)
            done += len(part)
            if self._count % _STRETCH == 0:
                self._weight = self._weight * _FACTOR & _WORD

    def text(self) -> str:
        """The checksum of all numbers so far, and how many they were, as text."""
        return f"{self._sum:016x}-{self._count}"
