"""Several traders on one book: who sends next, and orders that are meant to meet the others'."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from broker_api.event import (
    Event,
    OrderAccepted,
    OrderActivated,
    OrderEventBase,
    OrderHeld,
    OrderReplaced,
)
from broker_api.order import (
    NO_PRICE,
    Arm,
    BracketRequest,
    Command,
    ExitRequest,
    OcoRequest,
    OnPartial,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    Submission,
    TimeInForce,
)
from tests.differential.generate import Case
from tests.differential.trade import Trader

PATIENT = (TimeInForce.GTC,) * 4
HASTY = (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.FOK)


class Sent(NamedTuple):
    """A command and the account that sends it."""

    account: int
    command: Command


@dataclass
class Quoted:
    """A limit order that works, as the others may know it."""

    account: int
    index: int
    side: Side
    price: int
    lots: int
    is_live: bool


class Crowd:
    """A trader for each account. With one account it is that trader and draws nothing itself."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._traders = [Trader(case, account) for account in range(len(case.accounts))]
        self._rng = random.Random(f"crowd {case.seed}")
        self._quoted: dict[tuple[int, int], Quoted] = {}
        self._meets = self._rng.choice((0.3, 0.6, 0.8))
        self._largest = case.mood.trader.get("largest", self._rng.choice((3, 8)))

    def pause_ns(self, now_ns: int) -> int | None:
        """How long to wait now, None to send a command instead."""
        return self._traders[0].pause_ns(now_ns)

    def sent(self, now_ns: int) -> Sent:
        """The next command and who sends it."""
        if len(self._traders) == 1:
            return Sent(0, self._traders[0].command(now_ns))
        account = self._rng.randrange(len(self._traders))
        trader = self._traders[account]
        if self._rng.random() >= self._meets:
            return Sent(account, trader.command(now_ns))
        submission = self._meeting(account, now_ns)
        trader.remember(submission)
        return Sent(account, submission)

    def note(self, events: Iterable[Event]) -> None:
        """Every trader hears of its own events; what is quoted all may know."""
        for event in events:
            self._traders[event.account].note([event])
            if isinstance(event, OrderEventBase) and len(self._traders) > 1:
                self._note_order(event)

    def _note_order(self, event: OrderEventBase) -> None:
        key = event.account, event.order_id
        if isinstance(event, OrderAccepted):
            live = event.status is OrderStatus.OPEN and event.stop_ticks == NO_PRICE
            self._quoted[key] = Quoted(
                event.account, event.instrument, event.side, event.price_ticks, event.lots, live
            )
        quoted = self._quoted.get(key)
        if quoted is None:
            return
        quoted.lots = event.leaves_lots
        if isinstance(event, OrderReplaced | OrderActivated):
            quoted.price = event.price_ticks
        if isinstance(event, OrderActivated):
            quoted.is_live = event.stop_ticks == NO_PRICE
        if isinstance(event, OrderHeld) or not event.leaves_lots:
            quoted.is_live = False
        if event.status.is_terminal:
            del self._quoted[key]

    def _meeting(self, account: int, now_ns: int) -> Submission:
        """An order against what another account has resting, or one for others to come to."""
        rng, trader = self._rng, self._traders[account]
        there = [each for each in self._quoted.values() if each.is_live]
        there = [each for each in there if each.account != account and each.price != NO_PRICE]
        if there and rng.random() < 0.65:
            order = self._against(trader, rng.choice(there))
        else:
            order = self._maker(trader, rng.randrange(len(self._case.instruments)), now_ns)
        shape = rng.random()
        if shape < 0.6 or order.order_type is OrderType.MARKET:
            return order
        if shape < 0.85:
            return self._bracket(trader, order)
        return self._pair(trader, order)

    def _against(self, trader: Trader, quoted: Quoted) -> OrderRequest:
        """An order on the other side that reaches a maker, or is just short of it."""
        rng, side = self._rng, quoted.side.opposite
        more = rng.randint(1, 4 * self._largest)
        sizes = quoted.lots, quoted.lots + more, quoted.lots + more, rng.randint(1, self._largest)
        fields: dict[str, Any] = {"time_in_force": rng.choice(HASTY)}
        order_type = OrderType.LIMIT
        if rng.random() < 0.25:
            order_type = OrderType.MARKET
            forces = (TimeInForce.NONE, TimeInForce.NONE, TimeInForce.IOC, TimeInForce.FOK)
            fields["time_in_force"] = rng.choice(forces)
            fields["protection_ticks"] = rng.choice((None, None, 0, 1, 3))
        else:
            fields["limit_ticks"] = quoted.price + side.sign * rng.choice((0, 0, 0, 1, 2, -1))
        return self._order(
            trader, quoted.index, side, order_type, max(1, rng.choice(sizes)), fields
        )

    def _maker(self, trader: Trader, index: int, now_ns: int) -> OrderRequest:
        """A limit order at the touch, inside it or behind it."""
        rng = self._rng
        side = rng.choice((Side.BUY, Side.SELL))
        near = trader.touch(index, now_ns)[side is Side.SELL]
        limit = near + side.sign * rng.choice((0, 0, 0, 1, 1, 2, -1, -1, -2))
        fields = {"limit_ticks": limit, "time_in_force": rng.choice(PATIENT)}
        return self._order(
            trader, index, side, OrderType.LIMIT, rng.randint(1, self._largest), fields
        )

    def _order(
        self,
        trader: Trader,
        index: int,
        side: Side,
        order_type: OrderType,
        size: int,
        fields: dict[str, Any],
    ) -> OrderRequest:
        rng, symbol = self._rng, self._case.instruments[index].symbol
        if order_type is OrderType.LIMIT and rng.random() < 0.12:
            fields["post_only"] = True
        reduces = trader.positions[index] * side.sign < 0
        fields["reduce_only"] = reduces and rng.random() < 0.4
        order_id = trader.new_id()
        return OrderRequest(order_id, str(order_id), symbol, side, order_type, size, **fields)

    def _bracket(self, trader: Trader, entry: OrderRequest) -> BracketRequest:
        """Exits close to the entry: they rest where the others trade."""
        rng = self._rng
        entry = replace(entry, reduce_only=False)
        legs = [None, None] if rng.random() < 0.3 else [trader.new_id(), None]
        legs[1] = trader.new_id()
        stop, target = (
            None if each is None else ExitRequest(each, str(each), offset_ticks=rng.choice(steps))
            for each, steps in zip(legs, ((1, 2, 3, 5), (1, 1, 2)), strict=True)
        )
        how = rng.choice((Arm.PARTIAL, Arm.PARTIAL, Arm.FULL)), rng.choice(list(OnPartial))
        return BracketRequest(entry, stop, target, *how)

    def _pair(self, trader: Trader, first: OrderRequest) -> OcoRequest:
        """Two limits one behind the other: one who walks through both meets a shrunk one."""
        rng, number = self._rng, trader.new_id()
        assert first.limit_ticks is not None
        behind = first.limit_ticks - first.side.sign * rng.choice((0, 1, 1, 2))
        second = replace(first, order_id=number, client_order_id=str(number), limit_ticks=behind)
        return OcoRequest(first, second, rng.choice(list(OnPartial)))
