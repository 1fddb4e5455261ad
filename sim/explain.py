"""Watching one order of a recorded run: the run is replayed, and the order's slot is looked at.

The watch only reads. Between two rows that concern the order the exchange runs as ever; at those it
stops for a look. What comes out is a `Story`: happenings with the order's place before and after,
and what the tape brought to its price meanwhile. `explain_text.py` puts it into words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from broker_api.event import Event, EventKind, MarketHalted, MarketResumed, OrderEventBase, decode
from broker_api.instrument import NANOS, Instrument
from broker_api.journal import RecordedCommand
from broker_api.order import (
    NO_PRICE,
    BracketRequest,
    CancelRequest,
    ExitRequest,
    OcoRequest,
    OrderRequest,
    OrderStatus,
    OrderType,
    ReplaceRequest,
    Role,
    Side,
    order_ids_of,
    requests_of,
)
from data.schema import TapeColumns
from sim.book import NO_SLOT
from sim.exchange import Exchange
from sim.explain_tape import Traded, rows_that_touch, traded_around
from sim.explain_trail import Approach, Waiting, approach
from sim.replay import Recording, of_the_exchange, replay
from sim.set_up import trigger_source_of

_BLOCK_ROWS = 65_536
"""Rows of tape that are searched at once for those that concern the order."""


class Place(NamedTuple):
    """An order's slot at one moment: integers as the exchange keeps them; queues in 1/1024 lots."""

    status: int
    size: int
    filled: int
    live: int
    limit: int
    stop: int
    triggered: int
    resting: int
    waiting: int
    queue: int
    queue_known: int
    front: int
    queue_behind: int
    traded_pending: int
    met: int
    priority: int
    type: int
    best: int
    activation: int
    trail: int
    trail_ppm: int

    @property
    def trails(self) -> bool:
        """True of a trailing stop."""
        return self.type == OrderType.TRAILING_STOP

    @property
    def is_touched(self) -> bool:
        """True of an order that waits to be touched, or did."""
        return self.type in (OrderType.MARKET_IF_TOUCHED, OrderType.LIMIT_IF_TOUCHED)

    @property
    def waits_for_trigger(self) -> bool:
        """True of a live stop, trailing stop or touched order that has not triggered."""
        has_trigger = self.stop != NO_PRICE or self.trails
        return has_trigger and not (self.triggered or self.is_held or self.resting)

    @property
    def is_held(self) -> bool:
        """True of an exit that waits for its entry."""
        return self.status == OrderStatus.PENDING.code


_COLUMNS = tuple(f"o_{name}" for name in Place._fields)


class By(Enum):
    """What made something happen."""

    ROW = "row"
    COMMAND = "command"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Happening:
    """One moment at which events of the order were published, or its place became another.

    `row` is the row of the order's instrument that was in force, `known_from` the first whose book
    counted; `command` is what arrived. `before` and `after` are None while the order has no slot.
    """

    ts_ns: int
    by: By
    row: int
    known_from: int
    events: tuple[Event, ...]
    before: Place | None
    after: Place | None
    command: RecordedCommand | None = None

    @property
    def joined(self) -> bool:
        """True when the order took a new place in the book."""
        if self.after is None or not self.after.resting:
            return False
        if self.before is None or not self.before.resting:
            return True
        return (self.after.limit, self.after.priority) != (self.before.limit, self.before.priority)


@dataclass(frozen=True, slots=True)
class Subject:
    """The order that is explained. `request` and `sent` are None for an order of the exchange."""

    order_id: int
    client_order_id: str
    instrument: int
    side: Side
    role: Role
    request: OrderRequest | ExitRequest | None
    sent: RecordedCommand | None


@dataclass(frozen=True)
class Story:
    """All that is known of one order. `traded` is over the time that it rested in the book."""

    recording: Recording
    subject: Subject
    happenings: tuple[Happening, ...]
    rested_ns: int
    traded: Traded
    trigger_approach: Approach | None
    ended_ns: int

    @property
    def spec(self) -> Instrument:
        """The order's instrument."""
        return self.recording.instruments[self.subject.instrument]

    @property
    def columns(self) -> TapeColumns:
        """The tape of the order's instrument."""
        return self.recording.tapes[self.subject.instrument].l1

    @property
    def events(self) -> list[OrderEventBase]:
        """The order's own events."""
        return [
            event
            for happening in self.happenings
            for event in happening.events
            if isinstance(event, OrderEventBase)
        ]

    @property
    def arrival(self) -> Happening | None:
        """When the exchange answered; None when the order never got there."""
        return next((each for each in self.happenings if _has_order_event(each)), None)


def _has_order_event(happening: Happening) -> bool:
    return any(isinstance(event, OrderEventBase) for event in happening.events)


# --- who is it -----------------------------------------------------------------------------------


def subject_of(recording: Recording, order_id: int) -> Subject | None:
    """The order with this id, None when the recording has none."""
    for sent in recording.commands:
        command = sent.command
        if isinstance(command, ReplaceRequest | CancelRequest):
            continue
        if order_id in order_ids_of(command):
            return _member(recording, sent, command, order_id)
    return _of_the_exchange(recording, order_id)


def _member(
    recording: Recording,
    sent: RecordedCommand,
    command: OrderRequest | BracketRequest | OcoRequest,
    order_id: int,
) -> Subject:
    entry = requests_of(command)[0]
    symbols = [spec.symbol for spec in recording.instruments]
    index = symbols.index(entry.instrument)
    role = Role.SINGLE
    request: OrderRequest | ExitRequest = entry
    side = entry.side
    if isinstance(command, OcoRequest):
        role = Role.OCO_LEG
        request = entry if entry.order_id == order_id else command.second
        side = requests_of(command)[request is command.second].side
    elif isinstance(command, BracketRequest):
        role = Role.ENTRY
        for leg, leg_role in ((command.stop, Role.STOP_EXIT), (command.target, Role.TARGET_EXIT)):
            if leg is not None and leg.order_id == order_id:
                role, request, side = leg_role, leg, entry.side.opposite
    return Subject(order_id, request.client_order_id, index, side, role, request, sent)


def _of_the_exchange(recording: Recording, order_id: int) -> Subject | None:
    events = recording.events
    mine = events[(events["order_id"] == order_id) & (events["kind"] == int(EventKind.ACCEPTED))]
    if len(mine) == 0 or order_id >= 0:
        return None
    side, index = Side(int(mine[0]["side"])), int(mine[0]["instrument"])
    return Subject(order_id, "", index, side, Role.LIQUIDATION, None, None)


# --- the watch -----------------------------------------------------------------------------------


class WatchedExchange(Exchange):
    """An exchange that stops for a look at one order wherever a row concerns it."""

    def __init__(self, recording: Recording, subject: Subject) -> None:
        self.happenings: list[Happening] = []
        self._subject = subject
        self._slot = int(NO_SLOT)
        self._seen_seq = 0
        self._place: Place | None = None
        self._block: tuple[int, int, int, npt.NDArray[np.int64]] | None = None
        super().__init__(*recording.exchange_arguments())
        self._is_single = False  # every row of interest is looked at from here

    def look(self, events: Sequence[Event], command: RecordedCommand | None) -> None:
        """Note what is new of the order since the last look; see `sim.replay.Look`."""
        self._note(events, By.TIME if command is None else By.COMMAND, command)

    def _note(self, events: Sequence[Event], by: By, command: RecordedCommand | None) -> None:
        new = [event for event in events if event.seq > self._seen_seq]
        if new:
            self._seen_seq = new[-1].seq
        mine = tuple(event for event in new if self._concerns(event))
        before, after = self._place, self._look_up()
        if not mine and before == after:
            return
        self._place = after
        ts_ns = mine[0].ts_ns if mine else int(self._book["ts"])
        index = self._subject.instrument
        rows = (int(self._book["i_cursor"][index]), int(self._book["i_known_from"][index]))
        self.happenings.append(Happening(ts_ns, by, *rows, mine, before, after, command))

    def _concerns(self, event: Event) -> bool:
        if isinstance(event, OrderEventBase):
            return event.order_id == self._subject.order_id
        is_market = isinstance(event, MarketHalted | MarketResumed)
        return is_market and event.instrument == self._subject.instrument

    def _look_up(self) -> Place | None:
        book, order_id = self._book, self._subject.order_id
        if self._slot == NO_SLOT or book["o_order_id"][self._slot] != order_id:
            found = np.flatnonzero(book["o_order_id"] == order_id)
            self._slot = int(found[0]) if len(found) else int(NO_SLOT)
        if self._slot == NO_SLOT:
            return None
        return Place(*(int(book[name][self._slot]) for name in _COLUMNS))

    def _run_stretch(self, until_ns: int) -> bool:
        if self._bar_orders:
            self._block = None  # its rows may have changed places since
        while (row := self._next_row_of_interest(until_ns)) is not None:
            # Everything before that row first, then that row alone.
            for ends in (self._ends_before(row), self._ends_before(row, with_it=True)):
                published = self._run_all_up_to(ends)
                self._note_rows()
                if published:
                    return True
        published = super()._run_stretch(until_ns)
        self._note_rows()
        return published

    def _run_all_up_to(self, ends: list[int]) -> bool:
        """Process rows up to these, or to the first that publishes something more."""
        book, count = self._book, int(self._book["event_count"])
        while True:
            self._run_up_to(ends)
            if book["event_count"] > count:
                return True
            if all(book["i_cursor"][index] >= end for index, end in enumerate(ends)):
                return False

    def _note_rows(self) -> None:
        count = int(self._book["event_count"])
        events = [decode(row) for row in self._events[:count].tolist()]
        self._note(events, By.ROW, None)

    def _ends_before(self, row: int, *, with_it: bool = False) -> list[int]:
        """The rows of all tapes that come before a row of the order's instrument."""
        index = self._subject.instrument
        ts_ns = int(self._ts[index][row])
        ends = [
            self.row_in_force(other, ts_ns if other < index else ts_ns - 1)
            for other in range(len(self._ts))
        ]
        ends[index] = row if with_it else row - 1
        return ends

    def _next_row_of_interest(self, until_ns: int) -> int | None:
        """The next row up to `until_ns` that may change the resting order, None for none."""
        place = self._look_up()
        if place is None or not place.resting:
            return None
        index, sign = self._subject.instrument, self._subject.side.sign
        columns = self.tapes[index].columns
        at = int(self._book["i_cursor"][index]) + 1
        last = self.row_in_force(index, until_ns)
        while at <= last:
            block = self._block
            if block is None or block[0] != place.limit or not block[1] <= at < block[2]:
                end = min(at + _BLOCK_ROWS, len(columns.ts))
                rows = rows_that_touch(columns, at, end, sign, place.limit)
                block = self._block = (place.limit, at, end, rows)
            found = int(np.searchsorted(block[3], at))
            if found < len(block[3]):
                row = int(block[3][found])
                return row if row <= last else None
            at = block[2]
        return None


# --- the story -----------------------------------------------------------------------------------


def tell(recording: Recording, subject: Subject) -> Story:
    """Replay the run and watch the order. Raises ReplayError when the replay is another run."""
    watched = WatchedExchange(recording, subject)
    events = replay(recording, watched, watched.look)
    recorded = of_the_exchange(recording.events)
    recording = replace(recording, tapes=watched.tapes, events=recorded)
    ended_ns = recording.ended_ns
    happenings = watched.happenings
    if len(events) > len(recording.events):
        # Behind the last that anybody saw: the session ended before.
        ended_ns = min(ended_ns, events[len(recording.events)].ts_ns)
        happenings = [each for each in happenings if each.ts_ns < ended_ns]
    happenings = list(_of_interest(happenings))
    spans = list(_spans(happenings, recording, subject, ended_ns))
    closed = _closed(happenings, ended_ns)
    columns, sign = recording.tapes[subject.instrument].l1, subject.side.sign
    traded, rested_ns = Traded(), 0
    for span in spans:
        if span.place.resting:
            rows = (span.start_row, span.end_row + 1)
            traded = traded.plus(traded_around(columns, *rows, sign, span.place.limit, closed))
            rested_ns += span.end_ns - span.start_ns
    return Story(
        recording,
        subject,
        tuple(happenings),
        rested_ns,
        traded,
        _approach_of_trigger(recording, subject, spans, closed),
        ended_ns,
    )


def _of_interest(happenings: Sequence[Happening]) -> Iterator[Happening]:
    """Halts only while the order was at the exchange."""
    for each in happenings:
        if each.before is None and each.after is None and not _has_order_event(each):
            continue
        yield each


class _Span(NamedTuple):
    """A stretch of rows over which the order's terms were the same."""

    place: Place
    start_row: int
    end_row: int
    start_ns: int
    end_ns: int


def _terms(place: Place) -> tuple[Any, ...]:
    trails = place.best, place.activation, place.trail, place.trail_ppm
    prices = place.limit, place.stop, *trails
    return place.resting, place.triggered, place.is_held, place.priority, *prices


def _spans(
    happenings: Sequence[Happening], recording: Recording, subject: Subject, ended_ns: int
) -> Iterator[_Span]:
    """The rows after each change of terms, up to and with the row of the next."""
    ts = recording.tapes[subject.instrument].columns.ts
    place: Place | None = None
    start_row, start_ns = 0, 0
    for each in happenings:
        if place is not None and each.after is not None and _terms(place) == _terms(each.after):
            continue
        if place is not None:
            yield _Span(place, start_row, each.row, start_ns, each.ts_ns)
        place, start_row, start_ns = each.after, each.row + 1, each.ts_ns
    if place is not None:
        last = int(np.searchsorted(ts, ended_ns, side="right")) - 1
        yield _Span(place, start_row, last, start_ns, ended_ns)


def _closed(happenings: Sequence[Happening], ended_ns: int) -> list[tuple[int, int]]:
    """The stretches in which the market was closed or halted while the order was there."""
    found: list[tuple[int, int]] = []
    since: int | None = None
    for each in happenings:
        for event in each.events:
            if isinstance(event, MarketHalted):
                since = event.ts_ns
            elif isinstance(event, MarketResumed) and since is not None:
                found.append((since, event.ts_ns))
                since = None
    return found if since is None else [*found, (since, ended_ns)]


def _approach_of_trigger(
    recording: Recording, subject: Subject, spans: Sequence[_Span], closed: list[tuple[int, int]]
) -> Approach | None:
    """How near the source came while a trigger waited; None for an order that never waited so."""
    spec, tape = recording.instruments[subject.instrument], recording.tapes[subject.instrument]
    source, _ = trigger_source_of(spec, tape)
    tick_nanos = int(spec.tick_size * NANOS)
    found: Approach | None = None
    for place, start_row, end_row, _, _ in spans:
        if not place.waits_for_trigger:
            continue
        sign = subject.side.sign
        way = -sign if place.is_touched else sign
        waiting = Waiting(sign, way, place.stop)
        if place.trails:
            waiting = Waiting(
                sign, way, place.stop, place.best, place.trail, place.trail_ppm, place.activation
            )
        rows = (start_row, end_row + 1)
        new = approach(tape.l1, *rows, waiting, source, tick_nanos, closed)
        found = new if found is None else found.then(new)
    return found
