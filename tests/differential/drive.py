"""Both exchanges side by side: after every step events and canonical states are equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from itertools import zip_longest

from broker_api.event import Event
from broker_api.order import NO_PRICE, Command
from sim.exchange import Exchange
from sim.reference import ReferenceExchange
from tests.differential.crowd import Crowd, Sent
from tests.differential.generate import Case
from tests.differential.kernel_state import KernelReader
from tests.differential.reference_state import ReferenceReader
from tests.differential.rows import rows_near
from tests.differential.sessions import case_of
from tests.differential.state import State, differences, fingerprint
from tests.sim.promises import Promises

STEPS = 50
PROMISED = 16
"""Every so many seeds the promises of `tests.sim.promises` are checked too, which takes longer."""
RUN = "python -m tests.differential.run --seeds"
Action = Sent | int
"""A step: an account's command, or a pause in nanoseconds."""


class DifferenceError(AssertionError):
    """The two exchanges disagree; the text tells where, after what, and how to see it again."""


class Pair:
    """A kernel and a reference over the same tapes."""

    def __init__(self, case: Case, *, promised: bool = False, watched: bool = True) -> None:
        given = (
            case.instruments,
            case.tapes,
            case.calendars,
            case.simulation,
            case.accounts,
            case.start_ns,
        )
        self.case = case
        self.kernel = Exchange(*given)
        self.reference = ReferenceExchange(*given)
        self.actions: list[Action] = []
        self.events: list[Event] = []
        self.state: State = ()
        self._reader = KernelReader(self.kernel, case.tapes)
        self._reference_reader = ReferenceReader(self.reference)
        self._promises = (
            Promises(self.kernel, case.instruments, case.accounts) if promised else None
        )
        self._watched = watched or promised
        self.act(0)  # what was published before anybody asked
        self.actions.clear()

    def run(self, steps: int = STEPS) -> None:
        """Drive both through the random commands of the case's seed."""
        crowd = Crowd(self.case)
        for _ in range(steps):
            pause_ns = crowd.pause_ns(self.kernel.now_ns)
            action = crowd.sent(self.kernel.now_ns) if pause_ns is None else pause_ns
            before = len(self.events)
            self.act(action)
            crowd.note(self.events[before:])
        self._compare_states([], [])

    def replay(self, actions: Sequence[Action]) -> None:
        """Drive both through given steps."""
        for action in actions:
            self.act(action)

    def act(self, action: Action) -> None:
        """One step. Raises DifferenceError, also when an exchange or a promise fails."""
        self.actions.append(action)
        try:
            if isinstance(action, int):
                self._advance(self.kernel.now_ns + action)
            else:
                self._execute(*action)
        except DifferenceError:
            raise
        except Exception as failure:
            raise DifferenceError(f"{failure!r}\n{self._where()}") from failure

    def _execute(self, account: int, command: Command) -> None:
        if self._promises is not None:
            self._promises.note(command, account)
        expected = self.reference.execute(command, account)
        got = self.kernel.execute(command, account)
        self._compare(got, expected)
        if self._promises is not None:
            self._promises.check_answer(command, got, account)

    def _advance(self, until_ns: int) -> None:
        """Both up to a time, one publication after the other."""
        while True:
            expected = self.reference.advance(until_ns)
            self._compare(self.kernel.advance(until_ns), expected)
            if not expected and self.reference.now_ns >= until_ns:
                return

    def _compare(self, got: list[Event], expected: list[Event]) -> None:
        """Events one by one, then, in a session that is watched, the states."""
        self.events += expected
        if got != expected:
            raise DifferenceError(self._tell(got, expected))
        if self._watched:
            self._compare_states(got, expected)

    def _compare_states(self, got: list[Event], expected: list[Event]) -> None:
        """Everything that matters for what comes, and that no money appeared or went."""
        state, theirs = self._reader.read(), self._reference_reader.read()
        if state != theirs:
            found = "\n".join(differences(state, theirs))
            raise DifferenceError(f"{found}\n{self._tell(got, expected)}")
        self.state = state
        self._check_money(state)
        if self._promises is not None:
            for event in got:
                self._promises.check_event(event)
            self._promises.check_state()

    def _check_money(self, state: State) -> None:
        count = len(self.case.instruments)
        for at, (config, account) in enumerate(zip(self.case.accounts, state[1], strict=True)):
            cash, fees, funding = account[:3]
            earned = sum(position[2] for position in state[3][at * count : (at + 1) * count])
            if cash != config.cash_nanos + earned - fees - funding:
                text = f"money of account {at} appeared or went: {account}, {state[3]}"
                raise DifferenceError(f"{text}\n{self._where()}")

    def _where(self) -> str:
        now_ns, case = self.kernel.now_ns, self.case
        last = brief(self.actions[-1]) if self.actions else "the beginning"
        lines = [f"step {len(self.actions)}: {last}", f"now {now_ns}", str(case.simulation)]
        for tape, market in zip(case.tapes, self.reference.floor.markets, strict=True):
            book = "after" if tape.bbo_after_trade else "before"
            lines += [f"{tape.symbol}: book {book} trade, source {market.source.name}"]
            lines += rows_near(tape, now_ns)
        return "\n".join(lines)

    def _tell(self, got: list[Event], expected: list[Event]) -> str:
        pairs = list(zip_longest(got, expected))
        at = next((at for at, (one, other) in enumerate(pairs) if one != other), len(pairs))
        lines = [self._where(), f"events from the first difference, number {at}:"]
        lines += [f"  same      {brief(event)}" for event in expected[max(0, at - 6) : at]]
        lines += [f"  kernel    {brief(event)}" for event in got[at : at + 6]]
        lines += [f"  reference {brief(event)}" for event in expected[at : at + 6]]
        return "\n".join(lines)


DULL = ("client_order_id", "tag", "seq")


def brief(thing: Event | Command | Action) -> str:
    """An event or a step in one line, without what says nothing."""
    if isinstance(thing, int):
        return f"wait {thing} ns"
    if isinstance(thing, Sent):
        return f"account {thing.account}: " * (thing.account > 0) + brief(thing.command)
    parts = []
    for item in fields(thing):
        value = getattr(thing, item.name)
        is_first = item.name == "account" and not value
        if item.name in DULL or is_first or value is None or value is False or value == NO_PRICE:
            continue
        text = value.name.lower() if isinstance(value, Enum) else str(value)
        text = f"({brief(value)})" if is_dataclass(value) else text
        parts.append(f"{item.name}={text}")
    return f"{type(thing).__name__} {' '.join(parts)}"


@dataclass(frozen=True)
class Ran:
    """A session without a difference: what was done and published, and its last fingerprint."""

    case: Case
    actions: list[Action]
    events: list[Event]
    fingerprint: str


def run_seed(seed: int, steps: int = STEPS, watched: bool = True) -> Ran:
    """Compare one seed: events after every step, and states too if it is watched, else at the end.

    Raises DifferenceError.
    """
    pair = Pair(case_of(seed), promised=seed % PROMISED == 0, watched=watched)
    try:
        pair.run(steps)
    except DifferenceError as failure:
        raise DifferenceError(f"seed {seed}: {RUN} {seed}:{seed + 1}\n{failure}") from failure
    return Ran(pair.case, pair.actions, pair.events, fingerprint(pair.state))
