"""Random sessions on bars, alone or beside ticks."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

from broker_api.instrument import Instrument
from data.schema import TickGrid
from data.tape import Tape, tape_from_frame
from tests.differential.generate import Case, ToyCalendar, make_case

INTERVALS_NS = (4, 6, 10, 31)
PATHS = ("adaptive", "adaptive", "pessimistic", "ohlc", "olhc")


def bar_case(seed: int) -> Case:
    """The session of a seed with bars in the place of its first tape, and perhaps of others."""
    case = make_case(seed)
    rng = random.Random(f"bars {seed}")
    tapes = [
        random_bars(rng, spec) if index == 0 or rng.random() < 0.5 else tape
        for index, (spec, tape) in enumerate(zip(case.instruments, case.tapes, strict=True))
    ]
    end_ns = max(tape.end_ns for tape in tapes)
    calendars = list(case.calendars)
    if rng.random() < 0.3:
        closes = rng.randrange(1, end_ns)
        opens = closes + rng.randint(1, 12)
        calendars[0] = ToyCalendar(((-1, closes), (opens, 1 << 60)))
    return replace(
        case,
        tapes=tuple(tapes),
        calendars=tuple(calendars),
        simulation=case.simulation.model_copy(
            update={"bar_path": rng.choice(PATHS), "spread_ticks": rng.choice((0, 1, 1, 2, 3))}
        ),
        start_ns=rng.choice((None, None, rng.randrange(end_ns))),
    )


def random_bars(rng: random.Random, spec: Instrument) -> Tape:
    """A walk in bars: jumps at the open, ties, bars without a range, pauses, no volume."""
    interval_ns = rng.choice(INTERVALS_NS)
    reach = rng.choice((1, 2, 2, 4, 8))
    largest = rng.choice((3, 12, 40, 160))
    jump = rng.choice((0.0, 0.2, 0.6))
    pause = rng.choice((0.0, 0.2))
    close, ts = rng.choice((100, 100, 12)), 0
    table: dict[str, list[int]] = {
        name: [] for name in ("ts", "open", "high", "low", "close", "volume")
    }
    for _ in range(rng.randint(4, 40)):
        first = close + (rng.randint(-5, 5) if rng.random() < jump else 0)
        first = max(1, first)
        high = first + rng.randint(0, reach)
        low = max(1, first - (high - first if rng.random() < 0.3 else rng.randint(0, reach)))
        close = rng.choice((high, low, rng.randint(low, high)))
        volume = rng.choice((0, 1, rng.randint(1, largest), rng.randint(1, largest)))
        for name, value in zip(table, (ts, first, high, low, close, volume), strict=True):
            table[name].append(value)
        ts += interval_ns * (rng.randint(2, 4) if rng.random() < pause else 1)
    grid = TickGrid(spec.symbol, Decimal(1), Decimal(1))
    return tape_from_frame(table, grid, bar_interval_ns=interval_ns)
