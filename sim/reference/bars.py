"""Bars as a tape: which extreme came first, and what happens on the way between two prices.

A bar is four rows: open, two extremes, close. Between them the price moves on a continuous path;
only the open may jump. While such a row is processed its `Path` is at `Market.path`.
"""

from __future__ import annotations

from dataclasses import dataclass

from broker_api.order import OrderStatus, OrderType, Role
from sim.reference.market import Market, Row
from sim.reference.orders import Order

ROWS_OF_BAR = 4


@dataclass
class Path:
    """The way to the price of the present row.

    `origin` is the price of the row before, None at the tape's beginning. The price comes from
    there through every price between, unless `jumps`. `fill` is the price of the row's newest fill,
    `is_open` tells the first row of a bar, `low` and `high` are the bar's.
    """

    origin: int | None
    price: int
    jumps: bool
    is_open: bool
    low: int
    high: int
    fill: int | None = None

    @property
    def is_continuous(self) -> bool:
        """True for the rows to which the price moved through every price between."""
        return not self.jumps

    def contains(self, price: int) -> bool:
        """True for prices that the bar reached."""
        return self.low <= price <= self.high


def with_spread(rows: list[Row], spread_ticks: int) -> list[Row]:
    """The rows of a bar tape with the market that a run assumes around their prices."""
    below = spread_ticks // 2
    return [row._replace(bid=row.px - below, ask=row.px - below + spread_ticks) for row in rows]


def order_extremes(market: Market, bar_path: str, position: int) -> None:
    """Before the first extreme of a bar: put the one first that the setting puts first.

    The rows hold the high first. Only prices change places: times and sizes belong to the row.
    """
    if market.is_bars and market.cursor % ROWS_OF_BAR == 1:
        _order_bar(market, market.cursor - 1, bar_path, position)


def order_bar_under_way(market: Market, bar_path: str) -> None:
    """At the start of a run in the middle of a bar: it goes the way that a flat position gives."""
    place = market.cursor % ROWS_OF_BAR
    if market.is_bars and market.cursor >= 0 and place in (1, 2):
        _order_bar(market, market.cursor - place, bar_path, 0)


def _order_bar(market: Market, first: int, bar_path: str, position: int) -> None:
    if _low_is_first(market.rows[first : first + ROWS_OF_BAR], bar_path, position):
        high, low = market.rows[first + 1 : first + 3]
        market.rows[first + 1] = high._replace(px=low.px, bid=low.bid, ask=low.ask)
        market.rows[first + 2] = low._replace(px=high.px, bid=high.bid, ask=high.ask)


def _low_is_first(bar: list[Row], bar_path: str, position: int) -> bool:
    opened, high, low, closed = (row.px for row in bar)
    if bar_path in ("ohlc", "olhc"):
        return bar_path == "olhc"
    if bar_path == "pessimistic" and position != 0:
        return position > 0
    if high - opened != opened - low:
        return opened - low < high - opened
    return position > 0 if position != 0 else closed >= opened


def path_of(market: Market) -> Path | None:
    """The way to the row of the cursor; None on other tapes."""
    if not market.is_bars:
        return None
    at = market.cursor
    first = at - at % ROWS_OF_BAR
    prices = [row.px for row in market.rows[first : first + ROWS_OF_BAR]]
    return Path(
        origin=market.rows[at - 1].px if at > 0 else None,
        price=market.rows[at].px,
        # After a reopening nobody knows how the price came there.
        jumps=at == first or not market.is_known,
        is_open=at == first,
        low=min(prices),
        high=max(prices),
    )


def acts_at(market: Market, order: Order, way: int) -> int:
    """The price at which an order acts whose trigger the row has reached. `way` is +1 for a rise.

    Where the price jumped that is the row's price. On the way it is the trigger: where the way
    began nobody had reached it, or the order would have acted there. What a fill of the row brought
    to life acts at its trigger, at the row's price if the way does not lead past it, and never
    better than that fill.
    """
    path = market.path
    assert path is not None
    assert order.stop is not None
    if path.jumps:
        return path.price
    assert path.origin is not None
    low, high = sorted((path.origin, path.price))
    if not order.arrives_by_fill:
        assert low <= order.stop <= high
        return order.stop
    at = order.stop if low <= order.stop <= high else path.price
    if path.fill is None:  # its entry ended without another fill
        return at
    return max(at, path.fill) if way > 0 else min(at, path.fill)


def maker_price(market: Market, order: Order) -> int:
    """What a resting order fills at: its limit, or the open that jumped over it."""
    path = market.path
    assert order.limit is not None
    if path is None or not path.jumps or path.origin is None:
        return order.limit
    sign = order.side.sign
    was_behind = (path.origin - order.limit) * sign > 0
    is_beyond = (order.limit - path.price) * sign > 0
    return path.price if was_behind and is_beyond else order.limit


def reached_too(market: Market, sibling: Order | None) -> bool:
    """True when the other exit or leg is live and its level is within the bar, on its way."""
    path = market.path
    if path is None or path.is_open or sibling is None or sibling.live == 0:
        return False
    if sibling.status is OrderStatus.PENDING:
        return False
    level = sibling.limit
    if sibling.order_type is not OrderType.LIMIT and not sibling.triggered:
        level = sibling.stop
    return level is not None and path.contains(level)


def joins_as_maker(market: Market, order: Order) -> bool:
    """True for a target that comes to life on the way: the price is there already, and goes on."""
    path = market.path
    return path is not None and path.is_continuous and order.role is Role.TARGET_EXIT
