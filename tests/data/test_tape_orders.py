"""Rows of levels and of single orders: what they must say, and where their origins point."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from data.check import Rule
from data.describe import describe
from data.schema import BBO_KEY, RowKind, TapeError, TickGrid
from data.tape import check_file, open_tape, tape_from_frame

START = 1_700_000_000_000_000_000
HEAD = ["kind", "side", "price", "size", "origin", "bid", "bid_size", "ask", "ask_size"]
ROWS = """
add    1 100.00 5 -  100.00 5 -      0
add   -1 100.25 3 -  100.00 5 100.25 3
add    1  99.75 9 -  100.00 5 100.25 3
quote  - -      - -  100.00 5 100.25 3
quote  - -      - -  100.00 5 100.25 3
add    1 100.00 2 -  100.00 7 100.25 3
trade -1 100.00 4 -  100.00 3 100.25 3
exec   1 100.00 4 0  100.00 3 100.25 3
cancel 1  99.75 9 2  -      - -      -
level -1 100.50 0 -  100.00 3 100.25 3
cancel 1 100.00 1 0  100.00 2 100.25 3
exec   1 100.00 2 5  -      0 100.25 3
"""


def columns_of(text: str) -> dict[str, list[Any]]:
    """Columns of a table on a page, with a nanosecond between rows; `-` is null."""
    table = [line.split() for line in text.strip().splitlines()]
    columns: dict[str, list[Any]] = {"ts": [START + row for row in range(len(table))]}
    for name, values in zip(HEAD, zip(*table, strict=True), strict=True):
        plain = [None if value == "-" else value for value in values]
        if name == "kind":
            columns[name] = plain
        else:
            number: Any = int if name in ("side", "origin") else float
            columns[name] = [None if value is None else number(value) for value in plain]
    return columns


def changed(row: int, **cells: Any) -> dict[str, list[Any]]:
    columns = columns_of(ROWS)
    for name, value in cells.items():
        columns[name][row] = value
    return columns


def test_rows_of_orders_become_columns(es: TickGrid) -> None:
    tape = tape_from_frame(columns_of(ROWS), es)
    kinds = [RowKind(kind).name.lower() for kind in tape.columns.kind.tolist()]
    names = "add add add quote add trade exec cancel level cancel exec"
    assert " ".join(kinds) == names
    assert tape.columns.side.tolist() == [1, -1, 1, 0, 1, -1, 1, 1, -1, 1, 1]
    assert tape.columns.px.tolist() == [400, 401, 399, 0, 400, 400, 400, 399, 402, 400, 400]
    assert tape.columns.qty.tolist() == [5, 3, 9, 0, 2, 4, 4, 9, 0, 1, 2]
    assert tape.columns.bid_qty.tolist() == [5, 5, 5, 5, 7, 3, 3, 3, 3, 2, 0]


def test_origins_count_the_rows_of_the_tape_not_of_the_file(es: TickGrid) -> None:
    """Row 4 of the file repeats a quote and is not on the tape, so its row 5 is the tape's 4."""
    tape = tape_from_frame(columns_of(ROWS), es)
    assert tape.origin.tolist() == [-1, -1, -1, -1, -1, -1, 0, 2, -1, 0, 4]
    assert tape.origin.dtype == np.int64
    assert not tape.origin.flags.writeable
    assert tape.has_orders


def test_origins_are_the_same_however_the_file_is_read(
    write: Callable[..., Path], es: TickGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tape_from_frame(columns_of(ROWS), es)
    path = write(columns_of(ROWS))
    for batch in (1, 2, 5, 100):
        monkeypatch.setattr("data.reading.BATCH_ROWS", batch)
        tape = tape_from_frame(columns_of(ROWS), es)
        assert tape.origin.tolist() == whole.origin.tolist()
        assert tape.content_hash == whole.content_hash
    written, mapped = open_tape(path, es), open_tape(path, es)
    for tape in (written, mapped):
        assert tape.origin.tolist() == whole.origin.tolist()
        assert type(tape.origin) is np.ndarray
        assert not tape.origin.flags.writeable


def test_origins_follow_their_orders_when_rows_are_sorted(es: TickGrid) -> None:
    columns = columns_of(ROWS)
    order = [5, 0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    place = {old: new for new, old in enumerate(order)}
    moved = {name: [values[old] for old in order] for name, values in columns.items()}
    moved["origin"] = [place.get(origin) for origin in moved["origin"]]
    tape = tape_from_frame(moved, es, sort=True)
    assert tape.origin.tolist() == tape_from_frame(columns, es).origin.tolist()


def test_a_tape_of_quotes_and_trades_has_no_origins(
    write: Callable[..., Path], es: TickGrid
) -> None:
    plain = {"ts": [START], "bid": [100.0], "ask": [100.25], "bid_size": [1], "ask_size": [1]}
    path = write(plain)
    for tape in (open_tape(path, es), open_tape(path, es), tape_from_frame(plain, es)):
        assert len(tape.origin) == 0
        assert tape.l1 is tape.columns
        assert not tape.has_orders


def test_a_cache_entry_with_cut_origins_is_made_again(
    write: Callable[..., Path], es: TickGrid, tmp_path: Path
) -> None:
    path = write(columns_of(ROWS))
    first = open_tape(path, es, cache_dir=tmp_path / "cache")
    origins = next((tmp_path / "cache").glob("*/origin.bin"))
    wanted = first.origin.tolist()
    origins.write_bytes(origins.read_bytes()[:-8])
    assert open_tape(path, es, cache_dir=tmp_path / "cache").origin.tolist() == wanted


FAULTS = [
    (changed(7, origin=None), 7, "origin", "-1", Rule.ORIGIN_MISSING),
    (changed(7, origin=-5), 7, "origin", "-5", Rule.ORIGIN_MISSING),
    (changed(6, origin=0), 6, "origin", "0", Rule.ORIGIN_NEEDLESS),
    (changed(5, origin=0), 5, "origin", "0", Rule.ORIGIN_NEEDLESS),
    (changed(7, origin=3), 7, "origin", "3", Rule.ORIGIN_UNKNOWN),
    (changed(7, origin=7), 7, "origin", "7", Rule.ORIGIN_UNKNOWN),
    (changed(7, origin=99), 7, "origin", "99", Rule.ORIGIN_UNKNOWN),
    (
        changed(3, kind="cancel", side=1, price=100.0, size=1, origin=5),
        3,
        "origin",
        "5",
        Rule.ORIGIN_UNKNOWN,
    ),
    (changed(7, origin=1), 7, "origin", "1", Rule.ORIGIN_OTHER),
    (changed(7, origin=2), 7, "origin", "2", Rule.ORIGIN_OTHER),
    (changed(7, size=6), 7, "origin", "0", Rule.ORIGIN_SPENT),
    (changed(10, size=2), 10, "origin", "0", Rule.ORIGIN_SPENT),
    (changed(7, size=0), 7, "size", "0", Rule.ORDER_ZERO),
    (changed(0, size=-1), 0, "size", "-1", Rule.SIZE_NEGATIVE),
    (changed(9, size=None), 9, "size", "nan", Rule.SIZE_MISSING),
    (changed(9, price=None), 9, "price", "nan", Rule.PRICE_MISSING),
    (changed(0, price=100.1), 0, "price", "100.1", Rule.PRICE_OFF_TICK),
    (changed(9, side=0), 9, "side", "0", Rule.BOOK_SIDE),
    (changed(0, side=None), 0, "side", "nan", Rule.BOOK_SIDE),
]


@pytest.mark.parametrize(("columns", "row", "column", "value", "rule"), FAULTS)
@pytest.mark.parametrize("batch", [1, 1_000])
def test_a_broken_row_is_named(
    columns: dict[str, list[Any]],
    row: int,
    column: str,
    value: str,
    rule: Rule,
    batch: int,
    es: TickGrid,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("data.reading.BATCH_ROWS", batch)
    with pytest.raises(TapeError) as caught:
        tape_from_frame(columns, es)
    error = caught.value
    assert (error.row, error.column, error.value) == (row, column, value)
    assert error.rule.startswith(rule)


def test_repair_drops_what_points_to_a_dropped_order(
    write: Callable[..., Path], es: TickGrid
) -> None:
    path = write(changed(0, price=100.1))
    report = check_file(path, es)
    assert report.counts == {Rule.PRICE_OFF_TICK: 1, Rule.ORIGIN_UNKNOWN: 2}
    tape = open_tape(path, es, repair=True)
    assert tape.origin.tolist() == [-1, -1, -1, -1, -1, 1, -1, 3]


@pytest.mark.parametrize("drop", ["kind", "price"])
def test_origin_goes_with_kinds_prices_and_sizes(drop: str, es: TickGrid) -> None:
    columns = columns_of(ROWS)
    del columns[drop]
    with pytest.raises(TapeError, match="missing column"):
        tape_from_frame(columns, es)


def test_a_cancel_without_a_column_of_origins_is_refused(es: TickGrid) -> None:
    columns = columns_of(ROWS)
    del columns["origin"]
    with pytest.raises(TapeError, match="has no origin, the row at which its order joined"):
        tape_from_frame(columns, es)


def test_the_book_of_such_a_tape_is_from_after_its_rows(es: TickGrid) -> None:
    table = pa.table(columns_of(ROWS))
    assert tape_from_frame(table, es, bbo_of_trade="after").bbo_after_trade
    assert tape_from_frame(table, es).bbo_after_trade
    with pytest.raises(TapeError, match="carry the book from after them"):
        tape_from_frame(table.replace_schema_metadata({BBO_KEY: b"before"}), es)


def test_a_reader_of_the_touch_sees_quotes_and_prints(es: TickGrid) -> None:
    tape = tape_from_frame(columns_of(ROWS), es)
    assert [RowKind(kind).name for kind in tape.l1.kind.tolist()] == [
        *["QUOTE"] * 5, "TRADE", *["QUOTE"] * 5,
    ]  # fmt: skip
    assert tape.l1.bid is tape.columns.bid


def test_the_facts_of_orders(es: TickGrid) -> None:
    facts = describe(tape_from_frame(columns_of(ROWS), es)).orders
    assert facts is not None
    assert (facts.joined, facts.lots) == (4, 19)
    assert (facts.executed, facts.cancelled, facts.left) == (6, 10, 1)
