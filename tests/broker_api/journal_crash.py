"""Ends sessions in the middle: kills the process, or cuts the power, and looks at the journal.

    python -m tests.broker_api.journal_crash --kills 1000 --power 200

A killed session has everything that was acknowledged on a pipe, nothing twice, and goes on. A power
cut loses any writes that were not flushed, whole or by the sector, in any order; nothing else.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from broker_api import journal_writer
from broker_api.journal import RecordedCommand
from broker_api.journal_file import JournalFile
from broker_api.journal_json import recorded_body
from broker_api.journal_writer import JournalWriter
from tests.broker_api.journal_damage import Files, checkpoint, judge, mixed, put, read
from tests.broker_api.journal_session import (
    START_NS,
    accepted,
    header,
    look,
    looks,
    order,
    ticks,
    turn,
)

SECTOR = 512
LIVES = 4
"""How often a session is killed and resumed before the next begins."""
SOON_SECONDS = 60.0
RECORDS = 6000
"""More than a session writes before it is killed."""


def write_one(journal: JournalWriter, number: int) -> bool:
    """Record `number` of every session of this play; whether it is durable."""
    match number % 4:
        case 1:
            journal.append_ticks(START_NS, 0, ticks(number, 30))
        case 2:
            journal.stage("horizon", START_NS, {"ns": number})
        case 3:
            kind, body = recorded_body(RecordedCommand(START_NS, number, order(number)))
            journal.append(kind, START_NS, body)
            return True
        case _:
            journal.append("event", START_NS, accepted(number, number))
            return True
    return False


def reference(folder: Path) -> list[bytes]:
    """Looks at the records of a session that nothing interrupts."""
    path = folder / "uninterrupted"
    with JournalWriter.create(path, header(), now_ns=lambda: 0) as journal:
        for number in range(1, RECORDS):
            write_one(journal, number)
    return looks(path)


def live(path: Path, pipe: int) -> None:
    """A session's life, in a process of its own: every acknowledgement is told on the pipe."""
    journal_writer.WAL_PAGES = 40  # pages are moved all the time, so some lives end in the midst
    is_new = not path.exists()
    make = JournalWriter.create(path, header()) if is_new else JournalWriter.resume(path)
    with make as journal:
        while journal.head.seq + 1 < RECORDS:
            number = journal.head.seq + 1
            if write_one(journal, number):
                os.write(pipe, number.to_bytes(8, "little"))


def killed(path: Path, delay: float, waits: bool) -> int:
    """Start a life, kill it `delay` seconds after its first acknowledgement, or after its start.

    Returns the last record that was acknowledged, 0 if none was.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            live(path, writing)
        finally:
            os._exit(1)
    os.close(writing)
    try:
        if waits:
            assert select.select([reading], [], [], SOON_SECONDS)[0], "no acknowledgement came"
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        told = b""
        while part := os.read(reading, 1 << 16):
            told += part
    finally:
        os.close(reading)
    return int.from_bytes(told[-8:], "little")


def play_kills(folder: Path, count: int, seed: int) -> None:
    whole, draw = reference(folder), random.Random(seed)
    path = folder
    for number in range(count):
        if number % LIVES == 0:
            path = folder / f"killed {number}" / "session.journal"
            path.parent.mkdir()
        last = killed(path, draw.random() ** 2 * 0.1, draw.random() < 0.8)
        if not path.exists():
            assert not last
            continue
        with JournalFile.open(path) as journal:
            assert journal.damage is None, journal.damage
            found = [look(record) for record in journal.records()]
        assert last < len(found), f"record {last} was acknowledged, {len(found)} are there"
        assert found == whole[: len(found)], "the records are not those of an uninterrupted session"
        if number % LIVES == LIVES - 1 or number == count - 1:
            JournalWriter.resume(path).close()
            shutil.rmtree(path.parent)
    print(f"{count} kills: nothing that was acknowledged is lost, nothing is there twice")


# --- power -------------------------------------------------------------------------------------


class Power:
    """A session that is looked at after each step, and what a power cut in a step leaves."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._draw = random.Random(seed)
        self._place = folder / "cut off"
        self._place.mkdir()
        self._path = folder / "powered"
        self._seed = seed
        self.cuts = 0

    def play(self, turns: int, cuts: int) -> None:
        """So many turns, each cut so often."""
        draw = self._draw
        path = self._path
        with JournalWriter.create(path, header(), now_ns=lambda: 0) as journal:
            for number in range(turns):
                self._step(lambda number=number: turn(journal, self._seed, number), cuts)
                if draw.random() < 0.2:
                    self._step(lambda: checkpoint(path), cuts)
        # The last connection moves all pages, flushes the main file, removes the other one.

    def _step(self, action: Callable[[], object], cuts: int) -> None:
        """Every write of `action` is lost, whole or in part, but what was flushed before it."""
        before, known = read(self._path), len(looks(self._path))
        action()
        after, whole = read(self._path), looks(self._path)
        for _ in range(cuts):
            self._cut(before._replace(wal=self._torn(after.wal, before.wal)), whole, known)
        # Pages are moved when the write-ahead file has been flushed.
        if after.main != before.main:
            for _ in range(cuts):
                torn = self._torn(after.main, before.main)
                self._cut(Files(torn, after.wal), whole, len(whole))

    def _torn(self, after: bytes, before: bytes) -> bytes:
        """A file of which some writes reached the disk."""
        draw = self._draw
        if draw.random() < 0.5:  # up to a byte, and all before it
            end = draw.randrange(len(before) if len(after) > len(before) else 0, len(after) + 1)
            return after[:end] + before[end:]
        torn = mixed(draw, after, before, SECTOR)
        return torn[: draw.randrange(len(before), len(after) + 1)] if draw.random() < 0.3 else torn

    def _cut(self, files: Files, whole: list[bytes], least: int) -> None:
        judge(put(self._place, files), whole, least)
        self.cuts += 1


def play_power(folder: Path, turns: int, cuts: int, seed: int) -> None:
    power = Power(folder, seed)
    power.play(turns, cuts)
    print(f"{power.cuts} power cuts: nothing that was flushed is lost, all else is a clean prefix")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--power", type=int, default=10, help="turns of a session, cut often each")
    parser.add_argument("--cuts", type=int, default=4, help="how often each")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as folder:
        if options.kills:
            play_kills(Path(folder), options.kills, options.seed)
        if options.power:
            play_power(Path(folder), options.power, options.cuts, options.seed)


if __name__ == "__main__":
    main()
