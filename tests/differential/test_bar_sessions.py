"""Sessions on bars: both exchanges agree, and what is special about bars really happens in them."""

from __future__ import annotations

import pytest

from broker_api.event import OrderFilled, OrderTriggered
from tests.differential.bars import bar_case
from tests.differential.drive import run_seed
from tests.differential.sessions import case_of

pytestmark = pytest.mark.slow

SEEDS = range(504, 704, 5)


@pytest.mark.parametrize("seed", SEEDS)
def test_both_exchanges_agree_on_bars(seed: int) -> None:
    assert run_seed(seed).case.tapes[0].bar_interval_ns > 0


def test_other_seeds_keep_their_tapes() -> None:
    assert all(
        tape.bar_interval_ns == 0 for seed in range(501, 504) for tape in case_of(seed).tapes
    )


def test_bars_have_every_path_and_spread() -> None:
    settings = [bar_case(seed).simulation for seed in SEEDS]
    assert {each.bar_path for each in settings} == {"adaptive", "pessimistic", "ohlc", "olhc"}
    assert {each.spread_ticks for each in settings} == {0, 1, 2, 3}


def test_sessions_on_bars_trigger_fill_and_are_ambiguous() -> None:
    events = [event for seed in SEEDS for event in run_seed(seed).events]
    fills = [event for event in events if isinstance(event, OrderFilled)]
    at_their_own = [
        event
        for event in events
        if isinstance(event, OrderTriggered) and event.price_ticks == event.stop_ticks
    ]
    assert len(fills) > 300
    assert len(at_their_own) > 20
    assert any(fill.ambiguous for fill in fills)
