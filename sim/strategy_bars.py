"""The loop of a compiled strategy that is told bars: as `strategy_loop.py`, one call a bar.

Bars are known ahead. At one instant: rows, commands that arrive, events that are delivered, then
the bar's call. A tape of bars is put in order as its events come, as `bar_order.py` does it for
Python.
"""

from __future__ import annotations

from collections.abc import Callable

from data.index import TapeRows
from data.schema import IntColumn
from sim.bar_turn import READY, ROWS, BarPaths, take_position, turn
from sim.book import NEVER, NONE, ZERO, Book, CommandRow, EventRows, entry, i8, njit
from sim.handles import TapeHandle, rows_of
from sim.kernel import next_row
from sim.search import last_row_at
from sim.strategy import AT_ONCE_MAX, Context
from sim.strategy_loop import (
    DONE,
    ENTRY_LATENCY,
    GROW,
    REFUSED,
    TURN,
    Table,
    bring_up,
    find_hit,
    keep_sent,
    quiet_until,
    show_touch,
    tell_news,
)

BAR_FIELDS = ("due_ns", "end_ns", "start_ns", "open", "high", "low", "close", "volume")
(BAR_DUE, BAR_END, BAR_START, BAR_OPEN, BAR_HIGH, BAR_LOW, BAR_CLOSE, BAR_VOLUME) = map(
    i8, range(8)
)
_ROOM, _ONE = i8(AT_ONCE_MAX), i8(1)


@njit
def show_bar(ctx: Context, tape: TapeRows, bars: Table, at: int) -> None:
    """Put a bar before the strategy, and the market as it is seen at its end."""
    end_ns = bars[at, BAR_END]
    row = last_row_at(tape, ctx["told"] - _ONE, end_ns)
    ctx["told"] = row + _ONE
    if row >= 0:
        show_touch(ctx, tape, row)
    ctx["trade_ticks"] = NONE
    ctx["trade_lots"] = ZERO
    ctx["trade_side"] = ZERO
    ctx["ts_ns"] = end_ns
    ctx["bar_start_ns"] = bars[at, BAR_START]
    ctx["open"] = bars[at, BAR_OPEN]
    ctx["high"] = bars[at, BAR_HIGH]
    ctx["low"] = bars[at, BAR_LOW]
    ctx["close"] = bars[at, BAR_CLOSE]
    ctx["volume_lots"] = bars[at, BAR_VOLUME]


@njit
def put_in_order(book: Book, tape: TapeRows, ctx: Context, paths: BarPaths, until_ns: int) -> None:
    """Turn the bars up to the next row that concerns an order, or up to a time, for the position:
    it stays as it is until then, or until a command arrives."""
    cursor, state = book["i_cursor"][ZERO], paths.state
    take_position(paths, book["p_position"][ZERO], cursor)
    find_hit(book, tape, ctx)
    bar = min(ctx["hit"], last_row_at(tape, cursor, until_ns)) // ROWS
    if bar >= state[READY]:
        turn(paths, state[READY], bar + _ONE)
        if ctx["hit"] // ROWS == bar:
            # Which of its rows that is may have changed.
            start, last = max(cursor + _ONE, bar * ROWS), len(tape.ts) - _ONE
            ctx["hit"] = next_row(book, tape, ZERO, start, last)


@njit
def bring_bars_up(
    book: Book,
    tape: TapeRows,
    events: EventRows,
    command: CommandRow,
    ctx: Context,
    news: Table,
    log: Table,
    until_ns: int,
    latency: IntColumn,
    paths: BarPaths,
) -> int:
    """As `bring_up`; on a tape of bars, each is put in order before it is met."""
    while True:
        if ctx["turns"]:
            put_in_order(book, tape, ctx, paths, until_ns)
        code = bring_up(book, tape, events, command, ctx, news, log, until_ns, latency)
        if code != TURN:
            return code


@entry
def play_bars(
    call: Callable[..., None],
    me: int,
    books: Book,
    handle: TapeHandle,
    events: EventRows,
    commands: CommandRow,
    contexts: Context,
    news: Table,
    log: Table,
    latency: IntColumn,
    bars: Table,
    paths: BarPaths,
    bound_ns: int,
) -> int:
    """Tell the strategy bars, and do all that happens before `bound_ns`. See `play`."""
    book, ctx, command, tape = books[0], contexts[0], commands[0], rows_of(handle)
    way, quiet_ns = latency[ENTRY_LATENCY], ZERO
    while True:
        if ctx["sent"] + _ROOM > len(log):
            return GROW
        at = ctx["bar"]
        due_ns = bars[at, BAR_DUE] if at < len(bars) else NEVER
        if due_ns >= min(quiet_ns, bound_ns):
            until_ns = min(due_ns, bound_ns - _ONE)
            code = bring_bars_up(
                book, tape, events, command, ctx, news, log, until_ns, latency, paths
            )
            if code != DONE or due_ns >= bound_ns:
                return code
            tell_news(ctx, news, due_ns)
            quiet_ns = quiet_until(book, tape, ctx, news, log, way)
        show_bar(ctx, tape, bars, at)
        ctx["bar"] = at + _ONE
        call(ctx, me)
        if ctx["out_count"]:
            keep_sent(ctx, log, due_ns)
            quiet_ns = min(quiet_ns, due_ns + way)
        if ctx["refused"]:
            return REFUSED
