"""A recorded market as one that is going on: the rows of tapes, each when its time has come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from data.growing import GrowingTape
from data.schema import RowKind, TapeColumns
from data.tape import Tape
from sim.inbox import Rows

PORTION_ROWS = 16_384
"""Rows that come at once where nobody paces them."""


class ReplaySource:
    """Rows of tapes up to a time, each handed out once."""

    def __init__(self, tapes: Sequence[Tape]) -> None:
        self._tapes = tuple(tapes)
        self._done = [0] * len(tapes)
        self.start_ns = min(tape.start_ns for tape in tapes)
        self.end_ns: int | None = max(tape.end_ns for tape in tapes)

    def take(self, until_ns: int) -> tuple[TapeColumns | None, ...]:
        """What has come up to a time, one entry an instrument."""
        return tuple(self._take(index, until_ns) for index in range(len(self._tapes)))

    def _take(self, index: int, until_ns: int) -> TapeColumns | None:
        columns, first = self._tapes[index].columns, self._done[index]
        end = int(np.searchsorted(columns.ts, until_ns, side="right"))
        if end <= first:
            return None
        self._done[index] = end
        return TapeColumns._make(column[first:end] for column in columns)

    def next_ns(self) -> int | None:
        """When the next row comes, None behind the last."""
        left = [
            int(tape.columns.ts[done])
            for tape, done in zip(self._tapes, self._done, strict=True)
            if done < len(tape)
        ]
        return min(left, default=None)

    def portion_end_ns(self, rows: int) -> int:
        """The time at which the next so many rows have come, in the instrument that is first."""
        assert self.end_ns is not None
        ends = [self.end_ns]
        for tape, done in zip(self._tapes, self._done, strict=True):
            if done < len(tape):
                ends.append(int(tape.columns.ts[min(done + rows, len(tape)) - 1]))
        return min(ends)

    def skip(self, until_ns: int, also: Rows) -> None:
        """What came up to a time is known already, and of each instrument these rows after it."""
        self.take(until_ns)
        for index, rows in enumerate(also):
            self._done[index] += 0 if rows is None else len(rows.ts)


class FullSpeed:
    """The clock of a recorded market that nobody paces: as soon as more is wanted, more is there.

    `rows` tells how many rows come at once.
    """

    def __init__(
        self, source: ReplaySource, rows: Callable[[], int] = lambda: PORTION_ROWS
    ) -> None:
        self._source = source
        self._rows = rows

    def now_ns(self) -> int:
        """The market's time: that of the next portion's last row."""
        return self._source.portion_end_ns(self._rows())

    def seconds_until(self, ts_ns: int) -> float:
        """Nobody waits."""
        return 0.0


def growing_like(tape: Tape, folder: Path | None = None) -> GrowingTape:
    """An empty tape that may grow to hold what another one holds."""
    kinds = [RowKind.QUOTE] if tape.has_quotes else []
    kinds += [RowKind.TRADE] if tape.has_trades else []
    kinds += [RowKind.MARK] if tape.has_marks else []
    return GrowingTape(
        tape.symbol,
        tape.source,
        kinds,
        bbo_after_trade=tape.bbo_after_trade,
        folder=folder,
        rows_max=len(tape),
    )
