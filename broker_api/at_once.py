"""How much a session sends at one instant: beyond a limit it is a loop that ran away."""

from __future__ import annotations

from broker_api.errors import RunawayStrategy

COMMANDS_AT_ONCE_MAX = 10_000
"""Commands at one instant of session time; no sane program sends more."""


class AtOnce:
    """Counts the commands of the present instant."""

    def __init__(self) -> None:
        self._now_ns = self._commands = 0

    def count(self, now_ns: int) -> None:
        """One more at `now_ns`. Raises RunawayStrategy beyond the limit."""
        self.add(now_ns, 1)
        if self._commands > COMMANDS_AT_ONCE_MAX:
            raise RunawayStrategy(
                f"more than {COMMANDS_AT_ONCE_MAX} commands at one instant of session time"
            )

    def add(self, now_ns: int, commands: int) -> None:
        """So many were sent at `now_ns`, by whatever way."""
        if now_ns != self._now_ns:
            self._now_ns, self._commands = now_ns, 0
        self._commands += commands
