"""The bulk driver shares a range of seeds out, counts, and shrinks what differs."""

from __future__ import annotations

from typing import Any

import pytest

from broker_api.order import OrderType
from sim.reference import queue
from tests.differential.census import table
from tests.differential.run import CHUNK, Plan, report, run
from tests.differential.shrink import shrunk


@pytest.mark.slow
def test_a_run_in_two_processes_is_the_run_in_one() -> None:
    plan = Plan(0, CHUNK + 10, steps=4, counting=True)
    alone, shared = run(plan, 1, quiet=True), run(plan, 2, quiet=True)
    assert alone == shared
    assert alone.end == plan.end
    assert alone.events > 0


def test_the_fingerprint_tells_runs_apart() -> None:
    assert run(Plan(0, 3), 1).fingerprint == run(Plan(0, 3), 1).fingerprint
    assert run(Plan(0, 3), 1).fingerprint != run(Plan(1, 4), 1).fingerprint


def _one_lot_more(*given: Any) -> int | None:
    depth = ORIGINAL_DEPTH(*given)
    return None if depth is None else depth + 1024


ORIGINAL_DEPTH = queue.depth


def test_a_difference_is_shrunk_to_what_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "depth", _one_lot_more)
    whole = run(Plan(0, 100), 1)
    (seed,) = whole.failed
    assert whole.end == seed + 1
    story = shrunk(seed)
    lines = story.splitlines()
    assert lines[0] in {f"seed {seed}, {count} steps:" for count in (1, 2, 3)}
    assert "places: kernel" in story
    assert OrderType.LIMIT.name.lower() in story
    text = report(Plan(0, 100), whole, 1.0)
    assert story in text
    assert f"--seeds {seed}:{seed + 1}" in text


def test_the_census_counts_rows_commands_and_events() -> None:
    counts = run(Plan(0, 20, counting=True), 1).counts
    assert counts["row quote"] > counts["row trade"] > 0
    assert counts["send OrderRequest"] > 0
    assert counts["OrderAccepted"] > counts["OrderFilled TAKER"] > 0
    assert f"{counts['row quote']:12,}  row quote" in table(counts, 20)
