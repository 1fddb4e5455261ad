"""How a tape is to be read, for those that read it and those that only look for it in the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

Progress = Callable[[int, int], None]
"""Told (rows done, rows in all) while a tape is converted."""


class Options(NamedTuple):
    """How to read: `repair` drops faulty rows, `sort` orders by time, `max_gap_ns` limits
    pauses."""

    repair: bool = False
    sort: bool = False
    max_gap_ns: int | None = None
