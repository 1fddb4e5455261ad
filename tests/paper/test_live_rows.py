"""What a live feed tells, as rows: later than what is known, halted while the feed is down."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from data.growing import GrowingTape
from data.schema import EMPTY_BID, RowKind, TapeColumns
from sim.inbox import Inbox, Wall
from sim.incoming import Arrival
from sim.live_rows import LiveMarket, LiveRows, kinds_of

KINDS = kinds_of(("quote", "trade", "mark", "funding"))
BEGAN_NS = 1_000_000


class Bench:
    """A feed's way into an inbox, with a clock that is set by hand."""

    def __init__(self, instruments: int = 1) -> None:
        self.now_ns = BEGAN_NS
        rows = LiveRows(instruments)
        tapes = [GrowingTape(f"I{each}", "test", KINDS) for each in range(instruments)]
        wall = lambda: self.now_ns  # noqa: E731
        self.inbox = Inbox(tapes, rows, Wall(wall))
        self.market = LiveMarket(self.inbox, rows, instruments, wall)

    def arrival(self) -> Arrival:
        """What the session gets when it comes to look."""
        return self.inbox.next(None)

    def rows(self, instrument: int = 0) -> list[tuple[Any, ...]]:
        """The next rows of an instrument: kind, time, px, qty, side, bid, ask, sizes."""
        columns = self.arrival().rows[instrument]
        assert columns is not None
        return listed(columns)


def listed(columns: TapeColumns) -> list[tuple[Any, ...]]:
    names = ("ts", "px", "qty", "side", "bid", "ask", "bid_qty", "ask_qty")
    kinds = [RowKind(each).name for each in columns.kind.tolist()]
    values = [getattr(columns, name).tolist() for name in names]
    return list(zip(kinds, *values, strict=True))


def test_quotes_prints_and_marks_become_rows_with_the_touch_before_them() -> None:
    bench = Bench()
    bench.market.mark(0, 77)  # before the first quote there is no market to have a mark
    bench.market.quote(0, 10, 12, (5, 6))
    bench.now_ns += 10
    bench.market.trade(0, 12, 3, 1)
    bench.market.quote(0, None, 13, (0, 4))
    assert bench.rows() == [
        ("QUOTE", BEGAN_NS, 0, 0, 0, 10, 12, 5, 6),
        ("MARK", BEGAN_NS, 77, 0, 0, 10, 12, 5, 6),
        ("TRADE", BEGAN_NS + 10, 12, 3, 1, 10, 12, 5, 6),
        ("QUOTE", BEGAN_NS + 10, 0, 0, 0, EMPTY_BID, 13, 0, 4),
    ]
    bench.market.funding(0, 125)
    assert bench.rows()[0][:4] == ("FUNDING", BEGAN_NS + 11, 77, 125)


def test_a_row_is_later_than_every_time_that_was_given_out() -> None:
    bench = Bench()
    bench.market.quote(0, 10, 12, (5, 6))
    known_ns = bench.arrival().horizon_ns
    bench.now_ns -= 500  # the machine's clock is set back
    bench.market.quote(0, 11, 12, (5, 6))
    (row,) = bench.rows()
    assert row[1] == known_ns + 1
    bench.market.quote(0, 10, 12, (5, 6))
    assert bench.rows()[0][1] == known_ns + 2


def test_what_repeats_or_cannot_be_is_no_row() -> None:
    bench = Bench()
    bench.market.quote(0, 10, 12, (5, 6))
    bench.market.quote(0, 10, 12, (5, 6))
    bench.market.quote(0, 13, 12, (5, 6))
    bench.market.trade(0, 0, 1, 1)
    assert [row[0] for row in bench.rows()] == ["QUOTE"]
    assert bench.market.notes == [
        "a quote of bid 13, ask 12, sizes (5, 6) was left out",
        "a print of 1 lots at 0 ticks was left out",
    ]


def test_while_the_feed_is_down_the_market_is_halted_until_the_next_quote() -> None:
    bench = Bench(2)
    bench.market.quote(0, 10, 12, (5, 6))
    bench.market.quote(1, 20, 22, (1, 1))
    bench.arrival()
    assert bench.market.health()["feed"] == "connected"
    bench.market.down("the connection broke")
    bench.market.down("no connection")  # a second attempt: down already
    bench.market.trade(0, 11, 1, 1)  # nobody knows the touch that goes with it
    bench.now_ns += 5_000_000
    assert bench.market.health() == {"feed": "down", "feed_age_ms": 5, "feed_outages": 1}
    bench.market.quote(0, 10, 12, (5, 6))
    arrival = bench.arrival()
    first, second = arrival.rows
    assert first is not None
    assert second is not None
    assert [row[0] for row in listed(first)] == ["HALT", "RESUME", "QUOTE"]
    assert [row[0] for row in listed(second)] == ["HALT"]
    assert "the connection broke" in bench.market.notes[0]


def test_a_session_that_is_resumed_finds_the_market_halted_since_it_went() -> None:
    bench = Bench()
    bench.market.quote(0, 10, 12, (5, 6))  # told before the past was played
    assert bench.inbox.resume_at(BEGAN_NS - 1000, (None,))
    rows = bench.rows()
    assert [(row[0], row[1]) for row in rows] == [
        ("HALT", BEGAN_NS - 999),
        ("RESUME", BEGAN_NS),
        ("QUOTE", BEGAN_NS),
    ]


def test_rows_of_many_threads_stay_in_the_order_of_time() -> None:
    bench = Bench()
    tape = bench.inbox.tapes[0]

    def tell(low: int) -> None:
        for each in range(500):
            bench.market.quote(0, low + each % 7, 100, (1 + each, 1))

    threads = [threading.Thread(target=tell, args=(low,)) for low in (10, 30, 50)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) or len(tape) == 0:
        bench.market.mark(0, len(tape) + 1)
        bench.market.quote(0, 9, 101, (len(tape) + 1, 1))
        for rows in bench.arrival().rows:
            if rows is not None:
                tape.append(rows)  # raises where time goes back
    for thread in threads:
        thread.join()
    assert np.all(np.diff(tape.tape().columns.ts) >= 0)
