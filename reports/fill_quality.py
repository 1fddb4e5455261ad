"""How good fills were: against the touch at the decision and on arrival, and how long they took.

Slippage is a cost: positive where the fill was worse than the reference, in ticks or currency.
docs/metrics.md says which reference each kind of order has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from broker_api.instrument import Instrument
from broker_api.order import NO_PRICE, Liquidity, OrderType, Side
from data.tape import Tape
from reports.lives import Execution, OrderLife
from reports.prices import NO_MID, touches_at
from reports.run import RunRecord

QUEUE_ROWS_MAX = 20_000_000
"""Rows of tape that all waits in queues may cover together; beyond, they are left out."""

TAKING, RESTING, STOPS = "taking", "resting", "stops"
KINDS = (TAKING, RESTING, STOPS)
_STOPS = frozenset(OrderType) - {OrderType.MARKET, OrderType.LIMIT}
"""Types that wait for a trigger: stops, and those that wait to be touched."""


@dataclass(frozen=True, slots=True)
class FillQuality:
    """One fill. Slippages are in ticks, None where the market then is not known.

    `kind` is "taking" (took on arrival), "resting" (was there first) or "stops" (on a trigger).
    `slippage_ticks` is against the touch at the decision; of triggered orders against their own
    trigger, of resting orders against the touch just before the fill. `arrival_ticks` is against
    the touch on arrival, or when it triggered; a bracket's target has none. `wait_ns` is from the
    decision to the fill; of exits from when they were live.
    `queue_ns` is how long a resting order's price was the touch of its side before the fill.
    """

    kind: str
    instrument: int
    lots: int
    fee_nanos: int
    slippage_ticks: int | None
    arrival_ticks: int | None
    wait_ns: int | None
    queue_ns: int | None


@dataclass(frozen=True)
class QualityGroup:
    """All fills of a kind. Averages are weighted by lots; money is in 1e-9 currency."""

    kind: str
    fills: int
    lots: int
    slippage_ticks: float | None
    arrival_ticks: float | None
    slippage_nanos: int
    wait_ns: int | None
    queue_ns: int | None


def fill_qualities(
    run: RunRecord, lives: Mapping[int, OrderLife]
) -> tuple[tuple[FillQuality, ...], tuple[str, ...]]:
    """Every fill of the run, and what is to be said of what is missing."""
    found: list[FillQuality] = []
    notes: list[str] = []
    for index, (spec, tape) in enumerate(zip(run.instruments, run.tapes, strict=True)):
        mine = [life for life in lives.values() if life.instrument == index and life.fills]
        if mine and tape is None:
            notes.append(f"{spec.symbol}: without its tape there is no slippage of its fills.")
        found += _of_instrument(mine, tape, notes, spec)
    return tuple(found), tuple(notes)


def _of_instrument(
    lives: Sequence[OrderLife], tape: Tape | None, notes: list[str], spec: Instrument
) -> Iterator[FillQuality]:
    pairs = [(life, fill) for life in lives for fill in life.fills]
    kinds = [fill_kind(life, fill) for life, fill in pairs]
    wanted = [
        (life, fill.ts_ns - 1 if kind == RESTING else _decided(life))
        for (life, fill), kind in zip(pairs, kinds, strict=True)
    ]
    touches = _touches(tape, wanted)
    arrived = _touches(tape, [(life, _arrived(life)) for life, _ in pairs])
    waits = _queue_waits(tape, pairs)
    if tape is not None and waits is None:
        notes.append(f"{spec.symbol}: waits in queues are left out, they cover too many rows.")
    for number, ((life, fill), kind) in enumerate(zip(pairs, kinds, strict=True)):
        reference = _trigger_of(life) if kind == STOPS else touches[number]
        start = _decided(life)
        yield FillQuality(
            kind,
            life.instrument,
            fill.lots,
            fill.fee_nanos,
            _worse(life, fill, reference),
            _worse(life, fill, arrived[number]),
            None if start is None else fill.ts_ns - start,
            None if waits is None or kind != RESTING else waits[number],
        )


def _worse(life: OrderLife, fill: Execution, reference: int | None) -> int | None:
    """How many ticks the fill was worse than the reference."""
    return None if reference is None else life.side.sign * (fill.price_ticks - reference)


def fill_kind(life: OrderLife, fill: Execution) -> str:
    """Of which kind a fill is."""
    if fill.liquidity is Liquidity.MAKER:
        return RESTING
    return STOPS if life.order_type in _STOPS else TAKING


def _decided(life: OrderLife) -> int | None:
    """When it was decided: of a bracket's exit, when the entry's fill made it live."""
    return life.live_ns if life.is_exit else life.decided_ns


def _arrived(life: OrderLife) -> int | None:
    """When the market had it; None of a target, which waits for another price than the touch."""
    if life.order_type in _STOPS:
        return life.triggered_ns
    return None if life.is_exit else life.arrived_ns


def _trigger_of(life: OrderLife) -> int | None:
    stops = [stop for _, _, stop in life.levels if stop != NO_PRICE]
    return stops[-1] if stops else life.stop_ticks


def _touches(tape: Tape | None, wanted: Sequence[tuple[OrderLife, int | None]]) -> list[int | None]:
    """The price at which each order would have traded then."""
    if tape is None:
        return [None] * len(wanted)
    times = np.array([0 if ts is None else ts for _, ts in wanted], dtype=np.int64)
    bid, ask = touches_at(tape, times)
    result: list[int | None] = []
    for number, (life, ts) in enumerate(wanted):
        price = int(ask[number] if life.side is Side.BUY else bid[number])
        result.append(None if ts is None or price == NO_MID else price)
    return result


def _queue_waits(
    tape: Tape | None, pairs: Sequence[tuple[OrderLife, Execution]]
) -> list[int | None] | None:
    """How long each resting order's price was the touch of its side; None where that is too much
    to look through."""
    if tape is None or not tape.has_quotes:
        return [None] * len(pairs)
    stretches: list[tuple[int, int] | None] = []
    total = 0
    for life, fill in pairs:
        joined = _joined(life, fill)
        if fill.liquidity is not Liquidity.MAKER or joined is None:
            stretches.append(None)
            continue
        first, last = np.searchsorted(tape.columns.ts, (joined[0], fill.ts_ns), side="right")
        stretches.append((max(0, int(first) - 1), int(last)))
        total += int(last) - int(first)
    if total > QUEUE_ROWS_MAX:
        return None
    return [
        None if stretch is None else _wait(tape, life, fill, stretch)
        for (life, fill), stretch in zip(pairs, stretches, strict=True)
    ]


def _joined(life: OrderLife, fill: Execution) -> tuple[int, int] | None:
    """When it joined the queue where it filled, and at which price."""
    limits = [(at, limit) for at, limit, _ in life.levels if limit != NO_PRICE and at <= fill.ts_ns]
    if not limits:
        return None
    return max(limits[-1][0], life.live_ns or 0), limits[-1][1]


def _wait(tape: Tape, life: OrderLife, fill: Execution, stretch: tuple[int, int]) -> int | None:
    joined = _joined(life, fill)
    assert joined is not None
    rows = slice(*stretch)
    columns = tape.columns
    if life.side is Side.BUY:
        at_touch = (columns.bid[rows] <= joined[1]) & (columns.bid_qty[rows] > 0)
    else:
        at_touch = (columns.ask[rows] >= joined[1]) & (columns.ask_qty[rows] > 0)
    first = int(np.argmax(at_touch)) if len(at_touch) else 0
    if not len(at_touch) or not at_touch[first]:
        return 0
    return int(max(0, fill.ts_ns - max(joined[0], int(columns.ts[rows][first]))))


def grouped(run: RunRecord, fills: Sequence[FillQuality]) -> tuple[QualityGroup, ...]:
    """The kinds of fills that the run has, each summed up."""
    groups = []
    for kind in KINDS:
        mine = [fill for fill in fills if fill.kind == kind]
        if mine:
            groups.append(_group(run, kind, mine))
    return tuple(groups)


def _group(run: RunRecord, kind: str, fills: Sequence[FillQuality]) -> QualityGroup:
    known = [fill for fill in fills if fill.slippage_ticks is not None]
    return QualityGroup(
        kind,
        len(fills),
        sum(fill.lots for fill in fills),
        _mean([(fill.slippage_ticks, fill.lots) for fill in fills]),
        _mean([(fill.arrival_ticks, fill.lots) for fill in fills]),
        sum(
            (fill.slippage_ticks or 0)
            * fill.lots
            * run.instruments[fill.instrument].tick_value_nanos
            for fill in known
        ),
        _median([fill.wait_ns for fill in fills]),
        _median([fill.queue_ns for fill in fills]),
    )


def _mean(values: Sequence[tuple[int | None, int]]) -> float | None:
    known = [(value, lots) for value, lots in values if value is not None]
    lots = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / lots if lots else None


def _median(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return int(median(known)) if known else None
