"""Rows of the tape on their way to handlers: one at a time, or a stretch of them at once.

A strategy that looks at every tick must not pay for an event loop at each. While nothing can happen
but rows (no command arrives, no event, timer or bar is due), plain handlers are called for one row
after the other in a loop that runs in C: a *stretch*. The session's clock tells each row's own time
meanwhile. As soon as a handler acts (sends a command, starts a task, sets a timer) the stretch ends
with the rows of that instant, and the loop takes over. What rows say is made ready in blocks, which
a stretch enters and leaves anywhere.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import CoroutineType
from typing import Any

import numpy as np

from broker_api.broker import RowSink, Spawn
from broker_api.instrument import Instrument
from data.tape import Tape
from sim.clock import Moment
from sim.feed import NEVER_NS, Feed
from sim.virtual_loop import VirtualLoop
from sim.wanted import BarSubscription, IntColumn, ListIterator, Part, RowSubscription, Subscription


@dataclass
class _Block:
    """Calls in the order of delivery; those before `position` have been made.

    `place_of` tells of each call which part it is of, None when there is only one.
    """

    parts: list[Part]
    due_ns: IntColumn
    columns: list[list[Any]]
    place_of: IntColumn | None
    position: int = 0

    def sink_at(self, position: int) -> RowSink:
        """Who takes the call at a position."""
        place = 0 if self.place_of is None else int(self.place_of[position])
        return self.parts[place].subscription.sink

    def first_key_left(self, place: int) -> int | None:
        """The key of a part's first call that has not been made, None when all have."""
        done = self.position
        if self.place_of is not None:
            done = int(np.count_nonzero(self.place_of[: self.position] == place))
        keys = self.parts[place].keys
        return int(keys[done]) if done < len(keys) else None


class Stretch:
    """The calls of a block from its position to `end`, made without a pause."""

    def __init__(self, block: _Block, end: int, deliver: Callable[[int], None]) -> None:
        self._block = block
        self._deliver = deliver
        self._start = block.position
        self._iterators = [_iterator_at(column, self._start) for column in block.columns]
        self._told = 0
        self._looked = -2, 0
        """How many calls were left when its time was asked for, and the time."""
        self.interrupted = False
        first: Iterable[Any] = self._iterators[0]
        if end < len(block.due_ns):
            first = islice(self._iterators[0], end - self._start)
        iterators = [first, *self._iterators[1:]]
        if block.place_of is None:
            part = block.parts[0]
            call = _direct(part.subscription.sink)
            self._calls = map(call, *part.arguments(iterators))
        else:
            calls = [_direct(part.subscription.sink) for part in block.parts]
            self._calls = map(partial(_call, calls), *iterators)

    def run(self) -> None:
        """Make the calls, up to one that acts or whose exception is to end the session."""
        while True:
            try:
                result = next(filter(None, self._calls), None)
            except Exception as failure:
                if not self._running_sink().failed(failure):
                    self.interrupt()
            else:
                if result is None:
                    break
                self._running_sink().adopt(result)
        self._settle()

    async def run_in_task(self) -> None:
        """As `run`, in the handlers' own task: coroutines are awaited one after the other.

        One that waits for something ends the stretch: its last call goes on when time has.
        """
        while True:
            try:
                for result in self._calls:
                    if type(result) is CoroutineType or inspect.isawaitable(result):
                        await result
            except Exception as failure:
                if not self._running_sink().failed(failure):
                    self.interrupt()
            else:
                return

    def _settle(self) -> None:
        self._block.position = self._start + self._count()

    def leave(self) -> None:
        """The block goes on behind the calls that were made; other rows of the instant follow."""
        self._settle()
        self._deliver(self.moment_ns())

    def spawner(self) -> Spawn | None:
        """What begins the task that the calls need; None when all of them are plain."""
        sinks = (part.subscription.sink for part in self._block.parts)
        return next((sink.spawn for sink in sinks if sink.spawn is not None), None)

    @property
    def first_ns(self) -> int:
        """The time of its first call."""
        return int(self._block.due_ns[self._start])

    def _running_sink(self) -> RowSink:
        return self._block.sink_at(self._start + self._count() - 1)

    def _count(self) -> int:
        if self.interrupted:
            return self._told
        left: int = self._iterators[0].__length_hint__()
        return len(self._block.due_ns) - self._start - left

    def moment_ns(self) -> int:
        """The time of the call that was begun last."""
        left: int = -1 if self.interrupted else self._iterators[0].__length_hint__()
        looked, moment_ns = self._looked  # one object: a progress display asks from its thread
        if left != looked:  # a handler may ask many times
            moment_ns = int(self._block.due_ns[self._start + self._count() - 1])
            self._looked = left, moment_ns
        return moment_ns

    def interrupt(self) -> None:
        """Make the running call the last one; the block goes on behind it, whoever wants what."""
        if not self.interrupted:
            self._told = self._count()
            self.interrupted = True
            self._iterators[0].__setstate__(len(self._block.due_ns))
            self._settle()


def _iterator_at(column: list[Any], position: int) -> ListIterator:
    iterator: ListIterator = iter(column)
    iterator.__setstate__(position)
    return iterator


def _direct(sink: RowSink) -> Callable[..., object]:
    call = sink.direct()
    assert call is not None, "a stretch is made while all sinks are direct"
    return call


def _call(calls: Sequence[Callable[..., object]], place: int, values: tuple[Any, ...]) -> object:
    return calls[place](*values)


async def _tell_in_task(stretch: Stretch, loop: VirtualLoop) -> None:
    """Coroutines for the rows of a stretch, one after the other in the handlers' one task."""
    loop.begin_stretch(stretch)
    await stretch.run_in_task()
    loop.leave_stretch()


class Ticks:
    """Who wants to see rows or bars, and what they are told."""

    def __init__(
        self, instruments: Sequence[Instrument], tapes: Sequence[Tape], feeds: Sequence[Feed]
    ) -> None:
        self._instruments = tuple(instruments)
        self._recorded = self._tapes = tuple(tapes)
        self._feeds = tuple(feeds)
        self._wanted: list[Subscription] = []
        self._block: _Block | None = None
        self._ahead = True

    def subscribe(
        self, instrument: int, kind: str, sink: RowSink, now_ns: int
    ) -> Callable[[], None]:
        """Tell `sink` of every row of this kind that arrives after `now_ns`."""
        wanted = RowSubscription(instrument, kind, sink, *self._world(instrument))
        wanted.begin(now_ns)
        return self._add(wanted)

    def subscribe_bars(
        self, instrument: int, interval_ns: int, sink: RowSink, now_ns: int
    ) -> Callable[[], None]:
        """Tell `sink` of the bars that complete after `now_ns`."""
        world = (*self._world(instrument), self._recorded[instrument])
        wanted = BarSubscription(instrument, interval_ns, sink, *world)
        wanted.begin(now_ns)
        return self._add(wanted)

    def _world(self, instrument: int) -> tuple[Instrument, Tape, Feed]:
        return self._instruments[instrument], self._tapes[instrument], self._feeds[instrument]

    def _add(self, wanted: Subscription) -> Callable[[], None]:
        self._drop_block()
        self._wanted.append(wanted)
        self._look_ahead()

        def unsubscribe() -> None:
            if wanted in self._wanted:
                self._drop_block()
                self._wanted.remove(wanted)
                self._look_ahead()

        return unsubscribe

    def _look_ahead(self) -> None:
        self._ahead = all(each.is_ahead for each in self._wanted)

    def show(self, tapes: Sequence[Tape]) -> None:
        """Tell of these tapes from now on: the same rows, bars in the order of their path."""
        self._drop_block()
        self._tapes = tuple(tapes)
        for each in self._wanted:
            each.show(tapes[each.instrument])
        self._look_ahead()

    @property
    def is_wanted(self) -> bool:
        """True while anybody wants to see rows or bars."""
        return bool(self._wanted)

    @property
    def direct(self) -> bool:
        """True when there are sinks, and every one may be called for many rows in a row now."""
        if not self._ahead or not self._wanted:
            return False
        return all(each.sink.direct() is not None for each in self._wanted)

    def next_ns(self) -> int:
        """When the next call may be due; a far future when none is."""
        if not self._wanted:
            return NEVER_NS
        if not self._ahead:
            return min(each.next_ns() for each in self._wanted)
        block = self._ready_block(NEVER_NS)
        return NEVER_NS if block is None else int(block.due_ns[block.position])

    def deliver(self, now_ns: int) -> None:
        """Tell the sinks of every row that has arrived at `now_ns`, in tape order."""
        until_ns = NEVER_NS if self._ahead else now_ns + 1
        while (block := self._ready_block(until_ns)) is not None:
            position = block.position
            if block.due_ns[position] > now_ns:
                return
            block.position += 1
            if block.place_of is None:
                iterators = [_iterator_at(column, position) for column in block.columns]
                values = tuple(map(next, map(iter, block.parts[0].arguments(iterators))))
            else:
                values = block.columns[1][position]
            block.sink_at(position)(*values)

    def stretch(self, until_ns: int) -> Stretch | None:
        """The next calls for rows that arrive before `until_ns`; None when there are none.

        Only while `direct`.
        """
        block = self._ready_block(NEVER_NS)
        if block is None or block.due_ns[block.position] >= until_ns:
            return None
        end = int(np.searchsorted(block.due_ns, until_ns, side="left"))
        return Stretch(block, end, self.deliver)

    def tell_until(self, until_ns: int, loop: VirtualLoop) -> int | None:
        """Call handlers for every row that arrives before `until_ns`, while `direct`.

        Returns the time at which one of them acted or began a task, None when none did.
        """
        while (stretch := self.stretch(until_ns)) is not None:
            spawn = stretch.spawner()
            if spawn is not None:
                spawn(_tell_in_task(stretch, loop))
                return stretch.first_ns
            with loop.during(stretch):
                stretch.run()
            if stretch.interrupted:
                now_ns = stretch.moment_ns()
                with loop.during(Moment(now_ns)):
                    self.deliver(now_ns)  # the other rows of that instant
                return now_ns
        return None

    # --- blocks ---------------------------------------------------------------------------------

    def _ready_block(self, until_ns: int) -> _Block | None:
        """A block with a call that has not been made, None when no row before a time is left."""
        block = self._block
        if block is not None and block.position < len(block.due_ns):
            return block
        self._block = self._next_block(until_ns) if self._wanted else None
        return self._block

    def _drop_block(self) -> None:
        """Forget what was made ready: other rows are wanted now."""
        if self._block is not None:
            for place, part in enumerate(self._block.parts):
                key = self._block.first_key_left(place)
                if key is not None:
                    part.subscription.rewind(key)
        self._block = None

    def _next_block(self, limit_ns: int) -> _Block | None:
        while True:
            until_ns = min((each.reach_ns() for each in self._wanted), default=limit_ns)
            until_ns = min(until_ns, limit_ns)
            parts = [each.part(until_ns) for each in self._wanted]
            parts = [part for part in parts if len(part.keys)]
            if len(parts) == 1:
                return _Block(parts, parts[0].due_ns, parts[0].columns, None)
            if parts:
                return _merged(parts)
            if until_ns == limit_ns:
                return None


def _merged(parts: list[Part]) -> _Block:
    """Several subscriptions in one block: (part, arguments) of each call, in order of delivery."""
    due_ns = np.concatenate([part.due_ns for part in parts])
    order = np.concatenate([part.order for part in parts])
    places = np.repeat(np.arange(len(parts)), [len(part.keys) for part in parts])
    sequence = np.lexsort((places, order, due_ns))
    values: list[tuple[Any, ...]] = []
    for part in parts:
        iterators = [iter(column) for column in part.columns]
        values += zip(*part.arguments(iterators), strict=False)
    place_of = places[sequence]
    ordered = [values[at] for at in sequence.tolist()]
    return _Block(parts, due_ns[sequence], [place_of.tolist(), ordered], place_of)
