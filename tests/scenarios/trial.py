"""A small scenario in a folder, to be accepted, changed and checked again."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from broker_api.event import EVENT_COLUMNS
from broker_api.journal import digest_of
from broker_api.journal_parquet import EVENTS_FILE, read_journal
from broker_api.order import OrderStatus
from scenarios.check import Checked, Task, check_scenario
from scenarios.scenario import read_scenario

STRATEGY = """
import asyncio

from levels import BELOW
from papertape import RiskLimitError


async def trial(suite, size: int = 1, rounds: int = 5):
    mnq = suite["MNQ"]
    for number in range(rounds):
        price = mnq.data.last_quote.bid - BELOW
        entry = await mnq.orders.place_limit_order("MNQ", "buy", size, price)
        await asyncio.sleep(20)
        if (await mnq.orders.get_order(entry)).is_working:
            await mnq.orders.cancel_order(entry)
        try:
            await mnq.orders.place_bracket_order(
                "MNQ", "buy", size, stop_offset=6.0, target_offset=3.0
            )
        except RiskLimitError:
            print("refused")
        await asyncio.sleep(20)
        await mnq.orders.close_position("MNQ")
"""
SCENARIO = """# A trial of everything.
strategy = "strategy.py:trial"
instruments = ["MNQ"]
catalog = ["mine.toml"]  # our broker's fees

[tapes]
MNQ = "mnq.parquet"

[parameters]
size = 2

[simulation]
entry_latency_ms = 5
queue = "displayed"

[account]
cash = 20_000

[risk]
max_position_size = 6

[expect]  # by --update
"""
FILES = {
    "strategy.py": STRATEGY,
    "levels.py": "BELOW = 0.0\n",
    "mine.toml": "[MNQ]\nfee_per_unit = 0.37\n",
    "scenario.toml": SCENARIO,
}


def make_trial(folder: Path, tape: Path) -> Path:
    """Write the scenario's files and accept its run."""
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "mnq.parquet").write_bytes(tape.read_bytes())
    accepted = check(folder, update=True)
    assert accepted.status == "accepted", accepted
    return folder


def check(folder: Path, *, update: bool = False) -> Checked:
    return check_scenario(Task(folder / "scenario.toml", folder.parent / "out", update))


def edit(folder: Path, file: str, old: str, new: str) -> None:
    path = folder / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file}: {old!r} is there {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")


def accepted_events(folder: Path) -> np.ndarray:
    return read_journal(folder / "accepted")[0]


def rewrite_accepted(folder: Path, events: np.ndarray) -> None:
    """Other events as the accepted run, with their digest as the expected one."""
    events = events.copy()
    events["seq"] = np.arange(1, len(events) + 1)
    before = digest_of(accepted_events(folder))
    table = pa.table({name: np.ascontiguousarray(events[name]) for name in EVENT_COLUMNS})
    pq.write_table(table, folder / "accepted" / EVENTS_FILE)
    edit(folder, "scenario.toml", before, digest_of(events))
    assert read_scenario(folder).expectation.digest == digest_of(events)


def rows_of_kind(events: np.ndarray, kind: int) -> list[int]:
    return np.flatnonzero(events["kind"] == kind).tolist()


def status_code(name: str) -> int:
    return OrderStatus[name].code
