"""Damages journals in every way that a disk, a crash or a person might, and judges what comes back.

What is opened is a clean prefix of what was written, or it is refused by a typed error; a journal
that is resumed after that goes on from its prefix and is whole again. Everything is drawn from the
seed that is printed.

    python -m tests.broker_api.journal_damage --count 10000 --every 1
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from broker_api.errors import JournalError
from broker_api.journal_file import JournalFile
from broker_api.journal_writer import JournalWriter
from tests.broker_api.journal_session import header, look, looks, turn

PAGE = 4096
TURNS = 30
NAME = "session.journal"


class Files(NamedTuple):
    """What lies on the disk: the main file and the write-ahead file, empty if there is none."""

    main: bytes
    wal: bytes


class State(NamedTuple):
    """Files of a session as a crash might leave them, and looks at its records."""

    name: str
    files: Files
    looks: list[bytes]


def read(path: Path) -> Files:
    wal = path.with_name(path.name + "-wal")
    return Files(path.read_bytes(), wal.read_bytes() if wal.exists() else b"")


def put(folder: Path, files: Files, shm: bytes = b"") -> Path:
    """The files in an empty folder."""
    for each in folder.iterdir():
        each.unlink()
    path = folder / NAME
    path.write_bytes(files.main)
    for ending, content in (("-wal", files.wal), ("-shm", shm)):
        if content:
            path.with_name(NAME + ending).write_bytes(content)
    return path


def checkpoint(path: Path) -> None:
    """What SQLite does now and then: moves pages from the write-ahead file to the main one."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(PASSIVE)")


def states(folder: Path, seed: int, turns: int = TURNS) -> list[State]:
    """A session that ended; one of which all is in the write-ahead file; one of which some is, with
    old pages behind; and earlier looks at the last, in their order."""
    made = []
    path = folder / f"never moved {seed}"
    with JournalWriter.create(path, header(seed), now_ns=lambda: 0) as journal:
        for number in range(turns):
            turn(journal, seed, number)
        made.append(State("never moved", read(path), looks(path)))
    path = folder / f"moved {seed}"
    with JournalWriter.create(path, header(seed), now_ns=lambda: 0) as journal:
        for number in range(turns):
            turn(journal, seed, number)
            if number in (turns // 3, turns // 3 * 2):
                made.append(State("earlier", read(path), looks(path)))
                checkpoint(path)
                made.append(State("just moved", read(path), looks(path)))
        made.append(State("moved", read(path), looks(path)))
    made.append(State("ended", read(path), looks(path)))
    return made


class Found(NamedTuple):
    """What was read: looks at the records, and whether damage behind them was told."""

    looks: list[bytes]
    is_damaged: bool


def opened(path: Path, whole: list[bytes], least: int = 0) -> Found | None:
    """What comes back, None if it is refused. At least so many records must be there.

    Raises AssertionError for anything that is neither a clean prefix nor a refusal.
    """
    try:
        with JournalFile.open(path) as journal:
            found = [look(record) for record in journal.records()]
            assert found == whole[: len(found)], "the records are not those that were written"
            assert len(found) == journal.head.seq + 1
            is_damaged = journal.damage is not None
    except JournalError as fault:
        if least:
            raise AssertionError("records that were durable are refused") from fault
        return None
    assert len(found) >= least, f"{least} records were durable, {len(found)} are there"
    return Found(found, is_damaged)


def judge(path: Path, whole: list[bytes], least: int = 0) -> str:
    """Opens and resumes; says how it went. Raises AssertionError as `opened` does."""
    found = opened(path, whole, least)
    if found is None:
        try:
            JournalWriter.resume(path).close()
        except JournalError:
            return "refused"
        raise AssertionError("refused for reading and resumed for writing")
    resumes(path, *found)
    if found.is_damaged:
        return "cut"
    return "whole" if len(found.looks) == len(whole) else "prefix"


def resumes(path: Path, found: list[bytes], damaged: bool) -> None:
    """What was found is there again, more can be written behind it, and all of it is whole."""
    with JournalWriter.resume(path, now_ns=lambda: 0) as journal:
        assert journal.head.seq + 1 == len(found)
        assert (journal.lost is not None) == damaged
        turn(journal, 3, 3)
        last = journal.head
    with JournalFile.open(path) as journal:
        assert journal.damage is None
        records = list(journal.records())
        assert [look(record) for record in records[: len(found)]] == found
        assert journal.head == last
    rows = sum(record.body["rows"] for record in records if record.ticks is not None)
    with closing(sqlite3.connect(path)) as plain:
        assert plain.execute("SELECT count(*) FROM ticks").fetchone() == (rows,)
    kept = path.with_name(path.name + ".damaged")
    assert kept.exists() == damaged


# --- damages -----------------------------------------------------------------------------------


Damage = Callable[[random.Random, Files, "Others"], Files]


class Others(NamedTuple):
    """Files that might come to lie there instead: earlier ones, and those of another session."""

    earlier: list[Files]
    foreign: list[Files]
    name_page: int
    """The page that tells whose file it is, counted from 0."""


def spoil(draw: random.Random, files: Files, change: Callable[[bytearray], None]) -> Files:
    """Changes the main file or the write-ahead file."""
    main = bytearray(files.main)
    wal = bytearray(files.wal)
    change(wal if wal and draw.random() < 0.5 else main)
    return Files(bytes(main), bytes(wal))


def flip_bits(draw: random.Random, files: Files, _: Others) -> Files:
    def change(content: bytearray) -> None:
        for _ in range(draw.choice((1, 1, 1, 2, 8, 64))):
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)

    return spoil(draw, files, change)


def flip_bits_of_the_head(draw: random.Random, files: Files, _: Others) -> Files:
    def change(content: bytearray) -> None:
        content[draw.randrange(min(120, len(content)))] ^= 1 << draw.randrange(8)

    return spoil(draw, files, change)


def overwrite(draw: random.Random, files: Files, _: Others) -> Files:
    def change(content: bytearray) -> None:
        start = draw.randrange(len(content))
        size = min(draw.choice((1, 16, 512, PAGE)), len(content) - start)
        zeros = draw.random() < 0.5
        content[start : start + size] = bytes(size) if zeros else draw.randbytes(size)

    return spoil(draw, files, change)


def zero_pages(draw: random.Random, files: Files, _: Others) -> Files:
    def change(content: bytearray) -> None:
        for _ in range(draw.choice((1, 1, 3))):
            start = draw.randrange(len(content) // PAGE or 1) * PAGE
            content[start : start + PAGE] = bytes(min(PAGE, len(content) - start))

    return spoil(draw, files, change)


def swap_pages(draw: random.Random, files: Files, _: Others) -> Files:
    """In the main file pages, in the write-ahead file frames with their heads."""

    def change(content: bytearray) -> None:
        is_main = content[:6] == b"SQLite"
        start, size = (0, PAGE) if is_main else (32, PAGE + 24)
        places = [
            start + size * draw.randrange(max(1, (len(content) - start) // size)) for _ in "ab"
        ]
        first, second = (bytes(content[place : place + size]) for place in places)
        if len(first) == len(second) == size:
            content[places[0] : places[0] + size] = second
            if draw.random() < 0.7:  # else one page is there twice
                content[places[1] : places[1] + size] = first

    return spoil(draw, files, change)


def truncate(draw: random.Random, files: Files, _: Others) -> Files:
    def change(content: bytearray) -> None:
        end = draw.randrange(len(content))
        del content[end // PAGE * PAGE if draw.random() < 0.3 else end :]

    return spoil(draw, files, change)


def shift(draw: random.Random, files: Files, _: Others) -> Files:
    """Bytes are lost in the middle, or come in."""

    def change(content: bytearray) -> None:
        start, size = draw.randrange(len(content)), draw.choice((1, 24, 512, PAGE, PAGE + 24))
        if draw.random() < 0.5:
            del content[start : start + size]
        else:
            content[start:start] = draw.randbytes(size)

    return spoil(draw, files, change)


def append_garbage(draw: random.Random, files: Files, _: Others) -> Files:
    return spoil(draw, files, lambda content: content.extend(draw.randbytes(draw.randrange(9000))))


def lose_wal(draw: random.Random, files: Files, _: Others) -> Files:
    return files._replace(wal=b"")


def foreign_wal(draw: random.Random, files: Files, others: Others) -> Files:
    return files._replace(wal=draw.choice(others.foreign).wal)


def foreign_pages(draw: random.Random, files: Files, others: Others) -> Files:
    """All but the one that tells whose file it is: with that one and the header it is the other's
    file, in which our pages are the foreign ones."""
    main, other = bytearray(files.main), draw.choice(others.foreign).main
    for _ in range(draw.choice((1, 2, 10))):
        page = draw.randrange(max(1, min(len(main), len(other)) // PAGE))
        start = (page + (page == others.name_page)) * PAGE
        main[start : start + PAGE] = other[start : start + PAGE]
    return files._replace(main=bytes(main))


def earlier_wal(draw: random.Random, files: Files, others: Others) -> Files:
    return files._replace(wal=draw.choice(others.earlier).wal)


def earlier_main(draw: random.Random, files: Files, others: Others) -> Files:
    return files._replace(main=draw.choice(others.earlier).main)


def earlier_pages(draw: random.Random, files: Files, others: Others) -> Files:
    """Writes that never reached the disk, in the midst of others that did."""
    other = draw.choice(others.earlier)
    return Files(mixed(draw, files.main, other.main, PAGE), mixed(draw, files.wal, other.wal, 512))


def mixed(draw: random.Random, new: bytes, old: bytes, size: int) -> bytes:
    """`new`, with some parts as they were before."""
    content = bytearray(new)
    for start in range(0, len(content), size):
        if draw.random() < 0.3:
            before = old[start : start + size]
            part = content[start : start + size]
            content[start : start + size] = before.ljust(len(part), b"\0")[: len(part)]
    return bytes(content)


DAMAGES: tuple[Damage, ...] = (
    flip_bits,
    flip_bits,
    flip_bits_of_the_head,
    overwrite,
    zero_pages,
    swap_pages,
    truncate,
    shift,
    append_garbage,
    lose_wal,
    foreign_wal,
    foreign_pages,
    earlier_wal,
    earlier_main,
    earlier_pages,
)


class Play:
    """Sessions to damage, and the folder in which it happens."""

    def __init__(self, folder: Path) -> None:
        self.place = folder / "damaged"
        self.place.mkdir()
        self.own = states(folder, 1)
        foreign = states(folder, 2)
        with closing(sqlite3.connect(put(self.place, self.own[-1].files))) as plain:
            ask = "SELECT rootpage - 1 FROM sqlite_master WHERE name = 'session'"
            (name_page,) = plain.execute(ask).fetchone()
        files = [[each.files for each in states] for states in (self.own, foreign)]
        self.others = Others(files[0], files[1], name_page)
        self.longest = max((each.looks for each in self.own), key=len)

    def damage(self, seed: int) -> tuple[str, str]:
        """One damage, or two; which, and how it went."""
        draw = random.Random(seed)
        # Where all lies in the main file no checksum of the write-ahead file finds damage first.
        state = draw.choice(self.own) if draw.random() < 0.5 else self.own[-1]
        files = state.files
        first = draw.choice(DAMAGES)
        files = first(draw, files, self.others)
        if draw.random() < 0.25 and files.main:
            files = draw.choice(DAMAGES)(draw, files, self.others)
        shm = draw.randbytes(32768) if draw.random() < 0.1 else b""
        path = put(self.place, files, shm)
        return first.__name__, judge(path, self.longest)

    def heads(self) -> Iterator[tuple[str, str]]:
        """Each bit of the first bytes of both files: of a session that ended, of one that ran."""
        for state in self.own[-2:]:
            for name, size in (("main", 108), ("wal", 56)):
                content: bytes = getattr(state.files, name)
                for place in range(8 * min(size, len(content))):
                    changed = bytearray(content)
                    changed[place // 8] ^= 1 << place % 8
                    files = state.files._replace(**{name: bytes(changed)})
                    yield f"head of {name}", judge(put(self.place, files), self.longest)

    def truncations(self, tail: int, every: int) -> Iterator[tuple[str, str]]:
        """Both files of a session that ran and of one that ended, cut within their last bytes."""
        for state in self.own[-2:]:
            for name in ("main", "wal"):
                content: bytes = getattr(state.files, name)
                for end in range(max(0, len(content) - tail), len(content), every):
                    path = put(self.place, state.files._replace(**{name: content[:end]}))
                    found = opened(path, state.looks)
                    yield f"cut {name}", "refused" if found is None else "opened"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="random damages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=0, help="cut at every so many bytes as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        play = Play(Path(name))
        show(damages(play, range(options.seed, options.seed + options.count)))
        if options.every:
            show(play.truncations(2 * (PAGE + 24), options.every))
            show(play.heads())


def damages(play: Play, seeds: range) -> Iterator[tuple[str, str]]:
    for seed in seeds:
        try:
            yield play.damage(seed)
        except BaseException:
            print(f"seed {seed}: python -m tests.broker_api.journal_damage --seed {seed} --count 1")
            raise


def show(outcomes: Iterator[tuple[str, str]]) -> None:
    for (damage, outcome), count in sorted(Counter(outcomes).items()):
        print(f"{damage:24}{outcome:10}{count:8}", flush=True)


if __name__ == "__main__":
    main()
