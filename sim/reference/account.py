"""Money: positions, cash, fees and margin. All amounts are integers of 1e-9 currency."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from broker_api.order import Liquidity, Role, Side
from sim.reference.market import Market
from sim.reference.orders import Order

PPM = 1_000_000


@dataclass
class Position:
    """What is open in one instrument; `cost` is the signed sum of ticks x lots."""

    lots: int = 0
    cost: int = 0
    realised: int = 0


@dataclass
class Account:
    """Cash and positions of one account over all markets."""

    cash: int
    markets: list[Market]
    positions: list[Position]
    has_fees: bool
    fees: int = 0
    funding: int = 0

    def fee(self, market: Market, ticks: int, lots: int, liquidity: Liquidity) -> int:
        """What a fill costs: by the lot, and parts per million of the notional, rounded down."""
        if not self.has_fees:
            return 0
        spec = market.instrument
        ppm = spec.maker_fee_ppm if liquidity is Liquidity.MAKER else spec.taker_fee_ppm
        notional = abs(ticks) * lots * spec.tick_value_nanos
        return spec.fee_lot_nanos * lots + notional * ppm // PPM

    def settle(self, market: Market, side: Side, ticks: int, lots: int, fee: int) -> None:
        """Net a fill: what it closes is realised at the average cost, the rest opens."""
        position = self.positions[market.index]
        closing = min(lots, abs(position.lots)) if position.lots * side.sign < 0 else 0
        if closing:
            released = position.cost * closing // abs(position.lots)
            realised = (
                -side.sign * closing * ticks - released
            ) * market.instrument.tick_value_nanos
            position.lots += side.sign * closing
            position.cost -= released
            position.realised += realised
            self.cash += realised
        opening = side.sign * (lots - closing)
        position.lots += opening
        position.cost += opening * ticks
        self.cash -= fee
        self.fees += fee

    def open_profit(self, market: Market) -> int:
        """Unrealised P&L: at the mark if there is one, else at the side that one would get."""
        position = self.positions[market.index]
        if position.lots == 0:
            return 0
        value = market.instrument.tick_value_nanos
        if market.mark_nanos is not None:
            at_mark = position.lots * value * market.mark_nanos // market.tick_nanos
            return at_mark - position.cost * value
        side = Side.BUY if position.lots > 0 else Side.SELL
        return (position.lots * market.valued_at[side] - position.cost) * value

    def equity(self) -> int:
        """Cash plus the open profit of every position."""
        return self.cash + sum(self.open_profit(market) for market in self.markets)

    def _value_ticks(self, market: Market) -> int:
        side = Side.BUY if self.positions[market.index].lots > 0 else Side.SELL
        return market.valued_at[side]

    def notional(self, market: Market) -> int:
        """What the position's lots are worth without sign: at the mark if there is one."""
        lots, value = abs(self.positions[market.index].lots), market.instrument.tick_value_nanos
        if market.mark_nanos is not None:
            return lots * value * market.mark_nanos // market.tick_nanos
        return lots * value * abs(self._value_ticks(market))

    def order_ticks(self, market: Market, side: Side, limit: int | None, stop: int | None) -> int:
        """The price at which an order counts for margin: its limit, its stop, or the side that it
        would meet."""
        if limit is not None:
            return limit
        return stop if stop is not None else market.valued_at[side.opposite]

    def required(
        self, market: Market, orders: Iterable[Order], side: Side | None, lots: int, ticks: int
    ) -> int:
        """Initial margin with `lots` more of `side` working: the dearer of the two cases that all
        buys fill and that all sells fill."""
        spec, position = market.instrument, self.positions[market.index]
        cases = []
        for case in Side:
            total = case.sign * position.lots
            notional = self.notional(market) if total > 0 else -self.notional(market)
            for order in orders:
                if order.market == market.index and order.side is case and reserves(order):
                    price = abs(self.order_ticks(market, case, order.limit, order.trigger_price))
                    total += order.live
                    notional += order.live * price * spec.tick_value_nanos
            if side is case:
                total += lots
                notional += lots * abs(ticks) * spec.tick_value_nanos
            fixed = max(0, total) * spec.initial_margin_lot_nanos
            cases.append(fixed + max(0, notional) * spec.initial_margin_ppm // PPM)
        return max(cases)

    def used(self, orders: Iterable[Order]) -> int:
        """Initial margin of all positions and working orders."""
        working = list(orders)
        return sum(self.required(market, working, None, 0, 0) for market in self.markets)

    def maintenance(self) -> int:
        """Maintenance margin of all positions at their present value."""
        total = 0
        for market in self.markets:
            lots, spec = abs(self.positions[market.index].lots), market.instrument
            total += lots * spec.maintenance_margin_lot_nanos
            total += self.notional(market) * spec.maintenance_margin_ppm // PPM
        return total


def reserves(order: Order) -> bool:
    """Exits and reduce-only orders reserve nothing; of two OCO legs on one side, the first does."""
    if order.is_exit or order.reduce_only:
        return False
    if order.role is Role.OCO_LEG and order.oco is not None and order is order.oco.second:
        first = order.oco.first
        return not first.is_working or first.side is not order.side
    return True
