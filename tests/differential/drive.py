"""Both exchanges side by side: after every step their events, positions and cash are equal."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from itertools import zip_longest

from broker_api.event import Event
from broker_api.order import NO_PRICE, Command
from sim.exchange import Exchange
from sim.reference import ReferenceExchange
from tests.differential.generate import Case, make_case, rows_near
from tests.differential.trade import Trader

STEPS = 50
RUN = "python -m tests.differential.run --seeds"


class DifferenceError(AssertionError):
    """The two exchanges disagree; the text tells where, after what, and how to see it again."""


@dataclass
class Pair:
    """A kernel and a reference over the same tapes."""

    case: Case
    kernel: Exchange = field(init=False)
    reference: ReferenceExchange = field(init=False)
    history: list[str] = field(default_factory=list)
    events: int = 0

    def __post_init__(self) -> None:
        case = self.case
        given = (
            case.instruments,
            case.tapes,
            case.calendars,
            case.simulation,
            case.account,
            case.start_ns,
        )
        self.kernel = Exchange(*given)
        self.reference = ReferenceExchange(*given)

    def run(self, steps: int = STEPS) -> None:
        """Drive both through the random commands of the case's seed."""
        trader = Trader(self.case)
        for _ in range(steps):
            pause_ns = trader.pause_ns()
            if pause_ns is not None:
                for events in self.advance(self.kernel.now_ns + pause_ns):
                    trader.note(events)
                continue
            command = trader.command(self.kernel.now_ns)
            self.history.append(f"t={self.kernel.now_ns} {brief(command)}")
            expected = self.reference.execute(command)
            self.compare(self.kernel.execute(command), expected)
            trader.note(expected)

    def advance(self, until_ns: int) -> list[list[Event]]:
        """Both up to a time, one publication after the other."""
        collected = []
        while True:
            expected = self.reference.advance(until_ns)
            self.history.append(f"advance to {until_ns}, now {self.reference.now_ns}")
            self.compare(self.kernel.advance(until_ns), expected)
            collected.append(expected)
            if not expected and self.reference.now_ns >= until_ns:
                return collected

    def compare(self, got: list[Event], expected: list[Event]) -> None:
        """Events one by one, then the time, the positions and the cash."""
        self.events += len(expected)
        for at, (ours, theirs) in enumerate(zip_longest(got, expected)):
            if ours != theirs:
                raise DifferenceError(self._tell(got, expected, at))
        states = self._kernel_state(), self._reference_state()
        if states[0] != states[1]:
            text = f"kernel {states[0]}\nreference {states[1]}"
            raise DifferenceError(self._tell(got, expected, len(got)) + "\n" + text)

    def _kernel_state(self) -> tuple[object, ...]:
        book, count = self.kernel._book, len(self.case.instruments)
        names = ("i_position", "i_position_cost", "i_realised")
        positions = [tuple(int(book[name][i]) for name in names) for i in range(count)]
        return self.kernel.now_ns, positions, self.kernel.cash_nanos, self.kernel.equity_nanos

    def _reference_state(self) -> tuple[object, ...]:
        held = self.reference.floor.account.positions
        positions = [(item.lots, item.cost, item.realised) for item in held]
        now_ns, cash = self.reference.now_ns, self.reference.cash_nanos
        return now_ns, positions, cash, self.reference.equity_nanos

    def _tell(self, got: list[Event], expected: list[Event], at: int) -> str:
        seed = self.case.seed
        lines = [f"seed {seed}: {RUN} {seed}:{seed + 1}", str(self.case.simulation)]
        now_ns = (expected + got)[0].ts_ns if expected + got else self.kernel.now_ns
        for tape in self.case.tapes:
            lines += [f"bbo {'after' if tape.bbo_after_trade else 'before'} trade"]
            lines += rows_near(tape, now_ns)
        lines += [f"source {market.source.name}" for market in self.reference.floor.markets]
        lines += ["last steps:", *(f"  {line}" for line in self.history[-4:])]
        lines += [f"events from the first difference, number {at}:"]
        lines += [f"  same      {brief(event)}" for event in expected[max(0, at - 6) : at]]
        lines += [f"  kernel    {brief(event)}" for event in got[at : at + 6]]
        lines += [f"  reference {brief(event)}" for event in expected[at : at + 6]]
        return "\n".join(lines)


DULL = ("client_order_id", "tag", "seq")


def brief(thing: Event | Command) -> str:
    """An event or a command in one line, without what says nothing."""
    parts = []
    for item in fields(thing):
        value = getattr(thing, item.name)
        if item.name in DULL or value is None or value is False or value == NO_PRICE:
            continue
        text = value.name.lower() if isinstance(value, Enum) else str(value)
        text = f"({brief(value)})" if is_dataclass(value) else text
        parts.append(f"{item.name}={text}")
    return f"{type(thing).__name__} {' '.join(parts)}"


def run_seed(seed: int, steps: int = STEPS) -> int:
    """Compare one seed; the number of events. Raises DifferenceError."""
    pair = Pair(make_case(seed))
    try:
        pair.run(steps)
    except DifferenceError:
        raise
    except Exception as failure:
        last = "\n".join(pair.history[-4:])
        raise DifferenceError(f"seed {seed}: {failure!r} after\n{last}") from failure
    return pair.events
