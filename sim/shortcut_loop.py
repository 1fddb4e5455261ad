"""The compiled side of a shortcut (`shortcut.py`): time goes by for the handler that looks."""

from __future__ import annotations

from data.schema import IntColumn
from sim.bar_turn import BarPaths
from sim.book import LIMIT, STOP, ZERO, Book, CommandRow, EventRows, entry, i8, njit
from sim.handles import TapeHandle, rows_of
from sim.strategy import (
    OUT_ID,
    OUT_KIND,
    OUT_STOP_ID,
    OUT_TARGET_ID,
    OUT_TYPE,
    SEND_BRACKET,
    SEND_ORDER,
    Context,
    add_known,
)
from sim.strategy_bars import bring_bars_up
from sim.strategy_loop import DONE, Table, tell_news

_ONE = i8(1)


@njit
def know_sent(ctx: Context, log: Table, first: int) -> None:
    """The orders that were sent since row `first` of the log are known from here."""
    for at in range(first, ctx["sent"]):
        kind = log[at, OUT_KIND]
        if kind in (SEND_ORDER, SEND_BRACKET):
            add_known(ctx, log[at, OUT_ID], log[at, OUT_TYPE], _ONE)
        if kind == SEND_BRACKET:
            if log[at, OUT_STOP_ID] != 0:
                add_known(ctx, log[at, OUT_STOP_ID], STOP, ZERO)
            if log[at, OUT_TARGET_ID] != 0:
                add_known(ctx, log[at, OUT_TARGET_ID], LIMIT, ZERO)


@entry
def bring_to(
    books: Book,
    handle: TapeHandle,
    events: EventRows,
    commands: CommandRow,
    contexts: Context,
    news: Table,
    log: Table,
    latency: IntColumn,
    paths: BarPaths,
    first: int,
    until_ns: int,
) -> int:
    """Rows, commands that arrive and events that are told, all up to `until_ns`.

    Rows of the log from `first` on were written since the last call. DONE, or why Python has to do
    something before it goes on.
    """
    ctx = contexts[0]
    know_sent(ctx, log, first)
    code = bring_bars_up(
        books[0], rows_of(handle), events, commands[0], ctx, news, log, until_ns, latency, paths
    )
    if code == DONE:
        tell_news(ctx, news, until_ns)
    return code
