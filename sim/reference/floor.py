"""The trading floor: everything that the rules share, and the ways to change and publish it.

The rules are functions of a `Floor`; they live in the other files of this package.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from broker_api.config import SimulationConfig
from broker_api.event import (
    AccountChanged,
    CancelRejected,
    Event,
    OrderCancelled,
    OrderEventBase,
    OrderExpired,
    OrderReplaced,
    PositionChanged,
    Reason,
    ReplaceRejected,
)
from broker_api.order import OrderStatus
from sim.reference.account import Account
from sim.reference.market import Market
from sim.reference.orders import Bracket, Doing, Order


@dataclass
class Floor:
    """The whole state. `working` is in order of placement, `brackets` in order of creation."""

    settings: SimulationConfig
    markets: list[Market]
    accounts: list[Account]
    ts_ns: int
    working: list[Order] = field(default_factory=list)
    brackets: list[Bracket] = field(default_factory=list)
    stops: list[list[Order]] = field(default_factory=list)
    """By market the orders that wait for a trigger."""
    arriving: list[Order] = field(default_factory=list)
    """Exits that go live at the end of the present transaction."""
    published: list[Event] = field(default_factory=list)
    last_priority: int = 0

    def __post_init__(self) -> None:
        self.stops = [[] for _ in self.markets]

    def market_of(self, order: Order) -> Market:
        """The market of an order."""
        return self.markets[order.market]

    def find(self, account: Account, order_id: int) -> Order | None:
        """The working order of an account by its id."""
        own = (order for order in self.working if order.account is account)
        return next((order for order in own if order.order_id == order_id), None)

    def next_priority(self) -> int:
        """A place in time behind all others."""
        self.last_priority += 1
        return self.last_priority

    # publishing

    def publish(
        self, account: Account, event_type: type[Event], market: int, **fields: Any
    ) -> None:
        """Append an event of an account at the present time."""
        account.seq += 1
        event = event_type(
            seq=account.seq, ts_ns=self.ts_ns, instrument=market, account=account.index, **fields
        )
        self.published.append(event)
        if isinstance(event, CancelRejected | ReplaceRejected):
            return  # its order may never have been
        if isinstance(event, OrderEventBase) and event.status.is_terminal:
            account.ended[event.order_id] = event.status

    def publish_to_all(self, event_type: type[Event], market: int, **fields: Any) -> None:
        """Append an event of the market, once for each account."""
        for account in self.accounts:
            self.publish(account, event_type, market, **fields)

    def publish_order(self, event_type: type[Event], order: Order, **fields: Any) -> None:
        """Append an event of an order with its quantities."""
        fields = {"leaves_lots": order.leaves} | fields
        self.publish(
            order.account,
            event_type,
            order.market,
            order_id=order.order_id,
            status=order.status,
            filled_lots=order.filled,
            **fields,
        )

    def publish_replaced(self, order: Order, reason: Reason) -> None:
        """Append what the order's terms are now."""
        self.publish_order(
            OrderReplaced,
            order,
            reason=reason,
            price_ticks=order.limit_ticks,
            stop_ticks=order.stop_ticks,
            lots=order.size,
        )

    def publish_money(self, account: Account, market_index: int) -> None:
        """Append an account's position and its cash."""
        position = account.positions[market_index]
        self.publish(
            account,
            PositionChanged,
            market_index,
            position_lots=position.lots,
            position_cost=position.cost,
            realised_nanos=position.realised,
        )
        self.publish(account, AccountChanged, -1, cash_nanos=account.cash, fee_nanos=account.fees)

    # where an order is

    def leave(self, order: Order, doing: Doing) -> None:
        """Take the order from where it waits or rests, to do something else."""
        market = self.market_of(order)
        if order.doing is Doing.RESTING:
            market.makers[order.side].remove(order)
            order.places, order.noted = [], 0
        elif order.doing is Doing.STOP:
            self.stops[order.market].remove(order)
        elif order.doing is Doing.ARRIVING and order in self.arriving:
            self.arriving.remove(order)
        order.doing = doing

    def wait_as_stop(self, order: Order) -> None:
        """The order waits for its trigger."""
        self.leave(order, Doing.STOP)
        self.stops[order.market].append(order)

    def finish(self, order: Order) -> None:
        """The order has ended: it is nowhere any more."""
        self.leave(order, Doing.ENDED)
        self.working.remove(order)

    def cancel(self, order: Order, reason: Reason) -> None:
        """End an order with something unfilled; what follows from it is the caller's."""
        order.status = OrderStatus.CANCELLED
        self.publish_order(OrderCancelled, order, reason=reason, leaves_lots=0)
        self.finish(order)

    def expire(self, order: Order) -> None:
        """End an order whose time is over; what follows from it is the caller's."""
        order.status = OrderStatus.EXPIRED
        self.publish_order(OrderExpired, order, leaves_lots=0)
        self.finish(order)
