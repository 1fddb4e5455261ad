"""When a row of a tape reaches the session, and which moment of the tape it has seen by now."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from broker_api.latency import LatencySetting
from sim.latency import Constant, Delays, delays_of

NEVER_NS = (1 << 63) - 1
_BLOCK_ROWS = 65_536


class Feed(Protocol):
    """The market data of one instrument on its way to the session. No row overtakes another."""

    def row_at(self, now_ns: int) -> int:
        """The last row that has arrived at `now_ns`, -1 before the first."""

    def seen_ns(self, now_ns: int) -> int:
        """The moment of the tape up to which the session has seen it at `now_ns`."""

    def row_due_ns(self, row: int) -> int:
        """When the row arrives; NEVER_NS behind the last."""

    def rows_due_ns(self, first: int, end: int) -> npt.NDArray[np.int64]:
        """When each of the rows from `first` up to, not with, `end` arrives."""

    def time_due_ns(self, ts_ns: int) -> int:
        """When `seen_ns` reaches this moment of the tape."""

    def times_due_ns(self, ts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """As `time_due_ns`, of several moments in their order."""

    def grow(self, ts: npt.NDArray[np.int64]) -> None:
        """More rows are known: `ts` are the times of all."""


def feed_of(ts: npt.NDArray[np.int64], setting: LatencySetting, seed: int, symbol: str) -> Feed:
    """The feed of one instrument's tape, whose rows are at `ts`."""
    delays = delays_of(setting, seed, f"feed:{symbol}")
    return SteadyFeed(ts, delays.ns) if isinstance(delays, Constant) else _VaryingFeed(ts, delays)


class SteadyFeed:
    """Everything arrives `latency_ns` after it happened."""

    def __init__(self, ts: npt.NDArray[np.int64], latency_ns: int) -> None:
        self._ts = ts
        self.latency_ns = latency_ns

    def row_at(self, now_ns: int) -> int:
        """The last row that has arrived at `now_ns`, -1 before the first."""
        return int(self._ts.searchsorted(now_ns - self.latency_ns, side="right")) - 1

    def seen_ns(self, now_ns: int) -> int:
        """The moment of the tape up to which the session has seen it at `now_ns`."""
        return now_ns - self.latency_ns

    def row_due_ns(self, row: int) -> int:
        """When the row arrives; NEVER_NS behind the last."""
        return int(self._ts[row]) + self.latency_ns if row < len(self._ts) else NEVER_NS

    def rows_due_ns(self, first: int, end: int) -> npt.NDArray[np.int64]:
        """When each of the rows from `first` up to, not with, `end` arrives."""
        due: npt.NDArray[np.int64] = self._ts[first:end] + self.latency_ns
        return due

    def time_due_ns(self, ts_ns: int) -> int:
        """When `seen_ns` reaches this moment of the tape."""
        return ts_ns + self.latency_ns

    def times_due_ns(self, ts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """As `time_due_ns`, of several moments in their order."""
        due: npt.NDArray[np.int64] = ts + self.latency_ns
        return due

    def grow(self, ts: npt.NDArray[np.int64]) -> None:
        """More rows are known: `ts` are the times of all."""
        self._ts = ts


class _VaryingFeed:
    """Each row has a latency of its own; a moment between two rows has that of the row before it.

    Latencies are looked up as far as the session has come.
    """

    def __init__(self, ts: npt.NDArray[np.int64], delays: Delays) -> None:
        self._ts = ts
        self._delays = delays
        self._delay = np.empty(len(ts), dtype=np.int64)
        self._arrival = np.empty(len(ts), dtype=np.int64)
        self._known = 0

    def row_at(self, now_ns: int) -> int:
        """The last row that has arrived at `now_ns`, -1 before the first."""
        while self._known < len(self._ts) and not self._reaches(now_ns):
            self._look_up_to(self._known)
        return int(np.searchsorted(self._arrival[: self._known], now_ns, side="right")) - 1

    def _reaches(self, now_ns: int) -> bool:
        return self._known > 0 and int(self._arrival[self._known - 1]) > now_ns

    def _look_up_to(self, row: int) -> None:
        while self._known <= row:
            first = self._known
            until = min(len(self._ts), first + _BLOCK_ROWS)
            ts = self._ts[first:until]
            delay = self._delays.many(first, ts)
            arrival = np.maximum.accumulate(ts + delay)
            if first:
                arrival = np.maximum(arrival, self._arrival[first - 1])
            self._delay[first:until], self._arrival[first:until] = delay, arrival
            self._known = until

    def seen_ns(self, now_ns: int) -> int:
        """The moment of the tape up to which the session has seen it at `now_ns`."""
        row = self.row_at(now_ns)
        if row < 0:
            return min(now_ns, int(self._ts[0])) - 1
        seen_ns = now_ns - int(self._delay[row])
        if row + 1 < len(self._ts):  # before that row is here nobody knows of its time
            seen_ns = min(seen_ns, int(self._ts[row + 1]) - 1)
        return max(seen_ns, int(self._ts[row]))

    def row_due_ns(self, row: int) -> int:
        """When the row arrives; NEVER_NS behind the last."""
        if row >= len(self._ts):
            return NEVER_NS
        self._look_up_to(row)
        return int(self._arrival[row])

    def rows_due_ns(self, first: int, end: int) -> npt.NDArray[np.int64]:
        """When each of the rows from `first` up to, not with, `end` arrives."""
        self._look_up_to(end - 1)
        return self._arrival[first:end]

    def time_due_ns(self, ts_ns: int) -> int:
        """When `seen_ns` reaches this moment of the tape."""
        following = int(np.searchsorted(self._ts, ts_ns, side="left"))
        next_ns = self.row_due_ns(following)
        if following < len(self._ts) and int(self._ts[following]) == ts_ns:
            return next_ns
        if following == 0:
            return ts_ns + 1
        before_ns = self.row_due_ns(following - 1)
        return min(next_ns, max(before_ns, ts_ns + int(self._delay[following - 1])))

    def times_due_ns(self, ts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """As `time_due_ns`, of several moments in their order."""
        return np.array([self.time_due_ns(each) for each in ts.tolist()], dtype=np.int64)

    def grow(self, ts: npt.NDArray[np.int64]) -> None:
        """More rows are known: `ts` are the times of all."""
        self._ts = ts
        if len(ts) > len(self._delay):
            more = np.empty(max(len(ts), _BLOCK_ROWS), dtype=np.int64)
            self._delay, self._arrival = (
                np.concatenate([kept[: self._known], more]) for kept in (self._delay, self._arrival)
            )
