"""A session under latency that writes down what it saw and when; also a program, for processes.

Every 5 ms it sends something; quotes, prints, bars and every answer are kept with their time.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from broker_api.catalog import find, load_catalog
from broker_api.config import AccountConfig, SimulationConfig
from broker_api.errors import TradingError
from broker_api.journal import RecordedCommand
from data.tape import Tape, tape_from_frame
from papertape import TradingSuite
from sim.loop import run
from sim.replay import Recording

MS = 1_000_000
START_NS = 1_704_204_000_000_000_000
MNQ = find(load_catalog(), "MNQ")


def tape(rows: int = 2_000) -> Tape:
    """A quote a millisecond that wanders, and a print with every third."""
    generator = np.random.Generator(np.random.Philox(key=7))
    bid = 20_000 + 0.25 * np.cumsum(generator.integers(-1, 2, rows))
    is_trade = np.arange(rows) % 3 == 2
    side = np.where(is_trade, generator.choice([-1, 1], rows), 0)
    return tape_from_frame(
        {
            "ts": START_NS + np.arange(rows) * MS,
            "bid": bid,
            "ask": bid + 0.25,
            "bid_size": generator.integers(1, 9, rows).astype(float),
            "ask_size": generator.integers(1, 9, rows).astype(float),
            "price": np.where(is_trade, np.where(side > 0, bid + 0.25, bid), np.nan),
            "size": np.where(is_trade, 2.0, np.nan),
            "side": side,
        },
        MNQ,
        bbo_of_trade="after",
    )


@dataclass
class Seen:
    """What a session saw: (name, time at the exchange or on the tape, time when it came)."""

    market: list[tuple[str, int, int]] = field(default_factory=list)
    events: list[tuple[int, int, int]] = field(default_factory=list)
    looks: list[tuple[int, int | None, int | None]] = field(default_factory=list)
    commands: tuple[RecordedCommand, ...] = ()
    recording: Recording | None = None
    digest: str = ""


def session(steps: int = 60, more: int = 0, **settings: Any) -> Seen:
    """Play; `more` sends that many market orders before everything else."""
    seen, played = Seen(), tape()
    simulation = SimulationConfig(margin=False, **settings)

    async def main() -> None:
        suite = await TradingSuite.create("MNQ", tape=played, simulation=simulation)
        async with suite:
            journal = suite.session.journal
            record = journal.record_event
            clock = suite.clock

            def keep(event: Any) -> None:
                seen.events.append((event.seq, event.ts_ns, clock.now_ns()))
                record(event)

            journal.record_event = keep  # type: ignore[method-assign]
            for name in ("quote", "trade"):
                await suite.on(
                    name, lambda e: seen.market.append((type(e).__name__, e.ts_ns, clock.now_ns()))
                )
            await suite.on(
                "bar",
                lambda e: seen.market.append(("Bar", e.ts_ns + e.interval_ns, clock.now_ns())),
                timeframe="1s",
            )
            await trade(suite, seen, steps, more)
        session = suite.session
        seen.commands = tuple(journal.recorded_commands())
        seen.digest = journal.digest()
        seen.recording = Recording(
            session.instruments,
            (played,),
            simulation,
            AccountConfig(),
            session.started_ns,
            int(session.ended_ns or 0),
            seen.commands,
            journal.events(),
        )

    run(main())
    return seen


async def trade(suite: TradingSuite, seen: Seen, steps: int, more: int) -> None:
    orders = suite["MNQ"].orders
    under_way = []
    for _ in range(more):
        under_way.append(asyncio.ensure_future(send(orders.place_market_order("MNQ", "buy", 1))))
    for step in range(steps):
        quote = suite["MNQ"].data.last_quote
        seen.looks.append(
            (suite.clock.now_ns(), quote and quote.ts_ns, len(suite["MNQ"].data.bars("1s")))
        )
        side = ("buy", "sell")[step % 2]
        if step % 3 == 0:
            placing = orders.place_market_order("MNQ", side, 1)
        else:
            price = 20_000 + (-4, 4)[step % 2] * 0.25
            placing = orders.place_limit_order("MNQ", side, 2, price)
        under_way.append(asyncio.ensure_future(send(placing)))
        await suite.clock.sleep(0.005)
    await suite.clock.sleep(1.0)


async def send(placing: Any) -> None:
    """A refusal is an answer, too."""
    try:
        await placing
    except TradingError:
        return


if __name__ == "__main__":
    print(session(entry_latency_ms={"min_ms": 0, "max_ms": 30}, seed=int(sys.argv[1])).digest)
