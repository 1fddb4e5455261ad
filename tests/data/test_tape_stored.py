"""What the cache keeps beside the columns: opening a tape looks at none of its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Semaphore
from typing import Any

import numpy as np
import pytest
from small_tapes import good_columns
from test_tape_orders import ROWS, columns_of

import data.tape
from data.cache import EntryWriter
from data.checksum import Checksum
from data.schema import TickGrid
from data.summary import build_index, contents_of, l1_kinds
from data.tape import Tape, open_tape, tape_from_frame

START = 1_700_000_000_000_000_000


def many_rows(count: int) -> dict[str, list[Any]]:
    columns = {name: (values * (count // 6 + 1))[:count] for name, values in good_columns().items()}
    columns["ts"] = list(range(START, START + count))
    columns["bid_size"] = [row % 50 + 1 for row in range(count)]
    return columns


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with every pass over a tape's rows that `Tape` makes."""
    seen: list[str] = []
    for function in (build_index, contents_of, l1_kinds):

        def counted(*given: Any, _real: Callable[..., Any] = function) -> Any:
            seen.append(_real.__name__)
            return _real(*given)

        monkeypatch.setattr(data.tape, function.__name__, counted)
    return seen


def known(tape: Tape) -> tuple[Any, ...]:
    facts = (tape.has_trades, tape.has_quotes, tape.has_marks, tape.has_orders)
    return (*facts, tape.index.tolist(), [column.tolist() for column in tape.l1])


@pytest.mark.parametrize(
    "columns", [many_rows(10_000), columns_of(ROWS)], ids=["quotes and trades", "orders"]
)
def test_a_tape_from_the_cache_knows_all_without_a_look_at_its_rows(
    columns: dict[str, Any], write: Callable[..., Path], es: TickGrid, scans: list[str]
) -> None:
    path = write(columns)
    first, again = open_tape(path, es), open_tape(path, es)
    assert known(first) == known(again)
    assert scans == []
    assert known(replace(again, stored=None)) == known(again)
    assert "build_index" in scans
    assert "contents_of" in scans


def mapped(array: Any) -> bool:
    while array is not None and not isinstance(array, np.memmap):
        array = array.base
    return array is not None


def test_the_index_is_mapped_and_cannot_be_written(
    write: Callable[..., Path], es: TickGrid
) -> None:
    path = write(many_rows(5000))
    for tape in (open_tape(path, es), open_tape(path, es)):
        assert mapped(tape.index)
        assert type(tape.index) is np.ndarray
        assert tape.index.flags.c_contiguous
        assert not tape.index.flags.writeable


def test_other_columns_of_the_same_tape_have_an_index_of_their_own(
    write: Callable[..., Path], es: TickGrid
) -> None:
    tape = open_tape(write(many_rows(5000)), es)
    tape = open_tape(tape.source, es)
    half = replace(tape, columns=tape.columns._replace(bid=tape.columns.bid // 2))
    assert half.index[0, 0] == tape.index[0, 0] // 2


def test_rows_of_orders_that_come_late_are_quotes_for_a_reader_of_the_touch(
    write: Callable[..., Path], es: TickGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.reading.BATCH_ROWS", 7)
    table = columns_of(ROWS)
    columns = {name: [None] * 20 + values for name, values in table.items()}
    columns["ts"] = list(range(START, START + 32))
    for name, value in (("bid", 100.0), ("ask", 100.25), ("ask_size", 3.0)):
        columns[name][:20] = [value] * 20
    columns["bid_size"][:20] = [float(row + 1) for row in range(20)]
    columns["origin"] = [None if origin is None else origin + 20 for origin in columns["origin"]]
    path = write(columns)
    tapes = [open_tape(path, es), open_tape(path, es)]
    for tape in tapes:
        assert tape.l1.kind.tolist() == replace(tape, stored=None).l1.kind.tolist()
        assert len(tape.l1.kind) == len(tape)


def test_a_run_on_bars_searches_its_own_prices(write: Callable[..., Path], es: TickGrid) -> None:
    bars = {
        "ts": [START, START + 10**9], "open": [100.0, 101.0], "high": [102.0, 103.0],
        "low": [99.0, 100.0], "close": [101.0, 102.0], "volume": [8, 8],
    }  # fmt: skip
    tape = open_tape(write(bars), es)
    assert tape.bar_interval_ns == 10**9
    wide = replace(tape, columns=tape.columns._replace(ask=tape.columns.bid + 5))
    assert np.array_equal(wide.index, build_index(wide.columns))
    assert not np.array_equal(wide.index, tape.index)


def checksum_of(*parts: np.ndarray) -> str:
    total = Checksum()
    for part in parts:
        total.add(part)
    return total.text()


@pytest.mark.parametrize("kind", [np.int64, np.int8])
def test_a_checksum_sees_every_change_and_not_how_the_column_was_cut(kind: type) -> None:
    column = np.random.default_rng(1).integers(-100, 100, 200_000).astype(kind)
    wanted = checksum_of(column)
    for cuts in ([1], [65_536], [65_535, 65_537, 131_072], [0, 0, 199_999]):
        assert checksum_of(*np.split(column, cuts)) == wanted
    for place in (0, 70_000, 199_999):
        changed = column.copy()
        changed[place] ^= 1
        assert checksum_of(changed) != wanted
    swapped = column.copy()
    swapped[[10, 10 + 65_536]] = [5, 6]
    other = swapped.copy()
    other[[10, 10 + 65_536]] = [6, 5]
    assert checksum_of(swapped) != checksum_of(other)
    assert checksum_of(column[:-1]) != wanted
    assert checksum_of(np.append(column, kind(0))) != wanted


@pytest.mark.parametrize("repeated", [0, 1], ids=["every row stays", "quotes repeat"])
def test_rows_stay_what_they_are_until_they_are_written(
    write: Callable[..., Path], es: TickGrid, monkeypatch: pytest.MonkeyPatch, repeated: int
) -> None:
    monkeypatch.setattr("data.reading.BATCH_ROWS", 16)
    columns = many_rows(200)
    for row in (18, 36, *range(64, 100), 130):
        for name in columns if repeated else ():
            if name != "ts":
                columns[name][row] = columns[name][row - 1]
    wanted = tape_from_frame(columns, es)
    next_is_there = Semaphore(0)
    append, wait = EntryWriter._append, EntryWriter._wait

    def written_late(writer: EntryWriter, *rows: Any) -> None:
        """When the batch after these rows has been made."""
        next_is_there.acquire()
        append(writer, *rows)

    def waited(writer: EntryWriter) -> None:
        if writer._writing is not None:
            next_is_there.release()
        wait(writer)

    monkeypatch.setattr(EntryWriter, "_append", written_late)
    monkeypatch.setattr(EntryWriter, "_wait", waited)
    assert known(open_tape(write(columns), es)) == known(wanted)
    assert (len(wanted) < 200) is bool(repeated)
