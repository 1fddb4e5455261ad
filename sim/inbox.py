"""The door between a market in real time and a session in virtual time.

Rows, operators' requests and the order to stop come in from other threads or from a recorded
market; the session's own thread waits here when it has done all that it can know of. What has come
stays until it is asked for, however slow the session is: nothing is lost, and `lag_ns` tells how
far behind it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from data.growing import GrowingTape
from data.schema import TapeColumns
from sim.incoming import Arrival, Request

_WAIT_SECONDS_MAX = 60.0
"""Clocks are set: after so long one looks again."""
_NS = 1e9


Rows = tuple[TapeColumns | None, ...]
"""One entry an instrument."""


class MarketClock(Protocol):
    """The time of a market in real time."""

    def now_ns(self) -> int:
        """Nanoseconds since the epoch; may go back where a machine's clock is set."""

    def seconds_until(self, ts_ns: int) -> float:
        """How long until that time."""


class RowSource(Protocol):
    """Where rows come from."""

    @property
    def end_ns(self) -> int | None:
        """When the source ends, None while that is not known."""

    def take(self, until_ns: int) -> tuple[TapeColumns | None, ...]:
        """The rows up to a time that were not handed out yet, one entry an instrument."""

    def next_ns(self) -> int | None:
        """When the next row comes, None where that is not known."""

    def skip(self, until_ns: int, also: Rows) -> None:
        """What came up to a time is known already, and of each instrument these rows after it."""


class Paced:
    """A recorded market's time: `start_ns` was at `began_ns` of the machine's clock.

    `speed` is how many seconds of it go by in one of the machine's.
    """

    def __init__(
        self, start_ns: int, began_ns: int, speed: float, wall_ns: Callable[[], int]
    ) -> None:
        self._start_ns = start_ns
        self._began_ns = began_ns
        self._speed = speed
        self._wall_ns = wall_ns

    def now_ns(self) -> int:
        """The market's time by now."""
        return self._start_ns + int((self._wall_ns() - self._began_ns) * self._speed)

    def seconds_until(self, ts_ns: int) -> float:
        """How long until that time of the market."""
        return (ts_ns - self.now_ns()) / self._speed / _NS


class Wall:
    """The time of a market that is going on now: the machine's clock."""

    def __init__(self, wall_ns: Callable[[], int]) -> None:
        self._wall_ns = wall_ns

    def now_ns(self) -> int:
        """The machine's time."""
        return self._wall_ns()

    def seconds_until(self, ts_ns: int) -> float:
        """How long until that time."""
        return (ts_ns - self._wall_ns()) / _NS


class Inbox:
    """An Incoming in real time. `serve` does what operators ask."""

    def __init__(
        self,
        tapes: Sequence[GrowingTape],
        source: RowSource,
        clock: MarketClock,
        serve: Callable[[Request], Any] = lambda request: None,
    ) -> None:
        self.tapes = tuple(tapes)
        self._source = source
        self._clock = clock
        self._serve = serve
        self._changed = threading.Condition()
        self._requests: list[Request] = []
        self._is_stopped = False
        self._is_waiting = False
        self.horizon_ns = -1

    # --- from any thread ------------------------------------------------------------------------

    def ask(self, request: Request) -> None:
        """Have the session serve a request, as soon as it comes to look."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def stop(self) -> None:
        """End the session at the time up to which it knows the market."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def put(self, add: Callable[[int], bool]) -> None:
        """Have `add` give rows to the source, at a time that the session does not know yet.

        It tells whether it did.
        """
        with self._changed:
            if add(max(self._clock.now_ns(), self.horizon_ns + 1)):
                self._changed.notify_all()

    @property
    def lag_ns(self) -> int:
        """How far the session's market is behind the clock's; 0 while it has nothing to do."""
        if self._is_waiting or self.horizon_ns < 0:
            return 0
        return max(0, self._clock.now_ns() - self.horizon_ns)

    # --- from the session -----------------------------------------------------------------------

    def next(self, until_ns: int | None) -> Arrival:
        """Wait for something to come, or for a time; see Incoming."""
        with self._changed:
            while True:
                arrival = self._arrival(until_ns)
                if arrival is not None:
                    return arrival
                due = [each for each in (until_ns, self._source.next_ns()) if each is not None]
                seconds = _WAIT_SECONDS_MAX
                if due:
                    seconds = min(seconds, max(self._clock.seconds_until(min(due)), 0.0))
                self._is_waiting = True
                self._changed.wait(seconds)
                self._is_waiting = False

    def look(self) -> Arrival:
        """What has come by now, without waiting."""
        with self._changed:
            arrival = self._arrival(self.horizon_ns)
            assert arrival is not None, "the time that is known has come"
            return arrival

    def _arrival(self, until_ns: int | None) -> Arrival | None:
        now_ns = self._clock.now_ns()
        end_ns = self._source.end_ns
        is_over = end_ns is not None and now_ns >= end_ns
        if is_over and end_ns is not None:
            now_ns = end_ns
        rows = self._source.take(now_ns)
        newest = [int(each.ts[-1]) for each in rows if each is not None]
        if not (newest or self._requests or self._is_stopped or is_over):
            if until_ns is None or now_ns < until_ns:
                return None
        self.horizon_ns = max([self.horizon_ns, now_ns, *newest])
        requests, self._requests = tuple(self._requests), []
        return Arrival(self.horizon_ns, rows, requests, is_last=is_over or self._is_stopped)

    def resume_at(self, horizon_ns: int, also: Rows) -> bool:
        """Go on behind a horizon, and behind the rows that are known of the time after it.

        Tells whether the market has gone on meanwhile.
        """
        with self._changed:
            self._source.skip(horizon_ns, also)
            self.horizon_ns = horizon_ns
        return self._clock.seconds_until(horizon_ns) < 0

    def serve(self, request: Request) -> Any:
        """See Incoming."""
        return self._serve(request)
