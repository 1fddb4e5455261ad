"""Two runs side by side: which fill of one is which of the other, and what the difference is of.

`compare` is a pure function of two records: two versions of a strategy, two settings, or a live
session and its simulation on the market that was recorded meanwhile. The causes' amounts add up to
the difference of the two results exactly; docs/reports.md says what each means.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np

from broker_api.event import EventKind
from broker_api.instrument import Instrument
from broker_api.order import NO_PRICE, Liquidity, Side
from reports.lives import Execution, OrderLife, order_lives
from reports.metrics import Metrics, measure
from reports.pairing import WINDOW_NS, Orders, Pair, pair_orders
from reports.prices import NO_MID, mids_at, touches_at
from reports.run import RunRecord


class CauseOfDifference(str, Enum):
    """What a part of the difference is of; the value is how it is named to people."""

    LATENCY = "latency"
    QUEUE = "queue"
    PRICE = "price"
    FEES = "fees"
    FUNDING = "funding"
    DECISIONS = "decisions differ"
    VALUATION = "valuation of what is open"


CAUSES = tuple(CauseOfDifference)


class ComparisonError(ValueError):
    """The two runs cannot be compared; the text says why."""


@dataclass(frozen=True, slots=True)
class FillPair:
    """Lots that filled in both runs, or in one of them (the other is None)."""

    first: Execution | None
    second: Execution | None
    lots: int


@dataclass(frozen=True)
class ComparedOrder:
    """An order in both runs: its fills, lot by lot, and what it adds to the difference.

    `effects` are in 1e-9 currency. What follows from lots that only one run filled, up to the fill
    that made the positions equal again, is counted where it began.
    """

    pair: Pair
    fills: tuple[FillPair, ...]
    effects: Mapping[CauseOfDifference, int]

    @property
    def effect_nanos(self) -> int:
        """What the order adds to the difference."""
        return sum(self.effects.values())

    @property
    def main_cause(self) -> CauseOfDifference | None:
        """The cause with the largest part; None where nothing differs."""
        found = [cause for cause in CAUSES if self.effects.get(cause)]
        return max(found, key=lambda cause: abs(self.effects[cause]), default=None)


@dataclass(frozen=True)
class Comparison:
    """The difference, second run less first, and its parts; money is in 1e-9 currency."""

    first: RunRecord
    second: RunRecord
    metrics: tuple[Metrics, Metrics]
    orders: tuple[ComparedOrder, ...]
    funding_nanos: int
    valuation_nanos: int

    @property
    def results(self) -> tuple[int, int]:
        """What each run came to: equity at its end less that at its start."""
        one, other = (int(each.equity.nanos[-1] - each.equity.nanos[0]) for each in self.metrics)
        return one, other

    @property
    def difference_nanos(self) -> int:
        """The second run's result less the first's."""
        return self.results[1] - self.results[0]

    @cached_property
    def causes(self) -> dict[CauseOfDifference, int]:
        """The parts of the difference; they add up to it."""
        total = dict.fromkeys(CAUSES, 0)
        for order in self.orders:
            for cause, nanos in order.effects.items():
                total[cause] += nanos
        total[CauseOfDifference.FUNDING] += self.funding_nanos
        total[CauseOfDifference.VALUATION] += self.valuation_nanos
        return total

    @property
    def paired(self) -> tuple[ComparedOrder, ...]:
        """Orders that both runs sent."""
        return tuple(each for each in self.orders if each.pair.by)

    def only(self, run: int) -> tuple[ComparedOrder, ...]:
        """Orders that only the first (0) or the second (1) run sent."""
        return tuple(
            each for each in self.orders if (each.pair.second, each.pair.first)[run] is None
        )


def compare(first: RunRecord, second: RunRecord, window_ns: int = WINDOW_NS) -> Comparison:
    """Compare two runs on the same instruments.

    `window_ns`: decisions without names are one when they are not further apart. Raises
    ComparisonError where instruments or currencies differ.
    """
    _check(first, second)
    metrics = measure(first), measure(second)
    orders = [Orders(order_lives(r), [i.symbol for i in r.instruments]) for r in (first, second)]
    pairs = pair_orders(orders[0], orders[1], window_ns)
    market = _Market(first, second)
    attribution = _Attribution(market, pairs)
    effects = attribution.effects()
    compared = tuple(
        ComparedOrder(pair, fills, found)
        for pair, fills, found in zip(pairs, attribution.fills, effects, strict=True)
    )
    funding = metrics[0].funding_nanos - metrics[1].funding_nanos
    whole = Comparison(first, second, metrics, compared, funding, 0)
    rest = whole.difference_nanos - sum(whole.causes.values())
    return Comparison(first, second, metrics, compared, funding, rest)


def _check(first: RunRecord, second: RunRecord) -> None:
    one, other = ([spec.symbol for spec in run.instruments] for run in (first, second))
    if sorted(one) != sorted(other):
        raise ComparisonError(
            f"the runs trade different instruments: {', '.join(one)} and {', '.join(other)}"
        )
    sizes = [
        {i.symbol: (i.tick_size, i.tick_value_nanos) for i in r.instruments}
        for r in (first, second)
    ]
    if sizes[0] != sizes[1]:
        raise ComparisonError("the runs count an instrument in different ticks")
    if first.currency != second.currency:
        raise ComparisonError(
            f"the runs count in different currencies: {first.currency} and {second.currency}"
        )


class _Market:
    """What both runs saw: touches at times, values of a tick, marks at the end. Run 0 or 1."""

    def __init__(self, first: RunRecord, second: RunRecord) -> None:
        self.runs = (first, second)
        self._marks: dict[tuple[str, int], int] = {}

    def spec(self, order: OrderLife, run: int) -> Instrument:
        return self.runs[run].instruments[order.instrument]

    def touch(self, order: OrderLife, run: int, ts_ns: int) -> int | None:
        """The price in ticks at which the order would have traded then; None where none is known.

        A live session keeps no tape of its own: then that of the other run is looked at.
        """
        symbol = self.spec(order, run).symbol
        for record in (self.runs[run], self.runs[1 - run]):
            index = next(i for i, s in enumerate(record.instruments) if s.symbol == symbol)
            tape = record.tapes[index]
            if tape is not None:
                sides = touches_at(tape, np.array([ts_ns], dtype=np.int64))
                price = int(sides[1 if order.side is Side.BUY else 0][0])
                return None if price == NO_MID else price
        return None

    def twice_mark(self, symbol: str, run: int) -> int:
        """Twice the price at which what is open at the run's end is valued."""
        if (symbol, run) not in self._marks:
            self._marks[symbol, run] = self._twice_mark(symbol, self.runs[run])
        return self._marks[symbol, run]

    @staticmethod
    def _twice_mark(symbol: str, record: RunRecord) -> int:
        index = next(i for i, s in enumerate(record.instruments) if s.symbol == symbol)
        tape = record.tapes[index]
        if tape is not None:
            mid = int(mids_at(tape, np.array([record.end_ns], dtype=np.int64))[0])
            if mid != NO_MID:
                return mid
        events = record.events
        is_fill = (events["kind"] == EventKind.FILLED) & (events["instrument"] == index)
        prices = events["price_ticks"][is_fill]
        return 2 * int(prices[-1]) if len(prices) else 0


@dataclass(slots=True)
class _Chunk:
    """Lots that one run filled and the other did not, as the difference of positions has them."""

    ts_ns: int
    seq: int
    sign: int
    lots: int
    price_ticks: int
    twice_mark: int
    pair: int
    cause: CauseOfDifference


Effects = dict[CauseOfDifference, int]


class _Attribution:
    """The parts of the difference, order by order."""

    def __init__(self, market: _Market, pairs: Sequence[Pair]) -> None:
        self._market = market
        self._pairs = pairs
        self._effects: list[Effects] = [{} for _ in pairs]
        self._numbers = {
            pair.first.order_id: number for number, pair in enumerate(pairs) if pair.first
        }
        self.fills = [_fill_pairs(pair) for pair in pairs]

    def effects(self) -> list[Effects]:
        """What every pair adds to the difference, in 1e-9 currency."""
        left: dict[str, list[_Chunk]] = {}
        for number, (pair, fills) in enumerate(zip(self._pairs, self.fills, strict=True)):
            fees = [sum(fill.fee_nanos for fill in o.fills) if o else 0 for o in _both(pair)]
            self._add(number, CauseOfDifference.FEES, fees[0] - fees[1])
            for fill in fills:
                if fill.first is not None and fill.second is not None:
                    self._add_matched(number, pair, fill)
                else:
                    symbol, chunk = self._chunk(number, pair, fill)
                    left.setdefault(symbol, []).append(chunk)
        for symbol, chunks in left.items():
            self._net(symbol, chunks)
        return self._effects

    def _add(self, number: int, cause: CauseOfDifference, nanos: int) -> None:
        if nanos:
            found = self._effects[number]
            found[cause] = found.get(cause, 0) + nanos

    def _add_matched(self, number: int, pair: Pair, fill: FillPair) -> None:
        one, other = pair.first, pair.second
        assert one is not None
        assert other is not None
        assert fill.first
        assert fill.second
        scale = -one.side.sign * fill.lots * self._market.spec(one, 0).tick_value_nanos
        whole = scale * (fill.second.price_ticks - fill.first.price_ticks)
        parts = self._parts(one, other, fill, scale) if whole else {}
        for cause, nanos in parts.items():
            self._add(number, cause, nanos)
        self._add(number, CauseOfDifference.PRICE, whole - sum(parts.values()))

    def _parts(self, one: OrderLife, other: OrderLife, fill: FillPair, scale: int) -> Effects:
        """What of another price has a cause of its own; the rest is the price's."""
        assert fill.first
        assert fill.second
        if fill.first.liquidity is not fill.second.liquidity:
            whole = scale * (fill.second.price_ticks - fill.first.price_ticks)
            return {_by_delay(one, other, CauseOfDifference.QUEUE): whole}
        if _at_once(one, fill.first) and _at_once(other, fill.second):
            return self._touch_parts(one, other, scale)
        moved = scale * (_level(other, fill.second) - _level(one, fill.first))
        if one.offset_ticks is not None and one.offset_ticks == other.offset_ticks:
            return {self._entry_cause(one): moved}
        return {CauseOfDifference.DECISIONS: moved}

    def _entry_cause(self, exit_order: OrderLife) -> CauseOfDifference:
        """Why the entry, which an exit's price follows, filled at another price."""
        effects = self._effects[self._numbers[exit_order.group]]
        found = [cause for cause in CAUSES if effects.get(cause) and cause.value != "fees"]
        return max(found, key=lambda cause: abs(effects[cause]), default=CauseOfDifference.PRICE)

    def _touch_parts(self, one: OrderLife, other: OrderLife, scale: int) -> Effects:
        """Orders that took at once: how the touch moved between decisions, and on the way."""
        touches = []
        for run, order in enumerate((one, other)):
            assert order.decided_ns is not None
            assert order.arrived_ns is not None
            for ts_ns in (order.decided_ns, order.arrived_ns):
                touches.append(self._market.touch(order, run, ts_ns))
        decided, arrived, decided_2, arrived_2 = touches
        if decided is None or arrived is None or decided_2 is None or arrived_2 is None:
            return {}
        return {
            CauseOfDifference.DECISIONS: scale * (decided_2 - decided),
            CauseOfDifference.LATENCY: scale * ((arrived_2 - decided_2) - (arrived - decided)),
        }

    def _chunk(self, number: int, pair: Pair, fill: FillPair) -> tuple[str, _Chunk]:
        run = 0 if fill.first is not None else 1
        execution, order = fill.first or fill.second, _both(pair)[run]
        assert execution is not None
        assert order is not None
        symbol = self._market.spec(order, run).symbol
        sign = order.side.sign * (1 if run else -1)
        return symbol, _Chunk(
            execution.ts_ns,
            order.order_id,
            sign,
            fill.lots,
            execution.price_ticks,
            self._market.twice_mark(symbol, run),
            number,
            _cause_of_one_sided(pair, execution),
        )

    def _net(self, symbol: str, chunks: list[_Chunk]) -> None:
        """Positions that differ, first in, first out: each stretch is of what began it."""
        tick_value = next(
            spec.tick_value_nanos
            for spec in self._market.runs[0].instruments
            if spec.symbol == symbol
        )
        waiting: deque[_Chunk] = deque()
        for chunk in sorted(chunks, key=lambda c: (c.ts_ns, c.seq, c.sign)):
            while chunk.lots and waiting and waiting[0].sign != chunk.sign:
                began = waiting[0]
                lots = min(began.lots, chunk.lots)
                moved = began.sign * (chunk.price_ticks - began.price_ticks)
                self._add(began.pair, began.cause, lots * moved * tick_value)
                began.lots -= lots
                chunk.lots -= lots
                if not began.lots:
                    waiting.popleft()
            if chunk.lots:
                waiting.append(chunk)
        for began in waiting:
            twice = began.sign * (began.twice_mark - 2 * began.price_ticks)
            self._add(began.pair, began.cause, began.lots * twice * tick_value // 2)


def _both(pair: Pair) -> tuple[OrderLife | None, OrderLife | None]:
    return pair.first, pair.second


def _fill_pairs(pair: Pair) -> tuple[FillPair, ...]:
    """Fills of both runs lot by lot, in their order; what only one filled comes last."""
    queues = [deque((fill, fill.lots) for fill in (o.fills if o else ())) for o in _both(pair)]
    found = list(_matched(*queues))
    found += [FillPair(fill, None, lots) for fill, lots in queues[0]]
    found += [FillPair(None, fill, lots) for fill, lots in queues[1]]
    return tuple(found)


def _matched(
    one: deque[tuple[Execution, int]], other: deque[tuple[Execution, int]]
) -> Iterator[FillPair]:
    while one and other:
        (first, left), (second, right) = one.popleft(), other.popleft()
        lots = min(left, right)
        yield FillPair(first, second, lots)
        if left > lots:
            one.appendleft((first, left - lots))
        if right > lots:
            other.appendleft((second, right - lots))


def _at_once(order: OrderLife, fill: Execution) -> bool:
    """True of a fill that an order took on its arrival."""
    has_times = order.decided_ns is not None and order.arrived_ns is not None
    return has_times and fill.liquidity is Liquidity.TAKER and fill.ts_ns == order.arrived_ns


def _level(order: OrderLife, fill: Execution) -> int:
    """The price that the order itself named when it filled; the fill's where it named none."""
    before = [level for level in order.levels if level[0] <= fill.ts_ns]
    for _, limit, stop in reversed(before):
        price = stop if fill.liquidity is Liquidity.TAKER and stop != NO_PRICE else limit
        if price != NO_PRICE:
            return price
    return fill.price_ticks


def _by_delay(one: OrderLife, other: OrderLife, otherwise: CauseOfDifference) -> CauseOfDifference:
    """Latency where the two orders were under way for different times."""
    delays = [
        None
        if order.decided_ns is None or order.arrived_ns is None
        else order.arrived_ns - order.decided_ns
        for order in (one, other)
    ]
    return otherwise if delays[0] == delays[1] else CauseOfDifference.LATENCY


def _cause_of_one_sided(pair: Pair, fill: Execution) -> CauseOfDifference:
    """Why one run filled what the other did not."""
    if pair.first is None or pair.second is None:
        return CauseOfDifference.DECISIONS
    if fill.liquidity is Liquidity.MAKER:
        return CauseOfDifference.QUEUE
    return _by_delay(pair.first, pair.second, CauseOfDifference.PRICE)
