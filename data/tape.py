"""Open a tape: one instrument's market events as read-only integer columns.

A Parquet file is converted once into a cache keyed by its content (`data.cache`) and mapped into
memory by every later run. Frames and Arrow tables are converted in memory. `data.convert` does the
work.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data.cache import (
    Entry,
    cache_folder,
    content_hash,
    discard_entry,
    entry_key,
    load_entry,
)
from data.index import IndexTable
from data.options import Options, Progress
from data.schema import (
    BAR_KEY,
    BBO_KEY,
    NO_ORIGIN,
    Grid,
    IntColumn,
    RowKind,
    TapeColumns,
    TapeError,
)
from data.summary import Contents, Stored, build_index, contents_of, l1_kinds

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from data.check import CheckReport


@dataclass(frozen=True)
class Tape:
    """One instrument's market events in time order.

    `source` is the path as it was given, or "memory"; `content_hash` is the SHA-256 of the source's
    bytes (in memory: of the columns). `bbo_after_trade`: a trade row's BBO is from after its print.
    `notes` say what a user should know: how that was found, and what repair or sort did.
    `bar_interval_ns` is the length of a bar on a tape that was made of bars (four rows each, stored
    as open, high, low, close, see `data.bar_tape`), else 0. `origin` is for rows of single orders:
    the row at which the order of a cancel or an execution joined, -1 for all others; it has no
    element on a tape without such rows.
    `stored` is what the cache knows of the columns; it counts only while it is of these very ones.
    """

    columns: TapeColumns
    symbol: str
    source: str
    content_hash: str
    bbo_after_trade: bool
    notes: tuple[str, ...] = ()
    bar_interval_ns: int = 0
    origin: IntColumn = field(default_factory=lambda: NO_ORIGIN)
    stored: Stored | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.columns.ts)

    @property
    def start_ns(self) -> int:
        """Time of the first row."""
        return int(self.columns.ts[0])

    @property
    def end_ns(self) -> int:
        """Time of the last row."""
        return int(self.columns.ts[-1])

    @cached_property
    def l1(self) -> TapeColumns:
        """The rows for one who knows the touch only: those of levels and orders are quotes."""
        if not self._contents.has(RowKind.LEVEL, RowKind.EXEC):
            return self.columns
        known = self._known
        kind = l1_kinds(self.columns) if known is None else known.l1_kind
        kind.flags.writeable = False
        return self.columns._replace(kind=kind)

    @property
    def has_orders(self) -> bool:
        """Whether any row is of a single order that joins the book."""
        return self._contents.has(RowKind.ADD, RowKind.ADD)

    @property
    def has_trades(self) -> bool:
        """Whether any row is a trade."""
        return self._contents.has(RowKind.TRADE, RowKind.TRADE)

    @property
    def has_quotes(self) -> bool:
        """Whether any row shows a bid or an ask."""
        return self._contents.has_quotes

    @property
    def has_marks(self) -> bool:
        """Whether any row is a mark price."""
        return self._contents.has(RowKind.MARK, RowKind.MARK)

    @cached_property
    def index(self) -> IndexTable:
        """The block index of the rows, see `data.index`."""
        known = self._known
        return build_index(self.columns) if known is None else known.blocks

    @cached_property
    def _contents(self) -> Contents:
        known = self._known
        return contents_of(self.columns) if known is None else known.contents

    @property
    def _known(self) -> Stored | None:
        """What the cache stored, unless these are other columns by now (`dataclasses.replace`)."""
        stored = self.stored
        return stored if stored is not None and stored.columns is self.columns else None


def open_tape(
    path: str | Path,
    grid: Grid,
    *,
    repair: bool = False,
    sort: bool = False,
    max_gap_ns: int | None = None,
    cache_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> Tape:
    """The tape of a Parquet file, from the cache when the same content was converted before.

    Raises TapeError (file, row, column, value, rule) for the first fault; `repair` drops faulty
    rows and says how many in the notes; `sort` orders rows by time. `max_gap_ns` limits pauses
    between rows other than those after a close or halt; repair keeps the rows around a long pause
    and counts it.
    """
    file = _existing(Path(path))
    folder = cache_folder(file, Path(cache_dir) if cache_dir is not None else None)
    before = _identity(file)
    digest = _digest(file, folder, str(path))
    options = Options(repair, sort, max_gap_ns)
    key = entry_key(digest, grid.symbol, *_grid_identity(grid), *options)
    if folder is not None:
        found = load_entry(folder, key)
        if found is not None:
            return tape_of(found, grid, str(path), digest)
    from data.reading import convert_file  # with Arrow: a tape in the cache needs none of it

    tape = convert_file(file, str(path), grid, options, folder, (digest, key), progress)
    if _identity(file) != before:
        # What was read may not be what was hashed: nobody may find it under that key.
        if folder is not None:
            discard_entry(folder, key)
        raise TapeError("the file was changed while it was read", file=str(path))
    return tape


def _identity(file: Path) -> tuple[int, ...] | None:
    """What changes when a file is written or replaced; None when it is gone."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def tape_of(entry: Entry, grid: Grid, shown: str, digest: str) -> Tape:
    """The tape of a conversion in the cache."""
    meta = entry.meta
    return Tape(
        entry.columns,
        grid.symbol,
        shown,
        digest,
        bool(meta["bbo_after_trade"]),
        tuple(meta["notes"]),
        int(meta["bar_interval_ns"]),
        entry.origin,
        entry.stored,
    )


def _grid_identity(grid: Grid) -> tuple[str, ...]:
    """What of the grid decides the conversion."""
    tick, lot = grid.tick_size.normalize(), grid.lot_size.normalize()
    return str(tick), str(lot), str(getattr(grid, "allow_negative_price", True))


def _digest(file: Path, folder: Path | None, shown: str) -> str:
    try:
        return content_hash(file, folder)
    except OSError as error:
        raise TapeError(f"cannot be read ({error.strerror})", file=shown) from error


def _existing(path: Path) -> Path:
    if path.is_dir():
        raise TapeError("is a folder, not a Parquet file", file=str(path))
    if not path.exists():
        siblings = [found.name for found in path.parent.iterdir()] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, sorted(siblings), 1, 0.6)
        hint = f"; did you mean {path.parent / near[0]}?" if near else ""
        raise TapeError(f"no such file{hint}", file=str(path))
    return path


def tape_from_frame(
    frame: pd.DataFrame | pa.Table | dict[str, Any],
    grid: Grid,
    *,
    repair: bool = False,
    sort: bool = False,
    max_gap_ns: int | None = None,
    bbo_of_trade: str | None = None,
    bar_interval_ns: int | None = None,
    progress: Progress | None = None,
) -> Tape:
    """The tape of a pandas frame, an Arrow table or a dict of columns, converted in memory.

    Same rules and errors as `open_tape`. An index named `ts` counts as the column. `bbo_of_trade`
    ("after" or "before") and `bar_interval_ns`, the length of a bar, say what the table's metadata
    would say.
    """
    from data.reading import convert_table, table_of

    table = table_of(frame)
    metadata = dict(table.schema.metadata or {})
    if bbo_of_trade is not None:
        metadata[BBO_KEY] = bbo_of_trade.encode()
    if bar_interval_ns is not None:
        metadata[BAR_KEY] = str(bar_interval_ns).encode()
    described = table.replace_schema_metadata(metadata)
    return convert_table(described, grid, Options(repair, sort, max_gap_ns), progress)


def columns_hash(columns: TapeColumns, origin: IntColumn = NO_ORIGIN) -> str:
    """SHA-256 over the columns' names and little-endian bytes; origins only where there are any."""
    digest = hashlib.sha256()
    named = [*columns._asdict().items(), *([("origin", origin)] if len(origin) else [])]
    for name, column in named:
        digest.update(f"{name}:{len(column)};".encode())
        digest.update(np.ascontiguousarray(column, dtype=column.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def check_file(
    path: str | Path,
    grid: Grid,
    *,
    sort: bool = False,
    max_gap_ns: int | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Read a whole file and count what is wrong with it; nothing is cached.

    Raises TapeError only for what ends all reading: no Parquet file, wrong columns, damage, no
    usable row.
    """
    from data.reading import count_faults

    file = _existing(Path(path))
    options = Options(repair=True, sort=sort, max_gap_ns=max_gap_ns)
    return count_faults(file, str(path), grid, options, progress)


def sample_path(symbol: str) -> Path | None:
    """The sample tape that ships for an instrument, None when there is none.

    Micro and full-size contracts of one index share prices and tick, so they share the sample.
    """
    path = Path(__file__).parent / "samples" / f"{_SAMPLE_OF.get(symbol, symbol)}.parquet"
    return path if path.is_file() else None


_SAMPLE_OF = {"MES": "ES", "NQ": "MNQ"}


def sample_symbols() -> Iterator[str]:
    """Instruments whose sample tape ships, in name order."""
    for path in sorted((Path(__file__).parent / "samples").glob("*.parquet")):
        yield path.stem
