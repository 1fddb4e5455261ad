"""Bars to a tape: four prints a bar, at its start, its thirds, and 1 ns before its end.

They are stored as open, high, low, close. Bars do not tell which extreme came first, nor how wide
the market was: a run decides both when it meets them (settings `bar_path` and `spread_ticks`), so
neither is in the file or the cache. Until then the rows show a market of one tick.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from data.check import BatchFaults, FaultLog, Rule, number_text
from data.convert import Sink, Source, Summary, common_notes, readable
from data.decode import TIME_LIMIT, as_time, floats, integers, lots_of, ticks_of
from data.options import Options
from data.schema import (
    BAR_KEY,
    BAR_PRICES,
    NANO,
    ROWS_OF_BAR,
    ByteColumn,
    FloatColumn,
    Grid,
    IntColumn,
    Mask,
    RowKind,
    TapeColumns,
    TapeError,
)

_BARS_AT_ONCE = 1 << 17


class _Bars(NamedTuple):
    """Bars as integers, with their row numbers in the source."""

    rows: IntColumn
    ts: IntColumn
    open: IntColumn
    high: IntColumn
    low: IntColumn
    close: IntColumn
    volume: IntColumn

    def take(self, chosen: Mask | IntColumn) -> _Bars:
        return _Bars._make(column[chosen] for column in self)


def convert_bars(
    source: Source,
    grid: Grid,
    options: Options,
    log: FaultLog,
    sink: Sink,
    progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Read bars into the sink, four rows each. Raises TapeError as `convert.convert` does, and when
    nothing tells how long a bar is."""
    parts: list[_Bars] = []
    done = 0
    for batch in readable(source, log):
        parts.append(_settle(batch, done, grid, log, source.name))
        done += batch.num_rows
        if progress is not None:
            progress(done, source.rows)
    if done == 0:
        raise TapeError("the file has no rows", file=source.name)
    bars = _Bars._make(np.concatenate(columns) for columns in zip(*parts, strict=True))
    moved = 0
    if options.sort:
        moved = int(np.count_nonzero(bars.ts < np.maximum.accumulate(bars.ts)))
        bars = bars.take(np.argsort(bars.ts, kind="stable").astype(np.int64))
    interval_ns, measured = _interval(source, bars.ts)
    bars = _in_order(bars, interval_ns, measured, log)
    if not len(bars.ts):
        raise TapeError(f"no row is left of {done}, every one breaks a rule", file=source.name)
    _check_pauses(bars, interval_ns, options, log)
    for first in range(0, len(bars.ts), _BARS_AT_ONCE):
        part = _Bars._make(column[first : first + _BARS_AT_ONCE] for column in bars)
        sink.append(_rows(part, interval_ns))
    notes = (
        *((measured,) if measured else ()),
        *common_notes(log, int(bars.ts[0]), moved),
    )
    return Summary(done, len(bars.ts), True, notes, interval_ns)


def _settle(batch: pa.RecordBatch, first: int, grid: Grid, log: FaultLog, file: str) -> _Bars:
    """The bars of a batch that are right in themselves; the others go to the log."""
    rows = np.arange(first, first + batch.num_rows, dtype=np.int64)
    try:
        ts, known = integers(as_time(batch.column("ts")))
    except pa.ArrowInvalid as error:
        raise TapeError(
            f"a time between rows {first} and {first + batch.num_rows - 1} does not fit in "
            f"64 bits ({str(error).splitlines()[0]})",
            file=file,
        ) from error
    faults = BatchFaults(rows)
    faults.mark(Rule.TIME_MISSING, "ts", ~known, lambda position: "null")
    faults.mark(Rule.TIME_RANGE, "ts", (ts < 0) | (ts >= TIME_LIMIT), ts)
    everywhere = np.ones(len(rows), dtype=np.bool_)
    numbers = {name: floats(batch.column(name)) for name in (*BAR_PRICES, "volume")}
    prices = {name: ticks_of(name, numbers[name], everywhere, grid, faults) for name in BAR_PRICES}
    volume = lots_of("volume", numbers["volume"], everywhere, grid, faults)
    highest = np.maximum.reduce([prices[name] for name in BAR_PRICES])
    lowest = np.minimum.reduce([prices[name] for name in BAR_PRICES])
    for rule, name, extreme in (
        (Rule.BAR_HIGH, "high", highest), (Rule.BAR_LOW, "low", lowest)
    ):  # fmt: skip
        faults.mark(rule, name, prices[name] != extreme, _with_bar(numbers, name))
    faults.settle(log)
    bars = _Bars(rows, ts, prices["open"], highest, lowest, prices["close"], volume)
    return bars.take(~faults.bad)


def _with_bar(numbers: dict[str, FloatColumn], name: str) -> Callable[[int], str]:
    """The text of a wrong extreme: its value, and the other prices of its bar."""

    def text(position: int) -> str:
        others = (
            f"{other} {number_text(numbers[other][position])}"
            for other in BAR_PRICES
            if other != name
        )
        return f"{number_text(numbers[name][position])} with {', '.join(others)}"

    return text


def _interval(source: Source, ts: IntColumn) -> tuple[int, str | None]:
    """Length of a bar, and how that is known when the metadata does not say it."""
    stated = source.metadata.get(BAR_KEY)
    if stated is not None:
        word = stated.decode("utf-8", "replace")
        if not word.isascii() or not word.isdigit() or not 0 < int(word) < TIME_LIMIT:
            raise TapeError(
                "metadata papertape.bar_interval must be a bar's length in whole nanoseconds",
                file=source.name,
                value=repr(word),
            )
        return int(word), None
    distances = np.diff(ts)
    lengths, counts = np.unique(distances[distances > 0], return_counts=True)
    if not len(lengths):
        raise TapeError(
            "nothing tells how long a bar is; say it in the metadata papertape.bar_interval, in ns",
            file=source.name,
        )
    at = int(np.argmax(counts))
    return int(lengths[at]), (
        f"bar interval: {length_text(int(lengths[at]))}, measured (the distance between "
        f"{int(counts[at]):,} of {len(distances):,} neighbours)"
    )


def length_text(length_ns: int) -> str:
    """A bar's length in seconds, minutes, hours or days."""
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if length_ns % (unit * NANO) == 0:
            return f"{length_ns // (unit * NANO)} {name}"
    return f"{length_ns / NANO:g} s"


def _in_order(bars: _Bars, interval_ns: int, measured: str | None, log: FaultLog) -> _Bars:
    """The bars that start when the one before them has ended."""
    ts = bars.ts
    if len(ts) < 2 or bool((np.diff(ts) >= interval_ns).all()):
        return bars
    backwards, early = np.zeros((2, len(ts)), dtype=np.bool_)
    latest = int(ts[0])
    for position, start in enumerate(ts.tolist()):
        if position == 0 or start >= latest + interval_ns:
            latest = start
        elif start < latest:
            backwards[position] = True
        else:
            early[position] = True
    faults = BatchFaults(bars.rows)
    source = "measured; metadata papertape.bar_interval says it better" if measured else "stated"
    faults.mark(
        Rule.TIME_BACKWARDS, "ts", backwards, ts, "sort the bars, or drop such rows with repair"
    )
    faults.mark(Rule.BAR_EARLY, "ts", early, ts, f"bars of {length_text(interval_ns)}, {source}")
    faults.settle(log)
    return bars.take(~faults.bad)


def _check_pauses(bars: _Bars, interval_ns: int, options: Options, log: FaultLog) -> None:
    """Time between a bar's end and the next bar's start."""
    if options.max_gap_ns is None:
        return
    pauses = np.diff(bars.ts) - interval_ns
    faults = BatchFaults(bars.rows[1:])
    faults.mark(
        Rule.GAP,
        "ts",
        pauses > options.max_gap_ns,
        lambda position: f"{bars.ts[position + 1]}, {pauses[position] / NANO:g} s after the last",
        f"at most {options.max_gap_ns / NANO:g} s",
    )
    faults.settle(log)


def _rows(bars: _Bars, interval_ns: int) -> TapeColumns:
    """Four prints a bar. The volume is shared equally, what is left over goes to the earliest."""
    count = len(bars.ts)
    thirds = (0, interval_ns // 3, 2 * interval_ns // 3, interval_ns - 1)
    quarter, over = np.divmod(bars.volume, ROWS_OF_BAR)
    ts = np.stack([bars.ts + after for after in thirds], axis=1).ravel()
    px = np.stack([bars.open, bars.high, bars.low, bars.close], axis=1).ravel()
    qty = np.stack([quarter + (over > place) for place in range(ROWS_OF_BAR)], axis=1).ravel()
    kind: ByteColumn = np.full(count * ROWS_OF_BAR, RowKind.TRADE, dtype=np.int8)
    shown = np.maximum(qty, 1)
    return TapeColumns(
        ts, kind, np.zeros_like(kind), px, qty, px.copy(), px + 1, shown, shown.copy()
    )
