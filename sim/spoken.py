"""Columns of a tape as lists of the numbers that handlers are told.

A number of Python's is an object, and making it costs most of what a tick costs that is told to a
function which does nothing. Neighbouring rows have few different prices and sizes: each of them is
made once, and the list has it wherever it occurs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_api.instrument import Instrument
from data.schema import IntColumn


def prices_of(spec: Instrument, ticks: IntColumn) -> list[float]:
    """Whole ticks as prices."""
    return _listed(ticks, spec.ticks_to_prices)


def sizes_of(spec: Instrument, lots: IntColumn) -> list[float]:
    """Whole lots as sizes; ints where lots are whole."""
    return _listed(lots, spec.lots_to_sizes)


def prices_where(
    spec: Instrument, ticks: IntColumn, is_there: npt.NDArray[np.bool_], without: Any
) -> list[Any]:
    """Whole ticks as prices, `without` where there is none."""
    if is_there.all():
        return prices_of(spec, ticks)
    prices = spec.ticks_to_prices(ticks).astype(object)
    prices[~is_there] = without
    return list(prices.tolist())


def _listed(column: IntColumn, convert: Callable[[IntColumn], npt.NDArray[Any]]) -> list[Any]:
    if not len(column):
        return []
    low, high = int(column.min()), int(column.max())
    if high - low >= len(column):
        return list(convert(column).tolist())
    known = convert(np.arange(low, high + 1)).astype(object)
    return list(known.take(column - low).tolist())
