"""Random orders on random bars: the promises hold, and shortcuts change no event.

A failure names its seed. `python -m tests.sim.test_bar_runs SEED [COUNT]` runs more.
"""

from __future__ import annotations

import random
import sys
from dataclasses import replace as changed
from typing import Any

import pytest

from broker_api.event import Event, OrderFilled
from tests.sim.market import BAR_NS, Hours, Market, tape_of
from tests.sim.random_market import (
    INSTRUMENT,
    SETTINGS,
    Ids,
    play,
    random_command,
    random_rows,
)

pytestmark = pytest.mark.slow

BARS = 80
PATHS = ("adaptive", "pessimistic", "ohlc", "olhc")
HOURS = Hours((-10, 700), (905, 1500), (1501, 1612), (1700, 2600))
SEEDS = tuple(range(16))


def random_bars(rng: random.Random) -> list[str]:
    """Bars that jump, stand still, have no volume, or leave some time out."""
    rows, ts, close = [], 0, 100
    for _ in range(BARS):
        first = close + rng.choice((0, 0, 0, 1, -1, 3, -3, 5, -5)) + (close < 92) - (close > 108)
        high, low = first + rng.choice((0, 1, 2, 4)), first - rng.choice((0, 1, 2, 4))
        close = rng.randint(low, high)
        rows.append(f"{ts} bar {first} {high} {low} {close} v{rng.choice((0, 1, 5, 16, 40))}")
        ts += BAR_NS * rng.choice((1, 1, 1, 1, 3))
    return rows


def run(seed: int, **extra: Any) -> list[Event]:
    """A random run on bars, beside ticks every second time, with opening hours every third."""
    rng = random.Random(7_000 + seed)
    steps = extra.pop("steps", 0)
    settings = {**SETTINGS[seed % len(SETTINGS)], "bar_path": PATHS[seed % len(PATHS)], **extra}
    settings["spread_ticks"] = seed % 4
    settings.pop("bbo_after_trade", None)
    names = ("X", "Y")[: 1 + seed % 2]
    rows = [random_bars(rng), random_rows(rng)]
    tapes = [tape_of(rows[at], symbol=name) for at, name in enumerate(names)]
    ids, ts_ns, commands = Ids(), 0, []
    for _ in range(150):
        ts_ns = min(BARS * BAR_NS, ts_ns + rng.choice((0, 3, 7, 10, 10, 20, 29, 40)))
        commands.append((ts_ns, random_command(rng, ids, ts_ns, rng.choice(names))))
    market = Market(
        tapes=tapes,
        instruments=[changed(INSTRUMENT, symbol=name, id=name) for name in names],
        calendar=HOURS if seed % 3 == 0 else None,
        **settings,
    )
    return play(market, commands, steps=steps)


@pytest.mark.parametrize("seed", SEEDS)
def test_visiting_every_row_or_stopping_often_changes_nothing(seed: int) -> None:
    events = run(seed)
    assert events == run(seed, visit_every_row=True)
    assert events == run(seed, steps=7)


def test_random_bars_do_something() -> None:
    events = [event for seed in range(8) for event in run(seed)]
    kinds = {type(event).__name__ for event in events}
    assert {"OrderFilled", "OrderTriggered", "OrderActivated", "Unprotected"} <= kinds
    assert any(isinstance(event, OrderFilled) and event.ambiguous for event in events)


if __name__ == "__main__":
    first, count = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    for number in range(first, first + count):
        print(number, flush=True)
        test_visiting_every_row_or_stopping_often_changes_nothing(number)
