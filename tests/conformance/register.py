"""The register of numbered cases. Numbers stay; a new case gets the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from broker_api.capabilities import Capabilities
from tests.conformance.stage import Case, Play

Needs = Callable[[Capabilities], bool]

CASES: list[Case] = []
"""In the order of their numbers."""


def always(has: Capabilities) -> bool:
    return True


def case(
    number: int,
    title: str,
    *path: float,
    needs: Needs = always,
    rules: Mapping[str, Any] | None = None,
) -> Callable[[Play], Play]:
    """Register a story under its number."""

    def register(play: Play) -> Play:
        assert number == len(CASES) + 1, f"case {number} is out of order"
        CASES.append(Case(number, title, play, needs, path, rules))
        return play

    return register
