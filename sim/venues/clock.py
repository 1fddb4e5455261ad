"""Market time against wall time: it stands, or runs at a speed."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from broker_api.errors import ConfigurationError

WallClock = Callable[[], int]
"""Nanoseconds since the epoch by the machine's clock; handed in, so that tests have their own."""
SPEED_MAX = 1_000_000


class MarketClock:
    """Where the market's time should be now. It knows no market: who asks moves one there."""

    def __init__(self, wall_ns: WallClock, market_ns: int, speed: Fraction = Fraction(0)) -> None:
        self._wall_ns = wall_ns
        self._market_ns = market_ns
        self._since_ns = wall_ns()
        self.speed = check_speed(speed)

    def now_ns(self) -> int:
        """The market's time."""
        if not self.speed:
            return self._market_ns
        gone_ns = max(0, self._wall_ns() - self._since_ns)
        return self._market_ns + int(gone_ns * self.speed)

    def stand_at(self, market_ns: int) -> None:
        """The market is there now; from here on it goes on as before."""
        self._market_ns, self._since_ns = market_ns, self._wall_ns()

    def set_speed(self, speed: Fraction) -> None:
        """Let the market stand (0), run as it was recorded (1), or so many times as fast."""
        speed = check_speed(speed)
        self.stand_at(self.now_ns())
        self.speed = speed


def check_speed(speed: Fraction) -> Fraction:
    """The speed. Raises ConfigurationError outside of 0 to a million."""
    if not 0 <= speed <= SPEED_MAX:
        raise ConfigurationError(f"speed {speed} is not between 0 (stepped) and {SPEED_MAX}")
    return speed


def speed_of(text: str) -> Fraction:
    """The speed that a text names: `stepped`, or a number. Raises ConfigurationError."""
    if text.strip().lower() == "stepped":
        return Fraction(0)
    try:
        return check_speed(Fraction(text))
    except (ValueError, ZeroDivisionError):
        raise ConfigurationError(f"speed {text!r} is not `stepped` and no number") from None
