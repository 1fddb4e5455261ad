"""The canonical state (`state.py`) of the reference, read from its objects."""

from __future__ import annotations

from operator import attrgetter

from broker_api.order import NO_PRICE, OrderStatus, QueueModel, Side
from sim.reference import ReferenceExchange
from sim.reference.account import Account, Position
from sim.reference.market import Market
from sim.reference.matching import AT_ANY_PRICE
from sim.reference.orders import Bracket, Doing, Oco, Order
from tests.differential.state import NEVER, State

_DOING = {doing: doing.name.lower() for doing in Doing}
_PRIORITY = attrgetter("priority")


class ReferenceReader:
    """Reads one exchange again and again."""

    def __init__(self, exchange: ReferenceExchange) -> None:
        settings = exchange.floor.settings
        self._exchange = exchange
        self._is_back = settings.queue_model is QueueModel.BACK
        self._has_margin = settings.margin

    def read(self) -> State:
        """The canonical state now."""
        exchange, floor, is_back = self._exchange, self._exchange.floor, self._is_back
        working = floor.working
        ranked = sorted(working, key=_PRIORITY) if len(working) > 1 else working
        return (
            exchange.now_ns,
            tuple([self._account(account) for account in floor.accounts]),
            tuple([_market(market) for market in floor.markets]),
            tuple([_position(each) for account in floor.accounts for each in account.positions]),
            tuple([_order(order, is_back) for order in working]),
            tuple([(order.account.index, order.order_id) for order in ranked]),
            tuple([_bracket(bracket) for bracket in floor.brackets]),
            _pairs(working),
        )

    def _account(self, account: Account) -> State:
        exchange, at = self._exchange, account.index
        used = exchange.used_margin_nanos(at) if self._has_margin else 0
        money = account.cash, account.fees, account.funding
        return (*money, account.liquidations, account.seq, exchange.equity_nanos(at), used)


def _or(value: int | None, none: int = NO_PRICE) -> int:
    return none if value is None else value


def _order(order: Order, is_back: bool) -> State:
    live = order.live
    if order.status is OrderStatus.PENDING and order.doing is Doing.ARRIVING:
        assert order.bracket is not None  # marked while nothing trades
        live = order.bracket.due
    return (
        order.order_id,
        order.account.index,
        order.market,
        1 - 2 * order.side,
        order.order_type,
        order.time_in_force,
        order.role,
        order.status.code,
        order.size,
        order.filled,
        order.cost,
        order.limit_ticks,
        order.stop_ticks,
        _or(order.trail),
        _or(order.trail_ppm),
        _or(order.activation),
        _or(order.best),
        order.post_only,
        order.reduce_only,
        _or(order.expires_ns, NEVER),
        order.triggered,
        live,
        _DOING[order.doing],
        _or(order.protection) if order.order_type in AT_ANY_PRICE else NO_PRICE,
        _places(order, is_back) if order.places else (),
    )


def _places(order: Order, is_back: bool) -> State:
    return tuple(
        [
            (
                place.lots,
                0 if is_back else _or(place.ahead),
                place.met,
                place.traded if place.ahead is None else 0,
            )
            for place in order.places
        ]
    )


def _id(order: Order | None) -> int:
    return order.order_id if order is not None and order.is_working else 0


def _bracket(bracket: Bracket) -> State:
    return (
        bracket.entry.account.index,
        _id(bracket.entry),
        _id(bracket.stop),
        _id(bracket.target),
        bracket.entry.market,
        bracket.entry.side.sign,
        bracket.entry.filled,
        bracket.entry.cost,
        bracket.exits_filled,
        bracket.released,
        _or(bracket.cap, NEVER),
        bracket.arm,
        bracket.on_partial,
        _or(bracket.stop_offset),
        _or(bracket.target_offset),
        _or(bracket.limit_offset),
    )


def _pairs(working: list[Order]) -> State:
    """Pairs with a working leg; a first leg is placed before its second."""
    found: dict[int, Oco] = {}
    for order in working:
        if order.oco is not None:
            found.setdefault(order.oco.first.placed, order.oco)
    pairs = [pair for _, pair in sorted(found.items())]
    return tuple(
        [(p.first.account.index, _id(p.first), _id(p.second), p.on_partial) for p in pairs]
    )


def _position(position: Position) -> State:
    return position.lots, position.cost, position.realised, position.bucket


def _market(market: Market) -> State:
    halted = market.halted_by_tape + 2 * market.closed_by_calendar
    plain = (
        _or(market.mark_nanos, 0),
        market.cursor,
        halted,
        _or(market.next_open_ns, NEVER) if market.closed_by_calendar else NEVER,
        market.source,
        market.valued_at[Side.BUY],
        market.valued_at[Side.SELL],
    )
    if halted or not market.is_known:
        return (*plain, 0, NO_PRICE, (0, 0), (0, 0), {}, {})
    seen = market.seen
    taken = _taken(market, Side.BUY), _taken(market, Side.SELL)
    return (*plain, 1, _or(market.last), *taken, seen[Side.BUY], seen[Side.SELL])


def _taken(market: Market, side: Side) -> tuple[int, int]:
    """(at the best, beyond) of what was taken from a side."""
    taken, best = market.taken[side], market.best(side)
    if not taken or best is None:
        return 0, 0
    if market.is_bars:  # by distance from the best
        return taken.get(0, 0), sum(taken.values()) - taken.get(0, 0)
    away = 1 - 2 * side
    beyond = sum(lots for price, lots in taken.items() if (best - price) * away > 0)
    return taken.get(best, 0), beyond
