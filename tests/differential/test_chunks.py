"""A tape cut into chunks gives the same log: of 1, 7 and 1,000 rows, in time and in the file.

In time: a session goes on chunk by chunk instead of from command to command. It cannot stop between
rows of one timestamp, which are one packet. In the file: the Parquet is written in row groups, and
read in batches, of so many rows. One account trades, or two that meet.
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from broker_api.calendar import load_calendar
from broker_api.config import AccountConfig, SimulationConfig
from broker_api.event import Event
from data.schema import TapeColumns
from data.tape import Tape, columns_hash, open_tape, sample_path
from sim.exchange import Exchange
from tests.acceptance.random_trader import Trader, instrument, tape_of
from tests.differential.crowd import Sent

pytestmark = pytest.mark.slow

CHUNKS = (1, 7, 1000)
ROWS, FILE_ROWS = 20_000, 1_500
COMMANDS = 150
SYMBOLS = ("MNQ", "ETH")
Script = list[tuple[int, Sent]]


def exchange_on(tape: Tape, accounts: int) -> Exchange:
    """An exchange over one tape, with money for anything."""
    spec = instrument(tape.symbol)
    calendar = load_calendar(spec.calendar)
    configs = [AccountConfig(cash=5e6)] * accounts
    return Exchange([spec], [tape], [calendar], SimulationConfig(), configs)


def first_rows(tape: Tape, count: int) -> Tape:
    """The tape's beginning."""
    return replace(tape, columns=TapeColumns(*(column[:count] for column in tape.columns)))


@cache
def recorded(symbol: str, rows: int, accounts: int = 1) -> tuple[Script, list[Event], str]:
    """Random commands with their times, what came of them, and the state at the tape's end."""
    tape = first_rows(tape_of(symbol), rows)
    exchange, chance = exchange_on(tape, accounts), random.Random(symbol)
    traders = [Trader(chance, [instrument(symbol)], [tape]) for _ in range(accounts)]
    script: Script = []
    events: list[Event] = []
    for number, at in enumerate(sorted(chance.sample(range(rows), COMMANDS))):
        events += advance(exchange, int(tape.columns.ts[at]))
        account = number % accounts
        trader = traders[account]
        trader.orders.clear()
        trader.hear([event for event in events if event.account == account])
        command = trader.command(exchange)
        if command is not None:
            script.append((exchange.now_ns, Sent(account, command)))
            events += exchange.execute(command, account)
    events += advance(exchange, tape.end_ns)
    return script, events, exchange.state_hash


def advance(exchange: Exchange, until_ns: int) -> list[Event]:
    """Everything that is published up to a time."""
    found: list[Event] = []
    while True:
        events = exchange.advance(until_ns)
        found += events
        if not events and exchange.now_ns >= until_ns:
            return found


def replayed(tape: Tape, script: Script, chunk: int, accounts: int = 1) -> tuple[list[Event], str]:
    """The script on a tape, time going on by so many rows at once at most."""
    exchange = exchange_on(tape, accounts)
    events: list[Event] = []
    stops = [(int(ts), None) for ts in tape.columns.ts[chunk - 1 :: chunk]]
    for ts_ns, sent in sorted([*stops, *script], key=lambda item: item[0]):
        events += advance(exchange, ts_ns)
        if sent is not None:
            events += exchange.execute(sent.command, sent.account)
    events += advance(exchange, tape.end_ns)
    return events, exchange.state_hash


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("symbol", SYMBOLS)
@pytest.mark.parametrize("accounts", [1, 2])
def test_time_that_goes_on_in_chunks_of_rows_changes_no_event(
    symbol: str, chunk: int, accounts: int
) -> None:
    script, events, state = recorded(symbol, ROWS, accounts)
    assert len(events) > COMMANDS
    again, there = replayed(first_rows(tape_of(symbol), ROWS), script, chunk, accounts)
    assert again == events
    assert there == state


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_a_file_in_row_groups_of_any_size_gives_the_same_log(
    symbol: str, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sample_path(symbol)
    assert path is not None
    whole: pa.Table = pq.read_table(path).slice(0, FILE_ROWS)
    pq.write_table(whole, tmp_path / "whole.parquet")
    pq.write_table(whole, tmp_path / "cut.parquet", row_group_size=chunk)
    spec = instrument(symbol)
    expected = open_tape(tmp_path / "whole.parquet", spec)
    monkeypatch.setattr("data.reading.BATCH_ROWS", chunk)
    cut = open_tape(tmp_path / "cut.parquet", spec)
    assert columns_hash(cut.columns) == columns_hash(expected.columns)
    script, _, _ = recorded(symbol, FILE_ROWS)
    assert replayed(cut, script, FILE_ROWS) == replayed(expected, script, FILE_ROWS)
