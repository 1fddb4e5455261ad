"""The options of `papertape paper`."""

from __future__ import annotations

from collections.abc import Mapping
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


_Scenario = Annotated[
    Path | None, typer.Argument(help="a scenario.toml or its folder", show_default=False)
]
_Feed = Annotated[
    str | None,
    typer.Option(
        help="the market: replay (the scenario's tapes; the default), hyperliquid, projectx"
    ),
]
_Speed = Annotated[
    str | None,
    typer.Option(help='seconds of a replay that go by in one second, or "max"; default 1'),
]
_Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="an argument for the strategy"),
]
_Out = Annotated[
    Path | None, typer.Option(help="the session's folder; default runs/<scenario>-paper-<time>")
]
_Resume = Annotated[Path | None, typer.Option(help="go on with the session in this folder")]
_Verify = Annotated[
    Path | None,
    typer.Option(help="play the session in this folder again and say whether it is the same"),
]
_NoReport = Annotated[bool, typer.Option("--no-report", help="write no report.html")]
_NoParity = Annotated[
    bool, typer.Option("--no-parity", help="do not play the session again at its end")
]


def paper(
    scenario: _Scenario = None,
    feed: _Feed = None,
    speed: _Speed = None,
    assignments: _Set = None,
    options: _Options = None,
    out: _Out = None,
    resume: _Resume = None,
    verify: _Verify = None,
    ui: Annotated[bool, typer.Option("--ui", help="print the address of the page")] = False,
    no_report: _NoReport = False,
    no_parity: _NoParity = False,
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

    told = {
        "SCENARIO": scenario,
        "--feed": feed,
        "--speed": speed,
        "--set": assignments,
        "--option": options,
        "--out": out,
    }
    if verify is not None or resume is not None:
        _refuse_what_the_folder_says(told)
    if verify is not None:
        raise typer.Exit(verified(verify))

    def request() -> PaperRequest:
        if resume is not None:
            asked = resumed_request(resume)
        elif scenario is None:
            raise ConfigurationError("name a scenario, or a folder to --resume or --verify")
        else:
            own = {key: literal(text) for key, text in split_assignments(options or []).items()}
            pace = speed_of(speed if speed is not None else "1")
            plan = FeedPlan(feed or "replay", pace, WallClock().now_ns(), own)
            asked = new_request(
                read_scenario(scenario), split_assignments(assignments or []), plan, out
            )
        asked = replace(asked, report=not no_report, parity=not no_parity, shows_page=ui)
        return replace(asked, outside=Outside(log, metrics_port))

    raise typer.Exit(perform_paper(request))


def _refuse_what_the_folder_says(told: Mapping[str, object]) -> None:
    named = [name for name, value in told.items() if value]
    if named:
        raise typer.BadParameter(
            "--resume and --verify take a session as its folder has it: leave out "
            + ", ".join(named)
        )
