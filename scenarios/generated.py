"""Hypothesis strategies: tapes and storms that shrink to short, calm ones.

A tape is a list of steps (a pause, a move, a spread, sizes, a print), so that Hypothesis can leave
steps out and make numbers smaller until nothing can go without the failure going with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from broker_api.catalog import find, load_catalog
from broker_api.errors import ConfigurationError
from broker_api.instrument import Instrument
from data.market_storm import MILLION, Incident, IncidentKind
from data.schema import COLUMN_TYPES, RowKind, TapeColumns
from data.synthetic import DEFAULT_START_NS, profile_for
from data.tape import Tape, columns_hash
from scenarios.storm_drawing import Storm
from sim.storm_faults import Fault, FaultKind, ListedFaults

_MS = 1_000_000
_NS = 1_000_000_000
ONE_WAYS = (None, "up", "down")


class Step(NamedTuple):
    """One row: after `pause_ms`, the bid `move` ticks higher, and the sizes in units of size.

    `print_size` is what a buyer (positive) or a seller (negative) took just before; 0 for a quote.
    """

    pause_ms: int
    move: int
    spread: int
    bid_size: int
    ask_size: int
    print_size: int


def tapes(
    instrument: str | Instrument = "MNQ",
    *,
    min_rows: int = 40,
    max_rows: int = 200,
    pauses_ms: tuple[int, int] = (1, 10_000),
    moves_ticks: int = 8,
    max_spread_ticks: int = 3,
    max_size: int = 20,
    one_way: str | None = None,
    price: Decimal | str | float | None = None,
) -> st.SearchStrategy[Tape]:
    """Tapes of quotes and prints, from `min_rows` to `max_rows` rows long.

    Each row comes a pause after the one before and moves the bid by at most `moves_ticks`. Sizes
    are whole units. `one_way` is "up" or "down" for tapes whose bid and ask only go there; their
    spread and sizes stay. `price` is where they start, left out the instrument's usual one. They
    begin when the instrument's market is open. Raises ConfigurationError for what is no such name.
    """
    if one_way not in ONE_WAYS:
        raise ConfigurationError(f'one_way {one_way!r} is not "up", "down" or None')
    if not 1 <= min_rows <= max_rows:
        raise ConfigurationError(f"from {min_rows} to {max_rows} rows is no length of a tape")
    spec = find(load_catalog(), instrument) if isinstance(instrument, str) else instrument
    if price is None:
        price = profile_for(spec.symbol, spec.tick_size, spec.lot_size).price
    start_ticks = int(Decimal(str(price)) / spec.tick_size)
    least = 0 if one_way == "up" else -moves_ticks
    most = 0 if one_way == "down" else moves_ticks
    sizes = st.integers(max_size, max_size) if one_way else st.integers(1, max_size)
    steps = st.builds(
        Step,
        st.integers(*pauses_ms),
        st.integers(least, most),
        st.integers(1, 1 if one_way else max_spread_ticks),
        sizes,
        sizes,
        st.integers(-max_size, max_size),
    )
    rows = st.lists(steps, min_size=min_rows, max_size=max_rows)
    return rows.map(lambda made: tape_of_steps(spec, start_ticks, made))


def tape_of_steps(spec: Instrument, start_ticks: int, steps: Sequence[Step]) -> Tape:
    """The tape of these steps. Quotes that say nothing new are left out, as readers drop them."""
    unit = max(1, int(1 / spec.lot_size))
    values: dict[str, list[int]] = {name: [] for name in COLUMN_TYPES}
    now_ns, bid = DEFAULT_START_NS, start_ticks
    known: tuple[int, ...] = ()
    for step in steps:
        now_ns += step.pause_ms * _MS
        before, bid = bid, max(1, bid + step.move)
        is_print = step.print_size != 0
        book = (bid, bid + step.spread, step.bid_size * unit, step.ask_size * unit)
        if not is_print and book == known:
            continue
        known = book
        side = (step.print_size > 0) - (step.print_size < 0)
        price = (before + step.spread if side > 0 else before) if is_print else 0
        kind = RowKind.TRADE if is_print else RowKind.QUOTE
        row = (now_ns, kind, side, price, abs(step.print_size) * unit, *book)
        # the columns' own order: ts, kind, side, px, qty, bid, ask, bid_qty, ask_qty
        for name, value in zip(COLUMN_TYPES, row, strict=True):
            values[name].append(int(value))
    arrays: list[Any] = [np.array(values[name], dtype=kind) for name, kind in COLUMN_TYPES.items()]
    for array in arrays:
        array.flags.writeable = False
    columns = TapeColumns(*arrays)
    return Tape(columns, spec.symbol, "memory", columns_hash(columns), True)


def storms(
    *,
    commands: int = 20,
    max_faults: int = 3,
    max_incidents: int = 2,
    seconds: int = 600,
    kinds: Sequence[FaultKind] = tuple(FaultKind),
    incidents: Sequence[IncidentKind] = tuple(IncidentKind),
) -> st.SearchStrategy[Storm]:
    """Storms of a few faults among the first `commands` commands, and a few incidents.

    Incidents come in the first market, within `seconds` of where `tapes` begin. The simplest storm
    is none.
    """
    faults = st.builds(
        Fault,
        st.integers(1, commands),
        st.sampled_from(tuple(kinds)),
        st.integers(1, 30_000),
        st.integers(1, 5_000),
    )
    happened = st.builds(
        _incident,
        st.sampled_from(tuple(incidents)),
        st.integers(0, seconds * 1_000),
        st.integers(1, 120),
        st.integers(1, 40),
        st.booleans(),
    )
    return st.builds(
        lambda some, others: Storm(
            ListedFaults(tuple(some)), tuple((0, incident) for incident in others)
        ),
        st.lists(faults, max_size=max_faults),
        st.lists(happened, max_size=max_incidents),
    )


def _incident(
    kind: IncidentKind, after_ms: int, seconds: int, size: int, is_down: bool
) -> Incident:
    if kind in (IncidentKind.GAP, IncidentKind.SPIKE):
        size *= (-1 if is_down else 1) * (MILLION // 4_000)  # up to one hundredth of the price
    return Incident(kind, DEFAULT_START_NS + after_ms * _MS, seconds * _NS, size)
