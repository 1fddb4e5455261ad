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
from sim.reference.matching import activate_arriving
from sim.reference.orders import Order

_MINUTE_NS = 60_000_000_000


def look_at_margin(floor: Floor, moved: Market | None = None) -> None:
    """Liquidate what is below its maintenance margin, account by account.

    With `moved`, only accounts that have a position there.
    """
    if not floor.settings.margin:
        return
    for account in floor.accounts:
        if moved is None or account.lots(moved.index):
            _look_at_isolated(floor, account)
            _look_at_cross(floor, account)


def _look_at_isolated(floor: Floor, account: Account) -> None:
    """Isolated positions by index, each on its own."""
    for market in floor.markets:
        if market.index not in account.isolated or _is_under_way(floor, account, [market]):
            continue
        equity, needed = account.isolated_equity(market), account.maintenance_of(market)
        if needed > 0 and equity < needed:
            _publish(floor, account, market.index, equity, needed)
            _cancel_all(floor, account, partial(_is_of, market))
            commands.liquidate(floor, account, market)
            _activate_all(floor)


def _look_at_cross(floor: Floor, account: Account) -> None:
    """All other positions, which stand together."""
    cross = [market for market in floor.markets if market.index not in account.isolated]
    if _is_under_way(floor, account, cross):
        return
    equity, needed = account.cross_equity(), account.cross_maintenance()
    if needed == 0 or equity >= needed:
        return
    _publish(floor, account, -1, equity, needed)
    _cancel_all(floor, account, partial(_stands_with_cross, account))
    for market in cross:
        if account.lots(market.index):
            commands.liquidate(floor, account, market)
    _activate_all(floor)


def _activate_all(floor: Floor) -> None:
    """What was cancelled may have been the entry of an exit, which then goes live."""
    for market in floor.markets:
        activate_arriving(floor, market)


def _is_of(market: Market, order: Order) -> bool:
    return order.market == market.index


def _stands_with_cross(account: Account, order: Order) -> bool:
    return order.market not in account.isolated or reserves(order)


def _publish(floor: Floor, account: Account, index: int, equity: int, needed: int) -> None:
    floor.publish(account, Liquidation, index, value=equity, limit=needed)


def _is_under_way(floor: Floor, account: Account, markets: list[Market]) -> bool:
    """True while an order of the venue closes one of these positions of an account."""
    indices = {market.index for market in markets}
    own = (order for order in floor.working if order.account is account)
    return any(order.role is Role.LIQUIDATION and order.market in indices for order in own)


def _cancel_all(floor: Floor, account: Account, is_due: Callable[[Order], bool]) -> None:
    """Always the first that is due: cancelling one may end others."""
    while True:
        own = (o for o in floor.working if o.account is account and o.role is not Role.LIQUIDATION)
        due = (order for order in own if is_due(order))
        order = next(due, None)
        if order is None:
            return
        cancel(floor, order, Reason.LIQUIDATED)


def switches_of_margin(
    markets: list[Market], start_ns: int, end_ns: int
) -> list[tuple[int, int, bool]]:
    """(time, market, night begins) of every switch after the start, in order.

    Sets which markets begin in the night.
    """
    found = []
    for market in markets:
        spec = market.instrument
        sessions = market.calendar.sessions_between(start_ns, end_ns + 1)
        if not spec.has_overnight_margin or market.calendar.name == ALWAYS_OPEN:
            continue
        market.is_night = True
        for opens_ns, closes_ns in sessions:
            night_ns = max(opens_ns, closes_ns - spec.overnight_from_minutes * _MINUTE_NS)
            if opens_ns <= start_ns < night_ns:
                market.is_night = False
            found += [(opens_ns, market.index, False), (night_ns, market.index, True)]
    return sorted(each for each in found if start_ns < each[0])
