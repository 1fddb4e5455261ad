"""The doors of the compiled exchange are kept as object code, which is loaded without Numba."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from broker_api.event import EVENT_ROW
from sim import doors
from sim.book import MAX_EVENTS, is_compiled, new_book
from sim.strategy import CONTEXT
from sim.strategy_loop import NEWS_WIDTH

COMPILED = pytest.mark.skipif(not is_compiled(), reason="there is no code without the compiler")
LOOK = """
import json, sys
from sim import doors
from sim.book import new_book

books = new_book(1, 2)
books["a_cash"][0, :2] = 7, -1
equity = [int(doors.equity_nanos(books, account)) for account in (0, 1)]
print(json.dumps([equity, "numba" in sys.modules, type(doors.equity_nanos).__name__]))
"""


def look(folder: Path, **settings: str) -> list[object]:
    """What another process sees through a door: equities, whether it needed Numba, its kind."""
    environment = {**os.environ, "PAPERTAPE_CACHE": str(folder), **settings}
    ran = subprocess.run(
        [sys.executable, "-c", LOOK], capture_output=True, text=True, check=True, env=environment
    )
    seen: list[object] = json.loads(ran.stdout)
    return seen


def code_in(folder: Path) -> Path:
    """The one door that is kept."""
    (file,) = folder.rglob("*.door")
    return file


@COMPILED
def test_code_is_compiled_once_and_then_loaded_without_numba(tmp_path: Path) -> None:
    assert look(tmp_path) == [[7, -1], True, "builtin_function_or_method"]
    assert look(tmp_path) == [[7, -1], False, "builtin_function_or_method"]


@COMPILED
def test_damaged_code_is_compiled_again_and_never_called(tmp_path: Path) -> None:
    look(tmp_path)
    file = code_in(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[:-100] + bytes(100))
    assert look(tmp_path) == [[7, -1], True, "builtin_function_or_method"]
    assert len(file.read_bytes()) == len(whole)


@COMPILED
def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "papertape").write_text("no folder")
    assert look(tmp_path)[0] == [7, -1]
    assert not list(tmp_path.rglob("*.door"))


@COMPILED
def test_bounds_checks_are_numbas_own_and_keep_nothing_here(tmp_path: Path) -> None:
    assert look(tmp_path, NUMBA_BOUNDSCHECK="1") == [[7, -1], True, "Later"]
    assert not list(tmp_path.rglob("*.door"))


def test_without_the_compiler_a_door_is_the_plain_function(tmp_path: Path) -> None:
    assert look(tmp_path, NUMBA_DISABLE_JIT="1") == [[7, -1], False, "function"]


@COMPILED
def test_calls_that_do_not_fit_the_door_are_refused() -> None:
    books = new_book(1, 1)
    assert doors.equity_nanos(books, np.int64(0)) == 0
    other = np.zeros(MAX_EVENTS, dtype=np.int64)
    for arguments in ((books,), (books, 0, 0), (None, 0), (other, 0), ([books], 0)):
        with pytest.raises(SystemError, match="equity_nanos"):
            doors.equity_nanos(*arguments)
    with pytest.raises(TypeError):
        doors.equity_nanos(books, "0")
    with pytest.raises(OverflowError):
        doors.equity_nanos(books, 1 << 63)


@COMPILED
def test_tables_go_through_doors_whole_and_without_gaps() -> None:
    def note(news: object, order: object) -> None:
        doors.note_published(contexts, news, events, 0, 0)
        doors.note_known(contexts, order)

    contexts, events = np.zeros(1, dtype=CONTEXT), np.zeros(4, dtype=EVENT_ROW)
    news, order = np.zeros((8, NEWS_WIDTH), dtype=np.int64), np.arange(5, 10)
    note(news, order)
    assert contexts["known"][0, 5].tolist() == [5, 6, 7, 8, 9, 0, 0, 0]
    note(news[:0].reshape(0, NEWS_WIDTH), order)
    for table in (news[:, 1:], news[::2], news.ravel(), news.T, news.reshape(2, 4, NEWS_WIDTH)):
        with pytest.raises(SystemError, match="note_published"):
            note(table, order)
    with pytest.raises(SystemError, match="note_known"):
        note(news, order[::2])


def test_a_door_that_is_not_there_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'cellar'"):
        doors.cellar  # noqa: B018
