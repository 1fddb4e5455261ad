"""A feed that goes on for a day at full speed: memory stays flat, portions do not get slower.

    python -m tests.paper.long_feed --hours 24

The market is made as it is asked for, 200 rows a second, so that nothing but the session could
grow. At its end the session is played again from its journal.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from broker_api.journal_writer import JournalWriter
from data.growing import GrowingTape
from data.schema import RowKind, TapeColumns
from data.synthetic import DEFAULT_START_NS
from scenarios.paper import PaperPlan, PaperSession, plan_of, verify
from scenarios.paper_feed import FeedPlan, OpenFeed
from scenarios.scenario import read_scenario
from sim.durable import DurableSession
from sim.inbox import Inbox
from sim.incoming import LiveTape

SCENARIO = Path(__file__).parent / "day"
PORTION = 16_384
STEP_NS = 5_000_000
"""Between two rows: 200 a second."""
_MB = 1 << 20


class MadeRows:
    """A market that is drawn as it goes on: portion after portion, from a seed."""

    def __init__(self, portions: int, seed: int = 9) -> None:
        self._portions = portions
        self._seed = seed
        self._made = 0
        self._bid = 80_000
        self.end_ns: int | None = DEFAULT_START_NS + portions * PORTION * STEP_NS
        self.seconds: list[float] = []
        self.resident: list[float] = []
        self._began = time.perf_counter()

    def now_ns(self) -> int:
        """When the next portion has come; also the clock."""
        return DEFAULT_START_NS + min(self._made + 1, self._portions) * PORTION * STEP_NS

    def seconds_until(self, ts_ns: int) -> float:
        """Nobody waits."""
        return 0.0

    def next_ns(self) -> int | None:
        """See RowSource."""
        return None

    def skip(self, until_ns: int) -> None:
        """Not resumed."""

    def take(self, until_ns: int) -> tuple[TapeColumns | None, ...]:
        """The next portion."""
        if self._made >= self._portions:
            return (None,)
        self._look()
        draws = np.random.Generator(np.random.Philox(key=[self._seed, self._made]))
        first_ns = DEFAULT_START_NS + self._made * PORTION * STEP_NS
        self._made += 1
        steps = draws.choice(np.array([-1, 0, 0, 0, 0, 0, 1]), PORTION)
        bid = self._bid + np.cumsum(steps)
        self._bid = int(bid[-1])
        trade = draws.random(PORTION) < 0.2
        side = np.where(trade, draws.choice(np.array([-1, 1]), PORTION), 0)
        return (
            TapeColumns(
                first_ns + STEP_NS * np.arange(1, PORTION + 1),
                np.where(trade, RowKind.TRADE, RowKind.QUOTE).astype(np.int8),
                side.astype(np.int8),
                np.where(trade, np.where(side > 0, bid + 1, bid), 0),
                np.where(trade, draws.integers(1, 5, PORTION), 0),
                bid,
                bid + 1,
                draws.integers(1, 50, PORTION),
                draws.integers(1, 50, PORTION),
            ),
        )

    def _look(self) -> None:
        now = time.perf_counter()
        self.seconds.append(now - self._began)
        self._began = now
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        self.resident.append(pages * 4096 / _MB)


@dataclass(frozen=True)
class Result:
    """What a long session cost: memory and seconds a portion, early and late."""

    rows: int
    events: int
    seconds: float
    resident_mb: tuple[float, float]
    portion_seconds: tuple[float, float]
    is_equal: bool
    journal_mb: float


def run(hours: float, place: Path, tell: Callable[[str], None] = lambda text: None) -> Result:
    """Play so many hours, and play them again."""
    portions = max(6, round(hours * 3600e9 / STEP_NS / PORTION))
    source = MadeRows(portions)
    tape = GrowingTape("MNQ", "made", bbo_after_trade=True, folder=place)
    feed = OpenFeed(Inbox([tape], source, source))
    folder = place / "session"
    folder.mkdir()
    plan = PaperPlan(read_scenario(SCENARIO), {}, FeedPlan("replay", 0.0, 1), folder)
    doors = ExitStack()
    writer = doors.enter_context(JournalWriter.create(plan.journal, plan.header(feed)))
    durable = DurableSession(writer, feed.inbox)
    defaults = plan.scenario.settings
    defaults.tapes["MNQ"] = LiveTape(durable, "MNQ")
    defaults.recorder = durable
    began = time.perf_counter()
    session = PaperSession(plan, feed, writer, durable, defaults, doors)
    outcome = session.run()
    seconds = time.perf_counter() - began
    digest = outcome.sessions[-1].session.journal.digest()
    tell(f"played {portions * PORTION:,} rows in {seconds:.1f} s; now again, from the journal")
    parity = verify(plan, plan_of(folder)[1], _nobody)
    third = portions // 3
    return Result(
        portions * PORTION,
        parity.events,
        seconds,
        (
            float(np.mean(source.resident[third : 2 * third])),
            float(np.mean(source.resident[-third:])),
        ),
        (float(np.median(source.seconds[1:third])), float(np.median(source.seconds[-third:]))),
        parity.is_equal and parity.digest == digest,
        plan.journal.stat().st_size / _MB,
    )


def _nobody(defaults: Any, request: Any) -> None:
    raise AssertionError("nobody asked for anything")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        print(run(chosen.hours, Path(place), lambda text: print(text, flush=True)))


if __name__ == "__main__":
    main()
