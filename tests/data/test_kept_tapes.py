import gc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_tapes import ES, good_columns, with_cell

from data.kept import (
    ParkedTape,
    keep_tapes_open,
    kept_tape,
    let_tapes_go,
    park_all,
    unpark_all,
    worked_out,
)
from data.schema import TapeColumns, TapeError
from data.tape import columns_hash, open_tape, tape_from_frame


@pytest.fixture
def kept() -> Iterator[None]:
    keep_tapes_open()
    yield
    let_tapes_go()


def test_without_keeping_every_call_opens_the_tape(write: Callable[..., Path]) -> None:
    let_tapes_go()  # tests before this one may have kept theirs
    path = write(good_columns())
    assert kept_tape(path, ES) is not kept_tape(path, ES)


@pytest.mark.usefixtures("kept")
def test_a_kept_tape_is_the_same_object_until_the_file_changes(write: Callable[..., Path]) -> None:
    path = write(good_columns())
    first = kept_tape(path, ES)
    assert kept_tape(path, ES) is first
    assert columns_hash(first.columns) == columns_hash(open_tape(path, ES).columns)
    assert kept_tape(path, replace(ES, symbol="MES")).symbol == "MES"
    write(with_cell("bid_size", 2, 9))
    assert kept_tape(path, ES).columns.bid_qty[2] == 9
    with pytest.raises(TapeError, match="no such file"):
        kept_tape(path.with_name("other.parquet"), ES)


@pytest.mark.usefixtures("kept")
def test_a_parked_tape_comes_back_equal_and_once(tmp_path: Path) -> None:
    tape = tape_from_frame(good_columns(), ES)
    parked = park_all({"ES": tape, "MNQ": "mnq.parquet"}, tmp_path)
    assert isinstance(parked["ES"], ParkedTape)
    assert parked["MNQ"] == "mnq.parquet"
    back = unpark_all(parked)
    found = back["ES"]
    assert unpark_all(parked)["ES"] is found
    assert back["MNQ"] == "mnq.parquet"
    for name in ("symbol", "source", "content_hash", "bbo_after_trade", "notes"):
        assert getattr(found, name) == getattr(tape, name)
    for mine, theirs in zip(tape.columns, found.columns, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_parked_tape_whose_folder_is_gone_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    parked = park_all({"ES": tape_from_frame(good_columns(), ES)}, tmp_path / "place")
    for file in sorted((tmp_path / "place").rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    with pytest.raises(TapeError, match="not there any more"):
        unpark_all(parked)


def test_what_is_worked_out_of_a_tape_is_worked_out_once() -> None:
    tape, other = (tape_from_frame(good_columns(), ES) for _ in range(2))
    first = worked_out(tape.columns, "sum", lambda: [1])
    assert worked_out(replace(tape, symbol="NQ").columns, "sum", lambda: [2]) is first
    assert worked_out(tape.columns, "product", lambda: [3]) == [3]
    assert worked_out(other.columns, "sum", lambda: [4]) == [4]


@pytest.mark.parametrize("name", TapeColumns._fields)
def test_a_tape_that_shares_all_but_one_column_is_another(name: str) -> None:
    tape = tape_from_frame(good_columns(), ES)
    worked_out(tape.columns, "sum", lambda: [1])
    other = tape.columns._replace(**{name: getattr(tape.columns, name).copy()})
    assert worked_out(other, "sum", lambda: [2]) == [2]
    del other
    gc.collect()
    assert worked_out(tape.columns, "sum", lambda: [3]) == [1]


def test_what_was_worked_out_goes_with_its_tape() -> None:
    class Figure:
        pass

    tape = tape_from_frame(good_columns(), ES)
    figure = weakref.ref(worked_out(tape.columns, "figure", Figure))
    assert figure() is not None
    del tape
    gc.collect()
    assert figure() is None


def test_what_was_not_wanted_for_longest_is_worked_out_anew() -> None:
    tape = tape_from_frame(good_columns(), ES)
    first = worked_out(tape.columns, "first", lambda: [0])
    for number in range(100):
        worked_out(tape.columns, number, lambda: [1])
        assert worked_out(tape.columns, "first", lambda: [2]) is first
    assert worked_out(tape.columns, 0, lambda: [3]) == [3]
