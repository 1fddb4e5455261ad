"""The book as the wire shows it: the tape's touch, levels assumed behind it, and users' orders.

Where the exchange assumes that every further tick shows what the touch shows (`beyond_top` ladder),
the book shows it, too; otherwise it has the touch alone. What users took is missing until the touch
changes, as it is for the next taker.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

from broker_api.hyperliquid.wire.market import BestPrices, Book, Level
from broker_api.order import Side
from sim.venues.hyperliquid.universe import Asset

if TYPE_CHECKING:
    from sim.venues.hyperliquid.engine import HyperliquidEngine

LEVELS = 20
_Levels = dict[int, tuple[int, int]]
"""By price in ticks: lots, and how many orders they are."""


def _side(
    engine: HyperliquidEngine, asset: Asset, side: Side, depth: int, step: int = 1
) -> _Levels:
    """The best `depth` levels of one side, prices put together to multiples of `step` ticks.

    Bids are rounded down and asks up.
    """
    levels = _shown(engine, asset, side, depth, step)
    for ticks, own in _resting(engine, asset, side):
        price = _rounded(ticks, side, step)
        there, orders = levels.get(price, (0, 0))
        levels[price] = (there + own, orders + 1)
    best_first = sorted(levels.items(), reverse=side is Side.BUY)
    return dict(islice(best_first, depth))


def _shown(engine: HyperliquidEngine, asset: Asset, side: Side, depth: int, step: int) -> _Levels:
    """What the tape shows and the exchange assumes behind it, less what was taken.

    Each tick that has something left counts as one order.
    """
    touch = engine.venue.touch(asset.index)
    best, lots = touch.ask_ticks, touch.ask_lots
    if side is Side.BUY:
        best, lots = touch.bid_ticks, touch.bid_lots
    if best is None:
        return {}
    at_best, beyond = _taken(engine, asset, side)
    price = _rounded(best, side, step)
    there = max(0, lots - at_best)
    count = abs(best - price) if engine.has_ladder else 0
    levels: _Levels = {}
    while True:
        used = min(beyond, count * lots)
        beyond -= used
        left, orders = count * lots - used, -(-(count * lots - used) // lots)
        if there + left:
            levels[price] = (there + left, orders + (there > 0))
        price, there, count = price - side.sign * step, 0, step
        if not engine.has_ladder or len(levels) >= depth or price <= 0:
            return levels


def _taken(engine: HyperliquidEngine, asset: Asset, side: Side) -> tuple[int, int]:
    """Lots that users took of what the tape shows on a side: at the best price, and behind it."""
    venue, present = engine.venue, engine.venue.presents[asset.index]
    at_best, beyond, row = venue.taken_lots(asset.index, -side.sign)
    is_told = present.tape.bbo_after_trade and not present.tape.bar_interval_ns
    if at_best + beyond == 0 or not is_told:
        return 0, 0
    if not present.is_unchanged(side, row, venue.row(asset.index)):
        return 0, 0
    return at_best, beyond


def _rounded(ticks: int, side: Side, step: int) -> int:
    return ticks // step * step if side is Side.BUY else -(-ticks // step) * step


def _resting(engine: HyperliquidEngine, asset: Asset, side: Side) -> list[tuple[int, int]]:
    """Price and lots of every user's resting orders on one side of a book."""
    found = []
    for user in engine.users.values():
        for record in user.open.values():
            if record.asset is asset and record.side is side and record.is_resting:
                ticks = asset.ticks(record.price)
                if ticks is not None and record.shown_lots:
                    found.append((ticks, record.shown_lots))
    return found


def best_prices(engine: HyperliquidEngine, asset: Asset) -> tuple[Decimal | None, Decimal | None]:
    """Best bid and best ask, None where a side is empty."""
    bid = next(iter(_side(engine, asset, Side.BUY, 1)), None)
    ask = next(iter(_side(engine, asset, Side.SELL, 1)), None)
    return (
        None if bid is None else asset.price(bid),
        None if ask is None else asset.price(ask),
    )


def mid(engine: HyperliquidEngine, asset: Asset) -> Decimal | None:
    """Half way between the best prices; with an empty side the last trade; None without any."""
    bid, ask = best_prices(engine, asset)
    if bid is not None and ask is not None:
        return (bid + ask) / 2
    last = engine.venue.presents[asset.index].last_print(engine.venue.row(asset.index))
    return None if last is None else asset.price(last.price_ticks)


def bbo(engine: HyperliquidEngine, asset: Asset) -> BestPrices:
    """The first level of each side."""
    levels = []
    for side in (Side.BUY, Side.SELL):
        first = next(iter(_side(engine, asset, side, 1).items()), None)
        levels.append(None if first is None else _level(asset, first[0], *first[1]))
    return BestPrices(asset.coin, engine.now_ms, (levels[0], levels[1]))


def book(
    engine: HyperliquidEngine,
    asset: Asset,
    digits: int | None = None,
    mantissa: int | None = None,
) -> Book:
    """Twenty levels a side; with `digits` prices are put together to so many significant ones.

    With five digits `mantissa` 2 or 5 makes steps of 2 or 5 of the last digit.
    """
    sides = []
    for side in (Side.BUY, Side.SELL):
        levels = _side(engine, asset, side, LEVELS, _step(engine, asset, digits, mantissa))
        sides.append(tuple(_level(asset, ticks, *level) for ticks, level in levels.items()))
    return Book(asset.coin, engine.now_ms, (sides[0], sides[1]))


def _step(engine: HyperliquidEngine, asset: Asset, digits: int | None, mantissa: int | None) -> int:
    """Ticks that are put together so that the price of now has so many significant digits."""
    touch = engine.venue.touch(asset.index)
    ticks = touch.bid_ticks or touch.ask_ticks
    if digits is None or not ticks:
        return 1
    step = Decimal(1).scaleb(asset.price(ticks).adjusted() - digits + 1) * (mantissa or 1)
    return max(1, int(step / asset.instrument.tick_size))


def _level(asset: Asset, ticks: int, lots: int, orders: int) -> Level:
    return Level(asset.price(ticks), asset.size(lots), orders)
