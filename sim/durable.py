"""A paper session that survives: what comes in and what goes out is on the disk before it counts.

The journal holds, in the order in which they counted: rows of the market, how far they are
complete, operators' requests, commands, events. Everything else about a session is a function of
these, of its settings and of the strategy's code, so a session is resumed by playing it again from
its journal: every command and every event has to be the very one that is recorded. Where the
records end the session goes on, with all that was in memory: orders and their places in queues,
timers, the strategy's own variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from broker_api.errors import TradingError
from broker_api.event import EventKind, EventRow
from broker_api.journal import RecordedCommand, RecordedError
from broker_api.journal_chain import Record, RecordKind
from broker_api.journal_json import event_body, recorded_body
from broker_api.journal_writer import JournalWriter
from data.growing import GrowingTape
from data.schema import TapeColumns, joined
from sim.inbox import Inbox
from sim.incoming import Arrival, Request

STAGED_ROWS_MAX = 4_096
"""Rows of the market that are held back at most before they are written."""
STAGED_NS_MAX = 1_000_000_000
"""And for how long, in the market's time."""
_FOLLOWERS = (EventKind.POSITION, EventKind.ACCOUNT)
"""Events that follow from the one before them: they are durable with what comes next."""
_LOOK = "look"
"""In a note's body: which look at a file it was that found it come or gone."""
_OF_THE_MARKET = frozenset({RecordKind.TICKS, RecordKind.OPERATOR, RecordKind.HORIZON})
_OF_THE_COURSE = _OF_THE_MARKET | {RecordKind.COMMAND, RecordKind.EVENT, RecordKind.ERROR}
"""On these a session's course depends, and on looks at files."""


class ResumeDiverged(TradingError):
    """Played again, the session did something else than its journal says. Nothing was sent."""


class Past:
    """The records of a session, to be played again."""

    def __init__(self, records: Iterator[Record], tapes: int) -> None:
        self._records = (each for each in records if _counts(each))
        self._next = next(self._records, None)
        self._tapes = tapes
        self._rows: list[TapeColumns | None] = [None] * tapes
        self._requests: list[Request] = []
        self.horizon_ns = -1

    @property
    def is_over(self) -> bool:
        """Whether every record was played."""
        return self._next is None

    def _pop(self) -> Record:
        record = self._next
        assert record is not None
        self._next = next(self._records, None)
        return record

    def next(self) -> Arrival | None:
        """The next arrival, None where the records end before one.

        Raises ResumeDiverged where they say that the session did something first.
        """
        while self._next is not None:
            if self._next.kind not in _OF_THE_MARKET:
                raise ResumeDiverged(
                    f"record {self._next.seq} of the journal: {_told(self._next)}; played again, "
                    "the session does nothing before the market goes on"
                )
            record = self._pop()
            if record.kind is RecordKind.HORIZON:
                return self._arrival(record)
            self._take(record)
        return None

    def _take(self, record: Record) -> None:
        if record.ticks is None:
            self._requests.append(record.body)
            return
        index = record.ticks.instrument
        rows = TapeColumns(*record.ticks.columns)
        known = self._rows[index]
        self._rows[index] = rows if known is None else joined(known, rows)

    def _arrival(self, record: Record) -> Arrival:
        self.horizon_ns = record.ts_ns
        rows, requests = self.take_rest()
        body = record.body
        return Arrival(record.ts_ns, rows, requests, bool(body["last"]), bool(body["away"]))

    def take_rest(self) -> tuple[tuple[TapeColumns | None, ...], tuple[Request, ...]]:
        """Rows and requests of which no horizon told."""
        rows, requests = tuple(self._rows), tuple(self._requests)
        self._rows, self._requests = [None] * self._tapes, []
        return rows, requests

    def take_look(self, look: int) -> bool | None:
        """What a look at a file found, where it was another than the looks before; else None."""
        record = self._next
        if record is None or record.body.get(_LOOK) != look:
            return None
        return bool(self._pop().body["there"])

    def check(self, kind: RecordKind, ts_ns: int, body: Mapping[str, Any]) -> None:
        """What the session does is what the next record says; raises ResumeDiverged."""
        assert self._next is not None
        record = self._next
        if (record.kind, record.ts_ns, record.body) == (kind, ts_ns, body):
            self._pop()
            return
        raise ResumeDiverged(
            f"record {record.seq} of the journal: {_told(record)}; played again, the session has "
            f"{_text(kind, ts_ns, body)}. Has its code, or what it reads besides the market, "
            "changed?"
        )


def _counts(record: Record) -> bool:
    """Whether the session's course depends on a record."""
    return record.kind in _OF_THE_COURSE or (
        record.kind is RecordKind.NOTE and _LOOK in record.body
    )


class _Looks:
    """Looks at files, counted: what a session sees besides the market."""

    def __init__(self) -> None:
        self.count = 0
        self._there: dict[Path, bool] = {}

    def again(self, file: Path, past: Past) -> bool:
        """What the session saw when it looked for the first time."""
        self.count += 1
        found = past.take_look(self.count)
        if found is not None:
            self._there[file] = found
        return self._there.get(file, False)

    def now(self, file: Path) -> tuple[bool, bool]:
        """Whether the file is there, and whether that is news."""
        self.count += 1
        found = file.exists()
        is_news = found != self._there.get(file, False)
        self._there[file] = found
        return found, is_news


def _told(record: Record) -> str:
    return _text(record.kind, record.ts_ns, record.body)


def _text(kind: RecordKind, ts_ns: int, body: Mapping[str, Any]) -> str:
    said = ", ".join(f"{name} {value}" for name, value in body.items())
    return f"{kind} at {ts_ns}: {said}"


class DurableSession:
    """Incoming and recorder of a paper session: between its inbox and its journal.

    `past` are the records of a session that is resumed. `on_live` is called when they have been
    played. Raises JournalWriteError where nothing can be written; then nothing goes on.
    """

    def __init__(
        self,
        writer: JournalWriter,
        inbox: Inbox,
        past: Past | None = None,
        on_live: Callable[[], None] = lambda: None,
    ) -> None:
        self._writer = writer
        self._inbox = inbox
        self._past = past
        self._on_live = on_live
        self._held: list[Arrival] = []
        self._held_rows = 0
        self._looks = _Looks()

    @property
    def tapes(self) -> tuple[GrowingTape, ...]:
        """See Incoming."""
        return self._inbox.tapes

    # --- what comes in --------------------------------------------------------------------------

    def next(self, until_ns: int | None) -> Arrival:
        """See Incoming: from the journal while it has more, then from the inbox."""
        if self._past is not None:
            arrival = self._past.next()
            return self._go_live() if arrival is None else arrival
        arrival = self._inbox.next(until_ns)
        self._hold(arrival)
        return arrival

    def _go_live(self) -> Arrival:
        """The records end: wait for the market as it is now; it has gone on alone meanwhile."""
        past = self._past
        assert past is not None
        left, requests = past.take_rest()
        self._past = None
        was_away = self._inbox.resume_at(past.horizon_ns, left)
        self._writer.append(RecordKind.RESUMED, past.horizon_ns, {"away": was_away})
        self._on_live()
        now = self._inbox.next(past.horizon_ns + 1)
        self._hold(Arrival(now.horizon_ns, now.rows, now.requests, now.is_last, was_away))
        rows = tuple(
            new if old is None else old if new is None else joined(old, new)
            for old, new in zip(left, now.rows, strict=True)
        )
        both = (*requests, *now.requests)
        return Arrival(now.horizon_ns, rows, both, now.is_last, was_away)

    def _hold(self, arrival: Arrival) -> None:
        """Rows are written with what depends on them, or when there are many."""
        self._held.append(arrival)
        self._held_rows += sum(len(rows.ts) for rows in arrival.rows if rows is not None)
        is_old = arrival.horizon_ns - self._held[0].horizon_ns >= STAGED_NS_MAX
        if arrival.requests or arrival.is_last or arrival.was_away:
            self._write_held()
            self._writer.commit()
        elif is_old or self._held_rows >= STAGED_ROWS_MAX:
            self._write_held()

    def finish(self) -> None:
        """The session has ended: what it knew of the market is on the disk."""
        self._write_held()
        self._writer.commit()

    def _write_held(self) -> None:
        if not self._held:
            return
        last, held = self._held[-1], self._held
        self._held, self._held_rows = [], 0
        for index in range(len(self.tapes)):
            parts = [each.rows[index] for each in held]
            rows = [part for part in parts if part is not None]
            if rows:
                self._writer.append_ticks(last.horizon_ns, index, joined(*rows))
        for request in last.requests:
            self._writer.stage(RecordKind.OPERATOR, last.horizon_ns, request)
        flags = {"last": last.is_last, "away": last.was_away}
        self._writer.stage(RecordKind.HORIZON, last.horizon_ns, flags)

    def serve(self, request: Request) -> Any:
        """See Incoming."""
        return self._inbox.serve(request)

    # --- what goes out --------------------------------------------------------------------------

    def command(self, recorded: RecordedCommand | RecordedError) -> None:
        """A command that is about to be sent, or a handler's error."""
        kind, body = recorded_body(recorded)
        self._record(kind, recorded.ts_ns, body, is_durable=True)

    def event(self, row: EventRow) -> None:
        """An event that is about to be seen."""
        is_durable = row.kind not in _FOLLOWERS
        self._record(RecordKind.EVENT, row.ts_ns, event_body(row), is_durable=is_durable)

    def is_there(self, file: Path, ts_ns: int) -> bool:
        """Look at a file; that it came or went is recorded."""
        if self._past is not None and not self._past.is_over:
            return self._looks.again(file, self._past)
        found, is_news = self._looks.now(file)
        if is_news:
            self._write_held()
            body = {_LOOK: self._looks.count, "file": str(file), "there": found}
            self._writer.append(RecordKind.NOTE, ts_ns, body)
        return found

    def _record(
        self, kind: RecordKind, ts_ns: int, body: Mapping[str, Any], *, is_durable: bool
    ) -> None:
        if self._past is not None and not self._past.is_over:
            self._past.check(kind, ts_ns, body)
            return
        self._write_held()
        self._writer.stage(kind, ts_ns, body)
        if is_durable:
            self._writer.commit()


class PlayedAgain:
    """Incoming and recorder of a session that is played again from its journal, and ends with it.

    `is_same` tells afterwards whether it did all that is recorded, and nothing else.
    """

    def __init__(
        self, past: Past, tapes: tuple[GrowingTape, ...], serve: Callable[[Request], Any]
    ) -> None:
        self._past = past
        self.tapes = tapes
        self._serve = serve
        self._looks = _Looks()
        self.beyond = 0
        """What it did behind the last record."""

    def next(self, until_ns: int | None) -> Arrival:
        """See Incoming."""
        arrival = self._past.next()
        if arrival is not None:
            return arrival
        rows, requests = self._past.take_rest()
        newest = [int(each.ts[-1]) for each in rows if each is not None]
        return Arrival(max([self._past.horizon_ns, *newest]), rows, requests, is_last=True)

    def serve(self, request: Request) -> Any:
        """See Incoming."""
        return self._serve(request)

    def command(self, recorded: RecordedCommand | RecordedError) -> None:
        """Compare a command, or a handler's error, with the record."""
        kind, body = recorded_body(recorded)
        self._check(kind, recorded.ts_ns, body)

    def event(self, row: EventRow) -> None:
        """Compare an event with the record."""
        self._check(RecordKind.EVENT, row.ts_ns, event_body(row))

    def is_there(self, file: Path, ts_ns: int) -> bool:
        """What the session saw when it looked."""
        return self._looks.again(file, self._past)

    def _check(self, kind: RecordKind, ts_ns: int, body: Mapping[str, Any]) -> None:
        if self._past.is_over:
            self.beyond += 1
        else:
            self._past.check(kind, ts_ns, body)

    @property
    def is_same(self) -> bool:
        """Whether what was done is what is recorded."""
        return self._past.is_over and self.beyond == 0
