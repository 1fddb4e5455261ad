"""`papertape sweep`: run the grid, write the table, print the best, give the exit code."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from papertape.ending import INTERRUPTED, OK, REFUSED, SCRIPT_FAILED, say
from papertape.sweep_progress import figure_text, parameters_text
from papertape.sweeping import SweepRequest, Swept, perform_sweep
from scenarios.processes import TimeLimitError, WorkerDiedError
from scenarios.runner import REFUSALS, ScriptError
from scenarios.sweep import Objective, Row, SweepInterrupted
from scenarios.walk_forward import stitched

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
        say(f"papertape: the script fails before any run\n{failure}")
        return SCRIPT_FAILED
    except REFUSALS as refusal:
        say(f"papertape: {refusal}")
        return REFUSED
    except SweepInterrupted as interrupted:
        where = f" are in {interrupted.file}" if interrupted.file else ""
        say(f"papertape: interrupted; the {len(interrupted.table)} runs that had ended{where}")
        return INTERRUPTED
    except KeyboardInterrupt:
        say("papertape: interrupted; nothing had run")
        return INTERRUPTED
    _print(swept, request.objective, time.perf_counter() - began)
    tests = [each.test for each in swept.walked if each.test is not None]
    is_failed = any(row.error is not None for row in (*swept.rows, *tests))
    return SCRIPT_FAILED if is_failed else OK


def _print(swept: Swept, objective: Objective, seconds: float) -> None:
    console = Console(highlight=False)
    best = objective.best(swept.rows)
    if best and not swept.walked:
        console.print(_table(best[:BEST_SHOWN], objective))
    tests = [each.test for each in swept.walked if each.test is not None]
    if not best and any(row.error is None for row in swept.rows):
        limits = ", ".join(each.text for each in objective.constraints)
        console.print(f"no run keeps to {limits}", style="yellow", markup=False)
    failed = [row for row in (*swept.rows, *tests) if row.error is not None]
    console.print(
        f"{len(swept.rows):,} runs in {seconds:.1f} s, {len(failed):,} failed; "
        f"best first by {objective.text}"
    )
    _print_failures(console, failed)
    _print_luck(console, swept)
    _print_walked(console, swept, objective)
    console.print(f"table  {swept.file}", soft_wrap=True)
    if swept.page is not None:
        console.print(f"page   {swept.page}", soft_wrap=True)


def _print_luck(console: Console, swept: Swept) -> None:
    luck = swept.luck
    if luck is None or luck.deflated is None or luck.probability is None:
        return
    console.print(
        f"deflated Sharpe ratio of the best {luck.deflated:.2f}, probability of overfitting "
        f"{luck.probability:.2f}"
    )


def _print_walked(console: Console, swept: Swept, objective: Objective) -> None:
    """Every window with what was chosen, and what came of it out of sample."""
    if not swept.walked:
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("window", "chosen", f"{objective.figure} in", f"{objective.figure} out"):
        table.add_column(name, justify="left" if name == "chosen" else "right")
    for number, each in enumerate(swept.walked, start=1):
        parts = [None if row is None else row.figures.get(objective.figure)
                 for row in (each.best, each.test)]  # fmt: skip
        chosen = "nothing was allowed" if each.best is None else parameters_text(each.best)
        table.add_row(str(number), escape(chosen), *map(figure_text, parts))
    console.print(table)
    told = stitched(swept.walked)
    share = "-" if told["efficiency"] is None else f"{told['efficiency']:.0%}"
    console.print(
        f"out of sample: profit {figure_text(told['profit'])}, max drawdown "
        f"{figure_text(told['max_drawdown'])}, {told['trades']:,} trades, efficiency {share}"
    )


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
