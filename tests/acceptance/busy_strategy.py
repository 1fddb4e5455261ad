"""A strategy that does everything at once: many tasks, sets of tasks, handlers that place orders.

Nothing in it is drawn by chance: what it does follows from the market and from what came back.

    papertape run busy_strategy.py --instrument MNQ --set minutes=20
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from papertape import OrderError, Side, TradingSuite


async def busy(suite: TradingSuite, minutes: float = 20.0) -> None:
    """Trade in six ways at a time for `minutes`, then close what is open."""
    (market,) = suite.values()
    done: Counter[str] = Counter()
    trader = _Trader(suite, market, done)
    await market.orders.on_fill(trader.answer_fill)
    ways = (
        trader.brackets,
        trader.quotes,
        trader.pairs,
        trader.stop_limits,
        trader.reductions,
        trader.takers,
    )
    tasks = {asyncio.create_task(trader.repeat(way)) for way in ways}
    _, pending = await asyncio.wait(tasks, timeout=60 * minutes)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    await market.orders.cancel_all_orders()
    await market.orders.close_position()
    await asyncio.sleep(60)
    print(", ".join(f"{what} {count}" for what, count in sorted(done.items())))


class _Trader:
    def __init__(self, suite: TradingSuite, market: Any, done: Counter[str]) -> None:
        self.suite, self.orders, self.data, self.done = suite, market.orders, market.data, done
        self.positions = market.positions
        self.spec = market.instrument_info
        self.contract = self.spec.id
        self.fills = 0

    async def repeat(self, way: Any) -> None:
        """One way of trading over and over; refusals are counted by their class."""
        for turn in range(1_000_000):
            try:
                await way(turn)
                self.done[way.__name__] += 1
            except OrderError as refused:
                self.done[type(refused).__name__] += 1
            await asyncio.sleep(0.5 + turn % 3)

    def price(self, side: Side, ticks: int) -> float:
        """`ticks` from the touch of that side, positive is away from the market."""
        quote = self.data.last_quote
        touch = quote.bid if side is Side.BUY else quote.ask
        if touch is None:
            raise OrderError("that side of the book is empty")
        return float(self.spec.ticks_to_price(self.spec.price_to_ticks(touch) - side.sign * ticks))

    def size(self, share: float) -> float:
        """A part of what the touch shows, at least the smallest order."""
        quote = self.data.last_quote
        lots = self.spec.size_to_lots(max(quote.bid_size, quote.ask_size))
        return float(self.spec.lots_to_size(max(self.spec.min_lots, 1, int(lots * share))))

    async def brackets(self, turn: int) -> None:
        """A limit entry at the touch with exits near by; the exits are moved by hand at times."""
        side = Side(turn % 2)
        bracket = await self.orders.place_bracket_order(
            *(self.contract, side, self.size(1.5), self.price(side, 0)),
            stop_ticks=6 + turn % 5,
            target_ticks=4 + turn % 7,
            arm=("partial", "full")[turn % 2],
        )
        try:
            await self.orders.wait_for_fill(bracket, timeout=5 + turn % 20)
        except OrderError:
            await self.orders.cancel_order(bracket)
        if turn % 3 == 0:
            target = await self.orders.get_order(bracket.target_order_id)
            if target.limit_price is not None:
                moved = self.price(side.opposite, 1)
                await self.orders.modify_order(bracket.target_order_id, limit_price=moved)

    async def quotes(self, turn: int) -> None:
        """Limits at and behind the touch; the first that fills ends the wait, the others move."""
        side = Side(turn // 2 % 2)
        placed = [
            await self.orders.place_limit_order(
                *(self.contract, side, self.size(0.5), self.price(side, ticks)),
                post_only=ticks > 1,
            )
            for ticks in (0, 1, 3)
        ]
        waits = {
            asyncio.create_task(self.orders.wait_for_fill(each, timeout=30)) for each in placed
        }
        try:
            await asyncio.wait(waits, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        working = [each for each in placed if (await self.orders.get_order(each)).is_working]
        for number, each in enumerate(working):
            await self.orders.modify_order(
                each, limit_price=self.price(side, number), size=self.size(0.25 + number / 2)
            )
        await asyncio.sleep(4)
        await self.orders.cancel_orders(placed)

    async def pairs(self, turn: int) -> None:
        """An OCO around the market; after a while one leg is cancelled by hand."""
        side = Side(turn % 2)
        pair = await self.orders.place_oco_order(
            self.contract,
            self.size(1.0),
            {"type": "limit", "side": side, "price": self.price(side, 3)},
            {"type": "stop", "side": side, "stop_price": self.price(side.opposite, 3)},
            on_partial=("shrink", "cancel")[turn // 2 % 2],
        )
        await asyncio.sleep(15)
        await self.orders.cancel_order((pair.first_order_id, pair.second_order_id)[turn % 2])

    async def stop_limits(self, turn: int) -> None:
        """A stop-limit beyond the market, moved once before it is cancelled."""
        side = Side(turn % 2)
        stop = self.price(side.opposite, 2)
        order = await self.orders.place_stop_limit_order(
            *(self.contract, side, self.size(0.7), stop, self.price(side.opposite, 3))
        )
        await asyncio.sleep(6)
        moved = self.price(side.opposite, 1)
        await self.orders.modify_order(order, stop_price=moved)
        await asyncio.sleep(6)
        await self.orders.cancel_order(order)

    async def reductions(self, turn: int) -> None:
        """Take some of the position off, by a limit or at the market."""
        await asyncio.sleep(20)
        if turn % 4 == 3:
            await self.positions.close_all_positions()
        else:
            await self.orders.reduce_position(percentage=0.5, method=("market", "limit")[turn % 2])

    async def takers(self, turn: int) -> None:
        """Take more than the touch shows, with every time in force that ends at once."""
        await asyncio.sleep(12)
        side = Side(turn // 3 % 2)
        size = self.size(2.0)
        if turn % 3 == 0:
            await self.orders.place_market_order(self.contract, side, size)
            return
        force = ("IOC", "FOK")[turn % 2]
        limit = self.price(side, -2)
        await self.orders.place_limit_order(self.contract, side, size, limit, time_in_force=force)

    async def answer_fill(self, event: Any) -> None:
        """A handler that places orders: every seventh fill is answered by a reduce-only limit."""
        self.fills += 1
        if self.fills % 7:
            return
        side = event.side.opposite
        try:
            await self.orders.place_limit_order(
                *(self.contract, side, event.fill_quantity, self.price(side, 1)), reduce_only=True
            )
            self.done["answered fills"] += 1
        except OrderError as refused:
            self.done[type(refused).__name__] += 1
