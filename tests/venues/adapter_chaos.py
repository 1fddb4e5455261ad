"""Seeded chaos: a session trades at random while all goes wrong, then both ends are compared.

    python -m tests.venues.adapter_chaos --venue projectx --seeds 0:200

One run: some dozens of placements, changes and cancels, with prices moving, other traders, requests
and frames dropped, doubled, delayed, reordered, 429, 5xx before and after the effect, disconnects,
and sometimes a new session in the place of the old one. Then the faults stop.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import Counter
from random import Random
from typing import Any

from broker_api.client_bracket import Bracket
from broker_api.contingent_broker import ContingentBroker
from broker_api.errors import BrokerError, OrderError, OrderUncertainError
from broker_api.order import OrderStatus, Role
from broker_api.suite import TradingSuite
from tests.venues.adapter import control
from tests.venues.arena import ARENAS, Arena
from tests.venues.controlled import Controlled

RATES = {
    "drop_before": 0.03,
    "drop_after": 0.03,
    "500_before": 0.02,
    "500_after": 0.02,
    "429": 0.02,
    "duplicate": 0.03,
    "delay_before": 0.03,
    "delay_after": 0.03,
    "frame_drop": 0.05,
    "frame_duplicate": 0.05,
    "frame_reorder": 0.05,
    "frame_delay": 0.03,
    "disconnect": 0.01,
}
STEPS = 40
HEAL_SECONDS = 60.0


class ChaosRun:
    """One seed's run on a venue of its own."""

    def __init__(self, seed: int, arena: Arena, venue: Controlled) -> None:
        self.arena = arena
        self.random = Random(seed)
        self.seed = seed
        self.venue = venue
        self.counts: Counter[str] = Counter()
        self.placed = 0
        """Orders that were sent, over all sessions."""
        self.surely_not = 0
        """Those that the session knows never to have existed."""

    async def main(self) -> None:
        """Trade, heal, compare. What fails leaves nothing open for the next test to trip on."""
        suite = await self._open()
        try:
            suite = await self._trade(suite)
            await self._heal(suite)
            self._check(suite)
        finally:
            await self.suite.disconnect()

    async def _trade(self, suite: TradingSuite) -> TradingSuite:
        """All the steps, and the end of the faults; the session that is there then."""
        chaos = {"seed": self.seed, "rates": RATES, "ms": 60}
        await control(self.venue, "/faults", chaos=chaos)
        began = time.monotonic()
        for step in range(STEPS):
            if step == STEPS // 2 and self.random.random() < 0.3:
                suite = await self._restart(suite, chaos)
            await self._step(suite)
        await asyncio.to_thread(self.venue.control, "/faults", "DELETE")
        self.counts["seconds of chaos"] += round(time.monotonic() - began)
        return suite

    async def _open(self) -> TradingSuite:
        broker = self.arena.broker(self.venue, **self.arena.chaos_settings)
        self.suite = await TradingSuite.create([self.arena.symbol], broker=broker)
        return self.suite

    async def _restart(self, suite: TradingSuite, chaos: dict[str, Any]) -> TradingSuite:
        """A new session goes on where the old one left; faults pause while it reads its state."""
        self.counts["restarts"] += 1
        await asyncio.to_thread(self.venue.control, "/faults", "DELETE")
        await self._heal(suite)
        self._check(suite)
        await suite[self.arena.symbol].orders.cancel_all_orders()
        await suite.disconnect()
        suite = await self._open()
        await control(self.venue, "/faults", chaos=chaos)
        return suite

    # --- trading -------------------------------------------------------------------------------

    async def _step(self, suite: TradingSuite) -> None:
        choice = self.random.random()
        try:
            if choice < 0.45:
                await self._place(suite)
            elif choice < 0.6:
                await self._change(suite)
            elif choice < 0.8:
                await self._cancel(suite)
            elif choice < 0.9:
                await self._move(-10 + self.random.randrange(20))
            else:
                await self._somebody_else()
        except OrderUncertainError:
            self.counts["uncertain"] += 1
        except (OrderError, BrokerError) as refusal:
            self.counts[type(refusal).__name__] += 1

    async def _place(self, suite: TradingSuite) -> None:
        arena, random = self.arena, self.random
        symbol, middle = arena.symbol, arena.price
        orders = suite[symbol].orders
        side = random.choice(["buy", "sell"])
        size = arena.size(random.randint(5, 50))
        away = random.randint(-5, 40) * (-1 if side == "buy" else 1)
        before = suite.session.last_id
        try:
            match random.randrange(6):
                case 4:
                    price = middle + away
                    await orders.place_bracket_order(
                        symbol, side, size, price, stop_offset=30, target_offset=15
                    )
                case 5:
                    pair = (middle - 15, middle + 15)
                    legs = [
                        {"type": "limit", "side": "buy", "price": pair[0]},
                        {"type": "stop", "side": "buy", "stop_price": pair[1]},
                    ]
                    await orders.place_oco_order(
                        symbol, size, first_order=legs[0], second_order=legs[1]
                    )
                case 0:
                    await orders.place_market_order(symbol, side, size)
                case 1:
                    beyond = abs(away) + 20
                    stop = middle + beyond if side == "buy" else middle - beyond
                    await orders.place_stop_order(symbol, side, size, stop)
                case _:
                    options: dict[str, Any] = {}
                    if random.random() < 0.3 and arena.has_post_only:
                        options = {"post_only": True}
                    if random.random() < 0.2 and arena.has_ioc:
                        options = {"time_in_force": "ioc"}
                    await orders.place_limit_order(symbol, side, size, middle + away, **options)
        finally:
            self.counts["placed"] += suite.session.last_id - before

    async def _change(self, suite: TradingSuite) -> None:
        working = [
            record
            for record in suite.session.ledger.working.values()
            if record.limit_ticks is not None
        ]
        if working:
            record = self.random.choice(working)
            price = record.spec.ticks_to_price(record.limit_ticks) + self.random.randint(-3, 3)
            size = self.arena.size(self.random.randint(5, 60))
            await suite[self.arena.symbol].orders.modify_order(
                record.order_id, limit_price=price, size=size
            )
            self.counts["changed"] += 1

    async def _cancel(self, suite: TradingSuite) -> None:
        working = list(suite.session.ledger.working)
        if working:
            await suite[self.arena.symbol].orders.cancel_order(self.random.choice(working))
            self.counts["cancelled"] += 1

    async def _somebody_else(self) -> None:
        """The tape's own price moves through the book and trades with what rests."""
        await self._move(-40 + self.random.randrange(80))
        await self._move(0)

    async def _move(self, away: float) -> None:
        symbol, price = self.arena.symbol, self.arena.price + away
        await asyncio.to_thread(self.venue.price, price, symbol)

    # --- afterwards ----------------------------------------------------------------------------

    async def _heal(self, suite: TradingSuite) -> None:
        healed_ms = await heal(self.arena, suite, self.venue)
        self.counts["most ms to heal"] = max(self.counts["most ms to heal"], healed_ms)

    def _check(self, suite: TradingSuite) -> None:
        self.counts["brackets at the end"] += check(self.arena, suite, self.venue)


async def heal(arena: Arena, suite: TradingSuite, venue: Controlled) -> int:
    """Wait until both ends agree and nothing is under way; they have a minute. The ms it took."""
    began = time.monotonic()
    deadline = began + HEAL_SECONDS
    while True:
        while reason := _unrest(arena, suite):
            assert time.monotonic() < deadline, reason
            await asyncio.sleep(0.02)
        try:
            await arena.assert_books_agree(suite, venue)
        except (AssertionError, BrokerError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(1.0)  # asking costs weight
            continue
        if not _unrest(arena, suite):  # the comparison itself may have found something to do
            return round((time.monotonic() - began) * 1000)


def _unrest(arena: Arena, suite: TradingSuite) -> str:
    """What is not settled yet, empty when everything is."""
    broker = suite.session.broker
    assert isinstance(broker, ContingentBroker)
    uncertain = [
        record.order_id
        for record in suite.session.ledger.working.values()
        if record.status in (OrderStatus.UNCERTAIN, OrderStatus.PENDING) and not record.held
    ]
    under_way = {
        f"orders {uncertain} are uncertain": bool(uncertain),
        "the adapter looks after something": arena.keeper_of(suite).busy,
        "the session's groups are busy": broker.is_busy,
    }
    return "; ".join(text for text, is_so in under_way.items() if is_so)


def check(arena: Arena, suite: TradingSuite, venue: Controlled) -> int:
    """No order twice, none without an owner, no fill of nobody's, no position without its stop.

    Returns how many brackets there are.
    """
    ledger = suite.session.ledger
    roles = Counter(record.role for record in ledger.orders.values())
    notes = arena.broker_of(suite).notes
    assert roles[Role.FOREIGN] == 0, f"foreign orders: {roles}; {notes}"
    lives = Counter(arena.names_at_work(suite, venue))
    assert all(count == 1 for count in lives.values()), f"doubled: {lives}"
    for record in ledger.orders.values():
        assert record.filled_lots <= record.size_lots, f"order {record.order_id} overfilled"
    assert suite.failure is None
    return _check_protection(suite)


def _check_protection(suite: TradingSuite) -> int:
    """What a bracket's entry filled is covered by its stop, unless somebody took that away."""
    broker = suite.session.broker
    assert isinstance(broker, ContingentBroker)
    for group in broker.machine.groups.values():
        if isinstance(group, Bracket) and group.stop is not None:
            want = group.want_lots()
            by_user = group.stop.is_over or group.stop.ends_with is not None
            assert by_user or want == 0 or group.stop.covers(want), (
                f"bracket {group.key}: {want} lots are without a stop"
            )
    return len(broker.machine.groups)


def run(seed: int, arena: Arena = ARENAS["hyperliquid"]) -> Counter[str]:
    """One seed. Raises what is wrong."""
    with arena.venue() as venue:
        chaos = ChaosRun(seed, arena, venue)
        asyncio.run(chaos.main())
        chaos.counts.update(
            {f"fault {name}": number for name, number in venue.server.faults.happened.items()}
        )
    return chaos.counts


def main() -> None:
    """Many seeds; the first that fails is told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0:200")
    parser.add_argument("--venue", default="hyperliquid", choices=sorted(ARENAS))
    given = parser.parse_args()
    first, end = map(int, given.seeds.split(":"))
    whole: Counter[str] = Counter()
    slowest, began = 0, time.monotonic()
    for seed in range(first, end):
        try:
            counts = run(seed, ARENAS[given.venue])
        except BaseException:
            again = f"--venue {given.venue} --seeds {seed}:{seed + 1}"
            print(f"failed: python -m tests.venues.adapter_chaos {again}")
            raise
        slowest = max(slowest, counts.pop("most ms to heal"))
        if (seed + 1 - first) % 20 == 0:
            print(f"{seed + 1 - first} runs", flush=True)
        whole.update(counts)
    for name, number in sorted(whole.items()):
        print(f"{number:>9,}  {name}")
    print(f"{slowest:>9,}  ms was the longest time to heal")
    print(f"{end - first} runs in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
