"""Compile what a venue will need before anybody waits for it.

The exchange's code is compiled where it is first called and kept on disk: that takes minutes the
first time and moments later. A client with a time limit must not be the one who waits.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from decimal import Decimal

from broker_api.config import AccountConfig, SimulationConfig
from broker_api.event import EventKind
from broker_api.instrument import Instrument
from broker_api.order import (
    CancelRequest,
    OrderRequest,
    OrderType,
    ReplaceRequest,
    Side,
    TimeInForce,
)
from sim.book import is_compiled
from sim.funds import Deposit, MoveMargin, SetLeverage
from sim.venues.sources import still_source
from sim.venues.venue import Venue

_TICKS = 10_000


def warm_up(instruments: Sequence[Instrument]) -> None:
    """Trade a little on a market of its own, as many instruments as there will be, at most two."""
    if is_compiled():
        _trade(tuple(instruments[:2]))


@functools.cache
def _trade(instruments: tuple[Instrument, ...]) -> frozenset[EventKind]:
    """What happened, by kind."""
    sources = [still_source(each, Decimal(each.tick_size * _TICKS)) for each in instruments]
    venue = Venue(sources, [AccountConfig(cash=0.0)] * 2, SimulationConfig())
    symbol = instruments[0].symbol
    lots = instruments[0].min_lots

    def place(
        order_id: int, ticks: int, size: int, stop: int | None = None, account: int = 0
    ) -> None:
        kind = OrderType.LIMIT if stop is None else OrderType.STOP_LIMIT
        side = Side.BUY if size > 0 else Side.SELL
        order = OrderRequest(order_id, str(order_id), symbol, side, kind, abs(size), ticks, stop)
        venue.execute(order, account)

    one = abs(instruments[0].tick_value_nanos) * _TICKS * lots
    venue.change_funds(Deposit(one), 0)
    place(1, _TICKS - 5, lots)
    venue.execute(ReplaceRequest(1, size_lots=2 * lots), 0)
    venue.execute(CancelRequest(1), 0)
    if instruments[0].tiers[0].initial_ppm:
        venue.change_funds(SetLeverage(symbol, 2, isolated=True), 0)
    place(2, _TICKS + 5, lots)
    if instruments[0].tiers[0].initial_ppm:
        venue.change_funds(MoveMargin(symbol, 1), 0)
    place(3, _TICKS - 500, -lots, _TICKS - 100)
    venue.set_halt(0, halted=True)
    venue.set_halt(0, halted=False)
    venue.set_price(0, _TICKS - 50, (lots, lots))
    venue.advance_to(venue.now_ns + 1_000_000_000)
    venue.exchange.equity_nanos(0)
    venue.exchange.used_margin_nanos(0)
    order = OrderRequest(
        4, "4", symbol, Side.SELL, OrderType.LIMIT, lots, _TICKS - 60, time_in_force=TimeInForce.IOC
    )
    venue.execute(order, 0)
    # One who stands on too little is liquidated.
    venue.change_funds(Deposit(one * 15 // 100), 1)
    place(1, _TICKS, lots, account=1)
    venue.set_price(0, _TICKS // 2, (lots, lots))
    return frozenset(EventKind(row.kind) for row in venue.events)
