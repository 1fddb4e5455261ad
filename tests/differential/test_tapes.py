"""Kernel and reference on whole tapes: samples that ship, and recorded ones where they are."""

from __future__ import annotations

import random
from typing import Any

import pytest

from broker_api.calendar import load_calendar
from broker_api.config import AccountConfig, SimulationConfig
from sim.exchange import Exchange
from sim.reference import ReferenceExchange
from tests.acceptance.random_trader import RECORDED, Trader, instrument, tape_of
from tests.differential.kernel_state import KernelReader
from tests.differential.reference_state import ReferenceReader

COMMANDS = 1000
"""Orders, at least; changes and cancels are between them."""
CAREFUL = {"queue": "displayed", "beyond_top": "wait", "self_trade": "cancel_oldest"}


def compare_on_tape(symbol: str, recorded: str | None, **settings: Any) -> int:
    """Send random commands all over a tape; the number of events, equal in both."""
    spec, tape = instrument(symbol), tape_of(symbol, recorded)
    calendar, simulation = load_calendar(spec.calendar), SimulationConfig(**settings)
    given = (spec,), (tape,), (calendar,), simulation, AccountConfig(cash=5e6)
    kernel, reference = Exchange(*given), ReferenceExchange(*given)
    reader, reference_reader = KernelReader(kernel, given[1]), ReferenceReader(reference)
    chance = random.Random(f"{symbol} {settings}")
    trader = Trader(chance, (spec,), (tape,))
    step_ns = (tape.end_ns - tape.start_ns) // COMMANDS
    count = 0
    while kernel.now_ns < tape.end_ns:
        command = trader.command(kernel)
        if command is not None:
            events = kernel.execute(command)
            assert reference.execute(command) == events, command
            trader.hear(events)
            count += len(events)
        until_ns = kernel.now_ns + chance.choice((0, step_ns // 10, step_ns, 2 * step_ns)) + 1
        events = kernel.advance(until_ns)
        while events or kernel.now_ns < until_ns:
            assert reference.advance(until_ns) == events
            trader.hear(events)
            count += len(events)
            events = kernel.advance(until_ns)
        assert reference.advance(until_ns) == events
        assert reader.read() == reference_reader.read()
    assert trader.given >= COMMANDS
    return count


def markets() -> list[Any]:
    """(symbol, file) of the sample tapes, and of the recorded tapes that are here."""
    recorded = [("ES", "es_20231225_l1.parquet"), ("BTC", "btcusdt_20240808_l1.parquet")]
    return [
        *(pytest.param(symbol, None, id=symbol) for symbol in ("MNQ", "ETH")),
        *(
            pytest.param(symbol, file, id=file, marks=pytest.mark.realdata)
            for symbol, file in recorded
            if (RECORDED / file).is_file()
        ),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, CAREFUL], ids=["default", "careful"])
@pytest.mark.parametrize(("symbol", "recorded"), markets())
def test_a_whole_tape_gives_equal_events(
    symbol: str, recorded: str | None, settings: dict[str, Any]
) -> None:
    assert compare_on_tape(symbol, recorded, **settings) > COMMANDS
