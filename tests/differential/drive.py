"""Both exchanges side by side: after every step their events, positions and cash are equal."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from itertools import zip_longest
from typing import Any

from broker_api.event import Event
from broker_api.order import NO_PRICE, Command, OrderStatus, QueueModel
from sim.exchange import Exchange
from sim.reference import ReferenceExchange
from sim.reference.orders import Doing, Order
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
        money = self.kernel.cash_nanos, self.kernel.equity_nanos, self.kernel.used_margin_nanos
        return self.kernel.now_ns, positions, money, kernel_orders(self.kernel)

    def _reference_state(self) -> tuple[object, ...]:
        held = self.reference.floor.account.positions
        positions = [(item.lots, item.cost, item.realised) for item in held]
        exchange = self.reference
        money = exchange.cash_nanos, exchange.equity_nanos, exchange.used_margin_nanos
        return exchange.now_ns, positions, money, reference_orders(exchange)

    def _tell(self, got: list[Event], expected: list[Event], at: int) -> str:
        seed = self.case.seed
        lines = [f"seed {seed}: {RUN} {seed}:{seed + 1}", str(self.case.simulation)]
        now_ns = (expected + got)[0].ts_ns if expected + got else self.kernel.now_ns
        for tape in self.case.tapes:
            lines += [f"bbo {'after' if tape.bbo_after_trade else 'before'} trade"]
            lines += rows_near(tape, now_ns)
        lines += [f"source {market.source.name}" for market in self.reference.floor.markets]
        lines += ["last steps:", *(f"  {line}" for line in self.history[-12:])]
        lines += [f"events from the first difference, number {at}:"]
        lines += [f"  same      {brief(event)}" for event in expected[max(0, at - 6) : at]]
        lines += [f"  kernel    {brief(event)}" for event in got[at : at + 6]]
        lines += [f"  reference {brief(event)}" for event in expected[at : at + 6]]
        return "\n".join(lines)


OrderState = tuple[object, ...]


def kernel_orders(exchange: Exchange) -> list[OrderState]:
    """Every working order of the kernel, with its place in the queue, in order of placement."""
    book = exchange._book
    slots = book["active"][: int(book["active_count"])]
    names = "order_id status size filled live limit stop triggered resting waiting"
    columns = {name: book[f"o_{name}"][slots].tolist() for name in names.split()}
    states = [tuple(values) for values in zip(*columns.values(), strict=True)]
    return [
        (*state, _kernel_places(book, int(slot))) for state, slot in zip(states, slots, strict=True)
    ]


def _kernel_places(book: Any, slot: int) -> list[tuple[int, int | None]]:
    """(lots, what is ahead in 1/1024 lots) of an order's one or two places."""
    if not book["o_resting"][slot]:
        return []
    front, live = int(book["o_front"][slot]), int(book["o_live"][slot])
    known = book["o_queue_known"][slot]
    places = [(front, int(book["o_queue"][slot]) if known else None)]
    if live > front:
        places.append((live - front, int(book["o_queue_behind"][slot])))
    return [(lots, 0) for lots, _ in places] if book["queue_model"] == QueueModel.BACK else places


def reference_orders(exchange: ReferenceExchange) -> list[OrderState]:
    """The same of the reference."""
    return [
        (
            order.order_id,
            order.status.code,
            order.size,
            order.filled,
            order.leaves if order.status is not OrderStatus.PENDING else _marked(exchange, order),
            order.limit_ticks,
            order.stop_ticks,
            order.triggered,
            order.doing is Doing.RESTING,
            order.doing is Doing.WAITING,
            [(place.lots, place.ahead) for place in order.places],
        )
        for order in exchange.floor.working
    ]


def _marked(exchange: ReferenceExchange, order: Order) -> int:
    """A held exit has no live lots, unless it is marked to arrive when its market trades again."""
    is_marked = order in exchange.floor.arriving and order.bracket is not None
    return order.bracket.due if is_marked and order.bracket is not None else 0


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
        last = "\n".join(pair.history[-12:])
        raise DifferenceError(f"seed {seed}: {failure!r} after\n{last}") from failure
    return pair.events
