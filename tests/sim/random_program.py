"""Random programs: tasks, handlers, timers and orders of every kind, the same for the same seed.

`python -m tests.sim.random_program --seeds 0:10000` plays many of them with and without what makes
sessions fast (`sim/alone.py`, `sim/shortcut.py`, `sim/ticks.py`) and tells the first that differ.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from typing import Any

import pytest

from data.schema import RowKind
from data.tape import Tape
from papertape import TradingSuite, run
from sim.alone import Alone
from sim.broker import SimBroker
from sim.ticks import Ticks
from tests.sim.random_agent import PRICE_TICKS, Agent
from tests.sim.random_tape import MS, START_NS, make_tape

Trace = list[Any]
SECOND = 1_000 * MS
CLOSES_NS = START_NS + 12 * 3_600_000 * MS
WAYS = {
    "through the books": ("shortcut",),
    "in company": ("answer_ns", "may_pass"),
    "the ordinary way": ("shortcut", "answer_ns", "may_pass"),
}
"""What is switched off."""
ROW_BY_ROW = {"one row at a time": ("direct",)}
"""As well where all handlers are plain: other tasks of an instant may run before coroutines do."""


@contextmanager
def without(names: tuple[str, ...]) -> Iterator[None]:
    """Without some of what makes sessions fast."""
    ways: dict[str, Any] = {
        "shortcut": (SimBroker, lambda *_: None),
        "answer_ns": (Alone, lambda *_: None),
        "may_pass": (Alone, lambda *_: False),
        "direct": (Ticks, property(lambda _: False)),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            owner, replaced = ways[name]
            patch.setattr(owner, name, replaced)
        yield


def drawn_tape(symbol: str, random: Random, start_ns: int) -> Tape:
    """Some hundred rows, with halts, marks and funding among them."""
    gaps = random.choice(((0, 1, 40), (0, 60, 900), (1,), (0, 0, 3), (5, 2_000)))
    rows = random.choice((60, 250, 600))
    tape = make_tape(
        symbol,
        PRICE_TICKS[symbol],
        rows,
        seed=random.randrange(1 << 30),
        gaps_ms=gaps,
        start_ns=start_ns,
    )
    columns = tape.columns._replace(
        **{name: getattr(tape.columns, name).copy() for name in tape.columns._fields}
    )
    halted = False
    for at in range(5, rows):
        if random.random() > 0.02:
            continue
        kind = random.choice((RowKind.HALT, RowKind.MARK, RowKind.FUNDING, None))
        if halted or kind is RowKind.HALT:
            kind = RowKind.RESUME if halted else RowKind.HALT
            halted = not halted
        if kind is None:
            columns.bid[at:] += random.choice((-40, -8, 8, 40))
            columns.ask[at:] = columns.bid[at:] + 1
            columns.px[at:][columns.px[at:] != 0] = columns.bid[at]
            continue
        columns.kind[at], columns.side[at] = kind, 0
        tick = 100_000_000 if symbol == "ETH" else 250_000_000
        is_money = kind in (RowKind.MARK, RowKind.FUNDING)
        columns.px[at] = int(columns.bid[at]) * tick if is_money else 0
        columns.qty[at] = random.choice((-1, 1)) * 1_000_000 if kind is RowKind.FUNDING else 0
    return Tape(columns, symbol, "memory", "", True)


class Program:
    """One program: what it may do is drawn first, and then what it does."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.trace: Trace = []
        self.suites: list[TradingSuite] = []
        self.symbols = random.choice((["MNQ"], ["MNQ"], ["MNQ"], ["ETH"], ["MNQ", "MES"]))
        start_ns = random.choice((START_NS, START_NS, CLOSES_NS - random.randrange(30) * SECOND))
        self.tapes = {name: drawn_tape(name, random, start_ns) for name in self.symbols}
        self.settings = self._drawn_settings()
        self.cash = random.choice((50_000.0, 50_000.0, 900.0, 250.0))
        self.sessions = random.choice((1, 1, 1, 2))
        self.quiet = random.random() < 0.5
        """Nobody listens to orders, and rows are told to plain handlers."""
        self.is_lonely = random.random() < 0.4
        """One task, no handlers."""
        self.manager = {
            "auto_cancel_on_disconnect": self.is_lonely,
            "max_concurrent_orders": random.choice((100, 100, 4)),
        }
        self.tasks: list[asyncio.Task[Any]] = []
        self.subscriptions: list[Any] = []
        self.ids: list[int] = [1]
        self.budget = 600

    def _drawn_settings(self) -> dict[str, Any]:
        random = self.random
        way = (0.0, 0.0003, 1.0, 1.0, 40.0, 2_500.0)
        entry, response = random.choice(way), random.choice(way)
        drawn: dict[str, Any] = {"entry_latency_ms": entry, "response_latency_ms": response}
        if random.random() < 0.15:
            drawn[random.choice(tuple(drawn))] = {"min_ms": 0.1, "max_ms": 5.0}
        drawn["feed_latency_ms"] = random.choice((0.0, 0.0, 0.5, 60.0))
        drawn["margin"] = random.random() < 0.6
        drawn["on_error"] = random.choice(("continue", "continue", "stop"))
        if random.random() < 0.2:
            drawn["visit_every_row"] = True
        if random.random() < 0.1:
            drawn["when_closed"] = "queue"
        if random.random() < 0.3:
            drawn["queue"] = random.choice(("front", "displayed"))
        return drawn

    # --- running --------------------------------------------------------------------------------

    def play(self) -> Trace:
        """Run it; everything that it saw, and what its sessions came to."""
        try:
            run(self._main())
        except Exception as failure:
            self.trace.append(("ended by", repr(failure)))
        return self.trace + [each for suite in self.suites for each in outcome_of(suite)]

    async def _main(self) -> None:
        for number in range(self.sessions):
            suite = await TradingSuite.create(
                self.symbols,
                tape=self.tapes,
                simulation=self.settings,
                account={"cash": self.cash},
                order_manager_config=self.manager,
            )
            self.suites.append(suite)
            self.event = asyncio.Event()
            async with suite:
                await self._session(suite, is_last=number == self.sessions - 1)
            self.note("disconnected")

    async def _session(self, suite: TradingSuite, *, is_last: bool) -> None:
        random = self.random
        others = 0 if self.is_lonely else random.randrange(4)
        for number in range(others):
            self.start(Agent(self, suite, random.randrange(1 << 30), f"agent {number}"))
        main = Agent(self, suite, random.randrange(1 << 30), "main")
        await main.live(random.choice((5, 20, 60)))
        if is_last and random.random() < 0.7:
            await suite.clock.sleep(1e6)

    def start(self, agent: Agent) -> None:
        """One more task."""
        if len(self.tasks) < 12:
            self.tasks.append(asyncio.create_task(agent.live(agent.random.choice((3, 10, 30)))))

    def note(self, *what: Any) -> None:
        """One more thing that was seen."""
        self.trace.append((*what, asyncio.get_running_loop().time()))


def outcome_of(suite: TradingSuite) -> Trace:
    """What a session came to."""
    session = suite.session
    counters = [[getattr(each, name) for name in each.__slots__] for each in session.counters]
    return [
        session.journal.digest(),
        *session.journal.commands().to_pylist(),
        *map(repr, session.journal.events().tolist()),
        *[record.view() for record in session.ledger.orders.values()],
        [session.last_id, counters, [repr(each) for each in session.errors]],
        [(each.lots, each.cost, each.realised_nanos) for each in session.ledger.positions],
        [suite.account.cash, suite.account.fees, suite.account.funding],
    ]


def difference(seed: int) -> str:
    """Where a program sees something else without what makes it fast; nothing if nowhere."""
    program = Program(seed)
    with pytest.MonkeyPatch.context() as patch:
        if seed % 2:  # who leaves the shortcut may come back for ever
            patch.setattr("sim.broker.CHANCES", 1_000_000)
        quick = program.play()
    for name, switched_off in (WAYS | ROW_BY_ROW if program.quiet else WAYS).items():
        with without(switched_off):
            other = Program(seed).play()
        if quick != other:
            pairs = zip([*quick, "the end"], [*other, "the end"], strict=False)
            at, (ours, theirs) = next(each for each in enumerate(pairs) if each[1][0] != each[1][1])
            before = "\n  ".join(map(str, quick[max(0, at - 6) : at]))
            return f"seed {seed}, {name}, entry {at}:\n  {before}\n- {ours}\n+ {theirs}"
    return ""


def main() -> None:
    """Play the programs of these seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0:1000")
    first, end = map(int, parser.parse_args().seeds.split(":"))
    with ExitStack() as stack:
        stack.callback(lambda: print(f"{seed + 1 - first} programs"))
        for seed in range(first, end):
            found = difference(seed)
            if found:
                raise SystemExit(found)


if __name__ == "__main__":
    main()
