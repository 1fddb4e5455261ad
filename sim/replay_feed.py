"""A recorded market as one that is going on: rows of tapes at their own pace, or as fast as can be.

With a pace, rows come when their time has come on the machine's clock, which is handed in; without
one they come in portions as soon as the session wants more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from data.growing import GrowingTape
from data.schema import RowKind, TapeColumns
from data.tape import Tape
from sim.incoming import Arrival, Request

PORTION_ROWS = 16_384
"""Rows of one arrival at full speed."""


class Pace(Protocol):
    """How far a recorded market has come."""

    def reached_ns(self) -> int:
        """The market's time by now."""

    def wait(self, until_ns: int) -> None:
        """Until the market has come there, or sooner."""


class ReplayFeed:
    """An Incoming over tapes. `pace` None: at full speed, `portion_rows` at once."""

    def __init__(
        self,
        tapes: Sequence[Tape],
        pace: Pace | None = None,
        *,
        folder: Path | None = None,
        portion_rows: Callable[[], int] = lambda: PORTION_ROWS,
        serve: Callable[[Request], Any] = lambda request: None,
    ) -> None:
        self._tapes = tuple(tapes)
        self._pace = pace
        self._portion_rows = portion_rows
        self._serve = serve
        self._done = [0] * len(tapes)
        self._end_ns = max(tape.end_ns for tape in tapes)
        self._horizon_ns = min(tape.start_ns for tape in tapes) - 1
        self.tapes = tuple(
            growing_like(tape, folder) for tape in tapes
        )

    def next(self, until_ns: int | None) -> Arrival:
        """The next rows; see Incoming."""
        horizon_ns = self._portion_end_ns() if self._pace is None else self._paced_ns(until_ns)
        self._horizon_ns = max(self._horizon_ns, min(horizon_ns, self._end_ns))
        rows = tuple(self._rows_until(index) for index in range(len(self._tapes)))
        return Arrival(self._horizon_ns, rows, is_last=self._horizon_ns >= self._end_ns)

    def _portion_end_ns(self) -> int:
        """Where a portion of rows ends; all of that time belong to it."""
        count = self._portion_rows()
        ends = [self._end_ns]
        for tape, done in zip(self._tapes, self._done, strict=True):
            if done < len(tape):
                ends.append(int(tape.columns.ts[min(done + count, len(tape)) - 1]))
        return min(ends)

    def _paced_ns(self, until_ns: int | None) -> int:
        pace = self._pace
        assert pace is not None
        due_ns = min(self._next_row_ns(), self._end_ns)
        if until_ns is not None:
            due_ns = min(due_ns, until_ns)
        while (now_ns := pace.reached_ns()) <= max(self._horizon_ns, due_ns - 1):
            pace.wait(due_ns)
        return now_ns

    def _next_row_ns(self) -> int:
        left = [
            int(tape.columns.ts[done])
            for tape, done in zip(self._tapes, self._done, strict=True)
            if done < len(tape)
        ]
        return min(left, default=self._end_ns)

    def _rows_until(self, index: int) -> TapeColumns | None:
        columns, first = self._tapes[index].columns, self._done[index]
        end = int(np.searchsorted(columns.ts, self._horizon_ns, side="right"))
        self._done[index] = end
        if end == first:
            return None
        return TapeColumns._make(column[first:end] for column in columns)

    def serve(self, request: Request) -> Any:
        """See Incoming."""
        return self._serve(request)


def growing_like(tape: Tape, folder: Path | None) -> GrowingTape:
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
