"""Paper sessions that are killed at random points, resumed, and compared with one that was not.

    python -m tests.paper.kills --count 1000 --seed 1

One process imports everything and compiles nothing new; every session, and every resumption, is a
child that is forked from it and killed by SIGKILL. Half of the kills come at a random moment, half
right after a record was written, before the session goes on.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from broker_api.journal_chain import Record, RecordKind
from broker_api.journal_file import JournalFile
from broker_api.journal_writer import JournalWriter
from papertape.paper_command import served_again
from scenarios.paper import (
    PaperPlan,
    PaperSession,
    begin,
    has_ended,
    plan_of,
    resume,
    verify,
)
from scenarios.paper_feed import FeedPlan
from scenarios.run_folder import JOURNAL_FILE
from scenarios.scenario import read_scenario

SCENARIO = Path(__file__).parent / "busy"
CHAIN_MAX = 8
"""Kills of one session before it may end."""
_KEPT = (RecordKind.COMMAND, RecordKind.EVENT, RecordKind.ERROR)


_QUICK = "/dev/shm"
"""A disk in memory: what a kill leaves behind does not depend on synchronisation; power does."""


class Failed(Exception):
    """A promise that was broken."""


@dataclass(frozen=True)
class Outcome:
    """What a session came to: its commands and events as they are recorded, and its digest."""

    records: list[tuple[str, int, Any]]
    digest: str


def plan_in(folder: Path) -> PaperPlan:
    """A session of the busy scenario at full speed."""
    return PaperPlan(read_scenario(SCENARIO), {}, FeedPlan("replay", 0.0, 1), folder)


def outcome_of(folder: Path) -> Outcome:
    """Read a journal that has ended, and play it again. Raises Failed where that differs."""
    plan, header = plan_of(folder)
    with JournalFile.open(plan.journal) as file:
        if file.damage is not None:
            raise Failed(f"{folder}: {file.damage}")
        records = [_plain(each) for each in file.records() if each.kind in _KEPT]
    parity = verify(plan, header, served_again)
    if not parity.is_equal:
        raise Failed(f"{folder}: played again it differs: {parity.difference}")
    return Outcome(records, parity.digest)


def _plain(record: Record) -> tuple[str, int, Any]:
    return str(record.kind), record.ts_ns, record.body


def forked(work: Callable[[], object]) -> int:
    """Run `work` in a child; its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException as failure:
        print(f"{type(failure).__name__}: {failure}", file=sys.stderr)
    finally:
        os._exit(code)


def opened(folder: Path) -> PaperSession:
    """The session in a folder, begun or resumed."""
    if not (folder / JOURNAL_FILE).exists():
        return begin(plan_in(folder), lambda: 1, served_again)
    plan, _ = plan_of(folder)
    return resume(plan, lambda: 1, served_again)


def play_until_killed_after(folder: Path, records: int) -> None:
    """Play, and be killed right after so many more records were written."""
    session = opened(folder)
    written = [0]
    for name in ("stage", "append_ticks", "commit"):
        _count(session.writer, name, written, records)
    session.run()


def _count(writer: JournalWriter, name: str, written: list[int], limit: int) -> None:
    method = getattr(writer, name)

    def counted(*arguments: Any) -> Any:
        result = method(*arguments)
        written[0] += 1
        if written[0] >= limit:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(writer, name, counted)


def ended(child: int) -> bool:
    """Wait for a child; whether it came to its end by itself. Raises Failed for a fault."""
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return False
    if os.WEXITSTATUS(status):
        raise Failed(f"a session ended with code {os.WEXITSTATUS(status)}")
    return True


def killed_session(folder: Path, draws: random.Random, expected: Outcome, seconds: float) -> int:
    """Play a session that is killed again and again; how often it was. Raises Failed."""
    kills = 0
    while True:
        if kills >= CHAIN_MAX:
            child = forked(lambda: opened(folder).run())
        elif draws.random() < 0.5:
            limit = draws.randrange(1, len(expected.records) // 3)
            child = forked(partial(play_until_killed_after, folder, limit))
        else:
            child = forked(lambda: opened(folder).run())
            time.sleep(draws.random() * seconds)
            os.kill(child, signal.SIGKILL)
        if ended(child):
            break
        kills += 1
        if has_come_to_its_end(folder):
            break
    found = outcome_of(folder)
    if found != expected:
        raise Failed(f"{folder}: after {kills} kills: {_difference(found, expected)}")
    return kills


def has_come_to_its_end(folder: Path) -> bool:
    """Whether the kill came behind the session's last record."""
    if not (folder / JOURNAL_FILE).exists():
        return False
    with JournalFile.open(folder / JOURNAL_FILE) as file:
        return has_ended(file)


def _difference(found: Outcome, expected: Outcome) -> str:
    for number, (one, other) in enumerate(zip(found.records, expected.records, strict=False)):
        if one != other:
            return f"record {number} is {one}, without kills {other}"
    return f"{len(found.records)} records, without kills {len(expected.records)}"


def run(count: int, seed: int, tell: Callable[[str], None] = lambda text: None) -> tuple[int, int]:
    """Kill sessions so often in all: (kills, sessions). Raises Failed at the first fault."""
    draws = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=_QUICK if os.access(_QUICK, os.W_OK) else None) as place:
        opened(Path(place) / "first").run()  # so that the children find the exchange's code loaded
        calm = Path(place) / "calm"
        began = time.monotonic()
        if not ended(forked(lambda: opened(calm).run())):
            raise Failed("the session that nobody kills was killed")
        seconds = time.monotonic() - began
        expected = outcome_of(calm)
        tell(f"without kills: {len(expected.records)} records, {seconds:.2f} s")
        kills = sessions = 0
        while kills < count:
            kills += killed_session(Path(place) / str(sessions), draws, expected, seconds)
            sessions += 1
            if sessions % 20 == 0:
                tell(f"{kills} kills, {sessions} sessions")
    return kills, sessions


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    kills, sessions = run(chosen.count, chosen.seed, lambda text: print(text, flush=True))
    print(f"{kills} kills of {sessions} sessions: nothing lost, nothing doubled, all the same")


if __name__ == "__main__":
    main()
