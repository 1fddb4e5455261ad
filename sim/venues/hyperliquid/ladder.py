"""The book as the wire shows it: the tape's touch, levels assumed behind it, and users' orders."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import islice
from typing import TYPE_CHECKING

from broker_api.hyperliquid.wire.market import BestPrices, Book, Level
from broker_api.hyperliquid.wire.numbers import SIGNIFICANT_DIGITS_MAX
from broker_api.order import Side
from sim.venues.hyperliquid.universe import Asset

if TYPE_CHECKING:
    from sim.venues.hyperliquid.engine import HyperliquidEngine

LEVELS = 20
_Levels = dict[int, tuple[int, int]]
"""By price in ticks: lots, and how many orders they are."""


def _side(engine: HyperliquidEngine, asset: Asset, side: Side, depth: int) -> _Levels:
    """The levels of one side, the best first. Behind the touch every tick shows what it shows."""
    touch = engine.venue.touch(asset.index)
    best, lots = touch.ask_ticks, touch.ask_lots
    if side is Side.BUY:
        best, lots = touch.bid_ticks, touch.bid_lots
    levels: _Levels = {}
    if best is not None:
        prices = [best - side.sign * step for step in range(depth)]
        levels = {price: (lots, 1) for price in prices if price > 0}
    for price, own in _resting(engine, asset, side):
        there, orders = levels.get(price, (0, 0))
        levels[price] = (there + own, orders + 1)
    return dict(sorted(levels.items(), reverse=side is Side.BUY))


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

    With five digits `mantissa` 2 or 5 makes steps of 2 or 5 of the last digit. Bids are rounded
    down and asks up.
    """
    depth = LEVELS if digits is None else LEVELS * 10 ** (SIGNIFICANT_DIGITS_MAX + 1 - digits)
    sides = []
    for side in (Side.BUY, Side.SELL):
        levels = _side(engine, asset, side, min(depth, 10_000))
        merged: dict[Decimal, tuple[int, int]] = {}
        for ticks, (lots, orders) in levels.items():
            price = _rounded(asset.price(ticks), side, digits, mantissa)
            there = merged.get(price, (0, 0))
            merged[price] = (there[0] + lots, there[1] + orders)
        first = islice(merged.items(), LEVELS)
        sides.append(
            tuple(Level(price, asset.size(lots), orders) for price, (lots, orders) in first)
        )
    return Book(asset.coin, engine.now_ms, (sides[0], sides[1]))


def _level(asset: Asset, ticks: int, lots: int, orders: int) -> Level:
    return Level(asset.price(ticks), asset.size(lots), orders)


def _rounded(price: Decimal, side: Side, digits: int | None, mantissa: int | None) -> Decimal:
    if digits is None:
        return price
    step = Decimal(1).scaleb(price.adjusted() - digits + 1) * (mantissa or 1)
    rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
    return (price / step).to_integral_value(rounding) * step
