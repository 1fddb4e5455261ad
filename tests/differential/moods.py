"""Moods of random sessions: tapes, accounts and traders that together make what is rare happen."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Mood:
    """What a session has more of; empty where chance alone decides."""

    name: str = "any"
    rows: Mapping[str, float] = field(default_factory=dict)
    """How often what happens on its tapes, see `rows.py`."""
    largest: int = 0
    """The largest size that its tapes show."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the simulation."""
    trader: Mapping[str, Any] = field(default_factory=dict)
    """What the trader leans to, see `trade.py`."""
    is_poor: bool = False
    """Margin, and hardly enough cash for it."""
    has_hours: bool = False
    """Sessions that open and close at times of rows."""
    below_zero: bool = False
    """Prices may be negative, and are."""


ANY = Mood()
_PATIENT = {"bracket": 5, "oco": 2, "single": 1, "cancel": 0}
MOODS = (
    Mood(  # one row that reaches both legs
        "whipsaw",
        {"wild": 0.5, "trade": 0.5, "jump": 0.0, "calm": 0.3, "status": 0.0},
        trader={
            "weights": _PATIENT,
            "distances": (1, 2, 2, 3),
            "pause": 0.85,
            "largest": 4,
            "one_way": True,
        },
    ),
    Mood(  # entries that fill bit by bit, exits that grow, shrink and are changed by hand
        "parts",
        {"calm": 0.6, "trade": 0.6, "empty": 0.0, "jump": 0.1, "status": 0.0},
        largest=4,
        settings={"beyond_top": "wait"},
        trader={
            "weights": {**_PATIENT, "oco": 1, "replace": 3, "cancel": 1},
            "distances": (1, 1, 2, 3),
            "pause": 0.75,
            "largest": 12,
            "in_parts": 0.8,
            "one_way": True,
        },
    ),
    Mood(  # margin calls, funding with a position, changes that cannot be paid
        "poor",
        {"mark": 0.15, "jump": 0.2, "trade": 0.4},
        is_poor=True,
        trader={
            "weights": {"single": 5, "bracket": 1, "oco": 0, "replace": 3, "cancel": 1},
            "one_way": True,
        },
    ),
    Mood(  # openings, closings and expiries at times of rows
        "hours",
        {"status": 0.05, "tie": 0.5},
        has_hours=True,
        trader={"dated": 0.6, "pause": 0.6, "stops": 1},
    ),
    Mood("huge", largest=50_000, trader={"largest": 60_000}),
    Mood("ones", {"empty": 0.2}, largest=1, trader={"largest": 2}),
    Mood("below zero", below_zero=True),
)


def pick_mood(rng: random.Random) -> Mood:
    """Half of the sessions have none."""
    return rng.choice(MOODS) if rng.random() < 0.5 else ANY
