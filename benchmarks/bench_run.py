"""What does a run cost: per tick that nobody looks at, and per order?

    python benchmarks/bench_run.py [HOURS]

One generated tape, one process. A bracket of one lot every 10,000 ticks, in turn bought and sold,
once jumping from row to row of interest and once visiting every row; then limit orders placed and
cancelled as fast as a script can. Medians of five, and ratios to a calibration loop of plain Python
measured in the same process, because machines are shared and noisy. The figures go to
benchmarks/results/run.json.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from broker_api.catalog import load_catalog
from broker_api.config import SimulationConfig
from data.synthetic import generate, profile_for
from data.tape import Tape, tape_from_frame
from papertape import TradingSuite, run

ORDERS = 2_000
REPEATS = 5
RESULTS = Path(__file__).with_name("results") / "run.json"


def calibration() -> None:
    """Something that only the machine's speed changes."""
    total = 0
    for number in range(2_000_000):
        total += number & 7
    assert total == 7_000_000


def make_tape(hours: float) -> Tape:
    mnq = load_catalog()["MNQ"]
    profile = profile_for("MNQ", mnq.tick_size, mnq.lot_size)
    return tape_from_frame(generate(profile, seed=7, hours=hours), mnq)


async def brackets(tape: Tape, simulation: SimulationConfig) -> str:
    suite = await TradingSuite.create(["MNQ"], tape=tape, simulation=simulation)
    context = suite["MNQ"]
    times = tape.columns.ts[10_000::10_000].tolist()
    try:
        for number, due_ns in enumerate(times):
            await suite.clock.sleep(max(0, due_ns - suite.clock.now_ns()) / 1e9)
            quote = context.data.last_quote
            side = number % 2
            price = quote.bid - 0.5 if side == 0 else quote.ask + 0.5
            await context.orders.place_bracket_order(
                "MNQ", side, 1, entry_price=price, stop_ticks=20, target_ticks=20
            )
    finally:
        await suite.disconnect()
    return suite.session.journal.digest()


async def placements(tape: Tape) -> None:
    suite = await TradingSuite.create(["MNQ"], tape=tape)
    orders = suite["MNQ"].orders
    price = suite["MNQ"].data.last_quote.bid - 50
    for _ in range(ORDERS):
        order = await orders.place_limit_order("MNQ", 0, 1, price)
        await orders.cancel_order(order.order_id)
    await suite.disconnect()


def median_of(action: Callable[[], object]) -> float:
    action()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main() -> None:
    tape = make_tape(float(sys.argv[1]) if len(sys.argv) > 1 else 24.0)
    jumping = SimulationConfig(margin=False)
    visiting = SimulationConfig(margin=False, visit_every_row=True)
    assert run(brackets(tape, jumping)) == run(brackets(tape, visiting)), "skipping changed events"
    base = median_of(calibration)
    figures = {
        "brackets, jumping": median_of(lambda: run(brackets(tape, jumping))),
        "brackets, every row": median_of(lambda: run(brackets(tape, visiting))),
        "place and cancel": median_of(lambda: run(placements(tape))),
    }
    print(f"{len(tape):,} rows; calibration loop {base:.3f} s; median of {REPEATS}")
    for name, seconds in figures.items():
        work = 2 * ORDERS if name == "place and cancel" else len(tape)
        unit = "commands/s" if name == "place and cancel" else "ticks/s"
        print(
            f"  {name:<20} {seconds:7.3f} s  {work / seconds:12,.0f} {unit}  x{seconds / base:.2f}"
        )
    RESULTS.parent.mkdir(exist_ok=True)
    record = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "rows": len(tape),
        "calibration_s": base,
        "seconds": figures,
        "ratios": {name: seconds / base for name, seconds in figures.items()},
    }
    RESULTS.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
