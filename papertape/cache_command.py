"""`papertape data cache`: what the cache of converted tapes holds, is it whole, and clear it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from broker_api.errors import ConfigurationError
from data.cache import discard_entry
from data.cache_care import (
    CacheEntry,
    EntryState,
    cache_folders,
    clear,
    damaged_files,
    list_entries,
)
from data.schema import NANO
from papertape.options import time_of

DAMAGED = 1
WRONG_USE = 2

_Place = Annotated[
    Path | None,
    typer.Argument(help="a tape or a folder; else the working directory's and the user's cache"),
]
_List = Annotated[bool, typer.Option("--list", help="show the entries; done when nothing is said")]
_Verify = Annotated[
    bool, typer.Option("--verify", help="read every byte; damaged entries are removed")
]
_Clear = Annotated[bool, typer.Option("--clear", help="remove the entries")]
_Since = Annotated[
    str | None, typer.Option(help="with --clear: only those not opened since then, ISO, UTC")
]


def cache(
    place: _Place = None,
    list_: _List = False,
    verify: _Verify = False,
    clear_: _Clear = False,
    unused_since: _Since = None,
) -> None:
    """Show, verify or clear the cache of converted tapes."""
    try:
        since_ns = _since_ns(unused_since, clear_)
        if place is not None and not place.exists():
            raise ValueError(f"{place}: there is no such file or folder")
        if list_ + verify + clear_ > 1:
            raise ValueError("say one of --list, --verify and --clear")
        folders = cache_folders(place)
    except (ConfigurationError, ValueError) as error:
        typer.echo(f"papertape: {error}", err=True)
        raise typer.Exit(WRONG_USE) from None
    if not folders:
        typer.echo("there is no cache of tapes here")
    damaged = 0
    for folder in folders:
        if verify:
            damaged += _verify(folder)
        elif clear_:
            gone = clear(folder, since_ns)
            typer.echo(f"{folder}: {len(gone):,} removed, {_megabytes(gone)} MB")
        else:
            _show(folder)
    if damaged:
        raise typer.Exit(DAMAGED)


def _since_ns(text: str | None, clears: bool) -> int | None:
    if text is None:
        return None
    if not clears:
        raise ValueError("--unused-since goes with --clear")
    return time_of("--unused-since", text, "2025-01-14")


def _show(folder: Path) -> None:
    entries = list_entries(folder)
    title = f"{folder}: {len(entries):,} tapes, {_megabytes(entries)} MB"
    if not entries:
        typer.echo(title)
        return
    table = Table(title=title, title_justify="left")
    table.add_column("tape", overflow="fold")
    for name in ("rows", "MB", "last used", "state"):
        table.add_column(name, justify="right", no_wrap=True)
    for entry in entries:
        used = dt.datetime.fromtimestamp(entry.used_ns // NANO, dt.UTC)
        shown = entry.tape or entry.path.name
        size = _megabytes([entry])
        table.add_row(shown, f"{entry.rows:,}", size, f"{used:%Y-%m-%d %H:%M} UTC", entry.state)
    Console().print(table)


def _verify(folder: Path) -> int:
    """Says what is damaged in a folder and removes it; how many entries that were."""
    damaged = 0
    entries = [entry for entry in list_entries(folder) if entry.state is not EntryState.UNFINISHED]
    for entry in entries:
        wrong = damaged_files(entry) if entry.state is not EntryState.OLDER else ()
        if wrong:
            damaged += 1
            discard_entry(folder, entry.path.name)
            shown = entry.tape or entry.path.name
            typer.echo(
                f"{shown}: damaged ({', '.join(wrong)}), removed; the next run makes it anew"
            )
    typer.echo(f"{folder}: {len(entries):,} read, {damaged:,} damaged")
    return damaged


def _megabytes(entries: tuple[CacheEntry, ...] | list[CacheEntry]) -> str:
    return f"{sum(entry.size_bytes for entry in entries) / 1e6:,.1f}"
