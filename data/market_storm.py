"""A market in a storm: halts, gaps, wide spreads and silence, put into a tape that exists.

A pure function of a tape and a list of incidents. Rows keep their times; what is taken away is
taken away whole. The tape stays one that every rule of `data.check` accepts: times in order, no
crossed book, no price at or below zero that was above it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np

from data.schema import (
    EMPTY_ASK,
    EMPTY_BID,
    MAX_TICKS,
    NANO,
    NO_ORIGIN,
    ROWS_OF_BAR,
    Grid,
    IntColumn,
    Mask,
    RowKind,
    TapeColumns,
)
from data.tape import Tape

MILLION = 1_000_000
_OF_MONEY = (RowKind.MARK, RowKind.FUNDING)


class IncidentKind(str, Enum):
    """What happens to the market. `size` of the incident is in the unit named here."""

    HALT = "halt"
    """Trading stops, and resumes at the price that the tape has then."""
    GAP = "gap"
    """From one row to the next the price jumps by `size` millionths, and stays there."""
    SPIKE = "spike"
    """The price jumps by `size` millionths, and is back at the end."""
    WIDE = "wide"
    """The spread is `size` times as wide as it was, and a tenth of the size is shown."""
    SILENCE = "silence"
    """Nothing is reported: the rows are missing."""


@dataclass(frozen=True, slots=True)
class Incident:
    """What happens from `at_ns` on, for `lasts_ns`; a gap lasts."""

    kind: IncidentKind
    at_ns: int
    lasts_ns: int = 0
    size: int = 0


def stormy(tape: Tape, incidents: Sequence[Incident], grid: Grid) -> Tape:
    """The tape with these incidents, in their order; without any it is the tape itself.

    Rows of levels and single orders become quotes. On a tape of bars only gaps and spikes happen,
    from whole bars on. `notes` say what was done.
    """
    wanted = [each for each in incidents if _fits(each, tape)]
    if not wanted:
        return tape
    copies: list[Any] = [column.copy() for column in tape.l1]
    columns = TapeColumns(*copies)
    for incident in wanted:
        columns = _happen(columns, incident, tape.bar_interval_ns > 0, grid)
    for column in columns:
        column.flags.writeable = False
    text = "; ".join(f"{each.kind.value} at {each.at_ns} ns" for each in wanted)
    name = hashlib.sha256(f"{tape.content_hash}:{wanted!r}".encode()).hexdigest()
    return replace(
        tape,
        columns=columns,
        content_hash=name,
        notes=(*tape.notes, f"{tape.symbol}: a storm was put into the tape: {text}"),
        origin=NO_ORIGIN,
        stored=None,
    )


def _fits(incident: Incident, tape: Tape) -> bool:
    of_bars = incident.kind in (IncidentKind.GAP, IncidentKind.SPIKE)
    inside = tape.start_ns < incident.at_ns < tape.end_ns
    return inside and (of_bars or not tape.bar_interval_ns)


def _happen(columns: TapeColumns, incident: Incident, of_bars: bool, grid: Grid) -> TapeColumns:
    first = int(np.searchsorted(columns.ts, incident.at_ns, side="left"))
    end = int(np.searchsorted(columns.ts, incident.at_ns + incident.lasts_ns, side="right"))
    if of_bars:
        first, end = (-(-at // ROWS_OF_BAR) * ROWS_OF_BAR for at in (first, end))
    if incident.kind is IncidentKind.HALT:
        return _halted(columns, first, end, incident)
    if incident.kind is IncidentKind.SILENCE:
        return _without(columns, first, min(end, len(columns.ts) - 1))
    if incident.kind is IncidentKind.WIDE:
        _widen(columns, first, end, incident.size)
    else:
        last = len(columns.ts) if incident.kind is IncidentKind.GAP else end
        _shift(columns, first, last, incident.size, grid)
    return columns


def _without(columns: TapeColumns, first: int, end: int) -> TapeColumns:
    """Without the rows from `first` up to `end`; the last row of a tape always stays."""
    end = max(first, end)
    parts = [np.concatenate([column[:first], column[end:]]) for column in _each(columns)]
    return TapeColumns(*parts)


def _each(columns: TapeColumns) -> Iterable[Any]:
    return columns


def _halted(columns: TapeColumns, first: int, end: int, incident: Incident) -> TapeColumns:
    """A halt, nothing, and a resumption; the book of both rows is the last that was known."""
    end = max(first, min(end, len(columns.ts) - 1))
    before = first - 1
    again_ns = min(incident.at_ns + incident.lasts_ns, int(columns.ts[end]))
    parts = []
    for name, column in zip(columns._fields, _each(columns), strict=True):
        rows = np.repeat(column[before : before + 1], 2)
        if name == "ts":
            rows[:] = (incident.at_ns, max(incident.at_ns, again_ns))
        elif name == "kind":
            rows[:] = (RowKind.HALT, RowKind.RESUME)
        elif name in ("side", "px", "qty"):
            rows[:] = 0
        parts.append(np.concatenate([column[:first], rows, column[end:]]))
    return TapeColumns(*parts)


def _widen(columns: TapeColumns, first: int, end: int, times: int) -> None:
    """The touch moves away on both sides by as much, so that the middle stays about where it is."""
    part = slice(first, end)
    bid, ask = columns.bid[part], columns.ask[part]
    two_sided = (columns.bid_qty[part] > 0) & (columns.ask_qty[part] > 0)
    away = np.where(two_sided, (ask - bid) * max(0, times - 1), 0)
    down = np.minimum(away // 2, np.where(two_sided & (bid > 0), bid - 1, away // 2))
    columns.bid[part] = bid - np.maximum(down, 0)
    columns.ask[part] = ask + np.where(two_sided, away - away // 2, 0)
    for shown in (columns.bid_qty, columns.ask_qty):
        shown[part] = np.where(shown[part] > 0, np.maximum(1, shown[part] // 10), 0)


def _shift(columns: TapeColumns, first: int, end: int, ppm: int, grid: Grid) -> None:
    """All prices from row `first` up to `end` by the same number of ticks; none falls to zero."""
    prices = _prices_at(columns, first)
    ticks = round(prices * ppm / MILLION)
    part = slice(first, end)
    lowest = _lowest(columns, part)
    if lowest > 0:
        ticks = max(ticks, 1 - lowest)
    ticks = max(-MAX_TICKS, min(MAX_TICKS, ticks))
    kind = columns.kind[part]
    columns.bid[part] += np.where(columns.bid[part] != EMPTY_BID, ticks, 0)
    columns.ask[part] += np.where(columns.ask[part] != EMPTY_ASK, ticks, 0)
    columns.px[part] += np.where(kind == RowKind.TRADE, ticks, 0)
    of_money: Mask = np.isin(kind, _OF_MONEY) & (columns.px[part] > 0)
    if of_money.any():
        nanos = ticks * int(grid.tick_size * NANO)
        columns.px[part] = np.where(
            of_money, np.maximum(1, columns.px[part] + nanos), columns.px[part]
        )


def _prices_at(columns: TapeColumns, row: int) -> int:
    """The price about there, in ticks, for sizes that are a share of it."""
    around = slice(max(0, row - 100), row + 1)
    known = _known(columns, around)
    return int(known[-1]) if len(known) else 0


def _lowest(columns: TapeColumns, part: slice) -> int:
    known = _known(columns, part)
    return int(known.min()) if len(known) else 0


def _known(columns: TapeColumns, part: slice) -> IntColumn:
    """The lower price of each row that has one: the print's or the bid's, else the ask's."""
    trade = columns.kind[part] == RowKind.TRADE
    bid, ask, px = columns.bid[part], columns.ask[part], columns.px[part]
    low = np.where(bid != EMPTY_BID, bid, ask)
    low = np.where(trade, np.minimum(low, px), low)
    low = np.where((low == EMPTY_ASK) & trade, px, low)
    found: IntColumn = low[(low != EMPTY_ASK) & (low != EMPTY_BID)]
    return found
