"""A trader that sends random commands; what it sends depends on its seed and what it was told."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from broker_api.event import Event, OrderAccepted, OrderEventBase, PositionChanged
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
    Submission,
    TimeInForce,
    order_ids_of,
    requests_of,
)
from tests.differential.generate import Case

TRAILING = OrderType.TRAILING_STOP
TOUCHED = [OrderType.MARKET_IF_TOUCHED, OrderType.LIMIT_IF_TOUCHED]


def _trailing_in(command: Command) -> set[int]:
    """The ids of a submission's trailing stops."""
    if isinstance(command, ReplaceRequest | CancelRequest):
        return set()
    found = {item.order_id for item in requests_of(command) if item.order_type is TRAILING}
    if isinstance(command, BracketRequest) and command.stop and command.stop.trail_ticks:
        found.add(command.stop.order_id)
    return found


class Trader:
    """Random commands and pauses. It knows its orders and its positions from the events.

    The first account's is the trader of sessions with one; the others draw for themselves.
    """

    def __init__(self, case: Case, account: int = 0) -> None:
        self._case = case
        self._rng = random.Random(f"trader {case.seed}" + (f" {account}" if account else ""))
        self._next_id = 1
        self._working: dict[int, OrderAccepted] = {}
        self.positions = [0 for _ in case.instruments]
        self._all_ids: list[int] = []
        self._trailing: set[int] = set()
        self._filled: dict[int, int] = {}
        chosen, lean = self._rng, case.mood.trader
        self._weights = {
            "single": 4,
            "bracket": chosen.choice((0, 0, 2, 5)),
            "oco": chosen.choice((0, 0, 1, 3)),
            "replace": chosen.choice((0, 1, 3)),
            "cancel": chosen.choice((0, 1, 2)),
        }
        stops = lean.get("stops", chosen.choice((0, 1, 2)))
        self._types = [OrderType.MARKET, OrderType.LIMIT, OrderType.LIMIT]
        self._types += [OrderType.STOP, OrderType.STOP_LIMIT][:stops]
        # of a generator of its own, so that sessions without them are what they were before
        triggers = random.Random(f"triggers {case.seed}")
        new_types = triggers.choice(([], [], [], TOUCHED, [TRAILING], [TRAILING, *TOUCHED]))
        self._types += new_types
        self._trails = TRAILING in new_types
        self._fancy = chosen.choice((0.0, 0.1, 0.3))
        self._largest = chosen.choice((3, 8, 30))
        self._distances = chosen.choice(((1,), (1, 2), (1, 1, 2, 3, 5)))
        self._pause = chosen.choice((0.3, 0.5, 0.7, 0.85))
        self._in_parts = lean.get("in_parts", 0.5)
        self._sides = (Side.BUY, Side.SELL)
        if lean.get("one_way", False):
            self._sides = (chosen.choice(self._sides),) * 5 + self._sides
        self._dated = lean.get("dated", 0.3)
        if chosen.random() < 0.25:  # a patient trader, whose exits live for a while
            self._weights |= {"single": 0, "bracket": 5, "oco": chosen.choice((0, 2)), "cancel": 0}
            self._distances = (1, 2, 2, 3)
            self._pause = 0.85
        self._weights |= lean.get("weights", {})
        self._distances = lean.get("distances", self._distances)
        self._pause = lean.get("pause", self._pause)
        self._largest = lean.get("largest", self._largest)

    def note(self, events: Iterable[Event]) -> None:
        """Remember what there is to change, to cancel and to close."""
        for event in events:
            if isinstance(event, OrderAccepted):
                self._working[event.order_id] = event
            elif isinstance(event, OrderEventBase):
                self._filled[event.order_id] = event.filled_lots
                if event.status.is_terminal:
                    self._working.pop(event.order_id, None)
            elif isinstance(event, PositionChanged):
                self.positions[event.instrument] = event.position_lots

    def pause_ns(self, now_ns: int) -> int | None:
        """How long to wait now, None to send a command instead."""
        if self._rng.random() >= self._pause:
            return None
        if self._rng.random() < 0.05:  # up to a row, which may be behind a gap
            return self._time_of_row(self._rng.randrange(len(self.positions)), now_ns) - now_ns
        return self._rng.choice((1, 1, 1, 1, 2, 2, 3, 3, 7, 12))

    def _time_of_row(self, index: int, now_ns: int) -> int:
        """The time of one of the next rows."""
        ts = self._case.tapes[index].columns.ts
        row = int(ts.searchsorted(now_ns, side="right")) + self._rng.choice((0, 0, 1, 3))
        return int(ts[row]) if row < len(ts) else now_ns + 20

    def command(self, now_ns: int) -> Command:
        """The next command."""
        kinds = [kind for kind, weight in self._weights.items() for _ in range(weight)]
        kind = self._rng.choice(kinds)
        if kind in ("replace", "cancel") and self._all_ids:
            return self._change(kind, now_ns)
        index = self._rng.randrange(len(self._case.instruments))
        command: Submission = self._order(index, now_ns)
        if kind == "oco":
            command = self._oco(index, now_ns)
        elif kind == "bracket":
            command = self._bracket(index, now_ns)
        self.remember(command)
        return command

    def remember(self, command: Submission) -> None:
        """An order that is to be sent may be changed and cancelled afterwards."""
        self._all_ids += order_ids_of(command)
        self._trailing |= _trailing_in(command)

    def touch(self, index: int, now_ns: int) -> tuple[int, int]:
        """Bid and offer of a market now, made up where a side is empty."""
        columns = self._case.tapes[index].columns
        row = max(0, int(columns.ts.searchsorted(now_ns, side="right")) - 1)
        bid, ask = int(columns.bid[row]), int(columns.ask[row])
        if not columns.bid_qty[row]:
            bid = ask - 1
        if not columns.ask_qty[row]:
            ask = bid + 1
        return (bid, ask) if 0 < bid < 1 << 60 and ask < 1 << 60 else (100, 101)

    def new_id(self) -> int:
        """An order id of its own: 1, 2, 3 ..."""
        self._next_id += 1
        return self._next_id - 1

    def size(self, index: int) -> int:
        """A size for the next order, seldom a wrong one."""
        rng = self._rng
        if rng.random() < 0.02:
            return rng.choice((0, -1, 1, 600, 1001, 1 << 40))
        position = abs(self.positions[index])
        if position and rng.random() < 0.3:
            return max(1, position + rng.choice((0, 0, 0, 1, -1)))
        return rng.randint(1, self._largest)

    def _order(self, index: int, now_ns: int) -> OrderRequest:
        rng = self._rng
        side = rng.choice(self._sides)
        order_type = rng.choice(self._types)
        bid, ask = self.touch(index, now_ns)
        fields: dict[str, Any] = {}
        if order_type in (OrderType.STOP, OrderType.STOP_LIMIT):
            near = ask if side is Side.BUY else bid
            fields["stop_ticks"] = near + side.sign * rng.choice((-2, 0, 1, 1, 2, 2, 3, 5))
        if order_type in TOUCHED:
            near = ask if side is Side.BUY else bid
            fields["stop_ticks"] = near - side.sign * rng.choice((-2, 0, 1, 1, 2, 2, 3, 5))
        if order_type is TRAILING:
            fields |= self._trail((bid + ask) // 2)
        if order_type is OrderType.LIMIT:
            near = ask if side is Side.BUY else bid
            fields["limit_ticks"] = near + side.sign * rng.choice((3, 1, 0, 0, -1, -1, -2, -3, -5))
        if order_type in (OrderType.STOP_LIMIT, OrderType.LIMIT_IF_TOUCHED):
            fields["limit_ticks"] = fields["stop_ticks"] + side.sign * rng.choice((-1, 0, 1, 2))
        if rng.random() < 0.01:
            fields.pop("limit_ticks", None)  # refused: a price is missing
        fields["time_in_force"] = self._time_in_force(order_type)
        if fields["time_in_force"] is TimeInForce.GTD:
            expiries = [now_ns + wait for wait in (0, 1, 2, 5, 20)]
            fields["expires_at_ns"] = rng.choice([*expiries, self._time_of_row(index, now_ns)])
        likely = self._fancy + (0.2 if order_type is OrderType.STOP_LIMIT else 0.0)
        if rng.random() < likely and "limit_ticks" in fields:
            fields["post_only"] = True
        position = self.positions[index] * side.sign
        if rng.random() < (self._fancy if position < 0 else self._fancy / 10):
            fields["reduce_only"] = True
        if rng.random() < self._fancy and "limit_ticks" not in fields:
            fields["protection_ticks"] = rng.choice((0, 1, 3))
        order_id, size = self.new_id(), self.size(index)
        symbol = self._case.instruments[index].symbol
        return OrderRequest(order_id, str(order_id), symbol, side, order_type, size, **fields)

    def _trail(self, near: int) -> dict[str, Any]:
        """A trailing stop's distance, in ticks or percent, and often where it begins to trail."""
        rng = self._rng
        fields: dict[str, Any] = {"trail_ticks": rng.choice((1, 1, 2, 3, 5))}
        if rng.random() < 0.4:
            # of prices near 100 a few ticks, of others anything from the least to very far
            fields = {"trail_ppm": rng.choice((1, 5_000, 10_000, 25_000, 999_999))}
        if rng.random() < 0.4:
            fields["activation_ticks"] = near + rng.randint(-4, 4)
        if rng.random() < 0.02:
            wrong = ("trail_ticks", 0), ("trail_ppm", 0), ("trail_ppm", 1_000_000)
            fields |= dict([rng.choice(wrong)])
        return fields

    def _time_in_force(self, order_type: OrderType) -> TimeInForce:
        if self._rng.random() >= self._dated:
            return TimeInForce.NONE if order_type is OrderType.MARKET else TimeInForce.GTC
        given = [TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD, TimeInForce.DAY]
        return self._rng.choice(given)

    def _oco(self, index: int, now_ns: int) -> OcoRequest:
        rng = self._rng
        other = rng.randrange(len(self.positions)) if rng.random() < 0.03 else index
        first, second = self._order(index, now_ns), self._order(other, now_ns)
        return OcoRequest(first, second, rng.choice(list(OnPartial)))

    def _bracket(self, index: int, now_ns: int) -> BracketRequest:
        rng = self._rng
        entry = self._order(index, now_ns)
        if rng.random() < self._in_parts:
            entry = self._taking_entry(entry, index, now_ns)
        has = rng.choice(((True, True), (True, True), (True, False), (False, True)))
        exits = [
            self._exit(entry, index, now_ns, is_stop) if has[not is_stop] else None
            for is_stop in (True, False)
        ]
        on_partial = OnPartial.CANCEL if entry.order_id % 4 == 0 else OnPartial.SHRINK
        return BracketRequest(entry, exits[0], exits[1], rng.choice(list(Arm)), on_partial)

    def _taking_entry(self, entry: OrderRequest, index: int, now_ns: int) -> OrderRequest:
        """An entry that fills in parts and at several prices."""
        rng = self._rng
        near = self.touch(index, now_ns)[entry.side is Side.BUY]
        limit = near + entry.side.sign * rng.choice((0, 0, 1, 1, 2, 4))
        return replace(
            entry,
            order_type=OrderType.LIMIT,
            limit_ticks=limit,
            stop_ticks=None,
            trail_ticks=None,
            trail_ppm=None,
            activation_ticks=None,
            size_lots=rng.randint(2, 3 * self._largest),
            time_in_force=TimeInForce.GTC,
            post_only=False,
            reduce_only=False,
            protection_ticks=None,
            expires_at_ns=None,
        )

    def _exit(self, entry: OrderRequest, index: int, now_ns: int, is_stop: bool) -> ExitRequest:
        rng = self._rng
        order_id = self.new_id()
        fields: dict[str, Any] = {}
        distance = rng.choice(self._distances)
        if is_stop and self._trails and rng.random() < 0.5:
            trail = rng.choice((distance, distance, 0)) if rng.random() < 0.1 else distance
            return ExitRequest(order_id, str(order_id), trail_ticks=trail)
        given = rng.random()
        if given < 0.6:
            fields["offset_ticks"] = distance
        if given > 0.59:  # seldom both; an exit without either is refused, too
            anchor = entry.limit_ticks or entry.stop_ticks or self.touch(index, now_ns)[0]
            sign = entry.side.sign * (-1 if is_stop else 1)
            fields["price_ticks"] = anchor + sign * distance if given < 0.995 else None
        if is_stop and rng.random() < 0.3:
            fields["limit_offset_ticks"] = rng.choice((0, 1, 3))
        return ExitRequest(order_id, str(order_id), **fields)

    def _change(self, kind: str, now_ns: int) -> Command:
        rng = self._rng
        working = list(self._working)
        known = working if working and rng.random() < 0.9 else [*self._all_ids, 9999]
        order_id = rng.choice(known)
        if kind == "cancel":
            return CancelRequest(order_id)
        order = self._working.get(order_id)
        index = 0 if order is None else order.instrument
        bid, ask = self.touch(index, now_ns)
        fields: dict[str, int] = {}
        if rng.random() < 0.6:
            size = 3 if order is None else order.lots
            fields["size_lots"] = size + rng.choice((-3, -2, -1, -1, 0, 1, 2, 2 * size))
            filled = self._filled.get(order_id, 0)
            if filled and rng.random() < 0.5:
                fields["size_lots"] = filled + rng.choice((-1, 0, 0, 1))
        has_limit = order is None or order.price_ticks > -(1 << 60)
        if rng.random() < (0.5 if has_limit else 0.05):
            fields["limit_ticks"] = rng.choice((bid, ask)) + rng.randint(-3, 3)
        has_stop = order is not None and order.stop_ticks > -(1 << 60)
        if rng.random() < (0.5 if has_stop else 0.05):
            fields["stop_ticks"] = rng.choice((bid, ask)) + rng.randint(-4, 4)
        if self._trails and rng.random() < (0.5 if order_id in self._trailing else 0.05):
            fields.pop("stop_ticks", None)
            fields["trail_ticks"] = rng.choice((1, 1, 2, 3, 4, 6, -1))
        return ReplaceRequest(order_id, **fields)
