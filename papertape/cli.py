"""The command line: `papertape run | sweep | check | demo | explain | compare | ...`.

Exit codes: 0 the run ended; 1 the script itself failed (its traceback is shown); 2 something was
refused before or during the run: an argument, a file, a setting, an order that the script did not
expect to be refused; 3 a paper session that is played again differs; 130 interrupted. A script that
leaves by `sys.exit(n)` ends with that `n`. docs/operations.md has the codes of every command.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from broker_api.config import SessionDefaults
from papertape.data_command import app as data_app
from papertape.ending import INTERRUPTED, say
from papertape.fork_cli import fork
from papertape.live_cli import live
from papertape.options import (
    As,
    Assignments,
    Cash,
    Catalog,
    Config,
    For,
    Instruments,
    Out,
    Queue,
    Risk,
    ScriptFile,
    Seed,
    Strategy,
    Tapes,
    changes_of,
    subject_of,
)
from papertape.paper_cli import paper
from papertape.serve_command import app as serve_app
from papertape.sweep_cli import sweep
from papertape.ui_cli import stop, ui
from scenarios.parameters import split_assignments, split_settings
from scenarios.settings import with_settings, with_tapes


class Commands(TyperGroup):
    """The commands; Ctrl-C in one that does not expect it, or before it has begun, is told."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say("papertape: interrupted")
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    name="papertape",
    cls=Commands,
    help="Rehearse trading strategies on a tape of historical ticks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")
app.add_typer(serve_app, name="serve")

_NoReport = Annotated[bool, typer.Option("--no-report", help="write no report.html")]
_Bounds = Annotated[
    bool,
    typer.Option(
        "--bounds",
        help="also play the script at the front and at the back of every queue and report the span "
        "of results; the script runs three times, with all that it does besides: files, messages",
    ),
]
_EveryRow = Annotated[
    bool,
    typer.Option("--visit-every-row", help="visit every row instead of jumping (same digest)"),
]


@app.command()
def run(
    script: ScriptFile,
    tape: Tapes = None,
    instrument: Instruments = None,
    strategy: Strategy = None,
    assignments: Assignments = None,
    out: Out = None,
    as_name: As = None,
    config: Config = None,
    catalog: Catalog = None,
    cash: Cash = None,
    queue: Queue = None,
    seed: Seed = None,
    risk: Risk = None,
    venue: For = None,
    no_report: _NoReport = False,
    bounds: _Bounds = False,
    visit_every_row: _EveryRow = False,
) -> None:
    """Run a script, a strategy function of it, or a scenario, on a tape in simulated time."""
    from papertape.run_command import Request, perform

    def request() -> Request:
        arguments, settings = split_settings(assignments or [])
        what, defaults = subject_of(script, strategy, as_name, config, catalog or [])
        what = replace(what, assignments=split_assignments(arguments))
        defaults = with_tapes(defaults, tape or [], instrument or [])
        options = {"queue": queue, "seed": seed, "visit_every_row": visit_every_row or None}
        defaults = with_settings(defaults, changes_of(settings, options), cash, risk)
        defaults = replace(defaults, rehearse_for=venue or defaults.rehearse_for)
        return Request(what, defaults, out, not no_report, bounds)

    raise typer.Exit(perform(request))


app.command()(sweep)


@app.command()
def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="files of scenarios, or folders to look in", show_default="."),
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="accept what the scenarios do now")
    ] = False,
    junit: Annotated[Path | None, typer.Option(help="write the result as JUnit XML")] = None,
    markdown: Annotated[Path | None, typer.Option(help="write a summary in Markdown")] = None,
    out: Annotated[Path, typer.Option(help="folder for the runs that are not as expected")] = Path(
        "runs/check"
    ),
    processes: Annotated[
        int | None, typer.Option(min=0, help="0: all in this one; default one a processor")
    ] = None,
    storm: Annotated[
        int | None, typer.Option(min=1, help="play each in so many storms, and judge invariants")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=1 << 62, help="the first storm's seed")] = 1,
    storm_seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=1 << 62, help="play the storm of this seed again, into a run folder"
        ),
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="print the JSON schema of scenario.toml for editors")
    ] = False,
) -> None:
    """Run scenarios and compare them with what is expected of them."""
    from papertape.check_command import CheckRequest, perform, print_schema

    if schema:
        raise typer.Exit(print_schema())
    places = paths or [Path()]
    if storm is not None or storm_seed is not None:
        if update:
            raise typer.BadParameter("a storm is nothing to accept: leave --update out")
        from papertape.storm_command import StormRequest, perform_one, perform_storms

        if storm_seed is not None:
            raise typer.Exit(perform_one(places, storm_seed, out))
        request = StormRequest(places, storm or 0, seed, junit, markdown, processes)
        raise typer.Exit(perform_storms(request))
    raise typer.Exit(perform(CheckRequest(places, update, out, junit, markdown, processes)))


app.command()(paper)
app.command()(live)
app.command()(ui)
app.command()(stop)
app.command()(fork)


@app.command()
def demo(out: Out = None, no_report: _NoReport = False) -> None:
    """Run the bracket strategy of examples/bracket.py on the sample tape of MNQ."""
    from papertape.run_command import Request, perform
    from scenarios.runner import Script

    script = Script(Path(__file__).resolve().parent.parent / "examples" / "bracket.py")
    defaults = SessionDefaults(instruments=("MNQ",))
    raise typer.Exit(perform(lambda: Request(script, defaults, out, not no_report)))


@app.command()
def explain(
    run: Annotated[Path, typer.Argument(help="a run folder", show_default=False)],
    order: Annotated[
        str, typer.Argument(help="an order id, or a client order id", show_default=False)
    ],
    tape: Annotated[
        list[str] | None,
        typer.Option("--tape", help="FILE or SYMBOL=FILE: where a tape of the run lies now"),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--all", help="every line of the table, however many")
    ] = False,
) -> None:
    """Tell why an order of a run did, or did not, fill, by replaying the run."""
    from papertape.explain_command import perform

    raise typer.Exit(perform(run, order, tape or [], whole=whole))


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="a run folder", show_default=False)],
    second: Annotated[Path, typer.Argument(help="another run folder", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="the page; default compare-<first>-<second>.html")
    ] = None,
    window: Annotated[
        float,
        typer.Option(min=0, help="seconds that decisions of one order may lie apart"),
    ] = 5.0,
) -> None:
    """Compare two runs: pair their orders and say what the difference of their results is of."""
    from papertape.compare_command import perform

    raise typer.Exit(perform(first, second, out, window))


@app.command()
def doctor(
    url: Annotated[
        list[str] | None, typer.Option(help="a server that has to be reached; repeatable")
    ] = None,
    folder: Annotated[Path, typer.Option(help="where sessions will be written")] = Path("runs"),
) -> None:
    """Look at what may keep papertape from working here: versions, clock, disk, keys, network."""
    import os

    from papertape.doctor import perform

    raise typer.Exit(perform(folder, url or [], os.environ))


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(importlib.metadata.version("papertape"))


def main() -> None:
    """Run the command of this process's arguments."""
    app(prog_name="papertape")


if __name__ == "__main__":
    main()
