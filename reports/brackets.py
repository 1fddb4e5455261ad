"""The life of brackets for the chart: how long the entry waited, and where the exits lay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker_api.order import NO_PRICE, OrderType, Role
from reports.lives import OrderLife

_WAITING = frozenset(OrderType) - {OrderType.MARKET}


@dataclass(frozen=True, slots=True)
class BracketLife:
    """One bracket. Times are epoch ns, levels (time, ticks).

    It waits from `waits_ns` at `waits_ticks` (None: at no price of its own), is filled from
    `start_ns` at `entry_cost` over `lots`, and is over at `end_ns`. Without a fill `lots` is 0.
    """

    instrument: int
    waits_ns: int
    waits_ticks: int | None
    start_ns: int
    end_ns: int
    entry_cost: int
    lots: int
    stop: tuple[tuple[int, int], ...]
    target: tuple[tuple[int, int], ...]


def bracket_lives(lives: Mapping[int, OrderLife], end_ns: int) -> tuple[BracketLife, ...]:
    """The brackets of a run that ended at `end_ns`, in the order in which they were sent."""
    exits: dict[int, list[OrderLife]] = {}
    for life in lives.values():
        if life.is_exit:
            exits.setdefault(life.group, []).append(life)
    return tuple(
        _bracket(life, exits.get(life.order_id, []), end_ns)
        for life in lives.values()
        if life.role is Role.ENTRY and life.arrived_ns is not None
    )


def _bracket(entry: OrderLife, exits: list[OrderLife], end_ns: int) -> BracketLife:
    waits_ns = entry.arrived_ns or 0
    if not entry.fills:
        over = entry.ended_ns or end_ns
        return BracketLife(
            entry.instrument, waits_ns, _waiting_price(entry), over, over, 0, 0, (), ()
        )
    start = entry.fills[0].ts_ns
    return BracketLife(
        instrument=entry.instrument,
        waits_ns=waits_ns,
        waits_ticks=_waiting_price(entry) if start > waits_ns else None,
        start_ns=start,
        end_ns=max((end_ns if e.ended_ns is None else e.ended_ns for e in exits), default=start),
        entry_cost=sum(fill.price_ticks * fill.lots for fill in entry.fills),
        lots=entry.filled_lots,
        stop=_levels(exits, Role.STOP_EXIT, 2, start),
        target=_levels(exits, Role.TARGET_EXIT, 1, start),
    )


def _waiting_price(entry: OrderLife) -> int | None:
    if entry.order_type not in _WAITING or not entry.levels:
        return None
    _, limit, stop = entry.levels[0]
    price = limit if limit != NO_PRICE else stop
    return None if price == NO_PRICE else price


def _levels(
    exits: list[OrderLife], role: Role, column: int, start_ns: int
) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for life in exits:
        if life.role is role:
            for level in life.levels:
                if level[column] != NO_PRICE:
                    found.append((max(level[0], start_ns), level[column]))
    # What was set again at one time, or to the same, is one level.
    kept: list[tuple[int, int]] = []
    for each in found:
        if kept and kept[-1][0] == each[0]:
            kept.pop()
        if not kept or kept[-1][1] != each[1]:
            kept.append(each)
    return tuple(kept)


def bracket_row(bracket: BracketLife, start_ns: int) -> list[Any]:
    """As the chart has it: wait, waits at, from, to, entry, stop levels, target levels.

    Times are in ms from `start_ns`, prices in ticks, levels a time and a price in turns.
    """
    average = bracket.entry_cost / bracket.lots if bracket.lots else None
    return [
        since(bracket.waits_ns, start_ns),
        bracket.waits_ticks,
        since(bracket.start_ns, start_ns),
        since(bracket.end_ns, start_ns),
        int(average) if average is not None and average.is_integer() else average,
        [each for at, ticks in bracket.stop for each in (since(at, start_ns), ticks)],
        [each for at, ticks in bracket.target for each in (since(at, start_ns), ticks)],
    ]


def since(ns: int, start_ns: int) -> float:
    """Milliseconds from the start, a whole number where it is one: it is shorter as text."""
    whole, rest = divmod(ns - start_ns, 1_000_000)
    return whole + rest / 1_000_000 if rest else whole
