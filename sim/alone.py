"""A coroutine that is alone: what it waits for is given to it at once.

To wait costs a future, two callbacks, and rounds of the event loop. Where a session has no handlers
and nothing under way, and no other task or timer is due before, all of it ends in the same task
going on at a later time. Then time goes on under the task, and it never waits: who could have seen
the difference would have had to run meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sim.arrivals import Arrivals
from sim.deliveries import Deliveries
from sim.feed import NEVER_NS
from sim.ticks import Ticks
from sim.virtual_loop import VirtualLoop


class Alone:
    """Whether the running task of a session is alone.

    `is_busy` tells what the broker knows: whether time up to a moment is not the task's alone.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        arrivals: Arrivals[Any],
        deliveries: Deliveries,
        ticks: Ticks,
        is_busy: Callable[[int], bool],
    ) -> None:
        self._loop = loop
        self._arrivals = arrivals
        self._deliveries = deliveries
        self._ticks = ticks
        self._is_busy = is_busy
        entry_ns, response_ns = arrivals.steady_ns, deliveries.steady_ns
        self._way_ns = -1
        """From a command to its answer, -1 where commands differ in that."""
        if entry_ns is not None and response_ns is not None:
            self._way_ns = entry_ns + response_ns

    def answer_ns(self) -> int | None:
        """When a command that is sent now is answered.

        None where somebody else may do something before.
        """
        if self._way_ns < 0:
            return None
        answer_ns = self._loop.now_ns + self._way_ns
        return answer_ns if self._is_until(answer_ns, answer_ns) else None

    def may_pass(self, until_ns: int) -> bool:
        """Whether time may go on to a later moment under the running task."""
        # A timer of the moment itself was there before the task asked.
        return until_ns > self._loop.now_ns and self._is_until(until_ns, until_ns + 1)

    def _is_until(self, until_ns: int, before_ns: int) -> bool:
        """Nobody else is there until then, nor does anything before the other time."""
        return (
            self._arrivals.next_ns() == NEVER_NS
            and not self._deliveries.is_awaited
            and not self._ticks.is_wanted
            and not self._is_busy(until_ns)
            and self._loop.is_alone_until(before_ns)
        )
