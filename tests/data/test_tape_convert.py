"""What a tape's columns are, given a file's: exact integers, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_tapes import good_columns

from broker_api.catalog import load_catalog
from data.schema import BBO_KEY, COLUMN_TYPES, EMPTY_ASK, EMPTY_BID, RowKind, TickGrid
from data.tape import Tape, open_tape, tape_from_frame


def rows_of(tape: Tape) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in tape.columns), strict=True))


def test_prices_become_ticks_and_sizes_lots(write: Callable[..., Path], es: TickGrid) -> None:
    tape = open_tape(write(good_columns()), es)
    second = 1_700_000_000_000_000_000
    assert rows_of(tape) == [
        (second, 0, 0, 0, 0, 400, 401, 5, 7),
        (second + 1_000_000_000, 1, 1, 401, 3, 400, 401, 5, 4),
        (second + 2_000_000_000, 0, 0, 0, 0, 400, 401, 6, 4),
        (second + 3_000_000_000, 0, 0, 0, 0, 401, 402, 3, 9),
        (second + 4_000_000_000, 1, 1, 402, 1, 401, 402, 3, 8),
        (second + 5_000_000_000, 0, 0, 0, 0, 401, 402, 4, 8),
    ]
    assert (tape.start_ns, tape.end_ns, len(tape)) == (second, second + 5_000_000_000, 6)
    assert tape.has_trades
    assert tape.has_quotes
    assert not tape.has_marks


def test_columns_have_exact_types_and_cannot_be_written(
    write: Callable[..., Path], es: TickGrid
) -> None:
    path = write(good_columns())
    for tape in (open_tape(path, es), open_tape(path, es), tape_from_frame(good_columns(), es)):
        for name, column in zip(tape.columns._fields, tape.columns, strict=True):
            assert column.dtype == COLUMN_TYPES[name]
            assert type(column) is np.ndarray
            assert column.flags.c_contiguous
            assert not column.flags.writeable


def test_the_catalogues_instruments_are_grids(write: Callable[..., Path], es: TickGrid) -> None:
    path = write(good_columns())
    assert rows_of(open_tape(path, load_catalog()["ES"])) == rows_of(open_tape(path, es))


@pytest.mark.parametrize(
    "types",
    [
        {"ts": pa.timestamp("ns", "UTC")},
        {"ts": pa.timestamp("ns", "America/Chicago")},
        {"bid": pa.decimal128(12, 4), "ask": pa.decimal128(12, 4), "price": pa.decimal128(9, 2)},
        {"bid_size": pa.float64(), "ask_size": pa.int32(), "size": pa.uint16()},
        {"bid": pa.float32(), "side": pa.int64()},
    ],
)
def test_other_types_of_the_same_numbers_give_the_same_tape(
    types: dict[str, pa.DataType], es: TickGrid
) -> None:
    table = pa.table(good_columns())
    wanted = rows_of(tape_from_frame(table, es))
    for name, kind in types.items():
        index = table.schema.get_field_index(name)
        table = table.set_column(index, name, table.column(name).cast(kind))
    assert rows_of(tape_from_frame(table, es)) == wanted


def test_coarser_timestamps_become_nanoseconds(es: TickGrid) -> None:
    table = pa.table(good_columns())
    seconds = table.column("ts").cast(pa.timestamp("ns")).cast(pa.timestamp("s"))
    tape = tape_from_frame(table.set_column(0, "ts", seconds), es)
    assert tape.start_ns == 1_700_000_000_000_000_000


def test_frames_tables_and_files_agree(write: Callable[..., Path], es: TickGrid) -> None:
    columns = good_columns()
    wanted = rows_of(open_tape(write(columns), es))
    frame = pd.DataFrame(columns)
    assert rows_of(tape_from_frame(frame, es)) == wanted
    assert rows_of(tape_from_frame(frame.set_index("ts"), es)) == wanted
    assert rows_of(tape_from_frame(columns, es)) == wanted


def test_batches_and_row_groups_leave_no_seam(
    write: Callable[..., Path], es: TickGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = rows_of(tape_from_frame(good_columns(), es))
    monkeypatch.setattr("data.reading.BATCH_ROWS", 2)
    assert rows_of(open_tape(write(good_columns(), row_group_size=3), es)) == wanted


def test_an_empty_side_is_size_zero(es: TickGrid) -> None:
    columns = good_columns()
    columns["bid"][2], columns["bid_size"][2] = None, 0
    columns["ask"][3], columns["ask_size"][3] = float("nan"), 0
    tape = tape_from_frame(columns, es).columns
    assert (tape.bid[2], tape.bid_qty[2]) == (EMPTY_BID, 0)
    assert (tape.ask[3], tape.ask_qty[3]) == (EMPTY_ASK, 0)


def test_repeated_quotes_are_dropped_and_repeated_trades_kept(es: TickGrid) -> None:
    columns: dict[str, list[Any]] = {name: [] for name in good_columns()}
    for row in (0, 0, 0, 1, 1, 2, 2, 0):
        for name, values in good_columns().items():
            columns[name].append(values[row])
    columns["ts"] = list(range(10**18, 10**18 + 8))
    tape = tape_from_frame(columns, es)
    assert tape.columns.ts.tolist() == [10**18 + step for step in (0, 3, 4, 5, 7)]
    assert "3 repeated quotes dropped" in tape.notes


def test_a_quote_after_a_trade_is_kept_though_its_book_is_the_same(es: TickGrid) -> None:
    columns = {name: [values[0], values[1], values[0]] for name, values in good_columns().items()}
    columns["ts"] = [10**18, 10**18 + 1, 10**18 + 2]
    columns["ask_size"] = [7, 7, 7]
    assert len(tape_from_frame(columns, es)) == 3


def test_quotes_alone_and_trades_alone_are_tapes(es: TickGrid) -> None:
    columns = good_columns()
    quotes = {name: columns[name] for name in ("ts", "bid", "ask", "bid_size", "ask_size")}
    tape = tape_from_frame(quotes, es)
    assert tape.has_quotes
    assert not tape.has_trades
    trades = {
        name: [columns[name][row] for row in (1, 4)] for name in ("ts", "price", "size", "side")
    }
    tape = tape_from_frame(trades, es)
    assert tape.has_trades
    assert not tape.has_quotes
    assert set(tape.columns.bid.tolist()) == {EMPTY_BID}


def test_status_mark_and_funding_rows_keep_the_book_before_them(es: TickGrid) -> None:
    columns = good_columns()
    columns["kind"] = ["quote", None, "mark", "funding", "halt", "resume"]
    columns["rate"] = [None, None, None, 0.000125, None, None]
    columns["price"] = [None, 100.25, 100.123456789, 100.2, None, None]
    columns["size"][4], columns["side"][4] = 0, 0
    for name in ("bid", "ask", "bid_size", "ask_size"):
        columns[name][2:] = [None] * 4
    tape = tape_from_frame(columns, es)
    kinds = [RowKind(kind).name for kind in tape.columns.kind.tolist()]
    assert kinds == ["QUOTE", "TRADE", "MARK", "FUNDING", "HALT", "RESUME"]
    assert tape.columns.px.tolist() == [0, 401, 100_123_456_789, 100_200_000_000, 0, 0]
    assert tape.columns.qty.tolist() == [0, 3, 0, 125_000, 0, 0]
    assert tape.columns.ask_qty.tolist() == [7, 4, 4, 4, 4, 4]
    assert tape.has_marks


def test_sort_orders_rows_and_says_how_many_moved(es: TickGrid) -> None:
    columns = good_columns()
    order = [3, 0, 1, 5, 4, 2]
    shuffled = {name: [values[row] for row in order] for name, values in columns.items()}
    tape = tape_from_frame(shuffled, es, sort=True)
    assert rows_of(tape) == rows_of(tape_from_frame(columns, es))
    assert "sorted: 4 rows were out of order" in tape.notes


def test_sort_keeps_the_order_of_equal_times(es: TickGrid) -> None:
    columns = good_columns()
    columns["ts"] = [10**18 + 1, *[10**18] * 5]
    tape = tape_from_frame(columns, es, sort=True)
    assert tape.columns.bid_qty.tolist() == [5, 6, 3, 3, 4, 5]


@pytest.mark.parametrize(("word", "after"), [("after", True), ("before", False)])
def test_the_metadata_decides_whether_a_trades_book_is_from_after_it(
    word: str, after: bool, tmp_path: Path, es: TickGrid
) -> None:
    table = pa.table(good_columns()).replace_schema_metadata({BBO_KEY: word.encode()})
    pq.write_table(table, tmp_path / "tape.parquet")
    tape = open_tape(tmp_path / "tape.parquet", es)
    assert tape.bbo_after_trade is after
    assert tape.notes == ()


@pytest.mark.parametrize("after", [True, False])
def test_without_metadata_the_data_decides_and_the_notes_say_so(after: bool, es: TickGrid) -> None:
    columns: dict[str, list[Any]] = {name: [] for name in good_columns()}
    left = 500
    for step in range(40):
        trade = step % 2 == 1
        left -= 3 if trade is after and step else 0
        row = [10**18 + step, 100.0, 100.25, 5 + step, left, 100.25 if trade else None]
        row += [3, 1] if trade else [0, 0]
        for name, value in zip(columns, row, strict=True):
            columns[name].append(value)
    tape = tape_from_frame(columns, es)
    assert tape.bbo_after_trade is after
    assert any(f"{'after' if after else 'before'}, measured" in note for note in tape.notes)


@given(st.lists(st.tuples(st.integers(1, 4_000_000), st.integers(1, 10**9)), min_size=1))
def test_any_price_and_size_on_the_grid_come_back_exactly(pairs: list[tuple[int, int]]) -> None:
    grid = TickGrid("X", Decimal("0.1"), Decimal("0.001"))
    columns = {
        "ts": list(range(10**18, 10**18 + len(pairs))),
        "price": [ticks / 10 for ticks, _ in pairs],
        "size": [lots / 1000 for _, lots in pairs],
        "side": [1] * len(pairs),
    }
    tape = tape_from_frame(columns, grid)
    assert tape.columns.px.tolist() == [ticks for ticks, _ in pairs]
    assert tape.columns.qty.tolist() == [lots for _, lots in pairs]


def test_progress_ends_at_the_number_of_rows(write: Callable[..., Path], es: TickGrid) -> None:
    seen: list[tuple[int, int]] = []
    open_tape(write(good_columns()), es, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (6, 6)


def test_a_tape_lasts_until_its_last_row_even_if_that_repeats_the_quote() -> None:
    start = 1_700_000_000_000_000_000
    quotes = {
        "ts": [start + step for step in range(4)],
        "bid": [100.0] * 4, "ask": [100.25] * 4, "bid_size": [5] * 4, "ask_size": [7] * 4,
    }  # fmt: skip
    tape = tape_from_frame(quotes, load_catalog()["ES"])
    assert tape.columns.ts.tolist() == [start, start + 3]
    assert "2 repeated quotes dropped" in tape.notes
