"""Decimals of a Parquet file or a frame to a tape's integer columns, batch by batch.

A batch goes through three steps: `decode` (Arrow to NumPy), `settle` (every row on its own: kinds,
prices, sizes, sides) and `_Stream` (rows against their neighbours: order, gaps, ids, repeated
quotes, the top of the book of rows that do not state one). Rows that break a rule end the
conversion or are dropped, as `data.check` says. Memory is bounded by the batch, except when rows
must be sorted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data.check import BatchFaults, FaultLog, Layout, Rule
from data.decode import Chunk, decode, settle
from data.options import Options
from data.orders import OrdersInBook
from data.plain import PlainBatches, Workspace
from data.schema import (
    BBO_KEY,
    COLUMN_TYPES,
    EMPTY_ASK,
    EMPTY_BID,
    NANO,
    NO_ORIGIN,
    Grid,
    IntColumn,
    Mask,
    RowKind,
    TapeColumns,
    TapeError,
)
from data.seen import SeenIds

MEASURE_MIN = 10
"""Prints at the touch that are needed to tell from a tape whether their BBO is from after them."""


class Source(NamedTuple):
    """Where rows come from: a name for messages, the rows in all, their batches, and the
    metadata."""

    name: str
    rows: int
    batches: Iterable[pa.RecordBatch]
    layout: Layout
    metadata: dict[bytes, bytes]


class Sink(Protocol):
    """Where finished columns go."""

    def append(self, columns: TapeColumns, origin: IntColumn = NO_ORIGIN) -> None:
        """Take the next rows; `origin` is empty where the tape has none. After the next call the
        arrays are used again for other rows."""


class MemorySink:
    """Keeps the rows in memory."""

    def __init__(self) -> None:
        self._parts: list[TapeColumns] = []
        self._origins: list[IntColumn] = []

    def append(self, columns: TapeColumns, origin: IntColumn = NO_ORIGIN) -> None:
        """Take the next rows."""
        self._parts.append(TapeColumns._make(column.copy() for column in columns))
        self._origins.append(origin)

    def columns(self) -> TapeColumns:
        """All rows, read-only."""
        merged = join(self._parts)
        for column in merged:
            column.flags.writeable = False
        return merged

    def origin(self) -> IntColumn:
        """The origins of all rows, read-only; empty when there are none."""
        merged = np.concatenate(self._origins)
        merged.flags.writeable = False
        return merged


class Summary(NamedTuple):
    """What a conversion saw: rows read and kept, whether a trade's BBO is from after it,
    notes, and the length of a bar where it read bars."""

    rows: int
    kept: int
    bbo_after_trade: bool
    notes: tuple[str, ...]
    bar_interval_ns: int = 0


def join(parts: list[TapeColumns]) -> TapeColumns:
    """Parts of a tape as one."""
    return TapeColumns._make(np.concatenate(columns) for columns in zip(*parts, strict=True))


def convert(
    source: Source,
    grid: Grid,
    options: Options,
    log: FaultLog,
    sink: Sink,
    progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Read the source into the sink. Raises TapeError for the first fault when the log is strict,
    for an unreadable file, and for a file of which no row is left."""
    with closing(_Stream(options, log, sink, source)) as stream:
        done = _read(source, grid, options, log, stream, progress)
        if done == 0:
            raise TapeError("the file has no rows", file=source.name)
        if stream.kept == 0:
            raise TapeError(f"no row is left of {done}, every one breaks a rule", file=source.name)
        after, measured = _bbo_after_trade(source, stream)
        notes = tuple(_notes(source, log, stream, measured))
        return Summary(done, stream.kept, after, notes)


def _read(
    source: Source,
    grid: Grid,
    options: Options,
    log: FaultLog,
    stream: _Stream,
    progress: Callable[[int, int], None] | None,
) -> int:
    """Push all rows through the stream; how many they were."""
    plain = PlainBatches(source.layout, grid)
    waiting: list[Chunk] = []
    done = 0
    for batch in readable(source, log):
        chunk = plain.chunk(batch, done)
        if chunk is None:
            chunk = settle(
                decode(batch, source.layout, done, source.name), grid, source.layout, log
            )
        if options.sort:
            waiting.append(chunk.take(np.ones(len(chunk.rows), dtype=np.bool_)))
        elif stream.push(chunk):
            plain.turn()
        done += batch.num_rows
        if progress is not None:
            progress(done, source.rows)
    if waiting:
        stream.push(_in_time_order(waiting, stream))
    stream.finish()
    return done


def readable(source: Source, log: FaultLog) -> Iterable[pa.RecordBatch]:
    """The batches; damage inside the file becomes a TapeError that says how far reading came."""
    read = 0
    try:
        for batch in source.batches:
            yield batch
            read += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TapeError(
            f"the file is damaged, it cannot be read from here on ({reason})",
            file=log.file,
            row=read,
        ) from error


def _in_time_order(chunks: list[Chunk], stream: _Stream) -> Chunk:
    """All rows as one chunk, ordered by time; equal times keep the file's order."""
    names = list(chunks[0].ids)
    merged = Chunk(
        np.concatenate([chunk.rows for chunk in chunks]),
        join([chunk.columns for chunk in chunks]),
        np.concatenate([chunk.unstated for chunk in chunks]),
        {
            name: (
                np.concatenate([chunk.ids[name][0] for chunk in chunks]),
                np.concatenate([chunk.ids[name][1] for chunk in chunks]),
            )
            for name in names
        },
        np.concatenate([chunk.origin for chunk in chunks]),
    )
    times = merged.columns.ts
    if len(times):
        stream.moved = int(np.count_nonzero(times < np.maximum.accumulate(times)))
    return merged.take(np.argsort(times, kind="stable"))


@dataclass
class _Touch:
    """How often a print's own row already shows it, for tapes that do not say."""

    shown: int = 0
    unchanged: int = 0


class _Stream:
    """Rows against their neighbours, across batches."""

    def __init__(self, options: Options, log: FaultLog, sink: Sink, source: Source) -> None:
        self.orders = OrdersInBook() if source.layout.has_origin else None
        self.in_book = False
        self.kept = 0
        self.repeated_quotes = 0
        self.moved = 0
        self.first_ns = -1
        self.touch = _Touch()
        self._options = options
        self._measures = BBO_KEY not in source.metadata
        self._log = log
        self._sink = sink
        self._space = Workspace()
        self._last: TapeColumns | None = None
        self._tail: TapeColumns | None = None
        self._latest_ns = -1
        self._seen: dict[str, SeenIds] = {}

    def push(self, chunk: Chunk) -> bool:
        """Check the rows against those before, and hand on what is left; False when nothing is."""
        faults = BatchFaults(chunk.rows)
        self._check_order(chunk, faults)
        for name, (ids, known) in chunk.ids.items():
            self._check_ids(name, ids, known, faults)
        if self.orders is not None:
            self.orders.check(chunk, faults)
        faults.settle(self._log)
        kept = chunk.take(~faults.bad) if faults.bad.any() else chunk
        if not len(kept.rows):
            return False
        self._check_gaps(kept)
        columns = self._stated(kept)
        fresh = self._fresh(columns)
        if fresh.all():
            self._hand_on(columns, self._origin_of(kept))
        elif fresh.any():
            rest = self._only(columns, fresh)
            if self.orders is not None:
                kept = kept.take(fresh)
            self._hand_on(rest, self._origin_of(kept))
        return bool(fresh.any())

    def _only(self, columns: TapeColumns, fresh: Mask) -> TapeColumns:
        """The fresh rows, in arrays that the call after the next one uses again."""
        self._space.turn()
        dropped = np.flatnonzero(~fresh).tolist()
        count, chosen = len(fresh) - len(dropped), {}
        pairs = pairwise([-1, *dropped, len(fresh)])
        kept = [slice(before + 1, end) for before, end in pairs if end > before + 1]
        # Whole stretches are copied three times as fast as single rows.
        few = len(kept) * 64 < count
        places = None if few else np.flatnonzero(fresh)
        for name, kind in COLUMN_TYPES.items():
            column, into = getattr(columns, name), self._space.array(name, count, kind)
            if places is None:
                chosen[name] = np.concatenate([column[part] for part in kept], out=into)
            else:
                chosen[name] = column.take(places, out=into, mode="clip")
        return TapeColumns(**chosen)

    def _origin_of(self, chunk: Chunk) -> IntColumn:
        """The origins as rows of the tape, for the rows that are about to be handed on."""
        return NO_ORIGIN if self.orders is None else self.orders.place(chunk, self.kept)

    def finish(self) -> None:
        """A tape lasts until its last row, also when that only repeats the quote before it."""
        if self._tail is not None:
            self.repeated_quotes -= 1
            none = NO_ORIGIN if self.orders is None else np.full(1, -1, dtype=np.int64)
            self._hand_on(self._tail, none)

    def _hand_on(self, columns: TapeColumns, origin: IntColumn) -> None:
        if self._measures:
            self._measure(columns)
        if self.kept == 0:
            self.first_ns = int(columns.ts[0])
        self.kept += len(columns.ts)
        kind = columns.kind
        self.in_book |= bool(((kind >= RowKind.LEVEL) & (kind <= RowKind.EXEC)).any())
        self._last = TapeColumns._make(column[-1:].copy() for column in columns)
        rows = TapeColumns._make(np.ascontiguousarray(column) for column in columns)
        self._sink.append(rows, origin)

    def _check_order(self, chunk: Chunk, faults: BatchFaults) -> None:
        if not len(chunk.rows):
            return
        times = chunk.columns.ts
        if int(times[0]) >= self._latest_ns and bool((times[1:] >= times[:-1]).all()):
            self._latest_ns = int(times[-1])
            return
        latest = np.maximum(np.maximum.accumulate(times), self._latest_ns)
        faults.mark(
            Rule.TIME_BACKWARDS,
            "ts",
            times < latest,
            lambda position: f"{times[position]} after {latest[position]}",
            "sort the tape, or drop such rows with repair",
        )
        self._latest_ns = int(latest[-1])

    def _check_ids(self, name: str, ids: IntColumn, known: Mask, faults: BatchFaults) -> None:
        """An id that came before, in this batch or an earlier one, is a row delivered twice."""
        counted = known & ~faults.bad
        repeated = np.zeros(len(ids), dtype=np.bool_)
        repeated[counted] = ~self._seen.setdefault(name, SeenIds()).add(ids[counted])
        faults.mark(Rule.ID_REPEATED, name, repeated, ids)

    def close(self) -> None:
        """Let go of what is kept on disk."""
        for ids in self._seen.values():
            ids.close()

    def _check_gaps(self, chunk: Chunk) -> None:
        """Pauses that follow a close or a halt are the market's own."""
        limit = self._options.max_gap_ns
        if limit is None:
            return
        times, kinds = chunk.columns.ts, chunk.columns.kind
        if self._last is not None:
            times = np.concatenate([self._last.ts, times])
            kinds = np.concatenate([self._last.kind, kinds])
        pauses = np.diff(times)
        resting = (kinds[:-1] == RowKind.CLOSE) | (kinds[:-1] == RowKind.HALT)
        faults = BatchFaults(chunk.rows[len(chunk.rows) - len(pauses) :])
        faults.mark(
            Rule.GAP,
            "ts",
            (pauses > limit) & ~resting,
            lambda position: f"{times[position + 1]}, {pauses[position] / NANO:g} s after the last",
            f"at most {limit / NANO:g} s",
        )
        faults.settle(self._log)

    def _stated(self, chunk: Chunk) -> TapeColumns:
        """The columns, with the book of the row before where a row does not state one."""
        columns, unstated = chunk.columns, chunk.unstated
        if not unstated.any():
            return columns
        source = np.maximum.accumulate(np.where(unstated, -1, np.arange(len(unstated))))
        book = []
        for name, empty in (
            ("bid", EMPTY_BID), ("ask", EMPTY_ASK), ("bid_qty", 0), ("ask_qty", 0)
        ):  # fmt: skip
            column = getattr(columns, name)
            before = empty if self._last is None else int(getattr(self._last, name)[0])
            book.append(np.where(source >= 0, column[source], before))
        return columns._replace(bid=book[0], ask=book[1], bid_qty=book[2], ask_qty=book[3])

    def _fresh(self, columns: TapeColumns) -> Mask:
        """Which rows are no quote that says what the quote before it says."""
        fresh = np.ones(len(columns.ts), dtype=np.bool_)
        last = columns if self._last is None else self._last
        fresh[0] = self._last is None or not bool(_repeats(last, columns, np.zeros(1, np.intp))[0])
        # Sizes tell most rows apart; only where both stay are the others looked at.
        same = columns.bid_qty[1:] == columns.bid_qty[:-1]
        same &= columns.ask_qty[1:] == columns.ask_qty[:-1]
        places = np.flatnonzero(same)
        before = TapeColumns._make(column[:-1] for column in columns)
        after = TapeColumns._make(column[1:] for column in columns)
        fresh[places[_repeats(before, after, places)] + 1] = False
        self.repeated_quotes += int(len(fresh) - np.count_nonzero(fresh))
        self._tail = None
        if not fresh[-1]:
            self._tail = TapeColumns._make(column[-1:].copy() for column in columns)
        return fresh

    def _measure(self, columns: TapeColumns) -> None:
        """Compare each print at the touch with the row before it."""
        trades = np.flatnonzero(columns.kind == RowKind.TRADE)
        if self._last is not None and len(trades) and trades[0] == 0:
            first = TapeColumns._make(column[:1] for column in columns)
            self._compare(self._last, first)
        trades = trades[trades > 0]
        now = TapeColumns._make(column[trades] for column in columns)
        self._compare(TapeColumns._make(column[trades - 1] for column in columns), now)

    def _compare(self, was: TapeColumns, now: TapeColumns) -> None:
        """Whether the BBO of these trades' rows is without what they took, given the rows before
        them."""
        for side, price, size in ((1, "ask", "ask_qty"), (-1, "bid", "bid_qty")):
            old, new = getattr(was, price), getattr(now, price)
            at_touch = (now.side == side) & (now.px == old)
            old_size, new_size = getattr(was, size), getattr(now, size)
            shown = (new != old) | (new_size < old_size)
            self.touch.shown += int(np.count_nonzero(at_touch & shown))
            same = (new == old) & (new_size == old_size)
            self.touch.unchanged += int(np.count_nonzero(at_touch & same))


def _repeats(before: TapeColumns, rows: TapeColumns, places: npt.NDArray[np.intp]) -> Mask:
    """Whether the rows at these places are quotes that say what the quotes before them say."""
    found = np.ones(len(places), dtype=np.bool_)
    for name in ("bid_qty", "ask_qty", "bid", "ask"):
        found &= getattr(rows, name)[places] == getattr(before, name)[places]
    for part in (rows, before):
        found &= part.kind[places] == RowKind.QUOTE
    return found


def _bbo_after_trade(source: Source, stream: _Stream) -> tuple[bool, str | None]:
    """Whether a trade row's BBO is from after the print, and how that is known when not stated."""
    stated = source.metadata.get(BBO_KEY)
    if stated is None and stream.in_book:
        return True, None
    if stated is not None:
        word = stated.decode("utf-8", "replace")
        if word == "before" and stream.in_book:
            raise TapeError(
                "rows of levels and orders carry the book from after them, prints too then",
                file=source.name,
                value=repr(word),
            )
        if word not in ("after", "before"):
            raise TapeError(
                "metadata papertape.bbo_of_trade must be after or before",
                file=source.name,
                value=repr(word),
            )
        return word == "after", None
    shown, unchanged = stream.touch.shown, stream.touch.unchanged
    if shown + unchanged < MEASURE_MIN:
        if not source.layout.has_trades:
            return True, None
        return True, f"bbo_of_trade: after, by default ({shown + unchanged} prints at the touch)"
    after = shown > unchanged
    return after, (
        f"bbo_of_trade: {'after' if after else 'before'}, measured ({shown:,} of "
        f"{shown + unchanged:,} prints at the touch are already taken off their own row's BBO)"
    )


def _notes(source: Source, log: FaultLog, stream: _Stream, measured: str | None) -> Iterable[str]:
    if measured is not None:
        yield measured
    if source.layout.has_depth:
        yield "depth beyond the touch is in the file and is not read"
    yield from common_notes(log, stream.first_ns, stream.moved)
    if stream.repeated_quotes:
        yield f"{stream.repeated_quotes:,} repeated quotes dropped"


def common_notes(log: FaultLog, first_ns: int, moved: int) -> Iterable[str]:
    """Notes about times and repairs, alike for ticks and for bars."""
    if first_ns < 315_532_800 * NANO:
        yield f"the first time is {first_ns} ns, before 1980: are these nanoseconds?"
    if moved:
        yield f"sorted: {moved:,} rows were out of order"
    for rule, count in sorted(log.counts.items()):
        verb = "kept" if rule is Rule.GAP else "dropped"
        yield f"repair: {count:,} rows {verb}: {rule}"
