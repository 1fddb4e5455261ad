"""The journal on disk when it is damaged, cut off, or cannot be written."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from broker_api.errors import JournalDamaged, JournalError, JournalFull, JournalWriteError
from broker_api.journal_file import JournalFile
from broker_api.journal_writer import JournalWriter
from tests.broker_api.journal_damage import Files, Play, checkpoint, put, read
from tests.broker_api.journal_session import header, look, looks, ticks, turn, write

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session.journal"


@pytest.fixture(scope="module")
def play(tmp_path_factory) -> Play:
    return Play(tmp_path_factory.mktemp("journals"))


@pytest.mark.slow
def test_a_damaged_journal_is_a_clean_prefix_or_refused(play: Play) -> None:
    outcomes = Counter(play.damage(seed)[1] for seed in range(100))
    assert all(outcomes[each] > 3 for each in ("whole", "prefix", "cut", "refused")), outcomes


@pytest.mark.slow
def test_a_journal_that_was_cut_off_is_a_clean_prefix_or_refused(play: Play) -> None:
    outcomes = Counter(how for _, how in play.truncations(2 * 4120, every=151))
    assert outcomes["opened"] > 100
    assert outcomes["refused"] > 10


@pytest.mark.slow
def test_kills_and_power_cuts_take_nothing_that_was_acknowledged() -> None:
    command = [sys.executable, "-m", "tests.broker_api.journal_crash", "--kills", "50"]
    result = subprocess.run(
        [*command, "--power", "8", "--cuts", "2"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("nothing that was") == 2


def change(path: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql, values)


@pytest.mark.parametrize(
    ("sql", "record", "what"),
    [
        ("UPDATE record SET body = replace(body, '80003', '80004') WHERE seq = 17", 17, "hash"),
        ("UPDATE record SET ts_ns = ts_ns + 1 WHERE seq = 4", 4, "hash"),
        ("UPDATE record SET kind = 'note' WHERE seq = 4", 4, "hash"),
        ("DELETE FROM record WHERE seq = 5", 5, "is missing"),
        ("UPDATE record SET seq = -1 WHERE seq = 6", 6, "is missing"),
        ("UPDATE tick SET qty = qty + 1 WHERE id = 1", 1, "hash"),
        ("UPDATE tick SET row = 7 WHERE id = 2", 2, "hash"),
        ("DELETE FROM tick WHERE id = 3", 2, "rows of the market"),
        ("UPDATE tick SET bid = 'x' WHERE id = 1", 1, "rows of the market"),
        (
            "INSERT INTO tick SELECT 0, * FROM (SELECT 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)",
            19,
            "wrote",
        ),
        (
            "INSERT INTO tick SELECT NULL, * FROM (SELECT 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)",
            19,
            "wrote",
        ),
        ("INSERT INTO record VALUES (19, 0, 'note', '{}', x'00')", 19, "hash"),
        ("INSERT INTO record VALUES (20, 0, 'note', '{}', x'00')", 19, "is missing"),
        ("DROP VIEW orders", 19, "tables and views"),
        ("CREATE TRIGGER t AFTER INSERT ON record BEGIN DELETE FROM tick; END", 19, "tables"),
        ("UPDATE session SET views = x'00'", 19, "tables and views"),
    ],
)
def test_a_change_by_hand_is_told_with_its_record_and_cut_off_in_a_copy(
    path: Path, sql: str, record: int, what: str
) -> None:
    whole = write(path, 4)
    assert len(whole) == 19
    change(path, sql)
    before = path.read_bytes()
    with JournalFile.open(path) as journal:
        assert isinstance(journal.damage, JournalDamaged)
        assert (journal.damage.record, journal.head.seq) == (record, record - 1)
        assert what in str(journal.damage)
        assert [look(each) for each in journal.records()] == whole[:record]
    assert path.read_bytes() == before
    with JournalWriter.resume(path) as writer:
        assert writer.lost is not None
        assert writer.append("note", 0, {}) == record
    assert looks(path)[:record] == whole[:record]
    assert path.with_name("session.journal.damaged").read_bytes() == before


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE record SET body = '{}' WHERE seq = 0",
        "DELETE FROM record WHERE seq = 0",
        "UPDATE session SET genesis = x'00'",
        "DELETE FROM session",
        "DROP TABLE record",
        "PRAGMA application_id = 1",
    ],
)
def test_a_journal_without_its_header_is_refused(path: Path, sql: str) -> None:
    write(path, 4)
    change(path, sql)
    for opening in (JournalFile.open, JournalFile.watch, JournalWriter.resume):
        with pytest.raises(JournalDamaged):
            opening(path)


@pytest.mark.parametrize(("place", "value"), [(39, 2), (31, 99)])
def test_pages_that_nothing_leads_to_are_damage(path: Path, place: int, value: int) -> None:
    """39: how many pages are free; 31: how many there are (sqlite.org/fileformat.html, 1.3)."""
    whole = write(path, 4)
    content = bytearray(path.read_bytes())
    content[place] = value
    path.write_bytes(bytes(content) + bytes(100 * 4096 - len(content)))
    with JournalFile.open(path) as journal:
        assert journal.damage is not None
        assert "the file around it" in str(journal.damage)
        assert len(list(journal.records())) == len(whole)
    JournalWriter.resume(path).close()
    assert looks(path) == whole


@pytest.mark.parametrize("place", [18, 19, 20, 47, 52, 59, 67, 80])
def test_a_head_that_would_lead_sqlite_astray_is_refused(path: Path, place: int) -> None:
    """Of 18 and 19: a file that is only for reading; one whose write-ahead file is passed over."""
    write(path, 4)
    content = bytearray(path.read_bytes())
    content[place] ^= 3
    path.write_bytes(bytes(content))
    for opening in (JournalFile.open, JournalWriter.resume):
        with pytest.raises(JournalDamaged, match="record 0"):
            opening(path)


@pytest.mark.parametrize(("place", "what"), [(20, "head of the write"), (20_000, "frame 4 of")])
def test_commits_behind_a_damaged_frame_are_told_to_be_lost(
    path: Path, tmp_path: Path, place: int, what: str
) -> None:
    with JournalWriter.create(path.with_name("running"), header(), now_ns=lambda: 0) as journal:
        write_turns(journal, 5)
        files = read(journal.path)
        whole = looks(journal.path)
    (tmp_path / "killed").mkdir()
    wal = bytearray(files.wal)
    wal[place] ^= 1
    path = put(tmp_path / "killed", Files(files.main, bytes(wal)))
    with JournalFile.open(path) as damaged:
        assert damaged.damage is not None
        assert what in str(damaged.damage)
        found = [look(record) for record in damaged.records()]
    assert len(found) < len(whole)
    JournalWriter.resume(path).close()
    assert looks(path) == found
    assert path.with_name("session.journal.damaged-wal").read_bytes() == bytes(wal)


def test_the_commit_that_the_power_took_is_no_damage(path: Path, tmp_path: Path) -> None:
    with JournalWriter.create(path, header(), now_ns=lambda: 0) as journal:
        write_turns(journal, 5)
        files = read(path)
    (tmp_path / "cut").mkdir()
    wal = bytearray(files.wal)
    wal[-4000] ^= 1
    with JournalFile.open(put(tmp_path / "cut", Files(files.main, bytes(wal)))) as cut:
        assert cut.damage is None


def test_who_follows_a_journal_is_told_of_damage_when_he_comes_to_it(path: Path) -> None:
    whole = write(path, 4)
    change(path, "UPDATE record SET ts_ns = 0 WHERE seq = 9")
    with JournalFile.watch(path) as journal:
        found = []
        with pytest.raises(JournalDamaged, match="record 9"):
            found.extend(look(record) for record in journal.records())
    assert found == whole[:9]


def test_a_long_journal_is_copied_up_to_its_damage(path: Path) -> None:
    with JournalWriter.create(path, header()) as journal:
        journal.append_ticks(0, 0, ticks(1, 70_000))
        journal.append_ticks(0, 1, ticks(2, 70_000))
        journal.append("note", 0, {"text": "damaged"})
    change(path, "UPDATE record SET ts_ns = 1 WHERE kind = 'note'")
    with JournalWriter.resume(path) as journal:
        assert (journal.rows(0), journal.rows(1)) == (70_000, 70_000)
        assert journal.lost is not None
    assert len(looks(path)) == 5


def test_damage_twice_keeps_both_damaged_files(path: Path) -> None:
    write(path, 4)
    for record in (9, 4):
        change(path, "UPDATE record SET ts_ns = 0 WHERE seq = ?", record)
        JournalWriter.resume(path).close()
    names = [each.name for each in sorted(path.parent.iterdir()) if "damaged" in each.name]
    assert names == ["session.journal.damaged", "session.journal.damaged2"]
    assert len(looks(path)) == 4


def test_the_write_ahead_file_of_another_session_is_refused(tmp_path: Path) -> None:
    files = []
    for seed in (1, 2):
        path = tmp_path / f"session {seed}"
        with JournalWriter.create(path, header(seed)) as journal:
            turn(journal, seed, 0)
            files.append(read(path))
    (tmp_path / "mixed").mkdir()
    path = put(tmp_path / "mixed", Files(files[0].main, files[1].wal))
    with pytest.raises(JournalDamaged, match="-wal file beside it"):
        JournalFile.open(path)


@pytest.mark.parametrize("has_wal", [False, True])
def test_a_recovery_that_was_interrupted_is_finished_by_the_next(
    path: Path, tmp_path: Path, has_wal: bool
) -> None:
    whole = write(path, 4)
    recovered = path.with_name("session.journal.recovered")
    path.rename(recovered)
    with JournalWriter.create(path.with_name("old"), header()) as journal:
        turn(journal, 0, 0)
        old = read(path.with_name("old"))
    path.write_bytes(old.main)
    if has_wal:
        path.with_name("session.journal-wal").write_bytes(old.wal)
    for opening in (JournalFile.open, JournalFile.watch):
        with pytest.raises(JournalDamaged, match="recovery was interrupted"):
            opening(path)
    JournalWriter.resume(path).close()
    assert looks(path) == whole
    assert not recovered.exists()


@contextmanager
def small_files(limit: int) -> Iterator[None]:
    """No file of this process grows beyond so many bytes: what a full disk does to writes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def few_pages(journal: JournalWriter) -> Iterator[None]:
    """The database says that it is full, as it does when the disk says so."""
    journal._connection.execute("PRAGMA max_page_count = 30")
    yield


def write_turns(journal: JournalWriter, count: int) -> None:
    for number in range(count):
        turn(journal, 0, number)


@pytest.mark.parametrize(
    ("full", "error"),
    [(lambda _: small_files(300_000), JournalWriteError), (few_pages, JournalFull)],
    ids=["file limit", "database full"],
)
def test_a_full_disk_ends_the_journal_and_takes_nothing_that_was_acknowledged(
    path: Path, full: Callable[[JournalWriter], object], error: type[JournalWriteError]
) -> None:
    journal = JournalWriter.create(path, header(), now_ns=lambda: 0)
    with full(journal):
        with pytest.raises(JournalWriteError) as failure:
            write_turns(journal, 1000)
        assert type(failure.value) is error
        durable = journal.durable
        assert journal.head == durable
        for again in (journal.commit, lambda: journal.append("note", 0, {})):
            with pytest.raises(error) as repeated:
                again()
            assert repeated.value is failure.value
        with JournalFile.open(path) as back:
            found = [look(record) for record in back.records()]
            assert back.damage is None
            assert len(found) > durable.seq
        journal.close()
    whole = write(path.with_name("whole"), len(found) // 4 + 1)
    assert found == whole[: len(found)]
    with JournalWriter.resume(path, now_ns=lambda: 0) as journal:
        assert journal.append("note", 0, {}) == len(found)


def test_a_disk_without_room_for_anything_is_told_as_what_it_is(path: Path) -> None:
    whole = write(path, 4)
    for limit in (0, 20_000):  # not even the number of the process; not what readers share
        with small_files(limit), pytest.raises(JournalError):
            JournalWriter.resume(path)
    JournalWriter.resume(path).close()
    assert looks(path) == whole


def test_a_full_disk_leaves_no_half_of_a_new_journal(path: Path) -> None:
    with small_files(10_000), pytest.raises(JournalWriteError, match="there is no journal"):
        JournalWriter.create(path, header())
    assert [each.name for each in path.parent.iterdir() if each.suffix != ".lock"] == []
    JournalWriter.create(path, header()).close()


def test_a_recovery_without_space_leaves_the_damaged_journal_as_it_was(path: Path) -> None:
    write(path, 30)
    change(path, "UPDATE record SET ts_ns = 0 WHERE seq = 120")
    before = path.read_bytes()
    with small_files(40_000), pytest.raises(JournalWriteError, match="is as it was"):
        JournalWriter.resume(path)
    assert path.read_bytes() == before
    with JournalWriter.resume(path) as journal:
        assert journal.head.seq == 119


def test_an_interrupted_write_ends_the_journal(path: Path) -> None:
    journal = JournalWriter.create(path, header())
    turn(journal, 0, 0)
    durable = journal.head

    def stop() -> int:
        raise KeyboardInterrupt

    journal._now_ns = stop
    with pytest.raises(KeyboardInterrupt):
        turn(journal, 0, 1)
    with pytest.raises(JournalWriteError, match=f"the last record is {durable.seq}"):
        journal.append("note", 0, {})
    journal.close()
    assert len(looks(path)) == durable.seq + 1


def test_commits_are_flushed_to_the_disk(path: Path) -> None:
    with JournalWriter.create(path, header()) as journal:
        pragmas = ("journal_mode", "synchronous")
        asked = [journal._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]
        assert asked == [b"wal", 2]


def test_a_reader_does_not_stop_the_writer_from_moving_pages(path: Path) -> None:
    with JournalWriter.create(path, header(), now_ns=lambda: 0) as journal:
        turn(journal, 0, 0)
        with JournalFile.watch(path) as reader:
            records = reader.records()
            next(records)
            for number in range(1, 10):
                turn(journal, 0, number)
            size = len(read(path).wal)
            checkpoint(path)
            turn(journal, 0, 10)
            assert len(read(path).wal) == size  # written from its beginning again
            assert len(list(records)) == journal.head.seq
