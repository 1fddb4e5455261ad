"""`papertape data cache`: what is there, is it whole, and clearing it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_tapes import ES, good_columns
from typer.testing import CliRunner, Result

import data.cache
from data.cache import FOLDER_NAME
from data.cache_care import EntryState, cache_folders, clear, list_entries
from data.schema import SCHEMA_VERSION
from data.tape import columns_hash, open_tape
from papertape.data_command import app

DAY_NS = 86_400 * 10**9


@pytest.fixture(autouse=True)
def _no_stated_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAPERTAPE_CACHE", raising=False)


@pytest.fixture
def run() -> Callable[..., Result]:
    runner = CliRunner(env={"COLUMNS": "160", "NO_COLOR": "1"})
    return lambda *words: runner.invoke(app, ["cache", *map(str, words)])


@pytest.fixture
def tape(write: Callable[..., Path]) -> Path:
    """A file that is in the cache once as it is and once repaired."""
    columns = {name: values * 5000 for name, values in good_columns().items()}
    columns["ts"] = list(range(10**18, 10**18 + 30_000))
    path = write(columns)
    open_tape(path, ES)
    open_tape(path, ES, repair=True)
    return path


def used(entry: Path, time_ns: int) -> None:
    os.utime(entry / "meta.json", ns=(time_ns, time_ns))


def make_older(entry: Path) -> None:
    """What the version before this one wrote: no word about the version, rows by themselves."""
    meta = json.loads((entry / "meta.json").read_text("utf-8"))
    old = {"rows": meta["lengths"]["ts"], "samples": meta["samples"]}
    old["check"] = data.cache._check(old)
    (entry / "meta.json").write_text(json.dumps(old), "utf-8")


def test_the_list_shows_tape_rows_size_and_state(run: Callable[..., Result], tape: Path) -> None:
    result = run(tape, "--list")
    assert result.exit_code == 0, result.output
    shown = " ".join(result.output.split())
    assert "2 tapes" in shown
    for text in ("ES of", "tape.parquet", "30,000", "UTC", "current"):
        assert text in shown
    assert run(tape.parent).output == result.output
    assert run(tape.parent / FOLDER_NAME).output == result.output


def test_opening_a_tape_counts_as_use(tape: Path) -> None:
    folder = tape.parent / FOLDER_NAME
    for entry in list_entries(folder):
        used(entry.path, 5 * DAY_NS)
    open_tape(tape, ES)
    newest, other = list_entries(folder)
    assert newest.used_ns > 1000 * DAY_NS
    assert other.used_ns == 5 * DAY_NS


def test_clear_removes_all_or_what_was_not_used_since(
    run: Callable[..., Result], tape: Path
) -> None:
    folder = tape.parent / FOLDER_NAME
    kept = list_entries(folder)[0]
    used(list_entries(folder)[1].path, 10 * DAY_NS)
    result = run(tape, "--clear", "--unused-since", "1970-01-12")
    assert result.exit_code == 0
    assert "1 removed" in result.output
    assert [entry.path for entry in list_entries(folder)] == [kept.path]
    assert "1 removed" in run(tape, "--clear").output
    assert list(folder.iterdir()) == []
    assert len(open_tape(tape, ES)) == 30_000


def test_clear_leaves_what_is_not_the_caches(run: Callable[..., Result], tape: Path) -> None:
    folder = tape.parent / FOLDER_NAME
    (folder / "compiled").mkdir()
    (folder / "notes.txt").write_text("mine", "utf-8")
    run(tape, "--clear")
    assert sorted(path.name for path in folder.iterdir()) == ["compiled", "notes.txt"]


def test_a_mapped_tape_outlives_its_entry(tape: Path) -> None:
    opened = open_tape(tape, ES)
    before = columns_hash(opened.columns)
    clear(tape.parent / FOLDER_NAME)
    assert columns_hash(opened.columns) == before


def test_older_entries_and_unfinished_ones_are_told_and_cleared(
    run: Callable[..., Result], tape: Path
) -> None:
    folder = tape.parent / FOLDER_NAME
    entry = list_entries(folder)[0]
    make_older(entry.path)
    (folder / "tmp-abc").mkdir()
    states = {found.path.name: found.state for found in list_entries(folder)}
    assert states[entry.path.name] is EntryState.OLDER
    assert states["tmp-abc"] is EntryState.UNFINISHED
    assert "older version" in run(tape).output
    assert "unfinished" in run(tape).output
    assert "0 damaged" in run(tape, "--verify").output
    assert "1 removed" in run(tape, "--clear", "--unused-since", "1970-01-02").output
    assert "2 removed" in run(tape, "--clear").output


@pytest.mark.parametrize("name", ["bid", "kind", "index"])
def test_damage_in_the_middle_is_found_and_removed(
    name: str, run: Callable[..., Result], tape: Path
) -> None:
    folder = tape.parent / FOLDER_NAME
    wanted = columns_hash(open_tape(tape, ES).columns)
    assert "2 read, 0 damaged" in run(tape, "--verify").output
    entry = list_entries(folder)[0].path
    column = np.memmap(entry / f"{name}.bin", np.uint8, "r+")
    column[len(column) // 2] ^= 4
    column.flush()
    result = run(tape, "--verify")
    assert result.exit_code == 1
    assert f"damaged ({name}.bin), removed" in " ".join(result.output.split())
    assert len(list_entries(folder)) == 1
    assert columns_hash(open_tape(tape, ES).columns) == wanted
    assert run(tape, "--verify").exit_code == 0


def test_the_version_of_the_columns_is_part_of_every_entry(tape: Path) -> None:
    for entry in list_entries(tape.parent / FOLDER_NAME):
        assert json.loads((entry.path / "meta.json").read_text("utf-8"))["schema"] == SCHEMA_VERSION


def test_folders_are_those_stated_or_of_the_working_directory_and_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("data.cache_care.user_cache", lambda: tmp_path / "user")
    assert cache_folders() == ()
    (tmp_path / "user").mkdir()
    (tmp_path / FOLDER_NAME).mkdir()
    assert cache_folders() == (Path(FOLDER_NAME), tmp_path / "user")
    monkeypatch.setenv("PAPERTAPE_CACHE", str(tmp_path))
    assert cache_folders() == (tmp_path,)


@pytest.mark.parametrize(
    "words",
    [
        ["--list", "--clear"],
        ["--unused-since", "2025-01-01"],
        ["--clear", "--unused-since", "soon"],
        ["no-such-folder"],
    ],
)
def test_wrong_use_is_one_plain_line(words: list[str], run: Callable[..., Result]) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert result.stderr.startswith("papertape: ")
    assert result.stderr.count("\n") == 1
