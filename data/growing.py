"""A tape that grows: rows are appended as they come in, and what has come so far is a tape.

The columns lie in files without a name, mapped into memory with room for more rows than a session
can bring: they never move, so that a view of them stays good, and memory that nobody looks at goes
back to the machine. The files take as much disk as rows have been written and vanish with the
process.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data.index import WIDTH, IndexTable
from data.schema import COLUMN_TYPES, RowKind, TapeColumns
from data.summary import Contents, Stored
from data.tape import Tape

ROWS_MAX = 1 << 28
"""Rows that one tape may grow to: two weeks at 200 a second."""
RESIDENT_ROWS = 1 << 18
"""Rows that stay in memory behind the newest; older ones come back from the file when looked at."""
LIVE_KINDS = (RowKind.QUOTE, RowKind.TRADE)
_NO_BLOCKS: IndexTable = np.empty((0, WIDTH), dtype=np.int64)


class TapeFull(OverflowError):
    """A growing tape has come to its last row; the session has to be begun anew."""


class GrowingTape:
    """One instrument's market events so far.

    `kinds` are the kinds of rows that may come: what the session decides by the kinds on its tape
    (which price triggers stops) must not change when the first of them comes.
    """

    def __init__(
        self,
        symbol: str,
        source: str,
        kinds: Sequence[int] = LIVE_KINDS,
        *,
        bbo_after_trade: bool = False,
        folder: Path | None = None,
        rows_max: int = ROWS_MAX,
    ) -> None:
        self.symbol = symbol
        self.source = source
        self.bbo_after_trade = bbo_after_trade
        self.kinds = tuple(sorted(int(kind) for kind in kinds))
        self.rows_max = rows_max
        counts = [0] * len(RowKind)
        for kind in kinds:
            counts[kind] = 1
        self._contents = Contents(tuple(counts), has_quotes=RowKind.QUOTE in kinds)
        self._maps: list[mmap.mmap] = []
        columns = [self._column(COLUMN_TYPES[name], folder) for name in TapeColumns._fields]
        self._arrays: list[npt.NDArray[Any]] = columns
        self._columns = TapeColumns(*columns)
        self._let_go_at = 0
        self._rows = 0

    def _column(self, kind: type[np.int64] | type[np.int8], folder: Path | None) -> Any:
        size = self.rows_max * np.dtype(kind).itemsize
        with tempfile.TemporaryFile(dir=folder) as file:
            file.truncate(size)
            mapped = mmap.mmap(file.fileno(), size)
        self._maps.append(mapped)
        return np.frombuffer(mapped, dtype=kind)

    def __len__(self) -> int:
        return self._rows

    def append(self, rows: TapeColumns) -> None:
        """Take the next rows, in the order of time. Raises ValueError for time that goes back."""
        count = len(rows.ts)
        if not count:
            return
        end = self._rows + count
        if end > self.rows_max:
            raise TapeFull(f"{self.symbol}: more than {self.rows_max:,} rows in one session")
        newest = self._columns.ts[self._rows - 1] if self._rows else rows.ts[0]
        if rows.ts[0] < newest or bool((np.diff(rows.ts) < 0).any()):
            raise ValueError(f"{self.symbol}: rows are not in the order of time")
        for column, values in zip(self._arrays, rows, strict=True):
            column[self._rows : end] = values
        self._rows = end
        self._let_go()

    def _let_go(self) -> None:
        """Give memory back that is far behind; the rows are in the files. What a search has read
        there since the last time goes as well."""
        if self._rows - self._let_go_at < RESIDENT_ROWS:
            return
        self._let_go_at = self._rows
        until = self._rows - RESIDENT_ROWS
        for column, mapped in zip(self._arrays, self._maps, strict=True):
            length = until * column.dtype.itemsize // mmap.PAGESIZE * mmap.PAGESIZE
            if length > 0:
                mapped.madvise(mmap.MADV_DONTNEED, 0, length)

    def tape(self) -> Tape:
        """The rows so far as a tape. Views: it costs nothing however many there are."""
        columns = TapeColumns._make(column[: self._rows] for column in self._columns)
        for column in columns:
            column.flags.writeable = False
        stored = Stored(columns, _NO_BLOCKS, self._contents, columns.kind)
        return Tape(columns, self.symbol, self.source, "", self.bbo_after_trade, stored=stored)
