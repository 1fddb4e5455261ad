"""A shortcut for what is sent and looked at while nobody waits for events.

An order that goes through the session is drafted, journalled, sent, answered and folded into the
books, one step after the other, in Python. A handler that is called at every tick and looks at its
position and at its own orders needs none of that at once, nor does a coroutine that is alone
(`alone.py`) and waits for how its order was answered. Their commands go straight into the tables
that compiled strategies work with (`strategy_traffic.py`), and what they look at is read there; the
journal and the books follow when somebody looks at them. Commands take effect at the same times,
and the events are the same.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from broker_api.compiled_run import RunBooks
from broker_api.config import BrokerSpec, SimulationConfig
from broker_api.order import NO_PRICE, Command, OrderStatus, OrderType, Side
from sim import doors
from sim.exchange import Exchange
from sim.strategy import (
    AT_ONCE_MAX,
    KNOWN_FIELDS,
    KNOWN_MAX,
    SCALAR_FIELDS,
    SEND_BRACKET,
    SEND_CANCEL,
    SEND_ORDER,
    SEND_REPLACE,
)
from sim.strategy_loop import DONE, LOG_WIDTH, MARGIN
from sim.strategy_traffic import LATENCY_WAYS, Traffic, constant_ns
from sim.virtual_loop import VirtualLoop

_ENTRIES_MAX = KNOWN_MAX // 4
"""Working entries beyond which the ordinary way has room, and the tables may not."""
CHANCES, _FEW, _DETOUR = 8, 64, 3
"""A session that goes back to the ordinary way so often after few commands is left there; one that
looked at the books too often has used up several chances at once."""
_LOOKS, _COMMANDS_A_LOOK = 16, 6
"""Who looks at the books more often, after so many looks, is served faster in the ordinary way."""
_POSITION, _ENTRIES, _LIMIT, _PROBES, _SENT, _PUBLISHED = map(
    SCALAR_FIELDS.index, ("position", "entries", "entries_max", "probes", "sent", "published")
)
_KNOWN, _WIDTH = len(SCALAR_FIELDS), len(KNOWN_FIELDS)
_ID, _STATUS, _TYPE = map(KNOWN_FIELDS.index, ("order_id", "status", "type"))
_ROW = struct.Struct(f"={LOG_WIDTH}q")
_ORDER, _BRACKET = int(SEND_ORDER), int(SEND_BRACKET)
_REPLACE, _CANCEL = int(SEND_REPLACE), int(SEND_CANCEL)
_FILLED = OrderStatus.FILLED.code
_SIGNS = (Side.BUY.sign, Side.SELL.sign)
_HAS_LIMIT = (OrderType.LIMIT, OrderType.STOP_LIMIT)
_HAS_STOP = (OrderType.STOP, OrderType.STOP_LIMIT)


def _numbers_of(table: npt.NDArray[Any]) -> memoryview:
    """The table's own memory: a look into it takes a third of what NumPy takes."""
    return memoryview(cast(Any, table.reshape(-1).view(np.int64)))


def may_shorten(spec: BrokerSpec) -> bool:
    """Whether the tables of compiled strategies can hold what sessions of this broker do.

    They know one instrument, latencies that are constant, and no orders that wait for an opening.
    Without a way to the exchange an order arrives at the instant of the look behind it.
    """
    ways = constant_ns(spec.simulation)
    return (
        len(spec.instruments) == 1
        and len(ways) == len(LATENCY_WAYS)
        and ways["entry"] > 0
        and spec.simulation.when_closed == "reject"
    )


class Shortcut:
    """See `broker_api.shortcut.Shortcut`; `loop` tells the session's time."""

    def __init__(
        self,
        exchange: Exchange,
        simulation: SimulationConfig,
        books: RunBooks,
        loop: VirtualLoop,
        answer_ns: Callable[[], int | None],
    ) -> None:
        self._exchange = exchange
        self._books = books
        self._loop = loop
        self.answer_ns = answer_ns
        self._traffic = Traffic(exchange, simulation, books)
        self._traffic.begin()
        self.played = self._traffic.played
        self._numbers = _numbers_of(self._traffic.contexts)
        self._paths = exchange.bar_paths
        self._break_ns = exchange.next_break_ns
        self._begin_instant(exchange.now_ns)
        self._sent_before = 0
        self._settled = 0
        self._looks = 0
        self._take_tables()

    def _begin_instant(self, now_ns: int) -> None:
        self.seen_ns = now_ns
        """The time of the last look."""
        self._known_rows = self._numbers[_SENT]
        self._known_ids = self._books.last_id
        self._new_entries = 0
        self._room = min(self._numbers[_LIMIT], _ENTRIES_MAX) - self._numbers[_ENTRIES]

    def _take_tables(self) -> None:
        traffic = self._traffic
        self._bytes = _numbers_of(traffic.log).cast("B")
        self._full_rows = len(traffic.log) - AT_ONCE_MAX
        self._tables = (*traffic.arguments, *self._paths)

    # --- time -----------------------------------------------------------------------------------

    def _look(self) -> None:
        now_ns = self._loop.now_ns
        if now_ns != self.seen_ns:
            self._bring(now_ns)

    def _bring(self, until_ns: int) -> None:
        """Rows, arrivals and news up to a time, and what Python does at the breaks before it."""
        while self._break_ns <= until_ns:
            self._run(self._break_ns - 1)
            self._advance_exchange(self._break_ns)
            self._break_ns = self._exchange.next_break_ns
        self._run(until_ns)
        if self._numbers[_SENT] > self._full_rows:
            self._make_room()
        self._begin_instant(until_ns)

    def _run(self, until_ns: int) -> None:
        while True:
            code = doors.bring_to(*self._tables, self._known_rows, until_ns)
            self._known_rows = self._numbers[_SENT]
            if code == DONE:
                return
            self._traffic.keep()
            if code == MARGIN:
                self._traffic.publish(self._exchange.look_at_margin())
            self._make_room()

    def _make_room(self) -> None:
        sent = self._numbers[_SENT]
        self._traffic.keep()
        self._traffic.make_room()
        moved = sent - self._numbers[_SENT]
        self._sent_before += moved
        self._known_rows -= moved
        self._settled -= moved
        self._take_tables()

    def _advance_exchange(self, until_ns: int) -> None:
        self._traffic.keep()
        self._traffic.publish(self._exchange.advance_to(until_ns))
        self._make_room()

    def settle(self, now_ns: int) -> None:
        """Bring the exchange itself to a time, and what happened into `played`."""
        if now_ns != self.seen_ns:
            self._bring(now_ns)
        self._advance_exchange(now_ns)
        self._settled = self._numbers[_SENT]
        self._looks += 1

    @property
    def is_settled(self) -> bool:
        """Whether everything that was sent is in `played`; of a time that has been settled."""
        return self._settled == self._numbers[_SENT]

    @property
    def is_a_detour(self) -> bool:
        """Whether the books are looked at so often that they might as well be kept up to date."""
        return self._looks > _LOOKS and self._looks * _COMMANDS_A_LOOK > self.command_count

    def end(self, now_ns: int) -> int:
        """The ordinary way takes over at `now_ns`; how many chances it has used up."""
        self._books.count_at_once(self.seen_ns, self._at_once)
        self.settle(now_ns)
        self.played.tell(now_ns)
        self._books.leave_shortcut()
        return _DETOUR if self.is_a_detour else int(self.command_count < _FEW)

    @property
    def command_count(self) -> int:
        """How many commands it has taken."""
        return self._sent_before + self._numbers[_SENT]

    def under_way(self) -> list[tuple[int, Command]]:
        """Commands that have not arrived, with when they were sent."""
        return self._traffic.under_way()

    # --- what handlers see ----------------------------------------------------------------------

    def position_lots(self) -> int:
        """See the protocol."""
        self._look()
        return self._numbers[_POSITION]

    def is_working(self, order_id: int) -> bool:
        """See the protocol."""
        self._look()
        if order_id > self._known_ids:
            return order_id <= self._books.last_id
        at = self._place_of(order_id)
        return at >= 0 and self._numbers[at + _STATUS] < _FILLED

    def status_codes(self, order_ids: Iterable[int]) -> list[int]:
        """See the protocol."""
        self._look()
        return [self._numbers[self._place_of(order_id) + _STATUS] for order_id in order_ids]

    def wait_until(self, until_ns: int) -> None:
        """See the protocol."""
        self._loop.go_on_alone(until_ns)

    def _place_of(self, order_id: int) -> int:
        """Where an order's numbers begin, -1 when nothing is known of it; see `find_known`."""
        if order_id <= 0:
            return -1
        numbers = self._numbers
        place = order_id & (KNOWN_MAX - 1)
        for _ in range(numbers[_PROBES] + 1):
            at = _KNOWN + place * _WIDTH
            if numbers[at + _ID] == order_id:
                return at
            place = (place + 1) & (KNOWN_MAX - 1)
        return -1

    # --- what handlers send ---------------------------------------------------------------------
    # False, or no id, where the ordinary way has to do it: it refuses what there is to refuse.

    def place(self, order_type: OrderType, side: Side, lots: int, price_ticks: int | None) -> int:
        """See the protocol."""
        self._look()
        sign = _SIGNS[side]
        if not (self._new_entries < self._room or self._reduces(sign, lots)) or self._is_full():
            return 0
        order_id = self._books.next_id()
        self._new_entries += 1
        limit = price_ticks if order_type is OrderType.LIMIT else None
        stop = price_ticks if order_type is OrderType.STOP else None
        self._send(_ORDER, order_id, sign, order_type, lots, limit, stop)
        return order_id

    def place_bracket(
        self,
        side: Side,
        lots: int,
        limit_ticks: int | None,
        stop_offset: int | None,
        target_offset: int | None,
    ) -> tuple[int, int | None, int | None] | None:
        """See the protocol."""
        self._look()
        sign = _SIGNS[side]
        if not (self._new_entries < self._room or self._reduces(sign, lots)) or self._is_full():
            return None
        entry_id = self._books.next_id()
        stop_id = None if stop_offset is None else self._books.next_id()
        target_id = None if target_offset is None else self._books.next_id()
        order_type = OrderType.MARKET if limit_ticks is None else OrderType.LIMIT
        exits = (stop_id or 0, stop_offset or 0, target_id or 0, target_offset or 0)
        self._new_entries += 1
        self._send(_BRACKET, entry_id, sign, order_type, lots, limit_ticks, None, exits)
        return entry_id, stop_id, target_id

    def _reduces(self, sign: int, lots: int) -> bool:
        """Whether an entry is taken beyond `max_concurrent_orders`, and the tables have room."""
        numbers = self._numbers
        position = numbers[_POSITION]
        has_room = numbers[_ENTRIES] + self._new_entries < _ENTRIES_MAX
        return has_room and position * sign < 0 and lots <= abs(position)

    @property
    def _at_once(self) -> int:
        """Commands since the last look at another time."""
        return self._numbers[_SENT] - self._known_rows

    def _is_full(self) -> bool:
        if self._numbers[_SENT] - self._known_rows < AT_ONCE_MAX:
            return False
        self._books.count_at_once(self.seen_ns, self._at_once)
        return True

    def replace(
        self,
        order_id: int,
        lots: int | None,
        limit_ticks: int | None,
        stop_ticks: int | None,
    ) -> bool:
        """See the protocol."""
        self._look()
        at = self._place_of(order_id)
        if at < 0 or self._numbers[at + _STATUS] >= _FILLED or self._is_full():
            return False
        order_type = self._numbers[at + _TYPE]
        if limit_ticks is not None and order_type not in _HAS_LIMIT:
            return False
        if stop_ticks is not None and order_type not in _HAS_STOP:
            return False
        self._send(_REPLACE, order_id, 0, 0, lots, limit_ticks, stop_ticks)
        return True

    def cancel(self, order_id: int) -> bool:
        """See the protocol."""
        if not self.is_working(order_id) or self._is_full():
            return False
        self._send(_CANCEL, order_id, 0, 0, None, None, None)
        return True

    def _send(
        self,
        kind: int,
        order_id: int,
        sign: int,
        order_type: int,
        lots: int | None,
        limit: int | None,
        stop: int | None,
        exits: tuple[int, int, int, int] = (0, 0, 0, 0),
    ) -> None:
        """One more row of the log, see `strategy.OUT_FIELDS`."""
        numbers = self._numbers
        row = numbers[_SENT]
        _ROW.pack_into(
            self._bytes,
            row * _ROW.size,
            kind,
            order_id,
            sign,
            order_type,
            NO_PRICE if lots is None else lots,
            NO_PRICE if limit is None else limit,
            NO_PRICE if stop is None else stop,
            *exits,
            self.seen_ns,
            numbers[_PUBLISHED],
        )
        numbers[_SENT] = row + 1
