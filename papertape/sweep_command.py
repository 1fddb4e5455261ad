"""`papertape sweep`: run the grid, write the table, print the best, give the exit code."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from papertape.run_command import INTERRUPTED, OK, REFUSED, SCRIPT_FAILED
from papertape.sweep_progress import figure_text, parameters_text
from papertape.sweeping import SweepRequest, Swept, perform_sweep
from scenarios.processes import TimeLimitError, WorkerDiedError
from scenarios.runner import REFUSALS, ScriptError
from scenarios.sweep import Objective, Row, SweepInterrupted

BEST_SHOWN = 10
FAILURES_SHOWN = 5
_SHOWN = ("net", "open_profit", "max_drawdown", "trades", "fills", "ambiguous_fills")


def perform(make_request: Callable[[], SweepRequest]) -> int:
    """Do the sweep that `make_request` describes. Returns the exit code; see papertape.cli."""
    try:
        request = make_request()
        began = time.perf_counter()
        swept = perform_sweep(request)
    except (ScriptError, WorkerDiedError, TimeLimitError) as failure:
        _tell(f"papertape: the script fails before any run\n{failure}")
        return SCRIPT_FAILED
    except REFUSALS as refusal:
        _tell(f"papertape: {refusal}")
        return REFUSED
    except SweepInterrupted as interrupted:
        where = f" are in {interrupted.file}" if interrupted.file else ""
        _tell(f"papertape: interrupted; the {len(interrupted.table)} runs that had ended{where}")
        return INTERRUPTED
    except KeyboardInterrupt:
        _tell("papertape: interrupted; nothing had run")
        return INTERRUPTED
    _print(swept, request.objective, time.perf_counter() - began)
    return SCRIPT_FAILED if any(row.error is not None for row in swept.rows) else OK


def _print(swept: Swept, objective: Objective, seconds: float) -> None:
    console = Console(highlight=False)
    best = objective.best(swept.rows)
    if best:
        console.print(_table(best[:BEST_SHOWN], objective))
    failed = [row for row in swept.rows if row.error is not None]
    console.print(
        f"{len(swept.rows):,} runs in {seconds:.1f} s, {len(failed):,} failed; "
        f"best first by {objective.text}"
    )
    _print_failures(console, failed)
    console.print(f"table  {swept.file}", soft_wrap=True)


def _table(rows: Sequence[Row], objective: Objective) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    names = list(rows[0].parameters)
    figures = list(dict.fromkeys([objective.figure, *_SHOWN]))
    for name in names:
        table.add_column(name, style="bold")
    for figure in figures:
        table.add_column(figure.replace("_", " ").removesuffix(" fills"), justify="right")
    for row in rows:
        values = [escape(str(row.parameters[name])) for name in names]
        table.add_row(*values, *(figure_text(row.figures.get(figure)) for figure in figures))
    return table


def _print_failures(console: Console, failed: Sequence[Row]) -> None:
    """The commonest errors by their last line, each with one combination that has it."""
    last = {id(row): (row.error or "").rstrip().rpartition("\n")[2] for row in failed}
    for text, count in Counter(last.values()).most_common(FAILURES_SHOWN):
        example = next(row for row in failed if last[id(row)] == text)
        console.print(
            f"{count:,} x {text}  ({parameters_text(example)})", style="red", markup=False
        )


def _tell(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201
