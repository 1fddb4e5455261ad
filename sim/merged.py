"""Several tapes as one: the next row that concerns anyone, in the order of (time, instrument)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from data.schema import IntColumn
from sim import doors
from sim.book import NEVER
from sim.handles import TapeHandle


class MergedRows:
    """Serves the rows of all tapes of an exchange; `columns` are their times."""

    def __init__(
        self,
        array: npt.NDArray[Any],
        events: npt.NDArray[Any],
        handles: Sequence[TapeHandle],
        columns: Sequence[IntColumn],
    ) -> None:
        self._array = array
        self._cursors = array[0]["i_cursor"]
        self._events = events
        self._handles = tuple(handles)
        self._ts = tuple(columns)
        self._last_served = 0

    def continue_on(self, handles: Sequence[TapeHandle], columns: Sequence[IntColumn]) -> None:
        """Go on with other tapes, whose rows up to the present are the same."""
        self._handles, self._ts = tuple(handles), tuple(columns)

    def row_in_force(self, instrument: int, ts_ns: int) -> int:
        """The newest row of an instrument's tape at `ts_ns`, -1 before the first."""
        return int(self._ts[instrument].searchsorted(ts_ns, side="right")) - 1

    def serve_next(self, ends: list[int]) -> bool:
        """Process the next row that concerns someone, up to a row of each tape.

        Returns True when there is none left; then every tape stands at its end.
        """
        doors.refresh_interest(self._array)
        best = (int(NEVER), -1, -1)
        for index in sorted(range(len(ends)), key=lambda item: item != self._last_served):
            # The one served last is likely next; the others then need no look beyond its row, so
            # that no tape is read to its end again and again.
            end = ends[index]
            if best[1] >= 0:
                end = min(end, self.row_in_force(index, best[0]))
            start = int(self._cursors[index]) + 1
            row = int(doors.next_row(self._array, self._handles[index], index, start, end))
            if row <= end:
                best = min(best, (int(self._ts[index][row]), index, row))
        ts_ns, index, row = best
        if index < 0:
            for index, end in enumerate(ends):
                self._bring_to(index, end)
            return True
        self._last_served = index
        self._bring_up(ts_ns, index)
        doors.apply_row(self._array, self._handles[index], self._events, index, row)
        return False

    def _bring_up(self, ts_ns: int, before_index: int) -> None:
        """The other instruments' state just before a row: what the account is valued with."""
        for index in range(len(self._ts)):
            if index != before_index:
                bound_ns = ts_ns if index < before_index else ts_ns - 1
                self._bring_to(index, self.row_in_force(index, bound_ns))

    def _bring_to(self, index: int, row: int) -> None:
        if row > self._cursors[index]:
            doors.move_cursor(self._array, self._handles[index], index, row)
