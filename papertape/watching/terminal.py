"""A session in a terminal: what the page shows, as text that is drawn anew while it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

LOOKS_PER_SECOND = 2.0
LOG_LINES = 12
FILL_LINES = 6
NARROW = 100
"""Columns of a terminal below which everything is in one column."""
_STYLES = {"buy": "blue", "sell": "dark_orange", "warn": "red", "operator": "magenta"}

Look = Callable[[], dict[str, Any]]
"""Gives a snapshot; raises ConnectionError, or whatever `lost` knows, when there is none."""


def watch_in_terminal(
    look: Look, lost: type[Exception], console: Console | None = None, *, hint: str = ""
) -> dict[str, Any] | None:
    """Draw the session until it ends, or the session's process is gone; its last snapshot."""
    shown: dict[str, Any] | None = None
    terminal = console or Console()
    with Live(console=terminal, auto_refresh=False, screen=terminal.is_terminal) as live:
        while True:
            try:
                shown = look()
            except lost as gone:
                terminal.print(Text(str(gone), style="red"))
                return shown
            live.update(drawn(shown, terminal.width, hint), refresh=True)
            if shown["session"]["ended"]:
                break
            time.sleep(1 / LOOKS_PER_SECOND)
    terminal.print(drawn(shown, terminal.width, ""))
    return shown


def drawn(shown: dict[str, Any], width: int, hint: str = "") -> RenderableType:
    """A snapshot as it is drawn."""
    left = _spaced(_market(shown), _positions(shown), _risk(shown), _health(shown))
    right = _spaced(_orders(shown), _fills(shown), _log(shown))
    foot = [Text(hint, style="dim")] if hint else []
    if width < NARROW:
        return Group(_head(shown), *left, *right, *foot)
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=2)
    grid.add_column(ratio=3)
    grid.add_row(Group(*left), Group(*right))
    return Group(_head(shown), grid, *foot)


def _spaced(*parts: RenderableType) -> list[RenderableType]:
    return [line for part in parts for line in (part, "")]


def _head(shown: dict[str, Any]) -> RenderableType:
    session, account = shown["session"], shown["account"]
    now_ms = shown["health"].get("time_ms", session.get("time_ms", 0))
    line = Text.assemble(
        (session["name"], "bold"),
        f"  {session['mode']}  {session['account']} at {session['broker']}  {_clock(now_ms)} UTC",
    )
    if session["ended"]:
        line.append("  ended", style="bold yellow")
    money = Text.assemble(
        f"equity {account.get('equity', 0):,.2f} {session['currency']}   open ",
        _signed(account.get("unrealised", 0)),
        "   realised ",
        _signed(account.get("realised", 0)),
        f"   fees {account.get('fees', 0):,.2f}",
    )
    parts: list[RenderableType] = [line, money]
    halted = shown["risk"]["halted"] or session["failure"]
    if halted:
        parts.append(Text(halted, style="bold red"))
    return Panel(Group(*parts))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", expand=True, box=None, pad_edge=False)
    for name in columns:
        table.add_column(name.lstrip(">"), justify="right" if name.startswith(">") else "left")
    return table


def _market(shown: dict[str, Any]) -> RenderableType:
    table = _table("Market", "", ">bid", ">ask", ">last")
    for each in shown["instruments"]:
        quote, digits = each["quote"] or {}, each["digits"]
        prices = (_number(quote.get(name), digits) for name in ("bid", "ask", "last"))
        table.add_row(Text(each["symbol"]), *prices)
    return table


def _positions(shown: dict[str, Any]) -> RenderableType:
    table = _table("Positions", "", ">size", ">average", ">open P&L")
    for each in shown["positions"]:
        if each["size"]:
            style = _STYLES["buy" if each["size"] > 0 else "sell"]
            digits = _digits(shown, each["symbol"])
            average = _number(each["average"], digits)
            size = Text(f"{each['size']:g}", style=style)
            table.add_row(Text(each["symbol"]), size, average, Text(*_signed(each["unrealised"])))
    return table if table.row_count else Group(Text("Positions", style="italic"), "flat")


def _risk(shown: dict[str, Any]) -> RenderableType:
    rules = shown["risk"]["rules"]
    if not rules:
        return Text("No account rules", style="dim")
    table = _table("Risk limits", "", ">value", ">limit", "used")
    for rule in rules:
        used = rule["used"]
        bar: RenderableType = ""
        if used is not None:
            style = "red" if used > 0.8 else "green"
            bar = ProgressBar(total=1, completed=min(1, used), width=16, complete_style=style)
        value = Text(rule["value"], style="red" if rule["is_broken"] else "")
        table.add_row(Text(rule["rule"].replace("_", " ")), value, rule["limit"], bar)
    return table


def _health(shown: dict[str, Any]) -> RenderableType:
    health = shown["health"]
    if not health:
        return Text("")
    uncertain = health.get("uncertain") or []
    line = Text.assemble(
        "Connection  market data ",
        _age(health.get("feed_age_ms")),
        " old, lag ",
        _age(health.get("lag_ms")),
        f", {health.get('queued', 0)} queued",
    )
    if uncertain:
        line.append(f", UNCERTAIN orders {', '.join(map(str, uncertain))}", style="bold red")
    if health.get("discrepancies"):
        line.append(f", {health['discrepancies']} discrepancies", style="bold red")
    return line


def _orders(shown: dict[str, Any]) -> RenderableType:
    table = _table(
        "Working orders", "", "", "side", "type", ">size", ">filled", ">limit", ">stop", "status"
    )
    for each in sorted(shown["orders"], key=lambda order: int(order["order_id"])):
        digits = _digits(shown, each["symbol"])
        table.add_row(
            str(each["order_id"]),
            Text(each["symbol"]),
            Text(each["side"], style=_STYLES[each["side"]]),
            each["kind"],
            f"{each['size']:g}",
            f"{each['filled']:g}",
            _number(each["limit"], digits, ""),
            _number(each["stop"], digits, ""),
            "held" if each["held"] else each["status"].replace("_", " "),
        )
    return table if table.row_count else Group(Text("Working orders", style="italic"), "none")


def _fills(shown: dict[str, Any]) -> RenderableType:
    table = _table("Fills", "", "", "side", ">size", ">price", ">fee")
    for each in reversed(shown["fills"][-FILL_LINES:]):
        table.add_row(
            _clock(each["time_ms"]),
            Text(each["symbol"]),
            Text(each["side"], style=_STYLES[each["side"]]),
            f"{each['size']:g}",
            _number(each["price"], _digits(shown, each["symbol"])),
            f"{each['fee']:,.2f}",
        )
    return table if table.row_count else Group(Text("Fills", style="italic"), "none yet")


def _log(shown: dict[str, Any]) -> RenderableType:
    return Group(Text("Events", style="italic"), *_log_lines(shown))


def _log_lines(shown: dict[str, Any]) -> Iterator[Text]:
    for each in reversed(shown["log"][-LOG_LINES:]):
        style = _STYLES.get(each["level"], "")
        yield Text.assemble((_clock(each["time_ms"]) + " ", "dim"), (each["text"], style))


def _digits(shown: dict[str, Any], symbol: str) -> int:
    return next(int(each["digits"]) for each in shown["instruments"] if each["symbol"] == symbol)


def _number(value: float | None, digits: int, none: str = "-") -> str:
    return none if value is None else f"{value:,.{digits}f}"


def _signed(value: float) -> tuple[str, str]:
    return f"{value:+,.2f}", "green" if value > 0 else "red" if value < 0 else ""


def _age(ms: int | None) -> str:
    if ms is None:
        return "-"
    return f"{ms} ms" if ms < 1_000 else f"{ms / 1_000:.1f} s"


def _clock(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S")[11:]
