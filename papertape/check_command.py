"""`papertape check`: scenarios against their expectation, files for CI, the exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

from rich.console import Console

from papertape.ending import OK, SCRIPT_FAILED, ended
from scenarios.check import Checked, check_all, find_scenarios, tasks_of
from scenarios.check_report import counts_text, details, write_results

_STYLES = {"passed": "green", "accepted": "cyan"}


@dataclass(frozen=True)
class CheckRequest:
    """A check as it was asked for. `out` gets the runs that are not as expected.

    `processes` 0: all in this process; None: one a processor.
    """

    paths: Sequence[Path]
    update: bool
    out: Path
    junit: Path | None = None
    markdown: Path | None = None
    processes: int | None = None


def perform(request: CheckRequest) -> int:
    """Check the scenarios and print what came of each. Returns the exit code: 1 when any failed."""

    def work() -> int:
        return OK if all(each.is_fine for each in _run(request)) else SCRIPT_FAILED

    return ended(work)


def _run(request: CheckRequest) -> list[Checked]:
    files = find_scenarios(request.paths)
    tasks = tasks_of(files, request.out, update=request.update)
    console = Console(highlight=False, soft_wrap=True)
    results = []
    for each in check_all(tasks, request.processes):
        results.append(each)
        _print(console, each)
    order = {str(file): number for number, file in enumerate(files)}
    results.sort(key=lambda each: order[each.file])
    write_results(results, request.junit, request.markdown)
    noun = "scenario" if len(results) == 1 else "scenarios"
    console.print(f"{len(results)} {noun}: {counts_text(results)}")
    return results


def _print(console: Console, checked: Checked) -> None:
    style = _STYLES.get(checked.status, "red")
    console.print(f"{checked.status:<8}", style=style, end=" ", markup=False)
    console.print(f"{checked.name}  {checked.seconds:.2f} s", markup=False)
    for note in checked.notes:
        console.print(f"         {note}", style="dim", markup=False)
    for text in details(checked) if not checked.is_fine else ():
        console.print(indent(text, " " * 9), markup=False)


def print_schema() -> int:
    """Print the JSON schema of a scenario's file."""
    from scenarios.scenario_schema import scenario_schema

    print(json.dumps(scenario_schema(), indent=2))  # noqa: T201
    return OK
