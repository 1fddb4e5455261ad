"""What runs leave behind is freed before a next one, once it is much."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from papertape import TradingSuite, run
from sim import earlier_runs
from sim.loop import virtual_time
from tests.sim.compiled_session import TAPE


def journal_of_a_run(load_bytes: int = 0) -> weakref.ref[Any]:
    """The journal of a run that has ended, and that kept so much beside it."""
    found: list[weakref.ref[Any]] = []

    async def main() -> None:
        async with await TradingSuite.create(["MNQ"], tape=TAPE) as suite:
            found.append(weakref.ref(suite.session.journal))
            suite.session.load = np.ones(load_bytes, dtype=np.int8)  # type: ignore[attr-defined]
            await suite.orders.place_market_order("MNQ", 0, 1)

    run(main())
    return found[0]


@pytest.fixture
def no_collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    journal_of_a_run()  # everything is loaded
    gc.collect()
    monkeypatch.setattr(earlier_runs, "_after_last", earlier_runs._own_bytes())
    gc.disable()
    yield
    gc.enable()


def test_a_run_frees_earlier_ones_when_the_process_has_grown(no_collector: None) -> None:
    half = earlier_runs.GROWN_BYTES * 5 // 8
    first = journal_of_a_run(half)
    second = journal_of_a_run(half)
    assert first() is not None
    third = journal_of_a_run()
    assert first() is None
    assert second() is None
    assert third() is not None


def test_so_does_a_script(no_collector: None) -> None:
    journal = journal_of_a_run(2 * earlier_runs.GROWN_BYTES)
    with virtual_time():
        assert journal() is None


def test_where_nobody_tells_how_much_it_is_every_run_does(
    no_collector: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(earlier_runs, "_own_bytes", lambda: None)
    first = journal_of_a_run()
    journal_of_a_run()
    assert first() is None
