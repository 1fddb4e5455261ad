"""The options of `papertape paper`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker_api.errors import ConfigurationError

_Options = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="KEY=VALUE", help="a setting of a live feed"),
]
_Log = Annotated[
    str | None, typer.Option(help='a file for JSON lines of what happens, "-": standard error')
]
_MetricsPort = Annotated[
    int | None,
    typer.Option(min=0, max=65_535, help="serve figures for Prometheus on this port of 127.0.0.1"),
]


def paper(
    scenario: Annotated[
        Path | None, typer.Argument(help="a scenario.toml or its folder", show_default=False)
    ] = None,
    feed: Annotated[
        str, typer.Option(help="the market: replay (the scenario's tapes), hyperliquid, projectx")
    ] = "replay",
    speed: Annotated[
        str, typer.Option(help='seconds of a replay that go by in one second, or "max"')
    ] = "1",
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="an argument for the strategy"),
    ] = None,
    options: _Options = None,
    out: Annotated[
        Path | None, typer.Option(help="the session's folder; default runs/<scenario>-paper-<time>")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="go on with the session in this folder")
    ] = None,
    verify: Annotated[
        Path | None,
        typer.Option(help="play the session in this folder again and say whether it is the same"),
    ] = None,
    ui: Annotated[bool, typer.Option("--ui", help="print the address of the page")] = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="write no report.html")] = False,
    no_parity: Annotated[
        bool, typer.Option("--no-parity", help="do not play the session again at its end")
    ] = False,
    log: _Log = None,
    metrics_port: _MetricsPort = None,
) -> None:
    """Trade a scenario on a market that is going on, with simulated fills."""
    from dataclasses import replace

    from broker_api.wall_clock import WallClock
    from papertape.paper_command import (
        PaperRequest,
        new_request,
        perform_paper,
        resumed_request,
        speed_of,
        verified,
    )
    from papertape.watching.outside import Outside
    from scenarios.paper_feed import FeedPlan
    from scenarios.parameters import literal, split_assignments
    from scenarios.scenario import read_scenario

    if verify is not None:
        raise typer.Exit(verified(verify))

    def request() -> PaperRequest:
        if resume is not None:
            if scenario is not None:
                raise ConfigurationError("--resume goes on with the scenario that its folder names")
            asked = resumed_request(resume)
        elif scenario is None:
            raise ConfigurationError("name a scenario, or a folder to --resume or --verify")
        else:
            own = {key: literal(text) for key, text in split_assignments(options or []).items()}
            plan = FeedPlan(feed, speed_of(speed), WallClock().now_ns(), own)
            asked = new_request(
                read_scenario(scenario), split_assignments(assignments or []), plan, out
            )
        asked = replace(asked, report=not no_report, parity=not no_parity, shows_page=ui)
        return replace(asked, outside=Outside(log, metrics_port))

    raise typer.Exit(perform_paper(request))
