"""The options of `papertape fork`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def fork(
    run: Annotated[Path, typer.Argument(help="a run folder", show_default=False)],
    at: Annotated[int, typer.Option(help="the number of an event of the run, from 1")],
    assignments: Annotated[
        list[str],
        typer.Option("--set", metavar="NAME=VALUE", help="an argument of the strategy"),
    ],
    script: Annotated[
        Path | None, typer.Option(help="the run's script, if it is not in the working directory")
    ] = None,
    tape: Annotated[
        list[str] | None,
        typer.Option("--tape", help="FILE or SYMBOL=FILE: where a tape of the run lies now"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="the fork's folder")] = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="write no report.html")] = False,
) -> None:
    """Play a run again to one of its events, and from there with other arguments; compare both."""
    from papertape.fork_command import perform

    code = perform(run, at, assignments, script, tape or [], out, report=not no_report)
    raise typer.Exit(code)
