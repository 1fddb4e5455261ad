"""Who is short of margin and what follows, and when day and overnight margins take turns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from broker_api.calendar import ALWAYS_OPEN
from broker_api.event import Liquidation, Reason
from broker_api.order import Role
from sim.reference import commands
from sim.reference.account import Account, reserves
from sim.reference.contingent import cancel
from sim.reference.floor import Floor
from sim.reference.market import Market
from sim.reference.orders import Order

_MINUTE_NS = 60_000_000_000


def look_at_margin(floor: Floor) -> None:
    """Liquidate what is below its maintenance margin: isolated positions by index, then the rest.

    Each isolated position is on its own; all others stand together.
    """
    if not floor.settings.margin:
        return
    account = floor.account
    for market in floor.markets:
        if market.index not in account.isolated or _is_under_way(floor, [market]):
            continue
        equity, needed = account.isolated_equity(market), account.maintenance_of(market)
        if needed > 0 and equity < needed:
            _publish(floor, market.index, equity, needed)
            _cancel_all(floor, partial(_is_of, market))
            commands.liquidate(floor, market)
    cross = [market for market in floor.markets if market.index not in account.isolated]
    if _is_under_way(floor, cross):
        return
    equity, needed = account.cross_equity(), account.cross_maintenance()
    if needed == 0 or equity >= needed:
        return
    _publish(floor, -1, equity, needed)
    _cancel_all(floor, lambda order: order.market not in account.isolated or reserves(order))
    for market in cross:
        if floor.position(market.index):
            commands.liquidate(floor, market)


def _is_of(market: Market, order: Order) -> bool:
    return order.market == market.index


def _publish(floor: Floor, index: int, equity: int, needed: int) -> None:
    floor.publish(Liquidation, index, value=equity, limit=needed)


def _is_under_way(floor: Floor, markets: list[Market]) -> bool:
    """True while an order of the venue closes one of these positions."""
    indices = {market.index for market in markets}
    return any(
        order.role is Role.LIQUIDATION and order.market in indices for order in floor.working
    )


def _cancel_all(floor: Floor, is_due: Callable[[Order], bool]) -> None:
    """Always the first that is due: cancelling one may end others."""
    while True:
        due = (o for o in floor.working if o.role is not Role.LIQUIDATION and is_due(o))
        order = next(due, None)
        if order is None:
            return
        cancel(floor, order, Reason.LIQUIDATED)


def switches_of_margin(account: Account, start_ns: int, end_ns: int) -> list[tuple[int, int, bool]]:
    """(time, market, night begins) of every switch after the start, in order.

    Sets which markets begin in the night.
    """
    found = []
    for market in account.markets:
        spec = market.instrument
        sessions = market.calendar.sessions_between(start_ns, end_ns + 1)
        if not spec.has_overnight_margin or market.calendar.name == ALWAYS_OPEN:
            continue
        account.night.add(market.index)
        for opens_ns, closes_ns in sessions:
            night_ns = max(opens_ns, closes_ns - spec.overnight_from_minutes * _MINUTE_NS)
            if opens_ns <= start_ns < night_ns:
                account.night.discard(market.index)
            found += [(opens_ns, market.index, False), (night_ns, market.index, True)]
    return sorted(each for each in found if start_ns < each[0])
