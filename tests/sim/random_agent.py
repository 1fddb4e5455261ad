"""Tasks and handlers of random programs (`random_program.py`), which act at random."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from papertape import TradingSuite
from papertape.order_templates import get_template
from sim.loop import TapeEnded
from tests.sim.random_tape import MS

if TYPE_CHECKING:
    from tests.sim.random_program import Program

PRICE_TICKS = {"MNQ": 80_000, "MES": 20_000, "ETH": 30_000}


class Agent:
    """A task, or a handler, that acts at random."""

    def __init__(self, program: Program, suite: TradingSuite, seed: int, name: str) -> None:
        self.program, self.suite, self.name = program, suite, name
        self.random = Random(seed)
        self.calm = self.random.choice((0.02, 0.1, 0.5))
        self.raises = self.random.random() < 0.3

    async def live(self, steps: int) -> None:
        """Act and wait."""
        program = self.program
        try:
            for _ in range(steps):
                await self.step()
        except asyncio.CancelledError as end:
            program.note(self.name, "cancelled", type(end).__name__)
            if self.random.random() < 0.3:
                self.some_act()
            raise
        program.note(self.name, "done", self.suite.clock.now_ns())

    async def step(self) -> None:
        """One thing that one can wait for, or something at once."""
        random = self.random
        pick = random.random()
        if pick < 0.35:
            self.some_act()
        elif pick < 0.6:
            await self.guarded(Agent.pass_time)
        else:
            await self.guarded(random.choice(self.waits if pick < 0.9 else self.rare))

    async def guarded(self, act: Callable[[Agent], Any]) -> None:
        note, now = self.program.note, self.suite.clock.now_ns
        note(self.name, act.__name__, now())
        try:
            note(self.name, repr(await act(self)), now())
        except TapeEnded:
            raise
        except Exception as failure:
            note(self.name, repr(failure), now())

    def some_act(self) -> None:
        """Something that takes no time."""
        program = self.program
        if program.budget <= 0:
            return
        program.budget -= 1
        act = self.random.choice(self.acts)
        try:
            program.note(self.name, act.__name__, act(self), self.suite.clock.now_ns())
        except Exception as failure:
            program.note(self.name, act.__name__, repr(failure), self.suite.clock.now_ns())

    def told(self, *what: Any) -> None:
        """A plain handler of anything."""
        if self.random.random() > self.calm:
            return
        self.program.note(self.name, "told", repr(what), self.suite.clock.now_ns())
        for _ in range(self.random.choice((1, 1, 2, 4))):
            self.some_act()
        if self.raises and self.random.random() < 0.1:
            raise ValueError(self.name)

    def tick(self, bid: float, ask: float) -> None:
        """A plain handler of ticks."""
        self.told(bid, ask)

    async def told_async(self, *what: Any) -> None:
        """A handler that waits."""
        self.told(*what)
        if self.random.random() < self.calm / 2:
            await self.step()

    async def tick_async(self, bid: float, ask: float) -> None:
        """A handler of ticks that waits."""
        await self.told_async(bid, ask)

    # --- what is drawn --------------------------------------------------------------------------

    def pause(self) -> float:
        return self.random.choice((0.0, 1e-9, 0.00025, 0.001, 0.002, 0.04, 0.5, 3.0))

    def context(self) -> Any:
        return self.suite[self.random.choice(self.program.symbols)]

    def price(self, context: Any, away: tuple[int, ...]) -> float:
        quote, spec = context.data.last_quote, context.instrument_info
        found = None if quote is None else quote.bid
        ticks = PRICE_TICKS[context.symbol] if found is None else spec.price_to_ticks(found)
        return float((ticks + self.random.choice(away)) * spec.tick_size)

    def order(self, away: tuple[int, ...] = (-40, -3, -1, 0, 1, 2, 40)) -> tuple[Any, ...]:
        context = self.context()
        side = self.random.randrange(2)
        size = self.random.choice((1, 1, 2, 5))
        return context, (context.symbol, side, size), self.price(context, away)

    def options(self) -> dict[str, Any]:
        if self.random.random() < 0.75:
            return {}
        until_ns = self.suite.clock.now_ns() + self.random.choice((1, MS, 300 * MS))
        return self.random.choice(
            (
                {"time_in_force": "IOC"},
                {"time_in_force": "FOK"},
                {"time_in_force": "DAY"},
                {"time_in_force": "GTD", "expires_at": until_ns},
                {"post_only": True},
                {"reduce_only": True},
                {"tag": "odd"},
                {"client_order_id": str(len(self.program.ids) + 2)},
            )
        )

    def exits(self) -> dict[str, Any]:
        return self.random.choice(
            (
                {"stop_ticks": 4, "target_ticks": 3},
                {"stop_ticks": 12, "target_ticks": 20},
                {"target_ticks": 2},
                {"stop_ticks": 3},
                {"trail_offset": 1, "target_ticks": 9},
                {},
            )
        )

    def known(self) -> int:
        return self.random.choice(self.program.ids[-8:])

    def keep(self, *ids: int | None) -> tuple[int | None, ...]:
        self.program.ids += [each for each in ids if each is not None]
        return ids

    # --- at once --------------------------------------------------------------------------------

    def limit_now(self) -> Any:
        context, order, price = self.order()
        return self.keep(context.orders.nowait.place_limit_order(*order, price, **self.options()))

    def market_now(self) -> Any:
        context, order, _ = self.order()
        return self.keep(context.orders.nowait.place_market_order(*order))

    def stop_now(self) -> Any:
        context, order, price = self.order((-3, 3, 4))
        return self.keep(context.orders.nowait.place_stop_order(*order, price))

    def bracket_now(self) -> Any:
        context, order, price = self.order()
        price = self.random.choice((None, price))
        nowait = context.orders.nowait
        return self.keep(*nowait.place_bracket_order(*order, price, **self.exits()))

    def modify_now(self) -> Any:
        change = self.random.choice(("limit_price", "stop_price", "size"))
        value = self.random.choice((1, 3)) if change == "size" else self.order()[2]
        return self.suite.orders.nowait.modify_order(self.known(), **{change: value})

    def cancel_now(self) -> Any:
        return self.suite.orders.nowait.cancel_order(self.known())

    def look(self) -> Any:
        context, suite = self.context(), self.suite
        session, account = suite.session, suite.account
        looks: tuple[Callable[[], Any], ...] = (
            context.positions.net_size,
            context.positions.net_size,
            lambda: [suite.orders.nowait.is_working(each) for each in self.program.ids[-4:]],
            lambda: repr(context.positions.position()),
            lambda: (account.equity, account.cash, account.margin_used, account.unrealised_pnl),
            lambda: (account.funding, account.fees, account.realised_pnl),
            lambda: (len(session.journal), session.journal.digest()),
            lambda: [[getattr(c, n) for n in c.__slots__] for c in session.counters],
            lambda: [record.view() for record in session.ledger.working.values()],
            lambda: repr((context.data.last_quote, context.data.last_trade)),
            lambda: repr(context.data.bars("1s", 3)),
            lambda: session.last_id,
        )
        return self.random.choice(looks)()

    def soon(self) -> Any:
        asyncio.get_running_loop().call_soon(self.some_act)

    def later(self) -> Any:
        loop = asyncio.get_running_loop()
        if self.random.random() < 0.5:
            loop.call_later(self.pause(), self.some_act)
        else:
            loop.call_at(loop.time() + self.pause(), self.some_act)

    def set_event(self) -> Any:
        self.program.event.set()

    def clear_event(self) -> Any:
        self.program.event.clear()

    def spawn(self) -> Any:
        if not self.program.is_lonely:
            seed = self.random.randrange(1 << 30)
            self.program.start(Agent(self.program, self.suite, seed, f"spawned {seed}"))

    def cancel_task(self) -> Any:
        if self.program.tasks and self.random.random() < 0.5:
            self.random.choice(self.program.tasks).cancel()

    def unsubscribe(self) -> Any:
        if self.program.subscriptions and self.random.random() < 0.3:
            at = self.random.randrange(len(self.program.subscriptions))
            self.program.subscriptions.pop(at).cancel()

    acts = (
        limit_now, limit_now, market_now, stop_now, bracket_now, bracket_now, modify_now,
        cancel_now, cancel_now, look, look, look, look, soon, later, set_event, clear_event,
        spawn, cancel_task, unsubscribe,
    )  # fmt: skip

    # --- that one waits for ---------------------------------------------------------------------

    async def place_limit(self) -> Any:
        context, order, price = self.order()
        placed = await context.orders.place_limit_order(*order, price, **self.options())
        return self.keep(placed.order_id), placed

    async def place_market(self) -> Any:
        context, order, _ = self.order()
        placed = await context.orders.place_market_order(*order, **self.options())
        return self.keep(placed.order_id), placed

    async def place_stop(self) -> Any:
        context, order, price = self.order((-3, 3, 4))
        placed = await context.orders.place_stop_order(*order, price, **self.options())
        return self.keep(placed.order_id), placed

    async def place_trailing(self) -> Any:
        context, order, _ = self.order()
        placed = await context.orders.place_trailing_stop_order(*order, trail_ticks=3)
        return self.keep(placed.order_id), placed

    async def place_bracket(self) -> Any:
        context, order, price = self.order()
        price = self.random.choice((None, price))
        return await context.orders.place_bracket_order(*order, price, **self.exits())

    async def place_oco(self) -> Any:
        context, (symbol, side, size), price = self.order((-4, 4))
        first = {"type": "limit", "side": side, "price": price}
        tick = float(context.instrument_info.tick_size)
        stop = price + (16 * tick if side == 0 else -16 * tick)
        second = {"type": "stop", "side": side, "stop_price": stop}
        return await context.orders.place_oco_order(symbol, size, first, second)

    async def template(self) -> Any:
        context, (_, side, size), price = self.order()
        return await get_template("scalping").create_order(
            context, side, current_price=price, atr_value=4.0, size=size
        )

    async def modify(self) -> Any:
        change = self.random.choice(("limit_price", "stop_price", "size"))
        value = self.random.choice((1, 3)) if change == "size" else self.order()[2]
        return await self.suite.orders.modify_order(self.known(), **{change: value})

    async def cancel(self) -> Any:
        return await self.suite.orders.cancel_order(self.known())

    async def pass_time(self) -> Any:
        await self.suite.clock.sleep(self.pause())

    async def sleep(self) -> Any:
        await asyncio.sleep(self.pause())

    async def look_around(self) -> Any:
        stats = await self.suite.orders.get_stats()
        return stats, await self.suite.orders.get_orders()

    waits = (
        place_limit, place_limit, place_market, place_stop, place_bracket, place_oco, modify,
        cancel, sleep, place_trailing, template, look_around,
    )  # fmt: skip

    async def close_position(self) -> Any:
        return await self.context().orders.close_position()

    async def close_all(self) -> Any:
        return await self.suite.orders.cancel_all_orders(), (
            await self.context().positions.close_all_positions()
        )

    async def reduce(self) -> Any:
        return await self.context().orders.reduce_position(percentage=0.5)

    async def wait_for_fill(self) -> Any:
        return await self.suite.orders.wait_for_fill(self.known(), self.pause() + 0.1)

    async def wait_for_event(self) -> Any:
        async with asyncio.timeout(self.pause() + 0.001):
            await self.program.event.wait()

    async def within_time(self) -> Any:
        act = self.random.choice(self.waits)
        if self.random.random() < 0.5:
            return await asyncio.wait_for(act(self), self.pause())
        async with asyncio.timeout(self.pause()):
            return await act(self)

    async def together(self) -> Any:
        acts = [self.random.choice(self.waits)(self) for _ in range(self.random.choice((1, 2, 3)))]
        return await asyncio.gather(*acts, return_exceptions=self.random.random() < 0.5)

    async def in_a_group(self) -> Any:
        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(self.random.choice(self.waits)(self))

    async def shielded(self) -> Any:
        async with asyncio.timeout(self.pause()):
            await asyncio.shield(self.random.choice(self.waits)(self))

    async def some_quotes(self) -> Any:
        seen = []
        async for quote in self.context().data.quotes():
            seen.append(repr(quote))
            if len(seen) == 2:
                break
        return seen

    async def listen(self) -> Any:
        program, data = self.program, self.context().data
        if program.is_lonely:
            return
        name = f"handler {len(program.subscriptions)} of {self.name}"
        handler = Agent(program, self.suite, self.random.randrange(1 << 30), name)
        plain = program.quiet or self.random.random() < 0.5
        told = handler.told if plain else handler.told_async
        ways: list[Callable[[], Any]] = [
            lambda: data.on_tick(handler.tick if plain else handler.tick_async),
            lambda: data.on_tick(handler.tick),
            lambda: data.on_quote(told),
            lambda: data.on_trade(told),
            lambda: data.on_bar(self.random.choice(("1s", "15s")), told),
        ]
        if not program.quiet:
            ways += [
                lambda: self.suite.orders.on_order_update(told),
                lambda: self.suite.orders.on_fill(told),
                lambda: self.suite.on("position", told),
                lambda: self.suite.on("liquidation", told),
            ]
        program.subscriptions.append(await self.random.choice(ways)())

    async def stop_listening(self) -> Any:
        return self.unsubscribe()

    rare = (
        close_position, close_all, reduce, wait_for_fill, wait_for_event, within_time, within_time,
        together, together, in_a_group, shielded, some_quotes, listen, listen, listen, listen,
        stop_listening,
    )  # fmt: skip
