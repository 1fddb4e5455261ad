"""The compiled side of a shortcut (`shortcut.py`): time goes by for the handler that looks."""

from __future__ import annotations

from sim.bar_turn import BarPaths, Column, Flags, FlagTable
from sim.book import LIMIT, STOP, ZERO, EventRows, entry, i8, njit
from sim.entries import Books, CommandRows
from sim.handles import TapeHandle, rows_of
from sim.strategy import (
    KNOWN_FILLED,
    KNOWN_STATUS,
    OUT_ID,
    OUT_KIND,
    OUT_STOP_ID,
    OUT_TARGET_ID,
    OUT_TYPE,
    SEND_BRACKET,
    SEND_ORDER,
    Context,
    add_known,
    find_known,
)
from sim.strategy_bars import bring_bars_up
from sim.strategy_loop import DONE, Table, note_events, tell_news

Contexts = Context
"""An array of one CONTEXT record."""
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
    books: Books,
    tape: TapeHandle,
    events: EventRows,
    commands: CommandRows,
    contexts: Contexts,
    news: Table,
    log: Table,
    latency: Column,
    px: Table,
    bid: Table,
    ask: Table,
    wanted: FlagTable,
    low_first: Flags,
    state: Column,
    first: int,
    until_ns: int,
) -> int:
    """Rows, commands that arrive and events that are told, all up to `until_ns`.

    Rows of the log from `first` on were written since the last call. `px` to `state` are the bars
    of a tape of bars (`BarPaths`). DONE, or why Python has to do something before it goes on.
    """
    ctx, paths = contexts[0], BarPaths(px, bid, ask, wanted, low_first, state)
    know_sent(ctx, log, first)
    code = bring_bars_up(
        books[0], rows_of(tape), events, commands[0], ctx, news, log, until_ns, latency, paths
    )
    if code == DONE:
        tell_news(ctx, news, until_ns)
    return code


@entry
def note_published(
    contexts: Contexts, news: Table, events: EventRows, end: int, response: int
) -> None:
    """As `note_events`, for what was published outside of the loop."""
    note_events(contexts[0], news, events, ZERO, end, response)


@entry
def note_known(contexts: Contexts, order: Column) -> None:
    """An order from before the run: its id, status, type, whether it is an entry, filled lots."""
    ctx = contexts[0]
    add_known(ctx, order[0], order[2], order[3])
    at = find_known(ctx, order[0])
    ctx["known"][at, KNOWN_STATUS] = order[1]
    ctx["known"][at, KNOWN_FILLED] = order[4]
