"""Money: positions, cash, fees and margin. All amounts are integers of 1e-9 currency."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from broker_api.instrument import NANOS, MarginTier, to_nanos
from broker_api.order import Liquidity, OrderStatus, Role, Side
from sim.reference.market import Market
from sim.reference.orders import Order

PPM = 1_000_000


@dataclass
class Position:
    """What is open in one instrument; `cost` is the signed sum of ticks x lots."""

    lots: int = 0
    cost: int = 0
    realised: int = 0
    bucket: int = 0
    """What of the cash an isolated position stands on."""


@dataclass(eq=False)
class Account:
    """What one account has to itself: money and positions over all markets, and its numbers.

    Questions about orders take those of all accounts, and look at its own.
    """

    index: int
    cash: int
    markets: list[Market]
    positions: list[Position]
    has_fees: bool
    tiers: list[tuple[MarginTier, ...]]
    """Each market's margin tiers, with the initial rates that this account pays."""
    isolated: set[int] = field(default_factory=set)
    fees: int = 0
    funding: int = 0
    deposits: int = 0
    seq: int = 0
    """Of its newest event."""
    liquidations: int = 0
    ended: dict[int, OrderStatus] = field(default_factory=dict)
    """How its orders ended, by id."""

    def lots(self, market_index: int) -> int:
        """What is open in one market, negative when short."""
        return self.positions[market_index].lots

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
            held = abs(position.lots) + closing
            position.bucket -= position.bucket * closing // held
        opening = side.sign * (lots - closing)
        if market.index in self.isolated:
            kept, at = abs(position.lots), abs(ticks) * market.instrument.tick_value_nanos
            both = kept + lots - closing
            position.bucket += self.initial(market, both, both * at)
            position.bucket -= self.initial(market, kept, kept * at)
        position.lots += opening
        position.cost += opening * ticks
        self.cash -= fee
        self.fees += fee

    def pay_funding(self, market: Market, rate: int) -> int:
        """Longs pay the rate, in 1e-9, times the value of their position, shorts receive it."""
        position = self.positions[market.index]
        value = position.lots * market.instrument.tick_value_nanos
        if market.mark_nanos is None:
            value *= self._value_ticks(market)
        else:
            value = value * market.mark_nanos // market.tick_nanos
        paid = value * rate // NANOS
        self.cash -= paid
        self.funding += paid
        if market.index in self.isolated:
            position.bucket -= paid
        return paid

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

    def initial(self, market: Market, lots: int, notional: int) -> int:
        """Initial margin of so many lots of such a value."""
        spec = market.instrument
        fixed = spec.initial_margin_lot_nanos
        if market.is_night:
            fixed = spec.overnight_initial_lot_nanos
        rates = [tier.initial_ppm for tier in self.tiers[market.index]]
        return lots * fixed + self._tiered(market, rates, notional)

    def maintenance_of(self, market: Market) -> int:
        """Maintenance margin of one position at its present value."""
        spec, lots = market.instrument, abs(self.positions[market.index].lots)
        fixed = spec.maintenance_margin_lot_nanos
        if market.is_night:
            fixed = spec.overnight_maintenance_lot_nanos
        rates = [tier.maintenance_ppm for tier in self.tiers[market.index]]
        return lots * fixed + self._tiered(market, rates, self.notional(market))

    def _tiered(self, market: Market, rates: list[int], notional: int) -> int:
        """Each part of a notional pays the rate of its own tier, rounded down."""
        starts = [to_nanos(tier.notional_from) for tier in self.tiers[market.index]]
        total = 0
        for start, end, ppm in zip(starts, [*starts[1:], None], rates, strict=True):
            part = (notional if end is None else min(notional, end)) - start
            total += max(0, part) * ppm // PPM
        return total

    def isolated_equity(self, market: Market) -> int:
        """What an isolated position stands on."""
        return self.positions[market.index].bucket + self.open_profit(market)

    def cross_equity(self) -> int:
        """What all other positions, and new orders, stand on."""
        isolated = (m for m in self.markets if m.index in self.isolated)
        return self.equity() - sum(self.isolated_equity(market) for market in isolated)

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
        buys fill and that all sells fill.

        Of an isolated position what the orders would take from free cash: nothing for what is there
        already, nor for what turning it frees."""
        position, found = self.positions[market.index], []
        for case, total, needed in self._cases(market, orders, side, lots, ticks):
            if market.index in self.isolated and position.lots * case.sign > 0:
                needed -= self.initial(market, abs(position.lots), self.notional(market))
            elif market.index in self.isolated and position.lots != 0:
                needed = max(0, needed - self.isolated_equity(market)) if total > 0 else 0
            found.append(needed)
        return max(found)

    def _cases(
        self, market: Market, orders: Iterable[Order], side: Side | None, lots: int, ticks: int
    ) -> Iterator[tuple[Side, int, int]]:
        """For all buys and for all sells filled: lots on that side, and their initial margin."""
        spec, position = market.instrument, self.positions[market.index]
        own = [each for each in orders if each.account is self and each.market == market.index]
        for case in Side:
            total = case.sign * position.lots
            notional = self.notional(market) if total > 0 else -self.notional(market)
            for order in own:
                if order.side is case and reserves(order):
                    price = abs(self.order_ticks(market, case, order.limit, order.trigger_price))
                    total += order.live
                    notional += order.live * price * spec.tick_value_nanos
            if side is case:
                total += lots
                notional += lots * abs(ticks) * spec.tick_value_nanos
            yield case, total, self.initial(market, max(0, total), max(0, notional))

    def free(self, orders: Iterable[Order]) -> int:
        """What a new order may claim."""
        working = list(orders)
        return self.cross_equity() - sum(
            self.required(market, working, None, 0, 0) for market in self.markets
        )

    def used(self, orders: Iterable[Order]) -> int:
        """Initial margin of all positions and working orders, buckets included."""
        working = list(orders)
        buckets = sum(position.bucket for position in self.positions)
        return buckets + sum(self.required(market, working, None, 0, 0) for market in self.markets)

    def cross_maintenance(self) -> int:
        """Maintenance margin of all positions that are not isolated."""
        cross = (market for market in self.markets if market.index not in self.isolated)
        return sum(self.maintenance_of(market) for market in cross)


def reserves(order: Order) -> bool:
    """Exits and reduce-only orders reserve nothing; of two OCO legs on one side, the first does."""
    if order.is_exit or order.reduce_only:
        return False
    if order.role is Role.OCO_LEG and order.oco is not None and order is order.oco.second:
        first = order.oco.first
        return not first.is_working or first.side is not order.side
    return True
