"""Every broker owes a strategy the same: the numbered cases, on the simulation and local venues."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker_api.capabilities import REHEARSED, VENUES
from sim.broker import SimBroker
from tests.conformance.cases import CASES
from tests.conformance.page import PAGE, page
from tests.conformance.play import NAMES, conform
from tests.conformance.stage import play_on_sim


@pytest.mark.parametrize("venue", NAMES)
def test_every_case_holds(venue):
    assert conform(venue) == {}


def test_every_venue_of_the_table_is_played_and_rehearsed_for():
    assert sorted(NAMES) == sorted(VENUES)
    assert sorted(REHEARSED) == sorted(name for name in VENUES if name != "sim")


class Careless(SimBroker):
    """Sends orders that only reduce as orders that may do anything."""

    async def submit(self, submission):
        return await super().submit(replace(submission, reduce_only=False))


def test_a_broker_that_breaks_a_promise_is_found():
    chosen = [case for case in CASES if case.number in (1, 23)]
    assert list(play_on_sim(chosen, Careless)) == [23]


def test_the_page_of_capabilities_is_what_table_and_cases_say():
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "write it anew: python -m tests.conformance.page"
    )
