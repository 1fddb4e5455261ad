"""Read a Parquet file or a table into a tape: what `data.tape` does not find in the cache.

`data.convert` and `data.bar_tape` do the work; here files are opened, and columns kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data.bar_tape import convert_bars
from data.cache import EntryWriter
from data.check import CheckReport, FaultLog, check_columns
from data.convert import MemorySink, Sink, Source, Summary, convert
from data.options import Options, Progress
from data.schema import NO_ORIGIN, Grid, IntColumn, TapeColumns, TapeError
from data.tape import Tape, columns_hash, tape_of

BATCH_ROWS = 1 << 17
_READ_BYTES = 1 << 20
"""Read ahead of a column: row groups may be larger than memory, what is held of them is not."""


def convert_file(
    file: Path,
    shown: str,
    grid: Grid,
    options: Options,
    folder: Path | None,
    names: tuple[str, str],
    progress: Progress | None,
) -> Tape:
    """Convert into the cache, or in memory when nothing can be written."""
    log = FaultLog(shown, strict=not options.repair)
    digest, key = names
    if folder is not None:
        try:
            with EntryWriter(folder) as writer:
                summary = _run(file, shown, grid, options, log, writer, progress)
                meta = {
                    "bbo_after_trade": summary.bbo_after_trade,
                    "notes": list(summary.notes),
                    "bar_interval_ns": summary.bar_interval_ns,
                    "tape": f"{grid.symbol} of {file.resolve()}",
                }
                return tape_of(writer.publish(key, meta), grid, shown, digest)
        except OSError as error:
            reason = error.strerror or str(error)
            log = FaultLog(shown, strict=not options.repair)
    else:
        reason = "no folder can be written"
    sink = MemorySink()
    summary = _run(file, shown, grid, options, log, sink, progress)
    return Tape(
        sink.columns(),
        grid.symbol,
        shown,
        digest,
        summary.bbo_after_trade,
        (*summary.notes, f"not cached: {reason}"),
        summary.bar_interval_ns,
        sink.origin(),
    )


def convert_table(table: pa.Table, grid: Grid, options: Options, progress: Progress | None) -> Tape:
    """Convert a table in memory."""
    layout = check_columns(table.schema, "memory")
    batches = table.select(layout.columns).to_batches(max_chunksize=BATCH_ROWS)
    metadata = table.schema.metadata or {}
    source = Source("memory", table.num_rows, batches, layout, metadata)
    sink = MemorySink()
    log = FaultLog("memory", strict=not options.repair)
    summary = _convert(source, grid, options, log, sink, progress)
    columns, origin = sink.columns(), sink.origin()
    digest = columns_hash(columns, origin)
    notes = tuple(summary.notes)
    after, bar_ns = summary.bbo_after_trade, summary.bar_interval_ns
    return Tape(columns, grid.symbol, "memory", digest, after, notes, bar_ns, origin)


def count_faults(
    file: Path, shown: str, grid: Grid, options: Options, progress: Progress | None
) -> CheckReport:
    """Read a whole file and count what is wrong with it; nothing is kept."""
    log = FaultLog(shown, strict=False)
    summary = _run(file, shown, grid, options, log, _Nowhere(), progress)
    examples = tuple(sorted(log.examples, key=lambda fault: fault.row))
    return CheckReport(
        shown,
        grid.symbol,
        summary.rows,
        summary.kept,
        dict(log.counts),
        examples,
        summary.notes,
    )


class _Nowhere:
    def append(self, columns: TapeColumns, origin: IntColumn = NO_ORIGIN) -> None:
        """Rows of a check are not kept."""


def _run(
    file: Path,
    shown: str,
    grid: Grid,
    options: Options,
    log: FaultLog,
    sink: Sink,
    progress: Progress | None,
) -> Summary:
    with _parquet(file, shown) as parquet:
        layout = check_columns(parquet.schema_arrow, shown)
        source = Source(
            shown,
            parquet.metadata.num_rows,
            parquet.iter_batches(BATCH_ROWS, columns=layout.columns),
            layout,
            parquet.schema_arrow.metadata or {},
        )
        with ThreadPoolExecutor(1) as reader:
            source = source._replace(batches=_ahead(iter(source.batches), reader))
            return _convert(source, grid, options, log, sink, progress)


def _ahead(batches: Iterator[pa.RecordBatch], reader: Executor) -> Iterator[pa.RecordBatch]:
    """The batches in their order; while one is worked on, the reader decodes the next."""
    coming = reader.submit(next, batches, None)
    while (batch := coming.result()) is not None:
        coming = reader.submit(next, batches, None)
        yield batch


def _convert(
    source: Source,
    grid: Grid,
    options: Options,
    log: FaultLog,
    sink: Sink,
    progress: Progress | None,
) -> Summary:
    reader = convert_bars if source.layout.is_bars else convert
    return reader(source, grid, options, log, sink, progress)


def _parquet(file: Path, shown: str) -> pq.ParquetFile:
    try:
        size = file.stat().st_size
        if size == 0:
            raise TapeError("the file is empty", file=shown)
        with file.open("rb") as stream:
            head = stream.read(4)
        if head != b"PAR1":
            raise TapeError("is not a Parquet file", file=shown, value=f"starts with {head!r}")
        return pq.ParquetFile(file, pre_buffer=False, buffer_size=_READ_BYTES)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TapeError(
            f"the file is cut off or damaged, its table of contents cannot be read ({reason})",
            file=shown,
        ) from error


def table_of(frame: Any) -> pa.Table:
    """The table of a frame, a table or a dict of columns. Raises TapeError."""
    if isinstance(frame, pa.Table):
        return frame
    try:
        if isinstance(frame, dict):
            return pa.table(frame)
        if "ts" not in frame.columns and frame.index.name == "ts":
            frame = frame.reset_index()
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise TapeError(
            f"the columns are no table ({str(error).splitlines()[0]})", file="memory"
        ) from error
