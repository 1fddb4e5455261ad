"""When the markets of a run open and close by their calendars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from broker_api.calendar import SessionCalendar
from sim.book import NEVER


class Boundaries:
    """The session boundaries between two times, each passed once, in order."""

    def __init__(self, calendars: Sequence[SessionCalendar], start_ns: int, end_ns: int) -> None:
        found = []
        for index, calendar in enumerate(calendars):
            for ts_ns, opens in calendar.boundaries(start_ns + 1, end_ns + 1):
                found.append((ts_ns, index, opens))
        self._left = sorted(found, reverse=True)
        self.next_ns = self._next_ns()
        """When a market opens or closes next."""

    def _next_ns(self) -> int:
        return self._left[-1][0] if self._left else int(NEVER)

    def due(self, ts_ns: int) -> Iterator[tuple[int, int, bool]]:
        """Pass those up to a time: (time, instrument, opens)."""
        while self.next_ns <= ts_ns:
            boundary = self._left.pop()
            self.next_ns = self._next_ns()
            yield boundary

    def end_at(self, end_ns: int) -> None:
        """None is later than `end_ns`."""
        self._left = [boundary for boundary in self._left if boundary[0] <= end_ns]
        self.next_ns = self._next_ns()
