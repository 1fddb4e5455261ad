"""Every code block of the OrderManager page over the ProjectX adapter and a local gateway.

Nothing but the broker and its address is configured otherwise than in a simulation: what a block
does, and what its session is told, is the same.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from order_manager_page import Block, play, with_our_name
from test_order_manager_page import BLOCKS, EFFECTS

from broker_api.catalog import load_catalog
from broker_api.config import SessionDefaults, SimulationConfig, use_defaults
from broker_api.event import EventKind, EventRow
from papertape import TradingSuite
from sim.venues.sources import source_of
from tests.venues.local_gateway import KEY, USER, Gateway, local_gateway
from tests.venues.projectx_adapter import broker_of

pytestmark = pytest.mark.spec

NO_LATENCY = {"entry_latency_ms": 0, "response_latency_ms": 0}


@pytest.fixture
def venue(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """A gateway that plays the sample, found by the environment as `papertape serve` sets it."""
    source = source_of(load_catalog()["MNQ"], "sample", is_perpetual=False)
    with local_gateway([source]) as gateway:
        monkeypatch.setenv("PROJECTX_API_URL", gateway.url + "/api")
        monkeypatch.setenv("PROJECT_X_USERNAME", USER)
        monkeypatch.setenv("PROJECT_X_API_KEY", KEY)
        yield gateway


class MarketTime:
    """The block's `asyncio` and `print`: where it waits for the market, the market goes on."""

    def __init__(self, venue: Gateway, sessions: list[Any]) -> None:
        self._venue = venue
        self._sessions = sessions

    async def sleep(self, seconds: float) -> None:
        await asyncio.to_thread(self._venue.control, "/advance", seconds=seconds)
        for suite in self._sessions:
            await broker_of(suite).live.keeper.sweep()  # what has been told has come by then

    def print(self, *values: Any) -> None:
        builtins.print(*values)
        if str(values[0]).startswith("Remaining"):  # it waits for the fill next
            asyncio.get_running_loop().create_task(self._until_filled())

    async def _until_filled(self) -> None:
        await asyncio.to_thread(self._venue.control, "/advance", until="fill")


def play_live(block: Block, venue: Gateway) -> TradingSuite:
    """Run the block's script on the gateway; the suite that it opened, after its end."""
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(with_our_name(block.script()), block.name, "exec"), names)
    with use_defaults(SessionDefaults(broker="projectx")) as kept:
        time = MarketTime(venue, kept.sessions)
        names["asyncio"] = SimpleNamespace(sleep=time.sleep)
        names["print"] = time.print
        asyncio.run(names["main"]())
    (suite,) = kept.sessions
    return suite


def told(suite: TradingSuite) -> dict[int, list[tuple[Any, ...]]]:
    """What a session was told of each order, without times and the venue's own numbers."""
    found: dict[int, list[tuple[Any, ...]]] = {}
    for record in suite.session.journal.events():
        row = EventRow(*(int(value) for value in record))
        if row.order_id:
            found.setdefault(row.order_id, []).append(
                (
                    EventKind(row.kind).name,
                    *(row.status, row.side, row.price_ticks, row.stop_ticks, row.lots),
                    *(row.filled_lots, row.leaves_lots, row.fee_nanos, row.reason),
                )
            )
    return found


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_does_on_the_gateway_what_it_does_in_a_simulation(
    name: str, venue: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    live = play_live(BLOCKS[name], venue)
    assert live.failure is None
    printed = capsys.readouterr().out
    if name != "order_status":  # it looks at times, and here the market's are not the session's
        EFFECTS[name](live, printed)
    direct = play(BLOCKS[name], simulation=SimulationConfig(**NO_LATENCY))
    assert printed == capsys.readouterr().out
    assert told(live) == told(direct)
    assert live.session.ledger.cash_nanos == direct.session.ledger.cash_nanos
    ours, theirs = live.session.ledger.positions[0], direct.session.ledger.positions[0]
    assert (ours.lots, ours.cost) == (theirs.lots, theirs.cost)
