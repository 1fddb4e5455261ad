"""Many random sessions through both exchanges: python -m tests.differential.run --seeds 0:1000.

A session is made from its number alone, so a range of numbers is all that it takes to repeat a run,
to go on with one, or to share one out. Two processes by default. The first differences are shrunk
to a short story. See README.md in this folder.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from tests.differential.census import Counts, census, table
from tests.differential.drive import RUN, STEPS, DifferenceError, run_seed
from tests.differential.shrink import shrunk

CHUNK = 250
"""Sessions that a process runs before it reports."""
PROGRESS_S = 10.0


@dataclass
class Part:
    """What a range of seeds gave."""

    first: int
    end: int
    events: int = 0
    fingerprint: str = ""
    counts: Counts = field(default_factory=Counter)
    failed: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What is asked for."""

    first: int
    end: int
    steps: int = STEPS
    stop_after: int = 1
    counting: bool = False
    watch: int = 1


def run_part(plan: Plan, first: int, end: int) -> Part:
    """Run the seeds from `first` to before `end`."""
    part, digest = Part(first, end), hashlib.sha256()
    for seed in range(first, end):
        try:
            ran = run_seed(seed, plan.steps, seed % plan.watch == 0)
        except DifferenceError as difference:
            part.failed[seed] = str(difference)
            if len(part.failed) >= plan.stop_after:
                part.end = seed + 1
                break
            continue
        part.events += len(ran.events)
        digest.update(ran.fingerprint.encode())
        if plan.counting:
            part.counts += census(ran)
    part.fingerprint = digest.hexdigest()
    return part


def parts(plan: Plan, jobs: int) -> Iterator[Part]:
    """The parts in order; a few are always under way."""
    bounds = [(at, min(at + CHUNK, plan.end)) for at in range(plan.first, plan.end, CHUNK)]
    if jobs == 1:
        yield from (run_part(plan, first, end) for first, end in bounds)
        return
    waiting: list[Future[Part]] = []
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        try:
            for first, end in bounds:
                waiting.append(pool.submit(run_part, plan, first, end))
                if len(waiting) > 2 * jobs:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()


def run(plan: Plan, jobs: int = 2, *, quiet: bool = False) -> Part:
    """All of it as one part, with a line of progress now and then."""
    whole, digest = Part(plan.first, plan.first), hashlib.sha256()
    began = told = time.perf_counter()
    for part in parts(plan, jobs):
        whole.end = part.end
        whole.events += part.events
        whole.counts += part.counts
        whole.failed |= part.failed
        digest.update(part.fingerprint.encode())
        now = time.perf_counter()
        if not quiet and now - told >= PROGRESS_S:
            told = now
            _tell_progress(plan, whole, now - began)
        if len(whole.failed) >= plan.stop_after:
            break
    whole.fingerprint = digest.hexdigest()
    return whole


def _tell_progress(plan: Plan, whole: Part, took_s: float) -> None:
    done, left = whole.end - plan.first, plan.end - whole.end
    rate = done / took_s
    print(
        f"{done:,} sessions to seed {whole.end:,}, {rate:.0f}/s, {left / rate / 60:.0f} min left; "
        f"stopped here, it goes on with --seeds {whole.end}:{plan.end}",
        file=sys.stderr,
        flush=True,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0:1000", help="FIRST:END, the end left out")
    parser.add_argument("--steps", type=int, default=STEPS, help="of one session")
    parser.add_argument("--stop-after", type=int, default=1, help="differences to find")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument(
        "--watch", type=int, default=1, help="compare states after every step of one session in N"
    )
    parser.add_argument("--census", action="store_true", help="count what happened")
    parser.add_argument("--write", type=Path, help="a file for the summary and the differences")
    return parser.parse_args()


def main() -> int:
    """Run the seeds; 1 when the exchanges differ anywhere."""
    given, began = _arguments(), time.perf_counter()
    first, end = (int(part) for part in given.seeds.split(":"))
    plan = Plan(first, end, given.steps, given.stop_after, given.census, given.watch)
    whole = run(plan, given.jobs)
    text = report(plan, whole, time.perf_counter() - began)
    print(text)
    if given.write is not None:
        given.write.write_text(text + "\n", encoding="utf-8")
    return 1 if whole.failed else 0


def report(plan: Plan, whole: Part, took_s: float) -> str:
    """The summary, the census if there is one, and every difference in full and shrunk."""
    lines = []
    sessions = whole.end - whole.first
    if plan.counting:
        lines += [table(whole.counts, sessions)]
    for seed, told in sorted(whole.failed.items()):
        lines += [
            told,
            f"shrunk:\n{shrunk(seed, plan.steps)}",
            f"again: {RUN} {seed}:{seed + 1}",
            "",
        ]
    differ = ", ".join(map(str, sorted(whole.failed))) or "none"
    lines += [
        f"{sessions:,} sessions ({whole.first}:{whole.end}) of {plan.steps} steps, "
        f"{whole.events:,} events, {took_s:.0f} s; fingerprint {whole.fingerprint[:16]}; "
        f"differ: {differ}"
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
