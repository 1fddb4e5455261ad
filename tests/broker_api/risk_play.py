"""Random sessions under account rules, and what must hold at every step of them.

    python -m tests.broker_api.risk_play --seeds 0:1000

plays sessions with these seeds and stops at the first that breaks a promise.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from broker_api.broker import Snapshot
from broker_api.catalog import find, load_catalog
from broker_api.config import AccountConfig, BrokerSpec, SimulationConfig
from broker_api.errors import OrderError
from broker_api.event import EventKind, EventRow
from broker_api.instrument import NANOS
from broker_api.journal import in_order
from broker_api.ledger import Ledger
from broker_api.order import BracketRequest, OcoRequest, OrderRequest, Role, requests_of
from papertape import TradingSuite, run
from sim.broker import SimBroker
from tests.sim.market import tape_of

MNQ = replace(find(load_catalog(), "MNQ"), calendar="24/7")
CONTRACTS, LOSS = 5, 150
SECONDS = 600
STEP_NS = NANOS // 4
STEP_TICKS = 6
"""The market moves at most so many ticks in a quarter of a second."""
LATENCY_MS = 40.0
CHECK_SECONDS = 1.0
RULES = {
    "contracts": {"limit": CONTRACTS},
    "daily_loss": {"limit": LOSS, "until": "good"},
    "trailing_drawdown": {"limit": 3 * LOSS},
    "order_rate": {"limit": 120},
    "price_band": {"ticks": 400},
    "check_seconds": CHECK_SECONDS,
}
SLACK_STEPS = round((CHECK_SECONDS + 10 * LATENCY_MS / 1000) * NANOS / STEP_NS) + 1
SLACK = CONTRACTS * (SLACK_STEPS * STEP_TICKS + 4) * 0.5 + 40
"""What may be lost beyond the limit: a look every second, the way there and back, spread, fees."""


def market(draws: np.random.Generator) -> list[str]:
    """A walk of quotes with prints at the touch."""
    bid, lines = 84_000, []
    for step in range(SECONDS * NANOS // STEP_NS):
        bid += int(draws.integers(-STEP_TICKS, STEP_TICKS + 1))
        lines.append(f"{step * STEP_NS} 9x{bid} {bid + 1}x9")
        if draws.random() < 0.3:
            side, price = ("sell", bid) if draws.random() < 0.5 else ("buy", bid + 1)
            lines.append(f"{step * STEP_NS + 1} {side} 2@{price} 9x{bid} {bid + 1}x9")
    return lines


class Trader:
    """Sends whatever chance says, wants more than it may have, and never waits for long."""

    def __init__(self, suite: TradingSuite, draws: np.random.Generator) -> None:
        self.suite = suite
        self.orders = suite["MNQ"].orders
        self.draws = draws
        self.refused = 0

    async def trade(self) -> None:
        verbs = (self.market, self.limit, self.stop, self.bracket, self.oco, self.change)
        verbs += (self.cancel, self.close, self.limit, self.change)
        while True:
            verb = verbs[int(self.draws.integers(len(verbs)))]
            try:
                await verb(int(self.draws.integers(2)), int(self.draws.integers(1, 5)))
            except OrderError:
                self.refused += 1
            await asyncio.sleep(float(self.draws.integers(0, 40)) / 10)

    def price(self, side: int, away: int) -> float:
        quote = self.suite["MNQ"].data.last_quote
        return float(quote.bid) + (away if side else -away) * 0.25

    async def market(self, side: int, size: int) -> None:
        self.orders.nowait.place_market_order("MNQ", side, size)

    async def limit(self, side: int, size: int) -> None:
        price = self.price(side, int(self.draws.integers(-2, 20)))
        self.orders.nowait.place_limit_order("MNQ", side, size, price)

    async def stop(self, side: int, size: int) -> None:
        await self.orders.place_stop_order("MNQ", side, size, self.price(1 - side, 12))

    async def bracket(self, side: int, size: int) -> None:
        await self.orders.place_bracket_order("MNQ", side, size, stop_offset=5, target_offset=4)

    async def oco(self, side: int, size: int) -> None:
        legs = (
            {"type": "limit", "side": side, "price": self.price(side, 10)},
            {"type": "stop", "side": 1 - side, "stop_price": self.price(side, 15)},
        )
        await self.orders.place_oco_order("MNQ", size, *legs)

    async def change(self, side: int, size: int) -> None:
        working = await self.orders.get_orders("pending")
        if working:
            chosen = working[int(self.draws.integers(len(working)))]
            self.orders.nowait.modify_order(chosen.order_id, size=size + 1)
            await asyncio.sleep(0.01)
            await self.limit(side, size)

    async def cancel(self, side: int, size: int) -> None:
        if self.draws.random() < 0.3:
            await self.orders.cancel_all_orders()

    async def close(self, side: int, size: int) -> None:
        await self.orders.close_position("MNQ")


def play(
    seed: int, make: type[SimBroker] = SimBroker, **settings: bool
) -> tuple[TradingSuite, int]:
    """One session; returns its suite and how many commands were refused."""
    draws = np.random.Generator(np.random.Philox(seed))
    played = tape_of(market(draws), symbol="MNQ")
    simulation = SimulationConfig(
        entry_latency_ms=LATENCY_MS, response_latency_ms=LATENCY_MS, queue="front", **settings
    )
    spec = BrokerSpec((MNQ,), (played,), simulation, AccountConfig())
    traders: list[Trader] = []

    async def main() -> TradingSuite:
        broker = make(spec, [played])
        suite = await TradingSuite.create("MNQ", broker=broker, risk=RULES)
        traders.append(Trader(suite, draws))
        async with suite:
            try:
                await traders[0].trade()
            except asyncio.CancelledError:  # the tape has ended
                return suite
        return suite

    return run(main()), traders[0].refused


def could_hold(ledger: Ledger) -> int:
    """The most contracts that positions and working orders could come to, whatever fills first."""
    held, adding = ledger.positions[0].lots, [0, 0]
    for record in ledger.working.values():
        if record.role in (Role.SINGLE, Role.ENTRY, Role.OCO_LEG) and not record.reduce_only:
            adding[record.side] += record.leaves_lots
    return max(max(held, 0) + adding[0], max(-held, 0) + adding[1])


def check(suite: TradingSuite) -> bool:
    """Assert what the rules promise, over the whole journal; returns whether it was halted."""
    session = suite.session
    ledger = Ledger(session.instruments, Snapshot("SIM", "USD", 50_000 * NANOS, ()))
    halted = False
    rows = [EventRow(*map(int, row)) for row in session.journal.events()]
    for record in in_order(session.journal.recorded_commands(), rows):
        if isinstance(record, EventRow):
            ledger.apply_event(record)
            halted = halted or record.kind == EventKind.RISK_HALTED
        else:
            command = record.command
            if halted and isinstance(command, OrderRequest | BracketRequest | OcoRequest):
                for request in requests_of(command):
                    held = ledger.positions[0].lots * request.side.sign
                    assert request.reduce_only or request.size_lots <= -held, (record, held)
            ledger.apply_command(record.ts_ns, command)
        assert could_hold(ledger) <= CONTRACTS, record
    if halted:
        assert ledger.positions[0].lots == 0, "a halted account is flat at the end"
    lost = 50_000 - ledger.cash_nanos / NANOS
    assert lost <= LOSS + SLACK, lost
    return halted


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0:200", help="A:B, B excluded")
    first, last = map(int, parser.parse_args(arguments).seeds.split(":"))
    halted = 0
    for seed in range(first, last):
        try:
            halted += check(play(seed)[0])
        except BaseException:
            print(f"seed {seed}: python -m tests.broker_api.risk_play --seeds {seed}:{seed + 1}")
            raise
    print(f"{last - first} sessions, {halted} of them halted")


if __name__ == "__main__":
    main()
