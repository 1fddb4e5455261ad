"""Random orders on random markets: the promises hold, and shortcuts change no event.

A failure names its seed. `python -m tests.sim.test_random_runs SEED [COUNT]` runs more.
"""

from __future__ import annotations

import random
import sys
from dataclasses import replace as changed
from typing import Any

import pytest

from broker_api.event import Event
from tests.sim.market import Hours, Market, tape_of
from tests.sim.random_market import (
    INSTRUMENT,
    SETTINGS,
    Ids,
    open_market,
    play,
    random_command,
    random_commands,
    random_rows,
)

pytestmark = pytest.mark.slow

SEEDS = (*range(7), 36, 40)
"""One of each setting, and those that see what is rare."""
HOURS = Hours((-10, 700), (900, 1500), (1501, 1600), (1700, 2400))


def one_instrument(seed: int, **extra: Any) -> list[Event]:
    """A random run on one tape; `steps` cuts time into steps of so many ns."""
    rng = random.Random(seed)
    rows, commands = random_rows(rng), random_commands(rng)
    steps = extra.pop("steps", 0)
    market = open_market(rows, **{**SETTINGS[seed % len(SETTINGS)], **extra})
    return play(market, commands, steps=steps)


def several_instruments(seed: int, **extra: Any) -> list[Event]:
    """A random run on two or three tapes, two times in three with opening hours."""
    rng = random.Random(1000 + seed)
    steps = extra.pop("steps", 0)
    settings = {**SETTINGS[seed % len(SETTINGS)], **extra}
    after = settings.get("bbo_after_trade", True)
    names = ["X", "Y", "Z"][: 2 + seed % 2]
    tapes = [tape_of(random_rows(rng), symbol=name, bbo_after_trade=after) for name in names]
    ids, ts_ns, commands = Ids(), 0, []
    for _ in range(150):
        ts_ns = min(2300, ts_ns + rng.choice((0, 3, 10, 10, 40, 70)))
        commands.append((ts_ns, random_command(rng, ids, ts_ns, rng.choice(names))))
    instruments = [changed(INSTRUMENT, symbol=name, id=name) for name in names]
    calendar = HOURS if seed % 3 else None
    market = Market(tapes=tapes, instruments=instruments, calendar=calendar, **settings)
    return play(market, commands, steps=steps)


@pytest.mark.parametrize("run", [one_instrument, several_instruments])
@pytest.mark.parametrize("seed", SEEDS)
def test_visiting_every_row_or_stopping_often_changes_nothing(run: Any, seed: int) -> None:
    events = run(seed)
    assert events == run(seed, visit_every_row=True)
    assert events == run(seed, steps=7)


@pytest.mark.parametrize("run", [one_instrument, several_instruments])
def test_the_same_seed_gives_the_same_run(run: Any) -> None:
    assert run(3) == run(3)


def test_random_runs_do_something() -> None:
    kinds = {type(event).__name__ for seed in (0, 1, 7, 36, 40) for event in one_instrument(seed)}
    wanted = {"OrderFilled", "OrderTriggered", "OrderActivated", "OrderHeld", "OrderExpired"}
    wanted |= {"Liquidation", "FundingPaid", "MarketHalted", "Unprotected", "OrderReplaced"}
    assert wanted <= kinds, f"never seen: {wanted - kinds}"


if __name__ == "__main__":
    first, count = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    for number in range(first, first + count):
        for check in (one_instrument, several_instruments):
            print(check.__name__, number, flush=True)
            test_visiting_every_row_or_stopping_often_changes_nothing(check, number)
