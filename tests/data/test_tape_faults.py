"""Every way a tape can be wrong is refused and named, or dropped and counted."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_tapes import good_columns, with_cell

from broker_api.catalog import load_catalog
from data.check import Rule
from data.schema import BBO_KEY, TapeError, TickGrid
from data.tape import check_file, open_tape, tape_from_frame

NAN = float("nan")
START = 1_700_000_000_000_000_000


def with_ids(column: str, ids: list[Any]) -> dict[str, list[Any]]:
    return {**good_columns(), column: ids}


ROW_FAULTS: list[tuple[dict[str, list[Any]], int, str, str, Rule]] = [
    (with_cell("bid", 2, NAN), 2, "bid", "nan", Rule.PRICE_ON_EMPTY_SIDE),
    (with_cell("ask", 3, None), 3, "ask", "nan", Rule.PRICE_ON_EMPTY_SIDE),
    (with_cell("bid_size", 0, -5), 0, "bid_size", "-5", Rule.SIZE_NEGATIVE),
    (with_cell("ask_size", 5, None), 5, "ask_size", "nan", Rule.SIZE_MISSING),
    (with_cell("bid", 2, 100.5), 2, "bid", "100.5 with ask 100.25", Rule.CROSSED),
    (with_cell("ask", 1, 100.3), 1, "ask", "100.3", Rule.PRICE_OFF_TICK),
    (with_cell("price", 4, 100.49), 4, "price", "100.49", Rule.PRICE_OFF_TICK),
    (with_cell("size", 1, 2.5), 1, "size", "2.5", Rule.SIZE_OFF_LOT),
    (with_cell("bid_size", 1, 0.25), 1, "bid_size", "0.25", Rule.SIZE_OFF_LOT),
    (with_cell("size", 1, 0), 1, "size", "0", Rule.SIZE_ZERO),
    (with_cell("size", 4, -1), 4, "size", "-1", Rule.SIZE_NEGATIVE),
    (with_cell("size", 2, 5), 2, "price", "nan", Rule.PRICE_MISSING),
    (with_cell("side", 4, 2), 4, "side", "2", Rule.SIDE),
    (with_cell("bid", 2, float("-inf")), 2, "bid", "-inf", Rule.TOO_LARGE),
    (with_cell("ask", 0, 1e300), 0, "ask", "1e+300", Rule.TOO_LARGE),
    (with_cell("price", 1, 3e11), 1, "price", "300000000000", Rule.TOO_LARGE),
    (with_cell("ask_size", 2, 1 << 41), 2, "ask_size", "2199023255552", Rule.TOO_LARGE),
    (with_cell("ts", 3, START), 3, "ts", f"{START} after {START + 2 * 10**9}", Rule.TIME_BACKWARDS),
    (with_cell("ts", 0, -1), 0, "ts", "-1", Rule.TIME_RANGE),
    (with_cell("ts", 5, 1 << 62), 5, "ts", str(1 << 62), Rule.TIME_RANGE),
    (with_cell("ts", 1, None), 1, "ts", "null", Rule.TIME_MISSING),
    (with_ids("sequence", [1, 2, 3, 4, 2, 6]), 4, "sequence", "2", Rule.ID_REPEATED),
    (with_ids("trade_id", [None, 7, None, None, 7, None]), 4, "trade_id", "7", Rule.ID_REPEATED),
    (with_ids("kind", ["quote", None, "quit", None, None, None]), 2, "kind", "'quit'", Rule.KIND),
    (
        with_ids("kind", [None, "quote", None, None, None, None]),
        1,
        "price",
        "100.25",
        Rule.KIND_PRICE,
    ),
    (
        with_ids("kind", ["mark", None, None, None, None, None]),
        0,
        "price",
        "nan",
        Rule.PRICE_MISSING,
    ),
]
IDS = [f"{fault[4].name}-{fault[2]}-{fault[3]}" for fault in ROW_FAULTS]


@pytest.mark.parametrize(("columns", "row", "column", "value", "rule"), ROW_FAULTS, ids=IDS)
def test_strict_names_file_row_column_and_value(
    columns: dict[str, list[Any]],
    row: int,
    column: str,
    value: str,
    rule: Rule,
    write: Callable[..., Path],
    es: TickGrid,
) -> None:
    path = write(columns)
    with pytest.raises(TapeError) as caught:
        open_tape(path, es)
    error = caught.value
    assert (error.file, error.row, error.column, error.value) == (str(path), row, column, value)
    assert error.rule.startswith(rule)
    for part in (str(path), f"row {row}", f"column {column}", f"value {value}", rule):
        assert part in str(error)


@pytest.mark.parametrize(("columns", "row", "column", "value", "rule"), ROW_FAULTS, ids=IDS)
def test_repair_drops_the_row_and_counts_it(
    columns: dict[str, list[Any]],
    row: int,
    column: str,
    value: str,
    rule: Rule,
    write: Callable[..., Path],
    es: TickGrid,
) -> None:
    path = write(columns)
    tape = open_tape(path, es, repair=True)
    assert f"repair: 1 rows dropped: {rule}" in tape.notes
    left = [ts for index, ts in enumerate(columns["ts"]) if index != row]
    assert tape.columns.ts.tolist() == left
    report = check_file(path, es)
    assert report.counts == {rule: 1}
    assert (report.rows, report.kept, report.faults, report.ok) == (6, 5, 1, False)
    fault = report.examples[0]
    assert (fault.row, fault.column, fault.value) == (row, column, value)


@pytest.mark.parametrize("batch_rows", [1, 2, 3])
def test_rules_about_neighbours_hold_across_batches(
    batch_rows: int, write: Callable[..., Path], es: TickGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.reading.BATCH_ROWS", batch_rows)
    columns = with_ids("sequence", [10, 11, 12, 13, 11, 15])
    columns["ts"][2] = START
    report = check_file(write(columns), es)
    assert report.counts == {Rule.TIME_BACKWARDS: 1, Rule.ID_REPEATED: 1}


def test_repair_counts_many_rows_of_several_rules(es: TickGrid) -> None:
    columns: dict[str, list[Any]] = {name: [] for name in good_columns()}
    for step in range(1000):
        for name, values in good_columns().items():
            columns[name].append(values[step % 6])
    columns["ts"] = list(range(START, START + 1000))
    for row in range(0, 1000, 10):
        columns["bid"][row] = 90.1
    for row in range(5, 1000, 100):
        columns["ask_size"][row] = -1
    tape = tape_from_frame(columns, es, repair=True)
    assert "repair: 100 rows dropped: price is not a multiple of the tick size" in tape.notes
    assert "repair: 10 rows dropped: size is negative" in tape.notes
    assert len(tape) == 890


def test_a_row_with_two_faults_is_counted_once(es: TickGrid, write: Callable[..., Path]) -> None:
    columns = with_cell("bid", 2, 100.1)
    columns["ask_size"][2] = -3
    assert check_file(write(columns), es).faults == 1


def test_a_locked_book_is_legal(es: TickGrid) -> None:
    assert len(tape_from_frame(with_cell("bid", 2, 100.25), es)) == 6


def test_the_limit_is_in_the_text(es: TickGrid) -> None:
    with pytest.raises(TapeError, match=re.escape("tick size: 0.25 for ES")):
        tape_from_frame(with_cell("ask", 1, 100.3), es)


def test_an_instrument_without_negative_prices_refuses_them(es: TickGrid) -> None:
    columns = with_cell("bid", 2, -100.0)
    assert len(tape_from_frame(columns, es)) == 6
    with pytest.raises(TapeError, match="price is not positive") as caught:
        tape_from_frame(columns, load_catalog()["ES"])
    assert (caught.value.row, caught.value.column) == (2, "bid")


def test_sort_accepts_what_strict_refuses_about_time(es: TickGrid) -> None:
    columns = with_cell("ts", 3, START)
    assert tape_from_frame(columns, es, sort=True).columns.ts.tolist()[1] == START


def test_a_gap_is_refused_when_a_limit_is_set(write: Callable[..., Path], es: TickGrid) -> None:
    columns = good_columns()
    columns["ts"][4:] = [START + 100 * 10**9, START + 101 * 10**9]
    path = write(columns)
    assert len(open_tape(path, es)) == 6
    with pytest.raises(TapeError, match="gap between rows is too long: at most 60 s") as caught:
        open_tape(path, es, max_gap_ns=60 * 10**9)
    assert (caught.value.row, caught.value.column) == (4, "ts")
    tape = open_tape(path, es, max_gap_ns=60 * 10**9, repair=True)
    assert len(tape) == 6
    assert "repair: 1 rows kept: gap between rows is too long" in tape.notes


def test_a_pause_after_a_close_is_no_gap(es: TickGrid) -> None:
    columns = good_columns()
    columns["ts"][4:] = [START + 100 * 10**9, START + 101 * 10**9]
    columns["kind"] = [None, None, None, "close", None, None]
    assert len(tape_from_frame(columns, es, max_gap_ns=60 * 10**9)) == 6


def renamed(old: str, new: str) -> dict[str, list[Any]]:
    return {new if name == old else name: values for name, values in good_columns().items()}


def without(column: str) -> dict[str, list[Any]]:
    return {name: values for name, values in good_columns().items() if name != column}


@pytest.mark.parametrize(
    ("columns", "column", "text"),
    [
        (renamed("bid_size", "bid_sise"), "bid_sise", "unknown column; did you mean bid_size?"),
        (renamed("ts", "timestamp"), "timestamp", "did you mean ts?"),
        (renamed("price", "Price"), "Price", "did you mean price?"),
        ({**good_columns(), "colour": ["red"] * 6}, "colour", "unknown column; known are"),
        (without("ts"), "ts", "missing column"),
        (without("ask"), "ask", "missing column"),
        (without("side"), "side", "missing column"),
        ({**good_columns(), "bid": ["100"] * 6}, "bid", "wrong type, must be a number type"),
        (
            {**good_columns(), "ts": [float(n) for n in range(6)]},
            "ts",
            "wrong type, must be int64 ns",
        ),
        ({**good_columns(), "side": ["B"] * 6}, "side", "wrong type, must be a number type"),
        ({**good_columns(), "trade_id": ["a"] * 6}, "trade_id", "wrong type, must be an integer"),
        ({**good_columns(), "__index_level_0__": [0] * 6}, "__index_level_0__", "index=False"),
    ],
)
def test_wrong_columns_are_named(
    columns: dict[str, list[Any]],
    column: str,
    text: str,
    write: Callable[..., Path],
    es: TickGrid,
) -> None:
    path = write(columns)
    with pytest.raises(TapeError, match=re.escape(text)) as caught:
        open_tape(path, es, repair=True)
    assert (caught.value.file, caught.value.column) == (str(path), column)


def test_a_tape_of_times_only_is_refused(es: TickGrid) -> None:
    with pytest.raises(TapeError, match="no quotes"):
        tape_from_frame({"ts": [1, 2]}, es)


def test_columns_of_different_length_are_refused(es: TickGrid) -> None:
    with pytest.raises(TapeError, match="the columns are no table"):
        tape_from_frame({"ts": [1, 2], "price": [1.0]}, es)


def test_metadata_that_is_neither_after_nor_before_is_refused(es: TickGrid) -> None:
    table = pa.table(good_columns()).replace_schema_metadata({BBO_KEY: b"during"})
    with pytest.raises(TapeError, match="must be after or before") as caught:
        tape_from_frame(table, es)
    assert caught.value.value == "'during'"


def test_missing_file_suggests_its_neighbour(write: Callable[..., Path], es: TickGrid) -> None:
    path = write(good_columns())
    with pytest.raises(TapeError, match=r"no such file; did you mean .*tape\.parquet"):
        open_tape(path.with_name("tapes.parquet"), es)


def test_a_folder_is_refused(tmp_path: Path, es: TickGrid) -> None:
    with pytest.raises(TapeError, match="is a folder"):
        open_tape(tmp_path, es)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "the file is empty"),
        (b"ts,bid,ask\n1,2,3\n", "is not a Parquet file"),
        (b"PAR1 and nothing more", "cut off or damaged"),
    ],
)
def test_files_that_are_no_parquet_are_refused(
    content: bytes, text: str, tmp_path: Path, es: TickGrid
) -> None:
    path = tmp_path / "tape.parquet"
    path.write_bytes(content)
    with pytest.raises(TapeError, match=text) as caught:
        open_tape(path, es)
    assert caught.value.file == str(path)


def test_a_truncated_file_is_refused(write: Callable[..., Path], es: TickGrid) -> None:
    path = write(good_columns())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TapeError, match="cut off or damaged"):
        open_tape(path, es)


def test_damage_inside_a_file_says_where_reading_ended(
    tmp_path: Path, es: TickGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.reading.BATCH_ROWS", 6)
    path = tmp_path / "tape.parquet"
    table = pa.concat_tables([pa.table(good_columns())] * 2)
    pq.write_table(table, path, row_group_size=6, compression="zstd", use_dictionary=False)
    place = pq.ParquetFile(path).metadata.row_group(1).column(1)
    damaged = bytearray(path.read_bytes())
    end = place.data_page_offset + place.total_compressed_size
    damaged[place.data_page_offset : end] = b"\xff" * place.total_compressed_size
    path.write_bytes(damaged)
    with pytest.raises(TapeError, match="the file is damaged") as caught:
        open_tape(path, es, sort=True)
    assert caught.value.row == 6


def test_a_file_without_rows_is_refused(write: Callable[..., Path], es: TickGrid) -> None:
    schema = pa.table(good_columns()).schema
    path = write({name: pa.array([], schema.field(name).type) for name in schema.names})
    with pytest.raises(TapeError, match="the file has no rows"):
        open_tape(path, es)


def test_a_file_of_which_repair_leaves_nothing_is_refused(es: TickGrid) -> None:
    columns = good_columns()
    columns["bid_size"] = [-1] * 6
    with pytest.raises(TapeError, match="no row is left of 6"):
        tape_from_frame(columns, es, repair=True)


@pytest.mark.parametrize("tick", ["0", "-0.25", "NaN"])
def test_a_grid_needs_positive_steps(tick: str) -> None:
    with pytest.raises(ValueError, match="tick size"):
        TickGrid("X", Decimal(tick), Decimal(1))
