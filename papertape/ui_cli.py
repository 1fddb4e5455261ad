"""The words of `papertape ui` and `papertape stop` on the command line."""

from __future__ import annotations

from typing import Annotated

import typer


def ui(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[SESSION or RUN]",
            help="a running session's id, name or folder, or the folder of a finished run; "
            "default the newest session",
            show_default=False,
        ),
    ] = None,
    tui: Annotated[bool, typer.Option("--tui", help="in this terminal instead of a page")] = False,
    speed: Annotated[
        float, typer.Option(min=0.01, help="of a finished run: its seconds in one second")
    ] = 60.0,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="of a finished run's page; 0: any free")
    ] = None,
    opens: Annotated[bool, typer.Option("--open", help="open the page in the browser")] = False,
) -> None:
    """Watch a running session on a local page or in the terminal, or replay a finished run."""
    from papertape.ui_command import perform_ui

    raise typer.Exit(perform_ui(what, speed=speed, port=port, tui=tui, opens=opens))


def stop(
    session: Annotated[
        str | None,
        typer.Argument(help="its id, name or folder; default the only one", show_default=False),
    ] = None,
    flatten: Annotated[
        bool, typer.Option("--flatten", help="also close every position at market")
    ] = False,
    end: Annotated[bool, typer.Option("--end", help="then end the session, too")] = False,
    every: Annotated[bool, typer.Option("--all", help="every session on this machine")] = False,
) -> None:
    """Press the kill switch of a running session: cancel its entries, refuse new ones for good."""
    from papertape.ui_command import perform_stop

    raise typer.Exit(perform_stop(session, flatten=flatten, ends=end, every=every))
