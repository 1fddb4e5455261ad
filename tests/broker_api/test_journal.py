"""The journal: commands and events come back as they were, and the digest is their identity."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import Venue, limit_order
from drawn_commands import commands
from hypothesis import given
from hypothesis import strategies as st

from broker_api.event import EVENT_ROW, decode, encode
from broker_api.journal import Journal, digest_of
from broker_api.journal_parquet import (
    COMMANDS_FILE,
    EVENTS_FILE,
    commands_from_table,
    read_journal,
)


@given(st.lists(commands, max_size=6))
def test_commands_survive_the_table(given_commands):
    journal = Journal()
    for number, command in enumerate(given_commands):
        journal.record_command(number, command)
        journal.record_event(encode(Venue().accepted(1)))
    back = commands_from_table(journal.commands())
    assert [each.command for each in back] == given_commands
    assert [each.ts_ns for each in back] == list(range(len(given_commands)))
    assert [each.events_before for each in back] == list(range(len(given_commands)))


def filled_journal() -> Journal:
    venue, journal = Venue(), Journal()
    journal.record_command(3, limit_order(1, tag="first"))
    journal.record_event(encode(venue.accepted(1)))
    journal.record_event(encode(venue.filled(1, 2)))
    journal.record_error(9, "ValueError: in a handler")
    return journal


def test_events_are_rows_in_order_of_arrival():
    events = filled_journal().events()
    assert events.dtype == EVENT_ROW
    venue = Venue()
    assert [decode(tuple(map(int, row))) for row in events] == [
        venue.accepted(1),
        venue.filled(1, 2),
    ]


def test_journal_reads_back_with_the_same_digest(tmp_path):
    journal = filled_journal()
    journal.write(tmp_path / "run")
    events, table = read_journal(tmp_path / "run")
    assert digest_of(events) == journal.digest()
    assert table.equals(journal.commands())
    assert commands_from_table(table) == list(journal.recorded_commands())


def test_handler_errors_are_rows_of_their_own():
    rows = filled_journal().commands().to_pylist()
    assert [(row["kind"], row["tag"]) for row in rows] == [
        ("order", "first"),
        ("error", "ValueError: in a handler"),
    ]


def test_commands_are_readable():
    row = filled_journal().commands().to_pylist()[0]
    shown = {name: row[name] for name in ("side", "order_type", "time_in_force", "role")}
    assert shown == {"side": "buy", "order_type": "limit", "time_in_force": "gtc", "role": "single"}
    assert (row["limit_ticks"], row["stop_ticks"], row["reduce_only"]) == (84_000, None, False)


def test_digest_is_that_of_no_events_and_changes_with_each():
    journal = Journal()
    empty = journal.digest()
    assert empty == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    journal.record_event(encode(Venue().accepted(1)))
    assert journal.digest() != empty


def test_empty_journal_writes_and_reads(tmp_path):
    Journal().write(tmp_path)
    events, table = read_journal(tmp_path)
    assert (len(events), table.num_rows) == (0, 0)


@pytest.mark.parametrize("name", [EVENTS_FILE, COMMANDS_FILE])
def test_foreign_file_in_a_journals_place_is_refused(tmp_path, name):
    Journal().write(tmp_path)
    pq.write_table(pa.table({"a": [1]}), tmp_path / name)
    with pytest.raises(ValueError, match=f"{name}: columns are not those of a journal's"):
        read_journal(tmp_path)
