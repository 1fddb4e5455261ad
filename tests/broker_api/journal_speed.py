"""How fast a journal is written and read, and in how much memory.

    python -m tests.broker_api.journal_speed --rows 17280000

Rows of a market come in groups; after every hundred groups an order is sent and acknowledged, each
durable. The figures are those of this machine's disk.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from broker_api.journal import RecordedCommand
from broker_api.journal_file import JournalFile
from broker_api.journal_json import recorded_body
from broker_api.journal_writer import JournalWriter
from tests.broker_api.journal_session import START_NS, accepted, header, order, ticks

GROUPS_A_TRADE = 100


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write(path: Path, rows: int, group: int) -> None:
    columns = ticks(1, group)
    with JournalWriter.create(path, header()) as journal:
        for number in range(rows // group):
            journal.append_ticks(START_NS, number % 2, columns)
            if number % GROUPS_A_TRADE == 0:
                kind, body = recorded_body(RecordedCommand(START_NS, number, order(number)))
                journal.append(kind, START_NS, body)
                journal.append("event", START_NS, accepted(number, number))
            if number == rows // group // 10:
                print(f"  a tenth is written: peak {peak_mb():.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--group", type=int, default=200, help="rows of a group")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        started, busy = time.perf_counter(), time.process_time()
        write(path, options.rows, options.group)
        seconds, busy = time.perf_counter() - started, time.process_time() - busy
        size = path.stat().st_size / options.rows
        print(f"written: {options.rows / seconds:,.0f} rows/s, {size:.0f} bytes a row")
        print(f"  {options.rows / busy:,.0f} rows a second of processor")
        print(f"  peak {peak_mb():.0f} MB")
        started = time.perf_counter()
        with JournalFile.open(path) as journal:
            assert journal.damage is None
            assert journal.tally.ticks == options.rows // options.group * options.group
        seconds = time.perf_counter() - started
        print(f"verified: {options.rows / seconds:,.0f} rows/s, peak {peak_mb():.0f} MB")


if __name__ == "__main__":
    main()
