"""The journal on disk: what is appended is read back, in order, by us and in SQL."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from broker_api.errors import JournalDamaged, JournalError, JournalLocked, JournalWriteError
from broker_api.journal import RecordedCommand
from broker_api.journal_chain import Columns, RecordKind, chained
from broker_api.journal_file import JournalFile
from broker_api.journal_json import recorded_body
from broker_api.journal_rest import writer_of
from broker_api.journal_writer import STAGED_NS_MAX, STAGED_ROWS_MAX, JournalWriter
from broker_api.order import OrderStatus, ReplaceRequest
from data.schema import TapeColumns
from tests.broker_api.journal_session import (
    START_NS,
    accepted,
    bracket,
    filled,
    header,
    looks,
    ticks,
    turn,
    write,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "journal.md"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a session.journal"


def select(path: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_records_come_back_in_the_order_in_which_they_were_written(path: Path) -> None:
    with JournalWriter.create(path, header()) as journal:
        assert journal.append("started", 5, {"at": 5}) == 1
        assert journal.append_ticks(6, 0, ticks(1, 3)) == 2
        assert journal.stage(RecordKind.HORIZON, 7, {"ns": 7}) == 3
        assert journal.append("event", 8, filled(1, 1)) == 4
        head = journal.head
    with JournalFile.open(path) as back:
        records = list(back.records())
        assert (back.header, back.head, back.damage) == (header(), head, None)
        assert list(back.records(3)) == records[3:]
    assert [(record.seq, record.ts_ns, record.kind.value) for record in records] == [
        (0, 0, "header"),
        (1, 5, "started"),
        (2, 6, "ticks"),
        (3, 7, "horizon"),
        (4, 8, "event"),
    ]
    assert records[4].body == filled(1, 1)


def test_rows_of_the_market_come_back_as_columns_of_a_tape(path: Path) -> None:
    first, second, other = ticks(1, 700), ticks(2, 1), ticks(3, 4)
    with JournalWriter.create(path, header()) as journal:
        for instrument, columns in ((0, first), (1, other), (0, second)):
            journal.append_ticks(9, instrument, TapeColumns(*columns))
        assert (journal.rows(0), journal.rows(1), journal.rows(2)) == (701, 4, 0)
    with JournalFile.open(path) as back:
        groups = [record.ticks for record in back.records() if record.ticks is not None]
    assert [(group.instrument, group.first_row) for group in groups] == [(0, 0), (1, 0), (0, 700)]
    for group, columns in zip(groups, (first, other, second), strict=True):
        for mine, given, name in zip(group.columns, columns, Columns._fields, strict=True):
            assert mine.dtype == given.dtype, name
            assert np.array_equal(mine, given), name
    assert Columns._fields == TapeColumns._fields


def test_many_rows_become_several_records(path: Path) -> None:
    columns = ticks(1, 140_000)
    with JournalWriter.create(path, header()) as journal:
        assert journal.append_ticks(9, 0, columns) == 3
    with JournalFile.open(path) as back:
        groups = [record.ticks.columns.ts for record in back.records() if record.ticks]
    assert max(map(len, groups)) <= 65_536
    assert np.array_equal(np.concatenate(groups), columns.ts)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bid": np.zeros(2, dtype=np.int64)}, "column bid"),
        ({"px": np.zeros(3)}, "column px is float64"),
        ({name: np.zeros(0, dtype=np.int64) for name in Columns._fields}, "no rows"),
    ],
)
def test_columns_that_are_no_rows_are_refused_and_nothing_is_broken(
    path: Path, change: dict[str, np.ndarray], message: str
) -> None:
    with JournalWriter.create(path, header()) as journal:
        with pytest.raises(ValueError, match=message):
            journal.append_ticks(0, 0, ticks(1, 3)._replace(**change))
        journal.append("note", 0, {})
    assert len(looks(path)) == 2


@pytest.mark.parametrize(
    ("kind", "ts_ns", "body", "error", "message"),
    [
        ("comand", 0, {}, ValueError, 'did you mean "command"'),
        ("header", 0, {}, ValueError, "no kind of record that can be appended"),
        ("ticks", 0, {}, ValueError, "no kind of record that can be appended"),
        ("note", 1 << 63, {}, ValueError, "64 bits"),
        ("note", 0, {"x": float("nan")}, ValueError, "JSON"),
        ("note", 0, {"x": np.int64(1)}, TypeError, "int64"),
    ],
)
def test_records_that_cannot_be_kept_are_refused(
    path: Path, kind: str, ts_ns: int, body: dict[str, object], error: type, message: str
) -> None:
    with JournalWriter.create(path, header()) as journal:
        with pytest.raises(error, match=message):
            journal.append(kind, ts_ns, body)
        assert journal.append("note", 0, {}) == 1


def test_what_is_appended_is_durable_and_what_is_staged_with_the_next(path: Path) -> None:
    now = 0
    journal = JournalWriter.create(path, header(), now_ns=lambda: now)
    with journal, JournalFile.watch(path) as reader:
        journal.append_ticks(0, 0, ticks(1, 10))
        journal.stage("horizon", 0, {})
        assert (journal.head.seq, journal.durable.seq) == (2, 0)
        assert [record.seq for record in reader.records()] == [0]
        journal.append("note", 0, {})
        assert journal.durable == journal.head
        assert [record.seq for record in reader.records(1)] == [1, 2, 3]
        assert reader.head == journal.head
        journal.stage("horizon", 0, {})
        journal.commit()
        assert [record.seq for record in reader.records(4)] == [4]


def test_staged_rows_are_made_durable_when_they_are_old_or_many(path: Path) -> None:
    now = 0
    with JournalWriter.create(path, header(), now_ns=lambda: now) as journal:
        journal.append_ticks(0, 0, ticks(1, 10))
        now = STAGED_NS_MAX - 1
        journal.append_ticks(0, 0, ticks(1, 10))
        assert journal.durable.seq == 0
        now = STAGED_NS_MAX
        journal.append_ticks(0, 0, ticks(1, 10))
        assert journal.durable.seq == 3
        journal.append_ticks(0, 0, ticks(1, STAGED_ROWS_MAX - 1))
        assert journal.durable.seq == 3
        journal.append_ticks(0, 0, ticks(1, 1))
        assert journal.durable.seq == 5


def test_a_journal_goes_on_where_it_was(path: Path) -> None:
    with JournalWriter.create(path, header()) as journal:
        turn(journal, 1, 0)
        head, rows = journal.head, journal.rows(0)
    with JournalWriter.resume(path) as journal:
        assert (journal.head, journal.rows(0), journal.lost) == (head, rows, None)
        turn(journal, 1, 1)
    whole = looks(path)
    with JournalWriter.create(path.with_name("other"), header()) as journal:
        turn(journal, 1, 0)
        turn(journal, 1, 1)
    assert looks(path.with_name("other")) == whole


def test_behind_the_last_record_there_is_nothing(path: Path) -> None:
    with JournalWriter.create(path, header()) as journal:
        journal.append("note", 0, {})
    with JournalFile.open(path) as back:
        assert [list(back.records(start)) for start in (2, 3, 99)] == [[], [], []]
        assert [record.seq for record in back.records(-5)] == [0, 1]


def test_a_kind_that_a_newer_version_wrote_is_told_and_not_guessed(path: Path) -> None:
    with JournalWriter.create(path, header()) as journal:
        before = journal.head.hash
    digest = chained(before, 1, 0, b"dream", b"{}")
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("INSERT INTO record VALUES (1, 0, 'dream', '{}', ?)", (digest,))
    with JournalFile.open(path) as back:
        assert "record 1: is not known to this version" in str(back.damage)
        assert len(list(back.records())) == 1


def test_a_process_that_has_ended_writes_nothing(path: Path) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    pid = path.with_name(path.name + ".pid")
    pid.write_text(str(child))
    assert writer_of(path) == 0
    pid.write_text("no number")
    assert writer_of(path) == 0
    pid.write_text("1")
    assert writer_of(path) == 1
    with JournalWriter.create(path.with_name("other"), header()):
        assert writer_of(path.with_name("other")) == os.getpid()


def test_a_journal_is_never_overwritten(path: Path) -> None:
    write(path, 1)
    with pytest.raises(FileExistsError, match="never overwritten"):
        JournalWriter.create(path, header())
    other = path.with_name("new")
    other.with_name("new-wal").write_bytes(b"of another session")
    with pytest.raises(FileExistsError, match="new-wal"):
        JournalWriter.create(other, header())


def test_a_missing_journal_is_neither_opened_nor_made(path: Path) -> None:
    for opening in (JournalFile.open, JournalFile.watch, JournalWriter.resume):
        with pytest.raises(FileNotFoundError, match="no such journal"):
            opening(path)
    assert list(path.parent.iterdir()) == []


def test_a_journal_has_one_writer_whose_process_is_named(path: Path) -> None:
    with JournalWriter.create(path, header()):
        with pytest.raises(JournalLocked, match="one writer") as refusal:
            JournalWriter.resume(path)
        assert refusal.value.pid == os.getpid()
    JournalWriter.resume(path).close()


def test_a_closed_journal_takes_nothing(path: Path) -> None:
    journal = JournalWriter.create(path, header())
    journal.stage("note", 0, {})
    journal.close()
    journal.close()
    with pytest.raises(JournalWriteError, match="closed"):
        journal.append("note", 0, {})
    assert len(looks(path)) == 2


def test_files_that_are_no_journal_of_this_version_are_refused(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(JournalDamaged, match="not a database"):
        JournalFile.open(path)
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE record(x)")
    connection.close()
    with pytest.raises(JournalDamaged, match="is no journal"):
        JournalFile.open(path)
    path.unlink()
    write(path, 1)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(JournalError, match="version 2; known is 1"):
        JournalFile.open(path)


@pytest.fixture
def traded(path: Path) -> Path:
    """A bracket whose entry filled in two parts, and a change of its stop."""
    with JournalWriter.create(path, header()) as journal:
        journal.append_ticks(START_NS, 0, ticks(1, 3))
        kind, body = recorded_body(RecordedCommand(START_NS, 0, bracket(1)))
        journal.append(kind, START_NS, body)
        journal.append("event", START_NS + 1, accepted(1, 1))
        journal.append("event", START_NS + 2, filled(2, 1, OrderStatus.PARTIALLY_FILLED))
        change = RecordedCommand(START_NS, 2, ReplaceRequest(2, stop_ticks=79_000))
        kind, body = recorded_body(change)
        journal.append(kind, START_NS + 3, body)
        journal.append("event", START_NS + 4, filled(3, 1))
    return path


def test_orders_can_be_asked_for_in_sql(traded: Path) -> None:
    sql = "SELECT order_id, client_order_id, instrument, side, role, order_type, size_lots, "
    sql += "limit_ticks, offset_ticks, status, filled_lots FROM orders ORDER BY order_id"
    assert select(traded, sql) == [
        (1, "o-1", "MNQ", "buy", "entry", "limit", 2, 80_001, None, "filled", 2),
        (2, "o-2", "MNQ", "sell", "stop_exit", None, 2, None, 40, "pending", 0),
        (3, "o-3", "MNQ", "sell", "target_exit", None, 2, 80_500, None, "pending", 0),
    ]


def test_commands_events_and_ticks_can_be_asked_for_in_sql(traded: Path) -> None:
    assert select(traded, "SELECT record, kind, order_id, role, stop_ticks FROM commands") == [
        (2, "bracket", 1, "entry", None),
        (2, "bracket", 2, "stop_exit", None),
        (2, "bracket", 3, "target_exit", None),
        (5, "replace", 2, None, 79_000),
    ]
    sql = "SELECT record, kind, order_id, status, side, price_ticks, lots, liquidity FROM events"
    assert select(traded, sql) == [
        (3, "accepted", 1, "open", "buy", 80_000, 2, None),
        (4, "filled", 1, "partially_filled", "buy", 80_000, 1, "maker"),
        (6, "filled", 1, "filled", "buy", 80_000, 1, "maker"),
    ]
    columns = ticks(1, 3)
    assert select(traded, "SELECT instrument, row, ts_ns, bid, ask_qty FROM ticks") == [
        (0, row, columns.ts[row], columns.bid[row], columns.ask_qty[row]) for row in range(3)
    ]


def test_a_side_without_orders_is_null_in_sql(path: Path) -> None:
    columns = ticks(1, 1)._replace(bid=np.array([-(1 << 62)]), ask=np.array([1 << 62]))
    with JournalWriter.create(path, header()) as journal:
        journal.append_ticks(START_NS, 0, columns)
    assert select(path, "SELECT bid, ask FROM ticks") == [(None, None)]


def queries() -> list[str]:
    return re.findall(r"^```sql\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("sql", queries())
def test_queries_of_the_page_find_something(traded: Path, sql: str) -> None:
    assert select(traded, sql)


def test_the_program_of_the_page_reads_a_journal(
    traded: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (program,) = re.findall(r"^```py\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    traded.rename(traded.with_name("session.journal"))
    monkeypatch.chdir(traded.parent)
    exec(compile(program, str(PAGE), "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"{header()} None"
    assert printed[1] == "1 0 3 rows"
    assert sum("EventRow(" in line for line in printed) == 3


def test_the_page_tells_of_every_kind_and_every_view() -> None:
    text = PAGE.read_text(encoding="utf-8")
    views = ("`orders`", "`commands`", "`events`", "`ticks`")
    for name in (*(f"`{kind.value}`" for kind in RecordKind), *views):
        assert f"| {name} |" in text, name
    assert len(queries()) >= 4
