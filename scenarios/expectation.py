"""What is expected of a scenario's run: its digest, its figures, what must hold always."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, field_validator

from broker_api.config import Settings, near_miss
from broker_api.errors import ConfigurationError
from scenarios.sweep import FIGURES

ROUNDING = 1e-9
"""Figures are floats made of integers: closer than this share they are the same figure."""

Size = Annotated[float, Field(ge=0)]


class Invariants(Settings):
    """What holds at every moment of a run, of a storm too.

    `flat_at_end`: no position is left. `no_orphan_exits`: no exit of a bracket works at the end
    without a position, and none ever filled more than was open. `max_position`: the largest
    position, long or short, in the instrument's own units: one number for every instrument, or a
    table by symbol. `max_loss`: equity never falls further than that below the starting cash.
    """

    flat_at_end: bool = False
    no_orphan_exits: bool = False
    max_position: Size | dict[str, Size] | None = None
    max_loss: Size | None = None


class Expectation(Settings):
    """`[expect]`: the accepted digest, figures by name, and what must hold.

    Figures are those of a sweep's table, `scenarios.sweep.FIGURES`. Without a digest nothing was
    accepted yet.
    """

    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    statistics: dict[str, int | float] = Field(default_factory=dict)
    invariants: Invariants = Invariants()

    @field_validator("statistics")
    @classmethod
    def _check_names(cls, value: dict[str, int | float]) -> dict[str, int | float]:
        for name in value:
            _check_figure(name)
        return value


@dataclass(frozen=True)
class Tolerance:
    """`[tolerance]`: by figure how far it may be from what is expected, as amount or as share."""

    amounts: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Tolerance:
        """The tolerances of a table: a number is an amount, `"2%"` a share of what is expected.

        Raises ConfigurationError.
        """
        amounts, shares = {}, {}
        for name, value in table.items():
            try:
                _check_figure(name)
            except ValueError as failure:
                raise ConfigurationError(f"tolerance.{name}: {failure}") from None
            if isinstance(value, str) and value.endswith("%"):
                shares[name] = _amount(name, value, value[:-1]) / 100
            else:
                amounts[name] = _amount(name, value, value)
        return cls(amounts, shares)

    def __bool__(self) -> bool:
        return bool(self.amounts or self.shares)

    def allows(self, name: str, expected: float, actual: float | None) -> bool:
        """Whether a figure of the run is as expected, up to this tolerance."""
        if actual is None:
            return False
        allowed = self.amounts.get(name, 0.0) + abs(expected) * self.shares.get(name, 0.0)
        return math.isclose(expected, actual, rel_tol=ROUNDING, abs_tol=max(allowed, ROUNDING))


def _check_figure(name: str) -> None:
    if name not in FIGURES:
        hint = near_miss(name, FIGURES) or f"; known are {', '.join(FIGURES)}"
        raise ValueError(f"{name!r} is no figure of a run{hint}")


def _amount(name: str, shown: object, value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        amount = float(value) if is_number or isinstance(value, str) else math.nan  # type: ignore[arg-type]
    except ValueError:
        amount = math.nan
    if not 0 <= amount < math.inf:
        raise ConfigurationError(
            f'tolerance.{name} = {shown!r} is neither an amount like 0.5 nor a share like "2%"'
        )
    return amount
