"""Many random sessions through both exchanges: python -m tests.differential.run --seeds 0:1000."""

from __future__ import annotations

import argparse
import time
import traceback

from tests.differential.drive import STEPS, DifferenceError, run_seed


def main() -> int:
    """Run the seeds; the number of those that differ, each with its first difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0:1000", help="FIRST:END, the end left out")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--stop-after", type=int, default=1, help="differences to show")
    parser.add_argument("--traceback", action="store_true")
    given = parser.parse_args()
    first, end = (int(part) for part in given.seeds.split(":"))
    failed, events, began = [], 0, time.perf_counter()
    for seed in range(first, end):
        try:
            events += len(run_seed(seed, given.steps).events)
        except DifferenceError as difference:
            failed.append(seed)
            print(difference, end="\n\n")
            if given.traceback:
                traceback.print_exc()
            if len(failed) >= given.stop_after:
                break
    took = time.perf_counter() - began
    count = seed + 1 - first
    print(f"{count} sessions, {events:,} events, {took:.0f} s; differ: {failed or 'none'}")
    return min(len(failed), 100)


if __name__ == "__main__":
    raise SystemExit(main())
