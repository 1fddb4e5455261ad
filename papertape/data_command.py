"""`papertape data inspect | validate | generate | cache`: look at tapes, check, make, keep them.

Exit codes: 0 fine, 1 the file is not a good tape, 2 the command was used wrongly.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from broker_api.catalog import find, load_catalog
from broker_api.errors import ConfigurationError
from broker_api.instrument import Instrument
from data.bars import Bars, bars_from_tape
from data.describe import (
    BarFacts,
    Distribution,
    OrderFacts,
    Pause,
    TapeFacts,
    bar_length_for,
    describe,
    describe_bars,
)
from data.schema import NANO, Grid, TapeError, TickGrid
from data.tape import Tape, check_file, open_tape
from papertape.cache_command import cache
from papertape.options import time_of

if TYPE_CHECKING:
    from data.check import CheckReport

# Arrow is imported by the commands that need it: every command comes by this file.
BAD_FILE = 1
WRONG_USE = 2

app = typer.Typer(help="Look at tapes, check them, make synthetic ones.", no_args_is_help=True)
app.command("cache")(cache)

_File = Annotated[Path, typer.Argument(help="a Parquet tape", show_default=False)]
_Symbol = Annotated[str | None, typer.Option("--instrument", help="symbol or id, like MNQ")]
_Tick = Annotated[str | None, typer.Option(help="tick size, instead of an instrument")]
_Lot = Annotated[str | None, typer.Option(help="lot size, with --tick-size")]
_Catalog = Annotated[
    list[Path] | None, typer.Option("--catalog", help="a file of your own instruments")
]
_Repair = Annotated[bool, typer.Option("--repair", help="drop faulty rows and count them")]
_Sort = Annotated[
    bool,
    typer.Option("--sort", help="order the rows by time first; takes 250 bytes of memory a row"),
]
_Gap = Annotated[float | None, typer.Option(help="longest pause between rows, in seconds")]


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Errors of files and arguments as one line on stderr, and the exit code."""
    try:
        yield
    except TapeError as error:
        typer.echo(f"papertape: {error}", err=True)
        raise typer.Exit(BAD_FILE) from None
    except (ConfigurationError, ValueError, OSError) as error:
        typer.echo(f"papertape: {error}", err=True)
        raise typer.Exit(WRONG_USE) from None


@app.command()
def inspect(
    file: _File,
    instrument: _Symbol = None,
    tick_size: _Tick = None,
    lot_size: _Lot = None,
    catalog: _Catalog = None,
    repair: _Repair = False,
    sort: _Sort = False,
) -> None:
    """Show what a tape holds: rows, kinds, spreads, sizes, pauses, bars."""
    with _plain_errors():
        grid = _grid(instrument, tick_size, lot_size, catalog)
        tape = open_tape(file, grid, repair=repair, sort=sort)
        length = bar_length_for(tape)
        console = Console()
        if tape.bar_interval_ns:
            console.print(_bar_facts_table(tape, describe_bars(tape), grid))
        else:
            console.print(_facts_table(tape, describe(tape), grid))
        console.print(_bars_table(bars_from_tape(tape, length), length, grid))


@app.command()
def validate(
    file: _File,
    instrument: _Symbol = None,
    tick_size: _Tick = None,
    lot_size: _Lot = None,
    catalog: _Catalog = None,
    repair: _Repair = False,
    sort: _Sort = False,
    max_gap: _Gap = None,
) -> None:
    """Check every row of a tape. Exit code 1 when a row breaks a rule, unless --repair is given."""
    with _plain_errors():
        grid = _grid(instrument, tick_size, lot_size, catalog)
        limit = None if max_gap is None else round(max_gap * NANO)
        report = check_file(file, grid, sort=sort, max_gap_ns=limit)
    _print_report(report)
    if not report.ok and not repair:
        raise typer.Exit(BAD_FILE)


@app.command("generate")
def generate_tape(
    instrument: _Symbol = None,
    seed: Annotated[int, typer.Option(help="the same seed gives the same tape")] = 0,
    hours: Annotated[float, typer.Option(help="length of the tape")] = 4.0,
    out: Annotated[Path | None, typer.Option(help="the file; with --samples the folder")] = None,
    start: Annotated[
        str | None, typer.Option(help="first time, ISO; UTC unless it says otherwise")
    ] = None,
    price: Annotated[str | None, typer.Option(help="first price")] = None,
    tick_size: _Tick = None,
    lot_size: _Lot = None,
    catalog: _Catalog = None,
    samples: Annotated[bool, typer.Option("--samples", help="write the sample tapes")] = False,
) -> None:
    """Write a synthetic tape from a seed, or the samples that ship."""
    from data.sample_tapes import SAMPLES, write_samples
    from data.synthetic import generate, profile_for
    from data.written import write_tape

    with _plain_errors():
        if samples:
            for path in write_samples(out if out is not None else SAMPLES):
                typer.echo(f"wrote {path}")
            return
        if out is None:
            raise ValueError("--out FILE is missing")
        if not out.parent.is_dir():
            raise ValueError(f"--out {out}: there is no folder {out.parent}")
        grid = _grid(instrument, tick_size, lot_size, catalog)
        first_price = None if price is None else _decimal("--price", price)
        profile = profile_for(grid.symbol, grid.tick_size, grid.lot_size, first_price)
        table = generate(profile, seed=seed, start_ns=_start_ns(start), hours=hours)
        write_tape(table, out)
        typer.echo(f"wrote {table.num_rows:,} rows of {grid.symbol} to {out}")


def _grid(
    symbol: str | None, tick_size: str | None, lot_size: str | None, catalog: list[Path] | None
) -> Instrument | TickGrid:
    """The instrument from the catalogue, or a bare grid from the two options."""
    if tick_size is None:
        if lot_size is not None:
            raise ValueError("--lot-size goes with --tick-size")
        if symbol is None:
            raise ValueError(
                "say what is traded: --instrument SYMBOL, or --tick-size and --lot-size"
            )
        return find(load_catalog(*(catalog or ())), symbol)
    lot = _decimal("--lot-size", lot_size if lot_size is not None else "1")
    return TickGrid(symbol or "unnamed", _decimal("--tick-size", tick_size), lot)


def _decimal(option: str, text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{option} {text!r} is not a number") from None


def _start_ns(text: str | None) -> int:
    from data.synthetic import DEFAULT_START_NS

    return DEFAULT_START_NS if text is None else time_of("--start", text, "2025-01-14T14:30")


def _empty_facts_table(tape: Tape) -> Table:
    table = Table(title=f"{tape.source}: {tape.symbol}", show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _bar_facts_table(tape: Tape, facts: BarFacts, grid: Grid) -> Table:
    table = _empty_facts_table(tape)
    end_ns = tape.end_ns + 1
    seconds = (end_ns - tape.start_ns) / NANO
    from data.bar_tape import length_text

    table.add_row("bars", f"{facts.bars:,} of {length_text(tape.bar_interval_ns)}")
    table.add_row("from", _time(tape.start_ns))
    table.add_row("to", f"{_time(end_ns)} ({dt.timedelta(seconds=round(seconds))})")
    table.add_row("tick, lot", f"{grid.tick_size}, {grid.lot_size}")
    _add_distribution(table, "high less low, ticks", facts.height)
    _add_distribution(table, "volume, lots", facts.volume)
    if facts.empty:
        table.add_row("without volume", f"{facts.empty:,} bars")
    _add_pauses(table, facts.pauses, "bar")
    table.add_row("bid, ask, path", "decided by a run: spread_ticks, bar_path")
    _add_origin(table, tape)
    return table


def _facts_table(tape: Tape, facts: TapeFacts, grid: Grid) -> Table:
    table = _empty_facts_table(tape)
    seconds = (tape.end_ns - tape.start_ns) / NANO
    table.add_row("rows", f"{facts.rows:,}")
    for kind, count in facts.kinds.items():
        table.add_row(f"  {kind.name.lower()}", f"{count:,}")
    table.add_row("from", _time(tape.start_ns))
    table.add_row("to", f"{_time(tape.end_ns)} ({dt.timedelta(seconds=round(seconds))})")
    table.add_row("tick, lot", f"{grid.tick_size}, {grid.lot_size}")
    if facts.one_tick_share is not None:
        table.add_row("one tick wide", f"{facts.one_tick_share:.1%} of the two-sided rows")
    _add_distribution(table, "spread, ticks", facts.spread)
    _add_distribution(table, "touch, lots", facts.touch)
    _add_distribution(table, "trade, lots", facts.trade)
    if facts.buyer_share is not None:
        table.add_row("buyer aggressors", f"{facts.buyer_share:.1%}")
    if facts.locked_rows or facts.one_sided_rows:
        table.add_row("locked, one-sided", f"{facts.locked_rows:,}, {facts.one_sided_rows:,} rows")
    table.add_row("prints outside their book", f"{facts.prints_outside:,}")
    if facts.orders is not None:
        _add_orders(table, facts.orders)
    table.add_row("a trade's book is from", "after it" if tape.bbo_after_trade else "before it")
    _add_pauses(table, facts.pauses, "row")
    _add_origin(table, tape)
    return table


def _add_orders(table: Table, orders: OrderFacts) -> None:
    table.add_row(
        "orders",
        f"{orders.joined:,} joined with {orders.lots:,} lots; {orders.executed:,} lots executed, "
        f"{orders.cancelled:,} cancelled; {orders.left:,} orders left at the end",
    )


def _add_pauses(table: Table, pauses: tuple[Pause, ...], row: str) -> None:
    for number, pause in enumerate(pauses):
        length, at = f"{pause.length_ns / NANO:,.3f} s", _time(pause.from_ns)[:19]
        shown = f"{length} after {row} {pause.row:,}, {at}"
        table.add_row("longest pauses" if number == 0 else "", shown)


def _add_origin(table: Table, tape: Tape) -> None:
    table.add_row("content (sha256)", tape.content_hash)
    for note in tape.notes:
        table.add_row("note", note)


def _add_distribution(table: Table, name: str, found: Distribution | None) -> None:
    if found is None:
        return
    low, first, middle, third, high, top = (f"{value:,}" for value in found.quantiles)
    table.add_row(name, f"{low} to {top}, mean {found.mean:,.2f}, median {middle}")
    table.add_row("", f"25 % {first}, 75 % {third}, 99 % {high}")


def _bars_table(bars: Bars, length_ns: int, grid: Grid) -> Table:
    table = Table(title=f"bars of {dt.timedelta(seconds=length_ns // NANO)}", title_justify="left")
    for name in ("start", "open", "high", "low", "close", "volume", "trades"):
        table.add_column(name, justify="left" if name == "start" else "right", no_wrap=True)
    for row in zip(*(column[:24].tolist() for column in bars), strict=True):
        ts, *prices, volume, trades = row
        shown = [f"{price * grid.tick_size:,}" for price in prices]
        table.add_row(_time(ts)[5:19], *shown, f"{volume * grid.lot_size:,}", f"{trades:,}")
    return table


def _print_report(report: CheckReport) -> None:
    console = Console()
    console.print(
        f"{report.source}: {report.rows:,} rows read, {report.kept:,} usable, "
        f"{report.faults:,} faults",
        soft_wrap=True,
        highlight=False,
    )
    for note in report.notes:
        console.print(f"  {note}", soft_wrap=True, highlight=False, markup=False)
    if report.ok:
        console.print("the tape is good")
        return
    table = Table("row", "column", "value", "rule", title="first faults", title_justify="left")
    for fault in report.examples:
        table.add_row(str(fault.row), fault.column, fault.value, fault.text)
    console.print(table)


def _time(ns: int) -> str:
    """A time as ISO text in UTC, with all nine digits of its fraction."""
    whole = dt.datetime.fromtimestamp(ns // NANO, dt.UTC)
    return f"{whole:%Y-%m-%d %H:%M:%S}.{ns % NANO:09d} UTC"
