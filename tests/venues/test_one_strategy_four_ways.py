"""One strategy with brackets, directly in the simulation and through the adapter to a local venue.

The ways are: directly simulated; on paper, on the same market while it goes on; through the adapter
to a venue whose time is stepped; so with faults on every way between them. On paper every event is
the simulation's, to the last number.

The first two tell the same. What is left out of the comparison, because no client of this venue can
know it, or know it at once:

- the venue's numbers of orders and executions, and the session's running number of events;
- times of all but fills, which have milliseconds: the answer to an order has no time there;
- the market's price at which a stop fired: it is not told;
- what a waiting exit would cover;
- how events of different orders interleave, but for fills;
- steps of one instant: an exit that grows twice, or grows and ends, in one instant has one size.

Seeds are such that no row of the market fills an entry and its exit at once: exits that the client
places are not there yet then. (Of 24 runs of ProjectX one had such a row.)
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from broker_api.catalog import load_catalog
from broker_api.config import AccountConfig, SimulationConfig
from broker_api.event import EventKind, Reason
from broker_api.instrument import Instrument
from broker_api.order import NO_PRICE
from broker_api.suite import TradingSuite
from examples.turns import turns
from sim.inbox import Inbox
from sim.incoming import LiveTape
from sim.loop import run
from sim.replay_feed import FullSpeed, ReplaySource, growing_like
from sim.venues.sources import Source, synthetic_source
from tests.venues import adapter_chaos
from tests.venues.adapter import control
from tests.venues.arena import HYPERLIQUID, PROJECTX, Arena
from tests.venues.controlled import Controlled
from tests.venues.stepped import MarketClock, play, roughly, to_the_frame

AT_ONCE: dict[str, Any] = {"entry_latency_ms": 0, "response_latency_ms": 0}
SELDOM = {"reconcile_seconds": 20.0}
"""Chaos costs enough of the minute's requests."""
CATALOG = load_catalog()
_OF_ACCOUNTS = (EventKind.POSITION, EventKind.ACCOUNT, EventKind.FUNDING)
_RESIZES = (Reason.EXIT_RESIZED, Reason.COMPLETED_BY_SIZE)


class Told(NamedTuple):
    """One event of an order, without what no client can know."""

    kind: str
    status: int
    reason: str
    limit: Decimal | None
    stop: Decimal | None
    size: Decimal
    filled: Decimal
    left: Decimal
    fee_nanos: int
    is_taker: bool
    time_ms: int


def market(arena: Arena, seed: int) -> Source:
    spec = CATALOG[arena.symbol]
    is_perpetual = arena is HYPERLIQUID
    return synthetic_source(
        spec, seed=seed, hours=0.3, price=Decimal(arena.price), is_perpetual=is_perpetual
    )


def directly(arena: Arena, source: Source, rounds: int, **simulation: Any) -> list[dict[str, Any]]:
    """The events of a run in the simulation."""
    return simulated(arena, source.tape, rounds, **simulation)


def on_paper(arena: Arena, source: Source, rounds: int, **simulation: Any) -> list[dict[str, Any]]:
    """The events of a run on the same market while it goes on, a few rows at a time."""
    rows = ReplaySource([source.tape])
    draws = random.Random(rounds)
    clock = FullSpeed(rows, lambda: draws.choice([1, 7, 100]))
    inbox = Inbox([growing_like(source.tape)], rows, clock)
    return simulated(arena, LiveTape(inbox, arena.symbol), rounds, **simulation)


def simulated(arena: Arena, tape: object, rounds: int, **simulation: Any) -> list[dict[str, Any]]:
    """The events of a run over a tape, or over a market that goes on."""

    async def main() -> list[dict[str, Any]]:
        suite = await TradingSuite.create(
            [arena.symbol],
            tape=tape,
            account=AccountConfig(cash=arena.cash),
            simulation=SimulationConfig(**AT_ONCE, **simulation),
        )
        async with suite:
            await turns(suite, rounds, **arena.turns)
            return events_of(suite)

    found: list[dict[str, Any]] = run(main())
    return found


def stepped(arena: Arena, source: Source, rounds: int, **simulation: Any) -> list[dict[str, Any]]:
    """The events of a run through the adapter."""

    async def main(venue: Controlled) -> list[dict[str, Any]]:
        clock = clock_of(venue)
        broker = arena.broker(venue, clock=clock, **arena.calm_settings)
        async with await TradingSuite.create([arena.symbol], broker=broker) as suite:
            await play(suite, venue, clock, turns(suite, rounds, **arena.turns), to_the_frame)
            await arena.assert_books_agree(suite, venue)
            return events_of(suite)

    with arena.venue([source], **simulation) as venue:
        return asyncio.run(main(venue))


def clock_of(venue: Controlled) -> MarketClock:
    """A clock of the market's time."""
    engine: Any = venue.server.runner.engine
    return MarketClock(engine.venue.now_ns)


def events_of(suite: TradingSuite) -> list[dict[str, Any]]:
    """The journal's events of orders, and the instrument in whose ticks and lots they are."""
    rows = suite.session.journal.events()
    (spec,) = suite.session.instruments
    return [
        {name: int(row[name]) for name in rows.dtype.names} | {"spec": spec}
        for row in rows
        if row["kind"] not in _OF_ACCOUNTS
    ]


def told(row: dict[str, Any]) -> Told:
    kind, spec = EventKind(row["kind"]), row["spec"]
    price = None if kind is EventKind.TRIGGERED else price_of(spec, row["price_ticks"])
    return Told(
        kind.name,
        row["status"],
        Reason(row["reason"]).name,
        price,
        price_of(spec, row["stop_ticks"]),
        spec.lot_size * row["lots"],
        spec.lot_size * row["filled_lots"],
        Decimal(0) if kind is EventKind.HELD else spec.lot_size * row["leaves_lots"],
        row["fee_nanos"],
        bool(row["liquidity"]),
        row["ts_ns"] // 10**6 if kind in (EventKind.FILLED, EventKind.TRIGGERED) else 0,
    )


def price_of(spec: Instrument, ticks: int) -> Decimal | None:
    return None if ticks == NO_PRICE else (spec.tick_size * ticks).normalize()


def by_order(rows: list[dict[str, Any]]) -> dict[int, list[Told]]:
    """What was told of each order, with the steps of one instant as one."""
    found: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        before = found.setdefault(row["order_id"], [])
        is_step = before and before[-1]["ts_ns"] // 10**6 == row["ts_ns"] // 10**6
        if is_step and is_resize(row) and has_terms(before[-1]):
            before[-1] = row | {"kind": before[-1]["kind"], "reason": before[-1]["reason"]}
        else:
            if is_step and is_resize(before[-1]) and row["kind"] == EventKind.CANCELLED:
                del before[-1]
            before.append(row)
    return {order_id: [told(row) for row in each] for order_id, each in found.items()}


def is_resize(row: dict[str, Any]) -> bool:
    return row["kind"] == EventKind.REPLACED and row["reason"] == Reason.EXIT_RESIZED


def has_terms(row: dict[str, Any]) -> bool:
    return row["kind"] == EventKind.ACTIVATED or is_resize(row)


def fills(rows: list[dict[str, Any]]) -> list[tuple[int, Told]]:
    """Fills of all orders in their order."""
    return [(row["order_id"], told(row)) for row in rows if row["kind"] == EventKind.FILLED]


@pytest.mark.parametrize(
    ("arena", "seed", "queue"),
    [
        (HYPERLIQUID, 7, "proportional"),
        (HYPERLIQUID, 7, "front"),
        (HYPERLIQUID, 9, "front"),
        (PROJECTX, 3, "proportional"),
        (PROJECTX, 8, "front"),
    ],
    ids=lambda each: getattr(each, "name", str(each)),
)
def test_the_simulation_and_the_adapter_on_a_venue_tell_the_same(
    arena: Arena, seed: int, queue: str
) -> None:
    source = market(arena, seed)
    there = directly(arena, source, 60, queue=queue)
    here = stepped(arena, source, 60, queue=queue)
    assert fills(here) == fills(there)
    assert by_order(here) == by_order(there)
    kinds = {EventKind(row["kind"]).name for row in there}
    assert {"FILLED", "ACTIVATED", "REPLACED", "CANCELLED", "TRIGGERED"} <= kinds


@pytest.mark.parametrize(("arena", "seed"), [(HYPERLIQUID, 7), (PROJECTX, 3)])
def test_paper_trading_tells_what_the_simulation_tells(arena: Arena, seed: int) -> None:
    source = market(arena, seed)
    expected = directly(arena, source, 60)
    assert len(expected) > 50
    assert on_paper(arena, source, 60) == expected


Torn = tuple[Arena, int, Controlled]


@pytest.fixture(
    params=[(HYPERLIQUID, 2), (HYPERLIQUID, 13), (HYPERLIQUID, 22), (PROJECTX, 2), (PROJECTX, 13)],
    ids=lambda each: f"{each[0].name}-{each[1]}",
)
def torn(request: pytest.FixtureRequest) -> Iterator[Torn]:
    arena, seed = request.param
    with arena.venue([market(arena, 7)], queue="front") as venue:
        yield arena, seed, venue


def test_with_faults_nothing_is_lost_doubled_or_left_unprotected(torn: Torn) -> None:
    arena, seed, venue = torn

    async def main() -> None:
        clock = clock_of(venue)
        broker = arena.broker(venue, clock=clock, **arena.chaos_settings | SELDOM)
        async with await TradingSuite.create([arena.symbol], broker=broker) as suite:
            await control(venue, "/faults", chaos={"seed": seed, "rates": adapter_chaos.RATES})
            await play(suite, venue, clock, turns(suite, 25, 20, **arena.turns), roughly)
            await control(venue, "/faults", "DELETE")
            await play(suite, venue, clock, suite.clock.sleep(60), roughly)
            await adapter_chaos.heal(arena, suite, venue)
            adapter_chaos.check(arena, suite, venue)
            assert_every_fill_is_told_once(arena, suite, venue)

    asyncio.run(main())
    assert sum(venue.server.faults.happened.values()) > 15


def assert_every_fill_is_told_once(arena: Arena, suite: TradingSuite, venue: Controlled) -> None:
    """Executions there and fills here are the same, one for one."""
    theirs = sorted(arena.fills_there(suite, venue))
    ours = sorted(
        (row["spec"].lot_size * row["lots"], price_of(row["spec"], row["price_ticks"]))
        for row in events_of(suite)
        if row["kind"] == EventKind.FILLED
    )
    assert ours == theirs
    assert len(ours) >= 3
