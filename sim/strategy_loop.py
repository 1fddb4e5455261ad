"""The loop of a compiled strategy: rows, commands and events in virtual time, without Python.

At one instant: rows, commands that arrive, events that are delivered, then the rows' calls. Rows
that concern no order are not given to the exchange, the strategy sees each of them. What Python has
to do (a session's boundary, an expiry, a liquidation, more room) ends `play` with a code, and the
next `play` goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable

from data.index import TapeRows
from data.schema import IntColumn
from sim import commands as venue
from sim import kernel, liquidation, replacing
from sim.bar_turn import ROWS
from sim.book import (
    CANCELLED,
    EV_CANCEL_REJECTED,
    EV_POSITION,
    EV_REPLACE_REJECTED,
    EV_UNPROTECTED,
    FILLED,
    GTC,
    MARKET,
    MAX_EVENTS,
    NEVER,
    NONE,
    ROW_OPEN,
    ROW_TRADE,
    TIF_NONE,
    ZERO,
    Book,
    CommandRow,
    EventRows,
    entry,
    i8,
    njit,
)
from sim.handles import TapeHandle, rows_of
from sim.search import last_row_at
from sim.strategy import (
    AT_ONCE_MAX,
    KNOWN_ENDED,
    KNOWN_ENTRY,
    KNOWN_FILLED,
    KNOWN_STATUS,
    NOT_KNOWN,
    OUT_ID,
    OUT_KIND,
    OUT_LIMIT,
    OUT_LOTS,
    OUT_SIGN,
    OUT_STOP,
    OUT_STOP_ID,
    OUT_STOP_OFFSET,
    OUT_TARGET_ID,
    OUT_TARGET_OFFSET,
    OUT_TYPE,
    OUT_WIDTH,
    SEND_BRACKET,
    SEND_CANCEL,
    SEND_REPLACE,
    Context,
    find_known,
)

Table = IntColumn
"""An int64 table: the log of commands, or the news on their way."""

LOG_SENT, LOG_PUBLISHED = i8(OUT_WIDTH), i8(OUT_WIDTH + 1)
LOG_WIDTH = OUT_WIDTH + 2
"""A row of the log: the command, when it was sent, how many events were published before."""
(NEWS_DUE, NEWS_KIND, NEWS_ID, NEWS_STATUS, NEWS_FILLED, NEWS_POSITION) = map(i8, range(6))
NEWS_WIDTH = 6
DONE, MARGIN, DRAIN, GROW, REFUSED, TURN = i8(0), i8(1), i8(2), i8(3), i8(4), i8(5)
ENTRY_LATENCY, RESPONSE_LATENCY, FEED_LATENCY = i8(0), i8(1), i8(2)
EVENTS_AT_ONCE = MAX_EVENTS // 2
"""Room in the buffer of events for one transaction."""
_FULL, _NO, _YES = i8(EVENTS_AT_ONCE), i8(0), i8(1)
_ROOM = i8(AT_ONCE_MAX)


@njit
def note_events(
    ctx: Context, news: Table, events: EventRows, first: int, end: int, response: int
) -> None:
    """Put what events tell on its way to the strategy; how an order ended is noted at once."""
    for index in range(first, end):
        ctx["published"] += 1
        kind, order_id = events["kind"][index], events["order_id"][index]
        if kind != EV_POSITION and (
            order_id <= 0 or kind in (EV_CANCEL_REJECTED, EV_REPLACE_REJECTED, EV_UNPROTECTED)
        ):
            continue
        at = ctx["news_to"]
        ctx["news_to"] = at + 1
        news[at, NEWS_DUE] = events["ts_ns"][index] + response
        news[at, NEWS_KIND] = kind
        news[at, NEWS_ID] = order_id
        news[at, NEWS_STATUS] = events["status"][index]
        news[at, NEWS_FILLED] = events["filled_lots"][index]
        news[at, NEWS_POSITION] = events["position_lots"][index]
        if kind != EV_POSITION and events["status"][index] >= FILLED:
            place = find_known(ctx, order_id)
            if place != NOT_KNOWN:
                ctx["known"][place, KNOWN_ENDED] = events["status"][index]


@njit
def tell_news(ctx: Context, news: Table, now_ns: int) -> None:
    """The strategy now knows what is due."""
    known = ctx["known"]
    while ctx["news_from"] < ctx["news_to"]:
        at = ctx["news_from"]
        if news[at, NEWS_DUE] > now_ns:
            return
        ctx["news_from"] = at + 1
        if news[at, NEWS_KIND] == EV_POSITION:
            ctx["position"] = news[at, NEWS_POSITION]
            continue
        place = find_known(ctx, news[at, NEWS_ID])
        if place == NOT_KNOWN:
            continue
        if news[at, NEWS_STATUS] >= FILLED and known[place, KNOWN_STATUS] < FILLED:
            ctx["entries"] -= known[place, KNOWN_ENTRY]
        known[place, KNOWN_STATUS] = news[at, NEWS_STATUS]
        known[place, KNOWN_FILLED] = news[at, NEWS_FILLED]


@njit
def write_command(command: CommandRow, log: Table, at: int) -> None:
    """An order of the log as the exchange's record."""
    limit, stop = log[at, OUT_LIMIT], log[at, OUT_STOP]
    command["order_id"] = log[at, OUT_ID]
    command["account"] = ZERO
    command["instrument"] = ZERO
    command["sign"] = log[at, OUT_SIGN]
    command["type"] = log[at, OUT_TYPE]
    command["time_in_force"] = TIF_NONE if log[at, OUT_TYPE] == MARKET else GTC
    command["size"] = log[at, OUT_LOTS]
    command["limit"] = limit
    command["stop"] = stop
    command["protection"] = NONE
    command["role"] = ZERO
    command["best"] = NONE
    command["trail"] = NONE
    command["trail_ppm"] = NONE
    command["activation"] = NONE
    command["expires"] = NEVER
    command["post_only"] = ZERO
    command["reduce_only"] = ZERO
    command["arm"] = ZERO
    command["on_partial"] = ZERO
    command["stop_id"] = log[at, OUT_STOP_ID]
    command["target_id"] = log[at, OUT_TARGET_ID]
    command["stop_offset"] = log[at, OUT_STOP_OFFSET] if log[at, OUT_STOP_ID] else NONE
    command["target_offset"] = log[at, OUT_TARGET_OFFSET] if log[at, OUT_TARGET_ID] else NONE
    command["stop_price"] = NONE
    command["limit_offset"] = NONE
    command["exit_trail"] = NONE
    command["target_price"] = NONE
    command["target_trail"] = NONE


@njit
def execute(
    book: Book,
    tape: TapeRows,
    events: EventRows,
    command: CommandRow,
    ctx: Context,
    log: Table,
    at: int,
) -> None:
    """A command arrives: the market stands at its time already."""
    row, order_id, kind = book["i_cursor"][ZERO], log[at, OUT_ID], log[at, OUT_KIND]
    if kind in (SEND_CANCEL, SEND_REPLACE):
        place = find_known(ctx, order_id)
        ended = ctx["known"][place, KNOWN_ENDED] if place != NOT_KNOWN else CANCELLED
        if kind == SEND_CANCEL:
            venue.cancel(book, tape, events, row, ZERO, order_id, ended)
        else:
            lots, limit, stop = log[at, OUT_LOTS], log[at, OUT_LIMIT], log[at, OUT_STOP]
            replacing.replace(
                book, tape, events, row, ZERO, order_id, lots, limit, stop, NONE, ended
            )
        return
    write_command(command, log, at)
    if kind == SEND_BRACKET:
        venue.place_bracket(book, tape, events, row, command)
    else:
        venue.place(book, tape, events, row, command)


@njit
def find_hit(book: Book, tape: TapeRows, ctx: Context) -> None:
    """The next row that concerns somebody, unless it is known."""
    cursor = book["i_cursor"][ZERO]
    if book["interest_stale"]:
        kernel.refresh_interest(book)
        ctx["hit"] = cursor
    if ctx["hit"] <= cursor:
        ctx["hit"] = kernel.next_row(book, tape, ZERO, cursor + 1, len(tape.ts) - 1)


@njit
def process_rows(
    book: Book,
    tape: TapeRows,
    events: EventRows,
    ctx: Context,
    news: Table,
    end: int,
    response: int,
) -> int:
    """The exchange up to row `end`: rows that concern nobody are passed over. DONE, or why not.

    TURN behind each row that concerned somebody where rows are put in order before they are met.
    """
    if end <= book["i_cursor"][ZERO]:
        return DONE  # several commands of one instant: only the last needs to know the next row
    while True:
        find_hit(book, tape, ctx)
        row = ctx["hit"]
        if row > end:
            if end > book["i_cursor"][ZERO]:
                kernel.move_cursor(book, tape, ZERO, end)
            return DONE
        before = book["event_count"]
        kernel.apply_row(book, tape, events, ZERO, row)
        note_events(ctx, news, events, before, book["event_count"], response)
        if book["margin_wake"]:
            if liquidation.is_anybody_short(book):
                return MARGIN
            book["margin_wake"] = ZERO
            book["interest_stale"] = _YES
        if is_crowded(book, ctx, news):
            return DRAIN
        if ctx["turns"]:
            return TURN


@njit
def is_crowded(book: Book, ctx: Context, news: Table) -> bool:
    """True when another transaction may find no room for its events."""
    return bool(book["event_count"] > _FULL or ctx["news_to"] + _FULL > len(news))


@njit
def bring_up(
    book: Book,
    tape: TapeRows,
    events: EventRows,
    command: CommandRow,
    ctx: Context,
    news: Table,
    log: Table,
    until_ns: int,
    latency: IntColumn,
) -> int:
    """Rows and arriving commands up to a time, in their order. DONE, or why it could not go on."""
    while ctx["arrived"] < ctx["sent"]:
        at = ctx["arrived"]
        now_ns = log[at, LOG_SENT] + latency[ENTRY_LATENCY]
        if now_ns > until_ns:
            break
        end = row_at(ctx, tape, now_ns)
        code = process_rows(book, tape, events, ctx, news, end, latency[RESPONSE_LATENCY])
        if code != DONE:
            return code
        before = book["event_count"]
        book["ts"] = now_ns
        execute(book, tape, events, command, ctx, log, at)
        ctx["arrived"] = at + 1
        note_events(ctx, news, events, before, book["event_count"], latency[RESPONSE_LATENCY])
        if is_crowded(book, ctx, news):
            return DRAIN
        if ctx["turns"]:
            return TURN
    end = row_at(ctx, tape, until_ns)
    return process_rows(book, tape, events, ctx, news, end, latency[RESPONSE_LATENCY])


@njit
def row_at(ctx: Context, tape: TapeRows, now_ns: int) -> int:
    """The row in force at a time that never goes back."""
    row: int = last_row_at(tape, max(ctx["seen"], ctx["told"] - 1), now_ns)
    ctx["seen"] = row
    return row


@njit
def show_touch(ctx: Context, tape: TapeRows, row: int) -> None:
    """Put the best prices and sizes of a row before the strategy."""
    ctx["bid"] = tape.bid[row]
    ctx["ask"] = tape.ask[row]
    ctx["bid_lots"] = tape.bid_qty[row]
    ctx["ask_lots"] = tape.ask_qty[row]


@njit
def show(ctx: Context, tape: TapeRows, row: int) -> None:
    """Put a row before the strategy."""
    ctx["ts_ns"] = tape.ts[row]
    show_touch(ctx, tape, row)
    if tape.kind[row] == ROW_TRADE:
        ctx["trade_ticks"] = tape.px[row]
        ctx["trade_lots"] = tape.qty[row]
        ctx["trade_side"] = tape.side[row]
    else:
        ctx["trade_ticks"] = NONE
        ctx["trade_lots"] = ZERO
        ctx["trade_side"] = ZERO


@entry
def keep_all_sent(contexts: Context, log: Table, now_ns: int) -> None:
    """As `keep_sent`, for a call that did not return."""
    keep_sent(contexts[0], log, now_ns)


@njit
def keep_sent(ctx: Context, log: Table, now_ns: int) -> None:
    """The commands of a call leave, in the order in which they were given."""
    out, at = ctx["out"], ctx["sent"]
    for index in range(ctx["out_count"]):
        for column in range(OUT_WIDTH):
            log[at, column] = out[index, column]
        log[at, LOG_SENT] = now_ns
        log[at, LOG_PUBLISHED] = ctx["published"]
        at += 1
    ctx["sent"] = at
    ctx["out_count"] = ZERO
    ctx["acted"] = ZERO


@njit
def quiet_until(book: Book, tape: TapeRows, ctx: Context, news: Table, log: Table, way: int) -> int:
    """The time before which rows and calls are all that happens."""
    if book["interest_stale"] or ctx["hit"] <= book["i_cursor"][ZERO]:
        return ZERO
    quiet, row = NEVER, ctx["hit"]
    if row < len(tape.ts):
        # Which extreme of a bar comes first may not be decided yet.
        quiet = tape.ts[row - row % ROWS if ctx["turns"] else row]
    if ctx["arrived"] < ctx["sent"]:
        quiet = min(quiet, log[ctx["arrived"], LOG_SENT] + way)
    if ctx["news_from"] < ctx["news_to"]:
        quiet = min(quiet, news[ctx["news_from"], NEWS_DUE])
    return quiet


@entry
def play(
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
    last: int,
    bound_ns: int,
) -> int:
    """Tell the strategy rows up to `last`, and do all that happens before `bound_ns`.

    DONE, or why Python has to do something first. At `me` is the strategy's own record.
    """
    book, ctx, command, tape = books[0], contexts[0], commands[0], rows_of(handle)
    feed, way = latency[FEED_LATENCY], latency[ENTRY_LATENCY]
    ts, kinds = tape.ts, tape.kind
    while True:
        if ctx["sent"] + _ROOM > len(log):
            return GROW
        quiet_ns = min(quiet_until(book, tape, ctx, news, log, way), bound_ns) - feed
        row = ctx["told"]
        while row <= last and ts[row] < quiet_ns:
            show(ctx, tape, row)
            row += 1
            call(ctx, me)
            if ctx["acted"]:
                break
        if not ctx["acted"]:
            ctx["told"] = row
            now_ns = bound_ns if row > last else ts[row] + feed
            code = bring_up(
                book,
                tape,
                events,
                command,
                ctx,
                news,
                log,
                min(now_ns, bound_ns - 1),
                latency,
            )
            if code != DONE or now_ns >= bound_ns:
                return code
            tell_news(ctx, news, now_ns)
        else:
            now_ns = ts[row - 1] + feed
        # The other rows of the instant come before anything that its commands cause.
        while row <= last and ts[row] + feed == now_ns and ctx["refused"] == 0:
            if kinds[row] < ROW_OPEN:
                show(ctx, tape, row)
                call(ctx, me)
            row += 1
        ctx["told"] = row
        if ctx["out_count"]:
            keep_sent(ctx, log, now_ns)
        if ctx["refused"]:
            return REFUSED
