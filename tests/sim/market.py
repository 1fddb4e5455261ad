"""A market on a page: a tape in lines, an exchange over it, orders and events as short text.

A row of the tape is a line: time in ns, then what happens.

    0  5x99 101x7          a quote: 5 bid at 99, 7 offered at 101; `-` is an empty side
    10 sell 3@99           a print by a seller; the book stays as it was
    10 sell 3@99 2x99 101x7   a print, and the book of its row
    20 halt                also resume, open, close
    30 mark 99.5           a mark price, in ticks
    40 funding 100ppm      funding at the mark; `funding 100ppm 99.5` brings one
    30 bar 100 110 95 105 v40   a bar of 30 ns: open, high, low, close, volume (a tape of bars only)

Orders are text too: `buy 3 market`, `sell 2 stop 95 limit 94`, `sell 2 touched 105`, `buy 1 touched
95 limit 94`, `sell 2 trail 4`, `sell 2 trail 1.5% from 110`, with the words `ioc`, `fok`, `day`,
`none`, `post-only`, `reduce-only`, `gtd=50`, `protect=2` behind. One tick is one point is one unit
of money, one lot is one contract, unless the test says otherwise.

Several accounts: `Market(..., accounts=3)`, or a mapping of settings for each; `account=1` behind
an order says whose it is. Ids count for each account from 1. Lines of the second account begin with
`b`, of the third with `c`: `b#1 buy 2@99 maker left 0`.

After every call what must always hold (docs/fills.md) is checked, see `promises.py`, and the
reference exchange (`sim.reference`), which gets the same calls, has published the same events and
is in the same canonical state (`tests.differential.state`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace as changed
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from broker_api.calendar import SessionCalendar, load_calendar
from broker_api.config import AccountConfig, SimulationConfig
from broker_api.errors import FundsError
from broker_api.event import Event, EventRow, decode, encode
from broker_api.instrument import Instrument
from broker_api.order import (
    Arm,
    BracketRequest,
    CancelRequest,
    Command,
    ExitRequest,
    OcoRequest,
    OnPartial,
    OrderRequest,
    OrderType,
    ReplaceRequest,
    Side,
    TimeInForce,
    TriggerSource,
)
from data.schema import COLUMN_TYPES, EMPTY_ASK, EMPTY_BID, RowKind, TapeColumns, TickGrid
from data.tape import Tape, tape_from_frame
from sim.book import MAX_INSTRUMENTS
from sim.exchange import Exchange
from sim.funds import FundsChange
from sim.reference import ReferenceExchange
from tests.differential.kernel_state import KernelReader
from tests.differential.reference_state import ReferenceReader
from tests.sim.event_text import texts
from tests.sim.promises import Promises

NANO = 10**9
BAR_NS = 30
PLAIN = Instrument(
    symbol="X",
    id="X",
    name="one unit of money a tick and lot",
    exchange="",
    currency="USD",
    calendar="24/7",
    tick_size=Decimal(1),
    tick_value=Decimal(1),
    lot_size=Decimal(1),
    min_size=Decimal(1),
    max_size=Decimal(1000),
)
SIDES = {"buy": 1, "sell": -1, "print": 0}
STATUS = {"open": RowKind.OPEN, "close": RowKind.CLOSE, "halt": RowKind.HALT}
STATUS["resume"] = RowKind.RESUME


def an_instrument(symbol: str = "X", **fields: Any) -> Instrument:
    """The plain instrument with other fields."""
    return changed(PLAIN, symbol=symbol, id=symbol, **fields)


def tape_of(rows: Sequence[str], *, symbol: str = "X", bbo_after_trade: bool = True) -> Tape:
    """A tape from lines as the module describes them."""
    if " bar " in rows[0]:
        return _bar_tape(rows, symbol)
    book = (EMPTY_BID, EMPTY_ASK, 0, 0)
    table = []
    for row in rows:
        kind, side, px, qty, book = _row(row.split()[1:], book)
        table.append((int(row.split()[0]), kind, side, px, qty, *book))
    named = zip(COLUMN_TYPES.items(), zip(*table, strict=True), strict=True)
    columns = TapeColumns(*(np.array(values, dtype=dtype) for (_, dtype), values in named))
    return Tape(columns, symbol, "memory", "", bbo_after_trade)


def _bar_tape(rows: Sequence[str], symbol: str) -> Tape:
    names = ("ts", "open", "high", "low", "close", "volume")
    table = [row.replace(" bar ", " ").replace("v", "").split() for row in rows]
    columns = {name: [int(line[at]) for line in table] for at, name in enumerate(names)}
    grid = TickGrid(symbol, Decimal(1), Decimal(1))
    tape = tape_from_frame(columns, grid, bar_interval_ns=BAR_NS)
    # written to by nobody, but of the type that the other tapes of the tests have: compiled once
    return changed(tape, columns=TapeColumns(*(column.copy() for column in tape.columns)))


def _row(words: list[str], book: tuple[int, ...]) -> tuple[int, int, int, int, tuple[int, ...]]:
    if words[0] in STATUS:
        return STATUS[words[0]], 0, 0, 0, book
    if words[0] == "mark":
        return RowKind.MARK, 0, int(Decimal(words[1]) * NANO), 0, book
    if words[0] == "funding":
        rate = int(Decimal(words[1].removesuffix("ppm")) * 1000)
        price = int(Decimal(words[2]) * NANO) if len(words) > 2 else 0
        return RowKind.FUNDING, 0, price, rate, book
    if words[0] in SIDES:
        lots, price = words[1].split("@")
        book = _book(words[2:]) if len(words) > 2 else book
        return RowKind.TRADE, SIDES[words[0]], int(price), int(lots), book
    return RowKind.QUOTE, 0, 0, 0, _book(words)


def _book(words: list[str]) -> tuple[int, ...]:
    bid_qty, bid = (0, EMPTY_BID) if words[0] == "-" else map(int, words[0].split("x"))
    ask, ask_qty = (EMPTY_ASK, 0) if words[1] == "-" else map(int, words[1].split("x"))
    return bid, ask, bid_qty, ask_qty


TYPES = {
    frozenset(("market",)): OrderType.MARKET,
    frozenset(("limit",)): OrderType.LIMIT,
    frozenset(("stop",)): OrderType.STOP,
    frozenset(("stop", "limit")): OrderType.STOP_LIMIT,
    frozenset(("touched",)): OrderType.MARKET_IF_TOUCHED,
    frozenset(("touched", "limit")): OrderType.LIMIT_IF_TOUCHED,
    frozenset(("trail",)): OrderType.TRAILING_STOP,
}
PRICES = {"limit": "limit_ticks", "stop": "stop_ticks", "touched": "stop_ticks"}
PRICES |= {"trail": "trail_ticks", "from": "activation_ticks"}


def order_of(text: str, order_id: int, symbol: str = "X", **fields: Any) -> OrderRequest:
    """The request that a text describes."""
    words = text.split()
    given: dict[str, Any] = {}
    for word, price in pairwise(words):
        if word in PRICES and price.endswith("%"):
            given["trail_ppm"] = int(Decimal(price[:-1]) * 10_000)
        elif word in PRICES:
            given[PRICES[word]] = int(price)
    kind = TYPES[frozenset(words) & {"market", "limit", "stop", "touched", "trail"}]
    given["time_in_force"] = TimeInForce.NONE if "market" in words else TimeInForce.GTC
    for word in words[2:]:
        if word.upper() in TimeInForce.__members__:
            given["time_in_force"] = TimeInForce[word.upper()]
        elif word.startswith("gtd="):
            given |= {"time_in_force": TimeInForce.GTD, "expires_at_ns": int(word[4:])}
        elif word.startswith("protect="):
            given["protection_ticks"] = int(word[8:])
    given |= {"post_only": "post-only" in words, "reduce_only": "reduce-only" in words} | fields
    return OrderRequest(
        order_id, str(order_id), symbol, Side.parse(words[0]), kind, int(words[1]), **given
    )


def exit_of(text: str, order_id: int) -> ExitRequest:
    """`+5` is an offset of 5 ticks, `95` a price, `+5 limit 2` a stop-limit 2 ticks beyond.

    `trail 4` is a stop that trails 4 ticks behind.
    """
    words = text.split()
    if words[0] == "trail":
        return ExitRequest(order_id, str(order_id), trail_ticks=int(words[1]))
    beyond = int(words[2]) if len(words) > 2 else None
    if words[0].startswith("+"):
        offset = int(words[0])
        return ExitRequest(order_id, str(order_id), offset_ticks=offset, limit_offset_ticks=beyond)
    price = int(words[0])
    return ExitRequest(order_id, str(order_id), price_ticks=price, limit_offset_ticks=beyond)


class Market:
    """An exchange without latency over tapes on a page; answers are lists of event texts.

    Ids count from 1 in the order of an account's texts: entry, stop, target of a bracket. `run_to`
    moves time and returns what happened. Settings of the simulation are keyword arguments.
    """

    def __init__(
        self,
        *rows: str,
        tapes: Sequence[Tape] = (),
        instruments: Sequence[Instrument] = (PLAIN,),
        calendar: SessionCalendar | None = None,
        cash: float = 1_000_000.0,
        trigger: TriggerSource | None = None,
        bbo_after_trade: bool = True,
        account: Mapping[str, Any] | None = None,
        accounts: int | Sequence[Mapping[str, Any]] = 1,
        start: int | None = None,
        **simulation: Any,
    ) -> None:
        tapes = tapes or [tape_of(rows, bbo_after_trade=bbo_after_trade)]
        if trigger is not None:
            instruments = [changed(item, trigger_source=trigger) for item in instruments]
        self.tapes = tuple(tapes)
        each = [{}] * accounts if isinstance(accounts, int) else accounts
        configs = [AccountConfig(**{"cash": cash, **(account or {}), **one}) for one in each]
        given = (
            instruments,
            tapes,
            [calendar or load_calendar("24/7") for _ in instruments],
            SimulationConfig(**{"margin": False, **simulation}),
            configs,
            start,
        )
        self.exchange = Exchange(*given)
        self.reference = ReferenceExchange(*given)
        self.reader = KernelReader(self.exchange, tapes)
        self.reference_reader = ReferenceReader(self.reference)
        self.promises = Promises(self.exchange, instruments, configs)
        self.events: list[Event] = []
        self.check_after_calls = True
        self.next_ids = [1 for _ in configs]
        self._advance(self.exchange.start_ns)

    def run_to(self, ts_ns: int) -> list[str]:
        """Move time to `ts_ns`, inclusive; the texts of what was published."""
        events: list[Event] = []
        while True:
            new = self._advance(ts_ns)
            events += new
            if self.exchange.now_ns >= ts_ns and not new:
                return texts(events)

    def change_funds(self, change: FundsChange, account: int = 0) -> list[Event]:
        """Deposit, set a leverage or move margin; refused by both exchanges or by none."""
        try:
            events = self.exchange.change_funds(change, account)
        except FundsError as failure:
            reason = failure.reason
            with pytest.raises(FundsError, check=lambda other: other.reason == reason):
                self.reference.change_funds(change, account)
            raise
        assert self.reference.change_funds(change, account) == events
        assert self.reader.read() == self.reference_reader.read()
        return self._keep([encode(event) for event in events])

    def place(self, text: str, *, account: int = 0, **fields: Any) -> list[str]:
        """Send one order."""
        return self._execute(order_of(text, self._take_id(account), **fields), account)

    def bracket(
        self,
        text: str,
        *,
        stop: str | None = None,
        target: str | None = None,
        arm: str = "partial",
        on_partial: str = "shrink",
        account: int = 0,
        **fields: Any,
    ) -> list[str]:
        """Send an entry with its exits."""
        entry = order_of(text, self._take_id(account), **fields)
        exits = [exit_of(leg, self._take_id(account)) if leg else None for leg in (stop, target)]
        how = Arm[arm.upper()], OnPartial[on_partial.upper()]
        return self._execute(BracketRequest(entry, exits[0], exits[1], *how), account)

    def oco(
        self, first: str, second: str, *, on_partial: str = "shrink", account: int = 0
    ) -> list[str]:
        """Send two orders of which one completes."""
        orders = [order_of(text, self._take_id(account)) for text in (first, second)]
        request = OcoRequest(*orders, on_partial=OnPartial[on_partial.upper()])
        return self._execute(request, account)

    def replace(
        self,
        order_id: int,
        *,
        size: int | None = None,
        limit: int | None = None,
        stop: int | None = None,
        trail: int | None = None,
        account: int = 0,
    ) -> list[str]:
        """Send a change."""
        return self._execute(ReplaceRequest(order_id, size, limit, stop, trail), account)

    def cancel(self, order_id: int, *, account: int = 0) -> list[str]:
        """Send a cancel."""
        return self._execute(CancelRequest(order_id), account)

    def execute(self, command: Command, account: int = 0) -> list[str]:
        """Send a command as it is."""
        return self._execute(command, account)

    @property
    def book(self) -> Any:
        """The exchange's record, for what no event tells."""
        return self.exchange._book

    @property
    def position(self) -> int:
        """Lots of the first account in the first instrument."""
        return self.position_of(0)

    def position_of(self, account: int, instrument: int = 0) -> int:
        """Lots of an account."""
        return int(self.book["p_position"][account * MAX_INSTRUMENTS + instrument])

    def queue_ahead(self, order_id: int, *, account: int = 0) -> float | None:
        """Lots ahead of a resting order, None while unknown."""
        own = (self.book["o_order_id"] == order_id) & (self.book["o_account"] == account)
        slot = int(np.flatnonzero(own)[0])
        assert self.book["o_resting"][slot], f"order {order_id} does not rest"
        return self.book["o_queue"][slot] / 1024 if self.book["o_queue_known"][slot] else None

    def _take_id(self, account: int) -> int:
        self.next_ids[account] += 1
        return self.next_ids[account] - 1

    def _execute(self, command: Command, account: int) -> list[str]:
        self.promises.note(command, account)
        events = self._keep(self.exchange.execute_rows(command, account))
        assert self.reference.execute(command, account) == events
        assert self.reader.read() == self.reference_reader.read()
        self.promises.check_answer(command, events, account)
        return texts(events)

    def _advance(self, ts_ns: int) -> list[Event]:
        events = self._keep(self.exchange.advance_rows(ts_ns))
        assert self.reference.advance(ts_ns) == events
        assert self.reader.read() == self.reference_reader.read()
        return events

    def _keep(self, rows: list[EventRow]) -> list[Event]:
        events = [decode(row) for row in rows]
        assert [encode(event) for event in events] == rows, "a row holds more than its event"
        self.events += events
        for event in events:
            self.promises.check_event(event)
        if self.check_after_calls:
            self.promises.check_state()
        return events


class Hours:
    """A calendar of given stretches: open from each first to each second instant, in ns."""

    name = "hours"

    def __init__(self, *stretches: tuple[int, int]) -> None:
        self._stretches = stretches

    def is_open(self, ts_ns: int) -> bool:
        """True inside a stretch; an opening instant is open, a closing instant closed."""
        return any(opens <= ts_ns < closes for opens, closes in self._stretches)

    def session_end_ns(self, ts_ns: int) -> int:
        """The first closing after `ts_ns`."""
        return min(closes for _, closes in self._stretches if closes > ts_ns)

    def next_open_ns(self, ts_ns: int) -> int | None:
        """`ts_ns` when open, else the next opening."""
        if self.is_open(ts_ns):
            return ts_ns
        return min((opens for opens, _ in self._stretches if opens > ts_ns), default=None)

    def boundaries(self, start_ns: int, end_ns: int) -> list[tuple[int, bool]]:
        """Every opening and closing in the range."""
        found = [(opens, True) for opens, _ in self._stretches]
        found += [(closes, False) for _, closes in self._stretches]
        return sorted(item for item in found if start_ns <= item[0] < end_ns)

    def sessions_between(self, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
        """The stretches that end after `start_ns` and begin before `end_ns`."""
        return [(a, b) for a, b in self._stretches if b > start_ns and a < end_ns]


def fires_on(source: TriggerSource, order: str, row: str) -> bool:
    """Whether an order that waits for a trigger has fired on the row, at prices around 100."""
    rows = ["0 5x99 101x5", "1 print 1@100", "2 mark 100", row, "20 5x99 101x5"]
    market = Market(*rows, trigger=source)
    market.run_to(5)
    assert len(market.place(order)) == 1
    lines = market.run_to(10)
    assert not lines or lines[0].startswith("#1 triggered at")
    return bool(lines)
