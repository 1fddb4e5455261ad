"""What goes wrong on the way between a client and a local venue, on purpose.

A fault is a rule: what it does, to which requests or frames, how many to let pass first, and to how
many it happens. Or everything is drawn: `Chaos` gives each kind its chance, and the same seed gives
the same faults to the same sequence of requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Any

import numpy as np

from broker_api.config import near_miss
from broker_api.errors import ConfigurationError

DELAY_MS_MAX = 600_000


class FaultKind(str, Enum):
    """What a fault does. The first eight are of requests, the others of WebSocket frames."""

    DROP_BEFORE = "drop_before"
    """The connection breaks before the request has had an effect."""
    DROP_AFTER = "drop_after"
    """The request had its effect; the connection breaks in the place of the answer."""
    DELAY_BEFORE = "delay_before"
    """The request waits for `ms` of wall time before it has its effect."""
    DELAY_AFTER = "delay_after"
    """The answer waits for `ms`."""
    DUPLICATE = "duplicate"
    """The request arrives twice; the answer is the first's."""
    TOO_MANY = "429"
    """Refused before any effect: too many requests."""
    ERROR_BEFORE = "500_before"
    """An internal error without an effect."""
    ERROR_AFTER = "500_after"
    """The effect happened; the answer is an internal error."""
    FRAME_DROP = "frame_drop"
    FRAME_DUPLICATE = "frame_duplicate"
    FRAME_REORDER = "frame_reorder"
    """The frame comes behind the next one of its connection."""
    FRAME_DELAY = "frame_delay"
    """The connection's frames wait for `ms`."""
    DISCONNECT = "disconnect"
    """The WebSocket closes in the place of the frame."""

    @property
    def is_of_frames(self) -> bool:
        """True for what happens to WebSocket frames."""
        return self in _OF_FRAMES


_OF_FRAMES = (
    FaultKind.FRAME_DROP,
    FaultKind.FRAME_DUPLICATE,
    FaultKind.FRAME_REORDER,
    FaultKind.FRAME_DELAY,
    FaultKind.DISCONNECT,
)


@dataclass(frozen=True)
class Fault:
    """One rule. `match` is a name of the request (its path, its type) or of the frame (its
    channel); empty matches all of them.
    """

    kind: FaultKind
    match: str = ""
    skip: int = 0
    count: int = 1
    ms: int = 0

    @classmethod
    def parse(cls, table: Mapping[str, Any]) -> Fault:
        """The fault that a JSON object describes. Raises ConfigurationError."""
        names = ("kind", "match", "skip", "count", "ms")
        for key in table:
            if key not in names:
                hint = near_miss(str(key), names)
                raise ConfigurationError(f"a fault has no {key!r}{hint}")
        kind = _kind(table.get("kind"))
        if not isinstance(table.get("match", ""), str):
            raise ConfigurationError(f"match {table['match']!r} of a fault is no text")
        numbers = {key: _whole(key, table[key]) for key in names[2:] if key in table}
        if numbers.get("count", 1) < 1:
            raise ConfigurationError(f"count {numbers['count']} of a fault is below 1")
        if numbers.get("ms", 0) > DELAY_MS_MAX:
            raise ConfigurationError(f"ms {numbers['ms']} of a fault is above {DELAY_MS_MAX}")
        return cls(kind, table.get("match", ""), **numbers)


def _kind(text: object) -> FaultKind:
    for kind in FaultKind:
        if kind.value == text:
            return kind
    names = [kind.value for kind in FaultKind]
    hint = near_miss(str(text), names) or f"; there are {', '.join(names)}"
    raise ConfigurationError(f"{text!r} is no kind of fault{hint}")


def _whole(key: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
        raise ConfigurationError(f"{key} {value!r} of a fault is not a whole number from 0")
    return value


@dataclass(frozen=True)
class Chaos:
    """Every kind's chance for each request or frame, drawn from a seed; delays are up to `ms`."""

    seed: int
    rates: Mapping[FaultKind, float]
    ms: int = 20
    match: str = ""

    @classmethod
    def parse(cls, table: Mapping[str, Any]) -> Chaos:
        """The chaos that a JSON object describes. Raises ConfigurationError."""
        for key in table:
            if key not in ("seed", "rates", "ms", "match"):
                raise ConfigurationError(f"chaos has no {key!r}; it has seed, rates, ms, match")
        given = table.get("rates")
        if not isinstance(given, Mapping):
            raise ConfigurationError("chaos needs rates: a table of chances by kind of fault")
        numbers = [rate for rate in given.values() if isinstance(rate, int | float | Decimal)]
        rates = {_kind(name): float(rate) for name, rate in zip(given, numbers, strict=False)}
        if len(numbers) < len(given) or not all(0 <= rate <= 1 for rate in rates.values()):
            raise ConfigurationError(f"rates {dict(given)} of chaos are not all from 0 to 1")
        seed, ms = _whole("seed", table.get("seed", 0)), _whole("ms", table.get("ms", 20))
        return cls(seed, rates, min(ms, DELAY_MS_MAX), str(table.get("match", "")))

    def draw(self, number: int, *, of_frames: bool) -> Fault | None:
        """The fault of the request or frame with this number, None for none."""
        key = np.array([self.seed, number * 2 + of_frames], dtype=np.uint64)
        generator = np.random.Generator(np.random.Philox(key=key))
        chance = generator.random()
        for kind in FaultKind:
            if kind.is_of_frames == of_frames:
                chance -= self.rates.get(kind, 0.0)
                if chance < 0:
                    return Fault(kind, ms=int(generator.integers(0, self.ms + 1)))
        return None


@dataclass
class Faults:
    """The rules in force, and what has happened so far."""

    rules: list[Fault] = field(default_factory=list)
    chaos: Chaos | None = None
    happened: dict[str, int] = field(default_factory=dict)
    _seen: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})

    def add(self, rules: list[Fault], chaos: Chaos | None) -> None:
        """Put more rules in force; `chaos` takes the place of the one before, and counts anew."""
        self.rules += rules
        if chaos is not None:
            self.chaos = chaos
            self._seen = {False: 0, True: 0}

    def clear(self) -> None:
        """Let everything go well from now on."""
        self.rules, self.chaos = [], None

    def of_request(self, names: tuple[str, ...]) -> Fault | None:
        """What happens to a request that goes by these names."""
        return self._next(names, of_frames=False)

    def of_frame(self, names: tuple[str, ...]) -> Fault | None:
        """What happens to a frame that goes by these names."""
        return self._next(names, of_frames=True)

    def _next(self, names: tuple[str, ...], *, of_frames: bool) -> Fault | None:
        found = self._ruled(names, of_frames)
        if found is None and self.chaos is not None and self.chaos.match in ("", *names):
            number = self._seen[of_frames]
            self._seen[of_frames] = number + 1
            found = self.chaos.draw(number, of_frames=of_frames)
        if found is not None:
            self.happened[found.kind.value] = self.happened.get(found.kind.value, 0) + 1
        return found

    def _ruled(self, names: tuple[str, ...], of_frames: bool) -> Fault | None:
        for at, rule in enumerate(self.rules):
            if rule.kind.is_of_frames != of_frames or rule.match not in ("", *names):
                continue
            if rule.skip:
                self.rules[at] = Fault(rule.kind, rule.match, rule.skip - 1, rule.count, rule.ms)
                continue
            if rule.count == 1:
                del self.rules[at]
            else:
                self.rules[at] = Fault(rule.kind, rule.match, 0, rule.count - 1, rule.ms)
            return rule
        return None

    def table(self) -> dict[str, Any]:
        """The rules left and what has happened, as JSON."""
        chaos = None
        if self.chaos is not None:
            rates = {kind.value: rate for kind, rate in self.chaos.rates.items()}
            chaos = {"seed": self.chaos.seed, "rates": rates, "ms": self.chaos.ms}
        rules = [asdict(rule) | {"kind": rule.kind.value} for rule in self.rules]
        return {"rules": rules, "chaos": chaos, "happened": dict(self.happened)}
