"""`papertape sweep`: its options, made a request."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from papertape.options import (
    As,
    Assignments,
    Cash,
    Catalog,
    Config,
    Instruments,
    Queue,
    Risk,
    Seed,
    Strategy,
    Tapes,
    changes_of,
    subject_of,
)
from scenarios.parameters import split_assignments, split_settings
from scenarios.settings import with_settings, with_tapes

if TYPE_CHECKING:
    from papertape.sweeping import SweepRequest

_DRAWING, _WALKING = "Drawing a sample", "Walk-forward"


_Script = Annotated[
    Path,
    typer.Argument(
        help="a Python file, or a scenario: its folder or scenario.toml", show_default=False
    ),
]
_Grid = Annotated[
    list[str],
    typer.Option(
        "--grid",
        metavar="KEY=VALUES",
        help="a parameter's values: 20,40,80 or 5:50:5 (both ends included); repeatable",
    ),
]
_Objective = Annotated[
    str, typer.Option(help="the figure whose most is best; with a minus, its least")
]
_Constraints = Annotated[
    list[str] | None,
    typer.Option(metavar="CONDITION", help="what is best keeps to: max_drawdown<500"),
]
_AtRandom = Annotated[
    int | None,
    typer.Option(
        "--random", metavar="N", help="N combinations drawn at random", rich_help_panel=_DRAWING
    ),
]
_Lhs = Annotated[
    int | None,
    typer.Option(metavar="N", help="N combinations of a Latin hypercube", rich_help_panel=_DRAWING),
]
_DrawSeed = Annotated[int, typer.Option(help="seed of the drawing", rich_help_panel=_DRAWING)]
_Windows = Annotated[
    int | None,
    typer.Option(
        metavar="WINDOWS",
        help="choose in sample, play out of sample, this many times",
        rich_help_panel=_WALKING,
    ),
]
_Train = Annotated[
    int,
    typer.Option(help="length in sample, in windows out of sample", rich_help_panel=_WALKING),
]
_Anchored = Annotated[
    bool,
    typer.Option("--anchored", help="in sample from the tape's start on", rich_help_panel=_WALKING),
]
_Processes = Annotated[
    int | None, typer.Option(min=0, help="0: all in this one; default one a processor")
]
_Scheduler = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="a Dask cluster: tcp://host:8786")
]
_Out = Annotated[
    Path | None,
    typer.Option(help="a new .parquet or .csv; default runs/<script>-sweep-<digest>.parquet"),
]
_Axes = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY", help="a parameter of the heat map; twice for two"),
]
_NoPage = Annotated[bool, typer.Option("--no-page", help="write no page beside the table")]
_TimeLimit = Annotated[
    float | None, typer.Option(min=0.001, help="seconds of real time for one run")
]
_Keep = Annotated[
    Path | None, typer.Option(help="write the run folder of every run below this folder")
]


def sweep(
    script: _Script,
    grid: _Grid,
    tape: Tapes = None,
    instrument: Instruments = None,
    strategy: Strategy = None,
    assignments: Assignments = None,
    objective: _Objective = "net",
    constraint: _Constraints = None,
    at_random: _AtRandom = None,
    lhs: _Lhs = None,
    draw_seed: _DrawSeed = 0,
    walk_forward: _Windows = None,
    train: _Train = 3,
    anchored: _Anchored = False,
    processes: _Processes = None,
    scheduler: _Scheduler = None,
    out: _Out = None,
    axis: _Axes = None,
    no_page: _NoPage = False,
    time_limit: _TimeLimit = None,
    keep: _Keep = None,
    as_name: As = None,
    config: Config = None,
    catalog: Catalog = None,
    cash: Cash = None,
    queue: Queue = None,
    seed: Seed = None,
    risk: Risk = None,
) -> None:
    """Run a strategy with every combination of a grid of parameters, or with a sample of them."""
    from scenarios.processes import expect_runs_of, start_server_early

    if processes != 0 and scheduler is None:
        expect_runs_of(script)
        start_server_early()  # it loads what the runs need while this process loads the rest
    from papertape.sweep_command import perform
    from papertape.sweeping import SweepRequest, space_of
    from scenarios.combinations import Plan
    from scenarios.grid import axes_of_texts
    from scenarios.sweep import Constraint, Objective
    from scenarios.sweep_run import Where
    from scenarios.walk_forward import WalkForward

    def request() -> SweepRequest:
        arguments, settings = split_settings(assignments or [])
        what, defaults = subject_of(script, strategy, as_name, config, catalog or [])
        what = replace(what, assignments=split_assignments(arguments))
        defaults = with_tapes(defaults, tape or [], instrument or [])
        changes = changes_of(settings, {"queue": queue, "seed": seed})
        return SweepRequest(
            Plan(what, with_settings(defaults, changes, cash, risk), keep),
            space_of(axes_of_texts(grid), at_random, lhs, draw_seed),
            Objective(objective, tuple(map(Constraint, constraint or []))),
            Where(processes, scheduler, time_limit=time_limit),
            None if walk_forward is None else WalkForward(walk_forward, train, anchored),
            out=out,
            named=True,
            page=not no_page,
            axes=tuple(axis or ()),
        )

    raise typer.Exit(perform(request))
