"""What goes wrong between a session and its simulated venue, on purpose: kinds, lists, and draws.

A fault happens to the command of a number, counted from 1 in the order of sending. So the same
commands meet the same faults, whatever the time, and one command more shifts nobody else's.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import numpy as np

from broker_api.errors import ConfigurationError

MS = 1_000_000
MILLION = 1_000_000
DELAY_MS_MAX = 600_000
_DRAWN_AT_ONCE = 64
_WORDS_OF_A_COUNTER = 4
_LOW = 0xFFFF_FFFF


class FaultKind(str, Enum):
    """What happens to a command. `ms` of the fault says for how long."""

    REFUSED = "refused"
    """The venue refuses it, for a reason of its own, after `ms`; it has no effect."""
    LOST = "lost"
    """It never arrives, and nobody says so: uncertain after `ms`, then known not to be there."""
    UNANSWERED = "unanswered"
    """It takes effect and the answer is lost: uncertain after `ms`, then found at the venue."""
    LATE = "late"
    """It, and all that is sent behind it, waits for `ms` on its way."""
    SILENCE = "silence"
    """It arrives; what the venue tells from now on comes `ms` later, all at once."""
    BREAK = "break"
    """The connection breaks as it is sent, and is there again after `ms`. It has taken effect."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the command of this number; `look_ms` later an uncertain one is looked up."""

    command: int
    kind: FaultKind
    ms: int = 1_000
    look_ms: int = 500

    def __post_init__(self) -> None:
        if self.command < 1:
            raise ConfigurationError(f"command {self.command} of a fault is below 1")
        for name, value in (("ms", self.ms), ("look_ms", self.look_ms)):
            if not 0 <= value <= DELAY_MS_MAX:
                raise ConfigurationError(
                    f"{name} {value} of a fault is not from 0 to {DELAY_MS_MAX}"
                )


class Faults(Protocol):
    """Says what happens to a command."""

    def of(self, command: int) -> Fault | None:
        """What happens to the command of this number, None for nothing."""


@dataclass(frozen=True)
class ListedFaults:
    """These faults and no others; of several for one command the first."""

    faults: tuple[Fault, ...] = ()

    def of(self, command: int) -> Fault | None:
        """See `Faults.of`."""
        return next((fault for fault in self.faults if fault.command == command), None)


@dataclass(frozen=True)
class Rates:
    """How often each kind happens, in millionths of the commands, and for how long at most."""

    refused: int = 0
    lost: int = 0
    unanswered: int = 0
    late: int = 0
    silence: int = 0
    break_: int = 0
    doubt_ms: int = 3_000
    look_ms: int = 5_000
    late_ms: int = 2_000
    break_ms: int = 30_000

    def by_kind(self) -> tuple[tuple[FaultKind, int, int], ...]:
        """Every kind with its rate and its longest time in ms."""
        return (
            (FaultKind.REFUSED, self.refused, 50),
            (FaultKind.LOST, self.lost, self.doubt_ms),
            (FaultKind.UNANSWERED, self.unanswered, self.doubt_ms),
            (FaultKind.LATE, self.late, self.late_ms),
            (FaultKind.SILENCE, self.silence, self.late_ms),
            (FaultKind.BREAK, self.break_, self.break_ms),
        )


@dataclass
class DrawnFaults:
    """Faults drawn from a seed: a function of (seed, number of the command) alone."""

    seed: int
    rates: Rates
    _blocks: dict[int, list[int]] = field(default_factory=dict, repr=False, compare=False)

    def of(self, command: int) -> Fault | None:
        """See `Faults.of`."""
        chance_word, length_word, look_word = self._words(command)
        chance = (chance_word & _LOW) * MILLION >> 32
        for kind, rate, longest_ms in self.rates.by_kind():
            chance -= rate
            if chance < 0:
                ms = (length_word & _LOW) * (longest_ms + 1) >> 32
                look_ms = (look_word & _LOW) * (self.rates.look_ms + 1) >> 32
                return Fault(command, kind, max(1, ms), look_ms)
        return None

    def _words(self, command: int) -> tuple[int, int, int]:
        block, place = divmod(command, _DRAWN_AT_ONCE)
        if block not in self._blocks:
            first = block * _DRAWN_AT_ONCE
            self._blocks[block] = words(self.seed, "faults", first, _DRAWN_AT_ONCE)
        at = place * _WORDS_OF_A_COUNTER
        found = self._blocks[block]
        return found[at], found[at + 1], found[at + 2]


def words(seed: int, stream: str, first: int = 0, count: int = 1) -> list[int]:
    """Four words of 64 bits for each of `count` numbers from `first`: counter-based draws."""
    name = hashlib.sha256(stream.encode()).digest()[:8]
    key = np.array([seed, int.from_bytes(name, "little")], dtype=np.uint64)
    generator = np.random.Philox(key=key, counter=[first, 0, 0, 0])
    drawn: list[int] = generator.random_raw(count * _WORDS_OF_A_COUNTER).tolist()
    return drawn
