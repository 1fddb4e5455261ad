"""The cache gives the same tape, notices every change, and survives damage and company."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_tapes import ES, good_columns, with_cell

import data.reading
import data.tape
from data.cache import FOLDER_NAME, cache_folder, content_hash
from data.schema import TapeError, TickGrid
from data.tape import columns_hash, open_tape

ROOT = Path(__file__).parents[2]
TEN = 10 * 10**9


@pytest.fixture(autouse=True)
def _no_stated_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAPERTAPE_CACHE", raising=False)


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one with every real conversion."""
    seen: list[str] = []
    convert = data.reading.convert

    def counted(source: Any, *rest: Any) -> Any:
        seen.append(source.name)
        return convert(source, *rest)

    monkeypatch.setattr(data.reading, "convert", counted)
    return seen


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def age(path: Path) -> None:
    """Make a file's memory older than the clock's grain: its hash is then trusted."""
    later = path.stat().st_mtime_ns + TEN
    for memory in (path.parent / FOLDER_NAME).glob("*.hash"):
        os.utime(memory, ns=(later, later))


def test_the_second_opening_maps_what_the_first_converted(
    write: Callable[..., Path], conversions: list[str]
) -> None:
    path = write(good_columns())
    first, second = open_tape(path, ES), open_tape(path, ES)
    assert len(conversions) == 1
    assert columns_hash(first.columns) == columns_hash(second.columns)
    assert (first.content_hash, first.notes) == (second.content_hash, second.notes)
    assert first.bbo_after_trade == second.bbo_after_trade
    assert [entry.parent for entry in entries(path.parent / FOLDER_NAME)] == [
        path.parent.resolve() / FOLDER_NAME
    ]


def test_repair_notes_are_the_same_from_the_cache(write: Callable[..., Path]) -> None:
    path = write(with_cell("ask", 1, 100.3))
    first, second = open_tape(path, ES, repair=True), open_tape(path, ES, repair=True)
    assert first.notes == second.notes
    assert any("1 rows dropped" in note for note in second.notes)


def test_a_file_refused_once_is_refused_again(write: Callable[..., Path]) -> None:
    path = write(with_cell("ask", 1, 100.3))
    for _ in range(2):
        with pytest.raises(TapeError, match="tick size"):
            open_tape(path, ES)
    assert entries(path.parent / FOLDER_NAME) == []


def test_grids_and_options_have_entries_of_their_own(
    write: Callable[..., Path], conversions: list[str]
) -> None:
    path = write(good_columns())
    coarse = open_tape(path, ES)
    fine = open_tape(path, TickGrid("ES", Decimal("0.05"), Decimal(1)))
    open_tape(path, ES, sort=True)
    open_tape(path, ES, repair=True)
    open_tape(path, ES, max_gap_ns=TEN)
    assert len(conversions) == 5
    assert fine.columns.bid[0] == 5 * coarse.columns.bid[0]


def test_changed_content_is_read_again(write: Callable[..., Path]) -> None:
    path = write(good_columns())
    before = open_tape(path, ES)
    write(with_cell("bid_size", 0, 55))
    after = open_tape(path, ES)
    assert after.columns.bid_qty[0] == 55
    assert before.columns.bid_qty[0] == 5
    assert before.content_hash != after.content_hash


def test_a_change_of_the_same_size_within_one_tick_of_the_clock_is_noticed(
    tmp_path: Path,
) -> None:
    path, folder = tmp_path / "file", tmp_path / "cache"
    folder.mkdir()
    path.write_bytes(b"a" * 100)
    stat = path.stat()
    first = content_hash(path, folder)
    path.write_bytes(b"b" * 100)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert content_hash(path, folder) != first


def test_a_remembered_hash_that_goes_away_meanwhile_is_worked_out_again(tmp_path: Path) -> None:
    path, folder = tmp_path / "file", tmp_path / "cache"
    folder.mkdir()
    path.write_bytes(b"a" * 100)
    ended = threading.Event()

    def clear_again_and_again() -> None:
        while not ended.is_set():
            for memory in folder.glob("*.hash"):
                memory.unlink(missing_ok=True)

    clearing = threading.Thread(target=clear_again_and_again)
    clearing.start()
    try:
        found = {content_hash(path, folder) for _ in range(300)}
    finally:
        ended.set()
        clearing.join()
    assert found == {hashlib.sha256(b"a" * 100).hexdigest()}


def test_an_old_unchanged_file_is_not_hashed_again(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(good_columns())
    digest = open_tape(path, ES).content_hash
    age(path)

    def refuse(*_: object) -> None:
        raise AssertionError("the file was hashed again")

    monkeypatch.setattr("hashlib.file_digest", refuse)
    assert open_tape(path, ES).content_hash == digest


def test_a_renamed_file_uses_the_same_entry(
    write: Callable[..., Path], conversions: list[str]
) -> None:
    path = write(good_columns())
    open_tape(path, ES)
    moved = path.rename(path.with_name("other.parquet"))
    assert open_tape(moved, ES).source == str(moved)
    assert len(conversions) == 1


def cut(entry: Path) -> None:
    (entry / "bid.bin").write_bytes(b"")


def overwrite(entry: Path) -> None:
    path = entry / "ask.bin"
    path.write_bytes(b"\x07" * path.stat().st_size)


def cut_index(entry: Path) -> None:
    (entry / "index.bin").write_bytes(b"")


def overwrite_index(entry: Path) -> None:
    path = entry / "index.bin"
    path.write_bytes(b"\x07" * path.stat().st_size)


def remove(entry: Path) -> None:
    (entry / "ts.bin").unlink()


def scribble(entry: Path) -> None:
    (entry / "meta.json").write_text("{", "utf-8")


def lie(entry: Path) -> None:
    meta = json.loads((entry / "meta.json").read_text("utf-8"))
    meta["bbo_after_trade"] = not meta["bbo_after_trade"]
    (entry / "meta.json").write_text(json.dumps(meta), "utf-8")


@pytest.mark.parametrize(
    "damage", [cut, overwrite, cut_index, overwrite_index, remove, scribble, lie]
)
def test_a_damaged_entry_is_made_again(
    damage: Callable[[Path], None], write: Callable[..., Path], conversions: list[str]
) -> None:
    path = write(good_columns())
    first = open_tape(path, ES)
    wanted = columns_hash(first.columns)
    (entry,) = entries(path.parent / FOLDER_NAME)
    damage(entry)
    second = open_tape(path, ES)
    third = open_tape(path, ES)
    assert len(conversions) == 2
    assert columns_hash(second.columns) == columns_hash(third.columns) == wanted
    assert second.bbo_after_trade == first.bbo_after_trade
    assert entries(path.parent / FOLDER_NAME) == [entry]


def test_a_failed_conversion_leaves_nothing_behind(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(good_columns())

    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_tape(path, ES, progress=interrupt)
    assert entries(path.parent / FOLDER_NAME) == []


def test_a_file_that_changes_while_it_is_read_is_refused(write: Callable[..., Path]) -> None:
    path = write(good_columns())

    def change(*_: int) -> None:
        write(with_cell("bid_size", 0, 55))

    with pytest.raises(TapeError, match="was changed while it was read") as caught:
        open_tape(path, ES, progress=change)
    assert caught.value.file == str(path)
    assert entries(path.parent / FOLDER_NAME) == []
    assert open_tape(path, ES).columns.bid_qty[0] == 55


def test_without_a_folder_to_write_the_tape_is_made_in_memory(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(good_columns())
    wanted = columns_hash(open_tape(path, ES).columns)
    monkeypatch.setattr(data.tape, "cache_folder", lambda *_: None)
    tape = open_tape(path, ES)
    assert columns_hash(tape.columns) == wanted
    assert "not cached: no folder can be written" in tape.notes
    assert not tape.columns.ts.flags.writeable


def test_a_full_disk_costs_only_the_cache(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = write(good_columns())
    monkeypatch.setattr(data.reading.EntryWriter, "_write", full)
    tape = open_tape(path, ES)
    assert len(tape) == 6
    assert "not cached: No space left on device" in tape.notes
    assert entries(path.parent / FOLDER_NAME) == []


def test_the_folder_is_the_chosen_the_stated_beside_the_file_or_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tape.parquet"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("PAPERTAPE_CACHE", str(tmp_path / "stated"))
    assert cache_folder(path, tmp_path / "chosen") == (tmp_path / "chosen").resolve()
    assert cache_folder(path, None) == (tmp_path / "stated").resolve()
    monkeypatch.delenv("PAPERTAPE_CACHE")
    assert cache_folder(path, None) == (tmp_path / FOLDER_NAME).resolve()
    (tmp_path / FOLDER_NAME).rmdir()
    (tmp_path / FOLDER_NAME).write_text("in the way", "utf-8")
    if sys.platform == "linux":
        assert cache_folder(path, None) == (tmp_path / "user" / "papertape").resolve()


PROGRAM = """
import sys
from decimal import Decimal
from data.schema import TickGrid
from data.tape import columns_hash, open_tape
tape = open_tape(sys.argv[1], TickGrid("ES", Decimal("0.25"), Decimal(1)))
print(columns_hash(tape.columns), len(tape))
"""


def test_processes_that_start_at_once_agree(write: Callable[..., Path]) -> None:
    columns = {name: values * 20_000 for name, values in good_columns().items()}
    columns["ts"] = list(range(10**18, 10**18 + 120_000))
    path = write(columns)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(path)],
            stdout=subprocess.PIPE,
            cwd=path.parent,
            env=environment,
        )
        for _ in range(4)
    ]
    answers = {run.communicate()[0].decode() for run in runs}
    assert [run.returncode for run in runs] == [0] * 4
    wanted = open_tape(path, ES)
    assert answers == {f"{columns_hash(wanted.columns)} {len(wanted)}\n"}
    assert len(entries(path.parent / FOLDER_NAME)) == 1


def test_the_hash_of_columns_sees_every_value() -> None:
    tape = data.tape.tape_from_frame(good_columns(), ES)
    for name in tape.columns._fields:
        column = getattr(tape.columns, name).copy()
        column[3] += 1
        assert columns_hash(tape.columns._replace(**{name: column})) != tape.content_hash
    assert columns_hash(tape.columns._replace(ts=np.array(tape.columns.ts))) == tape.content_hash
