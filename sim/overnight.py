"""Day and overnight margins take turns at calendar times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from broker_api.calendar import SessionCalendar
from broker_api.instrument import Instrument
from sim.book import NEVER

_MINUTE_NS = 60_000_000_000


class MarginSwitches:
    """Puts the margins per lot of day and night into a book, each in its time.

    The night's hold from `overnight_from_minutes` before a session's close to the next opening.
    Instruments without margins of their own for the night, or without sessions, never switch.
    """

    def __init__(
        self,
        book: np.void,
        instruments: Sequence[Instrument],
        calendars: Sequence[SessionCalendar],
        start_ns: int,
        end_ns: int,
    ) -> None:
        self._book = book
        self._instruments = tuple(instruments)
        switches = []
        for index, instrument in enumerate(instruments):
            if not instrument.has_overnight_margin:
                continue
            sessions = calendars[index].sessions_between(start_ns, end_ns + 1)
            is_night = bool(sessions) or not calendars[index].is_open(start_ns)
            for opens_ns, closes_ns in sessions:
                night_ns = closes_ns - instrument.overnight_from_minutes * _MINUTE_NS
                night_ns = max(opens_ns, night_ns)
                is_night = is_night and not opens_ns <= start_ns < night_ns
                switches += [(opens_ns, index, False), (night_ns, index, True)]
            self._set(index, is_night)
        self._switches = sorted((each for each in switches if each[0] > start_ns), reverse=True)
        self.next_ns = self._next_ns()
        """When margins change next."""

    def _next_ns(self) -> int:
        return self._switches[-1][0] if self._switches else int(NEVER)

    def switch(self, ts_ns: int) -> bool:
        """Put in force what is due at `ts_ns`; True when the night has begun for any."""
        has_night_begun = False
        while self.next_ns <= ts_ns:
            _, index, is_night = self._switches.pop()
            self._set(index, is_night)
            has_night_begun = has_night_begun or is_night
            self.next_ns = self._next_ns()
        return has_night_begun

    def end_at(self, end_ns: int) -> None:
        """None is later than the session that is under way at `end_ns`."""
        self._switches = [switch for switch in self._switches if switch[0] <= end_ns]
        self.next_ns = self._next_ns()

    def _set(self, index: int, is_night: bool) -> None:
        spec = self._instruments[index]
        initial, maintenance = spec.initial_margin_lot_nanos, spec.maintenance_margin_lot_nanos
        if is_night:
            initial = spec.overnight_initial_lot_nanos
            maintenance = spec.overnight_maintenance_lot_nanos
        self._book["i_initial_lot"][index] = initial
        self._book["i_maintenance_lot"][index] = maintenance
        self._book["interest_stale"] = 1
