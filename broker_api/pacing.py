"""A venue's rate limits as arithmetic on handed-in time, and who goes first under them.

Pure: a limit tells when a request of some weight may go and is told when it went; a :class:`Queue`
decides whose turn it is; :class:`BackOff` says how long to be silent after a refusal. Times are
nanoseconds of any clock that never runs back. `pacer.py` is the asyncio face.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, Self

import numpy as np

from broker_api.errors import ConfigurationError, RateLimited

NS_SECOND = 1_000_000_000
QUEUE_LENGTH_MAX = 10_000
"""More requests than this waiting are refused: the program asks for more than it will ever get."""


class Kind(IntEnum):
    """What a request is for; the lower number goes first.

    CANCEL and PROTECT (a stop's placement, a close at market) may use the reserve.
    """

    CANCEL = 0
    PROTECT = 1
    ORDER = 2
    QUERY = 3

    @property
    def is_urgent(self) -> bool:
        """True for what makes the account safer: it may use the reserve."""
        return self <= Kind.PROTECT


class Limit(Protocol):
    """One limit of a venue."""

    def free_ns(self, now_ns: int, weight: int, kind: Kind) -> int:
        """The first time from `now_ns` on at which such a request may go, if none goes before."""
        ...

    def take(self, now_ns: int, weight: int, kind: Kind) -> None:
        """A request goes now."""
        ...

    def copy(self) -> Self:
        """The same state once more, to look ahead with."""
        ...


class Window:
    """At most `weight_max` in any `period_ns`; the last `reserve` of it is for urgent requests.

    Exact over every window, wherever it begins, so it also keeps fixed windows and buckets. The
    venue counts when a request arrives: give it a period that is longer by the time under way.
    """

    def __init__(self, weight_max: int, period_ns: int, reserve: int = 0) -> None:
        if not 0 <= reserve < weight_max or period_ns <= 0:
            raise ConfigurationError(
                f"a window of {weight_max} in {period_ns} ns with a reserve of {reserve}: the "
                "reserve is at least 0 and less than the whole, the period positive"
            )
        self.weight_max = weight_max
        self.period_ns = period_ns
        self.reserve = reserve
        self._taken: deque[tuple[int, int]] = deque()
        self._used = 0

    def free_ns(self, now_ns: int, weight: int, kind: Kind) -> int:
        """See `Limit`. Raises ConfigurationError for a weight that never fits."""
        room = self.weight_max - (0 if kind.is_urgent else self.reserve)
        if weight > room:
            raise ConfigurationError(
                f"a request of weight {weight} never fits: {room} of {self.weight_max} may be used"
            )
        self._forget(now_ns)
        used, free = self._used, now_ns
        for taken_ns, taken in self._taken:
            if used + weight <= room:
                break
            used -= taken
            free = taken_ns + self.period_ns
        return free

    def take(self, now_ns: int, weight: int, kind: Kind) -> None:
        """See `Limit`."""
        self._taken.append((now_ns, weight))
        self._used += weight

    def _forget(self, now_ns: int) -> None:
        while self._taken and self._taken[0][0] + self.period_ns <= now_ns:
            self._used -= self._taken.popleft()[1]

    def copy(self) -> Self:
        """See `Limit`."""
        other = type(self)(self.weight_max, self.period_ns, self.reserve)
        other._taken, other._used = self._taken.copy(), self._used
        return other


class Allowance:
    """So many requests for ever, more of them earned by trading; then one every `trickle_ns`.

    Hyperliquid's limit of an address: 10,000 and one per USD traded, every entry of a batch counts.
    Cancels have min(`allowed` + `cancels_more`, 2 `allowed`).
    """

    def __init__(self, allowed: int, trickle_ns: int, cancels_more: int = 0, used: int = 0) -> None:
        self.allowed = allowed
        self.trickle_ns = trickle_ns
        self.cancels_more = cancels_more
        self.used = used
        self._next_ns = 0

    def update(self, used: int, allowed: int) -> None:
        """Take over what the venue itself counts."""
        self.used, self.allowed = used, allowed

    def earn(self, requests: int) -> None:
        """Trading allowed some more."""
        self.allowed += requests

    def _most(self, kind: Kind) -> int:
        if kind is not Kind.CANCEL:
            return self.allowed
        return min(self.allowed + self.cancels_more, 2 * self.allowed)

    def free_ns(self, now_ns: int, weight: int, kind: Kind) -> int:
        """See `Limit`."""
        if self.used + weight <= self._most(kind):
            return now_ns
        return max(now_ns, self._next_ns)

    def take(self, now_ns: int, weight: int, kind: Kind) -> None:
        """See `Limit`. Beyond what is allowed a request of several entries waits for each."""
        beyond = min(weight, max(0, self.used + weight - self._most(kind)))
        self.used += weight
        if beyond:
            self._next_ns = now_ns + beyond * self.trickle_ns

    def copy(self) -> Self:
        """See `Limit`."""
        other = type(self)(self.allowed, self.trickle_ns, self.cancels_more, self.used)
        other._next_ns = self._next_ns
        return other


class BackOff:
    """Silence after a refusal for too many requests: it doubles each time, from `first_ns`.

    What is waited is drawn from the upper half of it, so that several clients do not come back
    together. A longer time that the venue named itself is kept.
    """

    def __init__(self, draws: np.random.Generator, first_ns: int, most_ns: int) -> None:
        self._draws = draws
        self.first_ns = first_ns
        self.most_ns = most_ns
        self.refusals = 0
        self.until_ns = 0

    def refused(self, now_ns: int, retry_after_ns: int = 0) -> int:
        """The venue refused for too many requests; returns until when to be silent."""
        # 1 << 62 ns is a century: the shift is bounded so that the number stays small.
        whole = min(self.most_ns, self.first_ns << min(self.refusals, 30))
        self.refusals += 1
        wait = whole - int(self._draws.integers(0, whole // 2 + 1))
        self.until_ns = max(self.until_ns, now_ns + max(wait, retry_after_ns))
        return self.until_ns

    def accepted(self) -> None:
        """The venue answered properly: the next refusal begins at `first_ns` again."""
        self.refusals = 0

    def free_ns(self, now_ns: int, weight: int, kind: Kind) -> int:
        """See `Limit`. Cancels wait as well: a refused one would only make it longer."""
        return max(now_ns, self.until_ns)

    def take(self, now_ns: int, weight: int, kind: Kind) -> None:
        """See `Limit`."""

    def copy(self) -> Self:
        """See `Limit`. A copy looks ahead and is never refused, so it may share the draws."""
        other = type(self)(self._draws, self.first_ns, self.most_ns)
        other.refusals, other.until_ns = self.refusals, self.until_ns
        return other


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits. `key` names what must keep its order, an order's id for example."""

    number: int
    kind: Kind
    weight: int
    key: object
    until_ns: int | None
    since_ns: int


class Queue:
    """Whose turn it is: by kind, and first come first among requests of one kind.

    So the commands of an instrument keep their order, and cancels pass all others; only what has
    the same key never passes: the cancel of an order that itself still waits comes behind it.
    Nobody overtakes the one whose turn it is, also not with a smaller weight.
    """

    def __init__(self, limits: Sequence[Limit]) -> None:
        self._limits = tuple(limits)
        self._waiting: dict[int, Waiting] = {}
        self._count = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def add(
        self,
        now_ns: int,
        weight: int = 1,
        kind: Kind = Kind.ORDER,
        *,
        key: object = None,
        wait_max_ns: int | None = None,
    ) -> Waiting:
        """Queue a request. Raises RateLimited when it would wait longer than `wait_max_ns`."""
        assert weight > 0, "every request weighs something"
        until_ns = None if wait_max_ns is None else now_ns + wait_max_ns
        entry = Waiting(self._count + 1, kind, weight, key, until_ns, now_ns)
        if len(self._waiting) >= QUEUE_LENGTH_MAX:
            raise RateLimited(f"{QUEUE_LENGTH_MAX} requests wait already; nothing was sent")
        if until_ns is not None:
            goes_ns = self._forecast_ns(now_ns, entry)
            if goes_ns > until_ns:
                raise too_late(entry, goes_ns)
        else:
            self._free_ns(now_ns, entry)  # refuses a weight that never fits
        self._count = entry.number
        self._waiting[entry.number] = entry
        return entry

    def remove(self, entry: Waiting) -> None:
        """Whoever waited has gone away. Nothing happens when it had its turn already."""
        self._waiting.pop(entry.number, None)

    def serve(self, now_ns: int) -> tuple[list[Waiting], list[tuple[Waiting, RateLimited]]]:
        """Take out what goes now, in its order, and what can no longer go within its bound.

        The second happens when urgent requests came in between.
        """
        late, gone = self._expire(now_ns), list[Waiting]()
        while (entry := self._pop(now_ns)) is not None:
            gone.append(entry)
        return gone, late + self._expire(now_ns)

    def _pop(self, now_ns: int) -> Waiting | None:
        """The request whose turn it is if it may go now; its weight is taken."""
        entry = self._next()
        if entry is None or self._free_ns(now_ns, entry) > now_ns:
            return None
        del self._waiting[entry.number]
        for limit in self._limits:
            limit.take(now_ns, entry.weight, entry.kind)
        return entry

    def due_ns(self, now_ns: int) -> int | None:
        """When there will be something to do: a turn, or a bound that passes; None when empty."""
        entry = self._next()
        if entry is None:
            return None
        bounds = [each.until_ns + 1 for each in self._waiting.values() if each.until_ns is not None]
        return max(now_ns, min([self._free_ns(now_ns, entry), *bounds]))

    def _expire(self, now_ns: int) -> list[tuple[Waiting, RateLimited]]:
        late = []
        for entry in tuple(self._waiting.values()):
            if entry.until_ns is not None:
                goes_ns = self._free_ns(now_ns, entry)
                if goes_ns > entry.until_ns:
                    del self._waiting[entry.number]
                    late.append((entry, too_late(entry, goes_ns)))
        return late

    def _next(self) -> Waiting | None:
        """The request whose turn it is."""
        behind: set[object] = set()
        best: Waiting | None = None
        for entry in self._waiting.values():  # in the order in which they came
            if (best is None or entry.kind < best.kind) and entry.key not in behind:
                best = entry
                if entry.kind is Kind.CANCEL:
                    return best
            if entry.key is not None:
                behind.add(entry.key)
        return best

    def _free_ns(self, now_ns: int, entry: Waiting) -> int:
        free = now_ns
        for limit in self._limits:
            free = max(free, limit.free_ns(now_ns, entry.weight, entry.kind))
        return free

    def _forecast_ns(self, now_ns: int, entry: Waiting) -> int:
        """When a new request would go if nobody else came: the queue is played through."""
        if not self._waiting:
            return self._free_ns(now_ns, entry)
        ahead = Queue([limit.copy() for limit in self._limits])
        ahead._waiting = {**self._waiting, entry.number: entry}
        while True:
            now_ns = ahead._free_ns(now_ns, ahead._next() or entry)
            if ahead._pop(now_ns) == entry:
                return now_ns


def too_late(entry: Waiting, goes_ns: int) -> RateLimited:
    """The refusal of a request that would go at `goes_ns`, after its bound."""
    wait_ns = goes_ns - entry.since_ns
    bound_ns = (entry.until_ns or 0) - entry.since_ns
    return RateLimited(
        f"the venue's rate limits let a request of weight {entry.weight} wait "
        f"{wait_ns / NS_SECOND:.3f} s, and it may wait {bound_ns / NS_SECOND:.3f} s; "
        "nothing was sent",
        wait_ns=wait_ns,
        bound_ns=bound_ns,
    )
