"""Limits by IP address. Source: the venue's documentation, "Rate limits"."""

from __future__ import annotations

from collections import deque

WEIGHT_A_MINUTE = 1200
CONNECTIONS_MAX = 10
CONNECTIONS_A_MINUTE = 30
_MINUTE_MS = 60_000


class IpLimits:
    """What each address has used in the last minute of wall time."""

    def __init__(self) -> None:
        self._used: dict[str, deque[tuple[int, int]]] = {}
        self._connected: dict[str, deque[int]] = {}

    def admit(self, address: str, weight: int, now_ms: int) -> bool:
        """Whether a request of this weight is within the limit; if it is, it counts."""
        used = self._used.setdefault(address, deque())
        while used and used[0][0] <= now_ms - _MINUTE_MS:
            used.popleft()
        if sum(each for _, each in used) + weight > WEIGHT_A_MINUTE:
            return False
        used.append((now_ms, weight))
        return True

    def may_connect(self, address: str, open_connections: int, now_ms: int) -> bool:
        """Whether one more WebSocket is within the limits; if it is, it counts."""
        times = self._connected.setdefault(address, deque())
        while times and times[0] <= now_ms - _MINUTE_MS:
            times.popleft()
        if open_connections >= CONNECTIONS_MAX or len(times) >= CONNECTIONS_A_MINUTE:
            return False
        times.append(now_ms)
        return True
