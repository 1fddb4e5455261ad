"""Rows at which nobody can be short of margin are skipped, and nothing is missed by it."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from broker_api.event import Event, Liquidation
from broker_api.instrument import Instrument, MarginTier
from data.tape import Tape
from sim import doors
from sim.liquidation import NOBODY
from tests.sim.market import Market, an_instrument, tape_of

pytestmark = pytest.mark.slow

SEEDS = range(80)


def _tape(rng: random.Random, symbol: str, has_marks: bool, lowest: int) -> Tape:
    bid = 100 if lowest > 0 else rng.randrange(-20, 20)
    rows = []
    for ts_ns in range(60):
        bid = max(lowest, bid + rng.choice((-9, -2, -1, 0, 1, 2, 9)))
        book = f"{rng.randrange(0, 4) and 500}x{bid} {bid + rng.randrange(1, 3)}x500"
        rows.append(f"{ts_ns} " + (book if book[0] != "0" else f"- {bid + 1}x500"))
        if has_marks and rng.random() < 0.2:
            rows.append(f"{ts_ns} mark {max(1, bid)}.{rng.randrange(10)}")
        if rng.random() < 0.05:
            rows += [f"{ts_ns} halt", f"{ts_ns} resume"]
    return tape_of(rows, symbol=symbol)


def _instrument(rng: random.Random, symbol: str, *, allow_negative_price: bool) -> Instrument:
    tiered = rng.random() < 0.5
    tiers = (
        MarginTier(Decimal(0), 20_000, 13_333),
        MarginTier(Decimal(333), 77_777, rng.choice((50_001, 77_777))),
        MarginTier(Decimal(1234), 500_000, rng.choice((10_001, 450_000))),
    )
    return an_instrument(
        symbol,
        margin_tiers=tiers if tiered else (),
        initial_margin_ppm=0 if tiered else 300_000,
        maintenance_margin_ppm=0 if tiered else rng.choice((1, 299_999)),
        initial_margin=Decimal(2),
        maintenance_margin=Decimal(rng.choice((0, 2))),
        allow_negative_price=allow_negative_price,
    )


def _play(seed: int, *, visit_every_row: bool) -> list[Event]:
    rng = random.Random(seed)
    symbols = "XYZ"[: rng.choice((1, 2, 3))]
    negative = rng.random() < 0.3
    market = Market(
        tapes=[
            _tape(rng, name, not negative and rng.random() < 0.4, -99 if negative else 1)
            for name in symbols
        ],
        instruments=[_instrument(rng, name, allow_negative_price=negative) for name in symbols],
        account={"isolated": [name for name in symbols if rng.random() < 0.4]},
        margin=True,
        cash=rng.choice((60, 200, 800, 3000)),
        visit_every_row=visit_every_row,
    )
    for ts_ns in range(60):
        market.run_to(ts_ns)
        short = doors.next_short(market.exchange._array, 0)
        assert short == NOBODY, f"at {ts_ns} the position of {short} stood on too little"
        if ts_ns % 7 == 0:
            name, lots = rng.choice(symbols), rng.choice((1, 3, 20))
            market.place(f"{rng.choice(('buy', 'sell'))} {lots} market", symbol=name)
    return market.events


@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_that_jumps_liquidates_where_one_that_visits_every_row_does(seed: int) -> None:
    assert _play(seed, visit_every_row=False) == _play(seed, visit_every_row=True)


def test_the_runs_above_have_liquidations_of_both_kinds() -> None:
    found = [
        event.instrument
        for seed in SEEDS
        for event in _play(seed, visit_every_row=False)
        if isinstance(event, Liquidation)
    ]
    assert sum(scope < 0 for scope in found) >= 10
    assert sum(scope >= 0 for scope in found) >= 10


def test_below_zero_a_long_position_needs_more_with_every_tick_down() -> None:
    # 10 at -9 with 200. At a bid of -22: 200 - 130 and 66 are needed; at -23: 60 and 69.
    spec = an_instrument(
        initial_margin_ppm=300_000, maintenance_margin_ppm=300_000, allow_negative_price=True
    )
    rows = ("0 99x-10 -9x99", "10 99x-22 -9x99", "20 99x-23 -9x99")
    market = Market(*rows, instruments=[spec], margin=True, cash=200)
    market.place("buy 10 market")
    assert market.run_to(10) == []
    assert market.run_to(20)[0] == "liquidation 60 < 69"
