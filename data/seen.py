"""The ids that a file has shown so far, for files of any length: on disk, with ranges in memory.

Ids nearly always rise, and then a comparison with the highest so far tells that they are new. The
others are looked up in the earlier batches whose range they fall into.
"""

from __future__ import annotations

import tempfile
from typing import BinaryIO, NamedTuple

import numpy as np

from data.schema import IntColumn, Mask


class _Part(NamedTuple):
    """A batch of ids in the file: where it starts, how many, and between what they lie."""

    start: int
    length: int
    lowest: int
    highest: int


class SeenIds:
    """The ids of one column. Memory: one batch, and four numbers for each."""

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        self._parts: list[_Part] = []
        self._highest = -(1 << 63)

    def add(self, ids: IntColumn) -> Mask:
        """Take the next ids; returns which of them are seen for the first time."""
        if not len(ids):
            return np.zeros(0, dtype=np.bool_)
        lowest, highest = int(ids.min()), int(ids.max())
        rising = bool((ids[1:] > ids[:-1]).all())
        new = np.ones(len(ids), dtype=np.bool_)
        if not rising:
            new[:] = False
            new[np.unique(ids, return_index=True)[1]] = True
        if self._parts and lowest <= self._highest:
            for part in self._parts:
                if part.lowest <= highest and lowest <= part.highest:
                    new &= ~np.isin(ids, self._read(part))
        self._keep(ids, lowest, highest)
        return new

    def _keep(self, ids: IntColumn, lowest: int, highest: int) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this object
        start = self._parts[-1].start + self._parts[-1].length if self._parts else 0
        self._file.write(np.ascontiguousarray(ids).data)
        self._parts.append(_Part(start, len(ids), lowest, highest))
        self._highest = max(self._highest, highest)

    def _read(self, part: _Part) -> IntColumn:
        assert self._file is not None, "ids were kept before"
        self._file.seek(part.start * 8)
        found = np.frombuffer(self._file.read(part.length * 8), dtype=np.int64)
        self._file.seek(0, 2)
        return found

    def close(self) -> None:
        """Give the disk space back."""
        if self._file is not None:
            self._file.close()
