"""The options of `papertape live`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker_api.errors import ConfigurationError


def live(
    scenario: Annotated[
        Path | None, typer.Argument(help="a scenario.toml or its folder", show_default=False)
    ] = None,
    broker: Annotated[str, typer.Option(help="hyperliquid, projectx")] = "",
    network: Annotated[
        str | None, typer.Option(help="the adapter's: testnet, mainnet, local; topstepx, demo")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="an argument for the strategy"),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", help="a setting of the adapter"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="the session's folder; default runs/<scenario>-live-<time>")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask before it begins")] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="begin also with what the account holds")
    ] = False,
    no_risk_rules: Annotated[
        bool, typer.Option("--no-risk-rules", help="trade without account rules")
    ] = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="write no report.html")] = False,
    report: Annotated[
        Path | None,
        typer.Option(help="compare the session in this folder with its simulation again"),
    ] = None,
) -> None:
    """Trade a scenario on a live venue, and compare it with its simulation."""
    from rich.console import Console

    from broker_api.wall_clock import WallClock
    from papertape.live_command import LiveRequest, perform_live, reported
    from papertape.preflight import live_plan
    from scenarios.parameters import split_assignments
    from scenarios.scenario import read_scenario

    if report is not None:
        raise typer.Exit(reported(report, Console(highlight=False)))

    def request() -> LiveRequest:
        if scenario is None:
            raise ConfigurationError("name a scenario, or a folder to --report")
        plan = live_plan(
            read_scenario(scenario),
            split_assignments(assignments or []),
            broker,
            network,
            split_assignments(options or []),
            out,
            WallClock().now_ns(),
        )
        return LiveRequest(
            plan, confirmed=yes, without_rules=no_risk_rules, adopts=adopt, report=not no_report
        )

    raise typer.Exit(perform_live(request))
