"""The canonical state (`state.py`) of the kernel, read from its record without touching it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_api.order import NO_PRICE, OrderStatus, OrderType, QueueModel
from data.schema import RowKind
from data.tape import Tape
from sim.book import BOOK, MAX_INSTRUMENTS, NO_SLOT, SCALAR_FIELDS
from sim.exchange import Exchange
from tests.differential.state import ACCOUNT, BRACKET, MARKET, NEVER, ORDER, POSITION, State

PENDING = OrderStatus.PENDING.code
AT_ANY_PRICE = (
    OrderType.MARKET,
    OrderType.STOP,
    OrderType.TRAILING_STOP,
    OrderType.MARKET_IF_TOUCHED,
)
PREFIXES = {"order": "o_", "group": "g_", "instrument": "i_", "account": "a_", "holding": "p_"}
"""The kernel's tables, and what the names of their fields begin with."""
assert BOOK.names is not None
FIELDS = {
    table: tuple(name[2:] for name in BOOK.names or () if name.startswith(prefix))
    for table, prefix in PREFIXES.items()
}
ORDER_AT, GROUP_AT, INSTRUMENT_AT, ACCOUNT_AT, HOLDING_AT = (  # where in a row a field is
    {name: at for at, name in enumerate(names)} for names in FIELDS.values()
)
DIRECT = ORDER[: ORDER.index("live") + 1]
"""What an order's canonical row takes as the kernel has it; the rest is worked out."""
GROUP_DIRECT = BRACKET[BRACKET.index("entry_filled") :]
MARKET_DIRECT = MARKET[: MARKET.index("cursor") + 1]
_renamed = {"market": "instrument"}
_order = itemgetter(*(ORDER_AT[_renamed.get(name, name)] for name in DIRECT))
_group = itemgetter(*(GROUP_AT[name] for name in GROUP_DIRECT))
_market = itemgetter(*(INSTRUMENT_AT[name] for name in MARKET_DIRECT))
_account = itemgetter(*(ACCOUNT_AT[name] for name in ACCOUNT[: ACCOUNT.index("seq") + 1]))
_position = itemgetter(*(HOLDING_AT[name] for name in POSITION))


class _Levels:
    """What each side of a tape showed last at each price, and its last print, since a row."""

    def __init__(self, tape: Tape) -> None:
        self.is_bars = tape.bar_interval_ns > 0
        self._tape = tape
        self._rows = [] if self.is_bars else self._read(0, len(tape))
        self._start(0)

    def _read(self, start: int, end: int) -> list[tuple[int, ...]]:
        columns = (column[start:end].tolist() for column in self._tape.columns)
        return list(zip(*columns, strict=True))

    def rows(self, start: int, end: int) -> list[tuple[int, ...]]:
        """Rows start..end-1. Those of bars get their order during the run."""
        return self._read(start, end) if self.is_bars else self._rows[start:end]

    def _start(self, first: int) -> None:
        self.first = self.end = first
        self.last = NO_PRICE
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}

    def up_to(self, first: int, cursor: int) -> None:
        """Rows first..cursor have been seen, and no others."""
        if first != self.first or cursor + 1 < self.end:
            self._start(first)
        for _, kind, _, px, _, bid, ask, bid_qty, ask_qty in self.rows(self.end, cursor + 1):
            if bid_qty > 0:
                self.bids[bid] = bid_qty
            if ask_qty > 0:
                self.asks[ask] = ask_qty
            if kind == RowKind.TRADE:
                self.last = px
        self.end = max(self.end, cursor + 1)


def _table(array: npt.NDArray[Any], table: str) -> npt.NDArray[np.int64]:
    """One table of the record without a copy: a row for each field, all of the same width."""
    names = [PREFIXES[table] + name for name in FIELDS[table]]
    assert BOOK.fields is not None
    starts = [BOOK.fields[name][1] // 8 for name in names]
    width = int(np.prod(BOOK[names[0]].shape))
    assert starts == list(range(starts[0], starts[0] + len(names) * width, width)), table
    flat = array.view(np.int64)
    return flat[starts[0] : starts[0] + len(names) * width].reshape(len(names), width)


class KernelReader:
    """Reads one exchange again and again."""

    def __init__(self, exchange: Exchange, tapes: Sequence[Tape]) -> None:
        self._exchange = exchange
        self._book, count = exchange._array[0], len(tapes)
        tables = [_table(exchange._array, name) for name in PREFIXES]
        self._orders, self._groups = tables[:2]
        self._instruments = tables[2][:, :count].T
        self._accounts = tables[3][:, : int(self._book["account_count"])].T
        by_account = tables[4].reshape(len(HOLDING_AT), -1, MAX_INSTRUMENTS)
        self._positions = by_account[:, : len(self._accounts), :count]
        self._active = self._book["active"]
        self._levels = [_Levels(tape) for tape in exchange.tapes]
        self._after = [tape.bbo_after_trade for tape in tapes]
        self._is_back = self._book["queue_model"] == QueueModel.BACK
        self._has_margin = bool(self._book["margin_on"])

    def read(self) -> State:
        """The canonical state now."""
        book = self._book
        markets = [self._market(at, row) for at, row in enumerate(self._instruments.tolist())]
        positions = self._positions.reshape(len(HOLDING_AT), -1).T.tolist()
        active = self._active[: int(book["active_count"])]
        orders = self._orders[:, active].T.tolist()
        slots = dict(zip(active.tolist(), (row[0] for row in orders), strict=True))
        brackets, pairs = self._read_groups(int(book["group_high"]), slots)
        ranked = sorted(orders, key=itemgetter(ORDER_AT["priority"]))
        return (
            self._exchange.now_ns,
            tuple([self._account(at, row) for at, row in enumerate(self._accounts.tolist())]),
            tuple(markets),
            tuple([_position(row) for row in positions]),
            tuple([self._order(row) for row in orders]),
            tuple([(row[ORDER_AT["account"]], row[ORDER_AT["order_id"]]) for row in ranked]),
            brackets,
            pairs,
        )

    def _account(self, at: int, row: list[int]) -> State:
        exchange = self._exchange
        used = exchange.used_margin_nanos(at) if self._has_margin else 0
        return (*_account(row), exchange.equity_nanos(at), used)

    def _order(self, row: list[int]) -> State:
        places: tuple[tuple[int, ...], ...] = ()
        if row[ORDER_AT["status"]] == PENDING and not row[ORDER_AT["activate"]]:
            doing = "held"
        elif row[ORDER_AT["resting"]]:
            doing, places = "resting", self._places(row)
        elif row[ORDER_AT["activate"]]:
            doing = "arriving"
        else:
            doing = "waiting" if row[ORDER_AT["waiting"]] else "stop"
        at_any_price = row[ORDER_AT["type"]] in AT_ANY_PRICE
        protection = row[ORDER_AT["protection"]] if at_any_price else NO_PRICE
        return (*_order(row), doing, protection, places)

    def _places(self, row: list[int]) -> tuple[tuple[int, ...], ...]:
        front, rest = row[ORDER_AT["front"]], row[ORDER_AT["live"]] - row[ORDER_AT["front"]]
        known = row[ORDER_AT["queue_known"]]
        ahead = 0 if self._is_back else row[ORDER_AT["queue"]] if known else NO_PRICE
        first = (
            front,
            ahead,
            row[ORDER_AT["met"]],
            0 if known else row[ORDER_AT["traded_pending"]],
        )
        if rest <= 0:
            return (first,)
        behind = 0 if self._is_back else row[ORDER_AT["queue_behind"]]
        return first, (rest, behind, row[ORDER_AT["met_behind"]], 0)

    def _read_groups(self, high: int, slots: dict[int, int]) -> tuple[State, State]:
        """Brackets and OCO pairs that are in use, each in the order of creation."""
        if not high:
            return (), ()
        slots[NO_SLOT] = 0
        used = [row for row in self._groups[:, :high].T.tolist() if row[GROUP_AT["used"]]]
        used.sort(key=itemgetter(GROUP_AT["created"]))
        brackets, pairs = [], []
        for row in used:
            first, second = slots[row[GROUP_AT["stop_leg"]]], slots[row[GROUP_AT["target_leg"]]]
            if row[GROUP_AT["is_oco"]]:
                pairs.append((row[GROUP_AT["account"]], first, second, row[GROUP_AT["on_partial"]]))
            else:
                where = (
                    row[GROUP_AT["account"]],
                    slots[row[GROUP_AT["entry"]]],
                    first,
                    second,
                    row[GROUP_AT["instrument"]],
                    row[GROUP_AT["sign"]],
                )
                brackets.append((*where, *_group(row)))
        return tuple(brackets), tuple(pairs)

    def _market(self, at: int, row: list[int]) -> State:
        halted, cursor, known_from = (
            row[INSTRUMENT_AT["halted"]],
            row[INSTRUMENT_AT["cursor"]],
            row[INSTRUMENT_AT["known_from"]],
        )
        next_open = row[INSTRUMENT_AT["next_open"]] if halted & 2 else NEVER
        plain = (*_market(row), halted, next_open, row[INSTRUMENT_AT["trigger_source"]])
        valued = row[INSTRUMENT_AT["value_bid"]], row[INSTRUMENT_AT["value_ask"]]
        if halted or cursor < known_from:
            return (*plain, *valued, 0, NO_PRICE, (0, 0), (0, 0), {}, {})
        levels = self._levels[at]
        levels.up_to(known_from, cursor)
        taken = self._taken(at, row, cursor, -1), self._taken(at, row, cursor, 1)
        return (*plain, *valued, 1, levels.last, *taken, levels.bids, levels.asks)

    def _taken(self, at: int, row: list[int], cursor: int, sign: int) -> tuple[int, int]:
        """(at the best, beyond) of the side that `sign` takes from, for the touch of `cursor`."""
        name = "taken_ask" if sign > 0 else "taken_bid"
        best, beyond = row[INSTRUMENT_AT[name]], row[INSTRUMENT_AT[f"{name}_beyond"]]
        if not best + beyond:
            return 0, 0
        seen, start = row[INSTRUMENT_AT[f"{name}_row"]], row[INSTRUMENT_AT[f"{name}_best"]]
        if self._levels[at].is_bars:
            return (best, beyond) if seen == cursor else (0, 0)
        rows = self._levels[at].rows(seen, cursor + 1)
        if is_fresh(rows, sign, start, self._after[at]):
            return 0, 0
        shown = _touch(rows[0], sign)[1]
        farthest = start
        if not self._after[at]:
            printed = [line[3] for line in rows[1:] if _took(line, sign)]
            farthest = max([start, *printed], key=lambda ticks: ticks * sign)
        steps = (farthest - start) * sign
        if steps > 0:
            left = max(0, beyond - (steps - 1) * shown)
            best = min(left, shown)
            beyond = left - best
        return best, beyond


def _touch(line: tuple[int, ...], sign: int) -> tuple[int, int]:
    return (line[6], line[8]) if sign > 0 else (line[5], line[7])


def _took(line: tuple[int, ...], sign: int) -> bool:
    return line[1] == RowKind.TRADE and line[2] * sign >= 0


def is_fresh(rows: Sequence[tuple[int, ...]], sign: int, start: int, after: bool) -> bool:
    """True when the touch changed in these rows, or a quote showed again what was proved gone."""
    gone = start != _touch(rows[0], sign)[0]
    for earlier, line in pairwise(rows):
        if _touch(line, sign) != _touch(earlier, sign):
            return True
        if gone and line[1] == RowKind.QUOTE:
            return True
        beyond = (line[3] - _touch(line, sign)[0]) * sign > 0
        gone = gone or (not after and _took(line, sign) and beyond)
    return False


def table_names() -> dict[str, tuple[str, ...]]:
    """The kernel's tables and their fields, for the test that none is forgotten."""
    return {"scalar": SCALAR_FIELDS} | FIELDS
