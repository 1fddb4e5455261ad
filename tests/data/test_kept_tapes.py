from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_tapes import ES, good_columns, with_cell

from data.kept import ParkedTape, keep_tapes_open, kept_tape, let_tapes_go, park_all, unpark_all
from data.schema import TapeError
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
