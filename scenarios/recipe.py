"""A synthetic tape as settings: the seeded generator's, with halts and gaps cut into it.

The generator is `data.synthetic`, marks and funding are those of `sim.venues.sources`; here is what
a scenario's file says of them. The same recipe gives the same tape on every machine.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated

import numpy as np
from pydantic import Field, field_validator, model_validator

from broker_api.config import Settings
from broker_api.errors import ConfigurationError
from broker_api.instrument import NANOS, Instrument
from broker_api.order import TriggerSource
from data.schema import RowKind, TapeColumns, joined
from data.synthetic import DEFAULT_START_NS
from data.tape import Tape
from sim.venues.sources import between, columns_of, synthetic_source, tape_of

KEPT_RECIPES = 16
"""Tapes of recipes that a process keeps: a scenario plays the same one again and again."""

Seconds = Annotated[float, Field(ge=0, le=366 * 86_400)]
Span = tuple[Seconds, Seconds]


class SyntheticRecipe(Settings):
    """A tape of the seeded generator; docs/synthetic.md says what its markets look like.

    `price` is where it starts (one of the instrument when left out), `start` when: a time with its
    offset from UTC. `waypoints` are [seconds from the start, price] that the price is drawn
    through. `marks` adds a mark every three seconds and funding on the hour; left out, perpetuals
    that trigger at the mark have them. Inside each of `halts`, [from second, to second], nothing
    trades; inside each of `gaps` the tape has no row, and nobody says so.
    """

    seed: Annotated[int, Field(ge=0, lt=1 << 63)]
    hours: Annotated[float, Field(gt=0, le=24 * 31)] = 1.0
    price: Annotated[Decimal, Field(gt=0, le=10**9)] | None = None
    start: datetime | None = None
    waypoints: tuple[tuple[Annotated[int, Field(gt=0)], Decimal], ...] = ()
    marks: bool | None = None
    halts: tuple[Span, ...] = ()
    gaps: tuple[Span, ...] = ()

    @field_validator("start")
    @classmethod
    def _check_start(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("needs its offset from UTC, like 2025-01-14T14:30:00Z")
        return value

    @model_validator(mode="after")
    def _check_spans(self) -> SyntheticRecipe:
        for name in ("halts", "gaps"):
            for start, end in getattr(self, name):
                if start >= end:
                    raise ValueError(f"{name}: {start:g} to {end:g} s is no span of time")
        return self

    @property
    def start_ns(self) -> int:
        """The tape's start."""
        if self.start is None:
            return DEFAULT_START_NS
        return int(Decimal(str(self.start.timestamp())) * NANOS)

    def tape(self, instrument: Instrument) -> Tape:
        """The tape for this instrument. Raises ConfigurationError for what does not fit it."""
        return _tape(self, instrument)


@lru_cache(maxsize=KEPT_RECIPES)
def _tape(recipe: SyntheticRecipe, instrument: Instrument) -> Tape:
    is_marked = recipe.marks
    if is_marked is None:
        is_marked = instrument.trigger_source is TriggerSource.MARK
    tape = synthetic_source(
        instrument,
        seed=recipe.seed,
        hours=recipe.hours,
        price=recipe.price,
        start_ns=recipe.start_ns,
        waypoints=recipe.waypoints,
        is_perpetual=is_marked,
    ).tape
    columns = tape.columns
    for span in recipe.gaps:
        columns = _without(columns, recipe.start_ns, span)
    for span in recipe.halts:
        columns = _halted(columns, recipe.start_ns, span)
    if not len(columns.ts):
        raise ConfigurationError(f"synthetic tape of {instrument.symbol}: nothing is left of it")
    return tape_of(columns, instrument, tape) if recipe.gaps or recipe.halts else tape


def _rows_of(columns: TapeColumns, start_ns: int, span: Span) -> tuple[int, int, int, int]:
    """A span's first and last instant, and the rows from which to which it reaches."""
    first_ns, last_ns = (start_ns + int(seconds * NANOS) for seconds in span)
    first, last = np.searchsorted(columns.ts, [first_ns, last_ns])
    return first_ns, last_ns, int(first), int(last)


def _without(columns: TapeColumns, start_ns: int, span: Span) -> TapeColumns:
    """The rows without those of the span."""
    *_, first, last = _rows_of(columns, start_ns, span)
    return joined(between(columns, 0, first), between(columns, last))


def _halted(columns: TapeColumns, start_ns: int, span: Span) -> TapeColumns:
    """A halt in place of the span's rows; its touch is the last that was seen before."""
    first_ns, last_ns, first, last = _rows_of(columns, start_ns, span)
    at = max(0, min(first, len(columns.ts)) - 1)
    touch = {name: int(getattr(columns, name)[at]) for name in ("bid", "ask", "bid_qty", "ask_qty")}
    still = {"side": 0, "px": 0, "qty": 0, **touch}
    halt = columns_of([{"ts": first_ns, "kind": RowKind.HALT, **still}])
    resume = columns_of([{"ts": last_ns, "kind": RowKind.RESUME, **still}])
    return joined(between(columns, 0, first), halt, resume, between(columns, last))
