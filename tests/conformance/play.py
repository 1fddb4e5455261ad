"""Plays the cases on a venue, and says which did not hold.

python -m tests.conformance.play --venue projectx --case 26
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable, Sequence

import pytest

from broker_api.capabilities import VENUES
from broker_api.errors import OrderRejectedError
from broker_api.event import Reason
from tests.conformance.cases import CASES
from tests.conformance.stage import LIVE, Case, Stage, play_live, play_on_sim

NAMES = ("sim", *LIVE)
"""The venues that the cases are played on."""


def conform(venue: str, numbers: Iterable[int] = ()) -> dict[int, str]:
    """Play the cases of these numbers, or all. Returns what went wrong, by number."""
    chosen = set(numbers)
    has = VENUES[venue]
    cases = [
        each if each.needs(has) else dataclasses.replace(each, play=_refused(each))
        for each in CASES
        if not chosen or each.number in chosen
    ]
    return play_on_sim(cases) if venue == "sim" else play_live(LIVE[venue], cases)


def _refused(case: Case):
    """The same story where its verb is not supported: it is refused, and nothing was sent."""

    async def play(stage: Stage) -> None:
        with pytest.raises(OrderRejectedError, match="does not support") as refused:
            await case.play(stage)
        assert refused.value.reason is Reason.UNSUPPORTED
        assert "; " in str(refused.value), "it says what to use instead"
        assert await stage.orders.get_orders("pending") == []

    return play


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venue", choices=NAMES, default="sim")
    parser.add_argument("--case", type=int, action="append", default=[])
    given = parser.parse_args(arguments)
    failures = conform(given.venue, given.case)
    for number, text in failures.items():
        print(f"{number:3}  {CASES[number - 1].title}\n     {text}")
    print(f"{given.venue}: {len(failures)} of {len(given.case) or len(CASES)} cases do not hold")


if __name__ == "__main__":
    main()
