"""`papertape run --bounds`: the same script once more at each end of the queue.

Each extreme is a run of its own: the module is executed anew on new virtual loops, only the queue
model differs, also where the script names one itself. What the script prints then is not shown.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

from broker_api.config import SessionDefaults
from papertape.progress import progress_bar
from reports.bounds import BoundRun, Bounds, bound_run
from reports.metrics import Metrics, measure
from reports.run import RunRecord
from scenarios.recording import record_of
from scenarios.run_folder import run_digest
from scenarios.runner import REFUSALS, Outcome, Script, ScriptError, play

EXTREMES = ("front", "back")


def bounds_of(
    script: Script,
    defaults: SessionDefaults,
    sessions: Sequence[Any],
    measured: Sequence[tuple[RunRecord, Metrics]],
) -> Bounds:
    """The configured run, `sessions` with their figures, between the two extremes of the queue.

    An extreme that fails is part of the answer. A configured run that is one is not repeated.
    """
    queues = sorted({_queue_of(suite) or "none" for suite in sessions})
    digest = run_digest([record.digest for record, _ in measured])
    configured = bound_run(", ".join(queues), digest, measured, is_configured=True)
    others = [_extreme(script, defaults, queue) for queue in EXTREMES if [queue] != queues]
    return Bounds(measured[0][0].currency if measured else "", (configured, *others))


def _extreme(script: Script, defaults: SessionDefaults, queue: str) -> BoundRun:
    """One extreme's figures, or how it failed."""
    forced = {**defaults.forced, "queue": queue}
    try:
        with (
            progress_bar() as watch,
            Path(os.devnull).open("w", encoding="utf-8") as nowhere,
            redirect_stdout(nowhere),
        ):
            outcome = play(script, replace(defaults, sessions=[], forced=forced), watch)
    except (ScriptError, *REFUSALS) as failure:
        return BoundRun.failed(queue, str(failure).rstrip().rpartition("\n")[2])
    return _figures(script, outcome, queue)


def _figures(script: Script, outcome: Outcome, queue: str) -> BoundRun:
    if outcome.exit_code:
        return BoundRun.failed(queue, f"the script left with code {outcome.exit_code}")
    if any(_queue_of(suite) != queue for suite in outcome.sessions):
        return BoundRun.failed(queue, "the script made its broker itself, with another queue")
    records = [record_of(script, outcome, suite) for suite in outcome.sessions]
    measured = [(record, measure(record)) for record in records]
    return bound_run(queue, run_digest([record.digest for record in records]), measured)


def _queue_of(suite: Any) -> str | None:
    """The queue model of a session's broker, None of one that simulates none."""
    spec = getattr(suite.session.broker, "spec", None)
    return None if spec is None else str(spec.simulation.queue)
